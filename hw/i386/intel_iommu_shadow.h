/*
 * What listeners were told as mapped follows what the guest's tables say
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_SHADOW_H
#define HW_I386_INTEL_IOMMU_SHADOW_H

#include "exec/memory.h"
#include "hw/i386/intel_iommu.h"
#include "qemu/iova-tree.h"

/**
 * struct VTDShadow - what one walk changes of what listeners have mapped
 *
 * @vtd_as: whose iova_tree has what they were told as mapped
 * @except: a notifier that is told nothing, or NULL
 * @gone: ranges that the tree has no more and that wait to be told, each of
 *     whole leaves, ascending; NULL where there are none. Ours.
 * @maps: leaves that wait behind them, not in the tree yet. Ours.
 *
 * All that is gone is told before anything that is mapped, and a walk is told
 * whole: vtd_shadow_notify() ends it. With the BQL held throughout.
 */
typedef struct VTDShadow {
    VTDAddressSpace *vtd_as;
    IOMMUNotifier *except;
    GArray *gone;
    GArray *maps;
} VTDShadow;

/**
 * vtd_shadow_take_back() - nothing is to be mapped in a range any more
 *
 * @shadow: of the walk
 * @range: after those that this walk took back before; leaves that are partly
 *     in it go too, whole
 *
 * While dirty tracking runs, each leaf is told at once and alone, with the
 * memory that it was translated to: what a device wrote there is dirty.
 */
void vtd_shadow_take_back(VTDShadow *shadow, DMAMap range);

/* A leaf is to be mapped where nothing is, or is any more */
void vtd_shadow_map(VTDShadow *shadow, const DMAMap *leaf);

/**
 * vtd_shadow_notify() - tell listeners of all that waits
 *
 * @shadow: of the walk
 *
 * What is gone is told as the fewest ranges, each a power of two in size and
 * aligned to it, that have nothing in them that stays mapped, and nothing of
 * another notifier's.
 */
void vtd_shadow_notify(VTDShadow *shadow);

/* Nothing is mapped any more: takes back, and tells */
void vtd_shadow_unmap_all(VTDAddressSpace *vtd_as);

/* Tells @n of the part of @event that is in its range, in aligned pieces */
void vtd_notify_one(IOMMUNotifier *n, const IOMMUTLBEvent *event);

#endif /* HW_I386_INTEL_IOMMU_SHADOW_H */
