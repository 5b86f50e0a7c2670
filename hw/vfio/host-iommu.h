/*
 * VFIO's part of what the host IOMMU behind a device can do
 *
 * Common to the legacy and the iommufd backend.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_HOST_IOMMU_H
#define HW_VFIO_HOST_IOMMU_H

#include "hw/vfio/vfio-common.h"
#include "system/host_iommu_device.h"

/**
 * vfio_host_folder() - where sysfs describes a device
 *
 * @vdev: the device; it may have come as a file descriptor
 *
 * Returns: a path, which the caller frees, or NULL
 */
char *vfio_host_folder(const VFIODevice *vdev);

/**
 * vfio_host_iommu_folder() - where sysfs describes the IOMMU behind a device
 *
 * @vdev: the device
 *
 * Returns: a path, which the caller frees, or NULL
 */
char *vfio_host_iommu_folder(const VFIODevice *vdev);

/**
 * vfio_host_iommu_fill() - what both backends know of an attached device
 *
 * Fills the name, and what the container and sysfs report: the unit, IOVA
 * ranges, width and page sizes.
 *
 * @hiod: the object, being realized
 * @vdev: the device; where it is not attached, what the container reports is
 *     unknown
 */
void vfio_host_iommu_fill(HostIOMMUDevice *hiod, VFIODevice *vdev);

#endif /* HW_VFIO_HOST_IOMMU_H */
