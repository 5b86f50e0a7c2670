/*
 * intel-iommu and the hosts behind assigned devices: check, adopt, freeze
 *
 * The test device stands for an assigned one, its properties for the host.
 * Reads the guest's view (intel-iommu-view.h), the QOM view, and whole
 * messages where a device is refused: see struct Case and struct PlugCase.
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
#define IOMMU           Q35 "-device intel-iommu"
#define IOMMU_9_1       "-M pc-q35-9.1 -nodefaults -device intel-iommu"
#define STAGE_1         IOMMU ",x-scalable-mode=on,x-flts=on"
/* All devices bypass the vIOMMU, or those of a bus of their own */
#define BYPASS          "-M q35,default_bus_bypass_iommu=on -nodefaults " \
                        "-device intel-iommu"
#define BYPASS_BUS      " -device pxb-pcie,id=pxb,bus_nr=32,bypass_iommu=on"
/* What caching-mode is with an assigned device */
#define WITH_DEVICE     ",caching-mode=on"

#define DEVICE          " -device host-iommu-testdev"
#define HOST(width)     DEVICE ",aw-bits=" #width
#define ROOT_PORT       " -device pcie-root-port,id=rp1,chassis=1"
#define BRIDGE          " -device pcie-pci-bridge,id=b1"

#define VTD(source)     ",iommu-type=intel-vtd,source=" #source
#define VTD_CAPS(cap, ecap) ",vtd-cap=" #cap ",vtd-ecap=" #ecap
#define VTD_NOTHING     VTD(iommufd)
#define VTD_EVERYTHING  VTD(iommufd) VTD_CAPS(0xffffffffffffffff, \
                                              0xffffffffffffffff)
/* @ecap: what it has, beside all of CAP */
#define VTD_ECAP(source, ecap) \
    VTD(source) VTD_CAPS(0xffffffffffffffff, ecap)

#define RAM(size)       "-M q35,memory-backend=ram -nodefaults -m " #size \
                        " -object memory-backend-ram,id=ram,size=" #size \
                        ",reserve=off -device intel-iommu"
#define MAXMEM_600G     Q35 "-m 1G,slots=1,maxmem=600G"
#define MAXMEM          MAXMEM_600G " -device intel-iommu"
#define DIMM            ",aw-bits=39,caching-mode=on" \
                        " -device pc-dimm,memdev=ram0,addr=0x8000000000"

#define CANNOT          "host IOMMU cannot back intel-iommu: "
#define WIDTH(guest, host) \
    "address width is " #guest " in the guest, " #host " on the host"
#define USE(width) \
    " (use aw-bits=" #width ", in libvirt aw_bits='" #width "', or leave it " \
    "out to adopt the host's)"
#define NEEDS_39        " (intel-iommu needs 39 at least)"
#define MAXMEM_ENDS(end) \
    " (guest RAM, maxmem included, ends at " #end " and takes 40: give the " \
    "VM less)"
#define RAM_ENDS(end) \
    CANNOT "guest RAM ends at " #end " and takes 40 address bits, 39 on the " \
    "host (give the VM less)"
#define SNOOP \
    "snoop control: on in the guest, not for assigned devices (use " \
    "snoop-control=off)"
#define CANNOT_STAGE_1  "host IOMMU cannot back intel-iommu with x-flts=on: "
#define UNKNOWN_HOST \
    CANNOT_STAGE_1 "what it can do is unknown, neither iommufd nor the " \
    "device's iommu/intel-iommu/ folder in sysfs tells (use x-flts=off)"
#define NOT_VTD(type) \
    "cannot back intel-iommu with x-flts=on: it is " type ", not intel-vtd " \
    "(use x-flts=off)"
#define NEEDED(what)    what ": needed, off on the host (use x-flts=off)"
#define OFF_ON_HOST(what, use) \
    what ": on in the guest, off on the host (use " use ")"
#define LACKS_PAGES     OFF_ON_HOST("1 GiB first-stage pages", "fs1gp=off")
#define LACKS_DEV_TLB   OFF_ON_HOST("device TLBs", "device-iotlb=off, in " \
                                    "libvirt iotlb='off'")
#define REFUSES_PARENT  ": x-refuse-parent=on: no nesting parent"
#define SM_MAY_BE_OFF \
    " can nest, which intel-iommu with x-flts=on needs, so scalable mode " \
    "may be off in the host's kernel, see intel_iommu=sm_on (or use " \
    "x-flts=off)" REFUSES_PARENT

