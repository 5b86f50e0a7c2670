/*
 * intel-iommu's migration: what was adopted, and what arrives
 *
 * Two QEMUs and a stream between them; snapshots; and streams that are made
 * here, of intel-iommu's section alone, which one QEMU loads one after the
 * other as its snapshot. The test device stands for an assigned one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include <glib/gstdio.h>
#include "hw/misc/host-iommu-testdev.h"
#include "libqos/pci-pc.h"
#include "libqtest.h"
#include "intel-iommu-view.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qstring.h"
#include "vm-refusal.h"

#define Q35 "-M q35 -nodefaults -m 16M" \
            " -device intel-iommu,id=iommu0%s" \
            " -device pcie-root-port,id=rp1,chassis=1,addr=8" \
            " -device pcie-root-port,id=rp2,chassis=2,addr=9 "
#define MIGRATABLE      " -global host-iommu-testdev.x-migratable=on"
#define OPEN            ",aw-bits=0"
#define CARRY           ",aw-bits=0,migrate-host-caps=on"
#define DEV_39          "-device host-iommu-testdev,id=dev1,unit=dmar0," \
                        "bus=rp1,aw-bits=39"
#define DEV_42          "-device host-iommu-testdev,id=dev2,bus=rp2,aw-bits=42"
#define DEV_48          "-device host-iommu-testdev,id=dev3,bus=rp2,aw-bits=48"

#define BLOCKED(from) \
    "intel-iommu adopted what its command line does not say: address width " \
    "is 39, from " from " (use aw-bits=39, in libvirt aw_bits='39', or " \
    "migrate-host-caps=on)"
#define BLOCKED_DEV1    BLOCKED("dev1, host IOMMU dmar0")
#define REFUSED         "intel-iommu cannot take over what the guest was told: "
#define WIDER(there, here) \
    "address width is " #there " in the stream, " #here " at most here"
#define START_WITH(n)   " (start the source with aw-bits=" #n ", in libvirt " \
                        "aw_bits='" #n "')"

#define NOT_LOADED \
    "\nerror while loading state for instance 0x0 of device 'iommu-intel'" \
    "\nError: Error -22 while loading VM state"

static char *tmpdir;

static char *tmp_path(const char *name)
{
    return g_build_filename(tmpdir, name, NULL);
}

/* VMs */

/* A VM, the file that has its stderr, and how much of that was looked at */
typedef struct VM {
    QTestState *qts;
    char *log;
    size_t seen;
} VM;

static VM start_binary(const char *variable, const char *iommu,
                       const char *devices)
{
    static int count;
    g_autofree char *name = g_strdup_printf("stderr.%d", count++);
    VM vm = { .log = tmp_path(name) };
    g_autofree char *vm_args = g_strdup_printf(Q35, iommu);
    /* the base knows no test device */
    g_autofree char *args = g_strdup_printf("%s%s%s 2>%s", vm_args, devices,
                                            variable ? "" : MIGRATABLE,
                                            vm.log);

    g_test_message("%s", args);
    vm.qts = qtest_init_with_env(variable, args, true);
    return vm;
}

static VM start(const char *iommu, const char *devices)
{
    return start_binary(NULL, iommu, devices);
}

/* One that waits for a stream */
static VM start_incoming(const char *iommu, const char *devices)
{
    g_autofree char *args = g_strconcat(devices, " -incoming defer", NULL);

    return start(iommu, args);
}

static void quit(VM *vm)
{
    qtest_quit(vm->qts);
    g_unlink(vm->log);
    g_free(vm->log);
}

/* Returns: from @part on, the next line of stderr that has it, or NULL */
static char *next_log_line(VM *vm, const char *part)
{
    g_autofree char *text = NULL;
    char *at, *end;

    g_assert_true(g_file_get_contents(vm->log, &text, NULL, NULL));
    at = strstr(text + vm->seen, part);
    if (!at) {
        g_test_message("%s", text + vm->seen);
        return NULL;
    }
    end = strchr(at, '\n');
    g_assert_nonnull(end);
    vm->seen = end - text;
    return g_strndup(at, end - at);
}

static void assert_logged(VM *vm, const char *message)
{
    g_autofree char *line = next_log_line(vm, "intel-iommu ");

    g_assert_cmpstr(line, ==, message);
}

/* With ACPI, the guest ejects; a reset does it for a guest that is off */
static void unplug(VM *vm, const char *id)
{
    qtest_qmp_device_del_send(vm->qts, id);
    qtest_system_reset_nowait(vm->qts);
    qtest_qmp_eventwait(vm->qts, "DEVICE_DELETED");
    g_assert_false(is_plugged(vm->qts, id));
}

static void assert_guest_width(VM *vm, unsigned int width)
{
    GuestView view = read_guest_view(vm->qts);

    assert_width(&view, width);
}

/* CAP.MGAW and CAP.SAGAW alone, and before a reset */
static void assert_cap_width(VM *vm, unsigned int width)
{
    uint64_t cap = qtest_readq(vm->qts, Q35_HOST_BRIDGE_IOMMU_ADDR +
                                        DMAR_CAP_REG);

    g_assert_cmpuint(VTD_MGAW_FROM_CAP(cap) + 1, ==, width);
    g_assert_cmpint(!!(cap & VTD_CAP_SAGAW_48bit), ==,
                    width > VTD_HOST_AW_39BIT);
}

static bool guest_caching_mode(VM *vm)
{
    return qtest_readq(vm->qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_CAP_REG) &
           VTD_CAP_CM;
}

/* The one reason why migration is blocked; NULL: it is not */
static void assert_blocked(VM *vm, const char *reason)
{
    QDict *rsp = qtest_qmp_assert_success_ref(vm->qts,
                                              "{'execute': 'query-migrate'}");
    QList *reasons = qdict_get_qlist(rsp, "blocked-reasons");

    if (reason) {
        g_assert_nonnull(reasons);
        g_assert_cmpint(qlist_size(reasons), ==, 1);
        g_assert_cmpstr(qstring_get_str(qobject_to(QString,
                                                   qlist_peek(reasons))),
                        ==, reason);
    } else {
        g_assert_null(reasons);
    }
    qobject_unref(rsp);
}

static void set_mode(VM *vm, const char *mode)
{
    qtest_qmp_assert_success(vm->qts, "{'execute': 'migrate-set-parameters',"
                             " 'arguments': { 'mode': %s } }", mode);
}

/* Streams */

static char *migration_status(VM *vm)
{
    QDict *rsp = qtest_qmp_assert_success_ref(vm->qts,
                                              "{'execute': 'query-migrate'}");
    char *status = g_strdup(qdict_get_try_str(rsp, "status"));

    qobject_unref(rsp);
    return status;
}

/* Waits for the end of a migration */
static void assert_migration_ends(VM *vm, const char *want)
{
    int64_t end = g_get_monotonic_time() + 120 * G_USEC_PER_SEC;

    for (;;) {
        g_autofree char *status = migration_status(vm);

        if (!g_strcmp0(status, "completed") || !g_strcmp0(status, "failed")) {
            g_assert_cmpstr(status, ==, want);
            return;
        }
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(5000);
    }
}

static bool is_running(VM *vm)
{
    QDict *rsp = qtest_qmp_assert_success_ref(vm->qts,
                                              "{'execute': 'query-status'}");
    bool running = qdict_get_bool(rsp, "running");

    qobject_unref(rsp);
    return running;
}

static void assert_runs(VM *vm)
{
    int64_t end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    while (!is_running(vm)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(5000);
    }
}

