/*
 * intel-iommu's host-iommu=, which names units of the host in advance
 *
 * Made folders stand for the host's /sys, the test device for one that is
 * plugged later. No test leaves the width to its default: that is open as
 * soon as a host is named, whatever it is otherwise.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"
#include "host-iommu-tree.h"
#include "intel-iommu-view.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qstring.h"
#include "vm-refusal.h"

/* Root ports without ACPI: an unplug needs no guest */
#define ROOT_PORT " -device pcie-root-port,id=rp1,chassis=1"
#define HOTPLUG " -global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off" \
                ROOT_PORT
#define ADDRESS "0000:01:00.0"
#define STAGE_1 ",x-scalable-mode=on,x-flts=on"
/* SERVER_57 without 1 GiB first-stage pages */
#define SERVER_57_NO_1G "18ed008c40780c66", "3ef9ea6f050df"

/* A host of a 39-bit and a 48-bit unit, and an AMD one for good measure */
static char *mixed_host(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar0", CLIENT_39);
    host_tree_add_vtd(sysfs, "dmar1", SERVER_48);
    host_tree_add_other(sysfs, "ivhd0", "amd-iommu");
    host_tree_add_pci(sysfs, ADDRESS, "dmar0");
    host_tree_add_pci(sysfs, "0000:02:00.0", "dmar1");
    host_tree_add_pci(sysfs, "0000:03:00.0", NULL);
    return sysfs;
}

static char *vm(const char *sysfs, const char *options)
{
    return g_strdup_printf("-M q35 -nodefaults"
                           " -device host-iommu-testhost,sysfs=%s"
                           " -device intel-iommu,id=iommu0,%s", sysfs, options);
}

/* intel-iommu with @options is as wide as with aw-bits=@width given */
static void assert_adopts(const char *sysfs, const char *options, int width)
{
    g_autofree char *named = vm(sysfs, options);
    g_autofree char *fixed = g_strdup_printf(
        "-M q35 -nodefaults -device intel-iommu,caching-mode=on,aw-bits=%d",
        width);
    GuestView adopted, given;

    g_test_message("%s", options);
    adopted = start_and_read_guest_view(named);
    given = start_and_read_guest_view(fixed);
    assert_width(&adopted, width);
    assert_same_view(&adopted, &given);
}

/* @error follows what the option itself says */
static void assert_refused(const char *sysfs, const char *name,
                           const char *options, const char *error)
{
    g_autofree char *option = g_strdup_printf("host-iommu=%s%s", name,
                                              options);
    g_autofree char *cmdline = vm(sysfs, option);
    g_autofree char *message = g_strdup_printf("host-iommu=%s: %s", name,
                                               error);

    assert_device_refused(cmdline, message);
}

/* What is adopted */

static void test_all(void)
{
    char *sysfs = mixed_host();

    assert_adopts(sysfs, "host-iommu=all", 39);
    host_tree_free(sysfs);
}

static void test_names(void)
{
    char *sysfs = mixed_host();

    assert_adopts(sysfs, "host-iommu=dmar0", 39);
    assert_adopts(sysfs, "host-iommu=dmar1", 48);
    assert_adopts(sysfs, "host-iommu=dmar0:dmar1", 39);
    assert_adopts(sysfs, "host-iommu=dmar1:dmar0", 39);
    host_tree_free(sysfs);
}

static void test_pci_address(void)
{
    char *sysfs = mixed_host();

    assert_adopts(sysfs, "host-iommu=" ADDRESS, 39);
    assert_adopts(sysfs, "host-iommu=0000:02:00.0", 48);
    host_tree_add_pci(sysfs, "0000:0a:00.0", "dmar0");
    assert_adopts(sysfs, "host-iommu=0000:0A:00.0", 39);
    host_tree_free(sysfs);
}

