/*
 * What the fuzz targets of virtual IOMMUs share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-qdev.h"
#include "qemu/keyval.h"
#include "qemu/rcu.h"
#include "qobject/qdict.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_host.h"
#include "hw/sysbus.h"
#include "monitor/qdev.h"
#include "fuzz.h"
#include "viommu_fuzz.h"

static const char *const *slot_devices;
static bool changed;

/* The input */

void fuzz_take(FuzzInput *in, void *to, size_t size)
{
    size_t there = MIN(size, in->size);

    memset(to, 0, size);
    memcpy(to, in->data, there);
    in->data += there;
    in->size -= there;
}

static uint64_t take_number(FuzzInput *in, unsigned int bytes)
{
    uint8_t value[sizeof(uint64_t)];

    fuzz_take(in, value, bytes);
    return ldn_le_p(value, bytes);
}

uint8_t fuzz_take_u8(FuzzInput *in)
{
    return take_number(in, 1);
}

uint16_t fuzz_take_u16(FuzzInput *in)
{
    return take_number(in, 2);
}

uint32_t fuzz_take_u32(FuzzInput *in)
{
    return take_number(in, 4);
}

uint64_t fuzz_take_u64(FuzzInput *in)
{
    return take_number(in, 8);
}

/* The machine */

GString *fuzz_slots_cmdline(const char *viommu,
                            const char *const devices[FUZZ_SLOTS])
{
    GString *cmdline = g_string_new(TARGET_NAME);
    unsigned int i;

    slot_devices = devices;
    /* the less there is, the faster are changes of memory regions */
    g_string_append_printf(cmdline, " -nodefaults -display none -m 2G -machine "
                           "q35,accel=qtest,sata=off,smbus=off,smm=off"
                           " -global ICH9-LPC.acpi-pci-hotplug-with-bridge-"
                           "support=off -device %s", viommu);
    for (i = 0; i < FUZZ_SLOTS; i++) {
        g_string_append_printf(cmdline, " -device pcie-root-port,id=rp%u,"
                               "bus=pcie.0,addr=%u,chassis=%u", i, i + 3,
                               i + 1);
        if (devices[i]) {
            g_string_append_printf(cmdline, " -device %s,id=dev%u,bus=rp%u",
                                   devices[i], i, i);
        }
    }
    return cmdline;
}

static PCIDevice *slot_port(unsigned int slot)
{
    g_autofree char *id = g_strdup_printf("rp%u", slot);

    return PCI_DEVICE(qdev_find_recursive(sysbus_get_default(), id));
}

static PCIBus *slot_bus(unsigned int slot)
{
    return pci_bridge_get_sec_bus(PCI_BRIDGE(slot_port(slot)));
}

PCIDevice *fuzz_slot_device(unsigned int slot)
{
    return slot_bus(slot)->devices[0];
}

uint16_t fuzz_slot_sid(unsigned int slot)
{
    return PCI_BUILD_BDF(slot + 1, 0);
}

static void write_config(PCIDevice *pdev, uint32_t addr, uint32_t value,
                         unsigned int size)
{
    pci_host_config_write_common(pdev, addr, pci_config_size(pdev), value,
                                 size);
}

static void let_do_dma(unsigned int slot)
{
    PCIDevice *pdev = fuzz_slot_device(slot);

    if (pdev) {
        write_config(pdev, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
    }
}

/* What a reset leaves undone: the bridges' bus numbers, and bus masters */
static void set_up(void)
{
    unsigned int i;

    for (i = 0; i < FUZZ_SLOTS; i++) {
        PCIDevice *port = slot_port(i);

        write_config(port, PCI_SECONDARY_BUS, i + 1, 1);
        write_config(port, PCI_SUBORDINATE_BUS, i + 1, 1);
        write_config(port, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
        let_do_dma(i);
    }
}

void fuzz_slots_reset(void)
{
    fuzz_reset(NULL);
    set_up();
}

/* The devices */

static MemoryRegion *slot_bar(unsigned int slot)
{
    PCIDevice *pdev = fuzz_slot_device(slot);

    return pdev ? pdev->io_regions[0].memory : NULL;
}

void fuzz_slot_write(unsigned int slot, hwaddr reg, uint64_t value)
{
    MemoryRegion *bar = slot_bar(slot);

    if (bar) {
        memory_region_dispatch_write(bar, reg, value, MO_LEUQ,
                                     MEMTXATTRS_UNSPECIFIED);
    }
}

uint64_t fuzz_slot_read(unsigned int slot, hwaddr reg)
{
    MemoryRegion *bar = slot_bar(slot);
    uint64_t value = 0;

    if (bar) {
        memory_region_dispatch_read(bar, reg, &value, MO_LEUQ,
                                    MEMTXATTRS_UNSPECIFIED);
    }
    return value;
}

static void set_power(unsigned int slot, bool on)
{
    PCIDevice *port = slot_port(slot);

    write_config(port, port->exp.exp_cap + PCI_EXP_SLTCTL,
                 on ? PCI_EXP_SLTCTL_PWR_IND_ON :
                      PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PWR_OFF, 2);
}

bool fuzz_slot_plug(unsigned int slot, const char *device)
{
    g_autofree char *args = g_strdup_printf("%s,id=dev%u,bus=rp%u", device,
                                            slot, slot);
    g_autoptr(QDict) dict = keyval_parse(args, "driver", NULL, &error_abort);
    Error *err = NULL;
    DeviceState *dev;

    changed = true;
    set_power(slot, true);
    dev = qdev_device_add_from_qdict(dict, false, &err);
    if (!dev) {
        error_free(err);
        return false;
    }
    object_unref(dev);
    let_do_dma(slot);
    return true;
}

void fuzz_slot_unplug(unsigned int slot)
{
    g_autofree char *id = g_strdup_printf("dev%u", slot);

    if (!fuzz_slot_device(slot)) {
        return;
    }
    changed = true;
    qmp_device_del(id, NULL);
    set_power(slot, false);
}

void fuzz_slots_restore(void)
{
    unsigned int i;

    /* one change of all views of memory, which takes longest */
    memory_region_transaction_begin();
    fuzz_slots_reset();
    memory_region_transaction_commit();
    if (!changed) {
        return;
    }
    for (i = 0; i < FUZZ_SLOTS; i++) {
        fuzz_slot_unplug(i);
        g_assert(!fuzz_slot_device(i));
    }
    for (i = 0; i < FUZZ_SLOTS; i++) {
        if (slot_devices[i]) {
            g_assert(fuzz_slot_plug(i, slot_devices[i]));
        }
    }
    /* what is freed is freed before the next input */
    drain_call_rcu();
    changed = false;
}
