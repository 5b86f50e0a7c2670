/*
 * intel-iommu's migration: what was adopted, and what arrives
 *
 * With the BQL held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_MIGRATION_H
#define HW_I386_INTEL_IOMMU_MIGRATION_H

#include "hw/i386/intel_iommu.h"
#include "migration/vmstate.h"
#include "system/host_iommu_device.h"

/**
 * vtd_migration_init() - block migration where something was adopted already
 *
 * @s: the vIOMMU, being realized, that has adopted what the user named
 * @errp: says why migration cannot be blocked (-only-migratable)
 */
bool vtd_migration_init(IntelIOMMUState *s, Error **errp);

/**
 * vtd_migration_set_iommu_device() - vtd_set_iommu_device(), and the blocker
 *
 * A device that lowers something blocks migration, in normal mode, unless
 * migrate-host-caps=on carries it. A device that is refused leaves no blocker.
 *
 * @bus: bus of the device
 * @opaque: the IntelIOMMUState
 * @devfn: device and function of the device
 * @hiod: what the host can do, as for vtd_set_iommu_device()
 * @errp: as of vtd_set_iommu_device(), or why migration cannot be blocked
 */
bool vtd_migration_set_iommu_device(PCIBus *bus, void *opaque, int devfn,
                                    HostIOMMUDevice *hiod, Error **errp);

/**
 * vtd_migration_freeze() - from now on only a stream that arrives adopts
 *
 * Called after vtd_host_freeze(). What is in force now is the most that
 * a stream may bring, and the reason of the blocker is made from it. Ends QEMU
 * where migration cannot be blocked, which was told at realize before.
 *
 * @s: the vIOMMU
 */
void vtd_migration_freeze(IntelIOMMUState *s);

/**
 * vtd_migration_blocked() - does something adopted block migration?
 *
 * @s: the vIOMMU
 *
 * Returns: NULL, or the reason; of the vIOMMU, valid until the next device is
 * coldplugged, vtd_migration_freeze(), or the next stream arrives
 */
const char *vtd_migration_blocked(IntelIOMMUState *s);

/**
 * vtd_migration_pre_load() - VMStateDescription.pre_load of intel-iommu
 *
 * @opaque: the IntelIOMMUState
 */
int vtd_migration_pre_load(void *opaque);

/**
 * vtd_migration_post_load() - take over what the guest that arrives was told
 *
 * Compares CAP and ECAP as they arrived with what is possible here, for each
 * field that the user left open here, and follows them or reports everything
 * that does not fit. Where that fails, nothing is changed but what the stream
 * filled.
 *
 * @s: the vIOMMU; its registers are those that arrived, and all that is made
 *     from its properties is its own
 *
 * Returns: 0, or -EINVAL
 */
int vtd_migration_post_load(IntelIOMMUState *s);

/* The subsection that holds what was adopted, and from where */
extern const VMStateDescription vtd_vmstate_host_caps;

/**
 * vtd_init_derived() - make what follows from properties and adopted values
 *
 * Makes s->cap, s->ecap and the masks of reserved bits, and no register. In
 * intel_iommu.c.
 *
 * @s: the vIOMMU
 */
void vtd_init_derived(IntelIOMMUState *s);

#endif /* HW_I386_INTEL_IOMMU_MIGRATION_H */
