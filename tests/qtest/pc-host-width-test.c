/*
 * Memory that the host IOMMU of an assigned device cannot map
 *
 * The test device stands for an assigned one. Small memory devices are placed
 * where the last byte fits, and one step above.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"
#include "qobject/qdict.h"
#include "vm-refusal.h"

#define PC \
    "-M q35,nvdimm=on -nodefaults -m 1G,slots=4,maxmem=600G" \
    " -object memory-backend-ram,id=ram0,size=128M"
/* Root ports without ACPI: an unplug needs no guest */
#define PORTS \
    " -global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off" \
    " -device pcie-root-port,id=rp1,chassis=1,slot=1" \
    " -device pcie-root-port,id=rp2,chassis=2,slot=2"
#define NARROW          " -device host-iommu-testdev,id=dev1,aw-bits=39," \
                        "unit=dmar0,bus=rp1"
#define IOMMU           " -device intel-iommu,aw-bits=39,caching-mode=on"

#define REFUSAL(id) \
    "memory device " id " ends at 0x8008000000 and takes 40 address bits, " \
    "the host IOMMU dmar0 behind dev1 has 39: unplug dev1 first, or plug " \
    "less memory"

/* Memory of each kind, that ends 128 MiB above 2^39, or there */
static const struct {
    const char *name, *above, *below;
} kinds[] = {
    { "pc-dimm",
      "{'driver':'pc-dimm','id':'m0','memdev':'ram0','addr':549755813888}",
      "{'driver':'pc-dimm','id':'m0','memdev':'ram0','addr':549621596160}" },
    { "nvdimm",
      "{'driver':'nvdimm','id':'m0','memdev':'ram0','addr':549755813888}",
      "{'driver':'nvdimm','id':'m0','memdev':'ram0','addr':549621596160}" },
    { "virtio-pmem-pci",
      "{'driver':'virtio-pmem-pci','id':'m0','memdev':'ram0','bus':'rp2',"
      " 'memaddr':549755813888}",
      "{'driver':'virtio-pmem-pci','id':'m0','memdev':'ram0','bus':'rp2',"
      " 'memaddr':549621596160}" },
};

/* vm-refusal.h wants JSON proper */
static char *json(const char *text)
{
    return g_strdelimit(g_strdup(text), "'", '"');
}

static void test_plug(const void *opaque)
{
    int i = GPOINTER_TO_INT(opaque);
    static const char *const machines[] = { PC IOMMU PORTS, PC PORTS };
    g_autofree char *above = json(kinds[i].above);
    g_autofree char *below = json(kinds[i].below);
    g_autofree char *device = json(
        "{'driver':'host-iommu-testdev','id':'dev1','aw-bits':39,"
        " 'unit':'dmar0','bus':'rp1'}");
    int m;

    for (m = 0; m < ARRAY_SIZE(machines); m++) {
        g_autofree char *narrow = g_strconcat(machines[m], NARROW, NULL);
        QTestState *qts = qtest_init(narrow);

        assert_hotplug_refused(qts, above, REFUSAL("m0"));
        assert_hotplug(qts, below);
        qtest_quit(qts);

        /* while the device is there, and no longer */
        qts = qtest_init(machines[m]);
        assert_hotplug(qts, device);
        assert_hotplug_refused(qts, above, REFUSAL("m0"));
        qtest_qmp_device_del(qts, "dev1");
        assert_hotplug(qts, above);
        qtest_quit(qts);
    }
}

static void test_without_device(const void *opaque)
{
    int i = GPOINTER_TO_INT(opaque);
    g_autofree char *above = json(kinds[i].above);
    QTestState *qts = qtest_init(PC IOMMU PORTS);

    assert_hotplug(qts, above);
    qtest_quit(qts);
}

/* It maps what is populated alone, and says no for each piece */
static void test_virtio_mem(void)
{
    g_autofree char *device = json(
        "{'driver':'virtio-mem-pci','id':'m0','memdev':'ram0','bus':'rp2',"
        " 'memaddr':549755813888,'requested-size':0}");
    QTestState *qts = qtest_init(PC IOMMU PORTS NARROW);

    assert_hotplug(qts, device);
    qtest_quit(qts);
}

