/*
 * query-viommu, query-host-iommu and their HMP commands
 *
 * The test device stands for an assigned one. Compares whole answers; the
 * registers, which are long, with what the guest reads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/bitops.h"
#include "libqtest.h"
#include "host-iommu-tree.h"
#include "intel-iommu-view.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"
#include "vm-refusal.h"

#define Q35     "-M q35 -nodefaults "
/* Root ports without ACPI: an unplug needs no guest */
#define HOTPLUG "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off " \
                "-device pcie-root-port,id=rp1,chassis=1 "
#define OPEN    "-device intel-iommu,id=iommu0,aw-bits=0"

/* Fields that are as they are by default, after "address-width" */
#define FIELDS_BY_DEFAULT \
    "{'name':'sc','value':0,'property':'snoop-control','origin':'default'}," \
    "{'name':'smts','value':0,'property':'x-scalable-mode'," \
     "'origin':'default'}," \
    "{'name':'fsts','value':0,'property':'x-flts','origin':'default'}," \
    "{'name':'ssts','value':0,'property':'x-scalable-mode'," \
     "'origin':'default'}," \
    "{'name':'nest','value':0,'origin':'default'}," \
    "{'name':'fs1gp','value':0,'property':'fs1gp','origin':'default'}," \
    "{'name':'dt','value':0,'property':'device-iotlb','origin':'default'}," \
    "{'name':'srs','value':0,'property':'x-scalable-mode'," \
     "'origin':'default'}," \
    "{'name':'pasid','value':0,'property':'x-pasid-mode'," \
     "'origin':'default'}," \
    "{'name':'pss','value':1,'origin':'default'}"

/* What ' has to be in the JSON below */
#define QUOTE   "\\u0027"

/* Compares, and takes @got. @want is JSON, in which ' stands for " */
static void assert_json(QObject *got, const char *want)
{
    g_autofree char *quoted = g_strdelimit(g_strdup(want), "'", '"');
    QObject *object = qobject_from_json(quoted, &error_abort);

    if (!qobject_is_equal(got, object)) {
        g_autoptr(GString) text = got ? qobject_to_json_pretty(got, true)
                                      : g_string_new("nothing");
        g_autoptr(GString) wanted = qobject_to_json_pretty(object, true);

        g_test_message("wanted: %s", wanted->str);
        g_test_message("got: %s", text->str);
        g_test_fail();
    }
    qobject_unref(object);
    qobject_unref(got);
}

/* Returns: the answer of a command, which the caller unrefs */
static QObject *query(QTestState *qts, const char *command)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': %s }", command);
    QObject *answer = qobject_ref(qdict_get(rsp, "return"));

    g_assert_nonnull(answer);
    qobject_unref(rsp);
    return answer;
}

/* Returns: the only vIOMMU, which the caller unrefs */
static QDict *query_viommu(QTestState *qts)
{
    QList *list = qobject_to(QList, query(qts, "query-viommu"));
    QDict *info;

    g_assert_cmpint(qlist_size(list), ==, 1);
    info = qobject_to(QDict, qobject_ref(qlist_peek(list)));
    qobject_unref(list);
    return info;
}

static void assert_register(QDict *info, const char *key, uint64_t want)
{
    QNum *value = qobject_to(QNum, qdict_get(info, key));

    g_assert_nonnull(value);
    g_assert_cmphex(qnum_get_uint(value), ==, want);
    qdict_del(info, key);
}

/* The registers are those of the guest; what is left is @want */
static void assert_intel_iommu(QTestState *qts, const char *want)
{
    QDict *info = query_viommu(qts);
    GuestView view = read_guest_view(qts);

    assert_register(info, "cap", view.cap);
    assert_register(info, "ecap", view.ecap);
    /* VT-d 11.4.2 */
    assert_register(info, "mgaw", extract64(view.cap, 16, 6) + 1);
    assert_json(QOBJECT(info), want);
}

/* What the only vIOMMU of @cmdline has under @key */
static void assert_part(const char *cmdline, const char *key, const char *want)
{
    QTestState *qts = qtest_init(cmdline);
    QDict *info = query_viommu(qts);

    g_test_message("%s", cmdline);
    assert_json(qobject_ref(qdict_get(info, key)), want);
    qobject_unref(info);
    qtest_quit(qts);
}

