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
#include <sys/ioctl.h>
#include <linux/vfio.h>
#include "qapi/error.h"
#include "host-iommu.h"
#include "shadow.h"
#include "system/host_iommu_iommufd.h"
#include "system/host_iommu_iommufd_parent.h"
#include "system/host_iommu_sysfs.h"

typedef struct VFIOHostIOMMUDevice {
    HostIOMMUDeviceIOMMUFD parent_obj;

    VFIODevice *vdev;
    VFIOShadow *shadow;
} VFIOHostIOMMUDevice;

DECLARE_INSTANCE_CHECKER(VFIOHostIOMMUDevice, VFIO_HOST_IOMMU_DEVICE,
                         TYPE_HOST_IOMMU_DEVICE_IOMMUFD_VFIO)

static int host_iommu_iommufd_attach(HostIOMMUDevice *hiod, uint32_t pasid,
                                     uint32_t id, Error **errp)
{
    struct vfio_device_attach_iommufd_pt attach = {
        .argsz = sizeof(attach),
        .pt_id = id,
    };
    int ret = 0;

    if (pasid != HOST_IOMMU_NO_PASID) {
        error_setg(errp, "PASIDs cannot be attached");
        return -ENOTSUP;
    }
    if (ioctl(VFIO_HOST_IOMMU_DEVICE(hiod)->vdev->fd,
              VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach)) {
        ret = -errno;
        error_setg_errno(errp, -ret, "VFIO_DEVICE_ATTACH_IOMMUFD_PT to HWPT %u",
                         id);
    }
    return ret;
}

static int host_iommu_iommufd_detach(HostIOMMUDevice *hiod, uint32_t pasid,
                                     Error **errp)
{
    struct vfio_device_detach_iommufd_pt detach = {
        .argsz = sizeof(detach),
    };
    int ret = 0;

    /* No other was attached */
    if (pasid == HOST_IOMMU_NO_PASID &&
        ioctl(VFIO_HOST_IOMMU_DEVICE(hiod)->vdev->fd,
              VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach)) {
        ret = -errno;
        error_setg_errno(errp, -ret, "VFIO_DEVICE_DETACH_IOMMUFD_PT");
    }
    return ret;
}

static bool host_iommu_iommufd_shadow(HostIOMMUDevice *hiod, AddressSpace *as,
                                      uint32_t *id, Error **errp)
{
    VFIOHostIOMMUDevice *vhiod = VFIO_HOST_IOMMU_DEVICE(hiod);

    vhiod->shadow = vfio_shadow_new(vhiod->vdev, as, id, errp);
    return vhiod->shadow;
}

static void host_iommu_iommufd_unshadow(HostIOMMUDevice *hiod)
{
    vfio_shadow_free(g_steal_pointer(&VFIO_HOST_IOMMU_DEVICE(hiod)->shadow));
}

static bool host_iommu_iommufd_realize(HostIOMMUDevice *hiod, void *opaque,
                                       Error **errp)
{
    VFIODevice *vdev = opaque;
    g_autofree char *folder = vfio_host_iommu_folder(vdev);

    if (!host_iommu_iommufd_learn(&hiod->caps, vdev->iommufd, vdev->devid,
                                  errp)) {
        return false;
    }
    vfio_host_iommu_fill(hiod, vdev);
    HOST_IOMMU_DEVICE_IOMMUFD(hiod)->devid = vdev->devid;
    VFIO_HOST_IOMMU_DEVICE(hiod)->vdev = vdev;
    if (vdev->hwpt && vdev->hwpt->parent) {
        hiod->parent = HOST_IOMMU_PARENT(object_ref(vdev->hwpt->parent));
    }
    /* Not every driver in the kernel describes its hardware to iommufd */
    if (folder && hiod->caps.type == HOST_IOMMU_TYPE_UNKNOWN) {
        host_iommu_sysfs_read(folder, &hiod->caps);
    }
    return true;
}

static void host_iommu_iommufd_class_init(ObjectClass *oc, void *data)
{
    HostIOMMUDeviceClass *hc = HOST_IOMMU_DEVICE_CLASS(oc);

    hc->realize = host_iommu_iommufd_realize;
    hc->attach = host_iommu_iommufd_attach;
    hc->detach = host_iommu_iommufd_detach;
    hc->shadow = host_iommu_iommufd_shadow;
    hc->unshadow = host_iommu_iommufd_unshadow;
}

static const TypeInfo types[] = {
    {
        .name = TYPE_HOST_IOMMU_DEVICE_IOMMUFD_VFIO,
        .parent = TYPE_HOST_IOMMU_DEVICE_IOMMUFD,
        .instance_size = sizeof(VFIOHostIOMMUDevice),
        .class_init = host_iommu_iommufd_class_init,
    }
};

DEFINE_TYPES(types)
