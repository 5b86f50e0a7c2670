/*
 * Registers of the device that stands for an assigned one in tests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_HOST_IOMMU_TESTDEV_H
#define HW_MISC_HOST_IOMMU_TESTDEV_H

#include "hw/misc/dma-testdev.h"

/* A DMATestdev */
#define TYPE_HOST_IOMMU_TESTDEV "host-iommu-testdev"

/* With vendor PCI_VENDOR_ID_QEMU, next to edu's 0x11e8 */
#define HOST_IOMMU_TESTDEV_DEVICE_ID    0x11e9

/* BAR 0, 64-bit registers, beside those of the DMA engine */
#define HOST_IOMMU_TESTDEV_FLAGS        (DMA_TESTDEV_SUBCLASS + 0x00)
                                             /* VIOMMU_FLAG_* at the attach */
/* What the host was asked, by whatever device, and how it answers */
#define HOST_IOMMU_TESTDEV_ALLOCS       (DMA_TESTDEV_SUBCLASS + 0x08)
#define HOST_IOMMU_TESTDEV_LIVE         (DMA_TESTDEV_SUBCLASS + 0x10)
#define HOST_IOMMU_TESTDEV_ATTACHES     (DMA_TESTDEV_SUBCLASS + 0x18)
#define HOST_IOMMU_TESTDEV_DETACHES     (DMA_TESTDEV_SUBCLASS + 0x20)
#define HOST_IOMMU_TESTDEV_INVALIDATIONS (DMA_TESTDEV_SUBCLASS + 0x28)
#define HOST_IOMMU_TESTDEV_RANGES       (DMA_TESTDEV_SUBCLASS + 0x30)
#define HOST_IOMMU_TESTDEV_WRONG        (DMA_TESTDEV_SUBCLASS + 0x38)
#define HOST_IOMMU_TESTDEV_FAIL_IN      (DMA_TESTDEV_SUBCLASS + 0x40)
                                             /* read and written */
#define HOST_IOMMU_TESTDEV_FAIL_HOW     (DMA_TESTDEV_SUBCLASS + 0x48)
                                             /* written, see below */
#define HOST_IOMMU_TESTDEV_FAIL_MORE    (DMA_TESTDEV_SUBCLASS + 0x50)
                                             /* read and written */
#define HOST_IOMMU_TESTDEV_END          (DMA_TESTDEV_SUBCLASS + 0x58)

/* HOST_IOMMU_TESTDEV_FAIL_HOW, see HostIOMMUTestCalls */
#define HOST_IOMMU_TESTDEV_BLOCKS       0x1
#define HOST_IOMMU_TESTDEV_PARTLY       0x2

#endif /* HW_MISC_HOST_IOMMU_TESTDEV_H */