static void assert_hmp(const char *cmdline, const char *command,
                       const char *want)
{
    QTestState *qts = qtest_init(cmdline);
    g_autofree char *got = qtest_hmp(qts, "%s", command);
    g_auto(GStrv) lines = g_strsplit(got, "\r\n", -1);
    g_autofree char *text = g_strjoinv("\n", lines);

    g_assert_cmpstr(text, ==, want);
    qtest_quit(qts);
}

/* query-viommu */

static void test_none(void)
{
    QTestState *qts = qtest_init(Q35);

    assert_json(query(qts, "query-viommu"), "[]");
    qtest_quit(qts);
    qts = qtest_init("-M none");
    assert_json(query(qts, "query-viommu"), "[]");
    qtest_quit(qts);
}

static void test_without_device(void)
{
    QTestState *qts = qtest_init(Q35 OPEN);

    assert_intel_iommu(qts,
        "{'qom-path':'/machine/peripheral/iommu0','type':'intel-iommu',"
        " 'frozen':true,'address-width':48,'migratable':true,'devices':[],"
        " 'fields':[{'name':'address-width','value':48,'property':'aw-bits',"
        "            'origin':'default'}," FIELDS_BY_DEFAULT "]}");
    qtest_quit(qts);
}

static void test_adopted(void)
{
    QTestState *qts = qtest_init(
        Q35 OPEN " -device host-iommu-testdev,id=dev1,unit=dmar1,aw-bits=39,"
        "iommu-type=intel-vtd,source=iommufd,"
        "vtd-cap=0xfedcba9876543210,vtd-ecap=4660");

    assert_intel_iommu(qts,
        "{'qom-path':'/machine/peripheral/iommu0','type':'intel-iommu',"
        " 'frozen':true,'address-width':39,'migratable':false,"
        " 'blocked-reason':'intel-iommu adopted what its command line does not "
        "say: address width is 39, from dev1, host IOMMU dmar1 (use "
        "aw-bits=39, in libvirt aw_bits=" QUOTE "39" QUOTE
        ", or migrate-host-caps=on)',"
        " 'devices':[{'id':'dev1','qom-path':'/machine/peripheral/dev1',"
        "             'backend':'test','unit':'dmar1','type':'intel-vtd',"
        "             'source':'iommufd','cap':18364758544493064720,"
        "             'ecap':4660,'mgaw':21,'address-width':39,'misfits':[],"
        "             'bound':{'to':'shadow'}}],"
        " 'fields':[{'name':'address-width','value':39,'property':'aw-bits',"
        "            'origin':'adopted',"
        "            'adopted':{'from':'device','name':'dev1','unit':'dmar1',"
        "                       'qom-path':'/machine/peripheral/dev1',"
        "                       'before':48}},"
        FIELDS_BY_DEFAULT "]}");
    qtest_quit(qts);
}

/* What it is called does not make it a host that the user named */
static void test_device_like_unit(void)
{
    static const char cmdline[] =
        Q35 OPEN " -device host-iommu-testdev,id=dmar1,unit=dmar1,aw-bits=39";

    assert_part(cmdline, "fields",
                "[{'name':'address-width','value':39,'property':'aw-bits',"
                "  'origin':'adopted',"
                "  'adopted':{'from':'device','name':'dmar1','unit':'dmar1',"
                "             'qom-path':'/machine/peripheral/dmar1',"
                "             'before':48}},"
                FIELDS_BY_DEFAULT "]");
    assert_part(cmdline, "blocked-reason",
                "'intel-iommu adopted what its command line does not say: "
                "address width is 39, from dmar1, host IOMMU dmar1 (use "
                "aw-bits=39, in libvirt aw_bits=" QUOTE "39" QUOTE
                ", or migrate-host-caps=on)'");
}

/* The narrowest one, and what was there before any of them */
static void test_adopted_twice(void)
{
    assert_part(Q35 OPEN " -device host-iommu-testdev,id=dev1,aw-bits=46"
                " -device host-iommu-testdev,id=dev2,aw-bits=42"
                " -device host-iommu-testdev,id=dev3,aw-bits=44", "fields",
                "[{'name':'address-width','value':42,'property':'aw-bits',"
                "  'origin':'adopted',"
                "  'adopted':{'from':'device','name':'dev2','before':48,"
                "             'qom-path':'/machine/peripheral/dev2'}},"
                FIELDS_BY_DEFAULT "]");
}

