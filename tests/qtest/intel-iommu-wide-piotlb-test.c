/*
 * PASID-based-IOTLB invalidations of as many pages as a descriptor can name
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/memory.h"
#include "vtd-dma.h"

#define CACHING_MODE    ",caching-mode=on"

/* CAP.MAMV is 18 */
static const unsigned int masks[] = { 18, 19, 20, 31, 32, 51, 52, 63 };

/* What an emulated device has cached is gone, where the range has it */
static void test_first_stage(void)
{
    VtdGuest *guest = start_scalable(FIRST_STAGE);
    VtdDevice *dev = &guest->dev[0];
    Mapping m;
    uint64_t leaf;
    int i;

    map_first(&m, dev, DOMAIN);
    vtd_change(guest, dev->pasid_entry, 0, PASID_AW(4));
    leaf = vtd_map(&m.first, m.iova, FRAME(0), 1);
    for (i = 0; i < ARRAY_SIZE(masks); i++) {
        unsigned int frame = i % 2 + 1;

        /* cached, and so an edit is not seen */
        vtd_copy(dev, m.iova, VTD_WINDOW, 8);
        vtd_change(guest, leaf, ENTRY_ADDRESS, FRAME(frame));
        /* another 8 GiB, where the mask is not wider */
        vtd_invalidate_pasid_pages(guest, DOMAIN, dev->pasid, 0,
                                   MIN(masks[i], 21));
        assert_reads(dev, m.iova, FRAME(i ? (i - 1) % 2 + 1 : 0));

        vtd_invalidate_pasid_pages(guest, DOMAIN, dev->pasid,
                                   masks[i] > 35 ? 0 :
                                   m.iova & ~((VTD_PAGE << masks[i]) - 1),
                                   masks[i]);
        assert_reads(dev, m.iova, FRAME(frame));
    }
    vtd_quit(guest);
}

/* What is mapped for an assigned one too */
static void test_second_stage(void)
{
    VtdGuest *guest = vtd_start_listening(SCALABLE CACHING_MODE);
    VtdDevice *dev = &guest->dev[0];
    Mapping m;
    uint64_t leaf;
    int i;

    vtd_set_up_scalable(guest);
    map_second(&m, dev, DOMAIN, 4);
    vtd_enable(guest);
    leaf = vtd_map(&m.second, m.iova, FRAME(0), 1);
    for (i = 0; i < ARRAY_SIZE(masks); i++) {
        vtd_change(guest, leaf, ENTRY_ADDRESS, FRAME(i));
        vtd_invalidate_pasid_pages(guest, DOMAIN, dev->pasid,
                                   masks[i] > 35 ? 0 :
                                   m.iova & ~((VTD_PAGE << masks[i]) - 1),
                                   masks[i]);
        g_assert_cmphex(vtd_host_mapping(dev, m.iova).output, ==, FRAME(i));
    }
    g_assert_cmpuint(vtd_device_register(dev, DMA_TESTDEV_REFUSED), ==, 0);
    vtd_quit(guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/intel-iommu/wide-piotlb/first-stage", test_first_stage);
    qtest_add_func("/intel-iommu/wide-piotlb/second-stage", test_second_stage);
    return g_test_run();
}
