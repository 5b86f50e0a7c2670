/*
 * Walks of the guest's translation tables
 *
 * VT-d 3.6 "First-Stage Translation", 3.7 "Second-Stage Translation", 3.8
 * "Nested Translation". Within this file a fault has the reason that scalable
 * mode has for it (VT-d 7.1.2); the condition's name there is beside it.
 * Without x-nested=on a guest is told of the faults that it was told of before
 * there was nesting: not all of them are the specification's.
 *
 * Copyright (C) 2013 Knut Omang, Oracle <knut.omang@oracle.com>
 * Copyright (C) 2014 Le Tan, <tamlokveer@gmail.com>
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/address-spaces.h"
#include "hw/i386/x86-iommu.h"
#include "intel_iommu_walk.h"

/* A guest that changes an entry more often while it is read is up to no good */
#define VTD_ENTRY_TRIES     1000

void vtd_walk_init(IntelIOMMUState *s)
{
    bool tm = X86_IOMMU_DEVICE(s)->dt_supported && s->stale_tm;
    uint64_t snp = s->scalable_mode || s->snoop_control ? VTD_SPTE_SNP : 0;
    uint8_t aw = s->aw_bits;
    uint64_t (*ss)[2] = s->ss_rsvd;
    uint64_t (*fs)[2] = s->fs_rsvd;

    ss[VTD_PT_LEVEL][0] = (VTD_SPTE_PAGE_L1_RSVD_MASK(aw, tm)) & ~snp;
    ss[VTD_PD_LEVEL][0] = VTD_SPTE_PAGE_L2_RSVD_MASK(aw);
    ss[VTD_PDP_LEVEL][0] = VTD_SPTE_PAGE_L3_RSVD_MASK(aw);
    ss[VTD_PML4_LEVEL][0] = VTD_SPTE_PAGE_L4_RSVD_MASK(aw);
    ss[VTD_PT_LEVEL][1] = ss[VTD_PT_LEVEL][0];
    ss[VTD_PD_LEVEL][1] = (VTD_SPTE_LPAGE_L2_RSVD_MASK(aw, tm)) & ~snp;
    ss[VTD_PDP_LEVEL][1] = (VTD_SPTE_LPAGE_L3_RSVD_MASK(aw, tm)) & ~snp;
    ss[VTD_PML4_LEVEL][1] = ss[VTD_PML4_LEVEL][0];

    fs[VTD_PT_LEVEL][0] = VTD_FPTE_PAGE_L1_RSVD_MASK(aw);
    fs[VTD_PD_LEVEL][0] = VTD_FPTE_PAGE_L2_RSVD_MASK(aw);
    fs[VTD_PDP_LEVEL][0] = VTD_FPTE_PAGE_L3_RSVD_MASK(aw);
    fs[VTD_PML4_LEVEL][0] = VTD_FPTE_PAGE_L4_RSVD_MASK(aw);
    fs[VTD_PT_LEVEL][1] = fs[VTD_PT_LEVEL][0];
    fs[VTD_PD_LEVEL][1] = VTD_FPTE_LPAGE_L2_RSVD_MASK(aw);
    fs[VTD_PDP_LEVEL][1] = VTD_FPTE_LPAGE_L3_RSVD_MASK(aw);
    fs[VTD_PML4_LEVEL][1] = fs[VTD_PML4_LEVEL][0];
    if (s->nested && !(s->cap & VTD_CAP_FS1GP)) {
        fs[VTD_PDP_LEVEL][1] |= VTD_PT_PAGE_SIZE_MASK;
    }
}

static bool vtd_is_rsvd(uint64_t (*rsvd)[2], uint64_t entry,
                        unsigned int level)
{
    return entry & rsvd[level][!!(entry & VTD_PT_PAGE_SIZE_MASK)];
}

bool vtd_second_stage_rsvd(IntelIOMMUState *s, uint64_t entry,
                           unsigned int level)
{
    return vtd_is_rsvd(s->ss_rsvd, entry, level);
}

