/*
 * Bridges that are unplugged with devices behind them, and intel-iommu
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "qobject/qdict.h"
#include "vtd-dma.h"

/* A root port at 00:03.0, whose bus is 1; a bridge there has bus 2 */
#define PORT            QPCI_DEVFN(3, 0)
#define AT(bus, slot)   ((bus) << 8 | QPCI_DEVFN(slot, 0))

/* Bridges forward this; BARs on bus 0 are below */
#define BRIDGED         0xe1000000U
#define BRIDGED_LAST    0xe1ffffffU

#define PORT_OPTIONS    ",caching-mode=on" \
    " -global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off" \
    " -device pcie-root-port,id=rp,bus=pcie.0,addr=3,chassis=1"
#define BRIDGE_OPTIONS  " -device pcie-pci-bridge,id=bridge,bus=rp" \
    " -device dma-testdev,id=behind,bus=bridge,addr=4,listen=on"
#define SWITCH_OPTIONS  " -device x3130-upstream,id=up,bus=rp" \
    " -device xio3130-downstream,id=down0,bus=up,addr=0,chassis=2" \
    " -device xio3130-downstream,id=down1,bus=up,addr=1,chassis=3" \
    " -device dma-testdev,id=behind,bus=down1,listen=on"

#define RANDOM_STEPS    300

/* PCI */

static void set_up_bridge(VtdGuest *guest, int devfn, int secondary,
                          int subordinate)
{
    g_autofree QPCIDevice *pci = qpci_device_find(guest->bus, devfn);

    g_assert_nonnull(pci);
    qpci_config_writeb(pci, PCI_PRIMARY_BUS, devfn >> 8);
    qpci_config_writeb(pci, PCI_SECONDARY_BUS, secondary);
    qpci_config_writeb(pci, PCI_SUBORDINATE_BUS, subordinate);
    qpci_config_writew(pci, PCI_MEMORY_BASE, BRIDGED >> 16);
    qpci_config_writew(pci, PCI_MEMORY_LIMIT, BRIDGED_LAST >> 16);
    qpci_config_writew(pci, PCI_COMMAND, PCI_COMMAND_MEMORY |
                                         PCI_COMMAND_MASTER);
}

static void set_slot_power(VtdGuest *guest, bool on)
{
    g_autofree QPCIDevice *pci = qpci_device_find(guest->bus, PORT);
    uint8_t cap = qpci_find_capability(pci, PCI_CAP_ID_EXP, 0);

    qpci_config_writew(pci, cap + PCI_EXP_SLTCTL,
                       on ? PCI_EXP_SLTCTL_PWR_IND_ON :
                       PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PWR_OFF);
}

/* The device at @devfn, which has source-id @sid */
static void open_device(VtdGuest *guest, VtdDevice *dev, int devfn,
                        uint16_t sid)
{
    *dev = (VtdDevice) {
        .guest = guest,
        .pci = qpci_device_find(guest->bus, devfn),
        .bar.addr = BRIDGED,
        .sid = sid,
    };
    g_assert_nonnull(dev->pci);
    qpci_config_writel(dev->pci, PCI_BASE_ADDRESS_0, BRIDGED);
    qpci_device_enable(dev->pci);
}

/* Unplugs what is in the port's slot: @n devices, the first being @id */
static void unplug(VtdGuest *guest, const char *id, unsigned int n)
{
    qtest_qmp_device_del_send(guest->qts, id);
    set_slot_power(guest, false);
    while (n) {
        QDict *event = qtest_qmp_eventwait_ref(guest->qts, "DEVICE_DELETED");

        if (qdict_haskey(qdict_get_qdict(event, "data"), "device")) {
            n--;
        }
        qobject_unref(event);
    }
}

static void plug_bridge(VtdGuest *guest)
{
    set_slot_power(guest, true);
    qtest_qmp_device_add(guest->qts, "pcie-pci-bridge", "bridge",
                         "{'bus': 'rp'}");
    qtest_qmp_device_add(guest->qts, "dma-testdev", "behind",
                         "{'bus': 'bridge', 'addr': '4', 'listen': true}");
}

static void plug_device(VtdGuest *guest)
{
    set_slot_power(guest, true);
    qtest_qmp_device_add(guest->qts, "dma-testdev", "behind",
                         "{'bus': 'rp', 'listen': true}");
}

/* What there is behind the port */
typedef enum Slot { EMPTY, ENDPOINT, BRIDGE, SWITCH } Slot;

