/*
 * Where the translation tables of a request are
 *
 * From a context entry, and in scalable mode the PASID entry behind it, to
 * what walks need.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_TABLES_H
#define HW_I386_INTEL_IOMMU_TABLES_H

#include "hw/i386/intel_iommu.h"
#include "intel_iommu_internal.h"

/**
 * struct VTDTables - the tables that translate a request
 *
 * @scalable: of a PASID entry; else of a context entry in legacy mode
 * @pasid: the PASID, with RID_PASID resolved; PCI_NO_PASID in legacy mode
 * @pgtt: type, VTD_SM_PASID_ENTRY_FLT to _PT; legacy mode has _SLT and _PT
 * @domain_id: tag of what is cached
 * @fs_levels: levels of the first stage, where @pgtt has one
 * @ss_levels: levels of the second stage, where @pgtt has one
 * @ss_bits: width of the second stage's input, in bits
 * @fs_root: address of the first stage's root table; an input of the second
 *     stage where @pgtt is _NESTED
 * @ss_root: address of the second stage's root table
 * @sre: of the first stage: Supervisor Request Enable
 * @wpe: of the first stage: Write Protect Enable
 */
typedef struct VTDTables {
    bool scalable;
    uint32_t pasid;
    uint16_t pgtt;
    uint16_t domain_id;
    uint8_t fs_levels;
    uint8_t ss_levels;
    uint8_t ss_bits;
    hwaddr fs_root;
    hwaddr ss_root;
    bool sre;
    bool wpe;
} VTDTables;

/**
 * vtd_read_memory() - read a structure of the guest's
 *
 * @addr: guest-physical address; devices' registers are no memory
 * @buf: filled, as it is in memory
 * @len: bytes
 */
MemTxResult vtd_read_memory(dma_addr_t addr, void *buf, dma_addr_t len);

/**
 * vtd_check_nested() - do the other properties allow x-nested=on?
 *
 * @s: the vIOMMU, being realized
 * @errp: names what it needs
 */
bool vtd_check_nested(IntelIOMMUState *s, Error **errp);

/**
 * vtd_has_second_stage_level() - does SAGAW have tables of so many levels?
 *
 * @s: the vIOMMU
 * @levels: levels of a second stage (VT-d 11.4.2)
 */
bool vtd_has_second_stage_level(IntelIOMMUState *s, unsigned int levels);

/**
 * vtd_context_reason() - why no context entry can be used
 *
 * @s: the vIOMMU
 * @reason: legacy mode's, of a root or context entry
 *
 * Returns: scalable mode's (VT-d 7.1.2, SRT.1 to SCT.3) where the tables are
 * of scalable mode and x-nested=on; else @reason, as without nesting
 */
VTDFaultReason vtd_context_reason(IntelIOMMUState *s, VTDFaultReason reason);

/**
 * vtd_get_tables() - find the tables of a request
 *
 * Reads the PASID entry, 64 bytes, once.
 *
 * @s: the vIOMMU
 * @ce: the requester's context entry, present and checked
 * @pasid: the request's, or PCI_NO_PASID
 * @fpd: set where an entry on the way disables fault processing (VT-d 7.2.2),
 *     whatever is returned; else left alone
 * @tables: filled
 *
 * Returns: 0, or the negative VTDFaultReason for which there are none
 * (VT-d 7.1.2, SPD.1 to SPT.4)
 */
int vtd_get_tables(IntelIOMMUState *s, const VTDContextEntry *ce,
                   uint32_t pasid, bool *fpd, VTDTables *tables);

/**
 * vtd_get_device_tables() - find the tables of a device's requests
 *
 * @s: the vIOMMU, which translates
 * @bus_num: of the requests' source-id
 * @devfn: of the requests' source-id
 * @pasid: the requests', or PCI_NO_PASID
 * @tables: filled
 *
 * Returns: 0, or the negative VTDFaultReason for which there are none
 */
int vtd_get_device_tables(IntelIOMMUState *s, uint8_t bus_num, uint8_t devfn,
                          uint32_t pasid, VTDTables *tables);

#endif /* HW_I386_INTEL_IOMMU_TABLES_H */