/* As given as any, be it the default's value or that of the machine type */
static void test_given(void)
{
    assert_part(Q35 "-device intel-iommu,aw-bits=48,snoop-control=off,"
                "x-scalable-mode=on,x-flts=off,x-pasid-mode=off,fs1gp=off,"
                "device-iotlb=on", "fields",
                "[{'name':'address-width','value':48,'property':'aw-bits',"
                "  'origin':'given'},"
                "{'name':'sc','value':0,'property':'snoop-control',"
                "  'origin':'given'},"
                "{'name':'smts','value':1,'property':'x-scalable-mode',"
                "  'origin':'given'},"
                "{'name':'fsts','value':0,'property':'x-flts',"
                "  'origin':'given'},"
                "{'name':'ssts','value':1,'property':'x-scalable-mode',"
                "  'origin':'given'},"
                "{'name':'nest','value':0,'origin':'default'},"
                "{'name':'fs1gp','value':0,'property':'fs1gp',"
                "  'origin':'given'},"
                "{'name':'dt','value':1,'property':'device-iotlb',"
                "  'origin':'given'},"
                "{'name':'srs','value':1,'property':'x-scalable-mode',"
                "  'origin':'given'},"
                "{'name':'pasid','value':0,'property':'x-pasid-mode',"
                "  'origin':'given'},"
                "{'name':'pss','value':1,'origin':'default'}]");
}

#define GIVEN_39 "[{'name':'address-width','value':39,'property':'aw-bits'," \
                 "'origin':'given'}," FIELDS_BY_DEFAULT "]"

static void test_given_otherwise(void)
{
    assert_part("-M pc-q35-9.1 -nodefaults -device intel-iommu", "fields",
                GIVEN_39);
    assert_part(Q35 "-global intel-iommu.aw-bits=39 -device intel-iommu",
                "fields", GIVEN_39);
    assert_part(Q35 "-device '{\"driver\":\"intel-iommu\",\"aw-bits\":39}'",
                "fields", GIVEN_39);
}

static void test_devices(void)
{
    assert_part(Q35 OPEN
                " -device host-iommu-testdev,id=b,addr=4,aw-bits=0,"
                "iommu-type=amd-vi,source=sysfs,vtd-cap=1,vtd-ecap=1"
                " -device host-iommu-testdev,id=c,addr=5,"
                "iommu-type=arm-smmuv3,source=iommufd"
                " -device host-iommu-testdev,id=d,addr=6,mdev=on"
                " -device host-iommu-testdev,id=a,addr=7,unit=dmar0", "devices",
                "[{'id':'a','qom-path':'/machine/peripheral/a',"
                "  'backend':'test','unit':'dmar0','type':'unknown',"
                "  'source':'none','address-width':48,'misfits':[],"
                "  'bound':{'to':'shadow'}},"
                "{'id':'b','qom-path':'/machine/peripheral/b',"
                "  'backend':'test','type':'amd-vi','source':'sysfs',"
                "  'misfits':[],'bound':{'to':'shadow'}},"
                "{'id':'c','qom-path':'/machine/peripheral/c',"
                "  'backend':'test','type':'arm-smmuv3','source':'iommufd',"
                "  'address-width':48,'misfits':[],"
                "  'bound':{'to':'shadow'}}]");
}

static void test_device_without_id(void)
{
    QTestState *qts = qtest_init(Q35 OPEN " -device host-iommu-testdev");
    QDict *info = query_viommu(qts);
    QList *devices = qdict_get_qlist(info, "devices");
    QDict *dev = qobject_to(QDict, qlist_peek(devices));

    g_assert_nonnull(dev);
    g_assert_false(qdict_haskey(dev, "id"));
    g_assert_cmpstr(qdict_get_str(dev, "qom-path"), ==,
                    "/machine/peripheral-anon/device[0]");
    qobject_unref(info);
    qtest_quit(qts);
}

