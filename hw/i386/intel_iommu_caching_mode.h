/*
 * intel-iommu's caching-mode, which every assigned device needs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_CACHING_MODE_H
#define HW_I386_INTEL_IOMMU_CACHING_MODE_H

#include "hw/i386/intel_iommu.h"

/**
 * vtd_assigned_device() - find a device of the host's that is there
 *
 * Mediated devices are, though they never call set_iommu_device(), and so are
 * those that are there before intel-iommu is.
 *
 * Returns: one that pci_device_get_viommu_flags() marked, or NULL
 */
Object *vtd_assigned_device(void);

/**
 * vtd_check_order() - do all assigned devices come after intel-iommu?
 *
 * One that comes before has the system's address space, not the vIOMMU's.
 *
 * @errp: names the device
 *
 * Returns: false where one is there, on a bus that does not bypass the vIOMMU
 */
bool vtd_check_order(Error **errp);

/**
 * vtd_check_caching_mode() - is an assigned device supported?
 *
 * Without CAP.CM (VT-d 11.4.2) the guest does not tell the vIOMMU when it
 * maps something, and nobody would map it on the host.
 *
 * @s: the vIOMMU
 * @open: will vtd_resolve_caching_mode() still run?
 * @errp: says what to do
 */
bool vtd_check_caching_mode(IntelIOMMUState *s, bool open, Error **errp);

/**
 * vtd_resolve_caching_mode() - turn it on where an assigned device is there
 *
 * At machine-done. Where it was given off there is none: each asks
 * vtd_check_caching_mode().
 *
 * @s: the vIOMMU
 */
void vtd_resolve_caching_mode(IntelIOMMUState *s);

/**
 * vtd_check_arriving_caching_mode() - is the guest that arrives supported?
 *
 * Compares only where the user left it open here.
 *
 * @s: the vIOMMU
 * @on: CAP.CM as the guest that arrives was told (VT-d 11.4.2)
 * @errp: names an assigned device that needs it, where it is off
 */
bool vtd_check_arriving_caching_mode(IntelIOMMUState *s, bool on, Error **errp);

/**
 * vtd_follow_caching_mode() - have what the guest that arrives was told
 *
 * Does nothing where the user gave it.
 *
 * @s: the vIOMMU
 * @on: one that vtd_check_arriving_caching_mode() has nothing against
 *
 * Returns: whether that changed it; CAP is not changed yet
 */
bool vtd_follow_caching_mode(IntelIOMMUState *s, bool on);

#endif /* HW_I386_INTEL_IOMMU_CACHING_MODE_H */
