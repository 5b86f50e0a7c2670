/*
 * Accessed and Dirty in a first stage's entries
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-dma.h"

typedef struct Setup {
    VtdGuest *guest;
    VtdDevice *dev;
    VtdStage first;
    uint64_t entry[5];      /* by level */
    unsigned int leaf;
} Setup;

static void set_up(Setup *setup, unsigned int leaf)
{
    unsigned int level;

    setup->guest = start_scalable(FIRST_STAGE);
    setup->dev = &setup->guest->dev[0];
    setup->first = vtd_first_stage(setup->guest);
    setup->leaf = leaf;
    vtd_map(&setup->first, NARROW_IOVA, 1 * GiB, leaf);
    for (level = leaf; level <= 4; level++) {
        setup->entry[level] = vtd_entry(&setup->first, NARROW_IOVA, level);
    }
    vtd_use_first(setup->dev, &setup->first, DOMAIN);
    vtd_change(setup->guest, setup->dev->pasid_entry, 0, PASID_AW(4));
}

static void set_flags(Setup *setup, uint64_t flags)
{
    unsigned int level;

    for (level = setup->leaf; level <= 4; level++) {
        vtd_change(setup->guest, setup->entry[level], FS_A | FS_D,
                   level == setup->leaf ? flags : flags & FS_A);
    }
    vtd_invalidate_pasid(setup->guest, DOMAIN, setup->dev->pasid);
}

static void assert_flags(Setup *setup, uint64_t leaf_flags)
{
    unsigned int level;

    for (level = setup->leaf; level <= 4; level++) {
        g_assert_cmphex(vtd_load(setup->guest, setup->entry[level]) &
                        (FS_A | FS_D), ==,
                        level == setup->leaf ? leaf_flags : FS_A);
    }
}

/* Whatever was set before, and whether the page is cached or not */
static void test_flags(const void *leaf)
{
    static const uint64_t before[] = { 0, FS_A, FS_D, FS_A | FS_D };
    uint64_t iova = NARROW_IOVA, at = 1 * GiB;
    Setup setup;
    int i;

    set_up(&setup, GPOINTER_TO_UINT(leaf));
    for (i = 0; i < ARRAY_SIZE(before); i++) {
        set_flags(&setup, before[i]);
        assert_writes(setup.dev, iova, at);
        assert_flags(&setup, FS_A | FS_D);

        set_flags(&setup, before[i]);
        assert_reads(setup.dev, iova, at);
        assert_flags(&setup, before[i] | FS_A);
        /* now it is cached */
        assert_writes(setup.dev, iova, at);
        assert_flags(&setup, FS_A | FS_D);
        assert_writes(setup.dev, iova, at);
        assert_reads(setup.dev, iova, at);
    }
    vtd_quit(setup.guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/intel-iommu/accessed/4K", GUINT_TO_POINTER(1),
                        test_flags);
    qtest_add_data_func("/intel-iommu/accessed/2M", GUINT_TO_POINTER(2),
                        test_flags);
    qtest_add_data_func("/intel-iommu/accessed/1G", GUINT_TO_POINTER(3),
                        test_flags);
    return g_test_run();
}
