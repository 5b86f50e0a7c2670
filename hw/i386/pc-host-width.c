/*
 * Pluggable memory and the host IOMMUs behind assigned devices
 *
 * Without translation a device has to reach all of the guest's memory, and a
 * guest can turn translation off at any time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "hw/mem/memory-device.h"
#include "hw/pci/pci_device.h"
#include "pc-host-width.h"
#include "system/host_iommu_device.h"

#define TYPE_MAPPED_IN_PIECES "virtio-mem-pci-base"

static int pc_find_narrower(Object *obj, void *opaque)
{
    HostIOMMUDevice *hiod = (HostIOMMUDevice *)object_dynamic_cast(
        obj, TYPE_HOST_IOMMU_DEVICE);
    HostIOMMUDevice **narrowest = opaque;

    /* of an assigned device, which is what owns it */
    if (hiod && object_dynamic_cast(obj->parent, TYPE_PCI_DEVICE) &&
        hiod->caps.aw_bits != HOST_IOMMU_BITS_UNKNOWN &&
        (!*narrowest || hiod->caps.aw_bits < (*narrowest)->caps.aw_bits)) {
        *narrowest = hiod;
    }
    return 0;
}

/*
 * Returns: who cannot map memory up to @end, that with the least width, and
 * NULL where all can
 */
static HostIOMMUDevice *pc_find_narrow_host(uint64_t end)
{
    HostIOMMUDevice *hiod = NULL;

    object_child_foreach_recursive(object_get_root(), pc_find_narrower, &hiod);
    return hiod && hiod->caps.aw_bits < 64 && end &&
           (end - 1) >> hiod->caps.aw_bits ? hiod : NULL;
}

/* The caller frees it */
static char *pc_name_host(const HostIOMMUDevice *hiod)
{
    return g_strdup_printf("host IOMMU%s%s behind %s", hiod->unit ? " " : "",
                           hiod->unit ?: "", hiod->name);
}

bool pc_check_host_width(DeviceState *dev, Error **errp)
{
    MemoryDeviceState *md;
    const MemoryDeviceClass *mdc;
    g_autofree char *host = NULL;
    HostIOMMUDevice *hiod;
    MemoryRegion *mr;
    uint64_t end;

    if (!object_dynamic_cast(OBJECT(dev), TYPE_MEMORY_DEVICE) ||
        object_dynamic_cast(OBJECT(dev), TYPE_MAPPED_IN_PIECES)) {
        return true;
    }
    md = MEMORY_DEVICE(dev);
    mdc = MEMORY_DEVICE_GET_CLASS(md);
    mr = mdc->get_memory_region(md, NULL);
    if (!mr) {
        return true;
    }
    end = mdc->get_addr(md) + memory_region_size(mr);
    hiod = pc_find_narrow_host(end);
    if (!hiod) {
        return true;
    }
    host = pc_name_host(hiod);
    error_setg(errp, "memory device%s%s ends at 0x%" PRIx64 " and takes %d "
               "address bits, the %s has %u: unplug %s first, or plug less "
               "memory", dev->id ? " " : "", dev->id ?: "", end,
               64 - clz64(end - 1), host, hiod->caps.aw_bits, hiod->name);
    return false;
}

void pc_warn_host_width(MachineState *ms)
{
    g_autofree char *host = NULL;
    HostIOMMUDevice *hiod;
    uint64_t end;

    if (!ms->device_memory) {
        return;
    }
    end = ms->device_memory->base + memory_region_size(&ms->device_memory->mr);
    hiod = pc_find_narrow_host(end);
    if (!hiod) {
        return;
    }
    host = pc_name_host(hiod);
    warn_report("memory that can be plugged ends at 0x%" PRIx64 " and takes "
                "%d address bits, the %s has %u: what lies beyond cannot be "
                "plugged while %s is there", end, 64 - clz64(end - 1), host,
                hiod->caps.aw_bits, hiod->name);
}
