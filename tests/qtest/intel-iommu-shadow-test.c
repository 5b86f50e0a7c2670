/*
 * What a guest takes from a device, an assigned one has no more
 *
 * The guest spoils one structure after another, sends what the specification
 * calls sufficient for it (VT-d 6.5.2, "Guidance to Software for
 * Invalidations"), and the host must then have mapped what emulated DMA gets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/memory.h"
#include "vtd-dma.h"

#define CACHING_MODE    ",caching-mode=on"

#define CONTEXT_AW      7ULL
#define CONTEXT_TYPE(t) ((uint64_t)(t) << 2)
#define CONTEXT_DID(d)  ((uint64_t)(d) << 8)
#define CONTEXT_DID_ALL (0xffffULL << 8)
/* Reserved in entries of all kinds and stages that intel-iommu has */
#define RESERVED        BIT_ULL(51)

/* A structure of a device's, and where in it something changes */
typedef struct Edit {
    const char *what;
    uint64_t at;
    uint64_t clear, set;
} Edit;

typedef struct Setup {
    VtdGuest *guest;
    VtdDevice *dev;
    bool scalable;
    unsigned int levels;
    VtdStage stage, other;
    uint64_t leaf;
} Setup;

/* Sufficient for context and PASID entries and what is below them */
static void invalidate(Setup *setup, unsigned int how)
{
    unsigned int context = how % 3, pasid = how / 3 % 3, iotlb = how / 9;
    VtdGuest *guest = setup->guest;
    VtdDevice *dev = setup->dev;

    if (context == 0) {
        vtd_invalidate_context_global(guest);
    } else if (context == 1) {
        vtd_invalidate_context_domain(guest, DOMAIN);
    } else {
        vtd_invalidate_context_device(dev, DOMAIN);
    }
    if (setup->scalable && pasid == 0) {
        vtd_invalidate_pasid_cache_global(guest);
    } else if (setup->scalable && pasid == 1) {
        vtd_invalidate_pasid_cache_domain(guest, DOMAIN);
    } else if (setup->scalable) {
        vtd_invalidate_pasid_cache(dev, DOMAIN);
    }
    if (iotlb == 0) {
        vtd_invalidate_iotlb_global(guest);
    } else if (iotlb == 1 || !setup->scalable) {
        vtd_invalidate_iotlb_domain(guest, DOMAIN);
    } else {
        vtd_invalidate_pasid(guest, DOMAIN, dev->pasid);
    }
}

/* Sufficient for PASID entries and what is below them */
static void invalidate_pasid(Setup *setup, unsigned int how)
{
    VtdDevice *dev = setup->dev;

    vtd_invalidate_pasid_cache(dev, DOMAIN);
    if (how % 3 == 0) {
        vtd_invalidate_iotlb_domain(setup->guest, DOMAIN);
    } else if (how % 3 == 1) {
        vtd_invalidate_pasid(setup->guest, DOMAIN, dev->pasid);
    } else {
        vtd_invalidate_iotlb_pages(setup->guest, DOMAIN, NARROW_IOVA, 0);
    }
}

/* Sufficient for entries of the stage */
static void invalidate_pages(Setup *setup, unsigned int how)
{
    if (how % 3 == 0) {
        vtd_invalidate_iotlb_pages(setup->guest, DOMAIN, NARROW_IOVA, 18);
    } else if (how % 3 == 1) {
        vtd_invalidate_iotlb_domain(setup->guest, DOMAIN);
    } else {
        vtd_invalidate_iotlb_global(setup->guest);
    }
}

/* Emulated DMA is at @at, if it is anywhere, and so is the host's */
static void assert_agree(Setup *setup, const char *what, uint64_t at)
{
    VtdHostMapping mapping = vtd_host_mapping(setup->dev, NARROW_IOVA);
    uint64_t value = fresh_value();
    unsigned int result;

    if (at) {
        vtd_store(setup->guest, at, value);
    }
    result = vtd_copy(setup->dev, NARROW_IOVA, VTD_WINDOW, 8);
    vtd_take_fault(setup->guest);
    g_test_message("%s", what);
    g_assert_cmpuint(result, ==, at ? DMA_TESTDEV_DONE :
                                      DMA_TESTDEV_READ_FAILED);
    if (at) {
        g_assert_cmphex(vtd_load(setup->guest, VTD_WINDOW), ==, value);
    }
    g_assert_cmpuint(mapping.perm, ==, at ? IOMMU_RW : IOMMU_NONE);
    g_assert_cmphex(mapping.output, ==, at);
    g_assert_cmpuint(vtd_device_register(setup->dev, DMA_TESTDEV_REFUSED), ==,
                     0);
}

