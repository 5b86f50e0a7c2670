/*
 * intel-iommu and the hosts behind assigned devices: check, adopt, freeze
 *
 * The test device stands for an assigned one, its properties for the host.
 * Reads the guest's view (intel-iommu-view.h), the QOM view, and whole
 * messages where a device is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/iommu.h"
#include "hw/misc/host-iommu-testdev.h"
#include "hw/pci/pci_regs.h"
#include "libqtest.h"
#include "libqos/pci-pc.h"
#include "intel-iommu-view.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "vm-refusal.h"

#define Q35             "-M q35 -nodefaults "
#define STAGE_1         "-device intel-iommu,x-scalable-mode=on,x-flts=on"
/* Whatever the default is */
#define OPEN            "-device intel-iommu,aw-bits=0"
/* What caching-mode is with an assigned device */
#define WITH_DEVICE     ",caching-mode=on"

#define VTD_EVERYTHING  ",iommu-type=intel-vtd,source=iommufd," \
                        "vtd-cap=0xffffffffffffffff," \
                        "vtd-ecap=0xffffffffffffffff"
#define VTD_NOTHING     ",iommu-type=intel-vtd,source=iommufd"

/* Of 600 GiB, two of them below 4 GiB */
#define RAM_ABOVE_39 \
    "host IOMMU cannot back intel-iommu: guest RAM ends at 0x9680000000 and " \
    "takes 40 address bits, 39 on the host (give the VM less)"

/*
 * Asserts that intel-iommu with @options and an open width comes to @width with
 * @devices, and looks as if @width were given.
 */
static void assert_adopts(const char *options, const char *devices,
                          unsigned int width)
{
    g_autofree char *open = g_strdup_printf(
        "-nodefaults " OPEN "%s %s", options, devices);
    g_autofree char *fixed = g_strdup_printf(
        "-nodefaults -device intel-iommu%s,aw-bits=%u %s", options, width,
        devices);
    GuestView adopted = start_and_read_guest_view(open);
    GuestView given = start_and_read_guest_view(fixed);

    assert_width(&adopted, width);
    assert_same_view(&adopted, &given);
}

/* Coldplug: what is adopted */

static void test_one_device(void)
{
    unsigned int width;

    for (width = VTD_HOST_AW_39BIT; width <= VTD_HOST_AW_48BIT; width++) {
        g_autofree char *device = g_strdup_printf(
            "-M q35 -device host-iommu-testdev,aw-bits=%u", width);

        assert_adopts("", device, width);
    }
}

static void test_json(void)
{
    GuestView adopted = start_and_read_guest_view(
        Q35 "-device '{\"driver\":\"intel-iommu\",\"aw-bits\":0}'"
        " -device '{\"driver\":\"host-iommu-testdev\",\"aw-bits\":42}'");

    assert_width(&adopted, 42);
}

static void test_order(void)
{
    static const int orders[][3] = {
        { 39, 42, 47 }, { 39, 47, 42 }, { 42, 39, 47 },
        { 42, 47, 39 }, { 47, 39, 42 }, { 47, 42, 39 },
    };
    GuestView first, view;
    int i;

    for (i = 0; i < ARRAY_SIZE(orders); i++) {
        g_autofree char *args = g_strdup_printf(
            Q35 OPEN
            " -device host-iommu-testdev,addr=4,aw-bits=%d"
            " -device host-iommu-testdev,addr=5,aw-bits=%d"
            " -device host-iommu-testdev,addr=6,aw-bits=%d",
            orders[i][0], orders[i][1], orders[i][2]);

        view = start_and_read_guest_view(args);
        assert_width(&view, 39);
        if (!i) {
            first = view;
        }
        assert_same_view(&view, &first);
    }
}

static void test_unlike_hosts_intersect(void)
{
    assert_adopts("", "-M q35 -device host-iommu-testdev,aw-bits=57"
                  " -device host-iommu-testdev,aw-bits=0"
                  " -device host-iommu-testdev,aw-bits=46", 46);
}

static void test_wide_host(void)
{
    assert_adopts("", "-M q35 -device host-iommu-testdev,aw-bits=49", 48);
    assert_adopts("", "-M q35 -device host-iommu-testdev,aw-bits=57", 48);
    assert_adopts("", "-M q35 -device host-iommu-testdev,aw-bits=64", 48);
}

static void test_unknown_width(void)
{
    GuestView given = start_and_read_guest_view(
        Q35 "-device intel-iommu,aw-bits=40"
        " -device host-iommu-testdev,aw-bits=0");

    assert_width(&given, 40);
    assert_adopts("", "-M q35 -device host-iommu-testdev,aw-bits=0", 48);
}

/* Nothing to adopt: what the base shows, but for what made it stop */
static void test_same_as_base(void)
{
    static const char *const machines[] = { "q35", "pc-q35-9.1", "pc-q35-8.0" };
    static const int widths[] = { 0, 48, 57 };
    int i, j;

    if (!have_base()) {
        return;
    }
    for (i = 0; i < ARRAY_SIZE(machines); i++) {
        g_autofree char *args = g_strdup_printf(
            "-M %s -nodefaults -device intel-iommu" WITH_DEVICE, machines[i]);
        g_autofree char *with_edu = g_strconcat(args, " -device edu,addr=4",
                                                NULL);
        GuestView base = start_base_and_read_guest_view(with_edu);

        for (j = 0; j < ARRAY_SIZE(widths); j++) {
            g_autofree char *with_device = g_strdup_printf(
                "%s -device host-iommu-testdev,addr=4,aw-bits=%d", args,
                widths[j]);
            GuestView view = start_and_read_guest_view(with_device);

            assert_same_view(&view, &base);
        }
    }
}

static void test_old_machine(void)
{
    static const char old[] = "-M pc-q35-9.1 -nodefaults -device intel-iommu"
                              " -device host-iommu-testdev,aw-bits=";
    static const char open[] = "-M pc-q35-9.1 -nodefaults " OPEN
                               " -device host-iommu-testdev,aw-bits=";
    g_autofree char *at = g_strconcat(old, "39", NULL);
    g_autofree char *above = g_strconcat(old, "48", NULL);
    g_autofree char *narrow = g_strconcat(open, "42", NULL);
    GuestView view;

    view = start_and_read_guest_view(at);
    assert_width(&view, 39);
    view = start_and_read_guest_view(above);
    assert_width(&view, 39);
    view = start_and_read_guest_view(narrow);
    assert_width(&view, 42);
}

/* Nothing is translated: the width promises nothing, but the RAM is there */
static void test_without_dma_translation(void)
{
    static const char *const widths[] = { "0", "48" };
    int i;

    for (i = 0; i < ARRAY_SIZE(widths); i++) {
        g_autofree char *with = g_strdup_printf(
            Q35 "-device intel-iommu,dma-translation=off,aw-bits=%s "
            "-device host-iommu-testdev,addr=4,aw-bits=38", widths[i]);
        GuestView without = start_and_read_guest_view(
            Q35 "-device intel-iommu,dma-translation=off,caching-mode=on,"
            "aw-bits=48 -device edu,addr=4");
        GuestView view = start_and_read_guest_view(with);

        g_assert_cmphex(view.cap & VTD_CAP_SAGAW_MASK, ==, 0);
        assert_same_view(&view, &without);
    }
    assert_device_refused(
        "-M q35,memory-backend=ram -m 600G"
        " -object memory-backend-ram,id=ram,size=600G,reserve=off"
        " -device intel-iommu,dma-translation=off,aw-bits=48"
        " -device host-iommu-testdev,aw-bits=39", RAM_ABOVE_39);
}

