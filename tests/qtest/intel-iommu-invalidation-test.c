/*
 * intel-iommu: what it caches, and what makes it forget
 *
 * Accessed and Dirty, which a cached translation must not lose, and each kind
 * of invalidation (VT-d 6.5): with something old seen before it and gone after,
 * and something old that stays.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "vtd-dma.h"

/* Accessed and Dirty */

/* Expects @leaf_bits in the leaf, and Accessed alone in what leads to it */
static void assert_accessed(Mapping *m, unsigned int leaf, uint64_t leaf_bits,
                            uint64_t table_bits)
{
    unsigned int level;

    for (level = leaf; level <= 4; level++) {
        uint64_t entry = vtd_load(m->dev->guest,
                                  vtd_entry(&m->first, m->iova, level));

        g_assert_cmphex(entry & (FS_A | FS_D), ==,
                        level == leaf ? leaf_bits : table_bits);
    }
}

/* Two pages of @leaf's size follow each other at IOVA */
static void assert_sets_accessed(Mapping *m, unsigned int leaf)
{
    assert_accessed(m, leaf, 0, 0);
    assert_reads(m->dev, m->iova, m->at);
    assert_accessed(m, leaf, FS_A, FS_A);
    /* what is cached knows that Dirty has to be set */
    assert_writes(m->dev, m->iova, m->at);
    assert_accessed(m, leaf, FS_A | FS_D, FS_A);

    m->iova += vtd_span(leaf);
    assert_accessed(m, leaf, 0, FS_A);
    assert_writes(m->dev, m->iova, m->at);
    assert_accessed(m, leaf, FS_A | FS_D, FS_A);
}

static void test_accessed_first(void)
{
    VtdGuest *guest = start_nested();
    unsigned int leaf;
    Mapping m;

    for (leaf = 1; leaf <= 3; leaf++) {
        map_first_leaf(&m, &guest->dev[0], leaf);
        vtd_map(&m.first, m.iova + vtd_span(leaf), m.at, leaf);
        vtd_invalidate_iotlb_global(guest);
        assert_sets_accessed(&m, leaf);
    }
    vtd_quit(guest);
}

static void test_accessed_nested(void)
{
    VtdGuest *guest = start_nested();
    unsigned int leaf;
    Mapping m;

    for (leaf = 1; leaf <= 3; leaf++) {
        map_nested_leaves(&m, &guest->dev[0], leaf, 1);
        vtd_map(&m.first, m.iova + vtd_span(leaf), FAR_BETWEEN, leaf);
        vtd_invalidate_iotlb_global(guest);
        assert_sets_accessed(&m, leaf);
    }
    vtd_quit(guest);
}

/* The second stage has none, as ECAP.SSADS is clear */
static void test_accessed_not_in_second(void)
{
    VtdGuest *guest = start_nested();
    uint64_t leaf, table;
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    leaf = vtd_load(guest, vtd_entry(&m.second, BETWEEN, 1));
    table = vtd_load(guest, entry_of_table(&m, 1));
    assert_reads(m.dev, m.iova, m.at);
    assert_writes(m.dev, m.iova, m.at);
    g_assert_cmphex(vtd_load(guest, vtd_entry(&m.second, BETWEEN, 1)), ==,
                    leaf);
    g_assert_cmphex(vtd_load(guest, entry_of_table(&m, 1)), ==, table);
    vtd_quit(guest);
}

static void protect_tables(Mapping *m)
{
    unsigned int level;

    for (level = 1; level <= 4; level++) {
        vtd_change(m->dev->guest, entry_of_table(m, level), SS_W, 0);
    }
    vtd_invalidate_iotlb_global(m->dev->guest);
}

/* Tables that cannot be written will do where there is nothing to set */
static void test_accessed_already(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    assert_reads(m.dev, m.iova, m.at);
    protect_tables(&m);
    assert_reads(m.dev, m.iova, m.at);
    assert_write_faults(m.dev, m.iova, 0x77);
    assert_reads(m.dev, m.iova, m.at);

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    vtd_invalidate_iotlb_global(guest);
    assert_writes(m.dev, m.iova, m.at);
    protect_tables(&m);
    assert_reads(m.dev, m.iova, m.at);
    assert_writes(m.dev, m.iova, m.at);
    vtd_quit(guest);
}