static void open_slot(VtdGuest *guest, VtdDevice *dev, Slot slot)
{
    set_up_bridge(guest, PORT, 1, 4);
    set_slot_power(guest, true);
    switch (slot) {
    case EMPTY:
        break;
    case ENDPOINT:
        open_device(guest, dev, AT(1, 0), AT(1, 0));
        break;
    case BRIDGE:
        set_up_bridge(guest, AT(1, 0), 2, 2);
        /* such a bridge's own requests, and those of all behind it */
        open_device(guest, dev, AT(2, 4), AT(2, 0));
        break;
    case SWITCH:
        set_up_bridge(guest, AT(1, 0), 2, 4);
        set_up_bridge(guest, AT(2, 0), 3, 3);
        set_up_bridge(guest, AT(2, 1), 4, 4);
        open_device(guest, dev, AT(4, 0), AT(4, 0));
        break;
    }
}

static void unplug_slot(VtdGuest *guest, VtdDevice *dev, Slot slot)
{
    static const char *ids[] = { NULL, "behind", "bridge", "up" };
    static const unsigned int n[] = { 0, 1, 2, 4 };

    g_clear_pointer(&dev->pci, g_free);
    unplug(guest, ids[slot], n[slot]);
}

/* The vIOMMU */

static bool is_scalable(const char *options)
{
    return strstr(options, "x-scalable-mode=on");
}

static void set_up_tables(VtdGuest *guest, bool scalable)
{
    if (scalable) {
        vtd_set_up_scalable(guest);
    } else {
        vtd_set_up_legacy(guest);
    }
}

/* @dev translates NARROW_IOVA to FRAME(@frame) */
static void attach(VtdDevice *dev, unsigned int frame, bool scalable)
{
    VtdGuest *guest = dev->guest;
    uint64_t context_table = vtd_page(guest);
    VtdStage second = vtd_second_stage(guest, 4);

    vtd_map(&second, NARROW_IOVA, FRAME(frame), 1);
    if (scalable) {
        vtd_store(guest, guest->root + dev->sid / 128 * 8,
                  context_table | ENTRY_P);
        dev->context = context_table + dev->sid % 128 * 32;
        vtd_set_rid_pasid(dev, 0);
        vtd_use_second(dev, &second, DOMAIN);
    } else {
        vtd_store(guest, guest->root + dev->sid / 256 * 16,
                  context_table | ENTRY_P);
        dev->context = context_table + dev->sid % 256 * 16;
        vtd_use_legacy(dev, &second, DOMAIN);
    }
}

/* The same, as a guest does it: the emulated and the listening half agree */
static void assert_attached(VtdDevice *dev, unsigned int frame)
{
    VtdHostMapping mapping;

    vtd_invalidate_context_device(dev, DOMAIN);
    assert_reads(dev, NARROW_IOVA, FRAME(frame));
    assert_writes(dev, NARROW_IOVA, FRAME(frame));
    mapping = vtd_host_mapping(dev, NARROW_IOVA);
    g_assert_cmpuint(mapping.perm, !=, 0);
    g_assert_cmphex(mapping.output, ==, FRAME(frame));
    g_assert_cmpuint(vtd_device_register(dev, DMA_TESTDEV_REFUSED), ==, 0);
}

/* Global Command and Global Status Registers, and their bits */
#define GCMD            0xfed90018
#define GSTS            0xfed9001c
#define QIE             BIT(26)
#define TE              BIT(31)

static void disable(VtdGuest *guest)
{
    qtest_writel(guest->qts, GCMD, qtest_readl(guest->qts, GSTS) & QIE);
}

/* Translation on, with the queue that there is */
static void enable(VtdGuest *guest)
{
    if (qtest_readl(guest->qts, GSTS) & QIE) {
        qtest_writel(guest->qts, GCMD, TE | QIE);
    } else {
        guest->tail = 0;
        vtd_enable(guest);
    }
}

static void reset(VtdGuest *guest)
{
    int i;

    qtest_system_reset(guest->qts);
    for (i = 0; i < ARRAY_SIZE(guest->dev); i++) {
        VtdDevice *dev = &guest->dev[i];

        qpci_config_writel(dev->pci, PCI_BASE_ADDRESS_0, dev->bar.addr);
        qpci_device_enable(dev->pci);
    }
}

/* What visits all address spaces, or those of a source-id */

static void visit_disable(VtdGuest *guest, uint16_t sid)
{
    disable(guest);
}

static void visit_enable(VtdGuest *guest, uint16_t sid)
{
    disable(guest);
    enable(guest);
}

static void visit_reset(VtdGuest *guest, uint16_t sid)
{
    reset(guest);
}

static void visit_context_global(VtdGuest *guest, uint16_t sid)
{
    vtd_invalidate_context_global(guest);
}

static void visit_context_device(VtdGuest *guest, uint16_t sid)
{
    VtdDevice gone = { .guest = guest, .sid = sid };

    vtd_invalidate_context_device(&gone, DOMAIN);
}

