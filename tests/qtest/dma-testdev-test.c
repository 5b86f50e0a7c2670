/*
 * The device that does DMA for tests of IOMMUs, and what it hears of mappings
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/memory.h"
#include "qobject/qdict.h"
#include "vtd-dma.h"

#define CACHING_MODE    ",caching-mode=on"

static void assert_mapped(VtdDevice *dev, uint64_t iova, uint64_t output,
                          unsigned int perm)
{
    VtdHostMapping mapping = vtd_host_mapping(dev, iova);

    g_assert_cmpuint(mapping.perm, ==, perm);
    g_assert_cmphex(mapping.output, ==, output);
}

static void test_copy(void)
{
    VtdGuest *guest = vtd_start("");
    VtdDevice *dev = &guest->dev[0];

    vtd_store(guest, FRAME(0), 0x1122334455667788);
    vtd_store(guest, FRAME(1), 0);
    g_assert_cmpuint(vtd_copy(dev, FRAME(0), FRAME(1), 8), ==,
                     DMA_TESTDEV_DONE);
    g_assert_cmphex(vtd_load(guest, FRAME(1)), ==, 0x1122334455667788);

    g_assert_cmpuint(vtd_copy(dev, VTD_NOT_RAM, FRAME(1), 8), ==,
                     DMA_TESTDEV_READ_FAILED);
    g_assert_cmpuint(vtd_copy(dev, FRAME(1), VTD_NOT_RAM, 8), ==,
                     DMA_TESTDEV_WRITE_FAILED);
    g_assert_cmpuint(vtd_copy(dev, FRAME(0), FRAME(1),
                              DMA_TESTDEV_MAX_LEN + 1), ==,
                     DMA_TESTDEV_TOO_LONG);
    vtd_quit(guest);
}

static void test_load_and_store(void)
{
    VtdGuest *guest = vtd_start("");
    VtdDevice *dev = &guest->dev[0];
    uint64_t data;

    vtd_store(guest, FRAME(0), 0x1122334455667788);
    g_assert_true(vtd_device_load(dev, FRAME(0), &data));
    g_assert_cmphex(data, ==, 0x1122334455667788);
    g_assert_true(vtd_device_store(dev, FRAME(1), ~data));
    g_assert_cmphex(vtd_load(guest, FRAME(1)), ==, ~0x1122334455667788);

    g_assert_false(vtd_device_load(dev, VTD_NOT_RAM, &data));
    g_assert_false(vtd_device_store(dev, VTD_NOT_RAM, data));
    vtd_quit(guest);
}

/* Without listen=on nothing is heard */
static void test_deaf(void)
{
    VtdGuest *guest = vtd_start("");
    VtdDevice *dev = &guest->dev[0];

    assert_mapped(dev, FRAME(0), 0, IOMMU_NONE);
    g_assert_cmpuint(vtd_device_register(dev, DMA_TESTDEV_MAPS), ==, 0);
    vtd_quit(guest);
}

/* Translation off: RAM where the CPU has it; on: what the tables say */
static void test_mappings(void)
{
    VtdGuest *guest = vtd_start_listening(CACHING_MODE);
    VtdDevice *dev = &guest->dev[0];
    VtdStage second;
    uint64_t entry;

    assert_mapped(dev, FRAME(0), FRAME(0), IOMMU_RW);
    assert_mapped(dev, VTD_NOT_RAM, 0, IOMMU_NONE);

    vtd_set_up_legacy(guest);
    vtd_enable(guest);
    assert_mapped(dev, FRAME(0), 0, IOMMU_NONE);

    second = vtd_second_stage(guest, 4);
    vtd_use_legacy(dev, &second, DOMAIN);
    entry = vtd_map_with(&second, NARROW_IOVA, FRAME(3), 2, SS_R);
    vtd_invalidate_context_device(dev, DOMAIN);
    assert_mapped(dev, NARROW_IOVA + 0x1234, FRAME(3) + 0x1234, IOMMU_RO);
    assert_mapped(&guest->dev[1], NARROW_IOVA, 0, IOMMU_NONE);

    vtd_store(guest, entry, 0);
    vtd_invalidate_iotlb_pages(guest, DOMAIN, NARROW_IOVA, 9);
    assert_mapped(dev, NARROW_IOVA + 0x1234, 0, IOMMU_NONE);
    g_assert_cmpuint(vtd_device_register(dev, DMA_TESTDEV_REFUSED), ==, 0);
    vtd_quit(guest);
}

static void test_cannot_migrate(void)
{
    VtdGuest *guest = vtd_start("");
    QDict *error = qtest_qmp_assert_failure_ref(guest->qts,
        "{'execute': 'migrate', 'arguments': {'uri': 'exec:cat >/dev/null'}}");

    g_assert_cmpstr(qdict_get_str(error, "desc"), ==, "dma-testdev cannot "
                    "migrate: it keeps nothing of its state");
    qobject_unref(error);
    vtd_quit(guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/dma-testdev/copy", test_copy);
    qtest_add_func("/dma-testdev/load-and-store", test_load_and_store);
    qtest_add_func("/dma-testdev/deaf", test_deaf);
    qtest_add_func("/dma-testdev/mappings", test_mappings);
    qtest_add_func("/dma-testdev/cannot-migrate", test_cannot_migrate);
    return g_test_run();
}
