/*
 * A PCI device with a DMA engine that answers at once, to test IOMMUs
 *
 * Included by hw/misc/dma-testdev.c, hw/misc/host-iommu-testdev.c, which
 * makes an assigned device of it, and tests/qtest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_DMA_TESTDEV_H
#define HW_MISC_DMA_TESTDEV_H

#include "hw/pci/pci_device.h"

#define TYPE_DMA_TESTDEV "dma-testdev"
OBJECT_DECLARE_SIMPLE_TYPE(DMATestdev, DMA_TESTDEV)

/* With vendor PCI_VENDOR_ID_QEMU, next to host-iommu-testdev's 0x11e9 */
#define DMA_TESTDEV_DEVICE_ID       0x11ea

/* BAR 0, 64-bit registers; those from 0x28 on are a subclass's */
#define DMA_TESTDEV_SRC             0x00 /* bus address to copy from */
#define DMA_TESTDEV_DST             0x08 /* bus address to copy to */
#define DMA_TESTDEV_LEN             0x10 /* bytes */
#define DMA_TESTDEV_START           0x18 /* a write copies, at once */
#define DMA_TESTDEV_RESULT          0x20 /* of the last copy, see below */
#define DMA_TESTDEV_SUBCLASS        0x28

#define DMA_TESTDEV_MAX_LEN         0x10000

#define DMA_TESTDEV_IDLE            0
#define DMA_TESTDEV_DONE            1
#define DMA_TESTDEV_READ_FAILED     2
#define DMA_TESTDEV_WRITE_FAILED    3
#define DMA_TESTDEV_TOO_LONG        4

/**
 * struct DMATestdev - the device, which subclasses embed
 *
 * @pdev: the PCI device
 * @bar: BAR 0, to which a subclass can add a region with its registers
 * @src: register
 * @dst: register
 * @len: register
 * @result: register
 */
struct DMATestdev {
    PCIDevice pdev;

    MemoryRegion bar;
    uint64_t src, dst;
    uint32_t len, result;
};

#endif /* HW_MISC_DMA_TESTDEV_H */
