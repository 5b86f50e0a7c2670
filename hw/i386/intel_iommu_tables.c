/*
 * Where the translation tables of a request are
 *
 * VT-d 3.4 "Legacy Mode", "Scalable Mode", 9.3 to 9.6 (their entries).
 *
 * Copyright (C) 2013 Knut Omang, Oracle <knut.omang@oracle.com>
 * Copyright (C) 2014 Le Tan, <tamlokveer@gmail.com>
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/pci/pci_bus.h"
#include "system/dma.h"
#include "system/host_iommu_vtd.h"
#include "intel_iommu_tables.h"

bool vtd_check_nested(IntelIOMMUState *s, Error **errp)
{
    if (!s->nested) {
        return true;
    }
    if (!s->scalable_mode || !s->flts) {
        error_setg(errp, "x-nested=on needs x-scalable-mode=on and x-flts=on");
        return false;
    }
    if (!s->dma_translation) {
        error_setg(errp, "x-nested=on needs a second stage of 48 bits in "
                   "CAP.SAGAW, which dma-translation=off takes away");
        return false;
    }
    return true;
}

bool vtd_has_second_stage_level(IntelIOMMUState *s, unsigned int levels)
{
    return levels <= VTD_PML4_LEVEL &&
           s->cap & (1ULL << (VTD_CAP_SAGAW_SHIFT + levels - 2));
}

VTDFaultReason vtd_context_reason(IntelIOMMUState *s, VTDFaultReason reason)
{
    if (!s->nested || !s->root_scalable) {
        return reason;
    }
    switch (reason) {
    case VTD_FR_ROOT_TABLE_INV:
        return VTD_FR_SM_ROOT_TABLE_INV;                /* SRT.1 */
    case VTD_FR_ROOT_ENTRY_P:
        return VTD_FR_SM_ROOT_ENTRY_P;                  /* SRT.2 */
    case VTD_FR_ROOT_ENTRY_RSVD:
        return VTD_FR_SM_ROOT_ENTRY_RSVD;               /* SRT.3 */
    case VTD_FR_CONTEXT_TABLE_INV:
        return VTD_FR_SM_CONTEXT_TABLE_INV;             /* SCT.1 */
    case VTD_FR_CONTEXT_ENTRY_P:
        return VTD_FR_SM_CONTEXT_ENTRY_P;               /* SCT.2 */
    case VTD_FR_CONTEXT_ENTRY_RSVD:
        return VTD_FR_SM_CONTEXT_ENTRY_RSVD;            /* SCT.3 */
    default:
        return reason;
    }
}

static void vtd_set_second_stage(IntelIOMMUState *s, VTDTables *t,
                                 hwaddr root, unsigned int aw)
{
    t->ss_root = root;
    t->ss_levels = 2 + aw;
    t->ss_bits = MIN(VTD_PAGE_SHIFT_4K + t->ss_levels * VTD_LEVEL_BITS,
                     s->aw_bits);
}

static void vtd_tables_of_context(IntelIOMMUState *s,
                                  const VTDContextEntry *ce, VTDTables *t)
{
    bool pass_through = (ce->lo & VTD_CONTEXT_ENTRY_TT) ==
                        VTD_CONTEXT_TT_PASS_THROUGH;

    t->pgtt = pass_through ? VTD_SM_PASID_ENTRY_PT : VTD_SM_PASID_ENTRY_SLT;
    t->domain_id = VTD_CONTEXT_ENTRY_DID(ce->hi);
    vtd_set_second_stage(s, t, ce->lo & VTD_CONTEXT_ENTRY_SLPTPTR,
                         ce->hi & VTD_CONTEXT_ENTRY_AW);
}

