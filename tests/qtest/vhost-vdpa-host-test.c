/*
 * intel-iommu and the hosts behind vhost-vdpa devices
 *
 * The devices are made by vdpa-kernel.c. Reads the guest's view and
 * query-viommu, and whole messages where a device is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include <glib/gstdio.h>
#include "libqtest.h"
#include "host-iommu-tree.h"
#include "intel-iommu-view.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "vdpa-kernel.h"
#include "vm-refusal.h"

/* On a host whose /sys knows nothing of the files that stand for devices */
#define Q35_ON      "-M q35 -nodefaults -device host-iommu-testhost,sysfs="
#define Q35         Q35_ON "/nonexistent "
#define IOMMU       "-device intel-iommu,id=iommu0,aw-bits=0"
#define NETDEV(id, dev) \
    " -netdev vhost-vdpa,id=" id ",vhostdev=" dev
#define NIC         " -device virtio-net-pci,id=net0,netdev=vdpa0"
#define PLATFORM    ",disable-legacy=on,iommu_platform=on"
#define VDPA(dev)   NETDEV("vdpa0", dev) NIC PLATFORM
#define GENERIC(dev) " -device vhost-vdpa-device-pci,vhostdev=" dev

/* Root ports without ACPI: an unplug needs no guest */
#define PORTS       " -global ICH9-LPC.acpi-pci-hotplug-with-bridge-" \
                    "support=off" \
                    " -device pcie-root-port,id=rp1,chassis=1,addr=5" \
                    " -device pcie-root-port,id=rp2,chassis=2,addr=6"
#define PLUG(id, netdev, more) \
    "{\"driver\":\"virtio-net-pci\",\"id\":\"" id "\",\"bus\":\"rp1\"," \
    "\"netdev\":\"" netdev "\",\"iommu_platform\":true" more "}"

#define CANNOT(unit, guest, host) \
    "host IOMMU" unit " cannot back intel-iommu: address width is " guest \
    " in the guest, " host " on the host"
#define USE_39      " (use aw-bits=39, in libvirt aw_bits='39', or leave it " \
                    "out to adopt the host's)"
#define FIXED_39    " (fixed since the VM started: start it with aw-bits=39, " \
                    "in libvirt aw_bits='39', or with host-iommu=all)"
#define CACHING_MODE \
    "an assigned device needs intel-iommu's caching-mode, which is off "

/* What a vDPA device that sysfs does not know is called */
#define NAMELESS    "vdpa vhost-vdpa: "

/*
 * Returns: the devices of the only vIOMMU, but for what they are bound to; the
 * caller unrefs it
 */
static QList *devices_of_viommu(QTestState *qts)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-viommu' }");
    QList *list = qdict_get_qlist(rsp, "return");
    QListEntry *e;
    QList *devices;
    QDict *info;

    g_assert_cmpint(qlist_size(list), ==, 1);
    info = qobject_to(QDict, qlist_peek(list));
    devices = qobject_ref(qdict_get_qlist(info, "devices"));
    QLIST_FOREACH_ENTRY(devices, e) {
        qdict_del(qobject_to(QDict, qlist_entry_obj(e)), "bound");
    }
    qobject_unref(rsp);
    return devices;
}

/* Compares. @want is JSON, in which ' stands for " */
static void assert_devices(QTestState *qts, const char *want)
{
    g_autofree char *quoted = g_strdelimit(g_strdup(want), "'", '"');
    QObject *object = qobject_from_json(quoted, &error_abort);
    QList *devices = devices_of_viommu(qts);

    if (!qobject_is_equal(QOBJECT(devices), object)) {
        g_autoptr(GString) got = qobject_to_json(QOBJECT(devices));

        g_assert_cmpstr(got->str, ==, quoted);
    }
    qobject_unref(object);
    qobject_unref(devices);
}

/* The guest is told of @width bits, and of caching-mode or not */
static void assert_told(QTestState *qts, unsigned int width, bool caching_mode)
{
    GuestView view = read_guest_view(qts);

    assert_width(&view, width);
    g_assert_cmpint(!!(view.cap & VTD_CAP_CM), ==, caching_mode);
}

