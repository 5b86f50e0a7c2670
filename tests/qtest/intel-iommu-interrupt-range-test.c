/*
 * Mappings and invalidations over the range of interrupts
 *
 * What listens for a device's mappings ends where that range begins, and goes
 * on behind it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/memory.h"
#include "vtd-dma.h"

#define CACHING_MODE    ",caching-mode=on"
#define DEVICE_IOTLB    ",device-iotlb=on"

/* A page of 1 GiB with the range in it, and what is beside the range */
#define PAGE_IOVA       (3 * GiB)
#define PAGE_AT         (1 * GiB)
#define BEFORE          (VTD_INTERRUPTS - VTD_PAGE)
#define BEHIND          (VTD_INTERRUPTS + 1 * MiB)

typedef struct Setup {
    VtdGuest *guest;
    VtdDevice *dev;
    VtdStage stage;
    bool scalable;
    uint64_t entry;
} Setup;

static void set_up(Setup *setup, const char *options)
{
    g_autofree char *all = g_strconcat(CACHING_MODE, options, NULL);

    setup->scalable = strstr(options, SCALABLE);
    setup->guest = vtd_start_listening(all);
    setup->dev = &setup->guest->dev[0];
    setup->stage = vtd_second_stage(setup->guest, 4);
    setup->entry = vtd_map(&setup->stage, PAGE_IOVA, PAGE_AT, 3);
    if (setup->scalable) {
        vtd_set_up_scalable(setup->guest);
        vtd_use_second(setup->dev, &setup->stage, DOMAIN);
    } else {
        vtd_set_up_legacy(setup->guest);
        vtd_use_legacy(setup->dev, &setup->stage, DOMAIN);
    }
    /* mapped as listeners come */
    vtd_enable(setup->guest);
}

static void assert_mapped(Setup *setup, bool mapped)
{
    static const uint64_t beside[] = {
        PAGE_IOVA, BEFORE, BEHIND, PAGE_IOVA + 1 * GiB - VTD_PAGE,
    };
    VtdHostMapping mapping;
    int i;

    for (i = 0; i < ARRAY_SIZE(beside); i++) {
        mapping = vtd_host_mapping(setup->dev, beside[i]);
        g_assert_cmpuint(mapping.perm, ==, mapped ? IOMMU_RW : IOMMU_NONE);
        g_assert_cmphex(mapping.output, ==,
                        mapped ? beside[i] - PAGE_IOVA + PAGE_AT : 0);
    }
    for (i = 0; i < 2; i++) {
        mapping = vtd_host_mapping(setup->dev, i ? BEHIND - VTD_PAGE :
                                                   VTD_INTERRUPTS);
        g_assert_cmpuint(mapping.perm, ==, IOMMU_NONE);
    }
    g_assert_cmpuint(vtd_device_register(setup->dev, DMA_TESTDEV_REFUSED), ==,
                     0);
}

static void invalidate_device_tlb(Setup *setup, uint64_t addr,
                                  unsigned int order)
{
    vtd_invalidate_device_tlb(setup->dev, addr, order);
    if (setup->scalable) {
        vtd_invalidate_pasid_device_tlb(setup->dev, false, addr, order);
        vtd_invalidate_pasid_device_tlb(setup->dev, true, addr, order);
    }
}

static void by_pages(Setup *setup)
{
    vtd_invalidate_iotlb_pages(setup->guest, DOMAIN, PAGE_IOVA, 18);
}

static void by_domain(Setup *setup)
{
    vtd_invalidate_iotlb_domain(setup->guest, DOMAIN);
}

static void by_all(Setup *setup)
{
    vtd_invalidate_iotlb_global(setup->guest);
}

static void by_device(Setup *setup)
{
    vtd_invalidate_context_device(setup->dev, DOMAIN);
}

static void by_context(Setup *setup)
{
    vtd_invalidate_context_global(setup->guest);
}

