/*
 * intel-iommu: address spaces go with the bus that they stand for
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "hw/i386/intel_iommu.h"
#include "hw/pci/pci_bus.h"
#include "hw/qdev-core.h"
#include "trace.h"

static void vtd_address_space_finalize(Object *obj)
{
    VTDAddressSpace *vtd_as = VTD_ADDRESS_SPACE(obj);

    iova_tree_destroy(vtd_as->iova_tree);
}

void vtd_destroy_retired_address_spaces(IntelIOMMUState *s)
{
    VTDAddressSpace *vtd_as, *following;

    assert(bql_locked());

    QLIST_FOREACH_SAFE(vtd_as, &s->vtd_as_retired, next, following) {
        if (QTAILQ_EMPTY(&vtd_as->as.listeners)) {
            QLIST_REMOVE(vtd_as, next);
            /* the root region keeps its owner until readers are through */
            address_space_destroy(&vtd_as->as);
            object_unparent(OBJECT(vtd_as));
        }
    }
}

/*
 * Empties the address space: listeners are told that all is gone, and views
 * that readers still have keep the regions' owner.
 */
static void vtd_retire_address_space(VTDAddressSpace *vtd_as)
{
    IntelIOMMUState *s = vtd_as->iommu_state;
    MemoryRegion *iommu = MEMORY_REGION(&vtd_as->iommu);

    memory_region_transaction_begin();
    memory_region_del_subregion(&vtd_as->root, &vtd_as->nodmar);
    memory_region_del_subregion(&vtd_as->root, &vtd_as->iommu_ir_fault);
    memory_region_del_subregion(&vtd_as->root, iommu);
    memory_region_del_subregion(iommu, &vtd_as->iommu_ir);
    memory_region_transaction_commit();

    /* Notifiers are listeners', which took them back: @next is free */
    assert(vtd_as->notifier_flags == IOMMU_NOTIFIER_NONE);
    vtd_as->bus = NULL;
    QLIST_INSERT_HEAD(&s->vtd_as_retired, vtd_as, next);
}

static void vtd_forget_bus(IntelIOMMUState *s, PCIBus *bus)
{
    g_autoptr(GSList) gone = NULL;
    VTDAddressSpace *vtd_as;
    GHashTableIter it;
    GSList *l;

    assert(bql_locked());

    g_hash_table_iter_init(&it, s->vtd_address_spaces);
    while (g_hash_table_iter_next(&it, NULL, (void **)&vtd_as)) {
        if (vtd_as->bus == bus) {
            g_hash_table_iter_remove(&it);
            gone = g_slist_prepend(gone, vtd_as);
        }
    }
    if (!gone) {
        return;
    }

    /* Which source-ids were the bus's cannot be read any more: drop all */
    qemu_mutex_lock(&s->iommu_lock);
    g_hash_table_remove_all(s->iotlb);
    qemu_mutex_unlock(&s->iommu_lock);

    trace_vtd_forget_bus(BUS(bus)->name, g_slist_length(gone));
    for (l = gone; l; l = l->next) {
        vtd_retire_address_space(l->data);
    }
    vtd_destroy_retired_address_spaces(s);
}

/*
 * Devices behind @dev were unrealized before, and do no DMA any more; some,
 * as vfio-pci, stop to listen no earlier than when they are finalized.
 */
static void vtd_device_unrealized(DeviceListener *listener, DeviceState *dev)
{
    IntelIOMMUState *s = container_of(listener, IntelIOMMUState,
                                      device_listener);
    BusState *bus;

    QLIST_FOREACH(bus, &dev->child_bus, sibling) {
        if (object_dynamic_cast(OBJECT(bus), TYPE_PCI_BUS)) {
            vtd_forget_bus(s, PCI_BUS(bus));
        }
    }
}

void vtd_follow_buses(IntelIOMMUState *s)
{
    QLIST_INIT(&s->vtd_as_retired);
    s->device_listener.unrealize = vtd_device_unrealized;
    device_listener_register(&s->device_listener);
}

static const TypeInfo types[] = {
    {
        .name = TYPE_VTD_ADDRESS_SPACE,
        .parent = TYPE_OBJECT,
        .instance_size = sizeof(VTDAddressSpace),
        .instance_finalize = vtd_address_space_finalize,
    },
};

DEFINE_TYPES(types)