static void test_json(void)
{
    char *sysfs = mixed_host();
    g_autofree char *args = g_strdup_printf(
        "-M q35 -nodefaults -device host-iommu-testhost,sysfs=%s"
        " -device '{\"driver\":\"intel-iommu\",\"host-iommu\":\"dmar0\"}'",
        sysfs);
    GuestView view = start_and_read_guest_view(args);

    assert_width(&view, 39);
    host_tree_free(sysfs);
}

/* Newer kernels use the first stage of such a unit */
static void test_first_stage(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar0", SERVER_57);
    assert_adopts(sysfs, "host-iommu=all", 47);
    host_tree_free(sysfs);
}

/* A device that is there may lower it further */
static void test_with_device(void)
{
    char *sysfs = mixed_host();
    g_autofree char *named = vm(sysfs, "host-iommu=dmar1"
                                " -device host-iommu-testdev,aw-bits=42");
    GuestView view = start_and_read_guest_view(named);

    assert_width(&view, 42);
    host_tree_free(sysfs);
}

static void test_given_fits(void)
{
    char *sysfs = mixed_host();

    assert_adopts(sysfs, "host-iommu=dmar1,aw-bits=44", 44);
    assert_adopts(sysfs, "host-iommu=dmar1,caching-mode=on,aw-bits=48", 48);
    host_tree_free(sysfs);
}

/* The point of it: a device of that host can be plugged later */
static void test_hotplug(void)
{
    char *sysfs = mixed_host();
    g_autofree char *named = vm(sysfs, "host-iommu=" ADDRESS HOTPLUG);
    QTestState *qts = qtest_init(named);

    assert_hotplug_refused(qts,
        "{\"driver\":\"host-iommu-testdev\",\"id\":\"dev1\",\"bus\":\"rp1\","
        "\"unit\":\"dmar9\",\"aw-bits\":38}",
        "host IOMMU dmar9 cannot back intel-iommu: address width is 39 in the "
        "guest, 38 on the host (intel-iommu needs 39 at least)");
    assert_hotplug(qts,
        "{\"driver\":\"host-iommu-testdev\",\"id\":\"dev1\",\"bus\":\"rp1\","
        "\"aw-bits\":39}");
    qtest_quit(qts);
    host_tree_free(sysfs);
}

static void test_reset(void)
{
    char *sysfs = mixed_host();
    g_autofree char *named = vm(sysfs, "host-iommu=dmar0");
    QTestState *qts = qtest_init(named);
    GuestView before = read_guest_view(qts), after;

    qtest_system_reset(qts);
    after = read_guest_view(qts);
    assert_same_view(&before, &after);
    qtest_quit(qts);
    host_tree_free(sysfs);
}

/* First-stage translation */

/* Returns: field @name of the only vIOMMU, which the caller unrefs */
static QDict *query_field(QTestState *qts, const char *name)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-viommu' }");
    QDict *info = qobject_to(QDict, qlist_peek(qdict_get_qlist(rsp,
                                                               "return")));
    QDict *found = NULL;
    QListEntry *e;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(info, "fields"), e) {
        QDict *field = qobject_to(QDict, qlist_entry_obj(e));

        if (!strcmp(qdict_get_str(field, "name"), name)) {
            found = qobject_ref(field);
        }
    }
    g_assert_nonnull(found);
    qobject_unref(rsp);
    return found;
}

/* @from: where it was adopted, or NULL if @origin is another one */
static void assert_field(QTestState *qts, const char *name, int value,
                         const char *origin, const char *from)
{
    QDict *field = query_field(qts, name);
    QDict *adopted = qdict_get_qdict(field, "adopted");

    g_assert_cmpint(qdict_get_int(field, "value"), ==, value);
    g_assert_cmpstr(qdict_get_str(field, "origin"), ==, origin);
    g_assert_cmpint(!!adopted, ==, !!from);
    if (adopted) {
        g_assert_cmpstr(qdict_get_str(adopted, "from"), ==, from);
        g_assert_cmpstr(qdict_get_str(adopted, "unit"), ==, "dmar0");
    }
    qobject_unref(field);
}

