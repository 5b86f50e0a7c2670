/*
 * What the host IOMMU behind an assigned device can do
 *
 * The object that carries capabilities from whoever brings a device to the
 * vIOMMU. It shows them as read-only properties; a capability that is not
 * known has none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/range.h"
#include "system/host_iommu_device.h"
#include "trace.h"

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

uint8_t host_iommu_iova_ranges_bits(GList *ranges)
{
    GList *last = g_list_last(ranges);

    if (!last) {
        return HOST_IOMMU_BITS_UNKNOWN;
    }
    return 64 - clz64(range_upb(last->data));
}

static char *host_iommu_device_get_name(Object *obj, Error **errp)
{
    return g_strdup(HOST_IOMMU_DEVICE(obj)->name);
}

static char *host_iommu_device_get_unit(Object *obj, Error **errp)
{
    return g_strdup(HOST_IOMMU_DEVICE(obj)->unit);
}

static char *host_iommu_device_get_type(Object *obj, Error **errp)
{
    return g_strdup(type_names[HOST_IOMMU_DEVICE(obj)->caps.type]);
}

static char *host_iommu_device_get_source(Object *obj, Error **errp)
{
    return g_strdup(source_names[HOST_IOMMU_DEVICE(obj)->caps.source]);
}

/* Properties for what is known now; all of it stays as it is */
static void host_iommu_device_show(HostIOMMUDevice *hiod)
{
    HostIOMMUDeviceCaps *caps = &hiod->caps;
    Object *obj = OBJECT(hiod);

    if (hiod->unit) {
        object_property_add_str(obj, "unit", host_iommu_device_get_unit, NULL);
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

HostIOMMUDevice *host_iommu_device_new_named(const char *typename,
                                             Object *owner, const char *name,
                                             void *bringer, Error **errp)
{
    HostIOMMUDevice *hiod = HOST_IOMMU_DEVICE(object_new(typename));

    object_property_add_child(owner, name, OBJECT(hiod));
    if (!HOST_IOMMU_DEVICE_GET_CLASS(hiod)->realize(hiod, bringer, errp)) {
        host_iommu_device_free(hiod);
        return NULL;
    }
    host_iommu_device_show(hiod);
    trace_host_iommu_learned(hiod->name, hiod->unit ?: "unknown",
                             type_names[hiod->caps.type],
                             source_names[hiod->caps.source],
                             hiod->caps.aw_bits, hiod->caps.vtd.cap,
                             hiod->caps.vtd.ecap);
    return hiod;
}

HostIOMMUDevice *host_iommu_device_new(const char *typename, Object *owner,
                                       void *bringer, Error **errp)
{
    return host_iommu_device_new_named(typename, owner, TYPE_HOST_IOMMU_DEVICE,
                                       bringer, errp);
}

void host_iommu_device_free(HostIOMMUDevice *hiod)
{
    if (hiod) {
        /* An owner that is being finalized has no children any more */
        object_unparent(OBJECT(hiod));
        object_unref(OBJECT(hiod));
    }
}

static void host_iommu_device_finalize(Object *obj)
{
    HostIOMMUDevice *hiod = HOST_IOMMU_DEVICE(obj);

    object_unref(OBJECT(hiod->parent));
    g_list_free_full(hiod->caps.iova_ranges, g_free);
    g_free(hiod->unit);
    g_free(hiod->name);
}

static void host_iommu_device_init(Object *obj)
{
    HOST_IOMMU_DEVICE(obj)->caps.group = HOST_IOMMU_GROUP_UNKNOWN;
}

static void host_iommu_device_class_init(ObjectClass *oc, void *data)
{
    object_class_property_add_str(oc, "name", host_iommu_device_get_name,
                                  NULL);
    object_class_property_add_str(oc, "iommu-type",
                                  host_iommu_device_get_type, NULL);
    object_class_property_add_str(oc, "source", host_iommu_device_get_source,
                                  NULL);
}

static const TypeInfo types[] = {
    {
        .name = TYPE_HOST_IOMMU_DEVICE,
        .parent = TYPE_OBJECT,
        .instance_size = sizeof(HostIOMMUDevice),
        .instance_init = host_iommu_device_init,
        .instance_finalize = host_iommu_device_finalize,
        .class_size = sizeof(HostIOMMUDeviceClass),
        .class_init = host_iommu_device_class_init,
        .abstract = true,
    }
};

DEFINE_TYPES(types)