static void set_return_path(VM *vm)
{
    qtest_qmp_assert_success(vm->qts, "{'execute': 'migrate-set-capabilities',"
                             " 'arguments': { 'capabilities': [ {"
                             " 'capability': 'return-path',"
                             " 'state': true } ] } }");
}

/* Starts a migration between two VMs, the source of which hears how it ends */
static void migrate(VM *from, VM *to)
{
    static int count;
    g_autofree char *name = g_strdup_printf("socket.%d", count++);
    g_autofree char *path = tmp_path(name);
    g_autofree char *uri = g_strdup_printf("unix:%s", path);

    set_return_path(from);
    set_return_path(to);
    qtest_qmp_assert_success(to->qts, "{'execute': 'migrate-incoming',"
                             " 'arguments': { 'uri': %s,"
                             " 'exit-on-error': false } }", uri);
    qtest_qmp_assert_success(from->qts, "{'execute': 'migrate',"
                             " 'arguments': { 'uri': %s } }", uri);
}

static void assert_migrates(VM *from, VM *to)
{
    migrate(from, to);
    assert_migration_ends(from, "completed");
    assert_migration_ends(to, "completed");
    assert_runs(to);
}

/* @message: a whole line of the destination's */
static void assert_migration_refused(VM *from, VM *to, const char *message)
{
    migrate(from, to);
    assert_migration_ends(to, "failed");
    assert_migration_ends(from, "failed");
    assert_runs(from);
    assert_logged(to, message);
}

static void assert_migrate_blocked(VM *vm, const char *reason)
{
    QDict *err = qtest_qmp_assert_failure_ref(
        vm->qts, "{'execute': 'migrate', 'arguments': {"
        " 'uri': 'file:/dev/null' } }");

    g_assert_cmpstr(qdict_get_str(err, "desc"), ==, reason);
    qobject_unref(err);
    assert_blocked(vm, reason);
}

/* Blocked, and why */

static void test_blocked(void)
{
    VM vm = start(OPEN, DEV_39);

    assert_migrate_blocked(&vm, BLOCKED_DEV1);
    qtest_system_reset(vm.qts);
    assert_migrate_blocked(&vm, BLOCKED_DEV1);
    quit(&vm);
}

/* Whatever the number of devices, and their order */
static void test_blocked_once(void)
{
    VM vm = start(OPEN, DEV_42 " " DEV_39);

    assert_migrate_blocked(&vm, BLOCKED_DEV1);
    quit(&vm);
    vm = start(OPEN, DEV_39 " " DEV_42);
    assert_migrate_blocked(&vm, BLOCKED_DEV1);
    quit(&vm);
    vm = start(OPEN, DEV_42);
    assert_migrate_blocked(&vm, "intel-iommu adopted what its command line "
                           "does not say: address width is 42, from dev2 (use "
                           "aw-bits=42, in libvirt aw_bits='42', or "
                           "migrate-host-caps=on)");
    quit(&vm);
}

static void test_not_blocked(void)
{
    static const struct {
        const char *iommu, *devices;
    } vms[] = {
        { OPEN, "" },
        { OPEN, DEV_48 },
        { OPEN, "-device host-iommu-testdev,bus=rp1,aw-bits=0" },
        { ",aw-bits=39", DEV_39 },
        { ",aw-bits=39", DEV_42 },
        { CARRY, DEV_39 },
        { ",migrate-host-caps=off", "" },
    };
    int i;

    for (i = 0; i < ARRAY_SIZE(vms); i++) {
        VM vm = start(vms[i].iommu, vms[i].devices);

        assert_blocked(&vm, NULL);
        quit(&vm);
    }
}

static void test_only_migratable(void)
{
    static const char error[] = "disallowing migration blocker "
                                "(--only-migratable) for: " BLOCKED_DEV1;
    g_autofree char *vm_args = g_strdup_printf(Q35, OPEN);
    g_autofree char *args = g_strconcat("-only-migratable ", vm_args, DEV_39,
                                        NULL);
    VM vm;

    assert_device_refused(args, error);
    vm = start(CARRY, "-only-migratable " DEV_39);
    assert_blocked(&vm, NULL);
    quit(&vm);
    vm = start(",aw-bits=39", "-only-migratable " DEV_39);
    assert_blocked(&vm, NULL);
    quit(&vm);
}

static void test_blocked_after_unplug(void)
{
    VM vm = start(OPEN, DEV_39), to;

    unplug(&vm, "dev1");
    assert_migrate_blocked(&vm, BLOCKED_DEV1);
    qtest_system_reset(vm.qts);
    assert_migrate_blocked(&vm, BLOCKED_DEV1);
    quit(&vm);

    vm = start(CARRY, DEV_39);
    unplug(&vm, "dev1");
    to = start_incoming(OPEN, "");
    assert_migrates(&vm, &to);
    assert_guest_width(&to, 39);
    quit(&vm);
    quit(&to);
}

/* At coldplug it is the end of QEMU */
static void test_failed_plug(void)
{
    VM vm = start(OPEN ",caching-mode=on", "");

    assert_hotplug_refused(vm.qts, "{\"driver\":\"host-iommu-testdev\","
                           "\"id\":\"dev1\",\"bus\":\"rp1\",\"aw-bits\":39}",
                           "host IOMMU cannot back intel-iommu: address width "
                           "is 48 in the guest, 39 on the host (fixed since "
                           "the VM started: start it with aw-bits=39, in "
                           "libvirt aw_bits='39', or with host-iommu=all)");
    assert_blocked(&vm, NULL);
    assert_hotplug_refused(vm.qts, "{\"driver\":\"host-iommu-testdev\","
                           "\"id\":\"dev1\",\"bus\":\"rp1\","
                           "\"x-fail-late\":true}",
                           "x-fail-late=on: failed as asked");
    assert_blocked(&vm, NULL);
    quit(&vm);

    vm = start(OPEN, DEV_39);
    assert_hotplug_refused(vm.qts, "{\"driver\":\"host-iommu-testdev\","
                           "\"id\":\"dev2\",\"bus\":\"rp2\",\"aw-bits\":38}",
                           "host IOMMU cannot back intel-iommu: address width "
                           "is 39 in the guest, 38 on the host (intel-iommu "
                           "needs 39 at least)");
    assert_blocked(&vm, BLOCKED_DEV1);
    quit(&vm);
}

static void test_cpr_reboot(void)
{
    g_autofree char *path = tmp_path("cpr");
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    VM from = start(OPEN, DEV_39), to = start_incoming(OPEN, "");

    set_mode(&from, "cpr-reboot");
    set_mode(&to, "cpr-reboot");
    assert_blocked(&from, NULL);
    qtest_qmp_assert_success(from.qts, "{'execute': 'migrate',"
                             " 'arguments': { 'uri': %s } }", uri);
    assert_migration_ends(&from, "completed");
    qtest_qmp_assert_success(to.qts, "{'execute': 'migrate-incoming',"
                             " 'arguments': { 'uri': %s } }", uri);
    assert_migration_ends(&to, "completed");
    assert_cap_width(&to, 39);
    assert_blocked(&to, NULL);
    set_mode(&to, "normal");
    assert_blocked(&to, BLOCKED_DEV1);
    quit(&from);
    quit(&to);
    g_unlink(path);
}

/* Two QEMUs */

static void test_pinned(void)
{
    VM from = start(",aw-bits=39", DEV_39);
    VM to = start_incoming(",aw-bits=39", DEV_39);
    GuestView before = read_guest_view(from.qts), after;

    assert_migrates(&from, &to);
    after = read_guest_view(to.qts);
    assert_same_view(&before, &after);
    assert_width(&after, 39);
    assert_blocked(&to, NULL);
    quit(&from);
    quit(&to);
}