/* A host that is wide enough, and one of which nobody knows */
static void test_wide_host(void)
{
    static const char *const widths[] = { "40", "64", "0" };
    g_autofree char *above = json(kinds[0].above);
    int i;

    for (i = 0; i < ARRAY_SIZE(widths); i++) {
        g_autofree char *args = g_strdup_printf(
            PC IOMMU PORTS " -device host-iommu-testdev,aw-bits=%s,bus=rp1",
            widths[i]);
        QTestState *qts = qtest_init(args);

        assert_hotplug(qts, above);
        qtest_quit(qts);
    }
}

/* The narrowest host decides */
static void test_two_hosts(void)
{
    g_autofree char *above = json(kinds[0].above);
    QTestState *qts = qtest_init(
        PC IOMMU PORTS " -device host-iommu-testdev,aw-bits=48,id=dev0" NARROW
        " -device host-iommu-testdev,aw-bits=48,id=dev2");

    assert_hotplug_refused(qts, above, REFUSAL("m0"));
    qtest_quit(qts);
}

static void test_coldplug(void)
{
    assert_device_refused(
        PC IOMMU PORTS NARROW
        " -device pc-dimm,id=m0,memdev=ram0,addr=0x8000000000", REFUSAL("m0"));
    assert_device_refused(
        PC IOMMU PORTS NARROW " -device pc-dimm,memdev=ram0,addr=0x8000000000",
        "memory device ends at 0x8008000000 and takes 40 address bits, the "
        "host IOMMU dmar0 behind dev1 has 39: unplug dev1 first, or plug less "
        "memory");
}

/* Returns: what a VM with @args says as it starts; the caller frees it */
static char *said_at_start(const char *args)
{
    g_autofree char *log = g_strdup_printf("%s/pc-host-width-%d",
                                           g_get_tmp_dir(), getpid());
    g_autofree char *logging = g_strdup_printf("%s 2>%s", args, log);
    char *said = NULL;

    qtest_quit(qtest_init(logging));
    g_assert_true(g_file_get_contents(log, &said, NULL, NULL));
    unlink(log);
    return said;
}

#define WARNING \
    ": warning: memory that can be plugged ends at 0x97c0000000 and takes 40 " \
    "address bits, the host IOMMU dmar0 behind dev1 has 39: what lies beyond " \
    "cannot be plugged while dev1 is there\n"

static void test_warning(void)
{
    g_autofree char *narrow = said_at_start(PC IOMMU PORTS NARROW);
    g_autofree char *bare = said_at_start(PC PORTS NARROW);
    g_autofree char *alone = said_at_start(PC IOMMU PORTS);
    g_autofree char *small = said_at_start("-M q35 -nodefaults -m 1G" IOMMU
                                           PORTS NARROW);

    g_assert_nonnull(strstr(narrow, WARNING));
    g_assert_nonnull(strstr(bare, WARNING));
    g_assert_null(strstr(alone, "warning"));
    g_assert_null(strstr(small, "warning"));
}

int main(int argc, char **argv)
{
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(kinds); i++) {
        g_autofree char *plug = g_strdup_printf("/pc-host-width/plug/%s",
                                                kinds[i].name);
        g_autofree char *alone = g_strdup_printf(
            "/pc-host-width/without-device/%s", kinds[i].name);

        if (!qtest_has_device(kinds[i].name)) {
            continue;
        }
        qtest_add_data_func(plug, GINT_TO_POINTER(i), test_plug);
        qtest_add_data_func(alone, GINT_TO_POINTER(i), test_without_device);
    }
    if (qtest_has_device("virtio-mem-pci")) {
        qtest_add_func("/pc-host-width/plug/virtio-mem-pci", test_virtio_mem);
    }
    qtest_add_func("/pc-host-width/wide-host", test_wide_host);
    qtest_add_func("/pc-host-width/two-hosts", test_two_hosts);
    qtest_add_func("/pc-host-width/coldplug", test_coldplug);
    qtest_add_func("/pc-host-width/warning", test_warning);
    return g_test_run();
}
