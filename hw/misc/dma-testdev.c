/*
 * A PCI device with a DMA engine that answers at once, to test IOMMUs
 *
 * To a vIOMMU it is an emulated device like any other; with listen=on, it
 * listens for what the guest maps too, as an assigned one does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "hw/misc/dma-testdev.h"
#include "hw/qdev-properties.h"
#include "migration/blocker.h"

static MemTxResult dma_testdev_rw(DMATestdev *td, hwaddr addr, void *buf,
                                  hwaddr len, bool is_write)
{
    if (td->dma) {
        return td->dma(td, addr, buf, len, is_write);
    }
    return pci_dma_rw(&td->pdev, addr, buf, len,
                      is_write ? DMA_DIRECTION_FROM_DEVICE
                               : DMA_DIRECTION_TO_DEVICE,
                      MEMTXATTRS_UNSPECIFIED);
}

static uint32_t dma_testdev_copy(DMATestdev *td)
{
    g_autofree uint8_t *buf = NULL;

    if (td->len > DMA_TESTDEV_MAX_LEN) {
        return DMA_TESTDEV_TOO_LONG;
    }
    buf = g_malloc(td->len);
    if (dma_testdev_rw(td, td->src, buf, td->len, false) != MEMTX_OK) {
        return DMA_TESTDEV_READ_FAILED;
    }
    if (dma_testdev_rw(td, td->dst, buf, td->len, true) != MEMTX_OK) {
        return DMA_TESTDEV_WRITE_FAILED;
    }
    return DMA_TESTDEV_DONE;
}

static uint32_t dma_testdev_start(DMATestdev *td, uint64_t command)
{
    uint64_t data = 0;
    MemTxResult result;

    switch (command) {
    case DMA_TESTDEV_LOAD:
        result = dma_testdev_rw(td, td->src, &data, sizeof(data), false);
        td->data = le64_to_cpu(data);
        return result == MEMTX_OK ? DMA_TESTDEV_DONE : DMA_TESTDEV_READ_FAILED;
    case DMA_TESTDEV_STORE:
        data = cpu_to_le64(td->data);
        result = dma_testdev_rw(td, td->dst, &data, sizeof(data), true);
        return result == MEMTX_OK ? DMA_TESTDEV_DONE : DMA_TESTDEV_WRITE_FAILED;
    default:
        return dma_testdev_copy(td);
    }
}

static uint64_t dma_testdev_read(void *opaque, hwaddr addr, unsigned int size)
{
    DMATestdev *td = opaque;
    hwaddr output = 0;

    switch (addr) {
    case DMA_TESTDEV_SRC:
        return td->src;
    case DMA_TESTDEV_DST:
        return td->dst;
    case DMA_TESTDEV_LEN:
        return td->len;
    case DMA_TESTDEV_RESULT:
        return td->result;
    case DMA_TESTDEV_MAPS:
        return td->listener.maps;
    case DMA_TESTDEV_UNMAPS:
        return td->listener.unmaps;
    case DMA_TESTDEV_REFUSED:
        return td->listener.refused;
    case DMA_TESTDEV_LOOKUP:
        return td->lookup;
    case DMA_TESTDEV_OUTPUT:
        dma_testdev_find_mapping(&td->listener, td->lookup, &output);
        return output;
    case DMA_TESTDEV_PERM:
        return dma_testdev_find_mapping(&td->listener, td->lookup, &output);
    case DMA_TESTDEV_DATA:
        return td->data;
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
        td->result = dma_testdev_start(td, val);
        break;
    case DMA_TESTDEV_LOOKUP:
        td->lookup = val;
        break;
    case DMA_TESTDEV_DATA:
        td->data = val;
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

    if (!td->migratable) {
        error_setg(&td->migration_blocker, "%s cannot migrate: it keeps "
                   "nothing of its state", object_get_typename(OBJECT(td)));
        if (migrate_add_blocker(&td->migration_blocker, errp)) {
            return;
        }
    }
    if (td->listen &&
        !dma_testdev_listen(&td->listener, pci_device_iommu_address_space(pdev),
                            errp)) {
        migrate_del_blocker(&td->migration_blocker);
        return;
    }
    memory_region_init_io(&td->bar, OBJECT(td), &dma_testdev_ops, td,
                          TYPE_DMA_TESTDEV, 4 * KiB);
    pci_register_bar(pdev, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, &td->bar);
}

static void dma_testdev_exit(PCIDevice *pdev)
{
    DMATestdev *td = DMA_TESTDEV(pdev);

    dma_testdev_stop_listening(&td->listener);
    migrate_del_blocker(&td->migration_blocker);
}

static const Property dma_testdev_properties[] = {
    DEFINE_PROP_BOOL("listen", DMATestdev, listen, false),
    DEFINE_PROP_BOOL("x-unmap-only", DMATestdev, listener.unmap_only, false),
};

static void dma_testdev_class_init(ObjectClass *oc, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(oc);

    pc->realize = dma_testdev_realize;
    pc->exit = dma_testdev_exit;
    pc->vendor_id = PCI_VENDOR_ID_QEMU;
    pc->device_id = DMA_TESTDEV_DEVICE_ID;
    pc->class_id = PCI_CLASS_OTHERS;
    dc->desc = "Does DMA as it is told, to test IOMMUs";
    device_class_set_props(dc, dma_testdev_properties);
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
