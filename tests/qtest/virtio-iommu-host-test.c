/*
 * virtio-iommu and the hosts behind assigned devices
 *
 * Reads the page sizes that the guest is told in config space, and the
 * reserved ranges that it gets when it probes an endpoint. The test device
 * stands for an assigned one, its properties for the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "libqtest.h"
#include "libqos/malloc-pc.h"
#include "libqos/pci-pc.h"
#include "libqos/virtio.h"
#include "libqos/virtio-pci.h"
#include "standard-headers/linux/virtio_ids.h"
#include "standard-headers/linux/virtio_iommu.h"
#include "standard-headers/linux/virtio_ring.h"
#include "vdpa-kernel.h"
#include "vm-refusal.h"

#define IOMMU_SLOT      4
#define TIMEOUT_US      (30 * 1000 * 1000)

/* Root ports without ACPI: an unplug needs no guest */
#define VM              "-M q35 -nodefaults" \
                        " -global ICH9-LPC.acpi-pci-hotplug-with-bridge-" \
                        "support=off" \
                        " -device virtio-iommu-pci,addr=4,granule=4k%s" \
                        " -device pcie-root-port,id=rp1,chassis=1,addr=5" \
                        " -device pcie-root-port,id=rp2,chassis=2,addr=6%s"

/* The page_sizes mask of granule=4k, and a host's of these pages */
#define ALL_4K          (-(uint64_t)(4 * KiB))
#define LARGE_PAGES     (4 * KiB | 2 * MiB | 1 * GiB)

typedef struct Guest {
    QTestState *qts;
    QGuestAllocator alloc;
    QPCIBus *bus;
    QVirtioPCIDevice *pci;
    QVirtQueue *vq;
} Guest;

/* What a driver does before it reads config space or adds a queue */
static void negotiate(Guest *guest)
{
    QVirtioDevice *vdev = &guest->pci->vdev;

    qvirtio_pci_device_enable(guest->pci);
    qvirtio_start_device(vdev);
    qvirtio_set_features(vdev, qvirtio_get_features(vdev) &
                               ~(QVIRTIO_F_BAD_FEATURE |
                                 1ull << VIRTIO_RING_F_INDIRECT_DESC |
                                 1ull << VIRTIO_RING_F_EVENT_IDX));
}

static Guest start(const char *iommu_options, const char *devices)
{
    g_autofree char *args = g_strdup_printf(VM, iommu_options, devices);
    QPCIAddress addr = { .devfn = QPCI_DEVFN(IOMMU_SLOT, 0) };
    Guest guest = { .qts = qtest_init(args) };

    pc_alloc_init(&guest.alloc, guest.qts, ALLOC_NO_FLAGS);
    guest.bus = qpci_new_pc(guest.qts, &guest.alloc);
    guest.pci = virtio_pci_new(guest.bus, &addr);
    g_assert_nonnull(guest.pci);
    g_assert_cmphex(guest.pci->vdev.device_type, ==, VIRTIO_ID_IOMMU);
    negotiate(&guest);
    return guest;
}

static void end(Guest *guest)
{
    if (guest->vq) {
        qvirtqueue_cleanup(guest->pci->vdev.bus, guest->vq, &guest->alloc);
    }
    qvirtio_pci_device_disable(guest->pci);
    qos_object_destroy(&guest->pci->obj);
    qpci_free_pc(guest->bus);
    alloc_destroy(&guest->alloc);
    qtest_quit(guest->qts);
}

static uint64_t page_sizes(Guest *guest)
{
    return qvirtio_config_readq(&guest->pci->vdev,
                                offsetof(struct virtio_iommu_config,
                                         page_size_mask));
}

static void assert_page_sizes(const char *devices, uint64_t want)
{
    Guest guest = start("", devices);

    g_assert_cmphex(page_sizes(&guest), ==, want);
    qtest_system_reset(guest.qts);
    qvirtio_pci_device_disable(guest.pci);
    negotiate(&guest);
    g_assert_cmphex(page_sizes(&guest), ==, want);
    end(&guest);
}

