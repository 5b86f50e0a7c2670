/*
 * A root port, and what is plugged in its slot and behind that
 *
 * The port is 00:03.0, and its bus is 1; a bridge in the slot has bus 2. A
 * device's BAR is where bridges are programmed to forward to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_VTD_SLOT_H
#define TESTS_VTD_SLOT_H

#include "qobject/qdict.h"
#include "vtd-guest.h"

/* Options: the port, which wants caching-mode=on where devices listen */
#define SLOT_OPTIONS \
    " -global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off" \
    " -device pcie-root-port,id=rp,bus=pcie.0,addr=3,chassis=1"
/* What can be in the slot from the start; a switch can be there then alone */
#define SLOT_BRIDGE " -device pcie-pci-bridge,id=bridge,bus=rp" \
    " -device dma-testdev,id=behind,bus=bridge,addr=4,listen=on"
#define SLOT_SWITCH " -device x3130-upstream,id=up,bus=rp" \
    " -device xio3130-downstream,id=down0,bus=up,addr=0,chassis=2" \
    " -device xio3130-downstream,id=down1,bus=up,addr=1,chassis=3" \
    " -device dma-testdev,id=behind,bus=down1,listen=on"

/* What is in the slot: a device, or what has devices behind it */
typedef enum Slot { EMPTY, ENDPOINT, BRIDGE, SWITCH } Slot;

/* A device's place on a bus, as a PCI address */
#define SLOT_AT(bus, device)    ((bus) << 8 | QPCI_DEVFN(device, 0))

/* Where a device is that is in the slot, or behind the last port of a switch */
#define SLOT_ENDPOINT           SLOT_AT(1, 0)
#define SLOT_BEHIND_SWITCH      SLOT_AT(4, 0)
/* One behind a bridge, and the source-id of the requests of all of them */
#define SLOT_BEHIND(device)     SLOT_AT(2, device)
#define SLOT_BRIDGE_SID         SLOT_AT(2, 0)

/* BARs from here on are forwarded; those on bus 0 are below */
#define SLOT_BAR                0xe1000000U

/* Bus numbers and windows of the port, and of what is in the slot */
void slot_set_up(VtdGuest *guest, Slot slot);

/* The device at @addr, whose BAR is put at @bar; see slot_close() */
void slot_open(VtdGuest *guest, VtdDevice *dev, int addr, uint16_t sid,
               uint32_t bar);
/* Before it is unplugged, or at the end */
void slot_close(VtdDevice *dev);

/* Into the slot; @properties are the callee's, and need no bus */
void slot_plug(VtdGuest *guest, const char *driver, QDict *properties);
/* The same of dma-testdev @id, and of a bridge with the id "bridge" */
void slot_plug_endpoint(VtdGuest *guest, const char *id, bool listens);
void slot_plug_bridge(VtdGuest *guest);
/*
 * The device with @id is in the slot, and the guest turns its power off. @n:
 * all that go and have an id
 */
void slot_unplug(VtdGuest *guest, const char *id, unsigned int n);

/* Behind the bridge, which has a hotplug controller of its own */
void slot_plug_behind(VtdGuest *guest, const char *id, unsigned int device,
                      bool listens);
void slot_unplug_behind(VtdGuest *guest, const char *id, unsigned int device);

#endif /* TESTS_VTD_SLOT_H */
