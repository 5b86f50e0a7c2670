/*
 * Guest memory that lies beyond what the host IOMMU can map
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/pci/pci_device.h"
#include "host-width.h"
#include "system/host_iommu_device.h"

/* What vfio_find_bar() looks for, and what it found */
typedef struct Bar {
    const MemoryRegion *mr;
    const PCIDevice *pdev;
    int index;
} Bar;

static bool vfio_region_contains(const MemoryRegion *outer,
                                 const MemoryRegion *mr)
{
    while (mr && mr != outer) {
        mr = mr->container;
    }
    return mr;
}

static int vfio_find_bar(Object *obj, void *opaque)
{
    const PCIDevice *pdev = (PCIDevice *)object_dynamic_cast(obj,
                                                             TYPE_PCI_DEVICE);
    Bar *bar = opaque;
    int i;

    for (i = 0; pdev && i < PCI_NUM_REGIONS; i++) {
        const MemoryRegion *outer = pdev->io_regions[i].memory;

        if (outer && vfio_region_contains(outer, bar->mr)) {
            bar->pdev = pdev;
            bar->index = i;
            return 1;
        }
    }
    return 0;
}

/* The owner of a BAR may be a memory backend, so the owner is no answer */
static bool vfio_is_bar(Bar *bar)
{
    return object_child_foreach_recursive(object_get_root(), vfio_find_bar,
                                          bar);
}

bool vfio_explain_failed_map(const VFIOContainerBase *bcontainer,
                             MemoryRegion *mr, hwaddr last, Error **errp)
{
    uint8_t bits = host_iommu_iova_ranges_bits(bcontainer->iova_ranges);
    int taken = last ? 64 - clz64(last) : 0;
    Bar bar = { .mr = mr };
    g_autofree char *path = NULL;

    if (bits == HOST_IOMMU_BITS_UNKNOWN || taken <= bits ||
        memory_region_is_ram_device(mr)) {
        return false;
    }
    error_free(*errp);
    *errp = NULL;
    if (!vfio_is_bar(&bar)) {
        error_setg(errp, "guest RAM ends at 0x%" HWADDR_PRIx " and takes %d "
                   "address bits, the host IOMMU has %u: give the VM less",
                   last + 1, taken, bits);
        return false;
    }
    path = object_get_canonical_path(OBJECT(bar.pdev));
    error_setg(errp, "Region %s: BAR %d of %s %s ends at 0x%" HWADDR_PRIx
               " and takes %d address bits, the host IOMMU has %u: assigned "
               "devices cannot reach it (give the guest's CPU phys-bits=%u, "
               "so that its firmware places BARs below)",
               memory_region_name(mr), bar.index,
               object_get_typename(OBJECT(bar.pdev)),
               bar.pdev->qdev.id ?: path, last + 1, taken, bits, bits);
    return true;
}