/* A later device, too */
static void test_hotplug_without_dma_translation(void)
{
    QTestState *qts = qtest_init(
        Q35 "-device intel-iommu,dma-translation=off,caching-mode=on,"
        "aw-bits=48 -device pcie-root-port,id=rp1,chassis=1");

    assert_hotplug(qts, "{\"driver\":\"host-iommu-testdev\",\"id\":\"dev1\","
                        "\"bus\":\"rp1\",\"aw-bits\":39}");
    qtest_quit(qts);
}

static void test_scalable_mode(void)
{
    assert_adopts(",x-scalable-mode=on",
                  "-M q35 -device host-iommu-testdev,aw-bits=39", 39);
}

static void test_behind_bridge(void)
{
    /* of one requester id */
    assert_adopts("", "-M q35 -device pcie-pci-bridge,id=b1"
                  " -device host-iommu-testdev,bus=b1,addr=1,aw-bits=39"
                  " -device host-iommu-testdev,bus=b1,addr=2,aw-bits=42", 39);
    assert_adopts("", "-M q35 -device pcie-root-port,id=rp1,chassis=1"
                  " -device host-iommu-testdev,bus=rp1,aw-bits=42", 42);
}

/* Every function of bus 0 but those of the chipset, and behind root ports */
static void test_many_devices(void)
{
    g_autoptr(GString) args = g_string_new(Q35 OPEN);
    int slot, fn, count = 0;
    GuestView view;

    for (fn = 0; fn < 8; fn++) {
        g_string_append_printf(args, " -device pcie-root-port,id=rp%d,"
                               "chassis=%d,addr=1.%d,multifunction=on",
                               fn, fn + 1, fn);
    }
    for (slot = 0; slot < 8; slot++) {
        for (fn = 7; fn >= 0; fn--, count++) {
            g_string_append_printf(args, " -device host-iommu-testdev,bus=rp%d,"
                                   "addr=0.%d,multifunction=on,aw-bits=%d",
                                   slot, fn, 46 - slot % 2);
        }
    }
    for (slot = 2; slot < 26; slot++) {
        for (fn = 0; fn < 8; fn++, count++) {
            g_string_append_printf(args, " -device host-iommu-testdev,"
                                   "addr=%x.%d,multifunction=on,aw-bits=%d",
                                   slot, fn,
                                   slot == 20 && fn == 3 ? 41 : 47);
        }
    }
    g_assert_cmpint(count, ==, 256);
    view = start_and_read_guest_view(args->str);
    assert_width(&view, 41);
}

/* Coldplug: what is refused */

static void test_given_above_host(void)
{
    unsigned int width;

    for (width = 40; width <= VTD_HOST_AW_48BIT; width++) {
        g_autofree char *args = g_strdup_printf(
            "-M q35 -device intel-iommu,aw-bits=%u"
            " -device host-iommu-testdev,aw-bits=%u", width, width - 1);
        g_autofree char *error = g_strdup_printf(
            "host IOMMU cannot back intel-iommu: address width is %u in the "
            "guest, %u on the host (use aw-bits=%u, in libvirt aw_bits='%u', "
            "or leave it out to adopt the host's)",
            width, width - 1, width - 1, width - 1);

        assert_device_refused(args, error);
    }
}

static void test_given_up_to_host(void)
{
    unsigned int width;

    for (width = VTD_HOST_AW_39BIT; width <= VTD_HOST_AW_48BIT; width++) {
        g_autofree char *at = g_strdup_printf(
            Q35 "-device intel-iommu,aw-bits=%u"
            " -device host-iommu-testdev,aw-bits=%u", width, width);
        GuestView view = start_and_read_guest_view(at);

        assert_width(&view, width);
    }
}

static void test_narrow_host_beside_fitting(void)
{
    assert_device_refused("-M q35 -device intel-iommu,aw-bits=42"
                          " -device host-iommu-testdev,aw-bits=42"
                          " -device host-iommu-testdev,aw-bits=41",
                          "host IOMMU cannot back intel-iommu: address width "
                          "is 42 in the guest, 41 on the host (use aw-bits=41, "
                          "in libvirt aw_bits='41', or leave it out to adopt "
                          "the host's)");
}

static void test_host_below_39(void)
{
    assert_device_refused("-M q35 -device intel-iommu"
                          " -device host-iommu-testdev,aw-bits=38",
                          "host IOMMU cannot back intel-iommu: address width "
                          "is 48 in the guest, 38 on the host (intel-iommu "
                          "needs 39 at least)");
    assert_device_refused("-M q35 -device intel-iommu,aw-bits=39"
                          " -device host-iommu-testdev,aw-bits=32",
                          "host IOMMU cannot back intel-iommu: address width "
                          "is 39 in the guest, 32 on the host (intel-iommu "
                          "needs 39 at least)");
    assert_device_refused("-M pc-q35-9.1 -device intel-iommu"
                          " -device host-iommu-testdev,aw-bits=38",
                          "host IOMMU cannot back intel-iommu: address width "
                          "is 39 in the guest, 38 on the host (intel-iommu "
                          "needs 39 at least)");
}

static void test_host_below_ram(void)
{
    static const char plugged[] =
        "-M q35 -m 1G,slots=1,maxmem=600G -device intel-iommu%s"
        " -device host-iommu-testdev,aw-bits=39";
    static const char plugged_error[] =
        "host IOMMU cannot back intel-iommu: address width is 48 in the "
        "guest, 39 on the host (guest RAM, maxmem included, ends at "
        "0x9700000000 and takes 40: give the VM less)";
    g_autofree char *open = g_strdup_printf(plugged, "");
    g_autofree char *given = g_strdup_printf(plugged, ",aw-bits=48");

    assert_device_refused(open, plugged_error);
    assert_device_refused(given, plugged_error);
    assert_device_refused(
        "-M q35,memory-backend=ram -m 600G"
        " -object memory-backend-ram,id=ram,size=600G,reserve=off"
        " -device intel-iommu -device host-iommu-testdev,aw-bits=39",
        "host IOMMU cannot back intel-iommu: address width is 48 in the "
        "guest, 39 on the host (guest RAM, maxmem included, ends at "
        "0x9680000000 and takes 40: give the VM less)");
}

/* The width that was given fits, and the device could not reach all RAM */
static void test_given_and_ram_above_host(void)
{
    static const char dimm[] =
        Q35 "-m 1G,slots=1,maxmem=600G"
        " -object memory-backend-ram,id=ram0,size=128M"
        " -device pcie-root-port,id=rp1,chassis=1"
        " -device intel-iommu,aw-bits=39,caching-mode=on"
        " -device pc-dimm,memdev=ram0,addr=0x8000000000";
    static const char device[] =
        "{\"driver\":\"host-iommu-testdev\",\"id\":\"dev1\",\"bus\":\"rp1\","
        "\"aw-bits\":39}";
    static const char error[] =
        "host IOMMU cannot back intel-iommu: guest RAM ends at 0x8008000000 "
        "and takes 40 address bits, 39 on the host (give the VM less)";
    g_autofree char *cold = g_strconcat(
        dimm, " -device host-iommu-testdev,aw-bits=39", NULL);
    QTestState *qts = qtest_init(dimm);

    assert_hotplug_refused(qts, device, error);
    qtest_quit(qts);
    assert_device_refused(cold, error);
    assert_device_refused(
        "-M q35,memory-backend=ram -m 600G"
        " -object memory-backend-ram,id=ram,size=600G,reserve=off"
        " -device intel-iommu,aw-bits=39 -device host-iommu-testdev,aw-bits=39",
        RAM_ABOVE_39);
}

