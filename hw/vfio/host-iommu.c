/*
 * What both backends of VFIO can tell of the host IOMMU behind a device
 *
 * Called by host-iommu-legacy.c and host-iommu-iommufd.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-iommu.h"

/* Documentation/ABI/testing/sysfs-class-iommu: a link to the unit */
static char *vfio_host_iommu_unit(VFIODevice *vdev)
{
    g_autofree char *link = g_strdup_printf("%s/iommu", vdev->sysfsdev);
    g_autofree char *unit = g_file_read_link(link, NULL);

    return unit ? g_path_get_basename(unit) : NULL;
}

void vfio_host_iommu_fill(HostIOMMUDevice *hiod, VFIODevice *vdev)
{
    HostIOMMUDeviceCaps *caps = &hiod->caps;

    hiod->name = g_strdup(vdev->name);
    if (vdev->sysfsdev) {
        hiod->unit = vfio_host_iommu_unit(vdev);
    }
    caps->iova_ranges = vfio_container_get_iova_ranges(vdev->bcontainer);
    caps->aw_bits = host_iommu_iova_ranges_bits(caps->iova_ranges);
    caps->page_sizes = vfio_container_get_page_size_mask(vdev->bcontainer);
}