static void set_up(Setup *setup, unsigned int levels, bool scalable)
{
    g_autofree char *options = g_strdup_printf(
        CACHING_MODE "%s,aw-bits=%u", scalable ? SCALABLE : "",
        levels == 3 ? 39 : 48);

    setup->guest = vtd_start_listening(options);
    setup->dev = &setup->guest->dev[1];
    setup->scalable = scalable;
    setup->levels = levels;
    setup->stage = vtd_second_stage(setup->guest, levels);
    setup->leaf = vtd_map(&setup->stage, NARROW_IOVA, FRAME(0), 1);
    setup->other = vtd_second_stage(setup->guest, levels);
    vtd_map(&setup->other, NARROW_IOVA, FRAME(1), 1);
    if (scalable) {
        vtd_set_up_scalable(setup->guest);
        vtd_use_second(&setup->guest->dev[0], &setup->stage, DOMAIN);
        vtd_use_second(setup->dev, &setup->stage, DOMAIN);
    } else {
        vtd_set_up_legacy(setup->guest);
        vtd_use_legacy(&setup->guest->dev[0], &setup->stage, DOMAIN);
        vtd_use_legacy(setup->dev, &setup->stage, DOMAIN);
    }
    vtd_enable(setup->guest);
    assert_agree(setup, "at first", FRAME(0));
}

static void try_edits(Setup *setup, const Edit *edits, size_t count,
                      void (*send)(Setup *, unsigned int), unsigned int hows,
                      uint64_t expected)
{
    size_t i;
    unsigned int how;

    for (i = 0; i < count; i++) {
        const Edit *e = &edits[i];

        for (how = 0; how < hows; how++) {
            uint64_t old = vtd_load(setup->guest, e->at);

            vtd_change(setup->guest, e->at, e->clear, e->set);
            send(setup, how);
            assert_agree(setup, e->what, expected);

            vtd_store(setup->guest, e->at, old);
            vtd_invalidate_context_global(setup->guest);
            vtd_invalidate_iotlb_global(setup->guest);
            assert_agree(setup, "as it was", FRAME(0));
        }
    }
}

static void try_leaves(Setup *setup)
{
    uint64_t table = vtd_entry(&setup->stage, NARROW_IOVA, 2);
    uint64_t top = vtd_entry(&setup->stage, NARROW_IOVA, setup->levels);
    const Edit edits[] = {
        { "leaf cleared", setup->leaf, ~0ULL, 0 },
        { "leaf with a reserved bit", setup->leaf, 0, RESERVED },
        { "table cleared", table, ~0ULL, 0 },
        { "table with a reserved bit", table, 0, RESERVED },
        { "table without memory", table, ENTRY_ADDRESS, VTD_NOT_RAM },
        { "top table with a reserved bit", top, 0, RESERVED },
    };

    try_edits(setup, edits, ARRAY_SIZE(edits), invalidate_pages, 3, 0);
}

static void test_legacy(const void *levels)
{
    Setup setup;

    set_up(&setup, GPOINTER_TO_UINT(levels), false);
    const uint64_t root = setup.guest->root, context = setup.dev->context;
    const Edit none[] = {
        { "root entry cleared", root, ~0ULL, 0 },
        { "root entry with a reserved bit", root, 0, RESERVED },
        { "context entry cleared", context, ~0ULL, 0 },
        { "context entry with a reserved bit", context, 0, RESERVED },
        { "type reserved", context, 0, CONTEXT_TYPE(3) },
        { "width reserved", context + 8, 0, CONTEXT_AW },
        { "tables without memory", context, ENTRY_ADDRESS, VTD_NOT_RAM },
        { "fewer levels", context + 8, CONTEXT_AW, 0 },
        { "pass-through", context, 0, CONTEXT_TYPE(2) },
        { "width reserved, other domain", context + 8, CONTEXT_DID_ALL,
          CONTEXT_DID(OTHER_DOMAIN) | CONTEXT_AW },
    };
    const Edit other[] = {
        { "other tables", context, ENTRY_ADDRESS, setup.other.root },
    };
    const Edit same[] = {
        { "other domain", context + 8, CONTEXT_DID_ALL,
          CONTEXT_DID(OTHER_DOMAIN) },
    };

    try_edits(&setup, none, ARRAY_SIZE(none), invalidate, 18, 0);
    try_edits(&setup, other, ARRAY_SIZE(other), invalidate, 18, FRAME(1));
    try_edits(&setup, same, ARRAY_SIZE(same), invalidate, 18, FRAME(0));
    try_leaves(&setup);
    vtd_quit(setup.guest);
}

