/*
 * What iommufd reports of the host IOMMU behind a device that is bound to it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_IOMMU_IOMMUFD_H
#define HOST_IOMMU_IOMMUFD_H

#include "system/host_iommu_device.h"
#include "system/iommufd.h"

/**
 * host_iommu_iommufd_learn() - what the host behind a bound device can do
 *
 * Fills what IOMMU_GET_HW_INFO reports (linux/iommufd.h, struct iommu_hw_info):
 * type, source, hw_caps, pasid_bits and vtd.
 *
 * @caps: of an object that is being realized
 * @iommufd: the iommufd that the device is bound to
 * @devid: the device's id in it
 * @errp: why the kernel refused
 */
bool host_iommu_iommufd_learn(HostIOMMUDeviceCaps *caps,
                              IOMMUFDBackend *iommufd, uint32_t devid,
                              Error **errp);

#endif /* HOST_IOMMU_IOMMUFD_H */