/* A write that cannot be done leaves no Dirty */
static void test_accessed_not_by_denied_write(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_first(&m, &guest->dev[0], DOMAIN);
    vtd_change(guest, vtd_entry(&m.first, m.iova, 1), FS_RW, 0);
    assert_reads(m.dev, m.iova, m.at);
    assert_write_faults(m.dev, m.iova, 0x85);
    assert_accessed(&m, 1, FS_A, FS_A);
    vtd_quit(guest);
}

/* A guest that changes an entry again and again while it is used */

typedef struct Changer {
    uint64_t *entry;
    uint64_t values[2];
    bool stop;
    bool lost;
} Changer;

static void *change_entry(void *opaque)
{
    Changer *c = opaque;
    int next = 1;

    while (!qatomic_read(&c->stop)) {
        uint64_t was = le64_to_cpu(qatomic_xchg(c->entry,
                                                cpu_to_le64(c->values[next])));

        c->lost |= (was & ~(FS_A | FS_D)) != c->values[!next];
        next = !next;
    }
    return NULL;
}

/* Its changes stay, and QEMU does not wait for it to end */
static void test_accessed_loses_no_change(void)
{
    VtdGuest *guest = start_nested();
    Changer c = { };
    GThread *thread;
    Mapping m;
    int i;

    map_first(&m, &guest->dev[0], DOMAIN);
    c.entry = (uint64_t *)(guest->ram + vtd_entry(&m.first, m.iova, 1));
    c.values[0] = FRAME(0) | FS_ALL;
    c.values[1] = FRAME(1) | FS_ALL;
    thread = g_thread_new("changer", change_entry, &c);
    for (i = 0; i < 300; i++) {
        unsigned int result;
        VtdFault fault;

        vtd_invalidate_iotlb_global(guest);
        result = vtd_copy(m.dev, m.iova, VTD_WINDOW, 8);
        fault = vtd_take_fault(guest);
        if (fault.recorded) {
            g_assert_cmphex(fault.reason, ==, 0x91);
            g_assert_cmpuint(result, ==, DMA_TESTDEV_READ_FAILED);
        } else {
            g_assert_cmpuint(result, ==, DMA_TESTDEV_DONE);
        }
    }
    qatomic_set(&c.stop, true);
    g_thread_join(thread);
    g_assert_false(c.lost);
    vtd_quit(guest);
}

/* What is cached denies a write as the tables do: with a record */
static void test_cached_write_denied(void)
{
    static const unsigned int types[] = { PGTT_FIRST, PGTT_SECOND };
    VtdGuest *guest = start_nested();
    Mapping m;
    int i;

    for (i = 0; i < ARRAY_SIZE(types); i++) {
        if (types[i] == PGTT_FIRST) {
            map_first(&m, &guest->dev[i], DOMAIN);
            vtd_change(guest, vtd_entry(&m.first, m.iova, 1), FS_RW, 0);
        } else {
            map_second(&m, &guest->dev[i], DOMAIN, 4);
            vtd_change(guest, vtd_entry(&m.second, m.iova, 1), SS_W, 0);
        }
        assert_reads(m.dev, m.iova, m.at);
        assert_write_faults(m.dev, m.iova, 0x85);
        assert_reads(m.dev, m.iova, m.at);
    }
    vtd_quit(guest);
}

/*
 * Invalidation: what a device sees is old until what was cached is dropped
 *
 * Addresses are offsets from the mapping's. Each is in FRAME(0) at first, and
 * MOVE bytes on after its leaf was changed.
 */

#define MOVE            (4 * MiB)
#define PAGE(n)         ((n) * VTD_PAGE)

/* Pages of a block of 2 MiB that a second stage of 4 KiB pages has */
static const unsigned int pages[] = { 0, 1, 2, 3, 4, 5, 6, 7, 511 };

static void map_between(Mapping *m)
{
    int block, i;

    for (block = 0; block < 4; block++) {
        for (i = 0; i < ARRAY_SIZE(pages); i++) {
            vtd_map(&m->second, BETWEEN + block * 2 * MiB + PAGE(pages[i]),
                    FRAME(block) + PAGE(pages[i]), 1);
        }
    }
}