static void test_host_at_ram(void)
{
    assert_adopts("", "-M q35 -m 1G,slots=1,maxmem=600G"
                  " -device host-iommu-testdev,aw-bits=40", 40);
    /* the whole of 39 bits, the hole below 4 GiB included */
    assert_adopts("", "-M q35,memory-backend=ram -m 510G"
                  " -object memory-backend-ram,id=ram,size=510G,reserve=off"
                  " -device host-iommu-testdev,aw-bits=39", 39);
    assert_device_refused(
        "-M q35,memory-backend=ram -m 510G"
        " -object memory-backend-ram,id=ram,size=510G,reserve=off"
        " -device intel-iommu -device host-iommu-testdev,aw-bits=38",
        "host IOMMU cannot back intel-iommu: address width is 48 in the "
        "guest, 38 on the host (intel-iommu needs 39 at least)");
    assert_device_refused(
        "-M q35,memory-backend=ram -m 522241M"
        " -object memory-backend-ram,id=ram,size=522241M,reserve=off"
        " -device intel-iommu -device host-iommu-testdev,aw-bits=39",
        "host IOMMU cannot back intel-iommu: address width is 48 in the "
        "guest, 39 on the host (guest RAM, maxmem included, ends at "
        "0x8000100000 and takes 40: give the VM less)");
}

#define SNOOP_ERROR \
    "host IOMMU cannot back intel-iommu: snoop control: on in the guest, " \
    "not for assigned devices (use snoop-control=off)"

static void test_snoop_control(void)
{
    assert_device_refused("-M q35 -device intel-iommu,snoop-control=on"
                          " -device host-iommu-testdev", SNOOP_ERROR);
    assert_device_refused("-M q35 -device intel-iommu,snoop-control=on"
                          " -device host-iommu-testdev" VTD_EVERYTHING,
                          SNOOP_ERROR);
    assert_start_refused("-M q35 -device intel-iommu,snoop-control=on"
                         " -device host-iommu-testdev,id=dev1,mdev=on",
                         "host-iommu-testdev /machine/peripheral/dev1: "
                         SNOOP_ERROR);
    assert_adopts(",snoop-control=off",
                  "-M q35 -device host-iommu-testdev,aw-bits=40", 40);
}

static void test_every_field_is_told(void)
{
    assert_device_refused("-M q35 -device intel-iommu,aw-bits=48,"
                          "snoop-control=on"
                          " -device host-iommu-testdev,unit=dmar2,aw-bits=39",
                          "host IOMMU dmar2 cannot back intel-iommu: address "
                          "width is 48 in the guest, 39 on the host (use "
                          "aw-bits=39, in libvirt aw_bits='39', or leave it "
                          "out to adopt the host's); snoop control: on in the guest, not "
                          "for assigned devices (use snoop-control=off)");
}

/* Shadow mode: what is not the width does not matter */
static void test_host_of_other_type(void)
{
    static const char *const hosts[] = {
        VTD_NOTHING, VTD_EVERYTHING, ",iommu-type=amd-vi,source=iommufd",
        ",iommu-type=arm-smmuv3,source=iommufd",
        ",iommu-type=intel-vtd,source=none", ",pasid-bits=20",
    };
    GuestView want = start_and_read_guest_view(
        Q35 "-device intel-iommu,aw-bits=46 -device host-iommu-testdev");
    int i;

    for (i = 0; i < ARRAY_SIZE(hosts); i++) {
        g_autofree char *args = g_strconcat(
            Q35 OPEN " -device host-iommu-testdev,aw-bits=46",
            hosts[i], NULL);
        GuestView view = start_and_read_guest_view(args);

        assert_same_view(&view, &want);
    }
}

static void test_stage_1_unknown_host(void)
{
    static const char error[] =
        "host IOMMU cannot back intel-iommu with x-flts=on: what it can do is "
        "unknown, neither iommufd nor the device's iommu/intel-iommu/ folder "
        "in sysfs tells (use x-flts=off)";

    assert_device_refused("-M q35 " STAGE_1 " -device host-iommu-testdev",
                          error);
    assert_device_refused("-M q35 " STAGE_1 " -device host-iommu-testdev,"
                          "iommu-type=intel-vtd,source=none", error);
}

static void test_stage_1_other_host(void)
{
    assert_device_refused("-M q35 " STAGE_1 " -device host-iommu-testdev,"
                          "iommu-type=amd-vi,source=iommufd",
                          "host IOMMU cannot back intel-iommu with x-flts=on: "
                          "it is amd-vi, not intel-vtd (use x-flts=off)");
    assert_device_refused("-M q35 " STAGE_1 " -device host-iommu-testdev,"
                          "iommu-type=arm-smmuv3,source=iommufd",
                          "host IOMMU cannot back intel-iommu with x-flts=on: "
                          "it is arm-smmuv3, not intel-vtd (use x-flts=off)");
    assert_device_refused("-M q35 " STAGE_1 " -device host-iommu-testdev,"
                          "unit=ivhd0,iommu-type=amd-vi,source=sysfs",
                          "host IOMMU ivhd0 cannot back intel-iommu with "
                          "x-flts=on: it is amd-vi, not intel-vtd (use "
                          "x-flts=off)");
}

static void test_stage_1_host_lacks_everything(void)
{
    assert_device_refused(
        "-M q35 " STAGE_1 ",device-iotlb=on,fs1gp=on"
        " -device host-iommu-testdev,aw-bits=47" VTD_NOTHING,
        "host IOMMU cannot back intel-iommu: "
        "address width is 48 in the guest, 47 on the host "
        "(x-flts=on needs 48); "
        "scalable mode: needed, off on the host (use x-flts=off); "
        "first-stage translation: needed, off on the host (use x-flts=off); "
        "second-stage translation: needed, off on the host (use x-flts=off); "
        "nested translation: needed, off on the host (use x-flts=off); "
        "1 GiB first-stage pages: on in the guest, off on the host "
        "(use fs1gp=off); "
        "device TLBs: on in the guest, off on the host (use device-iotlb=off, "
        "in libvirt iotlb='off')");
}

static void test_stage_1_pasid(void)
{
    static const char args[] =
        "-M q35 " STAGE_1 ",x-pasid-mode=on -device host-iommu-testdev,"
        "iommu-type=intel-vtd,source=iommufd,pasid-bits=20,"
        "vtd-cap=0xffffffffffffffff,vtd-ecap=0x%" PRIx64;
    g_autofree char *without = g_strdup_printf(
        args, ~(UINT64_C(1) << 40));
    g_autofree char *with = g_strdup_printf(args, UINT64_MAX);

    assert_device_refused(without,
                          "host IOMMU cannot back intel-iommu: PASIDs: on in "
                          "the guest, off on the host (use x-pasid-mode=off)");
    qtest_quit(qtest_init(with));
}

