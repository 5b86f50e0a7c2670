/*
 * What the vIOMMU wants from the attach of a VFIO device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/iommu.h"
#include "hw/pci/pci_device.h"
#include "system/iommufd.h"
#include "trace.h"
#include "viommu-flags.h"

bool vfio_wants_nesting_parent(const VFIODevice *vdev)
{
    return vdev->viommu_flags & VIOMMU_FLAG_WANT_NESTING_PARENT;
}

bool vfio_check_viommu_flags(VFIODevice *vdev, Error **errp)
{
    trace_vfio_host_iommu_wanted(vdev->name, vdev->viommu_flags);
    if (!vfio_wants_nesting_parent(vdev)) {
        return true;
    }
    if (vdev->mdev) {
        error_setg(errp, "a mediated device has no page tables of its own to "
                   "nest on");
    } else if (!vdev->iommufd) {
        error_setg(errp, "VFIO's legacy backend has no nesting parents%s",
                   object_class_by_name(TYPE_IOMMUFD_BACKEND) ?
                   " (the device needs iommufd=)" : "");
    } else {
        return true;
    }
    /* PCI devices alone have flags */
    pci_device_explain_viommu_flags(PCI_DEVICE(vdev->dev), NULL, errp);
    return false;
}