/* Two blocks of 2 MiB: pages of 4 KiB each, or with a @leaf of 2 whole */
static void map_blocks(Mapping *m, VtdDevice *dev, unsigned int type,
                       uint16_t domain, unsigned int leaf)
{
    VtdStage *stage = type == PGTT_SECOND ? &m->second : &m->first;
    uint64_t output = type == PGTT_NESTED ? BETWEEN : FRAME(0);
    int block, i;

    if (type == PGTT_FIRST) {
        map_first(m, dev, domain);
    } else if (type == PGTT_SECOND) {
        map_second(m, dev, domain, 4);
    } else {
        map_nested(m, dev, domain, 4);
        map_between(m);
    }
    for (block = 0; block < 2; block++) {
        for (i = 0; i < (leaf == 1 ? ARRAY_SIZE(pages) : 1); i++) {
            uint64_t offset = block * 2 * MiB + PAGE(pages[i]);

            vtd_map(stage, m->iova + offset, output + offset, leaf);
        }
    }
}

static void assert_old(Mapping *m, uint64_t offset)
{
    assert_reads(m->dev, m->iova + offset, FRAME(0) + offset);
}

static void assert_moved(Mapping *m, uint64_t offset)
{
    assert_reads(m->dev, m->iova + offset, FRAME(0) + offset + MOVE);
}

static void move_leaf(Mapping *m, VtdStage *stage, uint64_t offset,
                      unsigned int leaf)
{
    VtdGuest *guest = m->dev->guest;
    uint64_t at = vtd_entry(stage, m->iova + offset, leaf);

    vtd_store(guest, at, vtd_load(guest, at) + MOVE);
}

/* Of the stage that has the request's addresses */
static void make_stale(Mapping *m, unsigned int type, uint64_t offset)
{
    assert_old(m, offset);
    move_leaf(m, type == PGTT_SECOND ? &m->second : &m->first, offset, 1);
    assert_old(m, offset);
}

static void map_stale(Mapping *m, VtdDevice *dev, unsigned int type,
                      uint16_t domain)
{
    map_blocks(m, dev, type, domain, 1);
    make_stale(m, type, PAGE(0));
}

static void assert_drops_second_stage(Mapping *m)
{
    vtd_store(m->dev->guest, vtd_entry(&m->second, BETWEEN, 1),
              FRAME(3) | SS_ALL);
    assert_old(m, 0);
    vtd_invalidate_iotlb_global(m->dev->guest);
    assert_reads(m->dev, m->iova, FRAME(3));
}

static void test_iotlb_global(void)
{
    VtdGuest *guest = start_nested();
    unsigned int type;
    Mapping a, b;

    for (type = PGTT_FIRST; type <= PGTT_NESTED; type++) {
        map_stale(&a, &guest->dev[0], type, DOMAIN);
        map_stale(&b, &guest->dev[1], type, OTHER_DOMAIN);
        vtd_invalidate_iotlb_global(guest);
        assert_moved(&a, 0);
        assert_moved(&b, 0);
        vtd_invalidate_iotlb_global(guest);
    }
    map_blocks(&a, &guest->dev[0], PGTT_NESTED, DOMAIN, 1);
    assert_old(&a, 0);
    assert_drops_second_stage(&a);
    vtd_quit(guest);
}

static void test_iotlb_domain(void)
{
    VtdGuest *guest = start_nested();
    unsigned int type;
    Mapping a, b;

    for (type = PGTT_FIRST; type <= PGTT_NESTED; type++) {
        map_stale(&a, &guest->dev[0], type, DOMAIN);
        map_stale(&b, &guest->dev[1], type, OTHER_DOMAIN);
        vtd_invalidate_iotlb_domain(guest, DOMAIN);
        assert_moved(&a, 0);
        assert_old(&b, 0);
        vtd_invalidate_iotlb_global(guest);
    }
    vtd_quit(guest);
}

/* Of a second stage alone: the pages that are named */
static void test_iotlb_pages_second(void)
{
    VtdGuest *guest = start_nested();
    Mapping m, other;
    int page;

    map_blocks(&m, &guest->dev[0], PGTT_SECOND, DOMAIN, 1);
    for (page = 0; page < 8; page++) {
        make_stale(&m, PGTT_SECOND, PAGE(page));
    }
    map_stale(&other, &guest->dev[1], PGTT_SECOND, OTHER_DOMAIN);
    vtd_invalidate_iotlb_pages(guest, DOMAIN, m.iova, 0);
    assert_moved(&m, PAGE(0));
    vtd_invalidate_iotlb_pages(guest, DOMAIN, m.iova + PAGE(4), 1);
    for (page = 1; page < 8; page++) {
        (page == 4 || page == 5 ? assert_moved : assert_old)(&m, PAGE(page));
    }
    assert_old(&other, PAGE(0));
    vtd_quit(guest);
}

