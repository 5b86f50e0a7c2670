/*
 * Walks of the guest's translation tables
 *
 * One address through the first stage, the second, or both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_WALK_H
#define HW_I386_INTEL_IOMMU_WALK_H

#include "exec/memory.h"
#include "intel_iommu_internal.h"
#include "intel_iommu_tables.h"

/**
 * struct VTDPage - what an address was translated to
 *
 * @addr: where the page begins, in bytes
 * @level: size of the page: 1 is 4 KiB, 2 is 2 MiB, 3 is 1 GiB
 * @leaf_level: size of the page in the tables that have the request's
 *     addresses, as @level and not smaller; any of its addresses stands for it
 *     when the guest invalidates
 * @perm: what may be done with it
 * @clean: a write takes another walk, which sets Dirty
 */
typedef struct VTDPage {
    hwaddr addr;
    uint8_t level;
    uint8_t leaf_level;
    IOMMUAccessFlags perm;
    bool clean;
} VTDPage;

/* Returns: log2 of what an entry of a table at @level, 1 and up, spans */
static inline uint32_t vtd_pt_level_shift(uint32_t level)
{
    assert(level != 0);
    return VTD_PAGE_SHIFT_4K + (level - 1) * VTD_LEVEL_BITS;
}

/* Returns: the bits of an address that say which page of @level it is in */
static inline uint64_t vtd_pt_level_page_mask(uint32_t level)
{
    return ~0ULL << vtd_pt_level_shift(level);
}

/**
 * vtd_walk_init() - which bits of entries are reserved
 *
 * To be done anew when CAP, ECAP or the width changes (VT-d 9.7, 9.8).
 *
 * @s: the vIOMMU
 */
void vtd_walk_init(IntelIOMMUState *s);

/**
 * vtd_second_stage_rsvd() - has a second-stage entry reserved bits set?
 *
 * @s: the vIOMMU
 * @entry: one that is present
 * @level: of its table, 1 to 4
 */
bool vtd_second_stage_rsvd(IntelIOMMUState *s, uint64_t entry,
                           unsigned int level);

/**
 * vtd_walk() - translate an address
 *
 * Sets Accessed and Dirty in first-stage entries on the way (VT-d 3.6.2).
 *
 * @s: the vIOMMU
 * @tables: any but pass-through
 * @addr: the request's, in bytes
 * @is_write: the request writes
 * @page: filled
 *
 * Returns: 0, or the negative VTDFaultReason (VT-d 7.1.2) that stops it
 */
int vtd_walk(IntelIOMMUState *s, const VTDTables *tables, uint64_t addr,
             bool is_write, VTDPage *page);

#endif /* HW_I386_INTEL_IOMMU_WALK_H */
