/*
 * Guest memory that lies beyond what the host IOMMU can map
 *
 * Called by hw/vfio/common.c, where a map fails.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "host-width.h"
#include "system/host_iommu_device.h"

void vfio_explain_failed_map(const VFIOContainerBase *bcontainer,
                             MemoryRegion *mr, hwaddr last, Error **errp)
{
    uint8_t bits = host_iommu_iova_ranges_bits(bcontainer->iova_ranges);

    if (bits == HOST_IOMMU_BITS_UNKNOWN || bits == 64 || last >> bits == 0 ||
        memory_region_is_ram_device(mr)) {
        return;
    }
    error_free(*errp);
    *errp = NULL;
    error_setg(errp, "guest RAM ends at 0x%" HWADDR_PRIx " and takes %d "
               "address bits, the host IOMMU has %u: give the VM less",
               last + 1, 64 - clz64(last), bits);
}
