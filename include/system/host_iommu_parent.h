/*
 * Nesting parents: second stages of a host IOMMU, on which it walks the
 * first-stage tables of a guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_IOMMU_PARENT_H
#define HOST_IOMMU_PARENT_H

#include "system/host_iommu_device.h"

/* Requests without PASID, in the operations that take one (20 bits) */
#define HOST_IOMMU_NO_PASID UINT32_MAX

/**
 * struct HostIOMMUVTDTables - first-stage tables of a guest (VT-d 9.6, 9.8)
 *
 * @root: guest-physical address of the root table, in bytes
 * @addr_width: bits of an address that they translate: 48 or 57
 * @sre: Supervisor Request Enable
 * @wpe: Write Protect Enable
 */
typedef struct HostIOMMUVTDTables {
    uint64_t root;
    uint8_t addr_width;
    bool sre;
    bool wpe;
} HostIOMMUVTDTables;

/* All that is cached of tables, in HostIOMMUVTDRange.npages */
#define HOST_IOMMU_ALL_PAGES UINT64_MAX

/**
 * struct HostIOMMUVTDRange - what to forget of first-stage tables
 *
 * @addr: address that a device uses, in bytes, aligned to 4 KiB; 0 where
 *     @npages is HOST_IOMMU_ALL_PAGES
 * @npages: pages of 4 KiB, or HOST_IOMMU_ALL_PAGES
 * @leaf: paging-structure caches can stay
 */
typedef struct HostIOMMUVTDRange {
    uint64_t addr;
    uint64_t npages;
    bool leaf;
} HostIOMMUVTDRange;

#define TYPE_HOST_IOMMU_PARENT "host-iommu-parent"
typedef struct HostIOMMUParentClass HostIOMMUParentClass;
DECLARE_OBJ_CHECKERS(HostIOMMUParent, HostIOMMUParentClass, HOST_IOMMU_PARENT,
                     TYPE_HOST_IOMMU_PARENT)

/**
 * struct HostIOMMUParent - guest-physical memory, as a host IOMMU maps it
 *
 * Devices that share a parent have the same object.
 *
 * @id: the host's, to attach devices to
 */
struct HostIOMMUParent {
    Object parent_obj;

    uint32_t id;
};

struct HostIOMMUParentClass {
    ObjectClass parent_class;

    /**
     * @alloc_tables: prepare the host for tables of a guest
     *
     * @parent: what the tables' addresses are translated by
     * @hiod: a device of the parent; others of it can be attached too
     * @tables: the guest's
     * @id: the host's, to attach devices to; the caller frees it by
     *     @free_tables
     * @errp: what the host says
     *
     * Returns: 0 or a negative errno, then @errp is set
     */
    int (*alloc_tables)(HostIOMMUParent *parent, HostIOMMUDevice *hiod,
                        const HostIOMMUVTDTables *tables, uint32_t *id,
                        Error **errp);

    /**
     * @free_tables: give up @alloc_tables
     *
     * @parent: as then
     * @id: to which no device is attached
     */
    void (*free_tables)(HostIOMMUParent *parent, uint32_t id);

    /**
     * @invalidate: forget what is cached of a guest's tables, for all devices
     * that are attached to them, their device TLBs included
     *
     * @parent: as in @alloc_tables
     * @id: the tables'
     * @ranges: what to forget, in this order
     * @count: of @ranges; when it returns, of those that were done, also
     *     where it failed
     * @errp: what the host says
     *
     * Returns: 0 or a negative errno, then @errp is set
     */
    int (*invalidate)(HostIOMMUParent *parent, uint32_t id,
                      const HostIOMMUVTDRange *ranges, uint32_t *count,
                      Error **errp);
};

/* The methods, for callers; @hiod has a parent */

int host_iommu_parent_alloc_tables(HostIOMMUParent *parent,
                                   HostIOMMUDevice *hiod,
                                   const HostIOMMUVTDTables *tables,
                                   uint32_t *id, Error **errp);
void host_iommu_parent_free_tables(HostIOMMUParent *parent, uint32_t id);
int host_iommu_parent_invalidate(HostIOMMUParent *parent, uint32_t id,
                                 const HostIOMMUVTDRange *ranges,
                                 uint32_t *count, Error **errp);
int host_iommu_device_attach(HostIOMMUDevice *hiod, uint32_t pasid,
                             uint32_t id, Error **errp);
int host_iommu_device_detach(HostIOMMUDevice *hiod, uint32_t pasid,
                             Error **errp);
bool host_iommu_device_shadow(HostIOMMUDevice *hiod, AddressSpace *as,
                              uint32_t *id, Error **errp);
void host_iommu_device_unshadow(HostIOMMUDevice *hiod);

#endif /* HOST_IOMMU_PARENT_H */