static void test_scalable(const void *levels)
{
    Setup setup;

    set_up(&setup, GPOINTER_TO_UINT(levels), true);
    const uint64_t context = setup.dev->context;
    const uint64_t root = setup.guest->root + 8, pe = setup.dev->pasid_entry;
    const Edit none[] = {
        { "root entry cleared", root, ~0ULL, 0 },
        { "root entry with a reserved bit", root, 0, RESERVED },
        { "context entry cleared", context, ~0ULL, 0 },
        { "context entry with a reserved bit", context, 0, RESERVED },
        { "PASID directory without memory", context, ENTRY_ADDRESS,
          VTD_NOT_RAM },
    };
    const Edit pasid_none[] = {
        { "PASID directory entry cleared", setup.dev->pasid_dir, ~0ULL, 0 },
        { "PASID table without memory", setup.dev->pasid_dir, ENTRY_ADDRESS,
          VTD_NOT_RAM },
        { "PASID entry cleared", pe, ~0ULL, 0 },
        { "first stage", pe, PASID_PGTT_MASK, PASID_PGTT(PGTT_FIRST) },
        { "nested", pe, PASID_PGTT_MASK, PASID_PGTT(PGTT_NESTED) },
        { "type reserved", pe, PASID_PGTT_MASK, 0 },
        { "width reserved", pe, 0, PASID_AW_MASK },
        { "tables without memory", pe, ENTRY_ADDRESS, VTD_NOT_RAM },
    };
    const Edit other[] = {
        { "other tables", pe, ENTRY_ADDRESS, setup.other.root },
    };
    const Edit same[] = {
        { "other domain", pe + 8, 0xffff, OTHER_DOMAIN },
    };

    try_edits(&setup, none, ARRAY_SIZE(none), invalidate, 27, 0);
    try_edits(&setup, pasid_none, ARRAY_SIZE(pasid_none), invalidate, 27, 0);
    try_edits(&setup, pasid_none, ARRAY_SIZE(pasid_none), invalidate_pasid, 3,
              0);
    try_edits(&setup, other, ARRAY_SIZE(other), invalidate, 27, FRAME(1));
    try_edits(&setup, other, ARRAY_SIZE(other), invalidate_pasid, 3, FRAME(1));
    try_edits(&setup, same, ARRAY_SIZE(same), invalidate, 27, FRAME(0));
    try_leaves(&setup);
    vtd_quit(setup.guest);
}

/* A device goes to another domain, and to other tables: the old is named */
static void test_moves(const void *scalable)
{
    Setup setup;
    unsigned int how;

    set_up(&setup, 4, GPOINTER_TO_UINT(scalable));
    for (how = 0; how < 3; how++) {
        if (setup.scalable) {
            vtd_use_second(setup.dev, &setup.other, OTHER_DOMAIN);
            invalidate_pasid(&setup, how);
        } else {
            vtd_use_legacy(setup.dev, &setup.other, OTHER_DOMAIN);
            invalidate(&setup, how * 9 + 2);
        }
        assert_agree(&setup, "moved", FRAME(1));

        /* The other device's mappings are as they were */
        setup.dev = &setup.guest->dev[0];
        assert_agree(&setup, "the other device", FRAME(0));
        setup.dev = &setup.guest->dev[1];

        if (setup.scalable) {
            vtd_use_second(setup.dev, &setup.stage, DOMAIN);
        } else {
            vtd_use_legacy(setup.dev, &setup.stage, DOMAIN);
        }
        vtd_invalidate_context_global(setup.guest);
        vtd_invalidate_iotlb_global(setup.guest);
        assert_agree(&setup, "moved back", FRAME(0));
    }
    vtd_quit(setup.guest);
}

/* What only wider tables reach goes with them */
static void test_narrower(void)
{
    Setup setup;
    uint64_t wide = 512 * GiB + NARROW_IOVA;
    VtdStage narrow;

    set_up(&setup, 4, false);
    vtd_map(&setup.stage, wide, FRAME(2), 1);
    vtd_invalidate_iotlb_domain(setup.guest, DOMAIN);
    g_assert_cmpuint(vtd_host_mapping(setup.dev, wide).perm, ==, IOMMU_RW);

    narrow = vtd_second_stage(setup.guest, 3);
    vtd_map(&narrow, NARROW_IOVA, FRAME(1), 1);
    vtd_use_legacy(setup.dev, &narrow, DOMAIN);
    vtd_invalidate_context_device(setup.dev, DOMAIN);
    vtd_invalidate_iotlb_domain(setup.guest, DOMAIN);
    assert_agree(&setup, "narrower", FRAME(1));
    g_assert_cmpuint(vtd_host_mapping(setup.dev, wide).perm, ==, IOMMU_NONE);
    vtd_quit(setup.guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/intel-iommu/shadow/legacy/3-level",
                        GUINT_TO_POINTER(3), test_legacy);
    qtest_add_data_func("/intel-iommu/shadow/legacy/4-level",
                        GUINT_TO_POINTER(4), test_legacy);
    qtest_add_data_func("/intel-iommu/shadow/scalable/3-level",
                        GUINT_TO_POINTER(3), test_scalable);
    qtest_add_data_func("/intel-iommu/shadow/scalable/4-level",
                        GUINT_TO_POINTER(4), test_scalable);
    qtest_add_data_func("/intel-iommu/shadow/moves/legacy",
                        GUINT_TO_POINTER(0), test_moves);
    qtest_add_data_func("/intel-iommu/shadow/moves/scalable",
                        GUINT_TO_POINTER(1), test_moves);
    qtest_add_func("/intel-iommu/shadow/narrower", test_narrower);
    return g_test_run();
}