static void visit_pasid_cache(VtdGuest *guest, uint16_t sid)
{
    if (guest->descriptor_size == 32) {
        vtd_invalidate_pasid_cache_global(guest);
    }
}

static void visit_iotlb(VtdGuest *guest, uint16_t sid)
{
    vtd_invalidate_iotlb_global(guest);
    vtd_invalidate_iotlb_domain(guest, DOMAIN);
    vtd_invalidate_iotlb_pages(guest, DOMAIN, NARROW_IOVA, 0);
}

typedef struct Visit {
    const char *name;
    void (*act)(VtdGuest *guest, uint16_t sid);
} Visit;

static const Visit visits[] = {
    { "translation-off", visit_disable },
    { "translation-on", visit_enable },
    { "reset", visit_reset },
    { "context-global", visit_context_global },
    { "context-device", visit_context_device },
    { "pasid-cache-global", visit_pasid_cache },
    { "iotlb", visit_iotlb },
};

static const struct {
    const char *name;
    const char *options;
    Slot slot;
} cases[] = {
    { "bridge/legacy", PORT_OPTIONS BRIDGE_OPTIONS, BRIDGE },
    { "bridge/scalable", SCALABLE PORT_OPTIONS BRIDGE_OPTIONS, BRIDGE },
    { "switch/legacy", PORT_OPTIONS SWITCH_OPTIONS, SWITCH },
    { "switch/scalable", SCALABLE PORT_OPTIONS SWITCH_OPTIONS, SWITCH },
};

/* Unplugs, visits, and has a bridge in the same place serve the next device */
static void test_visit(const char *options, Slot slot, const Visit *visit)
{
    VtdGuest *guest = vtd_start_listening(options);
    bool scalable = is_scalable(options);
    VtdDevice dev;
    uint16_t sid;

    set_up_tables(guest, scalable);
    open_slot(guest, &dev, slot);
    attach(&dev, 0, scalable);
    enable(guest);
    assert_attached(&dev, 0);

    sid = dev.sid;
    unplug_slot(guest, &dev, slot);
    visit->act(guest, sid);

    set_up_tables(guest, scalable);
    set_up_bridge(guest, PORT, 1, 4);
    enable(guest);
    plug_bridge(guest);
    open_slot(guest, &dev, BRIDGE);
    attach(&dev, 1, scalable);
    assert_reads(&dev, NARROW_IOVA, FRAME(1));
    assert_attached(&dev, 1);

    unplug_slot(guest, &dev, BRIDGE);
    visit->act(guest, sid);
    vtd_quit(guest);
}

static void test_case(gconstpointer data)
{
    int i = GPOINTER_TO_INT(data);

    test_visit(cases[i / ARRAY_SIZE(visits)].options,
               cases[i / ARRAY_SIZE(visits)].slot,
               &visits[i % ARRAY_SIZE(visits)]);
}

/* What was cached for a bus's source-ids is not the next bus's */
static void test_caches(void)
{
    VtdGuest *guest = vtd_start_listening(PORT_OPTIONS BRIDGE_OPTIONS);
    VtdDevice dev;

    set_up_tables(guest, false);
    open_slot(guest, &dev, BRIDGE);
    attach(&dev, 0, false);
    enable(guest);
    assert_attached(&dev, 0);
    unplug_slot(guest, &dev, BRIDGE);

    plug_bridge(guest);
    open_slot(guest, &dev, BRIDGE);
    attach(&dev, 1, false);
    assert_reads(&dev, NARROW_IOVA, FRAME(1));
    g_free(dev.pci);
    vtd_quit(guest);
}

/* A devfn's address space is the next device's there */
static void test_same_devfn(void)
{
    VtdGuest *guest = vtd_start_listening(PORT_OPTIONS);
    VtdDevice dev;
    int i;

    set_up_tables(guest, false);
    open_slot(guest, &dev, EMPTY);
    enable(guest);
    for (i = 0; i < 4; i++) {
        plug_device(guest);
        open_slot(guest, &dev, ENDPOINT);
        attach(&dev, i, false);
        vtd_invalidate_iotlb_global(guest);
        assert_attached(&dev, i);
        unplug_slot(guest, &dev, ENDPOINT);
        vtd_invalidate_context_global(guest);
    }
    vtd_quit(guest);
}

