/*
 * HostIOMMUDevice of a device that is bound to an iommufd
 *
 * What is the same for all who bring such devices; hw/vfio derives from it.
 *
 * Copyright (C) 2023 Intel Corporation.
 * Copyright Red Hat, Inc. 2023
 *
 * Authors:
 *  Yi Liu <yi.l.liu@intel.com>
 *  Eric Auger <eric.auger@redhat.com>
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/iommufd.h>
#include "system/host_iommu_iommufd.h"
#include "system/host_iommu_iommufd_parent.h"

/*
 * Newer kernels report the PASID width, as a logarithm, in the first byte of
 * what was reserved and zero.
 */
static uint8_t host_iommu_iommufd_pasid_bits(const struct iommu_hw_info *info)
{
    return *(const uint8_t *)&info->__reserved;
}

bool host_iommu_iommufd_learn(HostIOMMUDeviceCaps *caps,
                              IOMMUFDBackend *iommufd, uint32_t devid,
                              Error **errp)
{
    struct iommu_hw_info_vtd vtd = {};
    struct iommu_hw_info info = {
        .size = sizeof(info),
        .dev_id = devid,
        .data_len = sizeof(vtd),
        .data_uptr = (uintptr_t)&vtd,
    };

    if (ioctl(iommufd->fd, IOMMU_GET_HW_INFO, &info)) {
        error_setg_errno(errp, errno, "iommufd does not tell what the host "
                         "IOMMU behind device %u can do", devid);
        return false;
    }

    caps->has_hw_caps = true;
    caps->hw_caps = info.out_capabilities;
    caps->pasid_bits = host_iommu_iommufd_pasid_bits(&info);
    switch (info.out_data_type) {
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

static const TypeInfo types[] = {
    {
        .name = TYPE_HOST_IOMMU_DEVICE_IOMMUFD,
        .parent = TYPE_HOST_IOMMU_DEVICE,
        .instance_size = sizeof(HostIOMMUDeviceIOMMUFD),
        .abstract = true,
    }
};

DEFINE_TYPES(types)
