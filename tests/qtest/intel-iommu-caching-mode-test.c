/*
 * intel-iommu's caching-mode with and without assigned devices
 *
 * The test device stands for an assigned one, with mdev=on for a mediated
 * one, which never introduces itself to the vIOMMU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"
#include "intel-iommu-view.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "vm-refusal.h"

#define Q35             "-M q35 -nodefaults "
#define TESTDEV         " -device host-iommu-testdev"
#define MDEV            " -device host-iommu-testdev,mdev=on"

/* After intel-iommu in either syntax */
#define JSON_TESTDEV    " -device '{\"driver\":\"host-iommu-testdev\"}'"
#define JSON_MDEV       " -device '{\"driver\":\"host-iommu-testdev\"," \
                        "\"id\":\"dev1\",\"mdev\":true}'"

#define NEEDS_IT        "an assigned device needs intel-iommu's " \
                        "caching-mode, which is off "
#define COLDPLUG_ERROR  NEEDS_IT "(use caching-mode=on, in libvirt " \
                        "caching_mode='on', or leave it out)"
#define HOTPLUG_ERROR   NEEDS_IT "(fixed since the VM started: start it with " \
                        "caching-mode=on, in libvirt caching_mode='on')"
#define ORDER_ERROR     " precedes intel-iommu, which would not know of it: " \
                        "put intel-iommu first on the command line, and both " \
                        "as JSON or neither"

/* As it may be given */
static const char *const given_off[] = {
    "-device intel-iommu,caching-mode=off",
    "-device intel-iommu,caching-mode=no",
    "-device intel-iommu,caching-mode=false",
    "-device intel-iommu,caching-mode=n",
    "-device '{\"driver\":\"intel-iommu\",\"caching-mode\":false}'",
    "-global intel-iommu.caching-mode=off -device intel-iommu",
};

static const char *const given_on[] = {
    "-device intel-iommu,caching-mode=on",
    "-device intel-iommu,caching-mode=yes",
    "-device intel-iommu,caching-mode=true",
    "-device intel-iommu,caching-mode=y",
    "-device '{\"driver\":\"intel-iommu\",\"caching-mode\":true}'",
    "-global intel-iommu.caching-mode=on -device intel-iommu",
};

static bool tells_caching_mode(QTestState *qts)
{
    return qtest_readq(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_CAP_REG) &
           VTD_CAP_CM;
}

/* Asserts what CAP.CM is in a VM of @args, and that a reset changes nothing */
static void assert_caching_mode(const char *args, bool on)
{
    QTestState *qts = qtest_init(args);

    g_assert_cmpint(tells_caching_mode(qts), ==, on);
    qtest_system_reset(qts);
    g_assert_cmpint(tells_caching_mode(qts), ==, on);
    qtest_quit(qts);
}

static char *with_iommu(const char *iommu, const char *devices)
{
    return g_strconcat(Q35, iommu, devices, NULL);
}

/* Not given */

static void test_open_without_device(void)
{
    assert_caching_mode(Q35 "-device intel-iommu", false);
    assert_caching_mode(Q35 "-device intel-iommu -device edu", false);
}

static void test_open_with_device(void)
{
    assert_caching_mode(Q35 "-device intel-iommu" TESTDEV, true);
    assert_caching_mode(Q35 "-device '{\"driver\":\"intel-iommu\"}'"
                        JSON_TESTDEV, true);
    assert_caching_mode(Q35 "-device intel-iommu"
                        " -device pcie-root-port,id=rp1,chassis=1"
                        TESTDEV ",bus=rp1", true);
}

static void test_open_with_mediated_device(void)
{
    assert_caching_mode(Q35 "-device intel-iommu" MDEV, true);
}

static void test_open_with_device_that_bypasses(void)
{
    assert_caching_mode("-M q35,default_bus_bypass_iommu=on -nodefaults"
                        " -device intel-iommu" TESTDEV MDEV, false);
    assert_caching_mode(Q35 "-device intel-iommu"
                        " -device pxb-pcie,id=pxb,bus_nr=32,bypass_iommu=on"
                        " -device pcie-root-port,id=rp1,bus=pxb,chassis=1"
                        TESTDEV ",bus=rp1", false);
}

