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

#define REGISTERS           0xfed90000ULL
#define GCMD                0x18
#define FSTS                0x34
#define IQH                 0x80
#define IQT                 0x88
#define IQA                 0x90

#define GCMD_QIE            BIT(26)
#define FSTS_IQE            BIT(4)
#define IQA_DW              BIT(11)

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

typedef struct Mode {
    const char *name, *options;
    unsigned int size;              /* bytes of a descriptor */
} Mode;

typedef struct Queue {
    VtdGuest *guest;
    uint64_t base, status;
    unsigned int size, head;
} Queue;

static void writel(Queue *queue, unsigned int reg, uint32_t value)
{
    qtest_writel(queue->guest->qts, REGISTERS + reg, value);
}

static uint32_t readl(Queue *queue, unsigned int reg)
{
    return qtest_readl(queue->guest->qts, REGISTERS + reg);
}

/* Whether the queue went past the descriptor */
static bool submit(Queue *queue, const uint64_t *words)
{
    unsigned int i, tail = (queue->head + queue->size) % VTD_PAGE;

    for (i = 0; i < queue->size / 8; i++) {
        vtd_store(queue->guest, queue->base + queue->head + i * 8, words[i]);
    }
    writel(queue, IQT, tail);
    if (readl(queue, FSTS) & FSTS_IQE) {
        g_assert_cmphex(readl(queue, IQH), ==, queue->head);
        return false;
    }
    g_assert_cmphex(readl(queue, IQH), ==, tail);
    queue->head = tail;
    return true;
}

static void check(Queue *queue, const uint64_t *words, bool valid)
{
    const uint64_t repaired[4] = { WAIT | WAIT_SW | 7ULL << 32, queue->status };

    if (submit(queue, words) != valid) {
        g_error("0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016"
                PRIx64 ": %s", words[0], words[1], words[2], words[3],
                valid ? "stopped the queue" : "was taken");
    }
    if (valid) {
        return;
    }

    /* nothing moves before IQE is cleared */
    vtd_store(queue->guest, queue->status, 0);
    g_assert_false(submit(queue, repaired));
    g_assert_cmphex(vtd_load(queue->guest, queue->status), ==, 0);
    writel(queue, FSTS, FSTS_IQE);
    g_assert_true(submit(queue, repaired));
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
    uint64_t other = MAKE_64BIT_MASK(GRANULARITY, types[type].granularity_bits);
    bool by_page = has_mamv(type, granularity);
    uint64_t words[4] = { first };
    unsigned int i;

    for (i = 0; i < queue->size * 8; i++) {
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
    const Mode *mode = data;
    Queue queue = { vtd_start(mode->options) };
    unsigned int type, granularity;

    queue.size = mode->size;
    queue.base = vtd_page(queue.guest);
    queue.status = vtd_page(queue.guest);
    vtd_writeq(queue.guest, IQA,
               queue.base | (mode->size == 32 ? IQA_DW : 0));
    writel(&queue, GCMD, GCMD_QIE);

    for (type = 0; type < TYPES; type++) {
        /* those with 256 bits are none in a queue with 128 */
        bool offered = types[type].granularities &&
                       (queue.size == 32 || !types[type].wide);

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
    static const Mode modes[] = {
        { "legacy", "", 16 },
        { "scalable-128", ",x-scalable-mode=on", 16 },
        { "scalable-256", ",x-scalable-mode=on", 32 },
        { "stage-1", ",x-scalable-mode=on,x-flts=on", 32 },
    };
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(modes); i++) {
        g_autofree char *path = g_strdup_printf("/vtd/queue/%s",
                                                modes[i].name);

        qtest_add_data_func(path, &modes[i], test_queue);
    }
    return g_test_run();
}
