/*
 * The default HWPT of a VFIO device that is attached through iommufd
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>
#include "qapi/error.h"
#include "hw/iommu.h"
#include "hw/pci/pci_device.h"
#include "system/host_iommu_device.h"
#include "system/iommufd.h"
#include "trace.h"
#include "viommu-flags.h"

bool vfio_iommufd_skips_map(const VFIOIOMMUFDContainer *container,
                            bool readonly)
{
    if (readonly && container->nests) {
        trace_vfio_host_iommu_read_only_skipped(container->ioas_id);
        return true;
    }
    return false;
}

static bool vfio_hwpt_alloc_with(VFIODevice *vdev, uint32_t ioas_id,
                                 uint32_t flags, uint32_t *hwpt_id,
                                 Error **errp)
{
    return iommufd_backend_alloc_hwpt(vdev->iommufd, vdev->devid, ioas_id,
                                      flags, IOMMU_HWPT_DATA_NONE, 0, NULL,
                                      hwpt_id, errp);
}

static bool vfio_hwpt_alloc_parent(VFIODevice *vdev, uint32_t ioas_id,
                                   uint32_t *flags, uint32_t *hwpt_id,
                                   Error **errp)
{
    ERRP_GUARD();
    HostIOMMUDevice *hiod;

    *flags |= IOMMU_HWPT_ALLOC_NEST_PARENT;
    if (*flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) {
        if (vfio_hwpt_alloc_with(vdev, ioas_id, *flags, hwpt_id, NULL)) {
            return true;
        }
        *flags &= ~IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
    }
    if (vfio_hwpt_alloc_with(vdev, ioas_id, *flags, hwpt_id, errp)) {
        return true;
    }

    error_prepend(errp, "iommufd refuses a nesting parent: ");
    /* PCI devices alone have flags */
    hiod = host_iommu_device_new(TYPE_HOST_IOMMU_DEVICE_IOMMUFD_VFIO,
                                 OBJECT(vdev->dev), vdev, NULL);
    pci_device_explain_viommu_flags(PCI_DEVICE(vdev->dev), hiod, errp);
    host_iommu_device_free(hiod);
    return false;
}

bool vfio_hwpt_alloc(VFIODevice *vdev, uint32_t ioas_id, uint32_t *flags,
                     uint32_t *hwpt_id, Error **errp)
{
    if (vfio_wants_nesting_parent(vdev)) {
        return vfio_hwpt_alloc_parent(vdev, ioas_id, flags, hwpt_id, errp);
    }
    return vfio_hwpt_alloc_with(vdev, ioas_id, *flags, hwpt_id, errp);
}
