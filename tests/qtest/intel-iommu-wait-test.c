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

#define REGISTERS           0xfed90000ULL
#define GCMD                0x18
#define FSTS                0x34
#define IQH                 0x80
#define IQT                 0x88
#define IQA                 0x90
#define ICS                 0x9c

#define GCMD_QIE            BIT(26)
#define FSTS_IQE            BIT(4)
#define ICS_IWC             BIT(0)
#define IQA_DW              BIT(11)

#define WAIT                5
#define WAIT_IF             BIT(4)
#define WAIT_SW             BIT(5)
#define WAIT_FN             BIT(6)
#define WAIT_PD             BIT(7)

typedef struct Mode {
    const char *name, *options;
    unsigned int size;              /* bytes of a descriptor */
} Mode;

typedef struct Queue {
    VtdGuest *guest;
    uint64_t base, status;
    unsigned int size, head;
} Queue;

static uint32_t readl(Queue *queue, unsigned int reg)
{
    return qtest_readl(queue->guest->qts, REGISTERS + reg);
}

static void writel(Queue *queue, unsigned int reg, uint32_t value)
{
    qtest_writel(queue->guest->qts, REGISTERS + reg, value);
}

static void store(Queue *queue, const uint64_t *words)
{
    unsigned int i;

    for (i = 0; i < queue->size / 8; i++) {
        vtd_store(queue->guest, queue->base + queue->head + i * 8, words[i]);
    }
}

static void submit(Queue *queue)
{
    writel(queue, IQT, (queue->head + queue->size) % VTD_PAGE);
}

/* What the descriptor does, and nothing else; the queue goes on after it */
static void check_valid(Queue *queue, const uint64_t *words)
{
    uint32_t data = words[0] & WAIT_SW ? words[0] >> 32 : 0;
    uint32_t iwc = words[0] & WAIT_IF ? ICS_IWC : 0;

    vtd_store(queue->guest, queue->status, 0);
    writel(queue, ICS, ICS_IWC);
    store(queue, words);
    submit(queue);
    queue->head = (queue->head + queue->size) % VTD_PAGE;
    g_assert_cmphex(readl(queue, FSTS) & FSTS_IQE, ==, 0);
    g_assert_cmphex(readl(queue, IQH), ==, queue->head);
    g_assert_cmphex(vtd_load(queue->guest, queue->status), ==, data);
    g_assert_cmphex(readl(queue, ICS), ==, iwc);
}

/* Does nothing and stops the queue, until it is repaired and IQE cleared */
static void check_invalid(Queue *queue, const uint64_t *words)
{
    const uint64_t repaired[4] = { WAIT | WAIT_SW | 7ULL << 32, queue->status };
    int i;

    vtd_store(queue->guest, queue->status, 0);
    writel(queue, ICS, ICS_IWC);
    store(queue, words);
    for (i = 0; i < 2; i++) {
        submit(queue);
        g_assert_cmphex(readl(queue, FSTS) & FSTS_IQE, ==, FSTS_IQE);
        g_assert_cmphex(readl(queue, IQH), ==, queue->head);
        g_assert_cmphex(vtd_load(queue->guest, queue->status), ==, 0);
        g_assert_cmphex(readl(queue, ICS), ==, 0);
        store(queue, repaired);
    }
    writel(queue, FSTS, FSTS_IQE);
    check_valid(queue, repaired);
}

static Queue *start(const Mode *mode)
{
    Queue *queue = g_new0(Queue, 1);

    queue->guest = vtd_start(mode->options);
    queue->size = mode->size;
    queue->base = vtd_page(queue->guest);
    queue->status = vtd_page(queue->guest);
    vtd_writeq(queue->guest, IQA,
               queue->base | (mode->size == 32 ? IQA_DW : 0));
    writel(queue, GCMD, GCMD_QIE);
    return queue;
}

static void quit(Queue *queue)
{
    vtd_quit(queue->guest);
    g_free(queue);
}

static void test_flags(const void *data)
{
    Queue *queue = start(data);
    uint64_t flags;

    for (flags = 0; flags <= (WAIT_IF | WAIT_SW | WAIT_FN | WAIT_PD);
         flags += WAIT_IF) {
        uint64_t words[4] = { WAIT | flags | 0x12345678ULL << 32,
                              queue->status };

        if (flags & WAIT_PD) {
            check_invalid(queue, words);
        } else {
            check_valid(queue, words);
        }
    }
    quit(queue);
}

static void test_reserved(const void *data)
{
    Queue *queue = start(data);
    unsigned int bit;

    for (bit = 0; bit < queue->size * 8; bit++) {
        uint64_t words[4] = { WAIT | WAIT_SW | WAIT_IF | 0x12345678ULL << 32,
                              queue->status };
        bool reserved = bit == 8 || (bit >= 12 && bit < 32) ||
                        bit == 64 || bit == 65 || bit >= 128;

        if (reserved) {
            words[bit / 64] |= BIT_ULL(bit % 64);
            check_invalid(queue, words);
        }
    }
    quit(queue);
}

int main(int argc, char **argv)
{
    static const Mode modes[] = {
        { "legacy", "", 16 },
        { "scalable-128", ",x-scalable-mode=on", 16 },
        { "scalable-256", ",x-scalable-mode=on", 32 },
        { "stage-1", ",x-scalable-mode=on,x-flts=on", 32 },
    };
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(modes); i++) {
        g_autofree char *flags = g_strdup_printf("/vtd/wait/%s/flags",
                                                 modes[i].name);
        g_autofree char *reserved = g_strdup_printf("/vtd/wait/%s/reserved",
                                                    modes[i].name);

        qtest_add_data_func(flags, &modes[i], test_flags);
        qtest_add_data_func(reserved, &modes[i], test_reserved);
    }
    return g_test_run();
}