/* Each bit of the host's decides one part of the message, and no other */
static void test_stage_1_host_lacks_one_field(void)
{
    static const struct {
        bool ecap;
        int bit;
        const char *problem;
    } fields[] = {
        { true, 43, "scalable mode: needed, off on the host (use x-flts=off)" },
        { true, 47, "first-stage translation: needed, off on the host "
                    "(use x-flts=off)" },
        { true, 46, "second-stage translation: needed, off on the host "
                    "(use x-flts=off)" },
        { true, 26, "nested translation: needed, off on the host "
                    "(use x-flts=off)" },
        { false, 56, "1 GiB first-stage pages: on in the guest, off on the "
                     "host (use fs1gp=off)" },
        { true, 2, "device TLBs: on in the guest, off on the host "
                   "(use device-iotlb=off, in libvirt iotlb='off')" },
    };
    int i;

    for (i = 0; i < ARRAY_SIZE(fields); i++) {
        uint64_t lacking = ~BIT_ULL(fields[i].bit);
        g_autofree char *args = g_strdup_printf(
            "-M q35 " STAGE_1 ",device-iotlb=on,fs1gp=on"
            " -device host-iommu-testdev,iommu-type=intel-vtd,source=sysfs,"
            "vtd-cap=0x%" PRIx64 ",vtd-ecap=0x%" PRIx64,
            fields[i].ecap ? UINT64_MAX : lacking,
            fields[i].ecap ? lacking : UINT64_MAX);
        g_autofree char *error = g_strdup_printf(
            "host IOMMU cannot back intel-iommu: %s", fields[i].problem);

        assert_device_refused(args, error);
    }
}

static void test_stage_1_host_has_everything(void)
{
    qtest_quit(qtest_init("-M q35 " STAGE_1 ",device-iotlb=on"
                          " -device host-iommu-testdev" VTD_EVERYTHING));
    /* what the guest is not told, the host need not have */
    qtest_quit(qtest_init("-M q35 " STAGE_1 ",fs1gp=off"
                          " -device host-iommu-testdev,iommu-type=intel-vtd,"
                          "source=iommufd,vtd-ecap=0xc80004000000"));
}

/* A bus that bypasses the vIOMMU */

static void test_bypass(void)
{
    static const char pxb[] =
        Q35 "-device intel-iommu,aw-bits=48%s"
        " -device pxb-pcie,id=pxb,bus_nr=32,bypass_iommu=on"
        " -device pcie-root-port,id=rp1,bus=pxb,chassis=1"
        " -device host-iommu-testdev,bus=rp1,aw-bits=%d";
    static const char root[] =
        "-M q35,default_bus_bypass_iommu=on -nodefaults -device intel-iommu%s"
        " -device host-iommu-testdev,addr=5,aw-bits=%d";
    GuestView without = start_and_read_guest_view(
        "-M q35,default_bus_bypass_iommu=on -nodefaults -device intel-iommu");
    const char *formats[] = { pxb, root };
    int i;

    for (i = 0; i < ARRAY_SIZE(formats); i++) {
        g_autofree char *narrow = g_strdup_printf(formats[i], "", 32);
        g_autofree char *snoop = g_strdup_printf(formats[i],
                                                 ",snoop-control=on", 32);
        GuestView view = start_and_read_guest_view(narrow);

        assert_width(&view, 48);
        g_assert_cmphex(view.cap, ==, without.cap);
        g_assert_cmphex(view.ecap, ==, without.ecap);
        start_and_read_guest_view(snoop);
    }
}

static void test_no_bypass_behind_pxb(void)
{
    GuestView view = start_and_read_guest_view(
        Q35 OPEN " -device pxb-pcie,id=pxb,bus_nr=32"
        " -device pcie-root-port,id=rp1,bus=pxb,chassis=1"
        " -device host-iommu-testdev,bus=rp1,aw-bits=40");

    assert_width(&view, 40);
}

/* The device's own registers */

/* On bus 0 at slot @slot; freed with the bus */
typedef struct Testdev {
    QPCIBus *bus;
    QPCIDevice *pdev;
    QPCIBar bar;
} Testdev;

static Testdev open_testdev(QTestState *qts, int slot)
{
    Testdev td = { .bus = qpci_new_pc(qts, NULL) };

    td.pdev = qpci_device_find(td.bus, QPCI_DEVFN(slot, 0));
    g_assert_nonnull(td.pdev);
    qpci_device_enable(td.pdev);
    td.bar = qpci_iomap(td.pdev, 0, NULL);
    return td;
}

static void close_testdev(Testdev *td)
{
    g_free(td->pdev);
    qpci_free_pc(td->bus);
}

static uint64_t copy(Testdev *td, uint64_t src, uint64_t dst, uint64_t len)
{
    qpci_io_writeq(td->pdev, td->bar, DMA_TESTDEV_SRC, src);
    qpci_io_writeq(td->pdev, td->bar, DMA_TESTDEV_DST, dst);
    qpci_io_writeq(td->pdev, td->bar, DMA_TESTDEV_LEN, len);
    qpci_io_writeq(td->pdev, td->bar, DMA_TESTDEV_START, 1);
    return qpci_io_readq(td->pdev, td->bar, DMA_TESTDEV_RESULT);
}

static void assert_reads(Testdev *td, uint64_t reg, uint64_t value)
{
    g_assert_cmphex(qpci_io_readq(td->pdev, td->bar, reg), ==, value);
}

static void assert_viommu_flags(const char *args, uint64_t flags)
{
    QTestState *qts = qtest_init(args);
    Testdev td = open_testdev(qts, 5);

    assert_reads(&td, HOST_IOMMU_TESTDEV_FLAGS, flags);
    close_testdev(&td);
    qtest_quit(qts);
}

static void test_viommu_flags(void)
{
    assert_viommu_flags(Q35 "-device host-iommu-testdev,addr=5", 0);
    assert_viommu_flags(Q35 "-device intel-iommu"
                        " -device host-iommu-testdev,addr=5", 0);
    /* no device with stage 1 starts yet, and a mediated one says why */
    assert_device_refused(Q35 STAGE_1 " -device host-iommu-testdev,mdev=on",
                          "intel-iommu needs a nesting parent, as it has "
                          "x-flts=on (use x-flts=off): mdev=on: no nesting "
                          "parent");
    assert_viommu_flags("-M q35,default_bus_bypass_iommu=on -nodefaults "
                        STAGE_1 " -device host-iommu-testdev,addr=5,mdev=on",
                        0);
    assert_viommu_flags("-M q35,default_bus_bypass_iommu=on -nodefaults "
                        STAGE_1 " -device host-iommu-testdev,addr=5", 0);
}

/* What the host answered, and before it what the vIOMMU makes of that */
static void test_viommu_flags_explained(void)
{
    static const struct {
        const char *host, *explained;
    } refused[] = {
        { ",unit=dmar2,iommu-type=intel-vtd,source=iommufd,"
          "vtd-cap=0xffffffffffffffff,vtd-ecap=0xfffffffffbffffff",
          "host IOMMU dmar2 cannot back intel-iommu: nested translation: "
          "needed, off on the host (use x-flts=off)" },
        { ",unit=dmar2" VTD_EVERYTHING,
          "host IOMMU dmar2 can nest, which intel-iommu with x-flts=on needs, "
          "so scalable mode may be off in the host's kernel, see "
          "intel_iommu=sm_on (or use x-flts=off)" },
        { VTD_EVERYTHING,
          "host IOMMU can nest, which intel-iommu with x-flts=on needs, "
          "so scalable mode may be off in the host's kernel, see "
          "intel_iommu=sm_on (or use x-flts=off)" },
        { ",iommu-type=arm-smmuv3,source=iommufd",
          "host IOMMU cannot back intel-iommu with x-flts=on: it is "
          "arm-smmuv3, not intel-vtd (use x-flts=off)" },
        { "", "host IOMMU cannot back intel-iommu with x-flts=on: what it can "
          "do is unknown, neither iommufd nor the device's "
          "iommu/intel-iommu/ folder in sysfs tells (use x-flts=off)" },
    };
    int i;

    for (i = 0; i < ARRAY_SIZE(refused); i++) {
        g_autofree char *args = g_strconcat(
            Q35 STAGE_1 " -device host-iommu-testdev,x-refuse-parent=on",
            refused[i].host, NULL);
        g_autofree char *error = g_strconcat(
            refused[i].explained, ": x-refuse-parent=on: no nesting parent",
            NULL);

        assert_device_refused(args, error);
    }
    /* nobody asked for a parent */
    assert_viommu_flags(Q35 "-device intel-iommu"
                        " -device host-iommu-testdev,addr=5,"
                        "x-refuse-parent=on", 0);
}