static void test_carried(void)
{
    VM from = start(CARRY, DEV_39), to = start_incoming(OPEN, "");
    GuestView before = read_guest_view(from.qts), after;
    int i;

    assert_guest_width(&to, 48);
    assert_migrates(&from, &to);
    after = read_guest_view(to.qts);
    assert_same_view(&before, &after);
    for (i = 0; i < 2; i++) {
        qtest_system_reset(to.qts);
        after = read_guest_view(to.qts);
        assert_same_view(&before, &after);
        assert_width(&after, 39);
    }
    assert_blocked(&to, BLOCKED_DEV1);

    assert_hotplug(to.qts, "{\"driver\":\"host-iommu-testdev\","
                           "\"id\":\"dev1\",\"bus\":\"rp1\",\"aw-bits\":39}");
    assert_hotplug(to.qts, "{\"driver\":\"host-iommu-testdev\","
                           "\"id\":\"dev2\",\"bus\":\"rp2\",\"aw-bits\":48}");
    unplug(&to, "dev1");
    assert_hotplug_refused(to.qts, "{\"driver\":\"host-iommu-testdev\","
                           "\"id\":\"dev1\",\"bus\":\"rp1\",\"aw-bits\":38}",
                           "host IOMMU cannot back intel-iommu: address width "
                           "is 39 in the guest, 38 on the host (intel-iommu "
                           "needs 39 at least)");
    qtest_system_reset(to.qts);
    after = read_guest_view(to.qts);
    assert_same_view(&before, &after);
    assert_blocked(&to, BLOCKED_DEV1);
    quit(&from);
    quit(&to);
}

/* Each is told the first one's device */
static void test_carried_on(void)
{
    VM first = start(CARRY, DEV_39), second = start_incoming(CARRY, DEV_48);
    VM third = start_incoming(CARRY, DEV_42), fourth;

    assert_migrates(&first, &second);
    assert_cap_width(&second, 39);
    assert_blocked(&second, NULL);
    assert_migrates(&second, &third);
    assert_guest_width(&third, 39);
    qtest_system_reset(third.qts);
    assert_guest_width(&third, 39);
    fourth = start_incoming(OPEN, DEV_39);
    assert_migrates(&third, &fourth);
    assert_blocked(&fourth, BLOCKED_DEV1);
    quit(&first);
    quit(&second);
    quit(&third);
    quit(&fourth);
}

/* Names are cut, not refused */
static void test_carried_name(void)
{
    VM from = start(CARRY, "-device host-iommu-testdev,aw-bits=39,id=d"
                    "23456789a123456789b123456789c123456789d123456789e12345678"
                    "9f123456789,unit=u23456789a123456789b123456789c123456789");
    VM to = start_incoming(OPEN, "");

    assert_migrates(&from, &to);
    assert_blocked(&to, BLOCKED("d23456789a123456789b123456789c123456789d123456"
                                "789e123456789f123, host IOMMU u23456789a123456"
                                "789b123456789c1"));
    quit(&from);
    quit(&to);
}

/* At the destination, the same was adopted already */
static void test_carried_to_equal(void)
{
    VM from = start(CARRY, DEV_39);
    VM to = start_incoming(OPEN, "-device host-iommu-testdev,id=mine,bus=rp2,"
                                 "aw-bits=39");

    assert_migrates(&from, &to);
    assert_guest_width(&to, 39);
    assert_blocked(&to, BLOCKED("mine"));
    quit(&from);
    quit(&to);
}

static void test_carried_to_given(void)
{
    VM from = start(CARRY, DEV_39);
    VM to = start_incoming(",aw-bits=48,caching-mode=on", "");

    assert_migration_refused(&from, &to, REFUSED "address width is 39 in the "
                             "stream, whose source adopted it, 48 here (use "
                             "aw-bits=39, in libvirt aw_bits='39', or leave "
                             "it out)");
    quit(&to);
    to = start_incoming(",aw-bits=39,caching-mode=on", "");
    assert_migrates(&from, &to);
    assert_guest_width(&to, 39);
    assert_blocked(&to, NULL);
    quit(&from);
    quit(&to);
}

/* A source that adopted nothing: what is narrower is taken nevertheless */
static void test_narrower(void)
{
    VM from = start(",aw-bits=39", ""), to = start_incoming(OPEN, "");
    GuestView before = read_guest_view(from.qts), after;

    assert_migrates(&from, &to);
    after = read_guest_view(to.qts);
    assert_same_view(&before, &after);
    qtest_system_reset(to.qts);
    after = read_guest_view(to.qts);
    assert_same_view(&before, &after);
    assert_blocked(&to, BLOCKED("the incoming stream"));
    quit(&from);
    quit(&to);
}

static void test_narrower_only_migratable(void)
{
    VM from = start(CARRY, DEV_39);
    VM to = start_incoming(OPEN, "-only-migratable");

    assert_migration_refused(&from, &to, BLOCKED_DEV1);
    qtest_system_reset(to.qts);
    assert_cap_width(&to, 48);
    quit(&to);
    to = start_incoming(CARRY, "-only-migratable");
    assert_migrates(&from, &to);
    assert_guest_width(&to, 39);
    quit(&from);
    quit(&to);
}

static void test_wider(void)
{
    VM from = start(OPEN ",caching-mode=on", "");
    VM to = start_incoming(OPEN, DEV_39);

    assert_migration_refused(&from, &to, REFUSED WIDER(48, 39) ", from dev1, "
                             "host IOMMU dmar0" START_WITH(39));
    qtest_system_reset(to.qts);
    assert_cap_width(&to, 39);
    quit(&to);

    /* what was adopted stays in force */
    to = start_incoming(OPEN, DEV_39);
    unplug(&to, "dev1");
    assert_migration_refused(&from, &to, REFUSED WIDER(48, 39) ", from dev1, "
                             "host IOMMU dmar0" START_WITH(39));
    quit(&to);

    /* the source is as it was */
    to = start_incoming(OPEN, DEV_48);
    assert_migrates(&from, &to);
    assert_guest_width(&to, 48);
    assert_blocked(&to, NULL);
    quit(&from);
    quit(&to);
}

/* Adopted on both sides */
static void test_wider_carried(void)
{
    VM from = start(CARRY, DEV_42), to = start_incoming(OPEN, DEV_39);

    assert_migration_refused(&from, &to, REFUSED WIDER(42, 39) ", from dev1, "
                             "host IOMMU dmar0" START_WITH(39));
    quit(&from);
    quit(&to);
}

/* As in QEMU 10.0 */
static void test_given(void)
{
    VM from = start(",aw-bits=48,caching-mode=on", "");
    VM to = start_incoming(",aw-bits=39,caching-mode=on", "");

    assert_migrates(&from, &to);
    assert_cap_width(&to, 48);
    qtest_system_reset(to.qts);
    assert_guest_width(&to, 39);
    assert_blocked(&to, NULL);
    quit(&from);
    quit(&to);
}

static void test_incoming_file(void)
{
    g_autofree char *path = tmp_path("stream");
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    g_autofree char *incoming = g_strdup_printf("-incoming %s", uri);
    VM from = start(CARRY, DEV_39), to;

    qtest_qmp_assert_success(from.qts, "{'execute': 'migrate',"
                             " 'arguments': { 'uri': %s } }", uri);
    assert_migration_ends(&from, "completed");
    to = start(OPEN, incoming);
    assert_migration_ends(&to, "completed");
    assert_runs(&to);
    assert_guest_width(&to, 39);
    quit(&from);
    quit(&to);
    g_unlink(path);
}

