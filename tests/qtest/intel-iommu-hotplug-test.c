/*
 * Bridges that are unplugged with devices behind them, and intel-iommu
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-dma.h"
#include "vtd-slot.h"

#define PORT_OPTIONS    ",caching-mode=on" SLOT_OPTIONS

#define RANDOM_STEPS    300

static void plug_bridge(VtdGuest *guest)
{
    slot_plug_bridge(guest);
    slot_plug_behind(guest, "behind", 4, true);
}

static void open_slot(VtdGuest *guest, VtdDevice *dev, Slot slot)
{
    slot_set_up(guest, slot);
    switch (slot) {
    case EMPTY:
        break;
    case ENDPOINT:
        slot_open(guest, dev, SLOT_ENDPOINT, SLOT_ENDPOINT, SLOT_BAR);
        break;
    case BRIDGE:
        slot_open(guest, dev, SLOT_BEHIND(4), SLOT_BRIDGE_SID, SLOT_BAR);
        break;
    case SWITCH:
        slot_open(guest, dev, SLOT_BEHIND_SWITCH, SLOT_BEHIND_SWITCH,
                  SLOT_BAR);
        break;
    }
}

static void unplug_slot(VtdGuest *guest, VtdDevice *dev, Slot slot)
{
    static const char *ids[] = { NULL, "behind", "bridge", "up" };
    static const unsigned int n[] = { 0, 1, 2, 4 };

    slot_close(dev);
    slot_unplug(guest, ids[slot], n[slot]);
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
    VtdStage second = vtd_second_stage(dev->guest, 4);

    vtd_map(&second, NARROW_IOVA, FRAME(frame), 1);
    if (scalable) {
        vtd_add_scalable(dev, 0);
        vtd_use_second(dev, &second, DOMAIN);
    } else {
        vtd_add_legacy(dev);
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
    vtd_disable(guest);
}

static void visit_enable(VtdGuest *guest, uint16_t sid)
{
    vtd_disable(guest);
    vtd_enable(guest);
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
    { "bridge/legacy", PORT_OPTIONS SLOT_BRIDGE, BRIDGE },
    { "bridge/scalable", SCALABLE PORT_OPTIONS SLOT_BRIDGE, BRIDGE },
    { "switch/legacy", PORT_OPTIONS SLOT_SWITCH, SWITCH },
    { "switch/scalable", SCALABLE PORT_OPTIONS SLOT_SWITCH, SWITCH },
};

/* The VM with a device behind the port that translates */
static VtdGuest *start_attached(const char *options, Slot slot, VtdDevice *dev)
{
    VtdGuest *guest = vtd_start_listening(options);
    bool scalable = is_scalable(options);

    set_up_tables(guest, scalable);
    open_slot(guest, dev, slot);
    attach(dev, 0, scalable);
    vtd_enable(guest);
    assert_attached(dev, 0);
    return guest;
}

/* One behind the next bridge, which finds nothing of what was there */
static void attach_next(VtdGuest *guest, VtdDevice *dev, bool scalable)
{
    plug_bridge(guest);
    open_slot(guest, dev, BRIDGE);
    attach(dev, 1, scalable);
    assert_reads(dev, NARROW_IOVA, FRAME(1));
}

/* Unplugs, visits, and has a bridge in the same place serve the next device */
static void test_visit(const char *options, Slot slot, const Visit *visit)
{
    VtdDevice dev;
    VtdGuest *guest = start_attached(options, slot, &dev);
    bool scalable = is_scalable(options);
    uint16_t sid = dev.sid;

    unplug_slot(guest, &dev, slot);
    visit->act(guest, sid);

    set_up_tables(guest, scalable);
    slot_set_up(guest, EMPTY);
    vtd_enable(guest);
    attach_next(guest, &dev, scalable);
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
    VtdDevice dev;
    VtdGuest *guest = start_attached(PORT_OPTIONS SLOT_BRIDGE, BRIDGE, &dev);

    unplug_slot(guest, &dev, BRIDGE);
    attach_next(guest, &dev, false);
    slot_close(&dev);
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
    vtd_enable(guest);
    for (i = 0; i < 4; i++) {
        slot_plug_endpoint(guest, "behind", true);
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
    VtdGuest *guest = vtd_start_listening(PORT_OPTIONS SLOT_BRIDGE
        " -device dma-testdev,id=other,bus=bridge,addr=5,listen=on");
    VtdDevice dev, other;

    set_up_tables(guest, false);
    open_slot(guest, &dev, BRIDGE);
    slot_open(guest, &other, SLOT_BEHIND(5), SLOT_BRIDGE_SID,
              SLOT_BAR + 1 * MiB);
    attach(&dev, 0, false);
    vtd_enable(guest);
    assert_attached(&dev, 0);
    assert_attached(&other, 0);
    slot_close(&other);
    slot_close(&dev);
    slot_unplug(guest, "bridge", 3);
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
    vtd_disable(guest);
    set_up_tables(guest, scalable);
    slot_close(dev);
    open_slot(guest, dev, m->slot);
    m->attached = false;
    vtd_enable(guest);
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
                slot_plug_endpoint(guest, "behind", true);
            }
            open_slot(guest, dev, m->slot);
        } else {
            unplug_slot(guest, dev, m->slot);
            m->slot = EMPTY;
        }
        m->attached = false;
        break;
    case 2:
        vtd_disable(guest);
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
        visits[g_test_rand_int_range(3, ARRAY_SIZE(visits))].act(
            guest, SLOT_BRIDGE_SID);
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
    slot_close(&dev);
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
