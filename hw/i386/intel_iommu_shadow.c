/*
 * What a guest maps for a device, for listeners that want nothing else
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "hw/pci/pci_bus.h"
#include "intel_iommu_internal.h"
#include "intel_iommu_shadow.h"

#define TYPE_VTD_SHADOW "vtd-shadow"
OBJECT_DECLARE_SIMPLE_TYPE(VTDShadow, VTD_SHADOW)

/* An object, as readers may have it for a while when it is given up */
struct VTDShadow {
    Object parent_obj;

    MemoryRegion root;
    AddressSpace as;
};

VTDShadow *vtd_shadow_new(IntelIOMMUState *s, PCIBus *bus, int devfn)
{
    VTDShadow *shadow = VTD_SHADOW(object_new(TYPE_VTD_SHADOW));
    VTDAddressSpace *vtd_as = vtd_find_add_as(s, bus, devfn, PCI_NO_PASID);
    MemoryRegion *iommu = MEMORY_REGION(&vtd_as->iommu);

    assert(bql_locked());
    memory_region_init_alias(&shadow->root, OBJECT(shadow), "vtd-shadow",
                             iommu, 0, memory_region_size(iommu));
    address_space_init(&shadow->as, &shadow->root, "vtd-shadow");
    return shadow;
}

void vtd_shadow_free(VTDShadow *shadow)
{
    /* The root region keeps its owner until readers are through */
    address_space_destroy(&shadow->as);
    object_unref(OBJECT(shadow));
}

AddressSpace *vtd_shadow_address_space(VTDShadow *shadow)
{
    return &shadow->as;
}

static const TypeInfo types[] = {
    {
        .name = TYPE_VTD_SHADOW,
        .parent = TYPE_OBJECT,
        .instance_size = sizeof(VTDShadow),
    },
};

DEFINE_TYPES(types)
