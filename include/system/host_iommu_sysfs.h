/*
 * What sysfs reports of a host's IOMMU
 *
 * For HostIOMMUDeviceCaps, where iommufd reports nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_IOMMU_SYSFS_H
#define HOST_IOMMU_SYSFS_H

#include "system/host_iommu_device.h"

#ifdef CONFIG_LINUX

/**
 * host_iommu_sysfs_read() - read type and vendor's part of an IOMMU
 *
 * What is absent or cannot be read or parsed is unknown, and no error: sysfs
 * may be hidden from QEMU. A trace event says why.
 *
 * @folder: of the IOMMU in sysfs: iommu/ in the folder of a device that is
 *     behind it, or /sys/class/iommu/NAME (Linux'
 *     Documentation/ABI/testing/sysfs-class-iommu). For VT-d it holds
 *     intel-iommu/cap and ecap (sysfs-class-iommu-intel-iommu); for AMD-Vi,
 *     amd-iommu/.
 * @caps: @type, @source and @vtd are filled where they are known, and left
 *     alone otherwise
 *
 * Returns: whether the type is known now
 */
bool host_iommu_sysfs_read(const char *folder, HostIOMMUDeviceCaps *caps);

/**
 * host_iommu_sysfs_unit() - the host's name of an IOMMU
 *
 * @folder: as for host_iommu_sysfs_read(); a link to the unit
 *
 * Returns: a name such as dmar0, which the caller frees; NULL: unknown
 */
char *host_iommu_sysfs_unit(const char *folder);

/**
 * host_iommu_sysfs_unreadable() - why a file of an IOMMU cannot be read
 *
 * @path: the file
 *
 * Returns: path and reason, which the caller frees; NULL: it can be read
 */
char *host_iommu_sysfs_unreadable(const char *path);

#else /* !CONFIG_LINUX */

static inline bool host_iommu_sysfs_read(const char *folder,
                                         HostIOMMUDeviceCaps *caps)
{
    return false;
}

static inline char *host_iommu_sysfs_unit(const char *folder)
{
    return NULL;
}

static inline char *host_iommu_sysfs_unreadable(const char *path)
{
    return NULL;
}

#endif

#endif /* HOST_IOMMU_SYSFS_H */
