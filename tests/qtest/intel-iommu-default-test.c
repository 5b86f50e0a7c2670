/*
 * intel-iommu of a user who gives nothing
 *
 * Lands with the change of a default; everything that can be said with
 * aw-bits=0 given stands in the other programs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"
#include "intel-iommu-view.h"
#include "qobject/qdict.h"

#define Q35 "-M q35 -nodefaults "

static void test_without_device(void)
{
    QTestState *qts = qtest_init(Q35 "-device intel-iommu,id=iommu0");
    GuestView view = read_guest_view(qts);
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                                " 'path': 'iommu0',"
                                " 'property': 'aw-bits' } }");

    assert_width(&view, 48);
    g_assert_cmphex(view.cap & VTD_CAP_CM, ==, 0);
    g_assert_cmpint(qdict_get_int(rsp, "return"), ==, 0);
    qobject_unref(rsp);
    qtest_quit(qts);
}

static void test_with_device(void)
{
    GuestView adopted = start_and_read_guest_view(
        Q35 "-device intel-iommu -device host-iommu-testdev,aw-bits=39");
    GuestView given = start_and_read_guest_view(
        Q35 "-device intel-iommu,aw-bits=39,caching-mode=on"
        " -device host-iommu-testdev,aw-bits=39");

    assert_width(&adopted, 39);
    assert_same_view(&adopted, &given);
}

static void test_old_machine(void)
{
    GuestView view = start_and_read_guest_view(
        "-M pc-q35-9.1 -nodefaults -device intel-iommu"
        " -device host-iommu-testdev,aw-bits=42");

    assert_width(&view, 39);
}

/* First-stage translation needs 48 bits and can leave them open */
static void test_stage_1(void)
{
    GuestView view = start_and_read_guest_view(
        Q35 "-device intel-iommu,x-scalable-mode=on,x-flts=on");

    assert_width(&view, 48);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/intel-iommu-default/without-device", test_without_device);
    qtest_add_func("/intel-iommu-default/with-device", test_with_device);
    qtest_add_func("/intel-iommu-default/old-machine", test_old_machine);
    qtest_add_func("/intel-iommu-default/stage-1", test_stage_1);

    return g_test_run();
}
