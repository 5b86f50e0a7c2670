/*
 * What virtio-iommu reports of itself
 *
 * For query-viommu.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VIRTIO_IOMMU_INFO_H
#define HW_VIRTIO_IOMMU_INFO_H

#include "qom/object.h"

/**
 * virtio_iommu_info_class_init() - implement TYPE_VIOMMU_INFO
 *
 * @oc: the class of virtio-iommu-device, which has that interface
 */
void virtio_iommu_info_class_init(ObjectClass *oc);

#endif /* HW_VIRTIO_IOMMU_INFO_H */