/* Translation, with tables of the guest's in pages from 1 MiB up */

#define TABLE(n)        (1 * MiB + (n) * 4 * KiB)
#define FRAME           (8 * MiB)

/*
 * Turns translation on for the device at @slot: page 0 is FRAME, and the entry
 * of page 1 has a bit that is reserved.
 */
static void enable_dmar(QTestState *qts, int slot)
{
    enum { ROOT, CONTEXT, LEVEL_4, LEVEL_3, LEVEL_2, LEVEL_1 };
    const uint64_t rw = VTD_SL_R | VTD_SL_W;
    uint64_t context = TABLE(CONTEXT) + QPCI_DEVFN(slot, 0) * 16;
    int table;

    for (table = LEVEL_4; table < LEVEL_1; table++) {
        qtest_writeq(qts, TABLE(table), TABLE(table + 1) | rw);
    }
    qtest_writeq(qts, TABLE(LEVEL_1), FRAME | rw);
    qtest_writeq(qts, TABLE(LEVEL_1) + 8,
                 FRAME | BIT_ULL(VTD_HOST_AW_48BIT) | rw);
    qtest_writeq(qts, TABLE(ROOT), TABLE(CONTEXT) | VTD_ROOT_ENTRY_P);
    qtest_writeq(qts, context, TABLE(LEVEL_4) | VTD_CONTEXT_ENTRY_P);
    /* domain 1, four levels */
    qtest_writeq(qts, context + 8, 1 << 8 | 2);

    qtest_writeq(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_RTADDR_REG,
                 TABLE(ROOT));
    qtest_writel(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_GCMD_REG,
                 VTD_GCMD_SRTP);
    qtest_writel(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_GCMD_REG, VTD_GCMD_TE);
}

/* Asserts how the test device's copy from @src to page 0 ends */
static void assert_copies(QTestState *qts, QPCIDevice *pdev, QPCIBar bar,
                          uint64_t src, uint64_t result, unsigned int fault)
{
    uint64_t frcd = Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_FRCD_REG_0_0 + 12;
    uint32_t recorded;

    qpci_io_writeq(pdev, bar, DMA_TESTDEV_SRC, src);
    qpci_io_writeq(pdev, bar, DMA_TESTDEV_DST, 2048);
    qpci_io_writeq(pdev, bar, DMA_TESTDEV_LEN, 8);
    qpci_io_writeq(pdev, bar, DMA_TESTDEV_START, 1);
    g_assert_cmpuint(qpci_io_readq(pdev, bar, DMA_TESTDEV_RESULT),
                     ==, result);
    recorded = qtest_readl(qts, frcd);
    g_assert_cmphex(recorded & BIT(31) ? recorded & 0xff : 0, ==, fault);
    qtest_writel(qts, frcd, BIT(31));
}

/* A guest that translates goes on, and its addresses end at 42 bits */
static void test_translation(void)
{
    VM from = start(CARRY, "-device host-iommu-testdev,addr=5,aw-bits=42");
    VM to = start_incoming(OPEN, "-device host-iommu-testdev,addr=5");
    QPCIBus *bus;
    QPCIDevice *pdev;
    QPCIBar bar;

    enable_dmar(from.qts, 5);
    qtest_writeq(from.qts, FRAME, 0x0123456789abcdef);
    assert_migrates(&from, &to);

    bus = qpci_new_pc(to.qts, NULL);
    pdev = qpci_device_find(bus, QPCI_DEVFN(5, 0));
    qpci_device_enable(pdev);
    bar = qpci_iomap(pdev, 0, NULL);
    g_assert_cmpuint(qpci_io_readq(pdev, bar, DMA_TESTDEV_MAPS), >, 0);
    assert_copies(to.qts, pdev, bar, 0, DMA_TESTDEV_DONE, 0);
    g_assert_cmphex(qtest_readq(to.qts, FRAME + 2048), ==, 0x0123456789abcdef);
    assert_copies(to.qts, pdev, bar, 4 * KiB, DMA_TESTDEV_READ_FAILED,
                  VTD_FR_PAGING_ENTRY_RSVD);
    assert_copies(to.qts, pdev, bar, BIT_ULL(42),
                  DMA_TESTDEV_READ_FAILED, VTD_FR_ADDR_BEYOND_MGAW);
    g_free(pdev);
    qpci_free_pc(bus);
    quit(&from);
    quit(&to);
}

/* caching-mode */

static void test_caching_mode_followed(void)
{
    VM from = start(OPEN, DEV_48), to = start_incoming(OPEN, "");
    VM back = start_incoming(OPEN, "");

    g_assert_true(guest_caching_mode(&from));
    g_assert_false(guest_caching_mode(&to));
    assert_migrates(&from, &to);
    g_assert_true(guest_caching_mode(&to));
    qtest_system_reset(to.qts);
    g_assert_true(guest_caching_mode(&to));
    assert_blocked(&to, NULL);
    assert_hotplug(to.qts, "{\"driver\":\"host-iommu-testdev\","
                           "\"id\":\"dev1\",\"bus\":\"rp1\"}");
    unplug(&to, "dev1");
    assert_migrates(&to, &back);
    qtest_system_reset(back.qts);
    g_assert_true(guest_caching_mode(&back));
    quit(&from);
    quit(&to);
    quit(&back);
}

static void test_caching_mode_off_followed(void)
{
    VM from = start(OPEN, ""), to = start_incoming(OPEN, DEV_48);

    unplug(&to, "dev3");
    g_assert_true(guest_caching_mode(&to));
    assert_migrates(&from, &to);
    g_assert_false(guest_caching_mode(&to));
    qtest_system_reset(to.qts);
    g_assert_false(guest_caching_mode(&to));
    quit(&from);
    quit(&to);
}

#define NEEDS_CACHING_MODE(id) \
    "caching-mode is off in the stream, and host-iommu-testdev /machine/" \
    "peripheral/" id " needs it (start the source with caching-mode=on, in " \
    "libvirt caching_mode='on')"

static void test_caching_mode_needed(void)
{
    VM from = start(OPEN, ""), to = start_incoming(OPEN, DEV_48);

    assert_migration_refused(&from, &to, REFUSED NEEDS_CACHING_MODE("dev3"));
    quit(&to);
    /* a mediated device needs it too */
    to = start_incoming(OPEN, DEV_48 ",mdev=on");
    assert_migration_refused(&from, &to, REFUSED NEEDS_CACHING_MODE("dev3"));
    quit(&to);
    to = start_incoming(OPEN, DEV_39);
    assert_migration_refused(&from, &to, REFUSED WIDER(48, 39) ", from dev1, "
                             "host IOMMU dmar0" START_WITH(39) "; "
                             NEEDS_CACHING_MODE("dev1"));
    quit(&from);
    quit(&to);
}

static void set_property(VM *vm, const char *id, const char *property,
                         bool value)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);

    qtest_qmp_assert_success(vm->qts, "{'execute': 'qom-set', 'arguments': {"
                             " 'path': %s, 'property': %s, 'value': %i } }",
                             path, property, value);
}

static void assert_realize_fails(VM *vm, const char *id, const char *error)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);
    QDict *err = qtest_qmp_assert_failure_ref(
        vm->qts, "{'execute': 'qom-set', 'arguments': { 'path': %s,"
        " 'property': 'realized', 'value': true } }", path);

    g_assert_cmpstr(qdict_get_str(err, "desc"), ==, error);
    qobject_unref(err);
}