static void test_fs1gp_given(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar0", SERVER_57_NO_1G);
    assert_refused(sysfs, "dmar0", STAGE_1 ",fs1gp=on",
                   "host IOMMU dmar0 cannot back intel-iommu: 1 GiB "
                   "first-stage pages: on in the guest, off on the host (use "
                   "fs1gp=off)");
    host_tree_free(sysfs);
}

/* As every device of that host would be */
static void test_stage_1(void)
{
    char *sysfs = host_tree_new();
    g_autofree char *cmdline = vm(sysfs, "host-iommu=dmar0" STAGE_1);

    host_tree_add_vtd(sysfs, "dmar0", SERVER_57);
    qtest_quit(qtest_init(cmdline));
    host_tree_free(sysfs);
}

/* Without first-stage translation nobody sees it */
static void test_fs1gp_without_stage_1(void)
{
    char *sysfs = mixed_host();
    g_autofree char *named = vm(sysfs, "host-iommu=dmar0,fs1gp=on");
    QTestState *qts = qtest_init(named);

    assert_field(qts, "fs1gp", 0, "given", NULL);
    assert_field(qts, "address-width", 39, "adopted", "named-host");
    qtest_quit(qts);
    host_tree_free(sysfs);
}

/* Migration: a stream in a file, of one VM, that another loads */

#define CARRY           ",migrate-host-caps=on"
#define Q35 \
    "-M q35 -nodefaults -device intel-iommu,caching-mode=on,aw-bits=48"
#define ADOPTED \
    "intel-iommu adopted what its command line does not say: "
#define BLOCKED_39 \
    ADOPTED "address width is 39, from host IOMMU dmar0 (use aw-bits=39, in " \
    "libvirt aw_bits='39', or migrate-host-caps=on)"
#define BLOCKED_1G(from) \
    ADOPTED "1 GiB first-stage pages is off, from " from " (use fs1gp=off, " \
    "or migrate-host-caps=on)"

/* @reason: the only one, or NULL where there is none */
static void assert_blocked(QTestState *qts, const char *reason)
{
    QDict *rsp = qtest_qmp_assert_success_ref(qts,
                                              "{'execute': 'query-migrate'}");
    QList *reasons = qdict_get_qlist(rsp, "blocked-reasons");

    g_assert_cmpint(reasons ? qlist_size(reasons) : 0, ==, !!reason);
    if (reason) {
        g_assert_cmpstr(qstring_get_str(qobject_to(QString,
                                                   qlist_peek(reasons))),
                        ==, reason);
    }
    qobject_unref(rsp);
}

static void assert_migration_ends(QTestState *qts, const char *want)
{
    int64_t end = g_get_monotonic_time() + 120 * G_USEC_PER_SEC;

    for (;;) {
        QDict *rsp = qtest_qmp_assert_success_ref(
            qts, "{'execute': 'query-migrate'}");
        g_autofree char *status = g_strdup(qdict_get_try_str(rsp, "status"));

        qobject_unref(rsp);
        if (!g_strcmp0(status, "completed") || !g_strcmp0(status, "failed")) {
            g_assert_cmpstr(status, ==, want);
            return;
        }
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(5000);
    }
}

/* Returns: the file with what @qts sends, which ends */
static char *take_stream(QTestState *qts)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *uri = NULL;
    char *path = NULL;
    int fd = g_file_open_tmp("named-host-XXXXXX", &path, &err);

    g_assert_no_error(err);
    close(fd);
    uri = g_strdup_printf("file:%s", path);
    qtest_qmp_assert_success(qts, "{'execute': 'migrate',"
                             " 'arguments': { 'uri': %s } }", uri);
    assert_migration_ends(qts, "completed");
    qtest_quit(qts);
    return path;
}

/* Returns: the file with what a VM with @args sends */
static char *stream_of(const char *args)
{
    return take_stream(qtest_init(args));
}

