/*
 * What a vIOMMU wants from the attach of an assigned device
 *
 * PCIIOMMUOps.get_viommu_flags() is asked before the device is attached.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMU_H
#define HW_IOMMU_H

/*
 * A flag follows from the user's configuration alone. No host capability
 * enters it: it is asked before the device is attached, hosts differ, and
 * source and destination of a migration must agree.
 */

/**
 * VIOMMU_FLAG_WANT_NESTING_PARENT - the vIOMMU will nest on this device
 *
 * The vIOMMU will create nested HWPTs on the device's default HWPT, which
 * therefore has to be allocated with IOMMU_HWPT_ALLOC_NEST_PARENT
 * (linux/iommufd.h, struct iommu_hwpt_alloc). An attach that cannot do so
 * fails; it never falls back in silence.
 */
#define VIOMMU_FLAG_WANT_NESTING_PARENT (1ULL << 0)

#endif /* HW_IOMMU_H */
