/*
 * What the vIOMMU wants from the attach of a VFIO device
 *
 * Asked before the attach, by hw/vfio/common.c, for every backend.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/iommu.h"
#include "system/iommufd.h"
#include "trace.h"
#include "viommu-flags.h"

bool vfio_check_viommu_flags(VFIODevice *vdev, Error **errp)
{
    trace_host_iommu_wanted(vdev->name, vdev->viommu_flags);
    if (!(vdev->viommu_flags & VIOMMU_FLAG_WANT_NESTING_PARENT)) {
        return true;
    }
    if (vdev->mdev) {
        error_setg(errp, "a mediated device has no page tables of its own, "
                   "which the vIOMMU wants to nest on (intel-iommu has "
                   "x-flts=on: use x-flts=off)");
        return false;
    }
    if (!vdev->iommufd) {
        error_setg(errp, "the vIOMMU wants to nest on the device's page "
                   "tables, which VFIO's legacy backend cannot (intel-iommu "
                   "has x-flts=on: %suse x-flts=off)",
                   object_class_by_name(TYPE_IOMMUFD_BACKEND) ?
                   "give the device iommufd=, or " : "");
        return false;
    }
    return true;
}