/* A device that is there still, but not realized, needs nothing */
static void test_caching_mode_not_needed_any_more(void)
{
    static const char *const devices[] = { DEV_48, DEV_48 ",mdev=on" };
    int i;

    for (i = 0; i < ARRAY_SIZE(devices); i++) {
        VM from = start(OPEN, ""), to = start_incoming(OPEN, devices[i]);

        set_property(&to, "dev3", "realized", false);
        assert_migrates(&from, &to);
        g_assert_false(guest_caching_mode(&to));
        quit(&from);
        quit(&to);
    }
}

/* A mediated one: others keep their host until they are gone */
static void test_caching_mode_realize_failed(void)
{
    VM from = start(OPEN, "");
    VM to = start_incoming(OPEN, DEV_48 ",mdev=on");

    set_property(&to, "dev3", "realized", false);
    set_property(&to, "dev3", "x-fail-late", true);
    assert_realize_fails(&to, "dev3", "x-fail-late=on: failed as asked");
    assert_migrates(&from, &to);
    g_assert_false(guest_caching_mode(&to));
    quit(&from);
    quit(&to);
}

/* As in QEMU 10.0 */
static void test_caching_mode_given(void)
{
    VM from = start(",caching-mode=on", "");
    VM to = start_incoming(",caching-mode=off", "");

    assert_migrates(&from, &to);
    g_assert_true(guest_caching_mode(&to));
    qtest_system_reset(to.qts);
    g_assert_false(guest_caching_mode(&to));
    quit(&from);
    quit(&to);
}

/* Snapshots */

static void wait_for_job(VM *vm, const char *id)
{
    int64_t end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    bool done;

    do {
        QDict *rsp = qtest_qmp(vm->qts, "{'execute': 'job-dismiss',"
                               " 'arguments': { 'id': %s } }", id);

        done = qdict_haskey(rsp, "return");
        qobject_unref(rsp);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    } while (!done);
}

static void make_disk(VM *vm, const char *path)
{
    qtest_qmp_assert_success(vm->qts, "{'execute': 'blockdev-create',"
                             " 'arguments': { 'job-id': 'file', 'options': {"
                             " 'driver': 'file', 'filename': %s,"
                             " 'size': 0 } } }", path);
    wait_for_job(vm, "file");
    qtest_qmp_assert_success(vm->qts, "{'execute': 'blockdev-add',"
                             " 'arguments': { 'node-name': 'file0',"
                             " 'driver': 'file', 'filename': %s } }", path);
    qtest_qmp_assert_success(vm->qts, "{'execute': 'blockdev-create',"
                             " 'arguments': { 'job-id': 'qcow2', 'options': {"
                             " 'driver': 'qcow2', 'file': 'file0',"
                             " 'size': 1048576 } } }");
    wait_for_job(vm, "qcow2");
    qtest_qmp_assert_success(vm->qts, "{'execute': 'blockdev-del',"
                             " 'arguments': { 'node-name': 'file0' } }");
}

static void add_disk(VM *vm, const char *path)
{
    qtest_qmp_assert_success(vm->qts, "{'execute': 'blockdev-add',"
                             " 'arguments': { 'node-name': 'disk',"
                             " 'driver': 'qcow2', 'cache': {"
                             " 'no-flush': true }, 'file': {"
                             " 'driver': 'file', 'filename': %s } } }", path);
}

/* Returns: all that the command says */
static char *hmp(VM *vm, const char *command)
{
    g_autofree char *got = qtest_hmp(vm->qts, "%s", command);
    g_auto(GStrv) lines = g_strsplit(g_strchomp(got), "\r\n", 0);

    return g_strjoinv("\n", lines);
}

static void assert_hmp(VM *vm, const char *command, const char *want)
{
    g_autofree char *got = hmp(vm, command);

    g_assert_cmpstr(got, ==, want);
}

/* A snapshot of a guest that was told 39 bits, and one of 48 */
static void test_snapshots(void)
{
    g_autofree char *path = tmp_path("disk.qcow2");
    VM vm = start(CARRY ",caching-mode=on", DEV_39);
    GuestView narrow = read_guest_view(vm.qts), wide, view;

    make_disk(&vm, path);
    add_disk(&vm, path);
    assert_hmp(&vm, "savevm narrow", "");
    quit(&vm);

    /* blocked like migration */
    vm = start(OPEN ",caching-mode=on", DEV_39);
    add_disk(&vm, path);
    assert_hmp(&vm, "savevm blocked", "Error: " BLOCKED_DEV1);
    assert_hmp(&vm, "loadvm narrow", "");
    assert_guest_width(&vm, 39);
    assert_blocked(&vm, BLOCKED_DEV1);
    quit(&vm);

    vm = start(OPEN ",caching-mode=on", "");
    add_disk(&vm, path);
    wide = read_guest_view(vm.qts);
    assert_width(&wide, 48);
    assert_hmp(&vm, "savevm wide", "");
    assert_hmp(&vm, "loadvm narrow", "");
    view = read_guest_view(vm.qts);
    assert_same_view(&view, &narrow);
    qtest_system_reset(vm.qts);
    view = read_guest_view(vm.qts);
    assert_same_view(&view, &narrow);
    assert_blocked(&vm, BLOCKED_DEV1);
    assert_hmp(&vm, "savevm blocked", "Error: " BLOCKED_DEV1);

    /* a device that the narrow guest can have, and the wide one cannot */
    assert_hotplug(vm.qts, "{\"driver\":\"host-iommu-testdev\","
                           "\"id\":\"dev1\",\"bus\":\"rp1\",\"aw-bits\":40}");
    assert_hmp(&vm, "loadvm wide", REFUSED WIDER(48, 40) ", from dev1"
               START_WITH(40) NOT_LOADED);
    qtest_system_reset(vm.qts);
    view = read_guest_view(vm.qts);
    assert_same_view(&view, &narrow);
    assert_blocked(&vm, BLOCKED_DEV1);

    /* without it, nothing limits this VM */
    unplug(&vm, "dev1");
    assert_hmp(&vm, "loadvm wide", "");
    view = read_guest_view(vm.qts);
    assert_same_view(&view, &wide);
    assert_blocked(&vm, NULL);
    qtest_system_reset(vm.qts);
    view = read_guest_view(vm.qts);
    assert_same_view(&view, &wide);
    assert_hmp(&vm, "savevm again", "");
    quit(&vm);

    vm = start(OPEN ",caching-mode=on", DEV_39);
    add_disk(&vm, path);
    assert_hmp(&vm, "loadvm wide", REFUSED WIDER(48, 39) ", from dev1, host "
               "IOMMU dmar0" START_WITH(39) NOT_LOADED);
    qtest_system_reset(vm.qts);
    assert_guest_width(&vm, 39);
    quit(&vm);
    g_unlink(path);
}

/* With the pristine base */

static VM start_base(const char *iommu, const char *devices)
{
    g_autofree char *args = g_strconcat(devices, " -incoming defer", NULL);

    return start_binary("QTEST_BASE_BINARY", iommu, args);
}

static void test_to_base(void)
{
    VM from, to;

    if (!have_base()) {
        return;
    }
    from = start(OPEN ",caching-mode=on", DEV_48);
    to = start_base(",caching-mode=on", "");
    assert_migrates(&from, &to);
    assert_guest_width(&to, 48);
    quit(&from);
    quit(&to);

    from = start(",aw-bits=39", DEV_39);
    to = start_base(",aw-bits=39,caching-mode=on", "");
    assert_migrates(&from, &to);
    assert_guest_width(&to, 39);
    quit(&from);
    quit(&to);
}