/* Returns: a VM with @args that was given the stream in @path */
static QTestState *load(const char *args, const char *path, const char *end)
{
    g_autofree char *incoming = g_strdup_printf("%s -incoming defer", args);
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    QTestState *qts = qtest_init(incoming);

    qtest_qmp_assert_success(qts, "{'execute': 'migrate-incoming',"
                             " 'arguments': { 'uri': %s,"
                             " 'exit-on-error': false } }", uri);
    assert_migration_ends(qts, end);
    return qts;
}

static void test_blocked(void)
{
    char *sysfs = mixed_host();
    g_autofree char *plain = vm(sysfs, "host-iommu=all");
    g_autofree char *wide = vm(sysfs, "host-iommu=dmar1");
    g_autofree char *carrying = vm(sysfs, "host-iommu=all" CARRY);
    QTestState *qts = qtest_init(plain);
    QDict *err;

    assert_blocked(qts, BLOCKED_39);
    err = qtest_qmp_assert_failure_ref(
        qts, "{'execute': 'migrate', 'arguments': {"
        " 'uri': 'file:/dev/null' } }");
    g_assert_cmpstr(qdict_get_str(err, "desc"), ==, BLOCKED_39);
    qobject_unref(err);
    qtest_quit(qts);

    /* named, and nothing adopted */
    qts = qtest_init(wide);
    assert_blocked(qts, NULL);
    qtest_quit(qts);
    qts = qtest_init(carrying);
    assert_blocked(qts, NULL);
    qtest_quit(qts);
    host_tree_free(sysfs);
}

static void test_only_migratable(void)
{
    static const char *const good[] = {
        "host-iommu=all" CARRY, "host-iommu=dmar1",
        "host-iommu=all,aw-bits=39",
    };
    char *sysfs = mixed_host();
    g_autofree char *plain = vm(sysfs, "host-iommu=all");
    g_autofree char *bad = g_strdup_printf("-only-migratable %s", plain);
    int i;

    assert_device_refused(bad, "disallowing migration blocker "
                          "(--only-migratable) for: " BLOCKED_39);
    for (i = 0; i < ARRAY_SIZE(good); i++) {
        g_autofree char *named = vm(sysfs, good[i]);
        g_autofree char *args = g_strdup_printf("-only-migratable %s", named);
        QTestState *qts = qtest_init(args);

        assert_blocked(qts, NULL);
        qtest_quit(qts);
    }
    host_tree_free(sysfs);
}

/* To where no host is named, and to where the same one is */
static void test_carried(void)
{
    char *sysfs = mixed_host();
    g_autofree char *named = vm(sysfs, "host-iommu=dmar0" CARRY);
    g_autofree char *open = vm(sysfs, "aw-bits=0");
    g_autofree char *path = stream_of(named);
    QTestState *qts = load(open, path, "completed");
    GuestView view;

    qtest_system_reset(qts);
    view = read_guest_view(qts);
    assert_width(&view, 39);
    assert_blocked(qts, BLOCKED_39);
    qtest_quit(qts);

    qts = load(named, path, "completed");
    qtest_system_reset(qts);
    view = read_guest_view(qts);
    assert_width(&view, 39);
    assert_blocked(qts, NULL);
    qtest_quit(qts);
    unlink(path);
    host_tree_free(sysfs);
}

/*
 * @source and what it says of where it adopted its 39 bits: a VM that takes its
 * stream has them from there, and @name and @unit, or NULL, from its words.
 */
static void assert_from_stream(QTestState *source, const char *name,
                               const char *unit)
{
    g_autofree char *path = take_stream(source);
    QTestState *qts = load("-M q35 -nodefaults" ROOT_PORT
                           " -device intel-iommu,id=iommu0,aw-bits=0",
                           path, "completed");
    QDict *field = query_field(qts, "address-width");
    QDict *adopted = qdict_get_qdict(field, "adopted");

    g_assert_cmpstr(qdict_get_str(adopted, "from"), ==, "stream");
    g_assert_cmpint(qdict_get_int(adopted, "before"), ==, 48);
    g_assert_cmpstr(qdict_get_try_str(adopted, "name"), ==, name);
    g_assert_cmpstr(qdict_get_try_str(adopted, "unit"), ==, unit);
    qobject_unref(field);
    qtest_quit(qts);
    unlink(path);
}

