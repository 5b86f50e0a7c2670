/*
 * Nesting parents of iommufd
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_IOMMU_IOMMUFD_PARENT_H
#define HOST_IOMMU_IOMMUFD_PARENT_H

#include "system/host_iommu_parent.h"
#include "system/iommufd.h"

/* TYPE_HOST_IOMMU_DEVICE_IOMMUFD */
OBJECT_DECLARE_SIMPLE_TYPE(HostIOMMUDeviceIOMMUFD, HOST_IOMMU_DEVICE_IOMMUFD)

/**
 * struct HostIOMMUDeviceIOMMUFD - a device that is bound to an iommufd
 *
 * @devid: its id there
 */
struct HostIOMMUDeviceIOMMUFD {
    HostIOMMUDevice parent_obj;

    uint32_t devid;
};

/**
 * host_iommu_iommufd_parent_new() - a nesting parent that was allocated
 *
 * @iommufd: where; outlives all use of the parent
 * @hwpt_id: id of an HWPT (linux/iommufd.h, IOMMU_HWPT_ALLOC_NEST_PARENT),
 *     which the caller frees
 *
 * Returns: a reference
 */
HostIOMMUParent *host_iommu_iommufd_parent_new(IOMMUFDBackend *iommufd,
                                               uint32_t hwpt_id);

#endif /* HOST_IOMMU_IOMMUFD_PARENT_H */