static void by_pasid(Setup *setup)
{
    if (setup->scalable) {
        vtd_invalidate_pasid(setup->guest, DOMAIN, setup->dev->pasid);
    } else {
        by_all(setup);
    }
}

static void by_pasid_pages(Setup *setup)
{
    if (setup->scalable) {
        vtd_invalidate_pasid_pages(setup->guest, DOMAIN, setup->dev->pasid,
                                   PAGE_IOVA, 18);
    } else {
        by_all(setup);
    }
}

static void (*const invalidations[])(Setup *) = {
    by_pages, by_domain, by_all, by_device, by_context, by_pasid,
    by_pasid_pages,
};

/* Its table has it, is empty, has it and is away, as a guest says each */
static void test_page(const void *options)
{
    Setup setup;
    uint64_t table, old;
    int i;

    set_up(&setup, options);
    table = vtd_entry(&setup.stage, PAGE_IOVA, 4);
    for (i = 0; i < ARRAY_SIZE(invalidations); i++) {
        assert_mapped(&setup, true);
        vtd_store(setup.guest, setup.entry, 0);
        invalidations[i](&setup);
        assert_mapped(&setup, false);

        vtd_map(&setup.stage, PAGE_IOVA, PAGE_AT, 3);
        invalidations[i](&setup);
        assert_mapped(&setup, true);

        old = vtd_load(setup.guest, table);
        vtd_store(setup.guest, table, 0);
        invalidations[i](&setup);
        assert_mapped(&setup, false);

        vtd_store(setup.guest, table, old);
        invalidations[i](&setup);
    }
    vtd_quit(setup.guest);
}

/* Translation goes off and on */
static void test_off(const void *options)
{
    Setup setup;

    set_up(&setup, options);
    vtd_disable(setup.guest);
    g_assert_cmpuint(vtd_host_mapping(setup.dev, BEFORE).perm, ==, IOMMU_NONE);
    g_assert_cmphex(vtd_host_mapping(setup.dev, FRAME(0)).output, ==, FRAME(0));

    vtd_enable(setup.guest);
    assert_mapped(&setup, true);
    vtd_quit(setup.guest);
}

/* A device that caches translations is told to forget, QEMU lives */
static void test_device_tlb(const void *options)
{
    static const unsigned int orders[] = { 0, 1, 8, 13, 18, 20, 36, 52 };
    static const uint64_t addresses[] = { 0, BEFORE, VTD_INTERRUPTS, BEHIND };
    Setup setup;
    int i, j;

    set_up(&setup, options);
    for (i = 0; i < ARRAY_SIZE(orders); i++) {
        for (j = 0; j < ARRAY_SIZE(addresses); j++) {
            uint64_t mask = orders[i] == 52 ? UINT64_MAX :
                            (VTD_PAGE << orders[i]) - 1;

            invalidate_device_tlb(&setup, addresses[j] & ~mask, orders[i]);
        }
    }
    /* no mapping goes for that */
    assert_mapped(&setup, true);
    vtd_quit(setup.guest);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name, *options;
    } modes[] = {
        { "legacy", "" },
        { "scalable", SCALABLE },
        { "device-iotlb", DEVICE_IOTLB },
        { "scalable/device-iotlb", SCALABLE DEVICE_IOTLB },
    };
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(modes); i++) {
        g_autofree char *name = g_strdup_printf(
            "/intel-iommu/interrupt-range/%s/", modes[i].name);
        g_autofree char *page = g_strconcat(name, "page", NULL);
        g_autofree char *off = g_strconcat(name, "off", NULL);
        g_autofree char *device_tlb = g_strconcat(name, "device-tlb", NULL);

        qtest_add_data_func(page, modes[i].options, test_page);
        qtest_add_data_func(off, modes[i].options, test_off);
        qtest_add_data_func(device_tlb, modes[i].options, test_device_tlb);
    }
    return g_test_run();
}
