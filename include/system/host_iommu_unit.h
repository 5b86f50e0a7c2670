/*
 * The host's IOMMUs, with or without an assigned device behind them
 *
 * What a host can do before a device is there: for query-host-iommu, and for
 * vIOMMUs whose user names a host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_IOMMU_UNIT_H
#define HOST_IOMMU_UNIT_H

#include "system/host_iommu_device.h"

/* A HostIOMMUDevice without a device: its name is that of the unit */
#define TYPE_HOST_IOMMU_UNIT TYPE_HOST_IOMMU_DEVICE "-unit"

/* Returns: the folder that all below is read in, /sys but in tests */
const char *host_iommu_unit_sysfs(void);

/**
 * host_iommu_unit_set_sysfs() - read another folder than /sys
 *
 * @folder: copied; NULL: /sys again
 */
void host_iommu_unit_set_sysfs(const char *folder);

/**
 * host_iommu_unit_names() - the units that the host has
 *
 * Those of /sys/class/iommu (Linux' Documentation/ABI/testing/
 * sysfs-class-iommu), sorted: dmar2 before dmar10.
 *
 * Returns: the names, which the caller frees; none where the host has no
 * IOMMU, has it turned off, hides it, or is no Linux
 */
GStrv host_iommu_unit_names(void);

/**
 * host_iommu_unit_of_pci() - the unit behind a PCI device of the host
 *
 * @address: such as 0000:01:00.0
 * @errp: there is no such device, or no unit behind it
 *
 * Returns: a name, which the caller frees, or NULL
 */
char *host_iommu_unit_of_pci(const char *address, Error **errp);

/**
 * host_iommu_unit_new() - learn what a unit of the host can do
 *
 * What sysfs does not report is unknown. The width is that of the stage which
 * Linux uses for a device behind the unit: the least of MGAW and the widest
 * SAGAW of a second stage, and 47 bits at most where the unit has first-stage
 * translation in scalable mode, which newer kernels prefer (VT-d 3.6: half of
 * a first stage's 48 bits is for negative addresses).
 *
 * @owner: the object becomes its QOM child "host-iommu-NAME"
 * @name: one of host_iommu_unit_names()
 * @viommu_flags: what the vIOMMU wants from a device's attach (hw/iommu.h):
 *     a nesting parent is a second stage. 0: there is none
 *
 * Returns: the object, owned by @owner until host_iommu_device_free()
 */
HostIOMMUDevice *host_iommu_unit_new(Object *owner, const char *name,
                                     uint64_t viommu_flags);

/**
 * host_iommu_unit_translates() - can a device be behind this unit?
 *
 * Linux leaves units alone that only remap interrupts.
 *
 * @unit: of host_iommu_unit_new()
 * @errp: says why not
 *
 * Returns: false for a VT-d unit without page tables of any width; what is
 * not known may translate
 */
bool host_iommu_unit_translates(const HostIOMMUDevice *unit, Error **errp);

/**
 * host_iommu_unit_tell_unknown() - why a unit's type is unknown
 *
 * @name: one of host_iommu_unit_names()
 *
 * Returns: a reason with the path that could not be read, which the caller
 * frees; NULL where the unit is none of VT-d, so that there is nothing to read
 */
char *host_iommu_unit_tell_unknown(const char *name);

#endif /* HOST_IOMMU_UNIT_H */
