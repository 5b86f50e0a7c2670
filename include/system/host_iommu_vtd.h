/*
 * Fields of VT-d's capability registers that a host can limit
 *
 * For the registers of a host, in HostIOMMUDeviceCaps.vtd, and for those of
 * the emulated IOMMU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_IOMMU_VTD_H
#define HOST_IOMMU_VTD_H

#include "hw/registerfields.h"
#include "system/host_iommu_device.h"

/* VT-d 11.4.2, Capability Register */
FIELD(VTD_CAP, SAGAW, 8, 5)
FIELD(VTD_CAP, MGAW, 16, 6)
FIELD(VTD_CAP, FS1GP, 56, 1)

/* VT-d 11.4.3, Extended Capability Register */
FIELD(VTD_ECAP, DT, 2, 1)
FIELD(VTD_ECAP, SC, 7, 1)
FIELD(VTD_ECAP, NEST, 26, 1)
FIELD(VTD_ECAP, SRS, 31, 1)
FIELD(VTD_ECAP, PSS, 35, 5)
FIELD(VTD_ECAP, PASID, 40, 1)
FIELD(VTD_ECAP, SMTS, 43, 1)
FIELD(VTD_ECAP, SSTS, 46, 1)
FIELD(VTD_ECAP, FSTS, 47, 1)

/**
 * host_iommu_vtd_mgaw() - Maximum Guest Address Width (VT-d 11.4.2)
 *
 * @cap: Capability Register
 *
 * Returns: bits; the field has one less
 */
static inline uint8_t host_iommu_vtd_mgaw(uint64_t cap)
{
    return FIELD_EX64(cap, VTD_CAP, MGAW) + 1;
}

#endif /* HOST_IOMMU_VTD_H */
