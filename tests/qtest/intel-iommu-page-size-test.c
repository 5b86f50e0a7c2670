/*
 * Pages that a guest makes larger or smaller, as a host has them mapped
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/memory.h"
#include "vtd-dma.h"

#define CACHING_MODE    ",caching-mode=on"
#define STEPS           1000
#define SPAN            (1 * GiB)
#define LEAVES          3

typedef struct Setup {
    VtdGuest *guest;
    VtdDevice *dev;
    VtdStage stage;
    GRand *rand;
} Setup;

static void assert_mapped(VtdDevice *dev, uint64_t iova, uint64_t output)
{
    VtdHostMapping mapping = vtd_host_mapping(dev, iova);

    g_assert_cmphex(mapping.output, ==, output);
    g_assert_cmpuint(mapping.perm, ==, output ? IOMMU_RW : IOMMU_NONE);
    g_assert_cmpuint(vtd_device_register(dev, DMA_TESTDEV_REFUSED), ==, 0);
}

static void set_up(Setup *setup)
{
    setup->guest = vtd_start_listening(CACHING_MODE);
    setup->dev = &setup->guest->dev[0];
    setup->stage = vtd_second_stage(setup->guest, 4);
    vtd_set_up_legacy(setup->guest);
    vtd_use_legacy(setup->dev, &setup->stage, DOMAIN);
    vtd_enable(setup->guest);
}

/* An invalidation of one page of 4 KiB is one of the whole that it was in */
static void test_one_page_named(void)
{
    Setup setup;
    uint64_t entry, table, last = NARROW_IOVA + 2 * MiB - VTD_PAGE;

    set_up(&setup);
    entry = vtd_map(&setup.stage, NARROW_IOVA, FRAME(0), 2);
    vtd_invalidate_iotlb_pages(setup.guest, DOMAIN, last, 0);
    assert_mapped(setup.dev, NARROW_IOVA, FRAME(0));

    /* The large page becomes a table with its last page alone */
    table = vtd_page(setup.guest);
    vtd_store(setup.guest, table + 511 * 8, FRAME(1) | SS_ALL);
    vtd_store(setup.guest, entry, table | SS_ALL);
    vtd_invalidate_iotlb_pages(setup.guest, DOMAIN, NARROW_IOVA, 0);
    assert_mapped(setup.dev, NARROW_IOVA, 0);
    assert_mapped(setup.dev, last, FRAME(1));

    /* And a large page again */
    vtd_store(setup.guest, entry, FRAME(2) | SS_ALL | ENTRY_PS);
    vtd_invalidate_iotlb_pages(setup.guest, DOMAIN, NARROW_IOVA, 9);
    assert_mapped(setup.dev, NARROW_IOVA, FRAME(2));
    assert_mapped(setup.dev, last, FRAME(2) + 2 * MiB - VTD_PAGE);
    vtd_quit(setup.guest);
}

/* What the tables translate @iova to */
static uint64_t walk(Setup *setup, uint64_t iova)
{
    uint64_t entry, table = setup->stage.root;
    unsigned int level;

    for (level = 4; ; level--) {
        entry = vtd_load(setup->guest,
                         table + iova / vtd_span(level) % 512 * 8);
        if (!entry) {
            return 0;
        }
        if (level == 1 || entry & ENTRY_PS) {
            return (entry & ENTRY_ADDRESS) + iova % vtd_span(level);
        }
        table = entry & ENTRY_ADDRESS;
    }
}

/* Puts a page, a table with some pages, or nothing for @iova */
static void change(Setup *setup, uint64_t iova, unsigned int level,
                   uint64_t tables)
{
    VtdGuest *guest = setup->guest;
    uint64_t at = tables, output = 1 * GiB;
    unsigned int i, l, kind = g_rand_int_range(setup->rand, 0, 3);

    for (l = LEAVES; l > level; l--) {
        at = l == LEAVES ? at : (vtd_load(guest, at) & ENTRY_ADDRESS) +
                                iova / vtd_span(l) % 512 * 8;
        if (!vtd_load(guest, at) || vtd_load(guest, at) & ENTRY_PS) {
            vtd_store(guest, at, vtd_page(guest) | SS_ALL);
        }
    }
    at = level == LEAVES ? at : (vtd_load(guest, at) & ENTRY_ADDRESS) +
                                iova / vtd_span(level) % 512 * 8;
    if (kind == 0) {
        vtd_store(guest, at, 0);
        return;
    }
    if (kind == 1 && level > 1) {
        uint64_t table = vtd_page(guest);

        for (i = 0; i < 4; i++) {
            unsigned int n = g_rand_int_range(setup->rand, 0, 512);

            vtd_store(guest, table + n * 8, SS_ALL |
                      (output + n * vtd_span(level - 1)) % (2 * GiB) |
                      (level > 2 ? ENTRY_PS : 0));
        }
        vtd_store(guest, at, table | SS_ALL);
        return;
    }
    if (level < LEAVES) {
        output += g_rand_int_range(setup->rand, 0, SPAN / vtd_span(level)) *
                  vtd_span(level);
    }
    vtd_store(guest, at, output | SS_ALL | (level > 1 ? ENTRY_PS : 0));
}

static void test_random(void)
{
    Setup setup = { .rand = g_rand_new_with_seed(14) };
    uint64_t tables, iova;
    unsigned int step, i, level;

    set_up(&setup);
    tables = vtd_entry(&setup.stage, NARROW_IOVA, LEAVES);
    for (step = 0; step < STEPS; step++) {
        level = g_rand_int_range(setup.rand, 1, LEAVES + 1);
        iova = NARROW_IOVA + g_rand_int_range(setup.rand, 0, 4) * 2 * MiB +
               g_rand_int_range(setup.rand, 0, 4) * VTD_PAGE;
        change(&setup, iova, level, tables);
        /* all that any entry on the way to it spans */
        vtd_invalidate_iotlb_pages(setup.guest, DOMAIN, NARROW_IOVA, 18);

        for (i = 0; i < 8; i++) {
            iova = NARROW_IOVA + g_rand_int_range(setup.rand, 0, 5) * 2 * MiB +
                   g_rand_int_range(setup.rand, 0, 512) * VTD_PAGE;
            assert_mapped(setup.dev, iova, walk(&setup, iova));
        }
    }
    vtd_quit(setup.guest);
    g_rand_free(setup.rand);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/intel-iommu/page-size/one-page-named",
                   test_one_page_named);
    qtest_add_func("/intel-iommu/page-size/random", test_random);
    return g_test_run();
}