static void test_dma(void)
{
    QTestState *qts = qtest_init(Q35 "-m 64M " OPEN
                                 " -device host-iommu-testdev,addr=5,"
                                 "aw-bits=39");
    g_autofree uint8_t *want = g_malloc(DMA_TESTDEV_MAX_LEN);
    g_autofree uint8_t *got = g_malloc(DMA_TESTDEV_MAX_LEN);
    const uint64_t src = 16 * MiB, dst = 32 * MiB, nowhere = 1ULL << 38;
    Testdev td = open_testdev(qts, 5);
    int i;

    for (i = 0; i < DMA_TESTDEV_MAX_LEN; i++) {
        want[i] = i ^ i >> 8;
    }
    qtest_memwrite(qts, src, want, DMA_TESTDEV_MAX_LEN);

    assert_reads(&td, DMA_TESTDEV_RESULT, DMA_TESTDEV_IDLE);
    g_assert_cmpuint(copy(&td, src, nowhere, 8),
                     ==, DMA_TESTDEV_WRITE_FAILED);
    g_assert_cmpuint(copy(&td, nowhere, dst, 8),
                     ==, DMA_TESTDEV_READ_FAILED);
    g_assert_cmpuint(copy(&td, src, dst, DMA_TESTDEV_MAX_LEN + 1),
                     ==, DMA_TESTDEV_TOO_LONG);
    g_assert_cmphex(qtest_readq(qts, dst), ==, 0);

    g_assert_cmpuint(copy(&td, src, dst, DMA_TESTDEV_MAX_LEN),
                     ==, DMA_TESTDEV_DONE);
    qtest_memread(qts, dst, got, DMA_TESTDEV_MAX_LEN);
    g_assert_cmpmem(got, DMA_TESTDEV_MAX_LEN,
                    want, DMA_TESTDEV_MAX_LEN);

    /* they read as written, the rest as zero */
    assert_reads(&td, DMA_TESTDEV_SRC, src);
    assert_reads(&td, DMA_TESTDEV_DST, dst);
    assert_reads(&td, DMA_TESTDEV_LEN, DMA_TESTDEV_MAX_LEN);
    assert_reads(&td, DMA_TESTDEV_START, 0);
    close_testdev(&td);
    qtest_quit(qts);
}

/* The guest's own tables, in pages from 1 MiB up, and the page they map */
enum { ROOT, CONTEXT, LEVEL_4, LEVEL_3, LEVEL_2, LEVEL_1 };
#define TABLE(n)        (1 * MiB + (n) * 4 * KiB)
#define FRAME           (32 * MiB)

/* Index of the page-table entries that hold another address than FRAME */
#define ENTRY_BEYOND    2

/*
 * Turns translation on for the device at @slot: the first and the last page
 * of @width bits are FRAME, and so are those between that the same entries
 * map. One that has bit 48, which is reserved, is ENTRY_BEYOND pages on.
 */
static void enable_dmar(QTestState *qts, int slot, unsigned int width)
{
    const uint64_t rw = VTD_SL_R | VTD_SL_W;
    const uint64_t last = BIT_ULL(width) - 1;
    uint64_t context = TABLE(CONTEXT) + QPCI_DEVFN(slot, 0) * 16;
    int levels = width > VTD_HOST_AW_39BIT ? 4 : 3;
    int table;

    for (table = LEVEL_4; table <= LEVEL_1; table++) {
        uint64_t entry = (table == LEVEL_1 ? FRAME : TABLE(table + 1)) | rw;
        int shift = 12 + (LEVEL_1 - table) * 9;

        qtest_writeq(qts, TABLE(table), entry);
        qtest_writeq(qts, TABLE(table) + extract64(last, shift, 9) * 8, entry);
    }
    /* the guest's memory is no narrower where its devices' addresses are */
    qtest_writeq(qts, TABLE(LEVEL_1) + ENTRY_BEYOND * 8,
                 FRAME | BIT_ULL(VTD_HOST_AW_48BIT) | rw);
    qtest_writeq(qts, TABLE(ROOT), TABLE(CONTEXT) | VTD_ROOT_ENTRY_P);
    qtest_writeq(qts, context, TABLE(levels == 4 ? LEVEL_4 : LEVEL_3) |
                               VTD_CONTEXT_ENTRY_P);
    /* domain 1 */
    qtest_writeq(qts, context + 8, 1 << 8 | (levels - 2));

    qtest_writeq(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_RTADDR_REG,
                 TABLE(ROOT));
    qtest_writel(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_GCMD_REG,
                 VTD_GCMD_SRTP);
    qtest_writel(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_GCMD_REG, VTD_GCMD_TE);
    g_assert_cmphex(qtest_readl(qts, Q35_HOST_BRIDGE_IOMMU_ADDR +
                                     DMAR_GSTS_REG) & VTD_GSTS_TES,
                    ==, VTD_GSTS_TES);
}

/* Returns: the reason of the fault that was recorded since the last call */
static unsigned int take_fault(QTestState *qts)
{
    uint64_t frcd = Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_FRCD_REG_0_0;
    uint32_t high = qtest_readl(qts, frcd + 12);

    if (!(high & BIT(31))) {
        return 0;
    }
    qtest_writel(qts, frcd + 12, BIT(31));
    return high & 0xff;
}

/* With translation on, an adopted width ends where a given one does */
static void assert_translates_up_to(const char *options, int host,
                                    unsigned int width)
{
    g_autofree char *args = g_strdup_printf(
        Q35 "-m 64M -device intel-iommu%s"
        " -device host-iommu-testdev,addr=5,aw-bits=%d", options, host);
    const uint64_t last_page = BIT_ULL(width) - 4 * KiB;
    const uint64_t beyond_page = ENTRY_BEYOND * 4 * KiB;
    QTestState *qts = qtest_init(args);
    Testdev td = open_testdev(qts, 5);

    enable_dmar(qts, 5, width);
    qtest_writeq(qts, FRAME, 0x0123456789abcdef);
    g_assert_cmpuint(copy(&td, last_page, last_page + 2048, 8),
                     ==, DMA_TESTDEV_DONE);
    g_assert_cmphex(qtest_readq(qts, FRAME + 2048), ==, 0x0123456789abcdef);
    g_assert_cmpuint(take_fault(qts), ==, 0);

    g_assert_cmpuint(copy(&td, BIT_ULL(width), 1024, 8),
                     ==, DMA_TESTDEV_READ_FAILED);
    g_assert_cmpuint(take_fault(qts), ==, VTD_FR_ADDR_BEYOND_MGAW);
    g_assert_cmpuint(copy(&td, 0, BIT_ULL(width), 8),
                     ==, DMA_TESTDEV_WRITE_FAILED);
    g_assert_cmpuint(take_fault(qts), ==, VTD_FR_ADDR_BEYOND_MGAW);

    g_assert_cmpuint(copy(&td, beyond_page, 1024, 8),
                     ==, DMA_TESTDEV_READ_FAILED);
    g_assert_cmpuint(take_fault(qts), ==, VTD_FR_PAGING_ENTRY_RSVD);
    g_assert_cmphex(qtest_readq(qts, FRAME + 1024), ==, 0);
    close_testdev(&td);
    qtest_quit(qts);
}