/* Two devices behind a bridge have one, and both, or one, see what it maps */
static void test_shared(void)
{
    VtdGuest *guest = vtd_start_listening(PORT_OPTIONS BRIDGE_OPTIONS
        " -device dma-testdev,id=other,bus=bridge,addr=5,listen=on");
    g_autofree QPCIDevice *pci = NULL;
    VtdDevice dev, other;

    set_up_tables(guest, false);
    open_slot(guest, &dev, BRIDGE);
    open_device(guest, &other, AT(2, 5), AT(2, 0));
    other.bar.addr += 1 * MiB;
    qpci_config_writel(other.pci, PCI_BASE_ADDRESS_0, other.bar.addr);
    attach(&dev, 0, false);
    enable(guest);
    assert_attached(&dev, 0);
    assert_attached(&other, 0);
    g_clear_pointer(&other.pci, g_free);
    g_clear_pointer(&dev.pci, g_free);
    unplug(guest, "bridge", 3);
    vtd_invalidate_context_global(guest);
    reset(guest);
    vtd_quit(guest);
}

/* A sequence of all of it, against what it should come to */
typedef struct Model {
    Slot slot;
    bool translates;            /* is translation on? */
    bool attached;
    unsigned int frame;
} Model;

static void assert_model(const Model *m, VtdDevice *dev)
{
    if (m->slot == EMPTY) {
        return;
    }
    if (!m->translates) {
        assert_reads(dev, FRAME(m->frame), FRAME(m->frame));
    } else if (m->attached) {
        assert_reads(dev, NARROW_IOVA, FRAME(m->frame));
        g_assert_cmphex(vtd_host_mapping(dev, NARROW_IOVA).output, ==,
                        FRAME(m->frame));
    }
}

static void start_again(VtdGuest *guest, Model *m, VtdDevice *dev,
                        bool scalable)
{
    disable(guest);
    set_up_tables(guest, scalable);
    g_clear_pointer(&dev->pci, g_free);
    open_slot(guest, dev, m->slot);
    m->attached = false;
    enable(guest);
    m->translates = true;
}

static void step(VtdGuest *guest, Model *m, VtdDevice *dev, bool scalable)
{
    switch (g_test_rand_int_range(0, 8)) {
    case 0:
    case 1:
        if (m->slot == EMPTY) {
            m->slot = g_test_rand_int_range(0, 2) ? BRIDGE : ENDPOINT;
            if (m->slot == BRIDGE) {
                plug_bridge(guest);
            } else {
                plug_device(guest);
            }
            open_slot(guest, dev, m->slot);
        } else {
            unplug_slot(guest, dev, m->slot);
            m->slot = EMPTY;
        }
        m->attached = false;
        break;
    case 2:
        disable(guest);
        m->translates = false;
        break;
    case 3:
        start_again(guest, m, dev, scalable);
        break;
    case 4:
        if (!g_test_rand_int_range(0, 4)) {
            reset(guest);
            start_again(guest, m, dev, scalable);
        }
        break;
    case 5:
        if (m->slot != EMPTY && m->translates) {
            m->frame = g_test_rand_int_range(0, 100);
            attach(dev, m->frame, scalable);
            vtd_invalidate_context_device(dev, DOMAIN);
            vtd_invalidate_iotlb_global(guest);
            assert_attached(dev, m->frame);
            m->attached = true;
        }
        break;
    default:
        visits[g_test_rand_int_range(3, ARRAY_SIZE(visits))].act(guest,
                                                                 AT(2, 0));
        break;
    }
}

static void test_random(gconstpointer data)
{
    const char *options = data;
    VtdGuest *guest = vtd_start_listening(options);
    bool scalable = is_scalable(options);
    Model m = { .slot = EMPTY };
    VtdDevice dev = { };
    int i;

    start_again(guest, &m, &dev, scalable);
    for (i = 0; i < RANDOM_STEPS; i++) {
        step(guest, &m, &dev, scalable);
        assert_model(&m, &dev);
    }
    g_free(dev.pci);
    vtd_quit(guest);
}

int main(int argc, char **argv)
{
    int i;

    g_test_init(&argc, &argv, NULL);

    for (i = 0; i < ARRAY_SIZE(cases) * ARRAY_SIZE(visits); i++) {
        g_autofree char *path = g_strdup_printf(
            "/intel-iommu/hotplug/%s/%s", cases[i / ARRAY_SIZE(visits)].name,
            visits[i % ARRAY_SIZE(visits)].name);

        qtest_add_data_func(path, GINT_TO_POINTER(i), test_case);
    }
    qtest_add_func("/intel-iommu/hotplug/caches", test_caches);
    qtest_add_func("/intel-iommu/hotplug/same-devfn", test_same_devfn);
    qtest_add_func("/intel-iommu/hotplug/shared", test_shared);
    qtest_add_data_func("/intel-iommu/hotplug/random/legacy", PORT_OPTIONS,
                        test_random);
    qtest_add_data_func("/intel-iommu/hotplug/random/scalable",
                        SCALABLE PORT_OPTIONS, test_random);
    return g_test_run();
}
