/*
 * Invalidation descriptors of intel-iommu: what is valid, and what is not
 *
 * Each bit of each type of descriptor with each of its granularities. A valid
 * one is passed; one that is not stops the queue, until the guest has repaired
 * it and cleared IQE.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-guest.h"

#define WAIT                5
#define WAIT_SW             BIT(5)

#define TYPES               128
#define TYPE_FIELDS         0xe0f   /* bits 11:9 and 3:0 */
#define GRANULARITY         4
#define PAGE_SELECTIVE      3
#define MAMV                18

/*
 * VT-d 6.5.2: the fields beside type and granularity, and the granularities
 * that there are, a bit for each. Nothing of what ECAP does not offer (DIT)
 * is among them. The second 128 bits are reserved in all.
 */
static const struct {
    uint64_t fields[2];
    unsigned int granularities, granularity_bits;
    bool wide;
} types[TYPES] = {
    /* context-cache: FM, SID, DID */
    [1] = { { 0x0003ffffffff0000 }, 0xe, 2 },
    /* IOTLB: DID, DR, DW; address, IH, AM */
    [2] = { { 0x00000000ffff00c0, 0xfffffffffffff07f }, 0xe, 2 },
    /* device TLB: SID, MIP; address, S */
    [3] = { { 0x0000ffff001f0000, 0xfffffffffffff001 }, 0x1 },
    /* interrupt entry cache: IIDX, IM */
    [4] = { { 0x0000fffff8000000 }, 0x3, 1 },
    /* PASID-based IOTLB: PASID, DID; address, IH, AM */
    [6] = { { 0x000fffffffff0000, 0xfffffffffffff07f }, 0xc, 2, true },
    /* PASID cache: PASID, DID */
    [7] = { { 0x000fffffffff0000 }, 0xb, 2, true },
    /* PASID-based device TLB: PASID, SID, MIP; address, S, G */
    [8] = { { 0x000fffffffff01f0, 0xfffffffffffff801 }, 0x1, 0, true },
};

typedef struct Queue {
    VtdGuest *guest;
    uint64_t status;
} Queue;

static void check(Queue *queue, const uint64_t *words, bool valid)
{
    const uint64_t repaired[4] = { WAIT | WAIT_SW | 7ULL << 32, queue->status };

    if (vtd_submit(queue->guest, words) != valid) {
        g_error("0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016"
                PRIx64 ": %s", words[0], words[1], words[2], words[3],
                valid ? "stopped the queue" : "was taken");
    }
    if (valid) {
        return;
    }

    /* nothing moves before IQE is cleared */
    vtd_store(queue->guest, queue->status, 0);
    g_assert_false(vtd_submit(queue->guest, repaired));
    g_assert_cmphex(vtd_load(queue->guest, queue->status), ==, 0);
    vtd_clear_queue_error(queue->guest);
    g_assert_true(vtd_submit(queue->guest, repaired));
    g_assert_cmphex(vtd_load(queue->guest, queue->status), ==, 7);
}

static uint64_t type_fields(unsigned int type)
{
    return (type & 0xf) | (type & 0x70) << 5;
}

/* CAP.MAMV limits the address mask of the second stage's pages alone */
static bool has_mamv(unsigned int type, unsigned int granularity)
{
    return type == 2 && granularity == PAGE_SELECTIVE;
}

/* Each bit of a valid descriptor, and then all its fields at once */
static void check_fields(Queue *queue, unsigned int type,
                         unsigned int granularity)
{
    uint64_t first = type_fields(type) | (uint64_t)granularity << GRANULARITY;
    uint64_t other = (BIT_ULL(types[type].granularity_bits) - 1) << GRANULARITY;
    bool by_page = has_mamv(type, granularity);
    uint64_t words[4] = { first };
    unsigned int i;

    for (i = 0; i < queue->guest->descriptor_size * 8; i++) {
        uint64_t bit = BIT_ULL(i % 64);
        bool valid = i < 128 && (types[type].fields[i / 64] & bit);

        if (i < 64 && (bit & (TYPE_FIELDS | other))) {
            continue;
        }
        /* an address mask above MAMV is not one */
        if (i == 69 && by_page) {
            valid = false;
        }
        words[i / 64] |= bit;
        check(queue, words, valid);
        words[i / 64] &= ~bit;
    }

    words[0] = first | types[type].fields[0];
    words[1] = types[type].fields[1];
    if (by_page) {
        words[1] &= ~0x3fULL;
        words[1] |= MAMV;
        check(queue, words, true);
        words[1]++;
        check(queue, words, false);
    } else {
        check(queue, words, true);
    }
}

static void test_queue(const void *data)
{
    Queue queue = { vtd_start_queue(data) };
    unsigned int type, granularity;

    queue.status = vtd_page(queue.guest);
    for (type = 0; type < TYPES; type++) {
        /* those with 256 bits are none in a queue with 128 */
        bool offered = types[type].granularities &&
                       (queue.guest->descriptor_size == 32 ||
                        !types[type].wide);

        if (type == WAIT) {
            continue;
        }
        for (granularity = 0;
             granularity < 1 << types[type].granularity_bits; granularity++) {
            bool valid = offered &&
                         (types[type].granularities & BIT(granularity));
            uint64_t words[4] = {
                type_fields(type) | (uint64_t)granularity << GRANULARITY
            };

            check(&queue, words, valid);
            if (valid) {
                check_fields(&queue, type, granularity);
            }
        }
    }
    vtd_quit(queue.guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vtd_add_queue_tests("/vtd/queue/", "", test_queue);
    return g_test_run();
}
