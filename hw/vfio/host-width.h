/*
 * Guest memory that lies beyond what the host IOMMU can map
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_HOST_WIDTH_H
#define HW_VFIO_HOST_WIDTH_H

#include "hw/vfio/vfio-common.h"

/**
 * vfio_explain_failed_map() - say so where a map failed for the host's width
 *
 * Where @mr ends beyond the last usable IOVA, @errp is replaced. Guests place
 * BARs, so a BAR of an emulated device that is RAM must not end QEMU: as with
 * the BARs of assigned devices, DMA does not reach it.
 *
 * @bcontainer: the container, with its IOVA ranges
 * @mr: what was to be mapped
 * @last: IOVA of its last byte
 * @errp: what the map failed with
 *
 * Returns: may @mr be left out?
 */
bool vfio_explain_failed_map(const VFIOContainerBase *bcontainer,
                             MemoryRegion *mr, hwaddr last, Error **errp);

#endif /* HW_VFIO_HOST_WIDTH_H */
