/*
 * A host IOMMU that nests, in software, to test vIOMMUs without one
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_HOST_IOMMU_TESTPARENT_H
#define HW_MISC_HOST_IOMMU_TESTPARENT_H

#include "exec/memory.h"
#include "hw/misc/dma-testdev-listener.h"
#include "system/host_iommu_parent.h"

typedef struct HostIOMMUTestGroup HostIOMMUTestGroup;
typedef struct HostIOMMUTestTables HostIOMMUTestTables;

/**
 * struct HostIOMMUTestMember - a device, as this host has it
 *
 * @group: of devices that are attached to the same; NULL: none joined
 * @attached: is it attached?
 * @shadow: tables that follow an address space, or NULL
 */
typedef struct HostIOMMUTestMember {
    HostIOMMUTestGroup *group;
    bool attached;
    HostIOMMUTestTables *shadow;
} HostIOMMUTestMember;

/**
 * struct HostIOMMUTestCalls - what the host was asked, since QEMU started
 *
 * @allocs: tables that were allocated
 * @live: tables that are
 * @attaches: to a parent or tables, those that changed nothing included
 * @detaches: devices
 * @invalidations: calls
 * @ranges: of all invalidations
 * @wrong: what no kernel would have been asked: tables that are attached are
 *     freed, tables that there are not are named
 * @fail_in: the call that fails, 1: the next one; 0: none. Detaching and
 *     freeing do not fail.
 * @fail_more: calls that fail right after that one
 * @blocks: where a device has other page tables already, an attach that fails
 *     blocks it, though it counts as attached to those; else it keeps them
 *     (Linux 7, 6.12)
 * @partly: an invalidation that fails has done all ranges but the last
 */
typedef struct HostIOMMUTestCalls {
    uint64_t allocs, live, attaches, detaches, invalidations, ranges, wrong;
    uint64_t fail_in, fail_more;
    bool blocks, partly;
} HostIOMMUTestCalls;

extern HostIOMMUTestCalls host_iommu_test_calls;

/**
 * host_iommu_test_parent() - the nesting parent of a host IOMMU
 *
 * @unit: name of the IOMMU; one parent for each, as long as it is used
 *
 * Returns: a reference
 */
HostIOMMUParent *host_iommu_test_parent(const char *unit);

/**
 * host_iommu_test_join() - attach a device to its parent, for the first time
 *
 * @member: zeroed
 * @parent: of host_iommu_test_parent(); as long as the device is here
 * @group: number of the device's group, HOST_IOMMU_GROUP_UNKNOWN: its own
 * @errp: says that the group is attached to something else
 */
bool host_iommu_test_join(HostIOMMUTestMember *member, HostIOMMUParent *parent,
                          int group, Error **errp);

/* The device goes; where it never joined, nothing is done */
void host_iommu_test_leave(HostIOMMUTestMember *member);

/* HostIOMMUDeviceClass.attach and .detach of a device that joined */
int host_iommu_test_attach(HostIOMMUTestMember *member, uint32_t pasid,
                           uint32_t id, Error **errp);
int host_iommu_test_detach(HostIOMMUTestMember *member, uint32_t pasid);

/* HostIOMMUDeviceClass.shadow and .unshadow */
bool host_iommu_test_shadow(HostIOMMUTestMember *member, AddressSpace *as,
                            uint32_t *id, Error **errp);
void host_iommu_test_unshadow(HostIOMMUTestMember *member);

/**
 * host_iommu_test_dma() - DMA of a device, through what it is attached to
 *
 * @member: joined
 * @addr: bus address, in bytes
 * @buf: read or written
 * @len: bytes
 * @is_write: to memory
 */
MemTxResult host_iommu_test_dma(HostIOMMUTestMember *member, hwaddr addr,
                                void *buf, hwaddr len, bool is_write);

#endif /* HW_MISC_HOST_IOMMU_TESTPARENT_H */
