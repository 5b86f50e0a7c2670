/*
 * intel-iommu and the host IOMMUs behind its assigned devices
 *
 * Checks what a host can do against what the guest is told, adopts it where
 * the user left the value open, and freezes that before the guest runs.
 * Called by intel_iommu.c alone; knows nothing of where a capability was
 * read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/queue.h"
#include "hw/boards.h"
#include "hw/i386/x86.h"
#include "hw/iommu.h"
#include "intel_iommu_host.h"
#include "intel_iommu_internal.h"

/* An assigned device; bus and devfn are its own, not those of an alias */
typedef struct VTDHostDevice {
    PCIBus *bus;
    int devfn;
    HostIOMMUDevice *hiod;          /* a reference of ours */
    QLIST_ENTRY(VTDHostDevice) next;
} VTDHostDevice;

/* All of it is protected by the BQL */
struct VTDHostState {
    QLIST_HEAD(, VTDHostDevice) devices;
    bool frozen;                    /* the guest may have seen CAP and ECAP */
};

/* Returns: the first guest-physical address above all RAM, maxmem included */
static uint64_t vtd_guest_ram_top(void)
{
    MachineState *ms = MACHINE(qdev_get_machine());
    X86MachineState *x86ms = X86_MACHINE(ms);
    uint64_t top = x86ms->below_4g_mem_size;

    if (x86ms->above_4g_mem_size) {
        top = x86ms->above_4g_mem_start + x86ms->above_4g_mem_size;
    }
    if (ms->device_memory) {
        top = MAX(top, ms->device_memory->base +
                       memory_region_size(&ms->device_memory->mr));
    }
    return top;
}

/*
 * Why a host of @host_width bits does not do for @s, and what to do about
 * it. Returns: the text, NULL where the host does (its width, or a lowered
 * one, fits). The caller frees it.
 */
static char *vtd_width_misfit(IntelIOMMUState *s, int host_width)
{
    uint64_t ram_top = vtd_guest_ram_top();

    if (host_width >= s->aw_bits) {
        return NULL;
    }
    if (host_width < VTD_HOST_AW_39BIT) {
        return g_strdup_printf("intel-iommu needs %d at least",
                               VTD_HOST_AW_39BIT);
    }
    if (ram_top > VTD_ADDRESS_SIZE(host_width)) {
        return g_strdup_printf("guest RAM, maxmem included, ends at 0x%"
                               PRIx64 " and takes %d: give the VM less",
                               ram_top, 64 - clz64(ram_top - 1));
    }
    if (s->host->frozen) {
        return g_strdup_printf("fixed since the VM started: start it with "
                               "aw-bits=%d, in libvirt aw_bits='%d'",
                               host_width, host_width);
    }
    if (s->aw_bits_given) {
        return g_strdup_printf("use aw-bits=%d, in libvirt aw_bits='%d', or "
                               "leave it out to adopt the host's",
                               host_width, host_width);
    }
    return NULL;
}

static bool vtd_check_host(IntelIOMMUState *s, int host_width, Error **errp)
{
    g_autofree char *misfit = vtd_width_misfit(s, host_width);

    if (s->flts) {
        error_setg(errp, "intel-iommu does not support assigned devices with "
                   "x-flts=on: stage-1 passthrough is not there yet "
                   "(use x-flts=off)");
        return false;
    }
    if (misfit) {
        error_setg(errp, "host IOMMU cannot back intel-iommu: address width "
                   "is %u in the guest, %d on the host (%s)",
                   s->aw_bits, host_width, misfit);
        return false;
    }
    return true;
}

/*
 * The registers, masks and tables that follow from the width are derived by
 * the reset that comes between machine-done and the guest's first step.
 */
static void vtd_adopt_host(IntelIOMMUState *s, int host_width)
{
    if (!s->host->frozen && !s->aw_bits_given) {
        s->aw_bits = MIN(s->aw_bits, host_width);
    }
}

static VTDHostDevice *vtd_find_host_device(IntelIOMMUState *s, PCIBus *bus,
                                           int devfn)
{
    VTDHostDevice *dev;

    QLIST_FOREACH(dev, &s->host->devices, next) {
        if (dev->bus == bus && dev->devfn == devfn) {
            return dev;
        }
    }
    return NULL;
}

bool vtd_set_iommu_device(PCIBus *bus, void *opaque, int devfn,
                          HostIOMMUDevice *hiod, Error **errp)
{
    HostIOMMUDeviceClass *hiodc = HOST_IOMMU_DEVICE_GET_CLASS(hiod);
    IntelIOMMUState *s = opaque;
    VTDHostDevice *dev;
    int host_width;

    if (vtd_find_host_device(s, bus, devfn)) {
        error_setg(errp, "intel-iommu knows a host device at this PCI address "
                   "already");
        return false;
    }
    if (!hiodc->get_cap) {
        error_setg(errp, "%s does not tell the host's address width",
                   object_get_typename(OBJECT(hiod)));
        return false;
    }
    host_width = hiodc->get_cap(hiod, HOST_IOMMU_DEVICE_CAP_AW_BITS, errp);
    if (host_width < 0 || !vtd_check_host(s, host_width, errp)) {
        return false;
    }

    vtd_adopt_host(s, host_width);
    dev = g_new0(VTDHostDevice, 1);
    dev->bus = bus;
    dev->devfn = devfn;
    dev->hiod = HOST_IOMMU_DEVICE(object_ref(hiod));
    QLIST_INSERT_HEAD(&s->host->devices, dev, next);
    return true;
}

void vtd_unset_iommu_device(PCIBus *bus, void *opaque, int devfn)
{
    VTDHostDevice *dev = vtd_find_host_device(opaque, bus, devfn);

    if (dev) {
        QLIST_REMOVE(dev, next);
        object_unref(OBJECT(dev->hiod));
        g_free(dev);
    }
}

uint64_t vtd_get_viommu_flags(void *opaque)
{
    IntelIOMMUState *s = opaque;

    return s->flts ? VIOMMU_FLAG_WANT_NESTING_PARENT : 0;
}

void vtd_host_freeze(IntelIOMMUState *s)
{
    s->host->frozen = true;
}

void vtd_host_init(IntelIOMMUState *s)
{
    s->host = g_new0(VTDHostState, 1);
    QLIST_INIT(&s->host->devices);
}
