/*
 * Registers of the device that stands for an assigned one in tests
 *
 * Included by hw/misc/host-iommu-testdev.c and tests/qtest.
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
#define HOST_IOMMU_TESTDEV_FLAGS        0x28 /* VIOMMU_FLAG_* at the attach */
#define HOST_IOMMU_TESTDEV_MAPS         0x30 /* mappings that were announced */
#define HOST_IOMMU_TESTDEV_UNMAPS       0x38 /* and those taken back */
#define HOST_IOMMU_TESTDEV_END          0x40

#endif /* HW_MISC_HOST_IOMMU_TESTDEV_H */