/* It knows no subsection, and must not believe that it can do without */
static void test_carried_to_base(void)
{
    g_autofree char *line = NULL;
    VM from, to;

    if (!have_base()) {
        return;
    }
    from = start(CARRY, DEV_39);
    to = start_base(",caching-mode=on", "");
    migrate(&from, &to);
    assert_migration_ends(&to, "failed");
    assert_migration_ends(&from, "failed");
    assert_runs(&from);
    line = next_log_line(&to, "error while loading state");
    g_assert_cmpstr(line, ==, "error while loading state for instance 0x0 of "
                    "device 'iommu-intel'");
    quit(&from);
    quit(&to);
}

static void test_from_base(void)
{
    VM from, to;

    if (!have_base()) {
        return;
    }
    from = start_binary("QTEST_BASE_BINARY", "", "");
    to = start_incoming(OPEN, "");
    assert_migrates(&from, &to);
    assert_guest_width(&to, 48);
    assert_blocked(&to, NULL);
    quit(&from);
    quit(&to);

    from = start_binary("QTEST_BASE_BINARY", ",aw-bits=39", "");
    to = start_incoming(OPEN, "");
    assert_migrates(&from, &to);
    assert_guest_width(&to, 39);
    qtest_system_reset(to.qts);
    assert_guest_width(&to, 39);
    assert_blocked(&to, BLOCKED("the incoming stream"));
    quit(&from);
    quit(&to);

    from = start_binary("QTEST_BASE_BINARY", ",caching-mode=on", "");
    to = start_incoming(OPEN, DEV_39);
    assert_migration_refused(&from, &to, REFUSED WIDER(48, 39) ", from dev1, "
                             "host IOMMU dmar0" START_WITH(39));
    quit(&from);
    quit(&to);
}

/* Streams of intel-iommu's section alone */

#define NO_CONFIGURATION    " -S -global migration.send-configuration=off "

enum {
    SECTION_FULL = 4, SUBSECTION = 5, VMDESCRIPTION = 6, SECTION_FOOTER = 0x7e,
    /* of the section: type, id, name, instance and version */
    STATE_AT = 1 + 4 + 1 + sizeof("iommu-intel") - 1 + 4 + 4,
    CSR_AT = STATE_AT + 36,
    CAP_AT = CSR_AT + DMAR_CAP_REG,
    SUBSECTION_AT = CSR_AT + DMAR_REG_SIZE + 6,
    /* of the subsection: type, name and version */
    COUNT_AT = SUBSECTION_AT + 1 + 1 + sizeof("iommu-intel/host-caps") - 1 + 4,
    FIELD_AT = COUNT_AT + 1,
    FIELD_NAME = 0, FIELD_VALUE = 16, FIELD_DEVICE = 24, FIELD_UNIT = 88,
    FIELD_SIZE = 120,
    FOOTER_SIZE = 1 + 4,
};

/* Returns: the section as the VM would send it, its footer included */
static GByteArray *save_section(VM *vm)
{
    g_autofree char *path = tmp_path("devices");
    g_autofree uint8_t *stream = NULL;
    GByteArray *section = g_byte_array_new();
    size_t size, end = SUBSECTION_AT;
    uint8_t *at;

    qtest_qmp_assert_success(vm->qts, "{'execute': 'xen-save-devices-state',"
                             " 'arguments': { 'filename': %s,"
                             " 'live': false } }", path);
    g_assert_true(g_file_get_contents(path, (char **)&stream, &size, NULL));
    for (at = stream; memcmp(at + 5, "\viommu-intel", 12); at++) {
        g_assert_cmpuint(at - stream + FIELD_AT + FOOTER_SIZE, <, size);
    }
    g_assert_cmpint(at[0], ==, SECTION_FULL);
    if (at[end] == SUBSECTION) {
        end = FIELD_AT + at[COUNT_AT] * FIELD_SIZE;
    }
    g_assert_cmpint(at[end], ==, SECTION_FOOTER);
    g_byte_array_append(section, at, end + FOOTER_SIZE);
    g_unlink(path);
    return section;
}

/* Returns: a stream that begins with @size bytes of a section */
static GByteArray *make_stream(const uint8_t *section, size_t size)
{
    static const uint8_t header[] = { 'Q', 'E', 'V', 'M', 0, 0, 0, 3 };
    GByteArray *stream = g_byte_array_new();

    g_byte_array_append(stream, header, sizeof(header));
    g_byte_array_append(stream, section, size);
    return stream;
}

/* A VM, and a snapshot whose stream is overwritten for each load */
typedef struct Loader {
    VM vm;
    char *path;
    FILE *disk;
    size_t at;
} Loader;

/* More than any stream made here */
#define STREAM_MAX      (64 * KiB)

static Loader start_loader(const char *iommu, const char *devices)
{
    g_autofree char *args = g_strconcat(NO_CONFIGURATION, devices, NULL);
    Loader loader = { .path = tmp_path("loader.qcow2") };
    g_autofree uint8_t *bytes = NULL;
    size_t size;
    VM vm = start("", "");

    make_disk(&vm, loader.path);
    add_disk(&vm, loader.path);
    assert_hmp(&vm, "savevm made", "");
    quit(&vm);

    g_assert_true(g_file_get_contents(loader.path, (char **)&bytes, &size,
                                      NULL));
    while (memcmp(bytes + loader.at, "QEVM\0\0\0\3", 8)) {
        loader.at += 512;
        g_assert_cmpuint(loader.at + STREAM_MAX, <=, size);
    }
    loader.vm = start(iommu, args);
    add_disk(&loader.vm, loader.path);
    loader.disk = fopen(loader.path, "r+");
    g_assert_nonnull(loader.disk);
    return loader;
}

static void quit_loader(Loader *loader)
{
    quit(&loader->vm);
    fclose(loader->disk);
    g_unlink(loader->path);
    g_free(loader->path);
}

/* Returns: what is said about it, "" where it was taken */
static char *load_bytes(Loader *loader, const uint8_t *section, size_t size)
{
    GByteArray *stream = make_stream(section, size);
    /* the end of the sections, an empty description, and nothing more */
    uint8_t rest[256] = { 0, VMDESCRIPTION };

    g_byte_array_append(stream, rest, sizeof(rest));
    g_assert_cmpuint(stream->len, <=, STREAM_MAX);
    g_assert_cmpint(fseek(loader->disk, loader->at, SEEK_SET), ==, 0);
    g_assert_cmpuint(fwrite(stream->data, stream->len, 1, loader->disk), ==, 1);
    g_assert_cmpint(fflush(loader->disk), ==, 0);
    g_byte_array_unref(stream);
    return hmp(&loader->vm, "loadvm made");
}

static void assert_section_taken(Loader *loader, GByteArray *section)
{
    g_autofree char *got = load_bytes(loader, section->data, section->len);

    g_assert_cmpstr(got, ==, "");
}

static void assert_section_refused(Loader *loader, GByteArray *section,
                                   const char *message)
{
    g_autofree char *got = load_bytes(loader, section->data, section->len);
    g_autofree char *want = g_strconcat(message, NOT_LOADED, NULL);

    g_assert_cmpstr(got, ==, want);
}