static void test_translation(void)
{
    static const int widths[] = { 39, 42, 46, 47, 48 };
    int i;

    for (i = 0; i < ARRAY_SIZE(widths); i++) {
        g_autofree char *given = g_strdup_printf(",aw-bits=%d", widths[i]);

        assert_translates_up_to(",aw-bits=0", widths[i], widths[i]);
        assert_translates_up_to(given, 57, widths[i]);
    }
}

static uint64_t read_testdev(Testdev *td, uint64_t reg)
{
    return qpci_io_readq(td->pdev, td->bar, reg);
}

/* The guest turns translation on after its device was attached */
static void assert_listens(const char *device)
{
    g_autofree char *args = g_strdup_printf(
        Q35 "-m 64M -device intel-iommu,aw-bits=39"
        " -device host-iommu-testdev,addr=5%s", device);
    QTestState *qts = qtest_init(args);
    Testdev td = open_testdev(qts, 5);

    g_assert_cmpuint(read_testdev(&td, DMA_TESTDEV_MAPS), ==, 0);
    enable_dmar(qts, 5, 39);
    /* from two entries in each of three tables */
    g_assert_cmpuint(read_testdev(&td, DMA_TESTDEV_MAPS), ==, 8);

    qtest_writel(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_GCMD_REG, 0);
    qtest_writel(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_GCMD_REG, VTD_GCMD_TE);
    g_assert_cmpuint(read_testdev(&td, DMA_TESTDEV_MAPS), ==, 16);
    close_testdev(&td);
    qtest_quit(qts);
}

static void invalidate_iotlb(QTestState *qts)
{
    qtest_writeq(qts, Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_IOTLB_REG,
                 VTD_TLB_IVT | VTD_TLB_GLOBAL_FLUSH);
}

/*
 * A page of 1 GiB with interrupts in it: of the halves, of the halves of the
 * one that has them, and so on down to the 1 MiB that is theirs, ten are told
 */
static void test_interrupts(void)
{
    const uint64_t entry = TABLE(LEVEL_3) + 3 * 8, parts = 10;
    QTestState *qts = qtest_init(
        Q35 "-m 64M -device intel-iommu,aw-bits=39"
        " -device host-iommu-testdev,addr=5");
    Testdev td = open_testdev(qts, 5);
    uint64_t unmaps;

    qtest_writeq(qts, entry, VTD_PT_PAGE_SIZE_MASK | VTD_SL_R | VTD_SL_W);
    enable_dmar(qts, 5, 39);
    g_assert_cmpuint(read_testdev(&td, DMA_TESTDEV_MAPS), ==, 8 + parts);

    unmaps = read_testdev(&td, DMA_TESTDEV_UNMAPS);
    qtest_writeq(qts, entry, 0);
    invalidate_iotlb(qts);
    g_assert_cmpuint(read_testdev(&td, DMA_TESTDEV_UNMAPS), ==,
                     unmaps + parts);

    qtest_writeq(qts, entry, VTD_PT_PAGE_SIZE_MASK | VTD_SL_R | VTD_SL_W);
    invalidate_iotlb(qts);
    g_assert_cmpuint(read_testdev(&td, DMA_TESTDEV_MAPS), ==,
                     8 + 2 * parts);

    /* to another page */
    qtest_writeq(qts, entry,
                 1 * GiB | VTD_PT_PAGE_SIZE_MASK | VTD_SL_R | VTD_SL_W);
    invalidate_iotlb(qts);
    g_assert_cmpuint(read_testdev(&td, DMA_TESTDEV_UNMAPS), ==,
                     unmaps + 2 * parts);
    g_assert_cmpuint(read_testdev(&td, DMA_TESTDEV_MAPS), ==,
                     8 + 3 * parts);
    close_testdev(&td);
    qtest_quit(qts);
}

static void test_listener(void)
{
    assert_listens("");
    assert_listens(",mdev=on");
}

/* As VFIO, the device cannot do with a vIOMMU that does not announce */
static void test_listener_refused(void)
{
    assert_device_refused(Q35 "-device amd-iommu"
                          " -device host-iommu-testdev,addr=5",
                          "device 00.05.0 requires iommu notifier which is "
                          "not currently supported");
}

/* Hotplug. Root ports without ACPI: an unplug needs no guest */

#define HOTPLUG_VM      Q35 "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-" \
                        "support=off -device intel-iommu%s" \
                        " -device pcie-root-port,id=rp1,chassis=1" \
                        " -device pcie-root-port,id=rp2,chassis=2"

#define HOTPLUG_FIXED   "host IOMMU cannot back intel-iommu: address width " \
                        "is %d in the guest, %d on the host (fixed since the " \
                        "VM started: start it with aw-bits=%d, in libvirt " \
                        "aw_bits='%d'%s)"
#define OR_NAMED        ", or with host-iommu=all"

static QTestState *start_hotplug_vm(const char *iommu_options,
                                    const char *devices)
{
    g_autofree char *args = g_strdup_printf(HOTPLUG_VM "%s", iommu_options,
                                            devices);

    return qtest_init(args);
}

static char *device_json(const char *id, const char *bus, int width,
                         const char *more)
{
    return g_strdup_printf("{\"driver\":\"host-iommu-testdev\",\"id\":\"%s\","
                           "\"bus\":\"%s\",\"aw-bits\":%d%s}",
                           id, bus, width, more);
}

static void assert_fits(QTestState *qts, const char *id, const char *bus,
                        int width)
{
    g_autofree char *device = device_json(id, bus, width, "");

    assert_hotplug(qts, device);
}

static void assert_too_narrow(QTestState *qts, int guest, int host,
                              const char *or_else)
{
    g_autofree char *device = device_json("dev1", "rp1", host, "");
    g_autofree char *error = g_strdup_printf(HOTPLUG_FIXED, guest, host, host,
                                             host, or_else);

    assert_hotplug_refused(qts, device, error);
}

static void test_hotplug_narrower(void)
{
    QTestState *qts = start_hotplug_vm(",aw-bits=0" WITH_DEVICE, "");
    GuestView before = read_guest_view(qts), after;

    assert_too_narrow(qts, 48, 47, OR_NAMED);
    assert_too_narrow(qts, 48, 39, OR_NAMED);
    after = read_guest_view(qts);
    assert_same_view(&before, &after);
    assert_fits(qts, "dev1", "rp1", 48);
    assert_fits(qts, "dev2", "rp2", 0);
    after = read_guest_view(qts);
    assert_same_view(&before, &after);

    qtest_system_reset(qts);
    after = read_guest_view(qts);
    assert_same_view(&before, &after);
    qtest_quit(qts);
}

static void test_hotplug_below_39(void)
{
    QTestState *qts = start_hotplug_vm(",aw-bits=0" WITH_DEVICE, "");
    g_autofree char *device = device_json("dev1", "rp1", 38, "");

    assert_hotplug_refused(qts, device,
                           "host IOMMU cannot back intel-iommu: address width "
                           "is 48 in the guest, 38 on the host (intel-iommu "
                           "needs 39 at least)");
    qtest_quit(qts);
}