static void test_hotplug(void)
{
    QTestState *qts = qtest_init(Q35 HOTPLUG OPEN ",caching-mode=on");
    static const char list[] =
        "[{'id':'dev1','qom-path':'/machine/peripheral/dev1',"
        "  'backend':'test','type':'unknown','source':'none',"
        "  'address-width':57,'misfits':[],'bound':{'to':'shadow'}}]";
    QDict *info;

    assert_hotplug(qts, "{\"driver\":\"host-iommu-testdev\",\"id\":\"dev1\","
                        "\"bus\":\"rp1\",\"aw-bits\":57}");
    info = query_viommu(qts);
    assert_json(qobject_ref(qdict_get(info, "devices")), list);
    qobject_unref(info);

    qtest_qmp_device_del(qts, "dev1");
    info = query_viommu(qts);
    assert_json(qobject_ref(qdict_get(info, "devices")), "[]");
    g_assert_true(qdict_get_bool(info, "migratable"));
    qobject_unref(info);
    qtest_quit(qts);
}

static void test_virtio_iommu(void)
{
    QTestState *qts = qtest_init(
        Q35 "-device virtio-iommu-pci,id=iommu0,addr=3,granule=4k"
        " -device host-iommu-testdev,id=dev1,addr=4,page-sizes=0x40201000");
    QList *list = qobject_to(QList, query(qts, "query-viommu"));

    assert_json(QOBJECT(list),
        "[{'qom-path':'/machine/peripheral/iommu0/virtio-backend',"
        "  'type':'virtio-iommu','frozen':true,'address-width':39,"
        "  'fields':[{'name':'address-width','value':39,'property':'aw-bits'},"
        "            {'name':'page-size-mask','value':1075843072,"
        "             'property':'granule'}],"
        "  'migratable':true,"
        "  'devices':[{'id':'dev1','qom-path':'/machine/peripheral/dev1',"
        "              'backend':'test','type':'unknown','source':'none',"
        "              'address-width':48,'misfits':[]}]}]");
    qtest_quit(qts);
}

/* It keeps no record of what it tells the guest */
static void test_amd_iommu(void)
{
    QTestState *qts = qtest_init(Q35 "-device amd-iommu,id=iommu0");

    assert_json(query(qts, "query-viommu"),
        "[{'qom-path':'/machine/peripheral/iommu0','type':'amd-iommu',"
        "  'frozen':true,'fields':[],'migratable':false,"
        "  'blocked-reason':'amd-iommu cannot be migrated','devices':[]}]");
    qtest_quit(qts);
}

/* info viommu */

static void test_hmp_viommu(void)
{
    assert_hmp(Q35 "-device amd-iommu,id=iommu0", "info viommu",
        "amd-iommu /machine/peripheral/iommu0: frozen\n"
        "  not migratable: amd-iommu cannot be migrated\n");
    assert_hmp(Q35 "-device virtio-iommu-pci,id=iommu0", "info viommu",
        "virtio-iommu /machine/peripheral/iommu0/virtio-backend: 39 bits, "
        "frozen\n");
    assert_hmp(Q35, "info viommu", "no virtual IOMMU\n");
    assert_hmp(Q35 OPEN, "info viommu",
        "intel-iommu /machine/peripheral/iommu0: 48 bits, "
        "cap 0x00d2008c222f0606, ecap 0x0000000000f00f4a, frozen\n");
    assert_hmp(Q35 OPEN
        " -device host-iommu-testdev,id=gpu0,addr=4,unit=dmar1,aw-bits=39,"
        "iommu-type=intel-vtd,source=sysfs,vtd-cap=1,vtd-ecap=2"
        " -device host-iommu-testdev,id=nvme0,addr=5,aw-bits=0", "info viommu",
        "intel-iommu /machine/peripheral/iommu0: 39 bits, "
        "cap 0x00d2008c22260286, ecap 0x0000000000f00f4a, frozen\n"
        "  not migratable: intel-iommu adopted what its command line does not "
        "say: address width is 39, from gpu0, host IOMMU dmar1 (use "
        "aw-bits=39, in libvirt aw_bits='39', or migrate-host-caps=on)\n"
        "  address-width is 39 in the guest, adopted from gpu0 behind dmar1 "
        "(48 before)\n"
        "  device          backend         unit    type       source  width "
        "fits\n"
        "  gpu0            test            dmar1   intel-vtd  sysfs   39    "
        "yes\n"
        "  nvme0           test            ?       unknown    none    ?     "
        "yes\n");
}

