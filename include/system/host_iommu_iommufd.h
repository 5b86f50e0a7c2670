/*
 * HostIOMMUDevice of a device that is bound to an iommufd
 *
 * Realized by whoever attaches devices to iommufd (VFIO). A vIOMMU attaches
 * the device to page tables of its own through it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_IOMMU_IOMMUFD_H
#define HOST_IOMMU_IOMMUFD_H

#include "system/host_iommu_device.h"
#include "system/iommufd.h"

OBJECT_DECLARE_TYPE(HostIOMMUDeviceIommufd, HostIOMMUDeviceIommufdClass,
                    HOST_IOMMU_DEVICE_IOMMUFD)

/**
 * struct HostIOMMUDeviceIommufd - a device, as iommufd knows it
 *
 * All of it is filled at realize.
 *
 * @iommufd: a reference of the object's; dropped when it is finalized
 * @devid: id of the device in @iommufd
 * @hwpt_id: id of the HWPT that the device is attached to by default: it maps
 *     all that the device may address, and is what a nested HWPT nests on
 */
struct HostIOMMUDeviceIommufd {
    HostIOMMUDevice parent_obj;

    IOMMUFDBackend *iommufd;
    uint32_t devid;
    uint32_t hwpt_id;
};

struct HostIOMMUDeviceIommufdClass {
    HostIOMMUDeviceClass parent_class;

    /**
     * @attach_hwpt: attach the device to an HWPT, instead of the present one
     *
     * @idev: the device
     * @hwpt_id: id of the HWPT, in the device's iommufd
     *
     * Returns: 0, or -errno of the kernel
     */
    int (*attach_hwpt)(HostIOMMUDeviceIommufd *idev, uint32_t hwpt_id);

    /**
     * @detach_hwpt: leave the device without page tables; its DMA fails
     *
     * @idev: the device
     *
     * Returns: 0, or -errno of the kernel
     */
    int (*detach_hwpt)(HostIOMMUDeviceIommufd *idev);
};

/**
 * host_iommu_iommufd_learn() - what the host behind a bound device can do
 *
 * Fills @idev, and of its caps what IOMMU_GET_HW_INFO tells (linux/iommufd.h,
 * struct iommu_hw_info): type, source, hw_caps, pasid_bits and vtd.
 *
 * @idev: the object, being realized
 * @iommufd: the iommufd that the device is bound to; a reference is taken
 * @devid: the device's id in it
 * @hwpt_id: see struct HostIOMMUDeviceIommufd
 * @errp: why the kernel refused
 */
bool host_iommu_iommufd_learn(HostIOMMUDeviceIommufd *idev,
                              IOMMUFDBackend *iommufd, uint32_t devid,
                              uint32_t hwpt_id, Error **errp);

/**
 * host_iommu_iommufd_attach_hwpt() - attach a device to an HWPT
 *
 * The present HWPT is replaced: there is no moment without one.
 *
 * @idev: the device
 * @hwpt_id: id of the HWPT, in the device's iommufd: a nested one of the
 *     vIOMMU's, or the default @idev->hwpt_id to come back
 * @errp: names the device and the HWPT; the device is where it was
 */
bool host_iommu_iommufd_attach_hwpt(HostIOMMUDeviceIommufd *idev,
                                    uint32_t hwpt_id, Error **errp);

/**
 * host_iommu_iommufd_detach_hwpt() - leave a device without page tables
 *
 * All of its DMA fails, until it is attached again.
 *
 * @idev: the device
 * @errp: names the device; it is where it was
 */
bool host_iommu_iommufd_detach_hwpt(HostIOMMUDeviceIommufd *idev,
                                    Error **errp);

#endif /* HOST_IOMMU_IOMMUFD_H */