/* The property, too, tells what it came to */
static void test_open_property(void)
{
    static const char *const devices[] = { "", TESTDEV };
    int i;

    for (i = 0; i < ARRAY_SIZE(devices); i++) {
        g_autofree char *args = with_iommu("-device intel-iommu,id=viommu",
                                           devices[i]);
        QTestState *qts = qtest_init(args);

        g_assert_cmpint(qtest_qom_get_bool(qts, "/machine/peripheral/viommu",
                                           "caching-mode"), ==, i);
        qtest_quit(qts);
    }
}

/* What was turned on equals what is given on */
static void test_open_equals_given(void)
{
    GuestView open = start_and_read_guest_view(
        Q35 "-device intel-iommu" TESTDEV);
    GuestView given = start_and_read_guest_view(
        Q35 "-device intel-iommu,caching-mode=on" TESTDEV);

    assert_same_view(&open, &given);
}

/* Given off */

static void test_off_without_device(void)
{
    int i;

    for (i = 0; i < ARRAY_SIZE(given_off); i++) {
        g_autofree char *args = with_iommu(given_off[i], "");

        assert_caching_mode(args, false);
    }
}

static void test_off_with_device(void)
{
    int i;

    for (i = 0; i < ARRAY_SIZE(given_off); i++) {
        g_autofree char *args = with_iommu(given_off[i], JSON_TESTDEV);

        assert_device_refused(args, COLDPLUG_ERROR);
    }
}

static void test_off_with_mediated_device(void)
{
    int i;

    for (i = 0; i < ARRAY_SIZE(given_off); i++) {
        g_autofree char *args = with_iommu(given_off[i], JSON_MDEV);

        assert_device_refused(args, COLDPLUG_ERROR);
    }
}

static void test_off_with_device_that_bypasses(void)
{
    assert_caching_mode("-M q35,default_bus_bypass_iommu=on -nodefaults"
                        " -device intel-iommu,caching-mode=off" TESTDEV MDEV,
                        false);
}

/* Given on */

static void test_on(void)
{
    int i;

    for (i = 0; i < ARRAY_SIZE(given_on); i++) {
        g_autofree char *without = with_iommu(given_on[i], "");
        g_autofree char *with = with_iommu(given_on[i],
                                           JSON_TESTDEV JSON_MDEV);

        assert_caching_mode(without, true);
        assert_caching_mode(with, true);
    }
}

/* The setter takes what a bool takes, and says no in the same words */
static void test_not_a_boolean(void)
{
    static const char json[] =
        "-M q35 -device '{\"driver\":\"intel-iommu\",\"caching-mode\":%s}'";
    g_autofree char *string = g_strdup_printf(json, "\"on\"");
    g_autofree char *number = g_strdup_printf(json, "1");

    assert_device_refused(string, "Invalid parameter type for 'caching-mode', "
                                  "expected: boolean");
    assert_device_refused(number, "Invalid parameter type for 'caching-mode', "
                                  "expected: boolean");
    assert_device_refused("-M q35 -device intel-iommu,caching-mode=auto",
                          "Parameter 'caching-mode' expects 'on' or 'off'");
}

/* The order on the command line */

static void test_device_before_iommu(void)
{
    assert_device_refused("-M q35" TESTDEV ",id=dev1 -device intel-iommu",
                          "host-iommu-testdev /machine/peripheral/dev1"
                          ORDER_ERROR);
    assert_device_refused("-M q35" MDEV ",id=dev1"
                          " -device intel-iommu,caching-mode=on",
                          "host-iommu-testdev /machine/peripheral/dev1"
                          ORDER_ERROR);
}

/* All -device in legacy syntax come before all in JSON */
static void test_legacy_device_before_json_iommu(void)
{
    assert_start_refused(
        "-M q35 -device '{\"driver\":\"intel-iommu\",\"id\":\"iommu0\"}'"
        TESTDEV ",id=dev1,addr=5",
        "-device {\"driver\":\"intel-iommu\",\"id\":\"iommu0\"}: "
        "host-iommu-testdev /machine/peripheral/dev1" ORDER_ERROR);
}

static void test_device_that_bypasses_before_iommu(void)
{
    assert_caching_mode("-M q35,default_bus_bypass_iommu=on -nodefaults"
                        TESTDEV MDEV " -device intel-iommu", false);
}

/* Hotplug */

