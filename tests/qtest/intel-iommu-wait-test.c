/*
 * Wait descriptors of intel-iommu's invalidation queue (VT-d 6.5.2)
 *
 * All combinations of their flags, and each reserved bit. Page requests are
 * not offered, so Page-request Drain is reserved.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-guest.h"

#define ICS                 0xfed9009cULL
#define ICS_IWC             BIT(0)

#define WAIT                5
#define WAIT_IF             BIT(4)
#define WAIT_SW             BIT(5)
#define WAIT_FN             BIT(6)
#define WAIT_PD             BIT(7)

typedef struct Queue {
    VtdGuest *guest;
    uint64_t status;
} Queue;

static void clear_effects(Queue *queue)
{
    vtd_store(queue->guest, queue->status, 0);
    qtest_writel(queue->guest->qts, ICS, ICS_IWC);
}

static void assert_effects(Queue *queue, uint32_t data, uint32_t iwc)
{
    g_assert_cmphex(vtd_load(queue->guest, queue->status), ==, data);
    g_assert_cmphex(qtest_readl(queue->guest->qts, ICS), ==, iwc);
}

/* What the descriptor does, and nothing else; the queue goes on after it */
static void check_valid(Queue *queue, const uint64_t *words)
{
    clear_effects(queue);
    g_assert_true(vtd_submit(queue->guest, words));
    assert_effects(queue, words[0] & WAIT_SW ? words[0] >> 32 : 0,
                   words[0] & WAIT_IF ? ICS_IWC : 0);
}

/* Does nothing and stops the queue, until it is repaired and IQE cleared */
static void check_invalid(Queue *queue, const uint64_t *words)
{
    const uint64_t repaired[4] = { WAIT | WAIT_SW | 7ULL << 32, queue->status };

    clear_effects(queue);
    g_assert_false(vtd_submit(queue->guest, words));
    assert_effects(queue, 0, 0);
    g_assert_false(vtd_submit(queue->guest, repaired));
    assert_effects(queue, 0, 0);
    vtd_clear_queue_error(queue->guest);
    check_valid(queue, repaired);
}

static Queue start(const void *mode)
{
    Queue queue = { vtd_start_queue(mode) };

    queue.status = vtd_page(queue.guest);
    return queue;
}

static void test_flags(const void *data)
{
    Queue queue = start(data);
    uint64_t flags;

    for (flags = 0; flags <= (WAIT_IF | WAIT_SW | WAIT_FN | WAIT_PD);
         flags += WAIT_IF) {
        uint64_t words[4] = { WAIT | flags | 0x12345678ULL << 32,
                              queue.status };

        if (flags & WAIT_PD) {
            check_invalid(&queue, words);
        } else {
            check_valid(&queue, words);
        }
    }
    vtd_quit(queue.guest);
}

static void test_reserved(const void *data)
{
    Queue queue = start(data);
    unsigned int bit;

    for (bit = 0; bit < queue.guest->descriptor_size * 8; bit++) {
        uint64_t words[4] = { WAIT | WAIT_SW | WAIT_IF | 0x12345678ULL << 32,
                              queue.status };
        bool reserved = bit == 8 || (bit >= 12 && bit < 32) ||
                        bit == 64 || bit == 65 || bit >= 128;

        if (reserved) {
            words[bit / 64] |= BIT_ULL(bit % 64);
            check_invalid(&queue, words);
        }
    }
    vtd_quit(queue.guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vtd_add_queue_tests("/vtd/wait/", "/flags", test_flags);
    vtd_add_queue_tests("/vtd/wait/", "/reserved", test_reserved);
    return g_test_run();
}