/* Page sizes */

static void test_page_sizes_without_device(void)
{
    assert_page_sizes("", ALL_4K);
    assert_page_sizes(" -device edu", ALL_4K);
}

static void test_page_sizes_of_host(void)
{
    /* 4 KiB, 2 MiB and 1 GiB */
    assert_page_sizes(" -device host-iommu-testdev,page-sizes=0x40201000",
                      LARGE_PAGES);
    assert_page_sizes(" -device host-iommu-testdev,page-sizes=0x10000",
                      64 * KiB);
}

static void test_page_sizes_of_two_hosts(void)
{
    assert_page_sizes(" -device host-iommu-testdev,page-sizes=0x40201000"
                      " -device host-iommu-testdev,page-sizes=0x210000",
                      2 * MiB);
}

static void test_page_sizes_unknown(void)
{
    assert_page_sizes(" -device host-iommu-testdev,page-sizes=0", ALL_4K);
    /* a kernel that does not tell its IOVA ranges: nothing else is taken */
    assert_page_sizes(" -device host-iommu-testdev,aw-bits=0,"
                      "page-sizes=0x40201000", ALL_4K);
}

static void test_page_sizes_refused(void)
{
    assert_device_refused("-M q35 -device virtio-iommu-pci,granule=64k"
                          " -device host-iommu-testdev,id=dev1,"
                          "page-sizes=0x1000",
                          "dev1: virtio-iommu reports a page size mask 0x1000 "
                          "incompatible with currently supported mask "
                          "0xffffffffffff0000");
    assert_device_refused("-M q35 -device virtio-iommu-pci,granule=4k"
                          " -device host-iommu-testdev,page-sizes=0x10000"
                          " -device host-iommu-testdev,page-sizes=0x1000",
                          "host-iommu-testdev: virtio-iommu reports a page "
                          "size mask 0x1000 incompatible with currently "
                          "supported mask 0x10000");
}

#define DEVICE_JSON(id, bus, more) \
    "{\"driver\":\"host-iommu-testdev\",\"bus\":\"" bus "\"," \
    "\"id\":\"" id "\"" more "}"

static void test_granule_is_frozen(void)
{
    Guest guest = start("", "");

    assert_hotplug_refused(guest.qts,
                           DEVICE_JSON("dev1", "rp1",
                                       ",\"page-sizes\":65536"),
                           "dev1: virtio-iommu does not support frozen granule "
                           "0x1000");
    g_assert_cmphex(page_sizes(&guest), ==, ALL_4K);

    /* the same granule: the other sizes of the mask stay as they were */
    assert_hotplug(guest.qts,
                   DEVICE_JSON("dev2", "rp2", ",\"page-sizes\":2101248"));
    g_assert_cmphex(page_sizes(&guest), ==, ALL_4K);
    qtest_qmp_device_del(guest.qts, "dev2");
    end(&guest);
}

/* Reserved ranges */

typedef struct ReservedRange {
    uint8_t type;
    uint64_t start, last;
} ReservedRange;

