/*
 * HostIOMMUDevice of a VFIO device that is attached through iommufd
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
#include "host-iommu.h"
#include "system/host_iommu_iommufd.h"
#include "system/host_iommu_sysfs.h"

static bool host_iommu_iommufd_realize(HostIOMMUDevice *hiod, void *bringer,
                                       Error **errp)
{
    VFIODevice *vdev = bringer;
    g_autofree char *folder = vfio_host_iommu_folder(vdev);

    if (!host_iommu_iommufd_learn(&hiod->caps, vdev->iommufd, vdev->devid,
                                  errp)) {
        return false;
    }
    vfio_host_iommu_fill(hiod, vdev);
    /* Not every driver in the kernel tells iommufd what it drives */
    if (folder && hiod->caps.type == HOST_IOMMU_TYPE_UNKNOWN) {
        host_iommu_sysfs_read(folder, &hiod->caps);
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