static void test_hotplug_against_adopted(void)
{
    QTestState *qts = start_hotplug_vm(
        ",aw-bits=0", " -device host-iommu-testdev,addr=5,aw-bits=42");
    GuestView before = read_guest_view(qts), after;

    assert_width(&before, 42);
    assert_too_narrow(qts, 42, 41, OR_NAMED);
    assert_fits(qts, "dev1", "rp1", 42);
    assert_fits(qts, "dev2", "rp2", 57);

    qtest_system_reset(qts);
    after = read_guest_view(qts);
    assert_same_view(&before, &after);
    qtest_quit(qts);
}

static void test_hotplug_against_given(void)
{
    QTestState *qts = start_hotplug_vm(WITH_DEVICE ",aw-bits=40", "");

    assert_too_narrow(qts, 40, 39, "");
    assert_fits(qts, "dev1", "rp1", 40);
    qtest_quit(qts);
}

static void test_hotplug_with_snoop_control(void)
{
    QTestState *qts = start_hotplug_vm(WITH_DEVICE ",snoop-control=on", "");
    g_autofree char *device = device_json("dev1", "rp1", 48, "");
    g_autofree char *mediated = device_json("dev1", "rp1", 48,
                                            ",\"mdev\":true");

    assert_hotplug_refused(qts, device, SNOOP_ERROR);
    assert_hotplug_refused(qts, mediated, SNOOP_ERROR);
    assert_hotplug(qts, "{\"driver\":\"edu\",\"id\":\"edu1\","
                        "\"bus\":\"rp1\"}");
    qtest_quit(qts);
}

static void test_hotplug_with_stage_1(void)
{
    QTestState *qts = start_hotplug_vm(
        WITH_DEVICE ",x-scalable-mode=on,x-flts=on", "");
    g_autofree char *unknown = device_json("dev1", "rp1", 48, "");
    g_autofree char *vtd = device_json(
        "dev1", "rp1", 47, ",\"iommu-type\":\"intel-vtd\","
        "\"source\":\"iommufd\",\"vtd-cap\":72057594037927936,"
        "\"vtd-ecap\":219902392664064");

    assert_hotplug_refused(qts, unknown,
                           "host IOMMU cannot back intel-iommu with x-flts=on: "
                           "what it can do is unknown, neither iommufd nor the "
                           "device's iommu/intel-iommu/ folder in sysfs tells "
                           "(use x-flts=off)");
    assert_hotplug_refused(qts, vtd,
                           "host IOMMU cannot back intel-iommu: address width "
                           "is 48 in the guest, 47 on the host (x-flts=on "
                           "needs 48)");
    qtest_quit(qts);
}

static void test_hotplug_on_bus_that_bypasses(void)
{
    QTestState *qts = start_hotplug_vm(
        WITH_DEVICE, " -device pxb-pcie,id=pxb,bus_nr=32,bypass_iommu=on"
        " -device pcie-root-port,id=rp3,bus=pxb,chassis=3");

    assert_fits(qts, "dev1", "rp3", 32);
    qtest_quit(qts);
}

static void unplug(QTestState *qts, const char *id)
{
    qtest_qmp_device_del(qts, id);
    g_assert_false(is_plugged(qts, id));
}

static void test_unplug_and_replug(void)
{
    QTestState *qts = start_hotplug_vm(",aw-bits=0" WITH_DEVICE, "");
    GuestView before = read_guest_view(qts), after;
    int i;

    for (i = 0; i < 3; i++) {
        assert_fits(qts, "dev1", "rp1", 48);
        unplug(qts, "dev1");
        assert_too_narrow(qts, 48, 39, OR_NAMED);
        qtest_system_reset(qts);
    }
    after = read_guest_view(qts);
    assert_same_view(&before, &after);
    qtest_quit(qts);
}

/* With ACPI, the guest ejects; a reset does it for a guest that is off */
static void test_adopted_stays_after_unplug(void)
{
    QTestState *qts = qtest_init(
        Q35 OPEN " -device pcie-root-port,id=rp1,chassis=1"
        " -device host-iommu-testdev,id=dev1,bus=rp1,aw-bits=39");
    GuestView before = read_guest_view(qts), after;

    assert_width(&before, 39);
    qtest_qmp_device_del_send(qts, "dev1");
    qtest_system_reset_nowait(qts);
    qtest_qmp_eventwait(qts, "DEVICE_DELETED");
    g_assert_false(is_plugged(qts, "dev1"));
    after = read_guest_view(qts);
    assert_same_view(&before, &after);

    assert_fits(qts, "dev1", "rp1", 39);
    qtest_system_reset(qts);
    after = read_guest_view(qts);
    assert_same_view(&before, &after);
    qtest_quit(qts);
}

static void test_reset(void)
{
    QTestState *qts = qtest_init(Q35 OPEN
                                 " -device host-iommu-testdev,aw-bits=46");
    GuestView before = read_guest_view(qts), after;

    qtest_system_reset(qts);
    qtest_system_reset(qts);
    after = read_guest_view(qts);
    assert_width(&after, 46);
    assert_same_view(&before, &after);
    qtest_quit(qts);
}

/* QOM */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Returns: names of @path's properties, sorted, with commas; NULL: no path */
static char *property_names(QTestState *qts, const char *path)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-list', 'arguments': {"
                                " 'path': %s } }", path);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    QListEntry *e;
    char *joined;

    if (qdict_haskey(rsp, "error")) {
        qobject_unref(rsp);
        return NULL;
    }
    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), e) {
        QDict *property = qobject_to(QDict, qlist_entry_obj(e));

        g_ptr_array_add(names, (char *)qdict_get_str(property, "name"));
    }
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    joined = g_strjoinv(",", (char **)names->pdata);
    qobject_unref(rsp);
    return joined;
}

/* The value of a property of @id's host, as JSON */
static void assert_host_property(QTestState *qts, const char *id,
                                 const char *property, const char *want)
{
    g_autofree char *path = g_strdup_printf(
        "/machine/peripheral/%s/host-iommu-device", id);
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                                " 'path': %s, 'property': %s } }",
                           path, property);
    QObject *value = qdict_get(rsp, "return");
    g_autoptr(GString) got = value ? qobject_to_json(value) : NULL;

    g_assert_cmpstr(got ? got->str : NULL, ==, want);
    qobject_unref(rsp);
}

static void test_qom_known(void)
{
    QTestState *qts = qtest_init(
        Q35 OPEN " -device host-iommu-testdev,id=dev1,"
        "unit=dmar1,aw-bits=46,pasid-bits=20,hw-caps=5,iommu-type=intel-vtd,"
        "source=iommufd,vtd-cap=0xfedcba9876543210,vtd-ecap=0x1234");
    g_autofree char *names = property_names(
        qts, "/machine/peripheral/dev1/host-iommu-device");

    g_assert_cmpstr(names, ==, "aw-bits,hw-caps,iommu-type,name,pasid-bits,"
                               "source,type,unit,vtd-cap,vtd-ecap");
    assert_host_property(qts, "dev1", "name", "\"dev1\"");
    assert_host_property(qts, "dev1", "type", "\"host-iommu-device-test\"");
    assert_host_property(qts, "dev1", "iommu-type", "\"intel-vtd\"");
    assert_host_property(qts, "dev1", "source", "\"iommufd\"");
    assert_host_property(qts, "dev1", "unit", "\"dmar1\"");
    assert_host_property(qts, "dev1", "aw-bits", "46");
    assert_host_property(qts, "dev1", "pasid-bits", "20");
    assert_host_property(qts, "dev1", "hw-caps", "5");
    assert_host_property(qts, "dev1", "vtd-cap", "18364758544493064720");
    assert_host_property(qts, "dev1", "vtd-ecap", "4660");
    qtest_quit(qts);
}

