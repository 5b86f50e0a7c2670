/*
 * Names and properties of a host IOMMU's capabilities
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/host_iommu_device.h"

static const char *const type_names[HOST_IOMMU_TYPE__MAX] = {
    [HOST_IOMMU_TYPE_UNKNOWN] = "unknown",
    [HOST_IOMMU_TYPE_INTEL_VTD] = "intel-vtd",
    [HOST_IOMMU_TYPE_ARM_SMMUV3] = "arm-smmuv3",
    [HOST_IOMMU_TYPE_AMD_VI] = "amd-vi",
};

static const char *const source_names[HOST_IOMMU_SOURCE__MAX] = {
    [HOST_IOMMU_SOURCE_NONE] = "none",
    [HOST_IOMMU_SOURCE_IOMMUFD] = "iommufd",
    [HOST_IOMMU_SOURCE_SYSFS] = "sysfs",
};

const char *host_iommu_type_name(HostIOMMUType type)
{
    return type_names[type];
}

const char *host_iommu_source_name(HostIOMMUSource source)
{
    return source_names[source];
}

static char *get_name(Object *obj, Error **errp)
{
    return g_strdup(HOST_IOMMU_DEVICE(obj)->name);
}

static char *get_unit(Object *obj, Error **errp)
{
    return g_strdup(HOST_IOMMU_DEVICE(obj)->unit);
}

static char *get_type(Object *obj, Error **errp)
{
    return g_strdup(type_names[HOST_IOMMU_DEVICE(obj)->caps.type]);
}

static char *get_source(Object *obj, Error **errp)
{
    return g_strdup(source_names[HOST_IOMMU_DEVICE(obj)->caps.source]);
}

void host_iommu_caps_add_properties(HostIOMMUDevice *hiod)
{
    HostIOMMUDeviceCaps *caps = &hiod->caps;
    Object *obj = OBJECT(hiod);

    if (hiod->unit) {
        object_property_add_str(obj, "unit", get_unit, NULL);
    }
    if (caps->aw_bits != HOST_IOMMU_BITS_UNKNOWN) {
        object_property_add_uint8_ptr(obj, "aw-bits", &caps->aw_bits,
                                      OBJ_PROP_FLAG_READ);
    }
    if (caps->pasid_bits != HOST_IOMMU_BITS_UNKNOWN) {
        object_property_add_uint8_ptr(obj, "pasid-bits", &caps->pasid_bits,
                                      OBJ_PROP_FLAG_READ);
    }
    if (caps->has_hw_caps) {
        object_property_add_uint64_ptr(obj, "hw-caps", &caps->hw_caps,
                                       OBJ_PROP_FLAG_READ);
    }
    if (caps->type == HOST_IOMMU_TYPE_INTEL_VTD) {
        object_property_add_uint64_ptr(obj, "vtd-cap", &caps->vtd.cap,
                                       OBJ_PROP_FLAG_READ);
        object_property_add_uint64_ptr(obj, "vtd-ecap", &caps->vtd.ecap,
                                       OBJ_PROP_FLAG_READ);
    }
}

void host_iommu_caps_class_init(ObjectClass *oc)
{
    object_class_property_add_str(oc, "name", get_name, NULL);
    object_class_property_add_str(oc, "iommu-type", get_type, NULL);
    object_class_property_add_str(oc, "source", get_source, NULL);
}
