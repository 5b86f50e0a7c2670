/*
 * What a guest maps for a device, for listeners that want nothing else
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_SHADOW_SPACE_H
#define HW_I386_INTEL_IOMMU_SHADOW_SPACE_H

#include "hw/i386/intel_iommu.h"

typedef struct VTDShadowSpace VTDShadowSpace;

/**
 * vtd_shadow_space_new() - an address space of what a guest maps for a device
 *
 * The device's own address space has RAM in it while nothing is translated;
 * this has the device's IOMMU memory region then, or nothing.
 *
 * @s: the IOMMU; the caller has the BQL
 * @bus: the device's
 * @devfn: the device's
 *
 * Returns: what vtd_shadow_space_free() takes, which it is before the bus goes
 */
VTDShadowSpace *vtd_shadow_space_new(IntelIOMMUState *s, PCIBus *bus,
                                     int devfn);

/* Nobody listens any more */
void vtd_shadow_space_free(VTDShadowSpace *space);

AddressSpace *vtd_shadow_space_as(VTDShadowSpace *space);

#endif /* HW_I386_INTEL_IOMMU_SHADOW_SPACE_H */
