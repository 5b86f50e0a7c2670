/*
 * Names and properties of a host IOMMU's capabilities
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_IOMMU_CAPS_H
#define HOST_IOMMU_CAPS_H

#include "qom/object.h"

typedef struct HostIOMMUDevice HostIOMMUDevice;

/**
 * enum HostIOMMUType - what kind of IOMMU stands behind the device
 *
 * @HOST_IOMMU_TYPE_UNKNOWN: it is unknown
 * @HOST_IOMMU_TYPE_INTEL_VTD: Intel VT-d; caps.vtd is valid
 * @HOST_IOMMU_TYPE_ARM_SMMUV3: Arm SMMUv3
 * @HOST_IOMMU_TYPE_AMD_VI: AMD-Vi
 */
typedef enum HostIOMMUType {
    HOST_IOMMU_TYPE_UNKNOWN,
    HOST_IOMMU_TYPE_INTEL_VTD,
    HOST_IOMMU_TYPE_ARM_SMMUV3,
    HOST_IOMMU_TYPE_AMD_VI,
    HOST_IOMMU_TYPE__MAX,
} HostIOMMUType;

/**
 * enum HostIOMMUSource - where the type and the vendor's part were read
 *
 * @HOST_IOMMU_SOURCE_NONE: nowhere; the type is unknown
 * @HOST_IOMMU_SOURCE_IOMMUFD: IOMMU_GET_HW_INFO (linux/iommufd.h)
 * @HOST_IOMMU_SOURCE_SYSFS: the device's iommu/ folder in sysfs (Linux'
 *     Documentation/ABI/testing/sysfs-class-iommu)
 */
typedef enum HostIOMMUSource {
    HOST_IOMMU_SOURCE_NONE,
    HOST_IOMMU_SOURCE_IOMMUFD,
    HOST_IOMMU_SOURCE_SYSFS,
    HOST_IOMMU_SOURCE__MAX,
} HostIOMMUSource;

/* Stands for an unknown width */
#define HOST_IOMMU_BITS_UNKNOWN 0

/**
 * host_iommu_type_name() - the name that properties and messages use
 *
 * @type: kind of IOMMU
 *
 * Returns: a static string, such as "intel-vtd"
 */
const char *host_iommu_type_name(HostIOMMUType type);

/**
 * host_iommu_source_name() - the name that properties and QMP use
 *
 * @source: where a type was read
 *
 * Returns: a static string, such as "sysfs"
 */
const char *host_iommu_source_name(HostIOMMUSource source);

/**
 * host_iommu_caps_class_init() - the properties that each device has
 *
 * @oc: the class
 */
void host_iommu_caps_class_init(ObjectClass *oc);

/**
 * host_iommu_caps_add_properties() - properties for what is known
 *
 * Read-only; a capability that is not known has none.
 *
 * @hiod: the device, when it is realized
 */
void host_iommu_caps_add_properties(HostIOMMUDevice *hiod);

#endif /* HOST_IOMMU_CAPS_H */
