/*
 * intel-iommu: what the guest is told, from what the user gave
 *
 * Reads the guest's view: CAP and ECAP by MMIO, the DMAR table by fw_cfg.
 * Where QTEST_BASE_BINARY names a QEMU without the host-aware vIOMMU, both
 * must show the same for every VM that starts on both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"
#include "intel-iommu-view.h"
#include "qobject/qdict.h"
#include "vm-refusal.h"

/* What `qom-get aw-bits` says: what was given, not what is in force */
static unsigned int width_given(QTestState *qts)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                                " 'path': 'iommu0',"
                                " 'property': 'aw-bits' } }");
    unsigned int width = qdict_get_int(rsp, "return");

    qobject_unref(rsp);
    return width;
}

/* Asserts what the guest is told, and that a reset changes nothing */
static void test_width(const char *args, unsigned int given,
                       unsigned int in_force)
{
    QTestState *qts = qtest_init(args);
    GuestView before = read_guest_view(qts), after;

    assert_width(&before, in_force);
    g_assert_cmpuint(width_given(qts), ==, given);

    qtest_system_reset(qts);
    after = read_guest_view(qts);
    assert_same_view(&before, &after);
    qtest_quit(qts);
}

static void test_width_given(void)
{
    unsigned int width;

    for (width = VTD_HOST_AW_39BIT; width <= VTD_HOST_AW_48BIT; width++) {
        g_autofree char *args = g_strdup_printf(
            "-M q35 -nodefaults -device intel-iommu,id=iommu0,aw-bits=%u",
            width);
        g_autofree char *json = g_strdup_printf(
            "-M q35 -nodefaults -device '{\"driver\":\"intel-iommu\","
            "\"id\":\"iommu0\",\"aw-bits\":%u}'", width);

        test_width(args, width, width);
        test_width(json, width, width);
    }
}

static void test_width_open(void)
{
    test_width("-M q35 -device intel-iommu,id=iommu0,aw-bits=0", 0, 48);
    test_width("-M q35 -device intel-iommu,id=iommu0,aw-bits=0,"
               "x-scalable-mode=on,x-flts=on", 0, 48);
}

static void test_width_of_old_machine(void)
{
    test_width("-M pc-q35-9.1 -device intel-iommu,id=iommu0", 39, 39);
    test_width("-M pc-q35-9.1 -device intel-iommu,id=iommu0,aw-bits=0", 0, 48);
}

static void test_width_refused(void)
{
    static const char legacy[] =
        "Legacy mode: supported values for aw-bits are: 39 to 48";

    assert_device_refused("-M q35 -device intel-iommu,aw-bits=38", legacy);
    assert_device_refused("-M q35 -device intel-iommu,aw-bits=49", legacy);
    assert_device_refused("-M q35 -device intel-iommu,aw-bits=255", legacy);
    assert_device_refused("-M q35 -device intel-iommu,x-scalable-mode=on,"
                          "x-flts=on,aw-bits=39",
                          "Scalable mode(flts=on): supported value for "
                          "aw-bits is: 48");
}

static void test_same_as_base(const void *machine)
{
    static const char *const properties[] = {
        "", ",aw-bits=39", ",aw-bits=48", ",caching-mode=on", ",intremap=off",
        ",intremap=on,eim=on", ",eim=off", ",x-buggy-eim=on",
        ",device-iotlb=on", ",pt=off", ",snoop-control=on", ",dma-drain=off",
        ",dma-translation=off", ",stale-tm=on",
        ",x-scalable-mode=on", ",x-scalable-mode=on,aw-bits=39",
        ",x-scalable-mode=on,x-pasid-mode=on",
        ",x-scalable-mode=on,x-flts=on,aw-bits=48",
        ",x-scalable-mode=on,x-flts=on,aw-bits=48,fs1gp=off",
    };
    int i;

    if (!have_base()) {
        return;
    }
    for (i = 0; i < ARRAY_SIZE(properties); i++) {
        g_autofree char *args = g_strdup_printf(
            "-M %s -nodefaults -device intel-iommu%s", (const char *)machine,
            properties[i]);
        GuestView ours = start_and_read_guest_view(args);
        GuestView base = start_base_and_read_guest_view(args);

        g_test_message("%s", args);
        assert_same_view(&ours, &base);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/intel-iommu-host/width/given", test_width_given);
    qtest_add_func("/intel-iommu-host/width/open", test_width_open);
    qtest_add_func("/intel-iommu-host/width/old-machine",
                   test_width_of_old_machine);
    qtest_add_func("/intel-iommu-host/width/refused", test_width_refused);
    qtest_add_data_func("/intel-iommu-host/same-as-base/q35", "q35",
                        test_same_as_base);
    qtest_add_data_func("/intel-iommu-host/same-as-base/pc-q35-9.1",
                        "pc-q35-9.1", test_same_as_base);
    qtest_add_data_func("/intel-iommu-host/same-as-base/pc-q35-8.0",
                        "pc-q35-8.0", test_same_as_base);

    return g_test_run();
}
