/*
 * HostIOMMUDevice of a device that is attached to a VFIO container
 *
 * Copyright Red Hat, Inc. 2012
 *
 * Authors:
 *  Alex Williamson <alex.williamson@redhat.com>
 *
 * Based on qemu-kvm device-assignment:
 *  Copyright (c) 2007, Neocleus, Alex Novik (alex@neocleus.com)
 *  Copyright (c) 2007, Neocleus, Guy Zana (guy@neocleus.com)
 *  Copyright (C) 2008, Qumranet, Amit Shah (amit.shah@qumranet.com)
 *  Copyright (C) 2008, Red Hat, Amit Shah (amit.shah@redhat.com)
 *  Copyright (C) 2008, IBM, Muli Ben-Yehuda (muli@il.ibm.com)
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */

#include "qemu/osdep.h"
#include "host-iommu.h"
#include "system/host_iommu_sysfs.h"

static bool host_iommu_legacy_realize(HostIOMMUDevice *hiod, void *opaque,
                                      Error **errp)
{
    VFIODevice *vdev = opaque;
    g_autofree char *folder = vfio_host_iommu_folder(vdev);

    vfio_host_iommu_fill(hiod, vdev);
    /* VFIO_IOMMU_GET_INFO reports nothing of the vendor's part */
    if (folder) {
        host_iommu_sysfs_read(folder, &hiod->caps);
    }
    return true;
}

static void host_iommu_legacy_class_init(ObjectClass *oc, void *data)
{
    HOST_IOMMU_DEVICE_CLASS(oc)->realize = host_iommu_legacy_realize;
}

static const TypeInfo types[] = {
    {
        .name = TYPE_HOST_IOMMU_DEVICE_LEGACY_VFIO,
        .parent = TYPE_HOST_IOMMU_DEVICE,
        .class_init = host_iommu_legacy_class_init,
    }
};

DEFINE_TYPES(types)