static void test_iotlb_pages_second_2m(void)
{
    VtdGuest *guest = start_nested();
    const uint64_t within = PAGE(77), next = 2 * MiB;
    Mapping m;

    map_blocks(&m, &guest->dev[0], PGTT_SECOND, DOMAIN, 2);
    assert_old(&m, 0);
    assert_old(&m, next);
    move_leaf(&m, &m.second, 0, 2);
    move_leaf(&m, &m.second, next, 2);
    assert_old(&m, within);
    vtd_invalidate_iotlb_pages(guest, DOMAIN, m.iova + PAGE(301), 0);
    assert_moved(&m, within);
    assert_old(&m, next);
    /* a range that the page is a part of */
    vtd_invalidate_iotlb_pages(guest, DOMAIN, m.iova & -4 * MiB, 10);
    assert_moved(&m, next);
    vtd_quit(guest);
}

/* With a first stage: all that the domain has, whatever is named */
static void test_iotlb_pages_first(void)
{
    VtdGuest *guest = start_nested();
    unsigned int type;
    Mapping a, b;

    for (type = PGTT_FIRST; type <= PGTT_NESTED; type += 2) {
        map_stale(&a, &guest->dev[0], type, DOMAIN);
        map_stale(&b, &guest->dev[1], type, OTHER_DOMAIN);
        vtd_invalidate_iotlb_pages(guest, DOMAIN, 5 * GiB, 0);
        assert_moved(&a, 0);
        assert_old(&b, 0);
        vtd_invalidate_iotlb_pages(guest, OTHER_DOMAIN, 5 * GiB, 0);
        assert_moved(&b, 0);
        vtd_invalidate_iotlb_global(guest);
    }
    vtd_quit(guest);
}

/* The second stage's page changes under a nested translation */
static void test_iotlb_pages_nested(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_blocks(&m, &guest->dev[0], PGTT_NESTED, DOMAIN, 1);
    assert_old(&m, 0);
    vtd_store(guest, vtd_entry(&m.second, BETWEEN, 1), FRAME(3) | SS_ALL);
    assert_old(&m, 0);
    vtd_invalidate_iotlb_pages(guest, DOMAIN, BETWEEN, 0);
    assert_reads(m.dev, m.iova, FRAME(3));
    vtd_quit(guest);
}

/* The whole PASID, of any type; not another in the domain */
static void test_pasid_all(void)
{
    VtdGuest *guest = start_nested();
    unsigned int type;
    Mapping a, b;

    for (type = PGTT_FIRST; type <= PGTT_NESTED; type++) {
        map_stale(&a, &guest->dev[0], type, DOMAIN);
        map_stale(&b, &guest->dev[1], type, DOMAIN);
        vtd_invalidate_pasid(guest, DOMAIN, a.dev->pasid);
        assert_moved(&a, 0);
        assert_old(&b, 0);
        vtd_invalidate_iotlb_global(guest);
    }
    vtd_quit(guest);
}

/* Not the same PASID in another domain */
static void test_pasid_of_other_domain(void)
{
    VtdGuest *guest = start_nested();
    unsigned int type;
    Mapping a, b;

    vtd_set_rid_pasid(&guest->dev[1], guest->dev[0].pasid);
    vtd_invalidate_context_global(guest);
    for (type = PGTT_FIRST; type <= PGTT_NESTED; type += 2) {
        map_stale(&a, &guest->dev[0], type, DOMAIN);
        map_stale(&b, &guest->dev[1], type, OTHER_DOMAIN);
        vtd_invalidate_pasid(guest, DOMAIN, a.dev->pasid);
        assert_moved(&a, 0);
        assert_old(&b, 0);
        vtd_invalidate_pasid_pages(guest, DOMAIN, a.dev->pasid, b.iova, 0);
        assert_old(&b, 0);
        vtd_invalidate_pasid_pages(guest, OTHER_DOMAIN, a.dev->pasid, b.iova,
                                   0);
        assert_moved(&b, 0);
        vtd_invalidate_iotlb_global(guest);
    }
    vtd_quit(guest);
}

