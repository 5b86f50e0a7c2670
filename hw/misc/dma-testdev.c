/*
 * A PCI device with a DMA engine that answers at once, to test IOMMUs
 *
 * To a vIOMMU it is an emulated device like any other. Used by tests/qtest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/misc/dma-testdev.h"

static uint32_t dma_testdev_copy(DMATestdev *td)
{
    g_autofree uint8_t *buf = NULL;

    if (td->len > DMA_TESTDEV_MAX_LEN) {
        return DMA_TESTDEV_TOO_LONG;
    }
    buf = g_malloc(td->len);
    if (pci_dma_read(&td->pdev, td->src, buf, td->len) != MEMTX_OK) {
        return DMA_TESTDEV_READ_FAILED;
    }
    if (pci_dma_write(&td->pdev, td->dst, buf, td->len) != MEMTX_OK) {
        return DMA_TESTDEV_WRITE_FAILED;
    }
    return DMA_TESTDEV_DONE;
}

static uint64_t dma_testdev_read(void *opaque, hwaddr addr, unsigned int size)
{
    DMATestdev *td = opaque;

    switch (addr) {
    case DMA_TESTDEV_SRC:
        return td->src;
    case DMA_TESTDEV_DST:
        return td->dst;
    case DMA_TESTDEV_LEN:
        return td->len;
    case DMA_TESTDEV_RESULT:
        return td->result;
    default:
        return 0;
    }
}

static void dma_testdev_write(void *opaque, hwaddr addr, uint64_t val,
                              unsigned int size)
{
    DMATestdev *td = opaque;

    switch (addr) {
    case DMA_TESTDEV_SRC:
        td->src = val;
        break;
    case DMA_TESTDEV_DST:
        td->dst = val;
        break;
    case DMA_TESTDEV_LEN:
        td->len = val;
        break;
    case DMA_TESTDEV_START:
        td->result = dma_testdev_copy(td);
        break;
    }
}

static const MemoryRegionOps dma_testdev_ops = {
    .read = dma_testdev_read,
    .write = dma_testdev_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid.min_access_size = 8,
    .valid.max_access_size = 8,
    .impl.min_access_size = 8,
    .impl.max_access_size = 8,
};

static void dma_testdev_realize(PCIDevice *pdev, Error **errp)
{
    DMATestdev *td = DMA_TESTDEV(pdev);

    memory_region_init_io(&td->bar, OBJECT(td), &dma_testdev_ops, td,
                          TYPE_DMA_TESTDEV, 4 * KiB);
    pci_register_bar(pdev, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, &td->bar);
}

static void dma_testdev_class_init(ObjectClass *oc, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(oc);

    pc->realize = dma_testdev_realize;
    pc->vendor_id = PCI_VENDOR_ID_QEMU;
    pc->device_id = DMA_TESTDEV_DEVICE_ID;
    pc->class_id = PCI_CLASS_OTHERS;
    dc->desc = "Does DMA as it is told, to test IOMMUs";
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo types[] = {
    {
        .name = TYPE_DMA_TESTDEV,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(DMATestdev),
        .class_init = dma_testdev_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_CONVENTIONAL_PCI_DEVICE },
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    }
};

DEFINE_TYPES(types)