/* Returns: the section of a source that adopted 39 bits from dev1 */
static GByteArray *carried_section(void)
{
    VM vm = start(CARRY, DEV_39);
    GByteArray *section = save_section(&vm);

    quit(&vm);
    g_assert_cmpuint(section->len, ==, FIELD_AT + FIELD_SIZE + FOOTER_SIZE);
    return section;
}

static void set_width(GByteArray *section, unsigned int width)
{
    uint64_t cap = ldq_le_p(section->data + CAP_AT);

    stq_le_p(section->data + CAP_AT,
             deposit64(cap, 16, 6, width - 1));
    if (section->data[SUBSECTION_AT] == SUBSECTION) {
        stq_be_p(section->data + FIELD_AT + FIELD_VALUE, width);
    }
}

/* Without adoption, the stream is what the base sends */
static void test_same_as_base(void)
{
    static const char *const options[] = {
        "", ",aw-bits=39", ",caching-mode=on",
        ",x-scalable-mode=on,aw-bits=48",
        ",x-scalable-mode=on,x-flts=on,aw-bits=48",
    };
    int i;

    if (!have_base()) {
        return;
    }
    for (i = 0; i < ARRAY_SIZE(options); i++) {
        g_autofree char *carry = g_strconcat(options[i],
                                             ",migrate-host-caps=on", NULL);
        const char *ours[] = { options[i], carry };
        VM vm = start_binary("QTEST_BASE_BINARY", options[i], "");
        GByteArray *base = save_section(&vm);
        int j;

        quit(&vm);
        g_assert_cmpuint(base->len, ==, SUBSECTION_AT + FOOTER_SIZE);
        for (j = 0; j < ARRAY_SIZE(ours); j++) {
            GByteArray *section;

            vm = start(ours[j], "");
            section = save_section(&vm);
            quit(&vm);
            g_assert_cmpmem(section->data, section->len, base->data,
                            base->len);
            g_byte_array_unref(section);
        }
        g_byte_array_unref(base);
    }
}

static void test_section_width(void)
{
    GByteArray *section = carried_section();
    Loader loader = start_loader(OPEN, "");
    int width;

    assert_section_taken(&loader, section);
    for (width = 1; width <= 64; width++) {
        g_autofree char *low = g_strdup_printf(
            REFUSED "address width is %d in the stream (intel-iommu needs 39 "
            "at least)", width);
        g_autofree char *high = g_strdup_printf(
            REFUSED "address width is %d in the stream, 48 at most here (start "
            "the source with aw-bits=48, in libvirt aw_bits='48')", width);

        set_width(section, width);
        if (width < 39) {
            assert_section_refused(&loader, section, low);
        } else if (width > 48) {
            assert_section_refused(&loader, section, high);
        } else {
            assert_section_taken(&loader, section);
            qtest_system_reset(loader.vm.qts);
            assert_guest_width(&loader.vm, width);
        }
    }
    quit_loader(&loader);
    g_byte_array_unref(section);
}

/* What the VM itself needs */
static void test_section_obstacles(void)
{
    GByteArray *section = carried_section();
    Loader loader = start_loader(OPEN, "-m 1G,slots=1,maxmem=600G");

    assert_section_refused(&loader, section,
                           REFUSED "address width is 39 in the "
                           "stream (guest RAM, maxmem included, ends at "
                           "0x9700000000 and takes 40: give the VM less)");
    set_width(section, 40);
    assert_section_taken(&loader, section);
    quit_loader(&loader);

    loader = start_loader(OPEN ",x-scalable-mode=on,x-flts=on", "");
    assert_section_refused(&loader, section,
                           REFUSED "address width is 40 in the "
                           "stream (x-flts=on needs 48)");
    quit_loader(&loader);
    g_byte_array_unref(section);
}

/* What no source like ours sends */
static void test_section_lies(void)
{
    GByteArray *section = carried_section();
    Loader loader = start_loader(OPEN, "");
    uint8_t *field = section->data + FIELD_AT;

    stq_be_p(field + FIELD_VALUE, 40);
    assert_section_refused(&loader, section,
                           REFUSED "address width is 39 in the "
                           "stream's registers, 40 in what its source "
                           "adopted");
    stq_be_p(field + FIELD_VALUE, 39);

    field[FIELD_NAME] = 'M';
    assert_section_refused(&loader, section,
                           REFUSED "the source adopted 'Mgaw', "
                           "which this QEMU does not know");
    memset(field + FIELD_NAME, 'm', 16);
    assert_section_refused(&loader, section,
                           REFUSED "adopted field 0 is malformed");
    memset(field + FIELD_NAME, 0, 16);
    strcpy((char *)field + FIELD_NAME, "mgaw");

    field[FIELD_DEVICE] = '\n';
    assert_section_refused(&loader, section,
                           REFUSED "adopted field 0 is malformed");
    field[FIELD_DEVICE] = 0;
    assert_section_refused(&loader, section,
                           REFUSED "adopted field 0 is malformed");
    field[FIELD_DEVICE] = 'd';
    field[FIELD_UNIT + 31] = 'x';
    assert_section_refused(&loader, section,
                           REFUSED "adopted field 0 is malformed");
    field[FIELD_UNIT + 31] = 0;

    /* one that is known, not adopted here, and no other than here */
    strcpy((char *)field + FIELD_NAME, "sc");
    memset(field + FIELD_NAME + 2, 0, 14);
    stq_be_p(field + FIELD_VALUE, 1);
    assert_section_refused(&loader, section,
                           REFUSED "snoop control is off in the "
                           "stream's registers, on in what its source "
                           "adopted");
    quit_loader(&loader);
    g_byte_array_unref(section);
}

static void test_section_oversized(void)
{
    GByteArray *section = carried_section();
    g_autofree uint8_t *field = g_memdup2(section->data + FIELD_AT,
                                          FIELD_SIZE);
    GByteArray *many = g_byte_array_new();
    Loader loader = start_loader(OPEN, "");
    int i, count;

    for (count = 0; count <= UINT8_MAX; count++) {
        g_autofree char *got = NULL;

        g_byte_array_set_size(many, 0);
        g_byte_array_append(many, section->data, FIELD_AT);
        many->data[COUNT_AT] = count;
        for (i = 0; i < count; i++) {
            g_byte_array_append(many, field, FIELD_SIZE);
        }
        g_byte_array_append(many, section->data + FIELD_AT + FIELD_SIZE,
                            FOOTER_SIZE);
        got = load_bytes(&loader, many->data, many->len);
        if (count < 2) {
            g_assert_cmpstr(got, ==, "");
        } else if (count <= 16) {
            g_assert_true(g_str_has_prefix(got, REFUSED));
            g_assert_nonnull(strstr(got, "'mgaw' is adopted twice" NOT_LOADED));
        } else {
            g_assert_true(g_str_has_prefix(got, "Input validation failed: "
                                           "iommu-intel-host-caps-fields/at "
                                           "most 16 fields\n"));
        }
    }
    quit_loader(&loader);
    g_byte_array_unref(many);
    g_byte_array_unref(section);
}

/* A stream that ends where the bytes do */
static void assert_cut_refused(GByteArray *section, size_t size)
{
    g_autofree char *path = tmp_path("cut");
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    GByteArray *stream = make_stream(section->data, size);
    VM vm = start_incoming(OPEN, NO_CONFIGURATION);

    g_assert_true(g_file_set_contents(path, (char *)stream->data, stream->len,
                                      NULL));
    qtest_qmp_assert_success(vm.qts, "{'execute': 'migrate-incoming',"
                             " 'arguments': { 'uri': %s,"
                             " 'exit-on-error': false } }", uri);
    assert_migration_ends(&vm, "failed");
    qtest_system_reset(vm.qts);
    if (size < COUNT_AT) {
        /* as if there were no subsection, until its footer is missed */
        assert_cap_width(&vm, 39);
        assert_blocked(&vm, BLOCKED("the incoming stream"));
    } else {
        assert_cap_width(&vm, 48);
        assert_blocked(&vm, NULL);
    }
    quit(&vm);
    g_byte_array_unref(stream);
    g_unlink(path);
}