static void test_from_stream(void)
{
    char *sysfs = mixed_host();
    g_autofree char *named = vm(sysfs, "host-iommu=dmar0" CARRY ROOT_PORT);
    g_autofree char *given = vm(sysfs, "aw-bits=39" ROOT_PORT);
    g_autofree char *device = vm(sysfs, "aw-bits=0" CARRY ROOT_PORT
                                 " -device host-iommu-testdev,id=dev1,bus=rp1,"
                                 "unit=dmar7,aw-bits=39");
    QTestState *qts;

    assert_from_stream(qtest_init(named), NULL, "dmar0");
    assert_from_stream(qtest_init(given), NULL, NULL);
    qts = qtest_init(device);
    /* with ACPI, a reset unplugs what the guest does not */
    qtest_qmp_device_del_send(qts, "dev1");
    qtest_system_reset_nowait(qts);
    qtest_qmp_eventwait(qts, "DEVICE_DELETED");
    assert_from_stream(qts, "dev1", "dmar7");
    host_tree_free(sysfs);
}

static void assert_1g(QTestState *qts, bool on)
{
    GuestView view = read_guest_view(qts);

    g_assert_cmpint(!!(view.cap & VTD_CAP_FS1GP), ==, on);
    /* which an adopted fs1gp has nothing to do with */
    assert_width(&view, 48);
}

/* A source that adopted nothing */
static void test_1g_compared(void)
{
    static const char open[] = Q35 STAGE_1;
    static const char off[] = Q35 ",fs1gp=off" STAGE_1;
    g_autofree char *path = stream_of(off);
    QTestState *qts = load(open, path, "completed");

    qtest_system_reset(qts);
    assert_1g(qts, false);
    assert_blocked(qts, BLOCKED_1G("the incoming stream"));
    qtest_quit(qts);
    unlink(path);
}

/* What is refused */

#define THERE "this host has dmar0, dmar1, ivhd0"
/* MGAW 57, SAGAW 0 */
#define INTERRUPTS_ONLY "380000", "0"
#define NO_TRANSLATION \
    "dmar0 does not translate DMA: its CAP has page tables of no width " \
    "(SAGAW is 0) (this host has dmar0, dmar1)"

static void test_given_above_host(void)
{
    char *sysfs = mixed_host();

    assert_refused(sysfs, "all", ",aw-bits=48",
                   "host IOMMU dmar0 cannot back intel-iommu: address width "
                   "is 48 in the guest, 39 on the host (use aw-bits=39, in "
                   "libvirt aw_bits='39', or leave it out to adopt the "
                   "host's)");
    host_tree_free(sysfs);
}

static void test_caching_mode_off(void)
{
    char *sysfs = mixed_host();

    assert_refused(sysfs, "dmar1", ",caching-mode=off",
                   "an assigned device needs intel-iommu's caching-mode, "
                   "which is off (use caching-mode=on, in libvirt "
                   "caching_mode='on', or leave it out)");
    host_tree_free(sysfs);
}

static void test_no_such_name(void)
{
    char *sysfs = mixed_host();

    assert_refused(sysfs, "dmar7", "",
                   "there is no IOMMU 'dmar7': " THERE);
    assert_refused(sysfs, "dmar0:dmar7", "",
                   "there is no IOMMU 'dmar7': " THERE);
    assert_refused(sysfs, "dmar0:", "", "there is no IOMMU '': " THERE);
    assert_refused(sysfs, "", "", THERE);
    assert_refused(sysfs, "01:00.0", "", "there is no IOMMU '01': " THERE);
    assert_refused(sysfs, "../class", "",
                   "there is no IOMMU '../class': " THERE);
    assert_refused(sysfs, "dmar0:dmar1:dmar0", "", "dmar0 is named twice");
    host_tree_free(sysfs);
}

