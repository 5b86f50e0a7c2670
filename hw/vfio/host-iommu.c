/*
 * What both backends of VFIO know of the host IOMMU behind a device
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
#include <sys/sysmacros.h>
#include "qemu/cutils.h"
#include "host-iommu.h"
#include "system/host_iommu_sysfs.h"

char *vfio_host_folder(const VFIODevice *vdev)
{
    struct stat st;

    if (vdev->sysfsdev) {
        return g_strdup(vdev->sysfsdev);
    }
    /* The character device of VFIO's that was opened by someone else */
    if (fstat(vdev->fd, &st) || !S_ISCHR(st.st_mode)) {
        return NULL;
    }
    return g_strdup_printf("/sys/dev/char/%u:%u/device", major(st.st_rdev),
                           minor(st.st_rdev));
}

char *vfio_host_iommu_folder(const VFIODevice *vdev)
{
    g_autofree char *folder = vfio_host_folder(vdev);

    return folder ? g_build_filename(folder, "iommu", NULL) : NULL;
}

/* Returns: the number of its IOMMU group, as in sysfs */
static int vfio_host_iommu_group(const VFIODevice *vdev)
{
    g_autofree char *folder = vfio_host_folder(vdev);
    g_autofree char *path = NULL, *target = NULL, *name = NULL;
    int number;

    path = folder ? g_build_filename(folder, "iommu_group", NULL) : NULL;
    target = path ? g_file_read_link(path, NULL) : NULL;
    name = target ? g_path_get_basename(target) : NULL;
    if (!name || qemu_strtoi(name, NULL, 10, &number)) {
        return HOST_IOMMU_GROUP_UNKNOWN;
    }
    return number;
}

void vfio_host_iommu_fill(HostIOMMUDevice *hiod, VFIODevice *vdev)
{
    g_autofree char *folder = vfio_host_iommu_folder(vdev);
    HostIOMMUDeviceCaps *caps = &hiod->caps;

    hiod->name = g_strdup(vdev->name);
    hiod->unit = folder ? host_iommu_sysfs_unit(folder) : NULL;
    caps->group = vfio_host_iommu_group(vdev);
    if (!vdev->bcontainer) {
        return;
    }
    caps->iova_ranges = vfio_container_get_iova_ranges(vdev->bcontainer);
    caps->aw_bits = host_iommu_iova_ranges_bits(caps->iova_ranges);
    caps->page_sizes = vfio_container_get_page_size_mask(vdev->bcontainer);
}