static void assert_starts(const char *cmdline, unsigned int width,
                          bool caching_mode, int devices)
{
    QTestState *qts = qtest_init(cmdline);
    QList *list = devices_of_viommu(qts);

    g_test_message("%s", cmdline);
    assert_told(qts, width, caching_mode);
    g_assert_cmpint(qlist_size(list), ==, devices);
    qobject_unref(list);
    qtest_quit(qts);
}

#define ONE_DEVICE(width) \
    "[{'id':'net0','qom-path':'/machine/peripheral/net0','backend':'vdpa'," \
     "'type':'unknown','source':'none','address-width':" width "," \
     "'misfits':[]}]"

/* At start */

static void test_adopt(void)
{
    assert_starts(Q35 IOMMU VDPA(VDPA_39), 39, true, 1);
    assert_starts(Q35 IOMMU VDPA(VDPA_48), 48, true, 1);
    assert_starts(Q35 IOMMU VDPA(VDPA_64), 48, true, 1);
    assert_starts(Q35 IOMMU GENERIC(VDPA_39) PLATFORM, 39, true, 1);
    /* the narrowest, whoever brings it */
    assert_starts(Q35 IOMMU VDPA(VDPA_48)
                  " -device host-iommu-testdev,aw-bits=39", 39, true, 2);
    assert_starts(Q35 IOMMU " -device host-iommu-testdev,aw-bits=48"
                  VDPA(VDPA_39), 39, true, 2);
}

/* A VM without such a device behind the vIOMMU is as it was */
static void test_others(void)
{
    assert_starts(Q35 IOMMU NETDEV("vdpa0", VDPA_39) NIC, 48, false, 0);
    assert_starts(Q35 IOMMU NETDEV("vdpa0", VDPA_39), 48, false, 0);
    assert_starts(Q35 IOMMU " -device virtio-net-pci" PLATFORM GENERIC(VDPA_39),
                  48, false, 0);
    assert_starts("-M q35,default_bus_bypass_iommu=on -nodefaults "
                  IOMMU VDPA(VDPA_39), 48, false, 0);
    qtest_quit(qtest_init(Q35 VDPA(VDPA_39)));
    qtest_quit(qtest_init(Q35 "-device amd-iommu" VDPA(VDPA_39)));
}

