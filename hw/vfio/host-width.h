/*
 * Guest memory that lies beyond what the host IOMMU can map
 *
 * The map of host-width.c; included by it and common.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_HOST_WIDTH_H
#define HW_VFIO_HOST_WIDTH_H

#include "hw/vfio/vfio-common.h"

/**
 * vfio_explain_failed_map() - say so where a map failed for the host's width
 *
 * @bcontainer: the container, with its IOVA ranges
 * @mr: what was to be mapped
 * @last: IOVA of its last byte
 * @errp: what the map failed with; replaced where @mr is RAM and ends beyond
 *     the last usable IOVA
 */
void vfio_explain_failed_map(const VFIOContainerBase *bcontainer,
                             MemoryRegion *mr, hwaddr last, Error **errp);

#endif /* HW_VFIO_HOST_WIDTH_H */