/* Asserts that a probe of the device at @slot of bus 0 tells of @want */
static void assert_reserved(Guest *guest, int slot, const ReservedRange *want,
                            int n)
{
    QVirtioDevice *vdev = &guest->pci->vdev;
    struct virtio_iommu_req_probe req = {
        .head.type = VIRTIO_IOMMU_T_PROBE,
        .endpoint = cpu_to_le32(QPCI_DEVFN(slot, 0)),
    };
    size_t probe_size = qvirtio_config_readl(
        vdev, offsetof(struct virtio_iommu_config, probe_size));
    size_t size = probe_size + sizeof(struct virtio_iommu_req_tail);
    g_autofree uint8_t *answer = g_malloc(size);
    struct virtio_iommu_req_tail *tail = (void *)(answer + probe_size);
    struct virtio_iommu_probe_resv_mem *resv = (void *)answer;
    uint64_t req_addr, answer_addr;
    uint32_t head;
    int i;

    if (!guest->vq) {
        guest->vq = qvirtqueue_setup(vdev, &guest->alloc, 0);
        qvirtio_set_driver_ok(vdev);
    }
    req_addr = guest_alloc(&guest->alloc, sizeof(req));
    answer_addr = guest_alloc(&guest->alloc, size);
    qtest_memwrite(guest->qts, req_addr, &req, sizeof(req));
    qtest_memset(guest->qts, answer_addr, 0, size);
    head = qvirtqueue_add(guest->qts, guest->vq, req_addr, sizeof(req), false,
                          true);
    qvirtqueue_add(guest->qts, guest->vq, answer_addr, size, true, false);
    qvirtqueue_kick(guest->qts, vdev, guest->vq, head);
    qvirtio_wait_used_elem(guest->qts, vdev, guest->vq, head, NULL, TIMEOUT_US);
    qtest_memread(guest->qts, answer_addr, answer, size);
    guest_free(&guest->alloc, req_addr);
    guest_free(&guest->alloc, answer_addr);

    g_assert_cmpint(tail->status, ==, VIRTIO_IOMMU_S_OK);
    for (i = 0; i < n; i++, resv++) {
        g_assert_cmphex(le16_to_cpu(resv->head.type), ==,
                        VIRTIO_IOMMU_PROBE_T_RESV_MEM);
        g_assert_cmphex(resv->subtype, ==, want[i].type);
        g_assert_cmphex(le64_to_cpu(resv->start), ==, want[i].start);
        g_assert_cmphex(le64_to_cpu(resv->end), ==, want[i].last);
    }
    g_assert_cmphex(le16_to_cpu(resv->head.type), ==,
                    VIRTIO_IOMMU_PROBE_T_NONE);
}

/* The machine's own range */
#define MSI     { VIRTIO_IOMMU_RESV_MEM_T_MSI, 0xfee00000, 0xfeefffff }
#define ABOVE(bits) \
    { VIRTIO_IOMMU_RESV_MEM_T_RESERVED, 1ull << (bits), UINT64_MAX }

static void test_reserved_above_host(void)
{
    static const ReservedRange msi[] = { MSI };
    static const ReservedRange narrow[] = { MSI, ABOVE(39) };
    static const ReservedRange wide[] = { MSI, ABOVE(57) };
    Guest guest = start("", " -device edu,addr=7"
                        " -device host-iommu-testdev,addr=8,aw-bits=39"
                        " -device host-iommu-testdev,addr=9,aw-bits=57"
                        " -device host-iommu-testdev,addr=0xa,aw-bits=64"
                        " -device host-iommu-testdev,addr=0xb,aw-bits=0");

    assert_reserved(&guest, 7, msi, ARRAY_SIZE(msi));
    assert_reserved(&guest, 8, narrow, ARRAY_SIZE(narrow));
    assert_reserved(&guest, 9, wide, ARRAY_SIZE(wide));
    assert_reserved(&guest, 10, msi, ARRAY_SIZE(msi));
    assert_reserved(&guest, 11, msi, ARRAY_SIZE(msi));
    end(&guest);
}

#ifdef CONFIG_VHOST_NET_VDPA
#define VDPA(id, slot, dev) \
    " -netdev vhost-vdpa,id=" id ",vhostdev=" dev \
    " -device virtio-net-pci,netdev=" id ",addr=" slot \
    ",disable-legacy=on,iommu_platform=on,mq=on"

