/*
 * HostIOMMUDevice of a VFIO device that is attached through iommufd
 *
 * Realized by hw/vfio/common.c, after the attach.
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
#include <linux/vfio.h>
#include "host-iommu.h"
#include "system/host_iommu_iommufd.h"
#include "system/host_iommu_sysfs.h"

#define TYPE_VFIO_HOST_IOMMU_DEVICE TYPE_HOST_IOMMU_DEVICE_IOMMUFD_VFIO
OBJECT_DECLARE_SIMPLE_TYPE(VFIOHostIOMMUDevice, VFIO_HOST_IOMMU_DEVICE)

struct VFIOHostIOMMUDevice {
    HostIOMMUDeviceIommufd parent_obj;

    int fd;                 /* of the device, which outlives this object */
};

static bool host_iommu_iommufd_realize(HostIOMMUDevice *hiod, void *bringer,
                                       Error **errp)
{
    VFIODevice *vdev = bringer;
    g_autofree char *folder = vfio_host_iommu_folder(vdev);

    if (!host_iommu_iommufd_learn(HOST_IOMMU_DEVICE_IOMMUFD(hiod),
                                  vdev->iommufd, vdev->devid,
                                  vdev->hwpt->hwpt_id, errp)) {
        return false;
    }
    VFIO_HOST_IOMMU_DEVICE(hiod)->fd = vdev->fd;
    vfio_host_iommu_fill(hiod, vdev);
    /* Not every driver in the kernel tells iommufd what it drives */
    if (folder && hiod->caps.type == HOST_IOMMU_TYPE_UNKNOWN) {
        host_iommu_sysfs_read(folder, &hiod->caps);
    }
    return true;
}

static int host_iommu_iommufd_attach(HostIOMMUDeviceIommufd *idev,
                                     uint32_t hwpt_id)
{
    struct vfio_device_attach_iommufd_pt attach = {
        .argsz = sizeof(attach),
        .pt_id = hwpt_id,
    };

    return ioctl(VFIO_HOST_IOMMU_DEVICE(idev)->fd,
                 VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) ? -errno : 0;
}

static int host_iommu_iommufd_detach(HostIOMMUDeviceIommufd *idev)
{
    struct vfio_device_detach_iommufd_pt detach = {
        .argsz = sizeof(detach),
    };

    return ioctl(VFIO_HOST_IOMMU_DEVICE(idev)->fd,
                 VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach) ? -errno : 0;
}

static void host_iommu_iommufd_class_init(ObjectClass *oc, void *data)
{
    HostIOMMUDeviceIommufdClass *ic = HOST_IOMMU_DEVICE_IOMMUFD_CLASS(oc);

    HOST_IOMMU_DEVICE_CLASS(oc)->realize = host_iommu_iommufd_realize;
    ic->attach_hwpt = host_iommu_iommufd_attach;
    ic->detach_hwpt = host_iommu_iommufd_detach;
}

static const TypeInfo types[] = {
    {
        .name = TYPE_VFIO_HOST_IOMMU_DEVICE,
        .parent = TYPE_HOST_IOMMU_DEVICE_IOMMUFD,
        .instance_size = sizeof(VFIOHostIOMMUDevice),
        .class_init = host_iommu_iommufd_class_init,
    }
};

DEFINE_TYPES(types)