static void test_section_cut(void)
{
    GByteArray *section = carried_section();
    Loader loader = start_loader(OPEN, "");
    size_t size, footer = section->len - FOOTER_SIZE;

    for (size = SUBSECTION_AT; size < footer; size += 9) {
        assert_cut_refused(section, size);
    }
    /* with zeros instead; the last of the unit's name are zeros anyway */
    for (size = 1; size < footer - 32 + 5; size++) {
        g_autofree char *got = load_bytes(&loader, section->data, size);

        g_assert_cmpstr(got, !=, "");
    }
    assert_section_taken(&loader, section);
    assert_cap_width(&loader.vm, 39);
    quit_loader(&loader);
    g_byte_array_unref(section);
}

/*
 * The fuzz: every bit of the subsection flipped, then random changes, three at
 * most. A QEMU that was configured with --enable-asan sees more.
 */

#define FUZZ_SEED       0x39304842
#define FUZZ_CASES      10000

/* A stream that broke the rules must not have left anything behind */
static void assert_sane(VM *vm)
{
    uint64_t cap;
    unsigned int width;

    qtest_system_reset(vm->qts);
    cap = qtest_readq(vm->qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_CAP_REG);
    width = VTD_MGAW_FROM_CAP(cap) + 1;
    g_assert_cmpuint(width, >=, 39);
    g_assert_cmpuint(width, <=, 42);
    assert_cap_width(vm, width);
    g_assert_true(guest_caching_mode(vm));
}

/* Changes @bytes, from SUBSECTION_AT to the footer most of all */
static void mutate(GRand *rand, GByteArray *bytes)
{
    static const uint8_t values[] = { 0, 1, 5, 16, 17, 38, 39, 48, 127, 255 };
    uint32_t at, count = g_rand_int_range(rand, 1, 4);
    uint8_t extra[FIELD_SIZE];
    int i;

    while (count--) {
        at = g_rand_int_range(rand, g_rand_int_range(rand, 0, 8) ?
                                    SUBSECTION_AT : STATE_AT, bytes->len);
        switch (g_rand_int_range(rand, 0, 6)) {
        case 0:
            bytes->data[at] ^= BIT(g_rand_int_range(rand, 0, 8));
            break;
        case 1:
            bytes->data[at] = values[g_rand_int_range(rand, 0,
                                                      ARRAY_SIZE(values))];
            break;
        case 2:
            set_width(bytes, g_rand_int_range(rand, 1, 65));
            break;
        case 3:
            bytes->data[COUNT_AT] = g_rand_int_range(rand, 0, 256);
            break;
        case 4:
            for (i = 0; i < sizeof(extra); i++) {
                extra[i] = g_rand_int(rand);
            }
            g_byte_array_append(bytes, extra,
                                g_rand_int_range(rand, 1, sizeof(extra)));
            break;
        case 5:
            g_byte_array_remove_range(bytes, at,
                                      g_rand_int_range(rand, 0,
                                                       bytes->len - at));
            /* what follows expects it to be there */
            while (bytes->len < FIELD_AT + FIELD_SIZE) {
                g_byte_array_append(bytes, values, 1);
            }
            break;
        }
    }
}

/* Whatever it is that failed, also where QEMU died */
static void tell_case(void *n)
{
    g_test_message("seed 0x%x, case %u", FUZZ_SEED, *(uint32_t *)n);
}

static void test_fuzz(void)
{
    GByteArray *section = carried_section();
    GByteArray *bytes = g_byte_array_new();
    size_t bits = (section->len - SUBSECTION_AT) * 8;
    uint32_t n, taken = 0;
    Loader loader = start_loader(OPEN, DEV_42);

    qtest_add_abrt_handler(tell_case, &n);
    for (n = 0; n < FUZZ_CASES; n++) {
        g_autofree char *got = NULL;

        g_byte_array_set_size(bytes, 0);
        g_byte_array_append(bytes, section->data, section->len);
        if (n < bits) {
            bytes->data[SUBSECTION_AT + n / 8] ^= BIT(n % 8);
        } else {
            g_autoptr(GRand) rand = g_rand_new_with_seed(FUZZ_SEED + n);

            mutate(rand, bytes);
        }
        got = load_bytes(&loader, bytes->data, bytes->len);
        taken += !got[0];
        if (n % 64 == 0) {
            assert_sane(&loader.vm);
        }
    }
    assert_sane(&loader.vm);
    qtest_remove_abrt_handler(&n);
    g_test_message("%u of %u streams were taken", taken, n);
    g_assert_cmpuint(taken, >, 0);
    g_assert_cmpuint(taken, <, FUZZ_CASES);
    assert_section_taken(&loader, section);
    assert_cap_width(&loader.vm, 39);
    quit_loader(&loader);
    g_byte_array_unref(bytes);
    g_byte_array_unref(section);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(void);
    } tests[] = {
        { "blocked/why", test_blocked },
        { "blocked/once", test_blocked_once },
        { "blocked/not", test_not_blocked },
        { "blocked/only-migratable", test_only_migratable },
        { "blocked/after-unplug", test_blocked_after_unplug },
        { "blocked/failed-plug", test_failed_plug },
        { "blocked/not-for-cpr-reboot", test_cpr_reboot },
        { "pinned", test_pinned },
        { "carried/to-open", test_carried },
        { "carried/on", test_carried_on },
        { "carried/name", test_carried_name },
        { "carried/to-equal", test_carried_to_equal },
        { "carried/to-given", test_carried_to_given },
        { "narrower/taken", test_narrower },
        { "narrower/only-migratable", test_narrower_only_migratable },
        { "wider/refused", test_wider },
        { "wider/carried", test_wider_carried },
        { "given", test_given },
        { "incoming-file", test_incoming_file },
        { "translation", test_translation },
        { "caching-mode/followed", test_caching_mode_followed },
        { "caching-mode/off-followed", test_caching_mode_off_followed },
        { "caching-mode/needed", test_caching_mode_needed },
        { "caching-mode/not-needed-any-more",
          test_caching_mode_not_needed_any_more },
        { "caching-mode/realize-failed", test_caching_mode_realize_failed },
        { "caching-mode/given", test_caching_mode_given },
        { "snapshots", test_snapshots },
        { "base/to", test_to_base },
        { "base/carried-to", test_carried_to_base },
        { "base/from", test_from_base },
        { "base/same-section", test_same_as_base },
        { "section/width", test_section_width },
        { "section/obstacles", test_section_obstacles },
        { "section/lies", test_section_lies },
        { "section/oversized", test_section_oversized },
        { "section/cut", test_section_cut },
        { "section/fuzz", test_fuzz },
    };
    int i, status;

    g_test_init(&argc, &argv, NULL);
    tmpdir = g_dir_make_tmp("iommu-mig-XXXXXX", NULL);
    g_assert_nonnull(tmpdir);
    for (i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf("/intel-iommu-migration/%s",
                                                tests[i].path);

        qtest_add_func(path, tests[i].func);
    }
    status = g_test_run();
    g_rmdir(tmpdir);
    g_free(tmpdir);
    return status;
}