/**
 * struct Case - a VM with devices that have hosts, and what comes of it
 *
 * Without an outcome, it starts.
 *
 * @path: of the test; NULL: this belongs to the test above
 * @vm: the command line, of which intel-iommu is last
 * @devices: the rest of it
 * @adopts: the width where intel-iommu's is left open; the guest sees what it
 *     sees where this width is given
 * @width: what the guest is told
 * @no_cap: bits of CAP that are 0
 * @like: a VM whose guest sees the same
 * @no_flags: nothing is wanted of the test device at 00:05.0
 * @refused: message for the last device
 * @not_started: message of a start that fails
 */
typedef struct Case {
    const char *path, *vm, *devices;
    unsigned int adopts, width;
    uint64_t no_cap;
    const char *like;
    bool no_flags;
    const char *refused, *not_started;
} Case;

#define ORDER(a, b, c)  DEVICE ",addr=4,aw-bits=" #a \
                        DEVICE ",addr=5,aw-bits=" #b \
                        DEVICE ",addr=6,aw-bits=" #c
#define FIRST_ORDER     IOMMU ",aw-bits=0" ORDER(39, 42, 47)
#define NO_TRANSLATION  ",dma-translation=off,aw-bits="
#define EDU_UNTRANSLATED IOMMU NO_TRANSLATION "48,caching-mode=on" \
                        " -device edu,addr=4"
#define GIVEN_46        IOMMU ",aw-bits=46" DEVICE
#define ON_PXB          " -device pcie-root-port,id=rp1,bus=pxb,chassis=1"
#define STAGE_1_ALL     STAGE_1 ",device-iotlb=on,fs1gp=on"