/* query-host-iommu */

#define DECODED_39 \
    "[{'name':'address-width','value':39},{'name':'sc','value':1}," \
    " {'name':'smts','value':0},{'name':'fsts','value':0}," \
    " {'name':'ssts','value':0},{'name':'nest','value':0}," \
    " {'name':'fs1gp','value':0},{'name':'dt','value':0}," \
    " {'name':'srs','value':0},{'name':'pasid','value':0}," \
    " {'name':'pss','value':1}]"
#define DECODED_57(width) \
    "[{'name':'address-width','value':" width "},{'name':'sc','value':1}," \
    " {'name':'smts','value':1},{'name':'fsts','value':1}," \
    " {'name':'ssts','value':1},{'name':'nest','value':1}," \
    " {'name':'fs1gp','value':1},{'name':'dt','value':1}," \
    " {'name':'srs','value':1},{'name':'pasid','value':1}," \
    " {'name':'pss','value':20}]"
#define UNIT_39 \
    "'type':'intel-vtd','cap':59110347485086818,'ecap':15749338,'mgaw':39," \
    "'address-width':39,'fields':" DECODED_39

/* Returns: @cmdline on a host whose /sys is @sysfs; the caller frees it */
static char *on_host(const char *cmdline, const char *sysfs)
{
    return g_strdup_printf("%s -device host-iommu-testhost,sysfs=%s", cmdline,
                           sysfs);
}

static void assert_hosts(const char *cmdline, const char *sysfs,
                         const char *want)
{
    g_autofree char *there = on_host(cmdline, sysfs);
    QTestState *qts = qtest_init(there);

    assert_json(query(qts, "query-host-iommu"), want);
    qtest_quit(qts);
}

static void test_host_none(void)
{
    char *sysfs = host_tree_new();

    assert_hosts(Q35 OPEN, sysfs, "[]");
    assert_hosts("-M none", "/nonexistent", "[]");
    host_tree_free(sysfs);
}

/* Decoded with or without a virtual IOMMU; sorted by number */
static void test_host_without_viommu(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar10", CLIENT_39);
    host_tree_add_vtd(sysfs, "dmar2", SERVER_57);
    host_tree_add_other(sysfs, "ivhd0", "amd-iommu");
    host_tree_add_other(sysfs, "smmu3.0x2b400000", "other");
    assert_hosts(Q35, sysfs,
        "[{'name':'dmar2','type':'intel-vtd','cap':1868150022805654630,"
        "  'ecap':1107889614770399,'mgaw':57,'address-width':47,"
        "  'fields':" DECODED_57("47") ",'misfits':[]},"
        "{'name':'dmar10'," UNIT_39 ",'misfits':[]},"
        "{'name':'ivhd0','type':'amd-vi','fields':[],'misfits':[]},"
        "{'name':'smmu3.0x2b400000','type':'unknown','fields':[],"
        " 'misfits':[]}]");
    host_tree_free(sysfs);
}

static void test_host_fits(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar0", CLIENT_39);
    assert_hosts(Q35 "-device intel-iommu,aw-bits=39,caching-mode=on", sysfs,
                 "[{'name':'dmar0'," UNIT_39 ",'fits':true,'misfits':[]}]");
    host_tree_free(sysfs);
}

static void test_host_too_narrow(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar0", CLIENT_39);
    assert_hosts(Q35 OPEN ",caching-mode=on", sysfs,
        "[{'name':'dmar0'," UNIT_39 ",'fits':false,"
        "  'misfits':[{'name':'address-width','guest':48,'host':39}],"
        "  'reason':'host IOMMU dmar0 cannot back intel-iommu: address width "
        "is 48 in the guest, 39 on the host (fixed since the VM started: "
        "start it with aw-bits=39, in libvirt aw_bits=" QUOTE "39" QUOTE
        ", or with host-iommu=all)'}]");
    host_tree_free(sysfs);
}

/* What stands against a device need not be a field */
static void test_host_without_caching_mode(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar0", CLIENT_39);
    assert_hosts(Q35 "-device intel-iommu,aw-bits=39", sysfs,
        "[{'name':'dmar0'," UNIT_39 ",'fits':false,'misfits':[],"
        "  'reason':'an assigned device needs intel-iommu" QUOTE "s "
        "caching-mode, which is off (fixed since the VM started: start it with "
        "caching-mode=on, in libvirt caching_mode=" QUOTE "on" QUOTE ")'}]");
    host_tree_free(sysfs);
}

