/*
 * Stage-1 passthrough: the guest's first-stage tables, walked by the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_STAGE1_H
#define HW_I386_INTEL_IOMMU_STAGE1_H

#include "hw/i386/intel_iommu.h"
#include "qapi/qapi-types-host-iommu.h"
#include "system/host_iommu_device.h"

/**
 * vtd_stage1_set_iommu_device() - PCIIOMMUOps.set_iommu_device()
 *
 * As vtd_migration_set_iommu_device(), which it calls. With x-flts=on the
 * device is bound to what the guest's structures say from now on.
 *
 * @bus: bus of the device (not of an alias)
 * @opaque: the IntelIOMMUState
 * @devfn: device and function of the device (not of an alias)
 * @hiod: attached to its nesting parent
 * @errp: says what does not fit, and what to do
 */
bool vtd_stage1_set_iommu_device(PCIBus *bus, void *opaque, int devfn,
                                 HostIOMMUDevice *hiod, Error **errp);

/**
 * vtd_stage1_unset_iommu_device() - PCIIOMMUOps.unset_iommu_device()
 *
 * Leaves the device detached, where it was bound by
 * vtd_stage1_set_iommu_device().
 *
 * @bus: bus of the device
 * @opaque: the IntelIOMMUState
 * @devfn: device and function of the device
 */
void vtd_stage1_unset_iommu_device(PCIBus *bus, void *opaque, int devfn);

/**
 * vtd_stage1_sync() - the guest's structures may say something else by now
 *
 * Binds each group to what they say. Nothing is done where that is what it is
 * bound to.
 *
 * @s: the vIOMMU
 */
void vtd_stage1_sync(IntelIOMMUState *s);

/**
 * vtd_stage1_sync_devices() - the same, for some source-ids
 *
 * @s: the vIOMMU
 * @source_id: bus, device and function of a context-cache invalidation
 * @mask: bits of it that count (VT-d 6.5.2.1, function mask)
 */
void vtd_stage1_sync_devices(IntelIOMMUState *s, uint16_t source_id,
                             uint16_t mask);

/* Any domain, or any PASID, in the invalidations that follow */
#define VTD_STAGE1_ANY UINT32_MAX

/**
 * vtd_stage1_invalidate() - collect an invalidation of all pages
 *
 * @s: the vIOMMU
 * @domain_id: whose tables, or VTD_STAGE1_ANY
 * @pasid: whose requests, or VTD_STAGE1_ANY
 */
void vtd_stage1_invalidate(IntelIOMMUState *s, uint32_t domain_id,
                           uint32_t pasid);

/**
 * vtd_stage1_invalidate_pages() - collect an invalidation of a range
 *
 * @s: the vIOMMU
 * @domain_id: whose tables
 * @pasid: whose requests, or VTD_STAGE1_ANY
 * @addr: an address in the range, in bytes
 * @am: log2 of its pages of 4 KiB, to which it is aligned (VT-d 6.5.2.4)
 * @leaf: paging-structure caches can stay
 */
void vtd_stage1_invalidate_pages(IntelIOMMUState *s, uint32_t domain_id,
                                 uint32_t pasid, hwaddr addr, uint8_t am,
                                 bool leaf);

/**
 * vtd_stage1_flush() - have the host do all invalidations collected so far
 *
 * One call for each set of tables, whatever their number. Where the host
 * fails, its tables are bound anew, or their devices are blocked: when this
 * returns, nothing that was invalidated is used any more.
 *
 * @s: the vIOMMU
 */
void vtd_stage1_flush(IntelIOMMUState *s);

/**
 * vtd_stage1_query() - what a device is bound to
 *
 * @s: the vIOMMU
 * @hiod: a host that it was introduced to
 *
 * Returns: for the caller to free
 */
ViommuBound *vtd_stage1_query(IntelIOMMUState *s, HostIOMMUDevice *hiod);

#endif /* HW_I386_INTEL_IOMMU_STAGE1_H */
