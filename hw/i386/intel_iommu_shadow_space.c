/*
 * What a guest maps for a device, for listeners that want nothing else
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "hw/pci/pci_bus.h"
#include "intel_iommu_internal.h"
#include "intel_iommu_shadow_space.h"

#define TYPE_VTD_SHADOW_SPACE "vtd-shadow-space"
OBJECT_DECLARE_SIMPLE_TYPE(VTDShadowSpace, VTD_SHADOW_SPACE)

/* An object, as readers may have it for a while when it is given up */
struct VTDShadowSpace {
    Object parent_obj;

    MemoryRegion root;
    AddressSpace as;
};

VTDShadowSpace *vtd_shadow_space_new(IntelIOMMUState *s, PCIBus *bus,
                                     int devfn)
{
    VTDShadowSpace *space =
        VTD_SHADOW_SPACE(object_new(TYPE_VTD_SHADOW_SPACE));
    VTDAddressSpace *vtd_as = vtd_find_add_as(s, bus, devfn, PCI_NO_PASID);
    MemoryRegion *iommu = MEMORY_REGION(&vtd_as->iommu);

    assert(bql_locked());
    memory_region_init_alias(&space->root, OBJECT(space), "vtd-shadow-space",
                             iommu, 0, memory_region_size(iommu));
    address_space_init(&space->as, &space->root, "vtd-shadow-space");
    return space;
}

void vtd_shadow_space_free(VTDShadowSpace *space)
{
    /* The root region keeps its owner until readers are through */
    address_space_destroy(&space->as);
    object_unref(OBJECT(space));
}

AddressSpace *vtd_shadow_space_as(VTDShadowSpace *space)
{
    return &space->as;
}

static const TypeInfo types[] = {
    {
        .name = TYPE_VTD_SHADOW_SPACE,
        .parent = TYPE_OBJECT,
        .instance_size = sizeof(VTDShadowSpace),
    },
};

DEFINE_TYPES(types)
