/*
 * Which address spaces have something cached of a domain
 *
 * An invalidation names a domain, which only the guest's structures tie to
 * devices. What was read of them when something could be cached is kept: the
 * guest has to tell of a change before it relies on it (VT-d 6.5.3), but
 * without caching mode not of what becomes present, which a translation finds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "intel_iommu_domain_index.h"
#include "qemu/xxhash.h"

/* Those with one domain, whatever PASID, or with one PASID in a domain */
typedef struct VTDDomainTag {
    uint64_t tag;
    QLIST_HEAD(, VTDAddressSpace) users;
} VTDDomainTag;

/* Domains are numbered one after another, and would be in each other's way */
static guint hash_tag(gconstpointer tag)
{
    return qemu_xxhash2(*(const uint64_t *)tag);
}

static uint64_t any_pasid(uint64_t tag)
{
    return vtd_domain_tag(tag >> 32, VTD_DOMAIN_ANY_PASID);
}

static VTDDomainTag *find_tag(VTDDomainIndex *index, uint64_t tag)
{
    return g_hash_table_lookup(index->tags, &tag);
}

static VTDDomainTag *find_or_add_tag(VTDDomainIndex *index, uint64_t tag)
{
    VTDDomainTag *found = find_tag(index, tag);

    if (!found) {
        found = g_new0(VTDDomainTag, 1);
        found->tag = tag;
        g_hash_table_insert(index->tags, &found->tag, found);
    }
    return found;
}

static void drop_unused_tag(VTDDomainIndex *index, uint64_t tag)
{
    VTDDomainTag *found = find_tag(index, tag);

    if (QLIST_EMPTY(&found->users)) {
        g_hash_table_remove(index->tags, &tag);
    }
}

/* With the iommu_lock held */
static void set_tag(VTDAddressSpace *vtd_as, uint64_t tag)
{
    VTDDomainIndex *index = &vtd_as->iommu_state->domain_index;
    uint64_t old = vtd_as->domain.tag;
    VTDDomainTag *domain, *pasid;

    if (old == tag) {
        return;
    }
    if (old != VTD_DOMAIN_NONE) {
        QLIST_REMOVE(vtd_as, domain.by_domain);
    }
    if (old > VTD_DOMAIN_MIXED) {
        QLIST_REMOVE(vtd_as, domain.by_pasid);
        drop_unused_tag(index, old);
        drop_unused_tag(index, any_pasid(old));
    }

    vtd_as->domain.tag = tag;
    if (tag == VTD_DOMAIN_MIXED) {
        QLIST_INSERT_HEAD(&index->mixed, vtd_as, domain.by_domain);
    } else if (tag != VTD_DOMAIN_NONE) {
        domain = find_or_add_tag(index, any_pasid(tag));
        pasid = find_or_add_tag(index, tag);
        QLIST_INSERT_HEAD(&domain->users, vtd_as, domain.by_domain);
        QLIST_INSERT_HEAD(&pasid->users, vtd_as, domain.by_pasid);
    }
}

void vtd_domain_index_move(VTDAddressSpace *vtd_as, const VTDTables *tables)
{
    IntelIOMMUState *s = vtd_as->iommu_state;
    uint64_t tag = VTD_DOMAIN_NONE;

    if (tables && vtd_as->notifier_flags != IOMMU_NOTIFIER_NONE) {
        tag = vtd_domain_tag(tables->domain_id, tables->pasid);
    }
    qemu_mutex_lock(&s->iommu_lock);
    set_tag(vtd_as, tag);
    qemu_mutex_unlock(&s->iommu_lock);
}

void vtd_domain_index_add_slow(VTDAddressSpace *vtd_as, uint16_t domain_id,
                               uint32_t pasid)
{
    uint64_t tag = vtd_domain_tag(domain_id, pasid);

    set_tag(vtd_as, vtd_as->domain.tag == VTD_DOMAIN_NONE ? tag :
                                                            VTD_DOMAIN_MIXED);
}

bool vtd_domain_index_has(const VTDAddressSpace *vtd_as, uint16_t domain_id)
{
    uint64_t tag = vtd_as->domain.tag;

    return tag == VTD_DOMAIN_MIXED ||
           (tag != VTD_DOMAIN_NONE && (uint16_t)(tag >> 32) == domain_id);
}

GPtrArray *vtd_domain_index_find(IntelIOMMUState *s, uint16_t domain_id,
                                 uint32_t pasid)
{
    GPtrArray *all = g_ptr_array_new();
    VTDAddressSpace *vtd_as;
    VTDDomainTag *tag;

    qemu_mutex_lock(&s->iommu_lock);
    QLIST_FOREACH(vtd_as, &s->domain_index.mixed, domain.by_domain) {
        g_ptr_array_add(all, vtd_as);
    }
    tag = find_tag(&s->domain_index, vtd_domain_tag(domain_id, pasid));
    if (tag && pasid == VTD_DOMAIN_ANY_PASID) {
        QLIST_FOREACH(vtd_as, &tag->users, domain.by_domain) {
            g_ptr_array_add(all, vtd_as);
        }
    } else if (tag) {
        QLIST_FOREACH(vtd_as, &tag->users, domain.by_pasid) {
            g_ptr_array_add(all, vtd_as);
        }
    }
    qemu_mutex_unlock(&s->iommu_lock);
    return all;
}

void vtd_domain_index_init(IntelIOMMUState *s)
{
    s->domain_index.tags = g_hash_table_new_full(hash_tag, g_int64_equal,
                                                 NULL, g_free);
    QLIST_INIT(&s->domain_index.mixed);
}