/* Reserved bits keep a page-size bit out of where it means nothing */
static bool vtd_is_leaf(uint64_t entry, unsigned int level)
{
    return level == VTD_PT_LEVEL || entry & VTD_PT_PAGE_SIZE_MASK;
}

/* Returns: where in @table the entry for @addr is */
static hwaddr vtd_entry_at(hwaddr table, uint64_t addr, unsigned int level)
{
    return table + ((addr >> vtd_pt_level_shift(level)) &
                    MAKE_64BIT_MASK(0, VTD_LEVEL_BITS)) * sizeof(uint64_t);
}

static bool vtd_read_entry(hwaddr at, uint64_t *entry)
{
    const MemTxAttrs memory = { .memory = 1 };

    /* As vtd_read_memory(), but inline: it is what a walk spends its time on */
    if (address_space_read(&address_space_memory, at, memory, entry,
                           sizeof(*entry))) {
        return false;
    }
    le64_to_cpus(entry);
    return true;
}

/*
 * Sets Accessed or Dirty, which are in an entry's lower half, where that is
 * still @old: what the guest changes at the same time must not be lost.
 *
 * Returns: 0, -EAGAIN if it is another, -EFAULT if it cannot be written
 */
static int vtd_set_in_entry(hwaddr at, uint32_t old, uint32_t bits)
{
    uint32_t new = cpu_to_le32(old | bits);
    MemoryRegionCache cache;
    int ret = -EFAULT;

    old = cpu_to_le32(old);
    if (address_space_cache_init(&cache, &address_space_memory, at,
                                 sizeof(old), true) == sizeof(old) &&
        cache.ptr) {
        ret = qatomic_cmpxchg((uint32_t *)cache.ptr, old, new) == old ?
              0 : -EAGAIN;
        /* Dirty for migration; and translated code may be in the page */
        address_space_cache_invalidate(&cache, 0, sizeof(old));
    }
    address_space_cache_destroy(&cache);
    return ret;
}

static void vtd_set_page(IntelIOMMUState *s, VTDPage *page, uint64_t entry,
                         unsigned int level, bool read, bool write)
{
    page->addr = entry & VTD_PT_BASE_ADDR_MASK(s->aw_bits) &
                 vtd_pt_level_page_mask(level);
    page->level = level;
    page->leaf_level = level;
    page->perm = IOMMU_ACCESS_FLAG(read, write);
    page->clean = false;
}

/* Returns: where @addr, an address that was translated to @page, is in it */
static hwaddr vtd_in_page(const VTDPage *page, uint64_t addr)
{
    return page->addr | (addr & ~vtd_pt_level_page_mask(page->level));
}

static int vtd_walk_second_stage(IntelIOMMUState *s, const VTDTables *t,
                                 uint64_t addr, bool is_write, VTDPage *page)
{
    uint64_t wanted = is_write ? VTD_SL_W : VTD_SL_R;
    uint64_t rights = VTD_SL_RW_MASK;
    unsigned int level = t->ss_levels;
    hwaddr table = t->ss_root;
    uint64_t entry;

    if (addr >> t->ss_bits) {
        return -VTD_FR_SM_ADDR_BEYOND_MGAW;             /* SGN.5 */
    }
    while (true) {
        if (!vtd_read_entry(vtd_entry_at(table, addr, level), &entry)) {
            return level == t->ss_levels ?
                   -VTD_FR_PASID_ENTRY_SSPTPTR_INV :    /* SSS.4 */
                   -VTD_FR_SS_PAGING_ENTRY_INV;         /* SSS.1 */
        }
        if (!(entry & wanted)) {
            return !(entry & VTD_SL_RW_MASK) ?
                   -VTD_FR_SS_PAGING_ENTRY_P :          /* SSS.2 */
                   is_write ? -VTD_FR_SM_WRITE :        /* SGN.6 */
                              -VTD_FR_SM_READ;          /* SGN.7 */
        }
        if (vtd_second_stage_rsvd(s, entry, level)) {
            return -VTD_FR_SS_PAGING_ENTRY_RSVD;        /* SSS.3 */
        }
        rights &= entry;
        if (vtd_is_leaf(entry, level)) {
            break;
        }
        table = entry & VTD_PT_BASE_ADDR_MASK(s->aw_bits);
        level--;
    }
    vtd_set_page(s, page, entry, level, rights & VTD_SL_R, rights & VTD_SL_W);
    return 0;
}

