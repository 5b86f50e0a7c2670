/*
 * HostIOMMUDevice of a device that is attached through iommufd
 *
 * Realized by hw/vfio/common.c, after the attach.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-iommu.h"
#include "system/iommufd.h"
#include <linux/iommufd.h>

/* What IOMMU_GET_HW_INFO tells (linux/iommufd.h, struct iommu_hw_info) */
static bool host_iommu_iommufd_realize(HostIOMMUDevice *hiod, void *bringer,
                                       Error **errp)
{
    VFIODevice *vdev = bringer;
    HostIOMMUDeviceCaps *caps = &hiod->caps;
    struct iommu_hw_info_vtd vtd = {};
    uint32_t type;

    if (!iommufd_backend_get_device_info(vdev->iommufd, vdev->devid, &type,
                                         &vtd, sizeof(vtd), &caps->hw_caps,
                                         errp)) {
        return false;
    }

    vfio_host_iommu_fill(hiod, vdev);
    caps->has_hw_caps = true;
    switch (type) {
    case IOMMU_HW_INFO_TYPE_INTEL_VTD:
        caps->type = HOST_IOMMU_TYPE_INTEL_VTD;
        caps->source = HOST_IOMMU_SOURCE_IOMMUFD;
        caps->vtd.cap = vtd.cap_reg;
        caps->vtd.ecap = vtd.ecap_reg;
        break;
    case IOMMU_HW_INFO_TYPE_ARM_SMMUV3:
        caps->type = HOST_IOMMU_TYPE_ARM_SMMUV3;
        caps->source = HOST_IOMMU_SOURCE_IOMMUFD;
        break;
    default:
        break;
    }
    return true;
}

static void host_iommu_iommufd_class_init(ObjectClass *oc, void *data)
{
    HOST_IOMMU_DEVICE_CLASS(oc)->realize = host_iommu_iommufd_realize;
}

static const TypeInfo types[] = {
    {
        .name = TYPE_HOST_IOMMU_DEVICE_IOMMUFD_VFIO,
        .parent = TYPE_HOST_IOMMU_DEVICE_IOMMUFD,
        .class_init = host_iommu_iommufd_class_init,
    }
};

DEFINE_TYPES(types)