static void assert_pasid_pages(VtdGuest *guest, unsigned int type)
{
    VtdDevice *dev = &guest->dev[0];
    Mapping m, other;
    int page;

    map_blocks(&m, dev, type, DOMAIN, 1);
    for (page = 0; page < 8; page++) {
        make_stale(&m, type, PAGE(page));
    }
    map_stale(&other, &guest->dev[1], type, DOMAIN);
    vtd_invalidate_pasid_pages(guest, DOMAIN, dev->pasid, m.iova, 0);
    assert_moved(&m, PAGE(0));
    vtd_invalidate_pasid_pages(guest, DOMAIN, dev->pasid, m.iova + PAGE(4), 1);
    for (page = 1; page < 8; page++) {
        (page == 4 || page == 5 ? assert_moved : assert_old)(&m, PAGE(page));
    }
    vtd_invalidate_pasid_pages(guest, DOMAIN, dev->pasid, m.iova, 3);
    for (page = 0; page < 8; page++) {
        assert_moved(&m, PAGE(page));
    }
    assert_old(&other, PAGE(0));
    vtd_invalidate_iotlb_global(guest);
}

static void test_pasid_pages(void)
{
    VtdGuest *guest = start_nested();

    assert_pasid_pages(guest, PGTT_FIRST);
    assert_pasid_pages(guest, PGTT_NESTED);
    vtd_quit(guest);
}

/* CAP.MAMV, 18 here, limits the second stage alone (VT-d 11.4.2) */
static void test_pasid_pages_wide(void)
{
    VtdGuest *guest = start_nested();
    unsigned int type;
    Mapping a, b;

    for (type = PGTT_FIRST; type <= PGTT_NESTED; type += 2) {
        map_stale(&a, &guest->dev[0], type, DOMAIN);
        map_stale(&b, &guest->dev[1], type, DOMAIN);
        vtd_invalidate_pasid_pages(guest, DOMAIN, a.dev->pasid, 0, 52);
        assert_moved(&a, 0);
        assert_old(&b, 0);
        vtd_invalidate_iotlb_global(guest);
    }
    vtd_quit(guest);
}

/* Not more than the mask says */
static void test_pasid_pages_wide_range(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;
    uint64_t far, leaf;

    map_stale(&m, &guest->dev[0], PGTT_FIRST, DOMAIN);
    far = m.iova + 4 * GiB;
    leaf = vtd_map(&m.first, far, FRAME(6), 1);
    assert_reads(m.dev, far, FRAME(6));
    vtd_change(guest, leaf, ENTRY_ADDRESS, FRAME(7));
    vtd_invalidate_pasid_pages(guest, DOMAIN, m.dev->pasid, m.iova & -4 * GiB,
                               20);
    assert_moved(&m, 0);
    assert_reads(m.dev, far, FRAME(6));
    vtd_invalidate_pasid_pages(guest, DOMAIN, m.dev->pasid, m.iova & -8 * GiB,
                               21);
    assert_reads(m.dev, far, FRAME(7));
    vtd_quit(guest);
}

/* A second stage's pages are no matter of the PASID's */
static void test_pasid_pages_second(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_stale(&m, &guest->dev[0], PGTT_SECOND, DOMAIN);
    vtd_invalidate_pasid_pages(guest, DOMAIN, m.dev->pasid, m.iova, 9);
    assert_old(&m, 0);
    vtd_quit(guest);
}

/*
 * A page of 2 MiB in the first stage, cached as the second stage cuts it: all
 * of it goes with any of its addresses, and no more.
 */