static const Case cases[] = {
    /* Left open: what is adopted */
    { "adopt/one-device", IOMMU, HOST(39), .adopts = 39 },
    { NULL, IOMMU, HOST(40), .adopts = 40 },
    { NULL, IOMMU, HOST(41), .adopts = 41 },
    { NULL, IOMMU, HOST(42), .adopts = 42 },
    { NULL, IOMMU, HOST(43), .adopts = 43 },
    { NULL, IOMMU, HOST(44), .adopts = 44 },
    { NULL, IOMMU, HOST(45), .adopts = 45 },
    { NULL, IOMMU, HOST(46), .adopts = 46 },
    { NULL, IOMMU, HOST(47), .adopts = 47 },
    { NULL, IOMMU, HOST(48), .adopts = 48 },
    { "adopt/json", Q35 "-device '{\"driver\":\"intel-iommu\",\"aw-bits\":0}'",
      " -device '{\"driver\":\"host-iommu-testdev\",\"aw-bits\":42}'",
      .width = 42 },
    { "adopt/order", IOMMU, ORDER(39, 42, 47), .adopts = 39 },
    { NULL, IOMMU, ORDER(39, 47, 42), .adopts = 39, .like = FIRST_ORDER },
    { NULL, IOMMU, ORDER(42, 39, 47), .adopts = 39, .like = FIRST_ORDER },
    { NULL, IOMMU, ORDER(42, 47, 39), .adopts = 39, .like = FIRST_ORDER },
    { NULL, IOMMU, ORDER(47, 39, 42), .adopts = 39, .like = FIRST_ORDER },
    { NULL, IOMMU, ORDER(47, 42, 39), .adopts = 39, .like = FIRST_ORDER },
    { "adopt/unlike-hosts-intersect", IOMMU, HOST(57) HOST(0) HOST(46),
      .adopts = 46 },
    { "adopt/wide-host", IOMMU, HOST(49), .adopts = 48 },
    { NULL, IOMMU, HOST(57), .adopts = 48 },
    { NULL, IOMMU, HOST(64), .adopts = 48 },
    { "adopt/unknown-width", IOMMU ",aw-bits=40", HOST(0), .width = 40 },
    { NULL, IOMMU, HOST(0), .adopts = 48 },
    { "adopt/old-machine", IOMMU_9_1, HOST(39), .width = 39 },
    { NULL, IOMMU_9_1, HOST(48), .width = 39 },
    { NULL, IOMMU_9_1, HOST(42), .adopts = 42 },
    /* nothing is translated: the width promises nothing, but RAM is there */
    { "adopt/without-dma-translation", IOMMU NO_TRANSLATION "0",
      DEVICE ",addr=4,aw-bits=38",
      .no_cap = VTD_CAP_SAGAW_MASK, .like = EDU_UNTRANSLATED },
    { NULL, IOMMU NO_TRANSLATION "48", DEVICE ",addr=4,aw-bits=38",
      .no_cap = VTD_CAP_SAGAW_MASK, .like = EDU_UNTRANSLATED },
    { NULL, RAM(600G) NO_TRANSLATION "48", HOST(39),
      .refused = RAM_ENDS(0x9680000000) },
    { "adopt/scalable-mode", IOMMU ",x-scalable-mode=on", HOST(39),
      .adopts = 39 },
    /* of one requester id */
    { "adopt/behind-bridge", IOMMU, BRIDGE DEVICE ",bus=b1,addr=1,aw-bits=39"
      DEVICE ",bus=b1,addr=2,aw-bits=42", .adopts = 39 },
    { NULL, IOMMU, ROOT_PORT DEVICE ",bus=rp1,aw-bits=42", .adopts = 42 },
    /* what is not the width does not matter in shadow mode */
    { "adopt/host-of-other-type", IOMMU, HOST(46) VTD_NOTHING, .adopts = 46,
      .like = GIVEN_46 },
    { NULL, IOMMU, HOST(46) VTD_EVERYTHING, .adopts = 46, .like = GIVEN_46 },
    { NULL, IOMMU, HOST(46) ",iommu-type=amd-vi,source=iommufd", .adopts = 46,
      .like = GIVEN_46 },
    { NULL, IOMMU, HOST(46) ",iommu-type=arm-smmuv3,source=iommufd",
      .adopts = 46, .like = GIVEN_46 },
    { NULL, IOMMU, HOST(46) ",iommu-type=intel-vtd,source=none", .adopts = 46,
      .like = GIVEN_46 },
    { NULL, IOMMU, HOST(46) ",pasid-bits=20", .adopts = 46, .like = GIVEN_46 },

    /* What is given is checked */
    { "check/given-above-host", IOMMU ",aw-bits=40", HOST(39),
      .refused = CANNOT WIDTH(40, 39) USE(39) },
    { NULL, IOMMU ",aw-bits=41", HOST(40),
      .refused = CANNOT WIDTH(41, 40) USE(40) },
    { NULL, IOMMU ",aw-bits=42", HOST(41),
      .refused = CANNOT WIDTH(42, 41) USE(41) },
    { NULL, IOMMU ",aw-bits=43", HOST(42),
      .refused = CANNOT WIDTH(43, 42) USE(42) },
    { NULL, IOMMU ",aw-bits=44", HOST(43),
      .refused = CANNOT WIDTH(44, 43) USE(43) },
    { NULL, IOMMU ",aw-bits=45", HOST(44),
      .refused = CANNOT WIDTH(45, 44) USE(44) },
    { NULL, IOMMU ",aw-bits=46", HOST(45),
      .refused = CANNOT WIDTH(46, 45) USE(45) },
    { NULL, IOMMU ",aw-bits=47", HOST(46),
      .refused = CANNOT WIDTH(47, 46) USE(46) },
    { NULL, IOMMU ",aw-bits=48", HOST(47),
      .refused = CANNOT WIDTH(48, 47) USE(47) },
    { "check/given-up-to-host", IOMMU ",aw-bits=39", HOST(39), .width = 39 },
    { NULL, IOMMU ",aw-bits=40", HOST(40), .width = 40 },
    { NULL, IOMMU ",aw-bits=41", HOST(41), .width = 41 },
    { NULL, IOMMU ",aw-bits=42", HOST(42), .width = 42 },
    { NULL, IOMMU ",aw-bits=43", HOST(43), .width = 43 },
    { NULL, IOMMU ",aw-bits=44", HOST(44), .width = 44 },
    { NULL, IOMMU ",aw-bits=45", HOST(45), .width = 45 },
    { NULL, IOMMU ",aw-bits=46", HOST(46), .width = 46 },
    { NULL, IOMMU ",aw-bits=47", HOST(47), .width = 47 },
    { NULL, IOMMU ",aw-bits=48", HOST(48), .width = 48 },
    { "check/narrow-host-beside-fitting", IOMMU ",aw-bits=42",
      HOST(42) HOST(41), .refused = CANNOT WIDTH(42, 41) USE(41) },
    { "check/host-below-39", IOMMU, HOST(38),
      .refused = CANNOT WIDTH(48, 38) NEEDS_39 },
    { NULL, IOMMU ",aw-bits=39", HOST(32),
      .refused = CANNOT WIDTH(39, 32) NEEDS_39 },
    { NULL, IOMMU_9_1, HOST(38), .refused = CANNOT WIDTH(39, 38) NEEDS_39 },
    { "check/host-below-ram", MAXMEM, HOST(39),
      .refused = CANNOT WIDTH(48, 39) MAXMEM_ENDS(0x9700000000) },
    { NULL, MAXMEM ",aw-bits=48", HOST(39),
      .refused = CANNOT WIDTH(48, 39) MAXMEM_ENDS(0x9700000000) },
    { NULL, RAM(600G), HOST(39),
      .refused = CANNOT WIDTH(48, 39) MAXMEM_ENDS(0x9680000000) },
    /* the width fits, and the device could not reach all RAM */
    { "check/given-and-ram-above-host", MAXMEM_600G
      " -object memory-backend-ram,id=ram0,size=128M -device intel-iommu" DIMM,
      HOST(39), .refused = RAM_ENDS(0x8008000000) },
    { NULL, RAM(600G) ",aw-bits=39", HOST(39),
      .refused = RAM_ENDS(0x9680000000) },
    { "check/host-at-ram", MAXMEM, HOST(40), .adopts = 40 },
    /* the whole of 39 bits, the hole below 4 GiB included */
    { NULL, RAM(510G), HOST(39), .adopts = 39 },
    { NULL, RAM(510G), HOST(38), .refused = CANNOT WIDTH(48, 38) NEEDS_39 },
    { NULL, RAM(522241M), HOST(39),
      .refused = CANNOT WIDTH(48, 39) MAXMEM_ENDS(0x8000100000) },
    { "check/snoop-control", IOMMU ",snoop-control=on", DEVICE,
      .refused = CANNOT SNOOP },
    { NULL, IOMMU ",snoop-control=on", DEVICE VTD_EVERYTHING,
      .refused = CANNOT SNOOP },
    { NULL, IOMMU ",snoop-control=on", DEVICE ",id=dev1,mdev=on",
      .not_started = "host-iommu-testdev /machine/peripheral/dev1: " CANNOT
                     SNOOP },
    { NULL, IOMMU ",snoop-control=off", HOST(40), .adopts = 40 },
    { "check/every-field-is-told", IOMMU ",aw-bits=48,snoop-control=on",
      HOST(39) ",unit=dmar2", .refused = "host IOMMU dmar2 cannot back "
      "intel-iommu: " WIDTH(48, 39) USE(39) "; " SNOOP },

    /* First-stage translation */
    { "stage-1/unknown-host", STAGE_1, DEVICE, .refused = UNKNOWN_HOST },
    { NULL, STAGE_1, DEVICE ",iommu-type=intel-vtd,source=none",
      .refused = UNKNOWN_HOST },
    { "stage-1/other-host", STAGE_1,
      DEVICE ",iommu-type=amd-vi,source=iommufd",
      .refused = "host IOMMU " NOT_VTD("amd-vi") },
    { NULL, STAGE_1, DEVICE ",iommu-type=arm-smmuv3,source=iommufd",
      .refused = "host IOMMU " NOT_VTD("arm-smmuv3") },
    { NULL, STAGE_1, DEVICE ",unit=ivhd0,iommu-type=amd-vi,source=sysfs",
      .refused = "host IOMMU ivhd0 " NOT_VTD("amd-vi") },
    { "stage-1/host-lacks-everything", STAGE_1_ALL, HOST(47) VTD_NOTHING,
      .refused = CANNOT WIDTH(48, 47) " (x-flts=on needs 48); "
                 NEEDED("scalable mode") "; "
                 NEEDED("first-stage translation") "; "
                 NEEDED("second-stage translation") "; "
                 NEEDED("nested translation") "; "
                 LACKS_PAGES "; " LACKS_DEV_TLB },
    /* each bit of the host's decides one part of the message, and no other */
    { "stage-1/host-lacks-one-field", STAGE_1_ALL,
      DEVICE VTD_ECAP(sysfs, 0xfffff7ffffffffff),
      .refused = CANNOT NEEDED("scalable mode") },
    { NULL, STAGE_1_ALL, DEVICE VTD_ECAP(sysfs, 0xffff7fffffffffff),
      .refused = CANNOT NEEDED("first-stage translation") },
    { NULL, STAGE_1_ALL, DEVICE VTD_ECAP(sysfs, 0xffffbfffffffffff),
      .refused = CANNOT NEEDED("second-stage translation") },
    { NULL, STAGE_1_ALL, DEVICE VTD_ECAP(sysfs, 0xfffffffffbffffff),
      .refused = CANNOT NEEDED("nested translation") },
    { NULL, STAGE_1_ALL,
      DEVICE VTD(sysfs) VTD_CAPS(0xfeffffffffffffff, 0xffffffffffffffff),
      .refused = CANNOT LACKS_PAGES },
    { NULL, STAGE_1_ALL, DEVICE VTD_ECAP(sysfs, 0xfffffffffffffffb),
      .refused = CANNOT LACKS_DEV_TLB },
    { "stage-1/pasid", STAGE_1 ",x-pasid-mode=on",
      DEVICE ",pasid-bits=20" VTD_ECAP(iommufd, 0xfffffeffffffffff),
      .refused = CANNOT OFF_ON_HOST("PASIDs", "x-pasid-mode=off") },
    { NULL, STAGE_1 ",x-pasid-mode=on", DEVICE ",pasid-bits=20"
      VTD_EVERYTHING },
    { "stage-1/host-has-everything", STAGE_1 ",device-iotlb=on",
      DEVICE VTD_EVERYTHING },
    /* what the guest is not told, the host need not have */
    { NULL, STAGE_1 ",fs1gp=off",
      DEVICE VTD_NOTHING ",vtd-ecap=0xc80004000000" },

    /* A bus that bypasses the vIOMMU */
    { "bypass/neither-adopts-nor-refused", IOMMU ",aw-bits=48",
      BYPASS_BUS ON_PXB DEVICE ",bus=rp1,aw-bits=32", .width = 48,
      .like = IOMMU BYPASS_BUS ON_PXB },
    { NULL, IOMMU ",aw-bits=48,snoop-control=on",
      BYPASS_BUS ON_PXB DEVICE ",bus=rp1,aw-bits=32" },
    { NULL, BYPASS, DEVICE ",addr=5,aw-bits=32", .width = 48, .like = BYPASS },
    { NULL, BYPASS ",snoop-control=on", DEVICE ",addr=5,aw-bits=32" },
    { "bypass/not-behind-plain-pxb", IOMMU, " -device pxb-pcie,id=pxb,bus_nr=32"
      ON_PXB DEVICE ",bus=rp1,aw-bits=40", .adopts = 40 },

    /* What the vIOMMU wants of a device */
    { "device/viommu-flags", Q35, DEVICE ",addr=5", .no_flags = true },
    { NULL, IOMMU, DEVICE ",addr=5", .no_flags = true },
    /* a mediated device says why not */
    { NULL, STAGE_1, DEVICE ",mdev=on",
      .refused = "intel-iommu needs a nesting parent, as it has x-flts=on "
                 "(use x-flts=off): mdev=on: no nesting parent" },
    { NULL, BYPASS ",x-scalable-mode=on,x-flts=on", DEVICE ",addr=5,mdev=on",
      .no_flags = true },
    { NULL, BYPASS ",x-scalable-mode=on,x-flts=on", DEVICE ",addr=5",
      .no_flags = true },
    /* what the host answered, and before it what the vIOMMU makes of that */
    { "device/viommu-flags-explained", STAGE_1,
      DEVICE ",x-refuse-parent=on,unit=dmar2"
      VTD_ECAP(iommufd, 0xfffffffffbffffff),
      .refused = "host IOMMU dmar2 cannot back intel-iommu: "
                 NEEDED("nested translation") REFUSES_PARENT },
    { NULL, STAGE_1, DEVICE ",x-refuse-parent=on,unit=dmar2" VTD_EVERYTHING,
      .refused = "host IOMMU dmar2" SM_MAY_BE_OFF },
    { NULL, STAGE_1, DEVICE ",x-refuse-parent=on" VTD_EVERYTHING,
      .refused = "host IOMMU" SM_MAY_BE_OFF },
    { NULL, STAGE_1, DEVICE ",x-refuse-parent=on,iommu-type=arm-smmuv3,"
      "source=iommufd",
      .refused = "host IOMMU " NOT_VTD("arm-smmuv3") REFUSES_PARENT },
    { NULL, STAGE_1, DEVICE ",x-refuse-parent=on",
      .refused = UNKNOWN_HOST REFUSES_PARENT },
    /* nobody asked for a parent */
    { NULL, IOMMU, DEVICE ",addr=5,x-refuse-parent=on", .no_flags = true },
    /* as VFIO, the device wants one that announces */
    { "device/listener-refused", Q35 "-device amd-iommu", DEVICE ",addr=5",
      .refused = "device 00.05.0 requires iommu notifier which is not "
                 "currently supported" },
    { "failing-realize/at-coldplug", IOMMU, DEVICE ",x-fail-late=on",
      .refused = "x-fail-late=on: failed as asked" },
};

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
static void assert_no_flags(const char *cmdline)
{
    QTestState *qts = qtest_init(cmdline);
    Testdev td = open_testdev(qts, 5);

    assert_reads(&td, HOST_IOMMU_TESTDEV_FLAGS, 0);
    close_testdev(&td);
    qtest_quit(qts);
}