#define HOTPLUG_VM  Q35 "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-" \
                    "support=off -device pcie-root-port,id=rp1,chassis=1" \
                    " -device pcie-root-port,id=rp2,chassis=2" \
                    " -device intel-iommu"

#define DEVICE_JSON "{\"driver\":\"host-iommu-testdev\",\"id\":\"dev1\"," \
                    "\"bus\":\"rp1\"}"
#define MDEV_JSON   "{\"driver\":\"host-iommu-testdev\",\"id\":\"dev2\"," \
                    "\"bus\":\"rp2\",\"mdev\":true}"

static void assert_hotplug_needs_it(const char *args)
{
    QTestState *qts = qtest_init(args);

    assert_hotplug_refused(qts, DEVICE_JSON, HOTPLUG_ERROR);
    assert_hotplug_refused(qts, MDEV_JSON, HOTPLUG_ERROR);
    g_assert_false(tells_caching_mode(qts));
    qtest_system_reset(qts);
    g_assert_false(tells_caching_mode(qts));
    qtest_quit(qts);
}

static void assert_hotplug_fits(const char *args)
{
    QTestState *qts = qtest_init(args);

    assert_hotplug(qts, DEVICE_JSON);
    assert_hotplug(qts, MDEV_JSON);
    g_assert_true(tells_caching_mode(qts));
    qtest_quit(qts);
}

static void test_hotplug_open(void)
{
    assert_hotplug_needs_it(HOTPLUG_VM);
}

static void test_hotplug_off(void)
{
    assert_hotplug_needs_it(HOTPLUG_VM ",caching-mode=off");
}

static void test_hotplug_on(void)
{
    assert_hotplug_fits(HOTPLUG_VM ",caching-mode=on");
}

static void test_hotplug_beside_coldplugged(void)
{
    assert_hotplug_fits(HOTPLUG_VM TESTDEV);
    assert_hotplug_fits(HOTPLUG_VM MDEV);
}

/* Nor does a device that bypasses the vIOMMU */
static void test_hotplug_on_bus_that_bypasses(void)
{
    static const char *const given[] = { "", ",caching-mode=off" };
    int i;

    for (i = 0; i < ARRAY_SIZE(given); i++) {
        g_autofree char *args = g_strconcat(
            HOTPLUG_VM, given[i],
            " -device pxb-pcie,id=pxb,bus_nr=32,bypass_iommu=on"
            " -device pcie-root-port,id=rp3,bus=pxb,chassis=3"
            " -device pcie-root-port,id=rp4,bus=pxb,chassis=4", NULL);
        QTestState *qts = qtest_init(args);

        assert_hotplug(qts, "{\"driver\":\"host-iommu-testdev\","
                            "\"id\":\"dev3\",\"bus\":\"rp3\"}");
        assert_hotplug(qts, "{\"driver\":\"host-iommu-testdev\","
                            "\"id\":\"dev4\",\"bus\":\"rp4\","
                            "\"mdev\":true}");
        assert_hotplug_refused(qts, DEVICE_JSON, HOTPLUG_ERROR);
        g_assert_false(tells_caching_mode(qts));
        qtest_quit(qts);
    }
}

/* Others do not need it */
static void test_hotplug_emulated(void)
{
    QTestState *qts = qtest_init(HOTPLUG_VM ",caching-mode=off");

    assert_hotplug(qts, "{\"driver\":\"edu\",\"id\":\"dev1\",\"bus\":\"rp1\"}");
    qtest_quit(qts);
}

/* It stays on when the device that needed it has gone */
static void test_stays_after_unplug(void)
{
    QTestState *qts = qtest_init(HOTPLUG_VM TESTDEV ",id=dev0,bus=rp2");

    g_assert_true(tells_caching_mode(qts));
    assert_hotplug(qts, DEVICE_JSON);
    qtest_qmp_device_del(qts, "dev1");
    qtest_system_reset(qts);
    g_assert_true(tells_caching_mode(qts));
    assert_hotplug(qts, DEVICE_JSON);
    qtest_quit(qts);
}

/* What libvirt looks at */

