/*
 * Invalidations whose address is not aligned to their mask
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/memory.h"
#include "vtd-dma.h"

#define CACHING_MODE    ",caching-mode=on"
#define MAX_AM          10
#define ROUNDS          200

static void by_queue(VtdDevice *dev, uint64_t addr, unsigned int am)
{
    vtd_invalidate_iotlb_pages(dev->guest, DOMAIN, addr, am);
}

static void by_pasid(VtdDevice *dev, uint64_t addr, unsigned int am)
{
    vtd_invalidate_pasid_pages(dev->guest, DOMAIN, dev->pasid, addr, am);
}

/* Each page of a range that has pages around it is as the tables have it */
static void try_ranges(VtdDevice *dev, VtdStage *stage,
                       void (*invalidate)(VtdDevice *, uint64_t, unsigned int))
{
    VtdGuest *guest = dev->guest;
    GRand *rand = g_rand_new_with_seed(9);
    unsigned int i, am, pages = 1 << MAX_AM;
    uint64_t first, addr, iova, at;

    vtd_invalidate_context_global(guest);
    for (i = 0; i < ROUNDS; i++) {
        am = g_rand_int_range(rand, 1, MAX_AM + 1);
        first = g_rand_int_range(rand, 0, pages) & -(1U << am);
        addr = first + g_rand_int_range(rand, 0, 1 << am);
        /* one that is before the address, if there is any */
        iova = NARROW_IOVA + VTD_PAGE *
               g_rand_int_range(rand, first, addr + 1);
        at = FRAME(0) + g_rand_int_range(rand, 1, 1 << 16) * VTD_PAGE;
        vtd_map(stage, iova, at, 1);
        invalidate(dev, NARROW_IOVA + addr * VTD_PAGE, am);
        g_assert_cmphex(vtd_host_mapping(dev, iova).output, ==, at);
        assert_reads(dev, iova, at);

        /* and one that is behind */
        iova = NARROW_IOVA + VTD_PAGE *
               g_rand_int_range(rand, addr, first + (1 << am));
        vtd_store(guest, vtd_entry(stage, iova, 1), 0);
        invalidate(dev, NARROW_IOVA + addr * VTD_PAGE, am);
        g_assert_cmpuint(vtd_host_mapping(dev, iova).perm, ==, IOMMU_NONE);
    }
    g_assert_cmpuint(vtd_device_register(dev, DMA_TESTDEV_REFUSED), ==, 0);
    g_rand_free(rand);
}

static void test_legacy(void)
{
    VtdGuest *guest = vtd_start_listening(CACHING_MODE);
    VtdStage second = vtd_second_stage(guest, 4);

    vtd_set_up_legacy(guest);
    vtd_use_legacy(&guest->dev[0], &second, DOMAIN);
    vtd_enable(guest);
    try_ranges(&guest->dev[0], &second, by_queue);
    vtd_quit(guest);
}

static void test_scalable(void)
{
    VtdGuest *guest = vtd_start_listening(SCALABLE CACHING_MODE);
    VtdStage second = vtd_second_stage(guest, 4);

    vtd_set_up_scalable(guest);
    vtd_use_second(&guest->dev[0], &second, DOMAIN);
    vtd_enable(guest);
    try_ranges(&guest->dev[0], &second, by_queue);
    vtd_quit(guest);
}

/* A PASID-based one: no emulated device has a second stage's pages by that */
static void test_pasid(void)
{
    VtdGuest *guest = vtd_start_listening(SCALABLE CACHING_MODE);
    VtdDevice *dev = &guest->dev[0];
    VtdStage second = vtd_second_stage(guest, 4);
    uint64_t entry;

    vtd_set_up_scalable(guest);
    vtd_use_second(dev, &second, DOMAIN);
    entry = vtd_map(&second, NARROW_IOVA, FRAME(0), 1);
    vtd_enable(guest);
    vtd_store(guest, entry, 0);
    by_pasid(dev, NARROW_IOVA + 511 * VTD_PAGE, 9);
    g_assert_cmpuint(vtd_host_mapping(dev, NARROW_IOVA).perm, ==, IOMMU_NONE);
    vtd_quit(guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/intel-iommu/unaligned/legacy", test_legacy);
    qtest_add_func("/intel-iommu/unaligned/scalable", test_scalable);
    qtest_add_func("/intel-iommu/unaligned/pasid", test_pasid);
    return g_test_run();
}
