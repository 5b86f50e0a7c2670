/*
 * PASID-cache invalidations take from devices what PASID entries gave
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/memory.h"
#include "vtd-dma.h"

#define CACHING_MODE    ",caching-mode=on"

static void by_pasid(VtdDevice *dev)
{
    vtd_invalidate_pasid_cache(dev, DOMAIN);
}

static void by_domain(VtdDevice *dev)
{
    vtd_invalidate_pasid_cache_domain(dev->guest, DOMAIN);
}

static void global(VtdDevice *dev)
{
    vtd_invalidate_pasid_cache_global(dev->guest);
}

static void (*const granularities[])(VtdDevice *) = {
    by_pasid, by_domain, global,
};

static void assert_mapped(VtdDevice *dev, uint64_t iova, uint64_t output)
{
    VtdHostMapping mapping = vtd_host_mapping(dev, iova);

    g_assert_cmpuint(mapping.perm, ==, output ? IOMMU_RW : IOMMU_NONE);
    g_assert_cmphex(mapping.output, ==, output);
}

static VtdGuest *start(Mapping *m)
{
    VtdGuest *guest = vtd_start_listening(SCALABLE CACHING_MODE);

    vtd_set_up_scalable(guest);
    map_second(&m[0], &guest->dev[0], DOMAIN, 4);
    map_second(&m[1], &guest->dev[1], OTHER_DOMAIN, 4);
    vtd_enable(guest);
    return guest;
}

/* The PASID entry goes, and no other invalidation comes */
static void test_cleared(void)
{
    Mapping m[2];
    VtdGuest *guest = start(m);
    VtdDevice *dev = &guest->dev[0];
    int i;

    for (i = 0; i < ARRAY_SIZE(granularities); i++) {
        assert_mapped(dev, NARROW_IOVA, FRAME(0));
        vtd_change(guest, dev->pasid_entry, ENTRY_P, 0);
        granularities[i](dev);
        assert_mapped(dev, NARROW_IOVA, 0);
        assert_mapped(&guest->dev[1], NARROW_IOVA, FRAME(0));

        vtd_change(guest, dev->pasid_entry, 0, ENTRY_P);
        granularities[i](dev);
    }
    g_assert_cmpuint(vtd_device_register(dev, DMA_TESTDEV_REFUSED), ==, 0);
    vtd_quit(guest);
}

/* Through tables, past them, and through tables again */
static void test_pass_through(void)
{
    Mapping m[2];
    VtdGuest *guest = start(m);
    VtdDevice *dev = &guest->dev[0];
    int i;

    for (i = 0; i < ARRAY_SIZE(granularities); i++) {
        vtd_use_pass_through(dev, DOMAIN);
        granularities[i](dev);
        assert_mapped(dev, NARROW_IOVA, 0);
        assert_mapped(dev, FRAME(3), FRAME(3));
        assert_reads(dev, FRAME(3), FRAME(3));

        vtd_use_second(dev, &m[0].second, DOMAIN);
        granularities[i](dev);
        assert_mapped(dev, FRAME(3), 0);
        assert_mapped(dev, NARROW_IOVA, FRAME(0));
        assert_reads(dev, NARROW_IOVA, FRAME(0));
        vtd_copy(dev, FRAME(3), VTD_WINDOW, 8);
        g_assert_true(vtd_take_fault(guest).recorded);
    }
    g_assert_cmpuint(vtd_device_register(dev, DMA_TESTDEV_REFUSED), ==, 0);
    vtd_quit(guest);
}

/* To an emulated device too, which nobody maps for */
static void test_emulated(void)
{
    Mapping m;
    VtdGuest *guest = start_scalable(SCALABLE);
    VtdDevice *dev = &guest->dev[0];
    int i;

    map_second(&m, dev, DOMAIN, 4);
    for (i = 0; i < ARRAY_SIZE(granularities); i++) {
        vtd_use_pass_through(dev, DOMAIN);
        granularities[i](dev);
        assert_reads(dev, FRAME(3), FRAME(3));

        vtd_use_second(dev, &m.second, DOMAIN);
        granularities[i](dev);
        assert_reads(dev, NARROW_IOVA, FRAME(0));
        vtd_copy(dev, FRAME(3), VTD_WINDOW, 8);
        g_assert_true(vtd_take_fault(guest).recorded);
    }
    vtd_quit(guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/intel-iommu/pasid-cache/cleared", test_cleared);
    qtest_add_func("/intel-iommu/pasid-cache/pass-through", test_pass_through);
    qtest_add_func("/intel-iommu/pasid-cache/emulated", test_emulated);
    return g_test_run();
}