/*
 * Where a first-stage entry is in memory: its address goes through the second
 * stage where there is one (VT-d 3.8).
 */
static int vtd_locate_entry(IntelIOMMUState *s, const VTDTables *t,
                            unsigned int level, hwaddr *at, bool *writable)
{
    VTDPage page;
    int ret;

    *writable = true;
    if (t->pgtt != VTD_SM_PASID_ENTRY_NESTED) {
        return 0;
    }
    ret = vtd_walk_second_stage(s, t, *at, false, &page);
    switch (-ret) {
    case 0:
        *at = vtd_in_page(&page, *at);
        *writable = page.perm & IOMMU_WO;
        return 0;
    case VTD_FR_SM_ADDR_BEYOND_MGAW:
        return -VTD_FR_FS_NEST_BEYOND_MGAW;             /* SFS.5 */
    case VTD_FR_SS_PAGING_ENTRY_P:
    case VTD_FR_SM_READ:
        return level == t->fs_levels ?
               -VTD_FR_FS_NEST_ROOT_READ :              /* SFS.6 */
               -VTD_FR_FS_NEST_READ;                    /* SFS.7 */
    default:
        return ret;
    }
}

static int vtd_walk_first_stage(IntelIOMMUState *s, const VTDTables *t,
                                uint64_t addr, bool is_write, VTDPage *page)
{
    unsigned int tries = 0, level = t->fs_levels;
    hwaddr at, table = t->fs_root;
    bool writable, write = true;
    uint64_t entry, set;
    int ret;

    if (sextract64(addr, 0, vtd_pt_level_shift(level + 1)) != addr) {
        return -VTD_FR_FS_NON_CANONICAL;                /* SGN.1 */
    }
    while (true) {
        at = vtd_entry_at(table, addr, level);
        ret = vtd_locate_entry(s, t, level, &at, &writable);
        if (ret) {
            return ret;
        }
        if (!vtd_read_entry(at, &entry)) {
            return level == t->fs_levels ?
                   -VTD_FR_PASID_ENTRY_FSPTPTR_INV :    /* SFS.4 */
                   -VTD_FR_FS_PAGING_ENTRY_INV;         /* SFS.1 */
        }
        if (!(entry & VTD_FL_P)) {
            return -VTD_FR_FS_PAGING_ENTRY_P;           /* SFS.2 */
        }
        /* No emulated device makes requests of supervisor privilege */
        if (!(entry & VTD_FL_US)) {
            return -VTD_FR_FS_PAGING_ENTRY_US;          /* SGN.2 */
        }
        if (is_write && !(entry & VTD_FL_RW)) {
            return -VTD_FR_SM_WRITE;                    /* SGN.6 */
        }
        if (vtd_is_rsvd(s->fs_rsvd, entry, level)) {
            return -VTD_FR_FS_PAGING_ENTRY_RSVD;        /* SFS.3 */
        }

        set = VTD_FL_A;
        if (is_write && vtd_is_leaf(entry, level)) {
            set |= VTD_FL_D;
        }
        if (set & ~entry) {
            if (!writable) {
                return -VTD_FR_FS_NEST_WRITE;           /* SFS.8 */
            }
            ret = vtd_set_in_entry(at, entry, set);
            if (ret == -EAGAIN && ++tries < VTD_ENTRY_TRIES) {
                continue;
            }
            if (ret) {
                return -VTD_FR_FS_BIT_UPDATE_FAILED;    /* SFS.10 */
            }
            entry |= set;
        }

        write &= !!(entry & VTD_FL_RW);
        if (vtd_is_leaf(entry, level)) {
            break;
        }
        table = entry & VTD_PT_BASE_ADDR_MASK(s->aw_bits);
        level--;
    }
    vtd_set_page(s, page, entry, level, true, write);
    page->clean = !(entry & VTD_FL_D);
    return 0;
}