static void test_qom_unknown(void)
{
    QTestState *qts = qtest_init(Q35 "-device intel-iommu"
                                 " -device host-iommu-testdev,id=dev1,"
                                 "aw-bits=0,hw-caps=5,vtd-cap=1,vtd-ecap=1,"
                                 "iommu-type=intel-vtd");
    g_autofree char *names = property_names(
        qts, "/machine/peripheral/dev1/host-iommu-device");

    g_assert_cmpstr(names, ==, "iommu-type,name,source,type");
    assert_host_property(qts, "dev1", "iommu-type", "\"unknown\"");
    assert_host_property(qts, "dev1", "source", "\"none\"");
    qtest_quit(qts);
}

static void test_qom_other_type(void)
{
    QTestState *qts = qtest_init(Q35 "-device host-iommu-testdev,id=dev1,"
                                 "iommu-type=amd-vi,source=sysfs,hw-caps=5,"
                                 "vtd-cap=1,vtd-ecap=1");
    g_autofree char *names = property_names(
        qts, "/machine/peripheral/dev1/host-iommu-device");

    g_assert_cmpstr(names, ==, "aw-bits,iommu-type,name,source,type");
    assert_host_property(qts, "dev1", "iommu-type", "\"amd-vi\"");
    assert_host_property(qts, "dev1", "source", "\"sysfs\"");
    assert_host_property(qts, "dev1", "aw-bits", "48");
    qtest_quit(qts);
}

static void assert_host_is_there(QTestState *qts, const char *id, bool there)
{
    g_autofree char *path = g_strdup_printf(
        "/machine/peripheral/%s/host-iommu-device", id);
    g_autofree char *names = property_names(qts, path);

    g_assert_cmpint(!!names, ==, there);
}

static void test_qom_child_goes_with_device(void)
{
    QTestState *qts = start_hotplug_vm(",aw-bits=0" WITH_DEVICE, "");
    g_autofree char *mdev = device_json("dev2", "rp2", 48, ",\"mdev\":true");

    assert_fits(qts, "dev1", "rp1", 48);
    assert_host_is_there(qts, "dev1", true);
    unplug(qts, "dev1");
    assert_host_is_there(qts, "dev1", false);

    assert_hotplug(qts, mdev);
    assert_host_is_there(qts, "dev2", false);
    qtest_quit(qts);
}

static void test_failing_realize_leaves_no_trace(void)
{
    QTestState *qts = start_hotplug_vm(",aw-bits=0" WITH_DEVICE, "");
    g_autofree char *late = device_json("dev1", "rp1", 48,
                                        ",\"x-fail-late\":true");
    g_autofree char *type = device_json("dev1", "rp1", 48,
                                        ",\"iommu-type\":\"none-such\"");
    g_autofree char *source = device_json("dev1", "rp1", 48,
                                          ",\"source\":\"none-such\"");
    g_autofree char *width = device_json("dev1", "rp1", 65, "");
    GuestView before = read_guest_view(qts), after;

    assert_hotplug_refused(qts, late, "x-fail-late=on: failed as asked");
    assert_hotplug_refused(qts, type,
                           "iommu-type=none-such: no such iommu-type");
    assert_hotplug_refused(qts, source, "source=none-such: no such source");
    assert_hotplug_refused(qts, width, "aw-bits=65: 64 at most");
    assert_host_is_there(qts, "dev1", false);
    after = read_guest_view(qts);
    assert_same_view(&before, &after);

    /* at the same address */
    assert_fits(qts, "dev1", "rp1", 48);
    assert_host_is_there(qts, "dev1", true);
    qtest_quit(qts);
}

/* At coldplug, it is the end of QEMU */
static void test_failing_realize_at_coldplug(void)
{
    assert_device_refused("-M q35 -device intel-iommu"
                          " -device host-iommu-testdev,x-fail-late=on",
                          "x-fail-late=on: failed as asked");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(void);
    } tests[] = {
        { "adopt/one-device", test_one_device },
        { "adopt/json", test_json },
        { "adopt/order", test_order },
        { "adopt/unlike-hosts-intersect", test_unlike_hosts_intersect },
        { "adopt/wide-host", test_wide_host },
        { "adopt/unknown-width", test_unknown_width },
        { "adopt/same-as-base", test_same_as_base },
        { "adopt/old-machine", test_old_machine },
        { "adopt/without-dma-translation", test_without_dma_translation },
        { "adopt/scalable-mode", test_scalable_mode },
        { "adopt/behind-bridge", test_behind_bridge },
        { "adopt/many-devices", test_many_devices },
        { "adopt/host-of-other-type", test_host_of_other_type },
        { "check/given-above-host", test_given_above_host },
        { "check/given-up-to-host", test_given_up_to_host },
        { "check/narrow-host-beside-fitting", test_narrow_host_beside_fitting },
        { "check/host-below-39", test_host_below_39 },
        { "check/host-below-ram", test_host_below_ram },
        { "check/given-and-ram-above-host", test_given_and_ram_above_host },
        { "check/host-at-ram", test_host_at_ram },
        { "check/snoop-control", test_snoop_control },
        { "check/every-field-is-told", test_every_field_is_told },
        { "stage-1/unknown-host", test_stage_1_unknown_host },
        { "stage-1/other-host", test_stage_1_other_host },
        { "stage-1/host-lacks-everything", test_stage_1_host_lacks_everything },
        { "stage-1/host-lacks-one-field", test_stage_1_host_lacks_one_field },
        { "stage-1/pasid", test_stage_1_pasid },
        { "stage-1/host-has-everything", test_stage_1_host_has_everything },
        { "bypass/neither-adopts-nor-refused", test_bypass },
        { "bypass/not-behind-plain-pxb", test_no_bypass_behind_pxb },
        { "device/viommu-flags", test_viommu_flags },
        { "device/viommu-flags-explained", test_viommu_flags_explained },
        { "device/dma", test_dma },
        { "device/translation", test_translation },
        { "device/interrupts", test_interrupts },
        { "device/listener", test_listener },
        { "device/listener-refused", test_listener_refused },
        { "freeze/narrower", test_hotplug_narrower },
        { "freeze/below-39", test_hotplug_below_39 },
        { "freeze/against-adopted", test_hotplug_against_adopted },
        { "freeze/against-given", test_hotplug_against_given },
        { "freeze/with-snoop-control", test_hotplug_with_snoop_control },
        { "freeze/with-stage-1", test_hotplug_with_stage_1 },
        { "freeze/on-bus-that-bypasses", test_hotplug_on_bus_that_bypasses },
        { "freeze/unplug-and-replug", test_unplug_and_replug },
        { "freeze/adopted-stays-after-unplug",
          test_adopted_stays_after_unplug },
        { "freeze/without-dma-translation",
          test_hotplug_without_dma_translation },
        { "freeze/reset", test_reset },
        { "qom/known", test_qom_known },
        { "qom/unknown", test_qom_unknown },
        { "qom/other-type", test_qom_other_type },
        { "qom/child-goes-with-device", test_qom_child_goes_with_device },
        { "failing-realize/leaves-no-trace",
          test_failing_realize_leaves_no_trace },
        { "failing-realize/at-coldplug", test_failing_realize_at_coldplug },
    };
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf("/intel-iommu-adopt/%s",
                                                tests[i].path);

        qtest_add_func(path, tests[i].func);
    }
    return g_test_run();
}