/* vhost-vdpa tells nothing of page sizes */
static void test_reserved_of_vdpa(void)
{
    static const ReservedRange msi[] = { MSI };
    static const ReservedRange narrow[] = { MSI, ABOVE(39) };
    static const ReservedRange later[] = {
        { VIRTIO_IOMMU_RESV_MEM_T_RESERVED, 0, 1 * MiB - 1 }, MSI, ABOVE(39)
    };
    Guest guest;

    vdpa_kernel_load();
    guest = start("", VDPA("vdpa0", "8", VDPA_39) VDPA("vdpa1", "9", VDPA_64)
                      VDPA("vdpa2", "0xa", VDPA_MULTIQUEUE));
    assert_reserved(&guest, 8, narrow, ARRAY_SIZE(narrow));
    assert_reserved(&guest, 9, msi, ARRAY_SIZE(msi));
    assert_reserved(&guest, 10, later, ARRAY_SIZE(later));
    g_assert_cmphex(page_sizes(&guest), ==, ALL_4K);
    end(&guest);
}
#endif

/* Its input range is what its own aw-bits say, whatever the host */
static void test_input_range(void)
{
    Guest guest = start(",aw-bits=40",
                        " -device host-iommu-testdev,aw-bits=39");
    size_t last = offsetof(struct virtio_iommu_config, input_range.end);

    g_assert_cmphex(qvirtio_config_readq(&guest.pci->vdev, last), ==,
                    (1ull << 40) - 1);
    end(&guest);
}

/* Two devices of one requester id */
static void test_aliases_are_refused(void)
{
    assert_device_refused("-M q35 -device virtio-iommu-pci"
                          " -device pcie-pci-bridge,id=b1"
                          " -device host-iommu-testdev,bus=b1,addr=1"
                          " -device host-iommu-testdev,bus=b1,addr=2",
                          "virtio_iommu_set_host_iova_ranges virtio-iommu does "
                          "not support aliased BDF");
}

/* The address is free for another host */
static void test_replug(void)
{
    Guest guest = start("", "");
    int i;

    for (i = 0; i < 2; i++) {
        assert_hotplug_refused(guest.qts,
                               DEVICE_JSON("dev1", "rp1",
                                           ",\"x-fail-late\":true"),
                               "x-fail-late=on: failed as asked");
        assert_hotplug(guest.qts,
                       DEVICE_JSON("dev1", "rp1", ",\"aw-bits\":39"));
        qtest_qmp_device_del(guest.qts, "dev1");
        assert_hotplug(guest.qts,
                       DEVICE_JSON("dev2", "rp1", ",\"aw-bits\":0"));
        qtest_qmp_device_del(guest.qts, "dev2");
        assert_hotplug(guest.qts,
                       DEVICE_JSON("dev3", "rp1", ",\"aw-bits\":57"));
        qtest_qmp_device_del(guest.qts, "dev3");
    }
    end(&guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/virtio-iommu-host/page-sizes/without-device",
                   test_page_sizes_without_device);
    qtest_add_func("/virtio-iommu-host/page-sizes/of-host",
                   test_page_sizes_of_host);
    qtest_add_func("/virtio-iommu-host/page-sizes/of-two-hosts",
                   test_page_sizes_of_two_hosts);
    qtest_add_func("/virtio-iommu-host/page-sizes/unknown",
                   test_page_sizes_unknown);
    qtest_add_func("/virtio-iommu-host/page-sizes/refused",
                   test_page_sizes_refused);
    qtest_add_func("/virtio-iommu-host/page-sizes/granule-is-frozen",
                   test_granule_is_frozen);
    qtest_add_func("/virtio-iommu-host/reserved/above-host",
                   test_reserved_above_host);
#ifdef CONFIG_VHOST_NET_VDPA
    qtest_add_func("/virtio-iommu-host/reserved/of-vdpa",
                   test_reserved_of_vdpa);
#endif
    qtest_add_func("/virtio-iommu-host/reserved/input-range",
                   test_input_range);
    qtest_add_func("/virtio-iommu-host/reserved/aliases-are-refused",
                   test_aliases_are_refused);
    qtest_add_func("/virtio-iommu-host/replug", test_replug);

    return g_test_run();
}
