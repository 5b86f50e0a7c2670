/*
 * The host IOMMU behind a virtio device that vhost-vdpa backs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VIRTIO_HOST_IOMMU_VDPA_H
#define HW_VIRTIO_HOST_IOMMU_VDPA_H

#define TYPE_HOST_IOMMU_DEVICE_VDPA "host-iommu-device-vdpa"

/**
 * host_iommu_vdpa_introduce() - tell the vIOMMU of a device's host
 *
 * Nothing is done where the device is on no PCI bus, or is backed by something
 * else than vhost-vdpa.
 *
 * @vdev: has iommu_platform=on and its backend, and is about to be plugged
 *     into its bus. The vIOMMU knows one device, however many queues it has.
 * @errp: why it cannot be behind this vIOMMU: device, unit and remedy
 *
 * Returns: whether it can be plugged
 */
bool host_iommu_vdpa_introduce(VirtIODevice *vdev, Error **errp);

/**
 * host_iommu_vdpa_withdraw() - the vIOMMU forgets a device's host
 *
 * @vdev: is on its bus still; where it was not introduced, nothing is done
 */
void host_iommu_vdpa_withdraw(VirtIODevice *vdev);

#endif /* HW_VIRTIO_HOST_IOMMU_VDPA_H */
