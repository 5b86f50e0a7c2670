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
#define CM              ",caching-mode=on"
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
#define BLOCKED_STREAM  BLOCKED("the incoming stream")
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

/* @variable: of the environment, naming the QEMU; NULL: ours */
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

/* @message: from @part on, a whole line of the destination's */
static void assert_migration_refused(VM *from, VM *to, const char *part,
                                     const char *message)
{
    g_autofree char *line = NULL;

    migrate(from, to);
    assert_migration_ends(to, "failed");
    assert_migration_ends(from, "failed");
    assert_runs(from);
    line = next_log_line(to, part);
    g_assert_cmpstr(line, ==, message);
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

/* A test device for device_add, as JSON; the width last, then more */
#define PLUG(id, port, width) \
    "{'driver':'host-iommu-testdev','id':'" id "','bus':'" port "'," \
    "'aw-bits':" width "}"
#define NARROWER(guest, host) \
    "host IOMMU cannot back intel-iommu: address width is " #guest " in the " \
    "guest, " #host " on the host ("

/* One VM */

/**
 * struct BlockedCase - a VM, and why it cannot migrate
 *
 * @path: of the test; NULL: this belongs to the test above
 * @iommu: options of intel-iommu
 * @devices: the rest of the command line
 * @reason: NULL: it can
 * @unplug: a device that goes before
 * @plug: one that is not plugged before, as JSON
 * @refused: the message for that one; without one, for the last device of the
 *     command line, and there is no VM
 */
typedef struct BlockedCase {
    const char *path, *iommu, *devices, *reason, *unplug, *plug, *refused;
} BlockedCase;

static const BlockedCase blocked_cases[] = {
    { "blocked/why", OPEN, DEV_39, BLOCKED_DEV1 },
    /* whatever the number of devices, and their order */
    { "blocked/once", OPEN, DEV_42 " " DEV_39, BLOCKED_DEV1 },
    { NULL, OPEN, DEV_39 " " DEV_42, BLOCKED_DEV1 },
    { NULL, OPEN, DEV_42, "intel-iommu adopted what its command line does not "
      "say: address width is 42, from dev2 (use aw-bits=42, in libvirt "
      "aw_bits='42', or migrate-host-caps=on)" },
    { "blocked/not", OPEN, "" },
    { NULL, OPEN, DEV_48 },
    { NULL, OPEN, "-device host-iommu-testdev,bus=rp1,aw-bits=0" },
    { NULL, ",aw-bits=39", DEV_39 },
    { NULL, ",aw-bits=39", DEV_42 },
    { NULL, CARRY, DEV_39 },
    { NULL, ",migrate-host-caps=off", "" },
    { "blocked/only-migratable", OPEN, "-only-migratable " DEV_39,
      .refused = "disallowing migration blocker (--only-migratable) for: "
                 BLOCKED_DEV1 },
    { NULL, CARRY, "-only-migratable " DEV_39 },
    { NULL, ",aw-bits=39", "-only-migratable " DEV_39 },
    { "blocked/after-unplug", OPEN, DEV_39, BLOCKED_DEV1, .unplug = "dev1" },
    /* at coldplug it is the end of QEMU */
    { "blocked/failed-plug", OPEN CM, "", .plug = PLUG("dev1", "rp1", "39"),
      .refused = NARROWER(48, 39) "fixed since the VM started: start it with "
                 "aw-bits=39, in libvirt aw_bits='39', or with "
                 "host-iommu=all)" },
    { NULL, OPEN CM, "", .plug = PLUG("dev1", "rp1", "48,'x-fail-late':true"),
      .refused = "x-fail-late=on: failed as asked" },
    { NULL, OPEN, DEV_39, BLOCKED_DEV1, .plug = PLUG("dev2", "rp2", "38"),
      .refused = NARROWER(39, 38) "intel-iommu needs 39 at least)" },
};

static void run_blocked_case(const BlockedCase *c)
{
    VM vm = start(c->iommu, c->devices);
    int i;

    if (c->unplug) {
        unplug(&vm, c->unplug);
    }
    if (c->plug) {
        assert_hotplug_refused(vm.qts, c->plug, c->refused);
    }
    for (i = 0; i < 2; i++) {
        if (c->reason) {
            assert_migrate_blocked(&vm, c->reason);
        } else {
            assert_blocked(&vm, NULL);
        }
        qtest_system_reset(vm.qts);
    }
    quit(&vm);
}

static void test_blocked_cases(const void *data)
{
    const BlockedCase *c = data;

    do {
        if (c->refused && !c->plug) {
            g_autofree char *vm = g_strdup_printf(Q35, c->iommu);
            g_autofree char *args = g_strconcat(vm, c->devices, NULL);

            assert_device_refused(args, c->refused);
        } else {
            run_blocked_case(c);
        }
        c++;
    } while (c < blocked_cases + ARRAY_SIZE(blocked_cases) && !c->path);
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

/* Two VMs */

typedef enum CachingMode { CM_ANY, CM_OFF, CM_ON } CachingMode;

/**
 * struct Case - a VM that migrates to another, and what comes of it
 *
 * @path: of the test; NULL: this belongs to the test above
 * @from: the source's options of intel-iommu; NULL: the source of the case
 *     above, which is as it was
 * @onward: without @from: the destination of the case above
 * @from_devices: the rest of its command line
 * @to: the destination's options of intel-iommu
 * @to_devices: the rest of its command line
 * @from_base: the source is the pristine base
 * @to_base: the destination is
 * @from_unplug: a device that the source has no more
 * @to_unplug: one that the destination has no more
 * @unrealize: one of the destination's that is there, and not realized
 * @fail_late: it then fails to realize
 * @refused: the destination's message; NULL: the guest arrives
 * @blocked: why the guest that arrived cannot leave; NULL: it can
 * @same: the guest sees what it saw, also after a reset
 * @width: what it is told
 * @cap_width: what its CAP register says; after a reset it is told @reset_width
 * @reset_width: what the guest is told after a reset
 * @cm: the caching mode of the source and of the destination before, and of
 *     the guest that arrived, before and after a reset
 */
typedef struct Case {
    const char *path, *from, *from_devices, *to, *to_devices;
    const char *refused, *blocked;
    bool onward, from_base, to_base, same, fail_late;
    const char *from_unplug, *to_unplug, *unrealize;
    unsigned int width, cap_width, reset_width;
    struct {
        CachingMode from, to, arrived, reset;
    } cm;
} Case;

#define AT_39           ",aw-bits=39"
#define DEV_39_MINE     "-device host-iommu-testdev,id=mine,bus=rp2,aw-bits=39"
#define DEV_39_LONG \
    "-device host-iommu-testdev,aw-bits=39,id=d23456789a123456789b123456789" \
    "c123456789d123456789e123456789f123456789,unit=u23456789a123456789b1234" \
    "56789c123456789"
#define WIDER_THAN_DEV1(there) \
    REFUSED WIDER(there, 39) ", from dev1, host IOMMU dmar0" START_WITH(39)
#define NEEDS_CACHING_MODE(id) \
    "caching-mode is off in the stream, and host-iommu-testdev /machine/" \
    "peripheral/" id " needs it (start the source with caching-mode=on, in " \
    "libvirt caching_mode='on')"

static const Case cases[] = {
    { "pinned", AT_39, DEV_39, AT_39, DEV_39, .width = 39, .same = true },
    /* names are cut, not refused */
    { "carried/name", CARRY, DEV_39_LONG, OPEN, "",
      .blocked = BLOCKED("d23456789a123456789b123456789c123456789d123456789e1"
                         "23456789f123, host IOMMU u23456789a123456789b123456"
                         "789c1") },
    /* at the destination, the same was adopted already */
    { "carried/to-equal", CARRY, DEV_39, OPEN, DEV_39_MINE, .width = 39,
      .blocked = BLOCKED("mine") },
    { "carried/to-given", CARRY, DEV_39, ",aw-bits=48" CM, "",
      REFUSED "address width is 39 in the stream, whose source adopted it, 48 "
      "here (use aw-bits=39, in libvirt aw_bits='39', or leave it out)" },
    { NULL, NULL, NULL, AT_39 CM, "", .width = 39 },
    /* each is told the first one's device */
    { "carried/on", CARRY, DEV_39, CARRY, DEV_48, .cap_width = 39 },
    { NULL, NULL, NULL, CARRY, DEV_42, .onward = true, .width = 39,
      .reset_width = 39 },
    { NULL, NULL, NULL, OPEN, DEV_39, .onward = true,
      .blocked = BLOCKED_DEV1 },
    { "carried/after-unplug", CARRY, DEV_39, OPEN, "", .from_unplug = "dev1",
      .width = 39, .blocked = BLOCKED_DEV1 },
    /* a source that adopted nothing: what is narrower is taken nevertheless */
    { "narrower/taken", AT_39, "", OPEN, "", .same = true,
      .blocked = BLOCKED_STREAM },
    { "narrower/only-migratable", CARRY, DEV_39, OPEN, "-only-migratable",
      BLOCKED_DEV1, .reset_width = 48 },
    { NULL, NULL, NULL, CARRY, "-only-migratable", .width = 39 },
    { "wider/refused", OPEN CM, "", OPEN, DEV_39, WIDER_THAN_DEV1(48),
      .reset_width = 39 },
    /* what was adopted stays in force */
    { NULL, NULL, NULL, OPEN, DEV_39, WIDER_THAN_DEV1(48),
      .to_unplug = "dev1" },
    { NULL, NULL, NULL, OPEN, DEV_48, .width = 48 },
    /* adopted on both sides */
    { "wider/carried", CARRY, DEV_42, OPEN, DEV_39, WIDER_THAN_DEV1(42) },
    /* as in QEMU 10.0 */
    { "given", ",aw-bits=48" CM, "", AT_39 CM, "", .cap_width = 48,
      .reset_width = 39 },

    { "caching-mode/off-followed", OPEN, "", OPEN, DEV_48, .to_unplug = "dev3",
      .cm = { .to = CM_ON, .arrived = CM_OFF, .reset = CM_OFF } },
    { "caching-mode/needed", OPEN, "", OPEN, DEV_48,
      REFUSED NEEDS_CACHING_MODE("dev3") },
    /* a mediated device needs it too */
    { NULL, NULL, NULL, OPEN, DEV_48 ",mdev=on",
      REFUSED NEEDS_CACHING_MODE("dev3") },
    { NULL, NULL, NULL, OPEN, DEV_39,
      WIDER_THAN_DEV1(48) "; " NEEDS_CACHING_MODE("dev1") },
    /* a device that is there still, but not realized, needs nothing */
    { "caching-mode/not-needed-any-more", OPEN, "", OPEN, DEV_48,
      .unrealize = "dev3", .cm.arrived = CM_OFF },
    { NULL, OPEN, "", OPEN, DEV_48 ",mdev=on", .unrealize = "dev3",
      .cm.arrived = CM_OFF },
    /* a mediated one: others keep their host until they are gone */
    { "caching-mode/realize-failed", OPEN, "", OPEN, DEV_48 ",mdev=on",
      .unrealize = "dev3", .fail_late = true, .cm.arrived = CM_OFF },
    /* as in QEMU 10.0 */
    { "caching-mode/given", CM, "", ",caching-mode=off", "",
      .cm = { .arrived = CM_ON, .reset = CM_OFF } },

    { "base/to", OPEN CM, DEV_48, CM, "", .to_base = true, .width = 48 },
    { NULL, AT_39, DEV_39, AT_39 CM, "", .to_base = true, .width = 39 },
    /* it knows no subsection, and must not believe that it can do without */
    { "base/carried-to", CARRY, DEV_39, CM, "",
      "error while loading state for instance 0x0 of device 'iommu-intel'",
      .to_base = true },
    { "base/from", "", "", OPEN, "", .from_base = true, .width = 48 },
    { NULL, AT_39, "", OPEN, "", .from_base = true, .width = 39,
      .reset_width = 39, .blocked = BLOCKED_STREAM },
    { NULL, CM, "", OPEN, DEV_39, WIDER_THAN_DEV1(48), .from_base = true },
};

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

static void assert_caching_mode(VM *vm, CachingMode mode)
{
    if (mode != CM_ANY) {
        g_assert_cmpint(guest_caching_mode(vm), ==, mode == CM_ON);
    }
}

/* Returns: the destination of @c, which waits for a stream */
static VM prepare_destination(const Case *c)
{
    g_autofree char *args = g_strconcat(c->to_devices, " -incoming defer",
                                        NULL);
    VM to = start_binary(c->to_base ? "QTEST_BASE_BINARY" : NULL, c->to, args);

    if (c->to_unplug) {
        unplug(&to, c->to_unplug);
    }
    if (c->unrealize) {
        set_property(&to, c->unrealize, "realized", false);
    }
    if (c->fail_late) {
        set_property(&to, c->unrealize, "x-fail-late", true);
        assert_realize_fails(&to, c->unrealize,
                             "x-fail-late=on: failed as asked");
    }
    assert_caching_mode(&to, c->cm.to);
    return to;
}

static void assert_arrives(const Case *c, VM *from, VM *to)
{
    GuestView before = read_guest_view(from->qts), after;

    assert_migrates(from, to);
    after = read_guest_view(to->qts);
    if (c->same) {
        assert_same_view(&before, &after);
    }
    if (c->width) {
        assert_width(&after, c->width);
    }
    if (c->cap_width) {
        assert_cap_width(to, c->cap_width);
    }
    assert_caching_mode(to, c->cm.arrived);
    assert_blocked(to, c->blocked);
}

/* Returns: the destination */
static VM run_case(const Case *c, VM *from)
{
    VM to = prepare_destination(c);

    assert_caching_mode(from, c->cm.from);
    if (c->refused) {
        assert_migration_refused(from, &to, c->to_base ?
                                 "error while loading state" : "intel-iommu ",
                                 c->refused);
    } else {
        assert_arrives(c, from, &to);
    }
    if (c->same || c->reset_width || c->cm.reset) {
        GuestView arrived = read_guest_view(to.qts), view;

        qtest_system_reset(to.qts);
        view = read_guest_view(to.qts);
        if (c->same) {
            assert_same_view(&arrived, &view);
        }
        if (c->reset_width) {
            assert_width(&view, c->reset_width);
        }
        assert_caching_mode(&to, c->cm.reset);
    }
    return to;
}

static VM start_source(const Case *c)
{
    VM from = start_binary(c->from_base ? "QTEST_BASE_BINARY" : NULL, c->from,
                           c->from_devices);

    if (c->from_unplug) {
        unplug(&from, c->from_unplug);
    }
    return from;
}

static void test_cases(const void *data)
{
    const Case *c = data;
    VM from, to;

    if ((c->from_base || c->to_base) && !have_base()) {
        return;
    }
    from = start_source(c);
    for (;;) {
        to = run_case(c++, &from);
        if (c == cases + ARRAY_SIZE(cases) || c->path) {
            break;
        }
        if (c->from || c->onward) {
            quit(&from);
            from = c->from ? start_source(c) : to;
        }
        if (!c->onward) {
            quit(&to);
        }
    }
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

    assert_hotplug(to.qts, PLUG("dev1", "rp1", "39"));
    assert_hotplug(to.qts, PLUG("dev2", "rp2", "48"));
    unplug(&to, "dev1");
    assert_hotplug_refused(to.qts, PLUG("dev1", "rp1", "38"),
                           NARROWER(39, 38) "intel-iommu needs 39 at least)");
    qtest_system_reset(to.qts);
    after = read_guest_view(to.qts);
    assert_same_view(&before, &after);
    assert_blocked(&to, BLOCKED_DEV1);
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
    assert_hotplug(to.qts, PLUG("dev1", "rp1", "48"));
    unplug(&to, "dev1");
    assert_migrates(&to, &back);
    qtest_system_reset(back.qts);
    g_assert_true(guest_caching_mode(&back));
    quit(&from);
    quit(&to);
    quit(&back);
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
    VM vm = start(CARRY CM, DEV_39);
    GuestView narrow = read_guest_view(vm.qts), wide, view;

    make_disk(&vm, path);
    add_disk(&vm, path);
    assert_hmp(&vm, "savevm narrow", "");
    quit(&vm);

    /* blocked like migration */
    vm = start(OPEN CM, DEV_39);
    add_disk(&vm, path);
    assert_hmp(&vm, "savevm blocked", "Error: " BLOCKED_DEV1);
    assert_hmp(&vm, "loadvm narrow", "");
    assert_guest_width(&vm, 39);
    assert_blocked(&vm, BLOCKED_DEV1);
    quit(&vm);

    vm = start(OPEN CM, "");
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
    assert_hotplug(vm.qts, PLUG("dev1", "rp1", "40"));
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

    vm = start(OPEN CM, DEV_39);
    add_disk(&vm, path);
    assert_hmp(&vm, "loadvm wide", REFUSED WIDER(48, 39) ", from dev1, host "
               "IOMMU dmar0" START_WITH(39) NOT_LOADED);
    qtest_system_reset(vm.qts);
    assert_guest_width(&vm, 39);
    quit(&vm);
    g_unlink(path);
}

/* Streams of intel-iommu's section alone */

#define NO_CONFIGURATION    " -S -global migration.send-configuration=off "

enum {
    SECTION_FULL = 4, SUBSECTION = 5, VMDESCRIPTION = 6, SECTION_FOOTER = 0x7e,
    /* of the section: type, id, name, instance and version */
    STATE_AT = 1 + 4 + 1 + sizeof("iommu-intel") - 1 + 4 + 4,
    NEXT_FAULT_AT = STATE_AT + 34,
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
        "", ",aw-bits=39", CM,
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

/* What no source like ours sends: its field is overwritten */
static const struct {
    unsigned int at, size;
    const char *bytes, *message;
} lies[] = {
    { FIELD_VALUE, 8, "\0\0\0\0\0\0\0\050",
      "address width is 39 in the stream's registers, 40 in what its source "
      "adopted" },
    { FIELD_NAME, 1, "M",
      "the source adopted 'Mgaw', which this QEMU does not know" },
    { FIELD_NAME, 16, "mmmmmmmmmmmmmmmm", "adopted field 0 is malformed" },
    { FIELD_DEVICE, 1, "\n", "adopted field 0 is malformed" },
    { FIELD_DEVICE, 1, "", "adopted field 0 is malformed" },
    { FIELD_UNIT + 31, 1, "x", "adopted field 0 is malformed" },
    /* one that is known, not adopted here, and no other than here */
    { FIELD_NAME, 24, "sc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1",
      "snoop control is off in the stream's registers, on in what its source "
      "adopted" },
};

static void test_section_lies(void)
{
    GByteArray *section = carried_section();
    Loader loader = start_loader(OPEN, "");
    uint8_t *field = section->data + FIELD_AT;
    g_autofree uint8_t *truth = g_memdup2(field, FIELD_SIZE);
    int i;

    for (i = 0; i < ARRAY_SIZE(lies); i++) {
        g_autofree char *message = g_strconcat(REFUSED, lies[i].message, NULL);

        memcpy(field + lies[i].at, lies[i].bytes, lies[i].size);
        assert_section_refused(&loader, section, message);
        memcpy(field, truth, FIELD_SIZE);
    }
    assert_section_taken(&loader, section);
    quit_loader(&loader);
    g_byte_array_unref(section);
}

/* Where the next fault goes: recording it beyond the last would end QEMU */
static void test_section_next_fault(void)
{
    GByteArray *section = carried_section();
    Loader loader = start_loader(OPEN, "");
    uint8_t *next = section->data + NEXT_FAULT_AT;

    g_assert_cmpuint(lduw_be_p(next), ==, 0);
    stw_be_p(next, 1);
    assert_section_refused(&loader, section, "intel-iommu has no Fault "
                           "Recording Register 1, which is the next in the "
                           "stream");
    stw_be_p(next, UINT16_MAX);
    assert_section_refused(&loader, section, "intel-iommu has no Fault "
                           "Recording Register 65535, which is the next in "
                           "the stream");
    stw_be_p(next, 0);
    assert_section_taken(&loader, section);
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
        assert_blocked(&vm, BLOCKED_STREAM);
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

static void add_test(const char *path, const void *data,
                     void (*test)(const void *data))
{
    g_autofree char *full = g_strdup_printf("/intel-iommu-migration/%s", path);

    qtest_add_data_func(full, data, test);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(void);
    } tests[] = {
        { "blocked/not-for-cpr-reboot", test_cpr_reboot },
        { "carried/to-open", test_carried },
        { "incoming-file", test_incoming_file },
        { "translation", test_translation },
        { "caching-mode/followed", test_caching_mode_followed },
        { "snapshots", test_snapshots },
        { "base/same-section", test_same_as_base },
        { "section/width", test_section_width },
        { "section/obstacles", test_section_obstacles },
        { "section/lies", test_section_lies },
        { "section/next-fault", test_section_next_fault },
        { "section/oversized", test_section_oversized },
        { "section/cut", test_section_cut },
        { "section/fuzz", test_fuzz },
    };
    int i, status;

    g_test_init(&argc, &argv, NULL);
    tmpdir = g_dir_make_tmp("iommu-mig-XXXXXX", NULL);
    g_assert_nonnull(tmpdir);
    for (i = 0; i < ARRAY_SIZE(blocked_cases); i++) {
        if (blocked_cases[i].path) {
            add_test(blocked_cases[i].path, &blocked_cases[i],
                     test_blocked_cases);
        }
    }
    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        if (cases[i].path) {
            add_test(cases[i].path, &cases[i], test_cases);
        }
    }
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
