/*
 * Which address spaces have something cached of a domain
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_DOMAIN_INDEX_H
#define HW_I386_INTEL_IOMMU_DOMAIN_INDEX_H

#include "hw/i386/intel_iommu.h"
#include "intel_iommu_tables.h"

/* Whatever PASID, and those without one */
#define VTD_DOMAIN_ANY_PASID    0xfffffffeU

/* Of an address space that has nothing cached, and that may have anything */
#define VTD_DOMAIN_NONE         0
#define VTD_DOMAIN_MIXED        1

/* Never one of the two special values */
static inline uint64_t vtd_domain_tag(uint16_t domain_id, uint32_t pasid)
{
    return 1ULL << 48 | (uint64_t)domain_id << 32 | pasid;
}

void vtd_domain_index_init(IntelIOMMUState *s);

void vtd_domain_index_add_slow(VTDAddressSpace *vtd_as, uint16_t domain_id,
                               uint32_t pasid);

/**
 * vtd_domain_index_move() - what listeners have cached is of these tables
 *
 * @vtd_as: whose listeners have nothing cached of other tables, or are told so
 *     next; one without listeners is in no domain
 * @tables: the guest's; NULL where there are none
 */
void vtd_domain_index_move(VTDAddressSpace *vtd_as, const VTDTables *tables);

/**
 * vtd_domain_index_add() - something is cached of these tables
 *
 * @vtd_as: whose listeners may have something of other tables too
 * @domain_id: the tables'
 * @pasid: the request's, with RID_PASID resolved
 *
 * With the iommu_lock held, and with or without the BQL.
 */
static inline void vtd_domain_index_add(VTDAddressSpace *vtd_as,
                                        uint16_t domain_id, uint32_t pasid)
{
    if (vtd_as->notifier_flags != IOMMU_NOTIFIER_NONE &&
        vtd_as->domain.tag != vtd_domain_tag(domain_id, pasid)) {
        vtd_domain_index_add_slow(vtd_as, domain_id, pasid);
    }
}

/**
 * vtd_domain_index_has() - may listeners have something of a domain?
 *
 * @vtd_as: one with listeners
 * @domain_id: the domain
 */
bool vtd_domain_index_has(const VTDAddressSpace *vtd_as, uint16_t domain_id);

/* May they have something of other tables than those that were added last? */
static inline bool vtd_domain_index_is_mixed(const VTDAddressSpace *vtd_as)
{
    return vtd_as->domain.tag == VTD_DOMAIN_MIXED;
}

/**
 * vtd_domain_index_find() - find those that an invalidation is for
 *
 * @s: the vIOMMU
 * @domain_id: the domain that the guest names
 * @pasid: the PASID, or VTD_DOMAIN_ANY_PASID
 *
 * Returns: address spaces whose listeners may have something cached. The
 * caller's; what is in it lives as long as the BQL is held.
 */
GPtrArray *vtd_domain_index_find(IntelIOMMUState *s, uint16_t domain_id,
                                 uint32_t pasid);

#endif /* HW_I386_INTEL_IOMMU_DOMAIN_INDEX_H */