static void test_no_such_device(void)
{
    char *sysfs = mixed_host();
    g_autofree char *absent = g_strdup_printf(
        "this host has no such PCI device: there is no "
        "%s/bus/pci/devices/0000:09:00.0 (" THERE ")", sysfs);
    g_autofree char *bare = g_strdup_printf(
        "no IOMMU of this host is behind the device: there is no "
        "%s/bus/pci/devices/0000:03:00.0/iommu (" THERE ")", sysfs);

    assert_refused(sysfs, "0000:09:00.0", "", absent);
    assert_refused(sysfs, "0000:03:00.0", "", bare);
    host_tree_free(sysfs);
}

static void test_no_iommu(void)
{
    char *sysfs = host_tree_new();
    g_autofree char *none = g_strdup_printf(
        "this host shows no IOMMU in %s/class/iommu: is it on, in the firmware "
        "and with intel_iommu=on?", sysfs);
    g_autofree char *no_dmar0 = g_strdup_printf(
        "there is no IOMMU 'dmar0': %s", none);

    assert_refused(sysfs, "all", "", none);
    assert_refused(sysfs, "dmar0", "", no_dmar0);
    host_tree_free(sysfs);
}

static void test_other_kind(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_other(sysfs, "ivhd0", "amd-iommu");
    host_tree_add_other(sysfs, "smmu0", "other");
    assert_refused(sysfs, "ivhd0", "", "ivhd0 is amd-vi, not intel-vtd (this "
                   "host has ivhd0, smmu0)");
    assert_refused(sysfs, "smmu0", "", "smmu0 is of another kind, not "
                   "intel-vtd (this host has ivhd0, smmu0)");
    assert_refused(sysfs, "all", "", "none of them is intel-vtd and "
                   "translates DMA (this host has ivhd0, smmu0)");
    host_tree_free(sysfs);
}

/* A unit that only remaps interrupts: Linux has no device behind it */
static void test_no_translation(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar0", INTERRUPTS_ONLY);
    assert_refused(sysfs, "all", "", "none of them is intel-vtd and "
                   "translates DMA (this host has dmar0)");
    host_tree_add_vtd(sysfs, "dmar1", CLIENT_39);
    host_tree_add_pci(sysfs, ADDRESS, "dmar0");
    assert_refused(sysfs, "dmar0", "", NO_TRANSLATION);
    assert_refused(sysfs, "dmar1:dmar0", "", NO_TRANSLATION);
    assert_refused(sysfs, ADDRESS, "", NO_TRANSLATION);
    assert_adopts(sysfs, "host-iommu=all", 39);
    host_tree_free(sysfs);
}

static bool has_property(const char *name)
{
    QTestState *qts = qtest_init("-M none");
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'device-list-properties',"
                                " 'arguments': { 'typename': 'intel-iommu' } }");
    bool found = false;
    QListEntry *e;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), e) {
        QDict *property = qobject_to(QDict, qlist_entry_obj(e));

        found |= !strcmp(qdict_get_str(property, "name"), name);
    }
    qobject_unref(rsp);
    qtest_quit(qts);
    return found;
}

static void test_nested(void)
{
    char *sysfs;

    if (!has_property("x-nested")) {
        g_test_skip("there is no x-nested");
        return;
    }
    sysfs = mixed_host();
    assert_refused(sysfs, "dmar1", STAGE_1 ",x-nested=on",
                   "intel-iommu does not support assigned devices with "
                   "x-nested=on: its nested translation is emulated only "
                   "(use x-nested=off and x-flts=off)");
    host_tree_free(sysfs);
}

/* The width that was given fits, and no device of the host would */
static void test_ram_above_host(void)
{
    char *sysfs = mixed_host();

    assert_refused(sysfs, "dmar0", ",aw-bits=39 -M memory-backend=ram -m 600G"
                   " -object memory-backend-ram,id=ram,size=600G,reserve=off",
                   "host IOMMU dmar0 cannot back intel-iommu: guest RAM ends "
                   "at 0x9680000000 and takes 40 address bits, 39 on the host "
                   "(give the VM less)");
    host_tree_free(sysfs);
}