/* Returns: what a VM of @binary asks of its vDPA device; the caller frees it */
static char *requests(const char *binary, const char *cmdline)
{
    g_autofree char *path = NULL;
    char *log = NULL;
    QTestState *qts;
    int fd = g_file_open_tmp("vdpa-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_setenv(VDPA_KERNEL_LOG, path, true);
    qts = qtest_init_with_env(binary, cmdline, true);
    qtest_system_reset(qts);
    qtest_quit(qts);
    g_unsetenv(VDPA_KERNEL_LOG);
    g_assert_true(g_file_get_contents(path, &log, NULL, NULL));
    unlink(path);
    return log;
}

/* One that is no assigned device is asked what QEMU 10.0 asks of it */
static void test_requests(void)
{
    static const char *const cmdlines[] = {
        "-M q35 -nodefaults" NETDEV("vdpa0", VDPA_39) NIC,
        "-M q35 -nodefaults" VDPA(VDPA_39),
        "-M q35 -nodefaults" NETDEV("vdpa0", VDPA_MULTIQUEUE) NIC
            ",mq=on,vectors=6",
        "-M q35 -nodefaults -device intel-iommu,caching-mode=on"
            NETDEV("vdpa0", VDPA_39) NIC,
        "-M q35 -nodefaults -device intel-iommu,caching-mode=on"
            NETDEV("vdpa0", VDPA_39),
        "-M q35 -nodefaults -device intel-iommu,caching-mode=on"
            GENERIC(VDPA_39),
        "-M q35,default_bus_bypass_iommu=on -nodefaults "
            "-device intel-iommu,caching-mode=on" VDPA(VDPA_39),
    };

    if (!have_base()) {
        return;
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(cmdlines); i++) {
        g_autofree char *base = requests("QTEST_BASE_BINARY", cmdlines[i]);
        g_autofree char *ours = requests(NULL, cmdlines[i]);

        g_test_message("%s", cmdlines[i]);
        g_assert_cmpstr(base, !=, "");
        g_assert_cmpstr(ours, ==, base);
    }
}

static void test_one_device(void)
{
    QTestState *qts = qtest_init(Q35 IOMMU VDPA(VDPA_MULTIQUEUE)
                                 ",mq=on,vectors=6");

    assert_told(qts, 39, true);
    assert_devices(qts, ONE_DEVICE("39"));
    qtest_quit(qts);
}

static void add_link(const char *sysfs, const char *path, const char *target)
{
    g_autofree char *link = g_build_filename(sysfs, path, NULL);
    g_autofree char *folder = g_path_get_dirname(link);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_cmpint(symlink(target, link), ==, 0);
}

#define PARENT "devices/pci0000:00/0000:00:03.0"

/* As Linux' vp_vdpa has it, for /dev/null */
static char *sysfs_new(void)
{
    char *sysfs = host_tree_new();
    g_autofree char *vdpa = g_build_filename(sysfs, PARENT
                                             "/vdpa7/vhost-vdpa-2", NULL);

    host_tree_add_vtd(sysfs, "dmar2", CLIENT_39);
    g_assert_cmpint(g_mkdir_with_parents(vdpa, 0700), ==, 0);
    add_link(sysfs, PARENT "/iommu", "../../virtual/iommu/dmar2");
    add_link(sysfs, "dev/char/1:3", "../../" PARENT "/vdpa7/vhost-vdpa-2");
    return sysfs;
}

static void test_sysfs(void)
{
    char *sysfs = sysfs_new();
    g_autofree char *host = g_strconcat(Q35_ON, sysfs, " ", NULL);
    g_autofree char *open = g_strconcat(host, IOMMU VDPA(VDPA_39), NULL);
    g_autofree char *given = g_strconcat(
        host, "-device intel-iommu,aw-bits=48" VDPA(VDPA_39), NULL);
    g_autofree char *unknown = g_strconcat(host, IOMMU VDPA(VDPA_48), NULL);
    QTestState *qts = qtest_init(open);

    assert_devices(
        qts, "[{'id':'net0','source':'sysfs','misfits':[],'address-width':39,"
        "'cap':59110347485086818,'ecap':15749338,'mgaw':39,'backend':'vdpa',"
        "'type':'intel-vtd','unit':'dmar2',"
        "'qom-path':'/machine/peripheral/net0'}]");
    qtest_quit(qts);
    qts = qtest_init(unknown);
    assert_devices(qts, ONE_DEVICE("48"));
    qtest_quit(qts);

    assert_device_refused(given, "vdpa vdpa7: " CANNOT(" dmar2", "48", "39")
                          USE_39);
    host_tree_free(sysfs);
}

static void test_refused(void)
{
    assert_device_refused(Q35 "-device intel-iommu,aw-bits=48" VDPA(VDPA_39),
                          NAMELESS CANNOT("", "48", "39") USE_39);
    assert_device_refused(Q35 "-device intel-iommu,aw-bits=48"
                          GENERIC(VDPA_39) PLATFORM,
                          NAMELESS CANNOT("", "48", "39") USE_39);
    assert_device_refused(Q35 IOMMU ",caching-mode=off" VDPA(VDPA_48),
                          NAMELESS CACHING_MODE "(use caching-mode=on, in "
                          "libvirt caching_mode='on', or leave it out)");
    assert_device_refused(Q35 IOMMU ",snoop-control=on" VDPA(VDPA_48),
                          NAMELESS "host IOMMU cannot back intel-iommu: snoop "
                          "control: on in the guest, not for assigned devices "
                          "(use snoop-control=off)");
    assert_device_refused(Q35 IOMMU ",x-scalable-mode=on,x-flts=on"
                          VDPA(VDPA_48), NAMELESS "intel-iommu needs a nesting "
                          "parent, as it has x-flts=on (use x-flts=off): vDPA "
                          "has no nesting parents");
}

static void test_order(void)
{
    assert_device_refused(Q35 VDPA(VDPA_39) " " IOMMU,
                          "virtio-net-pci /machine/peripheral/net0 precedes "
                          "intel-iommu, which would not know of it: put "
                          "intel-iommu first on the command line, and both as "
                          "JSON or neither");
    qtest_quit(qtest_init(Q35 NETDEV("vdpa0", VDPA_39) NIC " " IOMMU));
}

/* While the guest runs */

static void test_hotplug(void)
{
    QTestState *qts = qtest_init(
        Q35 IOMMU ",caching-mode=on" PORTS NETDEV("narrow", VDPA_39)
        NETDEV("vdpa0", VDPA_48));
    int i;

    for (i = 0; i < 2; i++) {
        assert_devices(qts, "[]");
        assert_hotplug_refused(qts, PLUG("net0", "narrow", ""),
                               NAMELESS CANNOT("", "48", "39") FIXED_39);
        assert_devices(qts, "[]");
        assert_hotplug(qts, PLUG("net0", "vdpa0", ""));
        assert_devices(qts, ONE_DEVICE("48"));
        qtest_qmp_device_del(qts, "net0");
    }
    assert_told(qts, 48, true);
    qtest_quit(qts);
}

static void test_hotplug_without_caching_mode(void)
{
    QTestState *qts = qtest_init(Q35 IOMMU PORTS NETDEV("vdpa0", VDPA_48));

    assert_hotplug_refused(qts, PLUG("net0", "vdpa0", ""),
                           NAMELESS CACHING_MODE "(fixed since the VM "
                           "started: start it with caching-mode=on, in libvirt "
                           "caching_mode='on')");
    assert_devices(qts, "[]");
    qtest_quit(qts);
}

/* A device that is not realized after all leaves nothing behind */
static void test_realize_failed(void)
{
    QTestState *qts = qtest_init(
        Q35 IOMMU ",caching-mode=on" PORTS NETDEV("vdpa0", VDPA_48)
        NETDEV("physical", VDPA_NO_PLATFORM));

    assert_hotplug_refused(qts, PLUG("net0", "vdpa0",
                                     ",\"romfile\":\"/nonexistent\""),
                           "failed to find romfile \"/nonexistent\"");
    assert_devices(qts, "[]");
    assert_hotplug_refused(qts, PLUG("net0", "vdpa0",
                                     ",\"disable-legacy\":\"off\""),
                           "VIRTIO_F_IOMMU_PLATFORM was supported by neither "
                           "legacy nor transitional device");
    assert_devices(qts, "[]");
    assert_hotplug_refused(qts, PLUG("net0", "physical", ""),
                           "iommu_platform=true is not supported by the "
                           "device");
    assert_devices(qts, "[]");
    assert_hotplug(qts, PLUG("net0", "vdpa0", ""));
    assert_devices(qts, ONE_DEVICE("48"));
    qtest_quit(qts);
}

/* The device keeps its backend until it goes itself */
static void test_netdev_del(void)
{
    QTestState *qts = qtest_init(
        Q35 IOMMU ",caching-mode=on" PORTS NETDEV("vdpa0", VDPA_48));

    assert_hotplug(qts, PLUG("net0", "vdpa0", ""));
    qtest_qmp_assert_success(qts, "{ 'execute': 'netdev_del', 'arguments': {"
                                  " 'id': 'vdpa0' } }");
    assert_devices(qts, ONE_DEVICE("48"));
    qtest_qmp_device_del(qts, "net0");
    assert_devices(qts, "[]");
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vdpa_kernel_load();

    qtest_add_func("/vhost-vdpa-host/start/adopt", test_adopt);
    qtest_add_func("/vhost-vdpa-host/start/others", test_others);
    qtest_add_func("/vhost-vdpa-host/start/requests", test_requests);
    qtest_add_func("/vhost-vdpa-host/start/one-device", test_one_device);
    qtest_add_func("/vhost-vdpa-host/start/sysfs", test_sysfs);
    qtest_add_func("/vhost-vdpa-host/start/refused", test_refused);
    qtest_add_func("/vhost-vdpa-host/start/order", test_order);
    qtest_add_func("/vhost-vdpa-host/hotplug/width", test_hotplug);
    qtest_add_func("/vhost-vdpa-host/hotplug/without-caching-mode",
                   test_hotplug_without_caching_mode);
    qtest_add_func("/vhost-vdpa-host/hotplug/realize-failed",
                   test_realize_failed);
    qtest_add_func("/vhost-vdpa-host/hotplug/netdev-del", test_netdev_del);
    return g_test_run();
}
