/*
 * Without vhost-vdpa, or without PCI, no virtio device has a host IOMMU
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-iommu-vdpa.h"

bool host_iommu_vdpa_introduce(VirtIODevice *vdev, Error **errp)
{
    return true;
}

void host_iommu_vdpa_withdraw(VirtIODevice *vdev)
{
}