static void test_pasid_pages_nested_2m(void)
{
    VtdGuest *guest = start_nested();
    const uint64_t offsets[] = { PAGE(0), PAGE(5), PAGE(511) };
    const uint64_t next = 2 * MiB;
    Mapping m;
    int i;

    map_blocks(&m, &guest->dev[0], PGTT_NESTED, DOMAIN, 2);
    for (i = 0; i < ARRAY_SIZE(offsets); i++) {
        assert_old(&m, offsets[i]);
        assert_old(&m, offsets[i] + next);
    }
    move_leaf(&m, &m.first, 0, 2);
    move_leaf(&m, &m.first, next, 2);
    assert_old(&m, PAGE(5));
    vtd_invalidate_pasid_pages(guest, DOMAIN, m.dev->pasid, m.iova + PAGE(7),
                               0);
    for (i = 0; i < ARRAY_SIZE(offsets); i++) {
        assert_moved(&m, offsets[i]);
        assert_old(&m, offsets[i] + next);
    }
    vtd_invalidate_pasid_pages(guest, DOMAIN, m.dev->pasid,
                               m.iova + next + PAGE(256), 8);
    for (i = 0; i < ARRAY_SIZE(offsets); i++) {
        assert_moved(&m, offsets[i] + next);
    }
    vtd_quit(guest);
}

/* A page of 4 KiB in the first stage, within one of 2 MiB in the second */
static void test_pasid_pages_in_large_second(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;
    int block;

    map_blocks(&m, &guest->dev[0], PGTT_NESTED, DOMAIN, 1);
    for (block = 0; block < 4; block++) {
        vtd_map(&m.second, BETWEEN + block * 2 * MiB, FRAME(block), 2);
    }
    make_stale(&m, PGTT_NESTED, PAGE(1));
    make_stale(&m, PGTT_NESTED, PAGE(2));
    vtd_invalidate_pasid_pages(guest, DOMAIN, m.dev->pasid, m.iova + PAGE(2),
                               0);
    assert_old(&m, PAGE(1));
    assert_moved(&m, PAGE(2));
    vtd_quit(guest);
}

/* The device's PASID is found in other tables than before */
static Mapping move_device(VtdDevice *dev, Mapping *before)
{
    Mapping after;

    map_blocks(before, dev, PGTT_NESTED, DOMAIN, 1);
    assert_old(before, PAGE(0));
    vtd_set_rid_pasid(dev, dev->pasid + 1);
    map_blocks(&after, dev, PGTT_NESTED, DOMAIN, 1);
    vtd_map(&after.second, BETWEEN + PAGE(1), FRAME(3), 1);
    /* never seen before: the PASID that is cached */
    assert_old(before, PAGE(2));
    return after;
}

static void assert_device_moved(Mapping *after)
{
    assert_reads(after->dev, after->iova + PAGE(1), FRAME(3));
}

static void test_context_global(void)
{
    VtdGuest *guest = start_nested();
    Mapping before, after;

    after = move_device(&guest->dev[0], &before);
    vtd_invalidate_context_global(guest);
    assert_device_moved(&after);
    vtd_quit(guest);
}

static void test_context_domain(void)
{
    VtdGuest *guest = start_nested();
    Mapping before, after;

    after = move_device(&guest->dev[0], &before);
    vtd_invalidate_context_domain(guest, DOMAIN);
    assert_device_moved(&after);
    vtd_quit(guest);
}

static void test_context_device(void)
{
    VtdGuest *guest = start_nested();
    Mapping before[2], after[2];
    int i;

    for (i = 0; i < 2; i++) {
        after[i] = move_device(&guest->dev[i], &before[i]);
    }
    vtd_invalidate_context_device(&guest->dev[0], DOMAIN);
    assert_device_moved(&after[0]);
    assert_old(&before[1], PAGE(3));
    vtd_invalidate_context_device(&guest->dev[1], DOMAIN);
    assert_device_moved(&after[1]);
    vtd_quit(guest);
}

static void test_root_drops_everything(void)
{
    VtdGuest *guest = start_nested();
    Mapping before, after, stale;

    map_stale(&stale, &guest->dev[1], PGTT_SECOND, OTHER_DOMAIN);
    after = move_device(&guest->dev[0], &before);
    vtd_set_root(guest, guest->root | VTD_RTADDR_SCALABLE);
    assert_device_moved(&after);
    assert_moved(&stale, PAGE(0));
    vtd_quit(guest);
}

/*
 * Pass-through takes a device out of the IOMMU's sight, which has to come
 * back with the PASID cache's invalidation.
 */
