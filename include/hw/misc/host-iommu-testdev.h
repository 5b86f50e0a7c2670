/*
 * Registers of the device that stands for an assigned one in tests
 *
 * Included by hw/misc/host-iommu-testdev.c and tests/qtest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_HOST_IOMMU_TESTDEV_H
#define HW_MISC_HOST_IOMMU_TESTDEV_H

#define TYPE_HOST_IOMMU_TESTDEV "host-iommu-testdev"

/* With vendor PCI_VENDOR_ID_QEMU, next to edu's 0x11e8 */
#define HOST_IOMMU_TESTDEV_DEVICE_ID    0x11e9

/* BAR 0, 64-bit registers */
#define HOST_IOMMU_TESTDEV_SRC          0x00 /* bus address to copy from */
#define HOST_IOMMU_TESTDEV_DST          0x08 /* bus address to copy to */
#define HOST_IOMMU_TESTDEV_LEN          0x10 /* bytes */
#define HOST_IOMMU_TESTDEV_START        0x18 /* a write copies, at once */
#define HOST_IOMMU_TESTDEV_RESULT       0x20 /* of the last copy, see below */
#define HOST_IOMMU_TESTDEV_FLAGS        0x28 /* VIOMMU_FLAG_* at the attach */
#define HOST_IOMMU_TESTDEV_MAPS         0x30 /* mappings that were announced */
#define HOST_IOMMU_TESTDEV_UNMAPS       0x38 /* and those taken back */

#define HOST_IOMMU_TESTDEV_MAX_LEN      0x10000

#define HOST_IOMMU_TESTDEV_IDLE         0
#define HOST_IOMMU_TESTDEV_DONE         1
#define HOST_IOMMU_TESTDEV_READ_FAILED  2
#define HOST_IOMMU_TESTDEV_WRITE_FAILED 3
#define HOST_IOMMU_TESTDEV_TOO_LONG     4

#endif /* HW_MISC_HOST_IOMMU_TESTDEV_H */
