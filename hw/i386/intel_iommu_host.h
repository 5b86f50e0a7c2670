/*
 * intel-iommu and the host IOMMUs behind its assigned devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_HOST_H
#define HW_I386_INTEL_IOMMU_HOST_H

#include "hw/i386/intel_iommu.h"
#include "system/host_iommu_device.h"

/**
 * vtd_set_iommu_device() - PCIIOMMUOps.set_iommu_device() of intel-iommu
 *
 * Checks that the host IOMMU behind a device can back what the guest is
 * told. Until vtd_host_freeze(), what the user left open is lowered to what
 * the host can do, and never raised again. A device that is refused lowers
 * nothing.
 *
 * @bus: bus of the device (not of an alias)
 * @opaque: the IntelIOMMUState
 * @devfn: device and function of the device (not of an alias)
 * @hiod: what the host can do. A reference is taken until
 *        vtd_unset_iommu_device().
 * @errp: says what does not fit, and what to do
 *
 * Returns: whether the host can back the vIOMMU
 */
bool vtd_set_iommu_device(PCIBus *bus, void *opaque, int devfn,
                          HostIOMMUDevice *hiod, Error **errp);

/**
 * vtd_check_host() - could a device of this host be plugged now?
 *
 * Changes nothing.
 *
 * @s: the vIOMMU
 * @hiod: the host
 * @errp: as vtd_set_iommu_device()
 */
bool vtd_check_host(IntelIOMMUState *s, HostIOMMUDevice *hiod, Error **errp);

/**
 * vtd_unset_iommu_device() - PCIIOMMUOps.unset_iommu_device() of intel-iommu
 *
 * What was adopted stays in force. Does nothing where the device was never
 * set.
 *
 * @bus: bus of the device
 * @opaque: the IntelIOMMUState
 * @devfn: device and function of the device
 */
void vtd_unset_iommu_device(PCIBus *bus, void *opaque, int devfn);

/**
 * VTDHostDeviceFn - called for a device's host
 *
 * @s: the vIOMMU
 * @hiod: the host; its QOM parent is the assigned device
 * @opaque: the caller's
 *
 * Returns: whether to go on
 */
typedef bool VTDHostDeviceFn(IntelIOMMUState *s, HostIOMMUDevice *hiod,
                             void *opaque);

/**
 * vtd_foreach_host_device() - call @fn for the host of each assigned device
 *
 * @s: the vIOMMU
 * @fn: neither adds nor removes devices
 * @opaque: passed to @fn
 *
 * Returns: false where @fn did
 */
bool vtd_foreach_host_device(IntelIOMMUState *s, VTDHostDeviceFn *fn,
                             void *opaque);

/**
 * vtd_get_viommu_flags() - what the vIOMMU wants from a device's attach
 *
 * First-stage tables of the guest are nested on a second stage of the host
 * (VT-d 4.1, 3.8 "Nested Translation").
 *
 * @opaque: the IntelIOMMUState
 *
 * Returns: VIOMMU_FLAG_WANT_NESTING_PARENT with x-flts=on, 0 without; and 0
 * with x-nested=on, where no device is taken
 */
uint64_t vtd_get_viommu_flags(void *opaque);

/**
 * vtd_check_attach() - PCIIOMMUOps.get_viommu_flags() of intel-iommu
 *
 * Every assigned device asks, mediated ones too, which never call
 * vtd_set_iommu_device(). One that is hotplugged is refused here for all that
 * does not depend on its host, before its attach does anything.
 *
 * @opaque: the IntelIOMMUState
 * @flags: set to vtd_get_viommu_flags()
 * @errp: says what does not fit, and what to do
 */
bool vtd_check_attach(void *opaque, uint64_t *flags, Error **errp);

/**
 * vtd_explain_viommu_flags() - PCIIOMMUOps.explain_viommu_flags(), the same
 *
 * @opaque: the IntelIOMMUState
 * @hiod: what is known of the host that refused a nesting parent, or NULL where
 *     the host was not asked for one
 * @errp: is set; what the host lacks, and what to do, is put before it
 */
void vtd_explain_viommu_flags(void *opaque, HostIOMMUDevice *hiod,
                              Error **errp);

/**
 * vtd_host_freeze() - from now on the guest may have seen CAP and ECAP
 *
 * At machine-done. Devices that come later are checked only. Ends QEMU
 * where a mediated device is there that is not supported.
 *
 * @s: the vIOMMU
 */
void vtd_host_freeze(IntelIOMMUState *s);

/* Returns: was vtd_host_freeze() called? */
bool vtd_host_is_frozen(IntelIOMMUState *s);

#endif /* HW_I386_INTEL_IOMMU_HOST_H */