static QDict *list_properties(const char *variable)
{
    QTestState *qts = qtest_init_with_env(variable, "-M none", true);
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'device-list-properties',"
                                " 'arguments': { 'typename':"
                                " 'intel-iommu' } }");
    QDict *properties = qdict_new();
    QListEntry *e;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), e) {
        QDict *property = qobject_to(QDict, qlist_entry_obj(e));

        qdict_put_obj(properties, qdict_get_str(property, "name"),
                      qobject_ref(QOBJECT(property)));
    }
    qobject_unref(rsp);
    qtest_quit(qts);
    return properties;
}

/* Except for what a description and a default say of what is left open */
static void test_properties_of_base(void)
{
    QDict *ours, *base;
    const QDictEntry *e;

    if (!have_base()) {
        return;
    }
    ours = list_properties("QTEST_QEMU_BINARY");
    base = list_properties("QTEST_BASE_BINARY");
    for (e = qdict_first(base); e; e = qdict_next(base, e)) {
        const char *name = qdict_entry_key(e);
        QDict *theirs = qobject_to(QDict, qdict_entry_value(e));
        QDict *our = qdict_get_qdict(ours, name);
        QObject *our_default, *their_default;

        g_test_message("%s", name);
        g_assert_nonnull(our);
        g_assert_cmpstr(qdict_get_str(our, "type"), ==,
                        qdict_get_str(theirs, "type"));
        if (!strcmp(name, "aw-bits") || !strcmp(name, "caching-mode")) {
            continue;
        }
        g_assert_cmpstr(qdict_get_try_str(our, "description"), ==,
                        qdict_get_try_str(theirs, "description"));
        our_default = qdict_get(our, "default-value");
        their_default = qdict_get(theirs, "default-value");
        g_assert_true(our_default == their_default ||
                      qobject_is_equal(our_default, their_default));
    }
    qobject_unref(ours);
    qobject_unref(base);
}

/* Those that a user of a host's devices wants, as far as they have landed */
static void test_properties_described(void)
{
    static const char *const names[] = {
        "aw-bits", "caching-mode", "host-iommu", "migrate-host-caps", "x-nested"
    };
    QDict *ours = list_properties("QTEST_QEMU_BINARY");
    int i;

    for (i = 0; i < ARRAY_SIZE(names); i++) {
        QDict *our = qdict_get_qdict(ours, names[i]);
        const char *said;

        /* aw-bits is left open by the last topic of all */
        if (!our || qdict_get_try_int(our, "default-value", 0)) {
            continue;
        }
        said = qdict_get_try_str(our, "description");
        g_test_message("%s: %s", names[i], said);
        g_assert_nonnull(said);
        g_assert_cmpstr(said, !=, "on/off");
        if (!strcmp(names[i], "caching-mode")) {
            g_assert_false(qdict_haskey(our, "default-value"));
        }
    }
    qobject_unref(ours);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(void);
    } tests[] = {
        { "open/without-device", test_open_without_device },
        { "open/with-device", test_open_with_device },
        { "open/with-mediated-device", test_open_with_mediated_device },
        { "open/with-device-that-bypasses",
          test_open_with_device_that_bypasses },
        { "open/property", test_open_property },
        { "open/equals-given", test_open_equals_given },
        { "off/without-device", test_off_without_device },
        { "off/with-device", test_off_with_device },
        { "off/with-mediated-device", test_off_with_mediated_device },
        { "off/with-device-that-bypasses", test_off_with_device_that_bypasses },
        { "on", test_on },
        { "not-a-boolean", test_not_a_boolean },
        { "order/device-before-iommu", test_device_before_iommu },
        { "order/legacy-device-before-json-iommu",
          test_legacy_device_before_json_iommu },
        { "order/device-that-bypasses-before-iommu",
          test_device_that_bypasses_before_iommu },
        { "hotplug/open", test_hotplug_open },
        { "hotplug/off", test_hotplug_off },
        { "hotplug/on", test_hotplug_on },
        { "hotplug/beside-coldplugged", test_hotplug_beside_coldplugged },
        { "hotplug/on-bus-that-bypasses", test_hotplug_on_bus_that_bypasses },
        { "hotplug/emulated", test_hotplug_emulated },
        { "hotplug/stays-after-unplug", test_stays_after_unplug },
        { "properties-of-base", test_properties_of_base },
        { "properties-described", test_properties_described },
    };
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf(
            "/intel-iommu-caching-mode/%s", tests[i].path);

        qtest_add_func(path, tests[i].func);
    }
    return g_test_run();
}