/* Linux has no device behind a unit that only remaps interrupts */
static void test_host_without_translation(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar0", "380000", "0");
    assert_hosts(Q35 "-device intel-iommu,aw-bits=48,caching-mode=on", sysfs,
        "[{'name':'dmar0','type':'intel-vtd','cap':3670016,'ecap':0,'mgaw':57,"
        "  'fields':[{'name':'sc','value':0},{'name':'smts','value':0},"
        "  {'name':'fsts','value':0},{'name':'ssts','value':0},"
        "  {'name':'nest','value':0},{'name':'fs1gp','value':0},"
        "  {'name':'dt','value':0},{'name':'srs','value':0},"
        "  {'name':'pasid','value':0},{'name':'pss','value':1}],"
        "  'fits':false,'misfits':[],"
        "  'reason':'dmar0 does not translate DMA: its CAP has page tables of "
        "no width (SAGAW is 0)'}]");
    host_tree_free(sysfs);
}

/* A nesting parent is a second stage, which is not limited to 47 bits */
static void test_host_stage_1(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar0", SERVER_57);
    assert_hosts(Q35 "-device intel-iommu,x-scalable-mode=on,x-flts=on,"
                 "caching-mode=on", sysfs,
        "[{'name':'dmar0','type':'intel-vtd','cap':1868150022805654630,"
        "  'ecap':1107889614770399,'mgaw':57,'address-width':57,"
        "  'fields':" DECODED_57("57") ",'fits':true,'misfits':[]}]");
    host_tree_free(sysfs);
}

/* Nobody can say that it fits where the width is not known */
static void test_host_unknown_width(void)
{
    static const char want[] =
        "[{'name':'ivhd0','type':'amd-vi','fields':[],'misfits':[]}]";
    char *sysfs = host_tree_new();

    host_tree_add_other(sysfs, "ivhd0", "amd-iommu");
    assert_hosts(Q35 OPEN ",caching-mode=on", sysfs, want);
    assert_hosts(Q35 "-device virtio-iommu-pci", sysfs, want);
    host_tree_free(sysfs);
}

/* amd-iommu takes no device of the host, and knows no kind of host */
static void test_host_amd_iommu(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar0", CLIENT_39);
    assert_hosts(Q35 "-device amd-iommu", sysfs,
                 "[{'name':'dmar0'," UNIT_39 ",'misfits':[]}]");
    host_tree_free(sysfs);
}

/* virtio-iommu needs to see the device's IOVA ranges */
static void test_host_virtio_iommu(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar0", CLIENT_39);
    assert_hosts(Q35 "-device virtio-iommu-pci", sysfs,
                 "[{'name':'dmar0'," UNIT_39 ",'misfits':[]}]");
    host_tree_free(sysfs);
}

/* The least of MGAW and the widest SAGAW; a first stage has 47 */
static void test_host_width(void)
{
    static const struct {
        const char *cap, *ecap;
        int width;
    } hosts[] = {
        { SERVER_48, 48 },
        { CLIENT_39, 39 },
        { "260200", "0", 39 },              /* MGAW 39, SAGAW 39 */
        { "380200", "0", 39 },              /* MGAW 57, SAGAW 39 */
        { "2e0600", "0", 47 },              /* MGAW 47, SAGAW 39 and 48 */
        { "380e00", "0", 57 },              /* MGAW 57, SAGAW up to 57 */
        { "380600", "800000000000", 48 },   /* FSTS alone */
        { "380600", "80000000000", 48 },    /* SMTS alone */
        { "380600", "880000000000", 47 },   /* both */
        { "260400", "880000000000", 39 },   /* both, MGAW 39 */
        { "380000", "880000000000", 47 },   /* no second stage */
        { "380000", "0", 0 },               /* neither */
    };
    char *sysfs = host_tree_new();
    g_autofree char *there = on_host(Q35, sysfs);
    QTestState *qts;
    QList *units;
    QListEntry *e;
    int i;

    for (i = 0; i < ARRAY_SIZE(hosts); i++) {
        g_autofree char *name = g_strdup_printf("dmar%d", i);

        host_tree_add_vtd(sysfs, name, hosts[i].cap, hosts[i].ecap);
    }
    qts = qtest_init(there);
    units = qobject_to(QList, query(qts, "query-host-iommu"));
    g_assert_cmpint(qlist_size(units), ==, ARRAY_SIZE(hosts));
    i = 0;
    QLIST_FOREACH_ENTRY(units, e) {
        QDict *unit = qobject_to(QDict, qlist_entry_obj(e));

        g_test_message("%s %s", hosts[i].cap, hosts[i].ecap);
        g_assert_cmpint(qdict_get_try_int(unit, "address-width", 0), ==,
                        hosts[i].width);
        i++;
    }
    qobject_unref(units);
    qtest_quit(qts);
    host_tree_free(sysfs);
}

