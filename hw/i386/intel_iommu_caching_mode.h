/*
 * intel-iommu's caching-mode, which every assigned device needs
 *
 * The map of intel_iommu_caching_mode.c; included by intel_iommu*.c and by
 * pc.c, which is asked before a device is hotplugged.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_CACHING_MODE_H
#define HW_I386_INTEL_IOMMU_CACHING_MODE_H

#include "hw/i386/intel_iommu.h"

/**
 * vtd_is_assigned() - is this a device of the host's?
 *
 * @obj: any object. By its type, so a mediated device is, which never
 *     introduces itself by set_iommu_device().
 */
bool vtd_is_assigned(Object *obj);

/**
 * vtd_assigned_device() - find a device of the host's that is there
 *
 * Returns: one that is or should be behind the vIOMMU, or NULL
 */
Object *vtd_assigned_device(void);

/**
 * vtd_refuse_assigned() - end QEMU for an assigned device
 *
 * For machine-done, when it is too late to refuse the device alone.
 *
 * @obj: the device
 * @err: why
 */
G_NORETURN void vtd_refuse_assigned(Object *obj, Error *err);

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
 * vtd_check_caching_mode() - can an assigned device be had?
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
 * vtd_check_hotplug() - may this device be hotplugged, from what is known?
 *
 * Asked before the device is realized, so for any bus.
 *
 * @s: the vIOMMU
 * @dev: the device
 * @errp: says what to do
 */
bool vtd_check_hotplug(IntelIOMMUState *s, DeviceState *dev, Error **errp);

/**
 * vtd_resolve_caching_mode() - turn it on where an assigned device is there
 *
 * Called at machine-done. Ends QEMU where it was given off and a device is
 * there that never introduced itself to the vIOMMU (a mediated one).
 *
 * @s: the vIOMMU
 */
void vtd_resolve_caching_mode(IntelIOMMUState *s);

/**
 * vtd_check_arriving_caching_mode() - can the guest that arrives be had?
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
