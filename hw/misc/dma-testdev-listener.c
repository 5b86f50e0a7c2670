/*
 * What a guest maps for a device, as an assigned device's host would map it
 *
 * Listens to the device's address space as VFIO does, RAM regions included,
 * and refuses what the kernel's mapping interfaces refuse.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "hw/misc/dma-testdev-listener.h"

/* What the vIOMMU announces of a region */
typedef struct DMATestdevNotifier {
    IOMMUNotifier n;
    DMATestdevListener *owner;
    MemoryRegion *mr;
    hwaddr offset;              /* of the region in the address space */
    QLIST_ENTRY(DMATestdevNotifier) next;
} DMATestdevNotifier;

static const DMAMap *find_at(const DMATestdevListener *l, hwaddr iova)
{
    DMAMap at = { .iova = iova };

    return l->mappings ? iova_tree_find(l->mappings, &at) : NULL;
}

IOMMUAccessFlags dma_testdev_find_mapping(const DMATestdevListener *l,
                                          hwaddr iova, hwaddr *output)
{
    const DMAMap *map = find_at(l, iova);

    if (!map) {
        return IOMMU_NONE;
    }
    *output = map->translated_addr + (iova - map->iova);
    return map->perm;
}

static void host_map(DMATestdevListener *l, hwaddr iova, hwaddr last,
                     hwaddr output, IOMMUAccessFlags perm)
{
    DMAMap map = {
        .iova = iova,
        .translated_addr = output,
        .size = last - iova,
        .perm = perm,
    };

    if (iova_tree_insert(l->mappings, &map) != IOVA_OK) {
        l->refused++;
    }
}

static void host_unmap(DMATestdevListener *l, hwaddr iova, hwaddr last)
{
    DMAMap range = { .iova = iova, .size = last - iova };
    const DMAMap *first_map = find_at(l, iova), *last_map = find_at(l, last);

    if ((first_map && first_map->iova < iova) ||
        (last_map && last_map->iova + last_map->size > last)) {
        l->refused++;
        return;
    }
    iova_tree_remove(l->mappings, range);
}

static void notify(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
    DMATestdevNotifier *dn = container_of(n, DMATestdevNotifier, n);
    DMATestdevListener *l = dn->owner;
    hwaddr iova = entry->iova + dn->offset;
    hwaddr last = iova + entry->addr_mask;

    if (entry->perm == IOMMU_NONE) {
        l->unmaps++;
        host_unmap(l, iova, last);
        return;
    }
    l->maps++;
    if (entry->target_as == &address_space_memory &&
        memory_get_xlat_addr(entry, NULL, NULL, NULL, NULL, NULL)) {
        host_map(l, iova, last, entry->translated_addr, entry->perm);
    }
}

static void add_iommu(DMATestdevListener *l, MemoryRegionSection *section)
{
    hwaddr start = section->offset_within_region;
    DMATestdevNotifier *dn = g_new0(DMATestdevNotifier, 1);

    dn->owner = l;
    dn->mr = section->mr;
    dn->offset = section->offset_within_address_space - start;
    iommu_notifier_init(&dn->n, notify,
                        l->unmap_only ? IOMMU_NOTIFIER_UNMAP :
                                        IOMMU_NOTIFIER_IOTLB_EVENTS,
                        start, start + int128_get64(section->size) - 1, 0);
    if (memory_region_register_iommu_notifier(dn->mr, &dn->n,
                                              l->error ? NULL : &l->error)) {
        l->refused++;
        g_free(dn);
        return;
    }
    QLIST_INSERT_HEAD(&l->notifiers, dn, next);
    memory_region_iommu_replay(IOMMU_MEMORY_REGION(dn->mr), &dn->n);
}

static void del_iommu(DMATestdevListener *l, MemoryRegionSection *section)
{
    DMATestdevNotifier *dn;

    QLIST_FOREACH(dn, &l->notifiers, next) {
        if (dn->mr == section->mr &&
            dn->n.start == section->offset_within_region) {
            memory_region_unregister_iommu_notifier(dn->mr, &dn->n);
            QLIST_REMOVE(dn, next);
            g_free(dn);
            return;
        }
    }
}

static hwaddr section_last(const MemoryRegionSection *section)
{
    return section->offset_within_address_space +
           int128_get64(int128_sub(section->size, int128_one()));
}

static void region_add(MemoryListener *listener, MemoryRegionSection *section)
{
    DMATestdevListener *l = container_of(listener, DMATestdevListener,
                                         listener);
    hwaddr iova = section->offset_within_address_space;

    if (memory_region_is_iommu(section->mr)) {
        add_iommu(l, section);
    } else if (memory_region_is_ram(section->mr)) {
        /* in a vIOMMU's address space RAM is where it is for the CPU */
        host_map(l, iova, section_last(section), iova,
                 section->readonly ? IOMMU_RO : IOMMU_RW);
    }
}

static void region_del(MemoryListener *listener, MemoryRegionSection *section)
{
    DMATestdevListener *l = container_of(listener, DMATestdevListener,
                                         listener);

    if (memory_region_is_iommu(section->mr)) {
        del_iommu(l, section);
    } else if (!memory_region_is_ram(section->mr)) {
        return;
    }
    host_unmap(l, section->offset_within_address_space,
               section_last(section));
}

bool dma_testdev_listen(DMATestdevListener *l, AddressSpace *as, Error **errp)
{
    QLIST_INIT(&l->notifiers);
    l->mappings = iova_tree_new();
    l->listener = (MemoryListener) {
        .name = "dma-testdev",
        .region_add = region_add,
        .region_del = region_del,
    };
    memory_listener_register(&l->listener, as);
    if (l->error) {
        error_propagate(errp, g_steal_pointer(&l->error));
        dma_testdev_stop_listening(l);
        return false;
    }
    return true;
}

void dma_testdev_stop_listening(DMATestdevListener *l)
{
    if (!l->mappings) {
        return;
    }
    memory_listener_unregister(&l->listener);
    iova_tree_destroy(g_steal_pointer(&l->mappings));
    error_free(g_steal_pointer(&l->error));
}
