/*
 * A PCI device with a DMA engine that answers at once, to test IOMMUs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_DMA_TESTDEV_H
#define HW_MISC_DMA_TESTDEV_H

#include "hw/pci/pci_device.h"
#include "hw/misc/dma-testdev-listener.h"

#define TYPE_DMA_TESTDEV "dma-testdev"
OBJECT_DECLARE_SIMPLE_TYPE(DMATestdev, DMA_TESTDEV)

/* With vendor PCI_VENDOR_ID_QEMU, next to host-iommu-testdev's 0x11e9 */
#define DMA_TESTDEV_DEVICE_ID       0x11ea

/* BAR 0, 64-bit registers */
#define DMA_TESTDEV_SRC             0x00 /* bus address to copy from */
#define DMA_TESTDEV_DST             0x08 /* bus address to copy to */
#define DMA_TESTDEV_LEN             0x10 /* bytes */
#define DMA_TESTDEV_START           0x18 /* what to do, at once, see below */
#define DMA_TESTDEV_RESULT          0x20 /* of the last copy, see below */
/* Read-only: what the listener was told, since the device is there */
#define DMA_TESTDEV_MAPS            0x28 /* mappings */
#define DMA_TESTDEV_UNMAPS          0x30 /* ranges that were taken back */
#define DMA_TESTDEV_REFUSED         0x38 /* of both, what no host would take */
/* What is mapped at the bus address that was written here */
#define DMA_TESTDEV_LOOKUP          0x40
#define DMA_TESTDEV_OUTPUT          0x48 /* its address in memory */
#define DMA_TESTDEV_PERM            0x50 /* IOMMUAccessFlags; 0: nothing */
/* What a load or store of 8 bytes has read or writes */
#define DMA_TESTDEV_DATA            0x58
/* From here on registers are a subclass's */
#define DMA_TESTDEV_SUBCLASS        0x60

/* DMA_TESTDEV_START */
#define DMA_TESTDEV_COPY            1 /* LEN bytes, from SRC to DST */
#define DMA_TESTDEV_LOAD            2 /* DATA from SRC */
#define DMA_TESTDEV_STORE           3 /* DATA to DST */

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
 * @lookup: register
 * @data: register
 * @listen: property: does it listen for what the guest maps?
 * @migratable: property of subclasses; what is in registers is lost
 * @listener: what the guest has mapped, where it listens
 * @migration_blocker: the reason why it cannot migrate
 * @dma: how a subclass reads (to @buf) or writes memory, where it does not do
 *     so through the vIOMMU; @addr and @len in bytes
 */
struct DMATestdev {
    PCIDevice pdev;

    MemoryRegion bar;
    uint64_t src, dst;
    uint32_t len, result;
    uint64_t lookup;
    uint64_t data;

    bool listen;
    bool migratable;
    DMATestdevListener listener;
    Error *migration_blocker;
    MemTxResult (*dma)(DMATestdev *td, hwaddr addr, void *buf, hwaddr len,
                       bool is_write);
};

#endif /* HW_MISC_DMA_TESTDEV_H */
