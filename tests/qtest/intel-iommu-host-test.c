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
#include "qemu/units.h"
#include "libqtest.h"
#include "libqos/fw_cfg.h"
#include "libqos/libqos.h"
#include "libqos/malloc-pc.h"
#include "qobject/qdict.h"
#include "hw/i386/intel_iommu_internal.h"

#define ACPI_TABLES_MAX     (1 * MiB)
#define DMAR_WIDTH_OFFSET   36

/* What a guest can learn of its vIOMMU */
typedef struct GuestView {
    uint64_t cap;
    uint64_t ecap;
    uint32_t dmar_size;             /* bytes */
    uint8_t dmar[1024];
} GuestView;

static void read_dmar(QTestState *qts, GuestView *view)
{
    g_autofree uint8_t *tables = g_malloc0(ACPI_TABLES_MAX);
    QFWCFG *fw_cfg = pc_fw_cfg_init(qts);
    QOSState qs = { .qts = qts };
    size_t size, at;

    pc_alloc_init(&qs.alloc, qts, ALLOC_NO_FLAGS);
    size = qfw_cfg_read_file(fw_cfg, &qs, "etc/acpi/tables", tables,
                             ACPI_TABLES_MAX);
    alloc_destroy(&qs.alloc);
    pc_fw_cfg_uninit(fw_cfg);
    g_assert_cmpuint(size, <, ACPI_TABLES_MAX);
    for (at = 0; at + DMAR_WIDTH_OFFSET < size; at++) {
        if (!memcmp(tables + at, "DMAR", 4)) {
            view->dmar_size = ldl_le_p(tables + at + 4);
            g_assert_cmpuint(view->dmar_size, <=, sizeof(view->dmar));
            memcpy(view->dmar, tables + at, view->dmar_size);
            return;
        }
    }
    g_assert_not_reached();
}

static GuestView read_guest_view(QTestState *qts)
{
    GuestView view = {
        .cap = qtest_readq(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_CAP_REG),
        .ecap = qtest_readq(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_ECAP_REG),
    };

    read_dmar(qts, &view);
    return view;
}

static void assert_same_view(const GuestView *a, const GuestView *b)
{
    g_assert_cmphex(a->cap, ==, b->cap);
    g_assert_cmphex(a->ecap, ==, b->ecap);
    g_assert_cmpmem(a->dmar, a->dmar_size, b->dmar, b->dmar_size);
}

static void assert_width(const GuestView *view, unsigned int width)
{
    uint64_t sagaw = VTD_CAP_SAGAW_39bit;

    if (width > VTD_HOST_AW_39BIT) {
        sagaw |= VTD_CAP_SAGAW_48bit;
    }
    g_assert_cmpuint(VTD_MGAW_FROM_CAP(view->cap) + 1, ==, width);
    g_assert_cmphex(view->cap & VTD_CAP_SAGAW_MASK, ==, sagaw);
    g_assert_cmpuint(view->dmar[DMAR_WIDTH_OFFSET] + 1, ==, width);
}

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
            "-M q35 -device intel-iommu,id=iommu0,aw-bits=%u", width);
        g_autofree char *json = g_strdup_printf(
            "-M q35 -device '{\"driver\":\"intel-iommu\",\"id\":\"iommu0\","
            "\"aw-bits\":%u}'", width);

        test_width(args, width, width);
        test_width(json, width, width);
    }
}

static void test_width_open(void)
{
    test_width("-M q35 -device intel-iommu,id=iommu0", 0, 48);
    test_width("-M q35 -device intel-iommu,id=iommu0,aw-bits=0", 0, 48);
    test_width("-M q35 -device intel-iommu,id=iommu0,x-scalable-mode=on,"
               "x-flts=on", 0, 48);
}

static void test_width_of_old_machine(void)
{
    test_width("-M pc-q35-9.1 -device intel-iommu,id=iommu0", 39, 39);
    test_width("-M pc-q35-9.1 -device intel-iommu,id=iommu0,aw-bits=0", 0, 48);
}

/* Asserts that QEMU with @device prints exactly @error and does not start */
static void assert_refused(const char *device, const char *error)
{
    const char *argv[] = {
        getenv("QTEST_QEMU_BINARY"), "-M", "q35", "-accel", "qtest",
        "-display", "none", "-nodefaults", "-S", "-device", device, NULL,
    };
    g_autofree char *name = g_path_get_basename(argv[0]);
    g_autofree char *want = g_strdup_printf("%s: -device %s: %s\n", name,
                                            device, error);
    g_autofree char *got = NULL;
    g_autoptr(GError) err = NULL;
    int status;

    g_spawn_sync(NULL, (char **)argv, NULL,
                 G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
                 NULL, &got, &status, &err);
    g_assert_no_error(err);
    g_assert_cmpstr(got, ==, want);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
}

static void test_width_refused(void)
{
    assert_refused("intel-iommu,aw-bits=38",
                   "Legacy mode: supported values for aw-bits are: 39 to 48");
    assert_refused("intel-iommu,aw-bits=49",
                   "Legacy mode: supported values for aw-bits are: 39 to 48");
    assert_refused("intel-iommu,aw-bits=255",
                   "Legacy mode: supported values for aw-bits are: 39 to 48");
    assert_refused("intel-iommu,x-scalable-mode=on,x-flts=on,aw-bits=39",
                   "Scalable mode(flts=on): supported value for aw-bits is: "
                   "48");
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

    if (!getenv("QTEST_BASE_BINARY")) {
        g_test_skip("QTEST_BASE_BINARY names no QEMU to compare with");
        return;
    }
    for (i = 0; i < ARRAY_SIZE(properties); i++) {
        g_autofree char *args = g_strdup_printf(
            "-M %s -device intel-iommu%s", (const char *)machine,
            properties[i]);
        QTestState *ours = qtest_init(args);
        QTestState *base = qtest_init_with_env("QTEST_BASE_BINARY", args,
                                               true);
        GuestView our_view = read_guest_view(ours);
        GuestView base_view = read_guest_view(base);

        g_test_message("%s", args);
        assert_same_view(&our_view, &base_view);
        qtest_quit(base);
        qtest_quit(ours);
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