/* Root may read what has no permission, but nobody a link to itself */
static void test_unreadable(void)
{
    char *sysfs = mixed_host();
    g_autofree char *cap = host_tree_file(sysfs, "dmar0", "intel-iommu/cap");
    g_autofree char *loop = g_strdup_printf(
        "what dmar0 can do cannot be read: %s/class/iommu/dmar0/intel-iommu/"
        "cap: Too many levels of symbolic links (" THERE ")", sysfs);
    g_autofree char *denied = g_strdup_printf(
        "what dmar0 can do cannot be read: %s/class/iommu/dmar0/intel-iommu/"
        "cap: Permission denied (" THERE ")", sysfs);

    if (geteuid()) {
        g_assert_cmpint(chmod(cap, 0), ==, 0);
        assert_refused(sysfs, "dmar0", "", denied);
    }
    g_assert_cmpint(unlink(cap), ==, 0);
    g_assert_cmpint(symlink("cap", cap), ==, 0);
    assert_refused(sysfs, "dmar0", "", loop);
    assert_refused(sysfs, "all", "", loop);
    host_tree_free(sysfs);
}

static void test_malformed(void)
{
    char *sysfs = host_tree_new();
    g_autofree char *error = g_strdup_printf(
        "what dmar0 can do cannot be read: %s/class/iommu/dmar0/intel-iommu: "
        "cap or ecap is not a register (this host has dmar0)", sysfs);

    host_tree_add_vtd(sysfs, "dmar0", "0xd2008c40660462", "f050da");
    assert_refused(sysfs, "dmar0", "", error);
    host_tree_free(sysfs);
}

/* As in a sandbox that hides the folder to which the name leads */
static void test_hidden(void)
{
    char *sysfs = mixed_host();
    g_autofree char *unit = host_tree_file(sysfs, "dmar0", "");
    g_autofree char *away = host_tree_file(sysfs, "hidden", "");
    g_autofree char *error = g_strdup_printf(
        "what dmar0 can do cannot be read: %s/class/iommu/dmar0 leads nowhere "
        "that QEMU can see (" THERE ")", sysfs);

    g_assert_cmpint(rename(unit, away), ==, 0);
    assert_refused(sysfs, "all", "", error);
    host_tree_free(sysfs);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(void);
    } tests[] = {
        { "adopt/all", test_all },
        { "adopt/names", test_names },
        { "adopt/pci-address", test_pci_address },
        { "adopt/json", test_json },
        { "adopt/first-stage", test_first_stage },
        { "adopt/with-device", test_with_device },
        { "adopt/given-fits", test_given_fits },
        { "adopt/hotplug", test_hotplug },
        { "adopt/reset", test_reset },
        { "stage-1/refused", test_stage_1 },
        { "stage-1/fs1gp-given", test_fs1gp_given },
        { "stage-1/fs1gp-without-stage-1", test_fs1gp_without_stage_1 },
        { "migration/blocked", test_blocked },
        { "migration/only-migratable", test_only_migratable },
        { "migration/carried", test_carried },
        { "migration/from-stream", test_from_stream },
        { "migration/fs1gp-compared", test_1g_compared },
        { "refuse/given-above-host", test_given_above_host },
        { "refuse/caching-mode-off", test_caching_mode_off },
        { "refuse/no-such-name", test_no_such_name },
        { "refuse/no-such-device", test_no_such_device },
        { "refuse/no-iommu", test_no_iommu },
        { "refuse/other-kind", test_other_kind },
        { "refuse/no-translation", test_no_translation },
        { "refuse/nested", test_nested },
        { "refuse/ram-above-host", test_ram_above_host },
        { "refuse/unreadable", test_unreadable },
        { "refuse/malformed", test_malformed },
        { "refuse/hidden", test_hidden },
    };
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf("/intel-iommu-named-host/%s",
                                                tests[i].path);

        qtest_add_func(path, tests[i].func);
    }
    return g_test_run();
}