/* Is the type one that ECAP (VT-d 11.4.3) has, with levels that CAP has? */
static bool vtd_check_tables(IntelIOMMUState *s, const VTDTables *t)
{
    bool first_stage = t->fs_levels == VTD_PML4_LEVEL;
    bool second_stage = vtd_has_second_stage_level(s, t->ss_levels);

    switch (t->pgtt) {
    case VTD_SM_PASID_ENTRY_FLT:
        return s->ecap & R_VTD_ECAP_FSTS_MASK && first_stage;
    case VTD_SM_PASID_ENTRY_SLT:
        return s->ecap & R_VTD_ECAP_SSTS_MASK && second_stage;
    case VTD_SM_PASID_ENTRY_NESTED:
        return s->ecap & R_VTD_ECAP_NEST_MASK && first_stage && second_stage;
    case VTD_SM_PASID_ENTRY_PT:
        return s->ecap & VTD_ECAP_PT;
    default:
        return false;
    }
}

static int vtd_tables_of_pasid(IntelIOMMUState *s, const VTDPASIDEntry *pe,
                               VTDTables *t)
{
    t->pgtt = pe->val[0] & VTD_SM_PASID_ENTRY_PGTT;
    t->domain_id = VTD_SM_PASID_ENTRY_DID(pe->val[1]);
    t->fs_root = pe->val[2] & VTD_SM_PASID_ENTRY_FLPTPTR;
    t->fs_levels = VTD_PML4_LEVEL + ((pe->val[2] >> 2) &
                                     VTD_SM_PASID_ENTRY_FLPM);
    t->sre = s->ecap & VTD_ECAP_SRS && pe->val[2] & VTD_SM_PASID_ENTRY_SRE;
    t->wpe = t->sre && pe->val[2] & VTD_SM_PASID_ENTRY_WPE;
    vtd_set_second_stage(s, t, pe->val[0] & VTD_SM_PASID_ENTRY_SLPTPTR,
                         (pe->val[0] >> 2) & VTD_SM_PASID_ENTRY_AW);
    return vtd_check_tables(s, t) ? 0 : -VTD_FR_PASID_TABLE_ENTRY_INV;
}

static bool vtd_read_words(hwaddr addr, uint64_t *words, size_t count)
{
    size_t i;

    if (vtd_read_memory(addr, words, count * sizeof(*words))) {
        return false;
    }
    for (i = 0; i < count; i++) {
        words[i] = le64_to_cpu(words[i]);
    }
    return true;
}

int vtd_get_tables(IntelIOMMUState *s, const VTDContextEntry *ce,
                   uint32_t pasid, bool *fpd, VTDTables *tables)
{
    VTDPASIDDirEntry dir;
    VTDPASIDEntry pe;
    hwaddr addr;
    int ret;

    *tables = (VTDTables) { .scalable = s->root_scalable, .pasid = pasid };
    if (!tables->scalable) {
        vtd_tables_of_context(s, ce, tables);
        return 0;
    }
    if (pasid == PCI_NO_PASID) {
        pasid = ce->val[1] & VTD_SM_CONTEXT_ENTRY_RID2PASID_MASK;
        tables->pasid = pasid;
    }

    addr = (ce->val[0] & VTD_PASID_DIR_BASE_ADDR_MASK) +
           VTD_PASID_DIR_INDEX(pasid) * VTD_PASID_DIR_ENTRY_SIZE;
    if (!vtd_read_words(addr, &dir.val, 1)) {
        return -VTD_FR_PASID_DIR_ACCESS_ERR;
    }
    /* Disabled fault processing counts in entries that are not present too */
    *fpd |= dir.val & VTD_PASID_DIR_FPD;
    if (!(dir.val & VTD_PASID_ENTRY_P)) {
        return -VTD_FR_PASID_DIR_ENTRY_P;
    }

    addr = (dir.val & VTD_PASID_TABLE_BASE_ADDR_MASK) +
           VTD_PASID_TABLE_INDEX(pasid) * VTD_PASID_ENTRY_SIZE;
    if (!vtd_read_words(addr, pe.val, ARRAY_SIZE(pe.val))) {
        return -VTD_FR_PASID_TABLE_ACCESS_ERR;
    }
    ret = vtd_tables_of_pasid(s, &pe, tables);
    /* Without nesting, a type that there is not counts first, as it did */
    if (ret && !s->nested) {
        return ret;
    }
    *fpd |= pe.val[0] & VTD_PASID_ENTRY_FPD;
    return pe.val[0] & VTD_PASID_ENTRY_P ? ret : -VTD_FR_PASID_ENTRY_P;
}
