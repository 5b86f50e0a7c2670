/*
 * A root port, and what is plugged in its slot and behind that
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "qobject/qjson.h"
#include "vtd-slot.h"

#define PORT            QPCI_DEVFN(3, 0)
#define LAST_BUS        4
#define BAR_LAST        0xe1ffffffU

/* Standard hotplug controller (SHPC 1.0): its registers are the bridge's BAR */
#define SHPC_BAR        0xe1f00000U
#define SHPC_COMMAND    0x14
/* of a slot: off, with its power indicator off too */
#define SHPC_DISABLE    (3 | 3 << 2)
#define SHPC_TARGET(device)     ((device) << 8)

static void set_up_bridge(VtdGuest *guest, int addr, int secondary,
                          int subordinate)
{
    g_autofree QPCIDevice *pci = qpci_device_find(guest->bus, addr);

    g_assert_nonnull(pci);
    qpci_config_writeb(pci, PCI_PRIMARY_BUS, addr >> 8);
    qpci_config_writeb(pci, PCI_SECONDARY_BUS, secondary);
    qpci_config_writeb(pci, PCI_SUBORDINATE_BUS, subordinate);
    qpci_config_writew(pci, PCI_MEMORY_BASE, SLOT_BAR >> 16);
    qpci_config_writew(pci, PCI_MEMORY_LIMIT, BAR_LAST >> 16);
    qpci_config_writew(pci, PCI_COMMAND, PCI_COMMAND_MEMORY |
                                         PCI_COMMAND_MASTER);
}

static void set_up_hotplug_controller(VtdGuest *guest)
{
    g_autofree QPCIDevice *pci = qpci_device_find(guest->bus, SLOT_AT(1, 0));

    qpci_config_writel(pci, PCI_BASE_ADDRESS_0, SHPC_BAR);
    qpci_config_writel(pci, PCI_BASE_ADDRESS_1, 0);
}

static void set_power(VtdGuest *guest, bool on)
{
    g_autofree QPCIDevice *pci = qpci_device_find(guest->bus, PORT);
    uint8_t cap = qpci_find_capability(pci, PCI_CAP_ID_EXP, 0);

    qpci_config_writew(pci, cap + PCI_EXP_SLTCTL,
                       on ? PCI_EXP_SLTCTL_PWR_IND_ON :
                       PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PWR_OFF);
}

void slot_set_up(VtdGuest *guest, Slot slot)
{
    set_up_bridge(guest, PORT, 1, LAST_BUS);
    set_power(guest, true);
    switch (slot) {
    case EMPTY:
    case ENDPOINT:
        break;
    case BRIDGE:
        set_up_bridge(guest, SLOT_AT(1, 0), 2, 2);
        set_up_hotplug_controller(guest);
        break;
    case SWITCH:
        set_up_bridge(guest, SLOT_AT(1, 0), 2, LAST_BUS);
        set_up_bridge(guest, SLOT_AT(2, 0), 3, 3);
        set_up_bridge(guest, SLOT_AT(2, 1), 4, LAST_BUS);
        break;
    }
}

void slot_open(VtdGuest *guest, VtdDevice *dev, int addr, uint16_t sid,
               uint32_t bar)
{
    dev->guest = guest;
    dev->pci = qpci_device_find(guest->bus, addr);
    dev->bar = (QPCIBar) { .addr = bar };
    dev->sid = sid;
    g_assert_nonnull(dev->pci);
    qpci_config_writel(dev->pci, PCI_BASE_ADDRESS_0, bar);
    qpci_device_enable(dev->pci);
}

void slot_close(VtdDevice *dev)
{
    g_clear_pointer(&dev->pci, g_free);
}

/* Waits until @n devices with an id are gone */
static void wait_deleted(VtdGuest *guest, unsigned int n)
{
    while (n) {
        QDict *event = qtest_qmp_eventwait_ref(guest->qts, "DEVICE_DELETED");

        if (qdict_haskey(qdict_get_qdict(event, "data"), "device")) {
            n--;
        }
        qobject_unref(event);
    }
}

void slot_plug(VtdGuest *guest, const char *driver, QDict *properties)
{
    set_power(guest, true);
    qdict_put_str(properties, "bus", "rp");
    qtest_qmp_device_add_qdict(guest->qts, driver, properties);
    qobject_unref(properties);
}

void slot_plug_endpoint(VtdGuest *guest, const char *id, bool listens)
{
    slot_plug(guest, "dma-testdev", qdict_from_jsonf_nofail(
        "{'id': %s, 'listen': %i}", id, listens));
}

void slot_plug_bridge(VtdGuest *guest)
{
    set_power(guest, true);
    qtest_qmp_device_add(guest->qts, "pcie-pci-bridge", "bridge",
                         "{'bus': 'rp'}");
}

void slot_unplug(VtdGuest *guest, const char *id, unsigned int n)
{
    qtest_qmp_device_del_send(guest->qts, id);
    set_power(guest, false);
    wait_deleted(guest, n);
}

void slot_plug_behind(VtdGuest *guest, const char *id, unsigned int device,
                      bool listens)
{
    g_autofree char *addr = g_strdup_printf("%x", device);

    qtest_qmp_device_add(guest->qts, "dma-testdev", id,
                         "{'bus': 'bridge', 'addr': %s, 'listen': %i}", addr,
                         listens);
}

void slot_unplug_behind(VtdGuest *guest, const char *id, unsigned int device)
{
    /* where the guest has not turned it on, it is gone at once */
    qtest_qmp_device_del_send(guest->qts, id);
    qtest_writel(guest->qts, SHPC_BAR + SHPC_COMMAND,
                 SHPC_DISABLE | SHPC_TARGET(device));
    wait_deleted(guest, 1);
}