/* As a device of that host is adopted, the guest is as narrow */
static void test_host_adopted(void)
{
    char *sysfs = host_tree_new();

    host_tree_add_vtd(sysfs, "dmar0", CLIENT_39);
    assert_hosts(Q35 OPEN " -device host-iommu-testdev,aw-bits=39", sysfs,
                 "[{'name':'dmar0'," UNIT_39 ",'fits':true,'misfits':[]}]");
    host_tree_free(sysfs);
}

/* info host-iommu */

static void assert_hmp_hosts(const char *cmdline, const char *sysfs,
                             const char *want)
{
    g_autofree char *there = on_host(cmdline, sysfs);

    assert_hmp(there, "info host-iommu", want);
}

static void test_hmp_host_iommu(void)
{
    char *sysfs = host_tree_new();

    assert_hmp_hosts(Q35 OPEN, sysfs,
                     "no IOMMU of the host, or none that QEMU can see\n");
    host_tree_add_vtd(sysfs, "dmar0", CLIENT_39);
    host_tree_add_vtd(sysfs, "dmar1", SERVER_48);
    host_tree_add_other(sysfs, "ivhd0", "amd-iommu");
    assert_hmp_hosts(Q35 OPEN ",caching-mode=on", sysfs,
        "unit    type       width cap                ecap               fits\n"
        "dmar0   intel-vtd  39    0x00d2008c40660462 0x0000000000f050da no\n"
        "    address-width is 48 in the guest, 39 on the host\n"
        "    host IOMMU dmar0 cannot back intel-iommu: address width is 48 in "
        "the guest, 39 on the host (fixed since the VM started: start it with "
        "aw-bits=39, in libvirt aw_bits='39', or with host-iommu=all)\n"
        "dmar1   intel-vtd  48    0x08d2078c106f0466 0x0000000000f020df yes\n"
        "ivhd0   amd-vi     ?     ?                  ?                  ?\n");
    host_tree_free(sysfs);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(void);
    } tests[] = {
        { "viommu/none", test_none },
        { "viommu/without-device", test_without_device },
        { "viommu/adopted", test_adopted },
        { "viommu/adopted-twice", test_adopted_twice },
        { "viommu/device-like-unit", test_device_like_unit },
        { "viommu/given", test_given },
        { "viommu/given-otherwise", test_given_otherwise },
        { "viommu/devices", test_devices },
        { "viommu/device-without-id", test_device_without_id },
        { "viommu/hotplug", test_hotplug },
        { "viommu/virtio-iommu", test_virtio_iommu },
        { "viommu/amd-iommu", test_amd_iommu },
        { "host/none", test_host_none },
        { "host/without-viommu", test_host_without_viommu },
        { "host/fits", test_host_fits },
        { "host/too-narrow", test_host_too_narrow },
        { "host/without-caching-mode", test_host_without_caching_mode },
        { "host/without-translation", test_host_without_translation },
        { "host/stage-1", test_host_stage_1 },
        { "host/unknown-width", test_host_unknown_width },
        { "host/virtio-iommu", test_host_virtio_iommu },
        { "host/amd-iommu", test_host_amd_iommu },
        { "host/width", test_host_width },
        { "host/adopted", test_host_adopted },
        { "hmp/viommu", test_hmp_viommu },
        { "hmp/host-iommu", test_hmp_host_iommu },
    };
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf("/viommu-query/%s",
                                                tests[i].path);

        qtest_add_func(path, tests[i].func);
    }
    return g_test_run();
}
