/*
 * What a guest maps for a device, as an assigned device's host would map it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_DMA_TESTDEV_LISTENER_H
#define HW_MISC_DMA_TESTDEV_LISTENER_H

#include "exec/memory.h"
#include "qemu/iova-tree.h"
#include "qemu/queue.h"

/**
 * struct DMATestdevListener - listens to the address space of a device
 *
 * @listener: what hears of its memory regions
 * @unmap_only: is told what is taken back alone, as vhost is
 * @notifiers: one for each IOMMU memory region in it
 * @mappings: what the host would have mapped. Ours.
 * @maps: mappings that a vIOMMU announced
 * @unmaps: ranges that it took back
 * @refused: what no host takes: a mapping where one is already, the part of a
 *     mapping taken back (VFIO_IOMMU_UNMAP_DMA, IOMMU_IOAS_UNMAP)
 * @error: why the first registration of a notifier failed. Ours.
 */
typedef struct DMATestdevListener {
    MemoryListener listener;
    bool unmap_only;
    QLIST_HEAD(, DMATestdevNotifier) notifiers;
    IOVATree *mappings;
    uint64_t maps, unmaps, refused;
    Error *error;
} DMATestdevListener;

/**
 * dma_testdev_listen() - start to listen
 *
 * @l: zeroed but for @unmap_only, or stopped before
 * @as: address space of a device
 * @errp: why the vIOMMU does not let it listen
 *
 * Returns: whether it does
 */
bool dma_testdev_listen(DMATestdevListener *l, AddressSpace *as, Error **errp);

/* Stops listening; where @l does not listen, nothing is done */
void dma_testdev_stop_listening(DMATestdevListener *l);

/**
 * dma_testdev_find_mapping() - what is mapped at an address
 *
 * @l: listens, or not
 * @iova: bus address, in bytes
 * @output: where in memory it is
 *
 * Returns: what can be done there; IOMMU_NONE where nothing is mapped
 */
IOMMUAccessFlags dma_testdev_find_mapping(const DMATestdevListener *l,
                                          hwaddr iova, hwaddr *output);

#endif /* HW_MISC_DMA_TESTDEV_LISTENER_H */
