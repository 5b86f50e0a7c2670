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
#define HOST_IOMMU_TESTDEV_END          (DMA_TESTDEV_SUBCLASS + 0x08)

#endif /* HW_MISC_HOST_IOMMU_TESTDEV_H */