static void assert_leaves_pass_through(void (*invalidate)(VtdDevice *dev))
{
    VtdGuest *guest = start_nested();
    VtdDevice *dev = &guest->dev[0];
    Mapping m;

    vtd_use_pass_through(dev, DOMAIN);
    assert_reads(dev, FRAME(5), FRAME(5));
    assert_reads(dev, FRAME(5), FRAME(5));
    map_nested(&m, dev, DOMAIN, 4);
    assert_reads(dev, FRAME(5), FRAME(5));
    invalidate(dev);
    assert_reads(dev, m.iova, m.at);
    assert_read_faults(dev, FRAME(5), 0x71);

    /* and back */
    vtd_use_pass_through(dev, DOMAIN);
    invalidate(dev);
    vtd_invalidate_pasid(guest, DOMAIN, dev->pasid);
    assert_reads(dev, FRAME(5), FRAME(5));
    vtd_quit(guest);
}

static void invalidate_pasid_cache(VtdDevice *dev)
{
    vtd_invalidate_pasid_cache(dev, DOMAIN);
}

static void invalidate_pasid_cache_domain(VtdDevice *dev)
{
    vtd_invalidate_pasid_cache_domain(dev->guest, DOMAIN);
}

static void invalidate_pasid_cache_global(VtdDevice *dev)
{
    vtd_invalidate_pasid_cache_global(dev->guest);
}

static void test_pasid_cache(void)
{
    assert_leaves_pass_through(invalidate_pasid_cache);
    assert_leaves_pass_through(invalidate_pasid_cache_domain);
    assert_leaves_pass_through(invalidate_pasid_cache_global);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/intel-iommu-invalidation/accessed/first",
                   test_accessed_first);
    qtest_add_func("/intel-iommu-invalidation/accessed/nested",
                   test_accessed_nested);
    qtest_add_func("/intel-iommu-invalidation/accessed/not-in-second",
                   test_accessed_not_in_second);
    qtest_add_func("/intel-iommu-invalidation/accessed/already",
                   test_accessed_already);
    qtest_add_func("/intel-iommu-invalidation/accessed/not-by-denied-write",
                   test_accessed_not_by_denied_write);
    qtest_add_func("/intel-iommu-invalidation/accessed/loses-no-change",
                   test_accessed_loses_no_change);
    qtest_add_func("/intel-iommu-invalidation/cached/write-denied",
                   test_cached_write_denied);
    qtest_add_func("/intel-iommu-invalidation/iotlb/global", test_iotlb_global);
    qtest_add_func("/intel-iommu-invalidation/iotlb/domain", test_iotlb_domain);
    qtest_add_func("/intel-iommu-invalidation/iotlb/pages-second",
                   test_iotlb_pages_second);
    qtest_add_func("/intel-iommu-invalidation/iotlb/pages-second-2m",
                   test_iotlb_pages_second_2m);
    qtest_add_func("/intel-iommu-invalidation/iotlb/pages-first",
                   test_iotlb_pages_first);
    qtest_add_func("/intel-iommu-invalidation/iotlb/pages-nested",
                   test_iotlb_pages_nested);
    qtest_add_func("/intel-iommu-invalidation/pasid/all", test_pasid_all);
    qtest_add_func("/intel-iommu-invalidation/pasid/of-other-domain",
                   test_pasid_of_other_domain);
    qtest_add_func("/intel-iommu-invalidation/pasid/pages", test_pasid_pages);
    qtest_add_func("/intel-iommu-invalidation/pasid/pages-wide",
                   test_pasid_pages_wide);
    qtest_add_func("/intel-iommu-invalidation/pasid/pages-wide-range",
                   test_pasid_pages_wide_range);
    qtest_add_func("/intel-iommu-invalidation/pasid/pages-second",
                   test_pasid_pages_second);
    qtest_add_func("/intel-iommu-invalidation/pasid/pages-nested-2m",
                   test_pasid_pages_nested_2m);
    qtest_add_func("/intel-iommu-invalidation/pasid/pages-in-large-second",
                   test_pasid_pages_in_large_second);
    qtest_add_func("/intel-iommu-invalidation/context/global",
                   test_context_global);
    qtest_add_func("/intel-iommu-invalidation/context/domain",
                   test_context_domain);
    qtest_add_func("/intel-iommu-invalidation/context/device",
                   test_context_device);
    qtest_add_func("/intel-iommu-invalidation/root-table/drops-everything",
                   test_root_drops_everything);
    qtest_add_func("/intel-iommu-invalidation/pasid/cache", test_pasid_cache);

    return g_test_run();
}
