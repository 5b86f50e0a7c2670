/*
 * What listeners were told as mapped follows what the guest's tables say
 *
 * A host takes back whole mappings only: part of one is refused by type1, and
 * left mapped by iommufd. Leaves are aligned to their size, and so a range that
 * is aligned to its size has all of a leaf in it, or none, or is in it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/address-spaces.h"
#include "intel_iommu_shadow.h"
#include "system/dma.h"
#include "trace.h"

/* Leaves that wait; a walk with more is told in parts */
#define MAX_MAPS        4096

/* @last is in it */
typedef struct VTDShadowRange {
    hwaddr first, last;
} VTDShadowRange;

static const IOMMUTLBEvent unmap_event = {
    .type = IOMMU_NOTIFIER_UNMAP,
    .entry.target_as = &address_space_memory,
    .entry.perm = IOMMU_NONE,
};

static void notify(VTDShadow *shadow, const IOMMUTLBEvent *event)
{
    IOMMUNotifier *n;

    IOMMU_NOTIFIER_FOREACH(n, &shadow->vtd_as->iommu) {
        if (n != shadow->except) {
            vtd_notify_one(n, event);
        }
    }
}

static void take_leaf(VTDShadow *shadow, const DMAMap *leaf)
{
    VTDShadowRange range = { leaf->iova, leaf->iova + leaf->size };
    VTDShadowRange *before = NULL;
    IOMMUTLBEvent event = unmap_event;

    trace_vtd_shadow_take_back(leaf->iova, leaf->size);
    if (global_dirty_tracking) {
        event.entry.iova = leaf->iova;
        event.entry.addr_mask = leaf->size;
        event.entry.translated_addr = leaf->translated_addr;
        notify(shadow, &event);
        return;
    }
    if (!shadow->gone) {
        shadow->gone = g_array_new(false, false, sizeof(VTDShadowRange));
    }
    if (shadow->gone->len) {
        before = &g_array_index(shadow->gone, VTDShadowRange,
                                shadow->gone->len - 1);
    }
    if (before && before->last + 1 == range.first) {
        before->last = range.last;
    } else {
        g_array_append_val(shadow->gone, range);
    }
}

/* In ascending order: what is found first is the highest in the tree */
static void take_leaves(VTDShadow *shadow, hwaddr first, hwaddr last)
{
    DMAMap range = { .iova = first, .size = last - first };
    const DMAMap *leaf = iova_tree_find(shadow->vtd_as->iova_tree, &range);

    if (!leaf) {
        return;
    }
    if (leaf->iova > first) {
        take_leaves(shadow, first, leaf->iova - 1);
    }
    take_leaf(shadow, leaf);
    if (leaf->iova + leaf->size < last) {
        take_leaves(shadow, leaf->iova + leaf->size + 1, last);
    }
}

void vtd_shadow_take_back(VTDShadow *shadow, DMAMap range)
{
    take_leaves(shadow, range.iova, range.iova + range.size);
    iova_tree_remove(shadow->vtd_as->iova_tree, range);
}

void vtd_shadow_map(VTDShadow *shadow, const DMAMap *leaf)
{
    if (!shadow->maps) {
        shadow->maps = g_array_new(false, false, sizeof(DMAMap));
    }
    g_array_append_vals(shadow->maps, leaf, 1);
    if (shadow->maps->len == MAX_MAPS) {
        vtd_shadow_notify(shadow);
    }
}

/*
 * The range to tell for what is gone from @first to @last, of which it may be
 * a part: grown over what is not mapped, until it has all that is gone up to
 * @end, or meets what stays, or the end of the notifier's range.
 */
static VTDShadowRange find_piece(VTDShadow *shadow, IOMMUNotifier *n,
                                 hwaddr first, hwaddr last, hwaddr end)
{
    hwaddr mask = dma_aligned_pow2_mask(first, last, 64);

    while (first + mask < end) {
        hwaddr wider = mask << 1 | 1;
        DMAMap range = { .iova = first & ~wider, .size = wider };

        if (range.iova < n->start || range.iova + wider > n->end ||
            iova_tree_find(shadow->vtd_as->iova_tree, &range)) {
            break;
        }
        first = range.iova;
        mask = wider;
    }
    return (VTDShadowRange) { first, first + mask };
}

static void tell_gone(VTDShadow *shadow, IOMMUNotifier *n)
{
    const VTDShadowRange *gone = (const VTDShadowRange *)shadow->gone->data;
    hwaddr end = MIN(gone[shadow->gone->len - 1].last, n->end);
    IOMMUTLBEvent event = unmap_event;
    hwaddr next = n->start;
    unsigned int i;

    for (i = 0; i < shadow->gone->len; i++) {
        hwaddr last = MIN(gone[i].last, n->end);

        next = MAX(next, gone[i].first);
        while (next <= last) {
            VTDShadowRange piece = find_piece(shadow, n, next, last, end);

            event.entry.iova = piece.first;
            event.entry.addr_mask = piece.last - piece.first;
            trace_vtd_shadow_unmap(event.entry.iova, event.entry.addr_mask);
            memory_region_notify_iommu_one(n, &event);
            if (piece.last >= end) {
                return;
            }
            next = piece.last + 1;
        }
    }
}

static void tell_map(VTDShadow *shadow, const DMAMap *leaf)
{
    const IOMMUTLBEvent event = {
        .type = IOMMU_NOTIFIER_MAP,
        .entry = {
            .target_as = &address_space_memory,
            .iova = leaf->iova,
            .translated_addr = leaf->translated_addr,
            .addr_mask = leaf->size,
            .perm = leaf->perm,
        },
    };

    iova_tree_insert(shadow->vtd_as->iova_tree, leaf);
    notify(shadow, &event);
}

void vtd_shadow_notify(VTDShadow *shadow)
{
    IOMMUNotifier *n;
    unsigned int i;

    if (shadow->gone) {
        IOMMU_NOTIFIER_FOREACH(n, &shadow->vtd_as->iommu) {
            if (n != shadow->except) {
                tell_gone(shadow, n);
            }
        }
        g_array_free(g_steal_pointer(&shadow->gone), true);
    }
    if (shadow->maps) {
        for (i = 0; i < shadow->maps->len; i++) {
            tell_map(shadow, &g_array_index(shadow->maps, DMAMap, i));
        }
        g_array_free(g_steal_pointer(&shadow->maps), true);
    }
}

void vtd_shadow_unmap_all(VTDAddressSpace *vtd_as)
{
    VTDShadow shadow = { .vtd_as = vtd_as };

    vtd_shadow_take_back(&shadow, (DMAMap) { .size = HWADDR_MAX });
    vtd_shadow_notify(&shadow);
}