static void assert_seen(const Case *c, const char *cmdline)
{
    g_autofree char *given = g_strdup_printf("%s,aw-bits=%u%s", c->vm,
                                             c->adopts, c->devices);
    const char *same[] = { c->like, c->adopts ? given : NULL };
    GuestView view = start_and_read_guest_view(cmdline);
    int i;

    if (c->width || c->adopts) {
        assert_width(&view, c->width ?: c->adopts);
    }
    g_assert_cmphex(view.cap & c->no_cap, ==, 0);
    for (i = 0; i < ARRAY_SIZE(same); i++) {
        if (same[i]) {
            GuestView other = start_and_read_guest_view(same[i]);

            assert_same_view(&view, &other);
        }
    }
}

/* @data: a Case; those below it that are of the same test are run, too */
static void test_cases(const void *data)
{
    const Case *c = data;

    do {
        g_autofree char *cmdline = g_strconcat(
            c->vm, c->adopts ? ",aw-bits=0" : "", c->devices, NULL);

        if (c->refused) {
            assert_device_refused(cmdline, c->refused);
        } else if (c->not_started) {
            assert_start_refused(cmdline, c->not_started);
        } else if (c->no_flags) {
            assert_no_flags(cmdline);
        } else {
            assert_seen(c, cmdline);
        }
        c++;
    } while (c < cases + ARRAY_SIZE(cases) && !c->path);
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

/* Every function of bus 0 but those of the chipset, and behind root ports */
static void test_many_devices(void)
{
    g_autoptr(GString) args = g_string_new(IOMMU ",aw-bits=0");
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

static void test_dma(void)
{
    QTestState *qts = qtest_init(Q35 "-m 64M " "-device intel-iommu,aw-bits=0"
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

/* Hotplug. Root ports without ACPI: an unplug needs no guest */

#define HOTPLUG         " -global ICH9-LPC.acpi-pci-hotplug-with-bridge-" \
                        "support=off" ROOT_PORT \
                        " -device pcie-root-port,id=rp2,chassis=2"

/* As JSON, the width last, after which there can be more */
#define PLUG(id, port, width) \
    "{'driver':'host-iommu-testdev','id':'" id "','bus':'" port "'," \
    "'aw-bits':" width "}"
#define DEV1(width)     PLUG("dev1", "rp1", width)
#define FIXED(guest, host, or_else) \
    CANNOT WIDTH(guest, host) " (fixed since the VM started: start it with " \
    "aw-bits=" #host ", in libvirt aw_bits='" #host "'" or_else ")"
#define OR_NAMED        ", or with host-iommu=all"

/**
 * struct Step - something done to a VM
 *
 * @id: of a device
 * @plug: which is plugged, as JSON; NULL: which is unplugged
 * @refused: the message, where it cannot be
 * @hostless: it has no host-iommu-device
 * @reset: without @id: the VM is reset
 */
typedef struct Step {
    const char *id, *plug, *refused;
    bool hostless, reset;
} Step;

/**
 * struct PlugCase - a VM, and what can be plugged into it
 *
 * Whatever is done, the guest sees the same.
 *
 * @path: of the test
 * @vm: the command line, of which intel-iommu is last
 * @devices: the rest of it, but for HOTPLUG
 * @width: what the guest is told
 * @steps: what is done, then a reset
 * @again: how often all that is done again
 */
typedef struct PlugCase {
    const char *path, *vm, *devices;
    unsigned int width;
    Step steps[6];
    int again;
} PlugCase;

static const PlugCase plug_cases[] = {
    { "freeze/narrower", IOMMU ",aw-bits=0" WITH_DEVICE, "", 48, {
        { "dev1", DEV1("47"), .refused = FIXED(48, 47, OR_NAMED) },
        { "dev1", DEV1("39"), .refused = FIXED(48, 39, OR_NAMED) },
        { "dev1", DEV1("48") }, { "dev2", PLUG("dev2", "rp2", "0") } } },
    { "freeze/below-39", IOMMU ",aw-bits=0" WITH_DEVICE, "", 48, {
        { "dev1", DEV1("38"), .refused = CANNOT WIDTH(48, 38) NEEDS_39 } } },
    { "freeze/against-adopted", IOMMU ",aw-bits=0", DEVICE ",addr=5,aw-bits=42",
      42, {
        { "dev1", DEV1("41"), .refused = FIXED(42, 41, OR_NAMED) },
        { "dev1", DEV1("42") }, { "dev2", PLUG("dev2", "rp2", "57") } } },
    { "freeze/against-given", IOMMU WITH_DEVICE ",aw-bits=40", "", 40, {
        { "dev1", DEV1("39"), .refused = FIXED(40, 39, "") },
        { "dev1", DEV1("40") } } },
    { "freeze/with-snoop-control", IOMMU WITH_DEVICE ",snoop-control=on", "",
      48, {
        { "dev1", DEV1("48"), .refused = CANNOT SNOOP },
        { "dev1", DEV1("48,'mdev':true"), .refused = CANNOT SNOOP },
        { "edu1", "{'driver':'edu','id':'edu1','bus':'rp1'}",
          .hostless = true } } },
    { "freeze/with-stage-1", STAGE_1 WITH_DEVICE, "", 48, {
        { "dev1", DEV1("48"), .refused = UNKNOWN_HOST },
        { "dev1", DEV1("47,'iommu-type':'intel-vtd','source':'iommufd',"
                       "'vtd-cap':72057594037927936,"
                       "'vtd-ecap':219902392664064"),
          .refused = CANNOT WIDTH(48, 47) " (x-flts=on needs 48)" } } },
    { "freeze/on-bus-that-bypasses", IOMMU WITH_DEVICE,
      BYPASS_BUS " -device pcie-root-port,id=rp3,bus=pxb,chassis=3", 48, {
        { "dev1", PLUG("dev1", "rp3", "32") } } },
    { "freeze/unplug-and-replug", IOMMU ",aw-bits=0" WITH_DEVICE, "", 48, {
        { "dev1", DEV1("48") }, { "dev1" },
        { "dev1", DEV1("39"), .refused = FIXED(48, 39, OR_NAMED) } },
      .again = 2 },
    /* the width promises nothing */
    { "freeze/without-dma-translation",
      IOMMU NO_TRANSLATION "48" WITH_DEVICE, "", 0, {
        { "dev1", DEV1("39") } } },
    { "freeze/reset", IOMMU ",aw-bits=0", HOST(46), 46, {
        { .reset = true } } },
    { "freeze/given-and-ram-above-host", MAXMEM_600G
      " -object memory-backend-ram,id=ram0,size=128M -device intel-iommu" DIMM,
      "", 39, {
        { "dev1", DEV1("39"), .refused = RAM_ENDS(0x8008000000) } } },
    { "qom/child-goes-with-device", IOMMU ",aw-bits=0" WITH_DEVICE, "", 48, {
        { "dev1", DEV1("48") }, { "dev1" },
        { "dev2", PLUG("dev2", "rp2", "48,'mdev':true"), .hostless = true } } },
    { "failing-realize/leaves-no-trace", IOMMU ",aw-bits=0" WITH_DEVICE, "",
      48, {
        { "dev1", DEV1("48,'x-fail-late':true"),
          .refused = "x-fail-late=on: failed as asked" },
        { "dev1", DEV1("48,'iommu-type':'none-such'"),
          .refused = "iommu-type=none-such: no such iommu-type" },
        { "dev1", DEV1("48,'source':'none-such'"),
          .refused = "source=none-such: no such source" },
        { "dev1", DEV1("65"), .refused = "aw-bits=65: 64 at most" },
        /* at the same address */
        { "dev1", DEV1("48") } } },
};

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

static void assert_host_is_there(QTestState *qts, const char *id, bool there)
{
    g_autofree char *path = g_strdup_printf(
        "/machine/peripheral/%s/host-iommu-device", id);
    g_autofree char *names = property_names(qts, path);

    g_assert_cmpint(!!names, ==, there);
}

static void run_step(QTestState *qts, const Step *step)
{
    if (step->reset) {
        qtest_system_reset(qts);
    } else if (step->refused) {
        assert_hotplug_refused(qts, step->plug, step->refused);
        assert_host_is_there(qts, step->id, false);
    } else if (step->plug) {
        assert_hotplug(qts, step->plug);
        assert_host_is_there(qts, step->id, !step->hostless);
    } else {
        qtest_qmp_device_del(qts, step->id);
        g_assert_false(is_plugged(qts, step->id));
        assert_host_is_there(qts, step->id, false);
    }
}

static void test_plug_case(const void *data)
{
    const PlugCase *c = data;
    g_autofree char *cmdline = g_strconcat(c->vm, HOTPLUG, c->devices, NULL);
    QTestState *qts = qtest_init(cmdline);
    GuestView before = read_guest_view(qts), after;
    const Step *step;
    int i;

    if (c->width) {
        assert_width(&before, c->width);
    }
    for (i = 0; i <= c->again; i++) {
        for (step = c->steps; step->id || step->reset; step++) {
            run_step(qts, step);
            after = read_guest_view(qts);
            assert_same_view(&before, &after);
        }
        qtest_system_reset(qts);
        after = read_guest_view(qts);
        assert_same_view(&before, &after);
    }
    qtest_quit(qts);
}

/* With ACPI, the guest ejects; a reset does it for a guest that is off */
static void test_adopted_stays_after_unplug(void)
{
    QTestState *qts = qtest_init(
        IOMMU ",aw-bits=0" " -device pcie-root-port,id=rp1,chassis=1"
        " -device host-iommu-testdev,id=dev1,bus=rp1,aw-bits=39");
    GuestView before = read_guest_view(qts), after;

    assert_width(&before, 39);
    qtest_qmp_device_del_send(qts, "dev1");
    qtest_system_reset_nowait(qts);
    qtest_qmp_eventwait(qts, "DEVICE_DELETED");
    g_assert_false(is_plugged(qts, "dev1"));
    after = read_guest_view(qts);
    assert_same_view(&before, &after);

    assert_hotplug(qts, PLUG("dev1", "rp1", "39"));
    qtest_system_reset(qts);
    after = read_guest_view(qts);
    assert_same_view(&before, &after);
    qtest_quit(qts);
}

/* QOM */

/**
 * struct QomCase - what is known of a device's host
 *
 * @path: of the test
 * @vm: the command line, of which the test device's options are the rest
 * @host: these options
 * @names: all properties of its host, sorted
 * @properties: values of some, as JSON
 */
typedef struct QomCase {
    const char *path, *vm, *host, *names;
    struct {
        const char *name, *value;
    } properties[11];
} QomCase;

static const QomCase qom_cases[] = {
    { "qom/known", IOMMU ",aw-bits=0",
      ",unit=dmar1,aw-bits=46,pasid-bits=20,hw-caps=5" VTD(iommufd)
      VTD_CAPS(0xfedcba9876543210, 0x1234),
      "aw-bits,hw-caps,iommu-type,name,pasid-bits,source,type,unit,vtd-cap,"
      "vtd-ecap",
      { { "name", "\"dev1\"" }, { "type", "\"host-iommu-device-test\"" },
        { "iommu-type", "\"intel-vtd\"" }, { "source", "\"iommufd\"" },
        { "unit", "\"dmar1\"" }, { "aw-bits", "46" }, { "pasid-bits", "20" },
        { "hw-caps", "5" }, { "vtd-cap", "18364758544493064720" },
        { "vtd-ecap", "4660" } } },
    { "qom/unknown", IOMMU, ",aw-bits=0,hw-caps=5,vtd-cap=1,vtd-ecap=1,"
      "iommu-type=intel-vtd",
      "iommu-type,name,source,type",
      { { "iommu-type", "\"unknown\"" }, { "source", "\"none\"" } } },
    { "qom/other-type", Q35,
      ",iommu-type=amd-vi,source=sysfs,hw-caps=5,vtd-cap=1,vtd-ecap=1",
      "aw-bits,iommu-type,name,source,type",
      { { "iommu-type", "\"amd-vi\"" }, { "source", "\"sysfs\"" },
        { "aw-bits", "48" } } },
};

static void test_qom_case(const void *data)
{
    const QomCase *c = data;
    g_autofree char *cmdline = g_strconcat(c->vm, DEVICE ",id=dev1", c->host,
                                           NULL);
    QTestState *qts = qtest_init(cmdline);
    g_autofree char *names = property_names(
        qts, "/machine/peripheral/dev1/host-iommu-device");
    int i;

    g_assert_cmpstr(names, ==, c->names);
    for (i = 0; c->properties[i].name; i++) {
        assert_host_property(qts, "dev1", c->properties[i].name,
                             c->properties[i].value);
    }
    qtest_quit(qts);
}

static void add_test(const char *path, const void *data,
                     void (*test)(const void *data))
{
    g_autofree char *full = g_strdup_printf("/intel-iommu-adopt/%s", path);

    qtest_add_data_func(full, data, test);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(void);
    } tests[] = {
        { "adopt/same-as-base", test_same_as_base },
        { "adopt/many-devices", test_many_devices },
        { "device/dma", test_dma },
        { "device/translation", test_translation },
        { "device/interrupts", test_interrupts },
        { "device/listener", test_listener },
        { "freeze/adopted-stays-after-unplug",
          test_adopted_stays_after_unplug },
    };
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        if (cases[i].path) {
            add_test(cases[i].path, &cases[i], test_cases);
        }
    }
    for (i = 0; i < ARRAY_SIZE(plug_cases); i++) {
        add_test(plug_cases[i].path, &plug_cases[i], test_plug_case);
    }
    for (i = 0; i < ARRAY_SIZE(qom_cases); i++) {
        add_test(qom_cases[i].path, &qom_cases[i], test_qom_case);
    }
    for (i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf("/intel-iommu-adopt/%s",
                                                tests[i].path);

        qtest_add_func(path, tests[i].func);
    }
    return g_test_run();
}
