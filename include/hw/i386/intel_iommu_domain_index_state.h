/*
 * What intel-iommu keeps to find the devices of a domain
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_DOMAIN_INDEX_STATE_H
#define HW_I386_INTEL_IOMMU_DOMAIN_INDEX_STATE_H

#include "qemu/queue.h"

typedef struct VTDAddressSpace VTDAddressSpace;

/**
 * struct VTDDomainIndex - part of IntelIOMMUState, protected by its iommu_lock
 *
 * @tags: a VTDDomainTag for each domain, and each PASID in it, that address
 *     spaces are known to use. Ours.
 * @mixed: those of which more than one may be cached
 */
typedef struct VTDDomainIndex {
    GHashTable *tags;
    QLIST_HEAD(, VTDAddressSpace) mixed;
} VTDDomainIndex;

/**
 * struct VTDDomainPlace - part of VTDAddressSpace
 *
 * @tag: domain and PASID of what is cached, or one of two special values
 * @by_domain: in the list of the domain, or in that of the mixed
 * @by_pasid: in the list of the PASID in it
 */
typedef struct VTDDomainPlace {
    uint64_t tag;
    QLIST_ENTRY(VTDAddressSpace) by_domain;
    QLIST_ENTRY(VTDAddressSpace) by_pasid;
} VTDDomainPlace;

#endif /* HW_I386_INTEL_IOMMU_DOMAIN_INDEX_STATE_H */