static int vtd_walk_nested(IntelIOMMUState *s, const VTDTables *t,
                           uint64_t addr, bool is_write, VTDPage *page)
{
    VTDPage second;
    hwaddr between;
    int ret;

    ret = vtd_walk_first_stage(s, t, addr, is_write, page);
    if (ret) {
        return ret;
    }
    between = vtd_in_page(page, addr);
    ret = vtd_walk_second_stage(s, t, between, is_write, &second);
    if (ret) {
        return ret;
    }
    page->level = MIN(page->level, second.level);
    page->addr = vtd_in_page(&second, between) &
                 vtd_pt_level_page_mask(page->level);
    page->perm &= second.perm;
    return 0;
}

/* VT-d 3.15: no request without an interrupt's format gets to its range */
static int vtd_keep_from_interrupts(IntelIOMMUState *s, uint64_t addr,
                                    VTDPage *page)
{
    hwaddr first = page->addr;
    hwaddr last = first | ~vtd_pt_level_page_mask(page->level);
    hwaddr output = vtd_in_page(page, addr);

    if (last < VTD_INTERRUPT_ADDR_FIRST || first > VTD_INTERRUPT_ADDR_LAST) {
        return 0;
    }
    /* Without nesting a page that has any of it is refused, as it was */
    if (!s->nested || (output >= VTD_INTERRUPT_ADDR_FIRST &&
                       output <= VTD_INTERRUPT_ADDR_LAST)) {
        return -VTD_FR_SM_INTERRUPT_ADDR;               /* SGN.8 */
    }
    /* What is beside it in a large page is mapped, not the page as a whole */
    page->level = VTD_PT_LEVEL;
    page->addr = output & VTD_PAGE_MASK_4K;
    return 0;
}

/* Returns: what legacy mode has for a reason that a second stage can have */
static VTDFaultReason vtd_legacy_reason(IntelIOMMUState *s,
                                        VTDFaultReason reason, bool is_write)
{
    switch (reason) {
    case VTD_FR_SM_ADDR_BEYOND_MGAW:
        return VTD_FR_ADDR_BEYOND_MGAW;                 /* LGN.1 */
    case VTD_FR_PASID_ENTRY_SSPTPTR_INV:
        return VTD_FR_CONTEXT_ENTRY_INV;                /* LCT.4 */
    case VTD_FR_SS_PAGING_ENTRY_INV:
        return VTD_FR_PAGING_ENTRY_INV;                 /* LSS.1 */
    case VTD_FR_SS_PAGING_ENTRY_RSVD:
        return VTD_FR_PAGING_ENTRY_RSVD;                /* LSS.2 */
    case VTD_FR_SM_INTERRUPT_ADDR:
        /* Without nesting x-scalable-mode decided, and not the tables */
        return s->scalable_mode && !s->nested ? reason :
               VTD_FR_INTERRUPT_ADDR;                   /* LGN.4 */
    default:
        return is_write ? VTD_FR_WRITE : VTD_FR_READ;   /* LGN.2, LGN.3 */
    }
}

int vtd_walk(IntelIOMMUState *s, const VTDTables *tables, uint64_t addr,
             bool is_write, VTDPage *page)
{
    int ret;

    switch (tables->pgtt) {
    case VTD_SM_PASID_ENTRY_FLT:
        ret = vtd_walk_first_stage(s, tables, addr, is_write, page);
        break;
    case VTD_SM_PASID_ENTRY_SLT:
        ret = vtd_walk_second_stage(s, tables, addr, is_write, page);
        break;
    case VTD_SM_PASID_ENTRY_NESTED:
        ret = vtd_walk_nested(s, tables, addr, is_write, page);
        break;
    default:
        g_assert_not_reached();
    }
    if (!ret) {
        ret = vtd_keep_from_interrupts(s, addr, page);
    }
    if (ret && tables->pgtt == VTD_SM_PASID_ENTRY_SLT &&
        !(tables->scalable && s->nested)) {
        ret = -vtd_legacy_reason(s, -ret, is_write);
    }
    return ret;
}
