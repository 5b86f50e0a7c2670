/*
 * What the vIOMMU wants from the attach of a VFIO device
 *
 * viommu-flags.c is for every backend, iommufd-hwpt.c for iommufd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_VIOMMU_FLAGS_H
#define HW_VFIO_VIOMMU_FLAGS_H

#include "hw/vfio/vfio-common.h"

/**
 * vfio_check_viommu_flags() - can a device be attached as the vIOMMU wants?
 *
 * From what is known before the attach: the backend, and what @vdev is.
 *
 * @vdev: the device, with viommu_flags
 * @errp: says why not, and what the vIOMMU adds to it
 */
bool vfio_check_viommu_flags(VFIODevice *vdev, Error **errp);

/**
 * vfio_wants_nesting_parent() - is a device attached to guest-physical memory?
 *
 * What nests shares an IOAS with what nests, and with nothing else: Linux may
 * refuse read-only mappings there.
 *
 * @vdev: the device, with viommu_flags
 */
bool vfio_wants_nesting_parent(const VFIODevice *vdev);

/**
 * vfio_hwpt_alloc() - allocate the default HWPT of a device
 *
 * As the vIOMMU wants it: a nesting parent (linux/iommufd.h,
 * IOMMU_HWPT_ALLOC_NEST_PARENT), or none. A host that refuses is an error,
 * but dirty tracking is given up where it cannot have both.
 *
 * @vdev: the device, bound to its iommufd, with viommu_flags
 * @ioas_id: of the container
 * @flags: IOMMU_HWPT_ALLOC_* to begin with; those in force when it returns
 * @hwpt_id: the id; the caller frees it
 * @errp: what iommufd answered, and what the vIOMMU adds to it
 */
bool vfio_hwpt_alloc(VFIODevice *vdev, uint32_t ioas_id, uint32_t *flags,
                     uint32_t *hwpt_id, Error **errp);

/**
 * vfio_iommufd_skips_map() - is a section left out of a container?
 *
 * Linux may refuse read-only mappings in a nesting parent.
 *
 * @container: the container
 * @readonly: is the section?
 */
bool vfio_iommufd_skips_map(const VFIOIOMMUFDContainer *container,
                            bool readonly);

#endif /* HW_VFIO_VIOMMU_FLAGS_H */
