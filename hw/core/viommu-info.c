/*
 * What virtual IOMMUs tell of themselves
 *
 * Answers query-viommu, in every build. What there is to tell is in files of
 * the vIOMMUs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/qapi-commands-host-iommu.h"
#include "qapi/util.h"
#include "hw/qdev-core.h"
#include "hw/viommu-info.h"
#include "qemu/module.h"

/* One list of names, that of the model */
static HostIommuType viommu_info_host_type(HostIOMMUDevice *hiod)
{
    return qapi_enum_parse(&HostIommuType_lookup,
                           host_iommu_type_name(hiod->caps.type), -1,
                           &error_abort);
}

static HostIommuSource viommu_info_host_source(HostIOMMUDevice *hiod)
{
    return qapi_enum_parse(&HostIommuSource_lookup,
                           host_iommu_source_name(hiod->caps.source), -1,
                           &error_abort);
}

ViommuHostDevice *viommu_info_add_device(ViommuInfo *info,
                                         HostIOMMUDevice *hiod)
{
    const HostIOMMUDeviceCaps *caps = &hiod->caps;
    DeviceState *dev = DEVICE(OBJECT(hiod)->parent);
    ViommuHostDevice *device = g_new0(ViommuHostDevice, 1);
    ViommuHostDeviceList **at = &info->devices;

    device->id = g_strdup(dev->id);
    device->qom_path = object_get_canonical_path(OBJECT(dev));
    device->backend = g_strdup(object_get_typename(OBJECT(hiod)) +
                               strlen(TYPE_HOST_IOMMU_DEVICE "-"));
    device->unit = g_strdup(hiod->unit);
    device->type = viommu_info_host_type(hiod);
    device->source = viommu_info_host_source(hiod);
    device->has_cap = caps->type == HOST_IOMMU_TYPE_INTEL_VTD;
    device->cap = caps->vtd.cap;
    device->has_ecap = device->has_cap;
    device->ecap = caps->vtd.ecap;
    device->has_aw_bits = caps->aw_bits != HOST_IOMMU_BITS_UNKNOWN;
    device->aw_bits = caps->aw_bits;

    while (*at && strcmp((*at)->value->qom_path, device->qom_path) < 0) {
        at = &(*at)->next;
    }
    QAPI_LIST_PREPEND(*at, device);
    return device;
}

/* Returns: is @obj a vIOMMU of the guest? */
static bool viommu_info_is_there(Object *obj)
{
    return object_dynamic_cast(obj, TYPE_VIOMMU_INFO) && DEVICE(obj)->realized;
}

static int viommu_info_query_one(Object *obj, void *opaque)
{
    ViommuInfoList **list = opaque;
    ViommuInfo *info;

    if (viommu_info_is_there(obj)) {
        info = g_new0(ViommuInfo, 1);
        info->qom_path = object_get_canonical_path(obj);
        info->type = g_strdup(object_get_typename(obj));
        VIOMMU_INFO_GET_CLASS(obj)->query(obj, info);
        QAPI_LIST_PREPEND(*list, info);
    }
    return 0;
}

ViommuInfoList *qmp_query_viommu(Error **errp)
{
    ViommuInfoList *list = NULL;

    object_child_foreach_recursive(object_get_root(), viommu_info_query_one,
                                   &list);
    return list;
}

static const TypeInfo types[] = {
    {
        .name = TYPE_VIOMMU_INFO,
        .parent = TYPE_INTERFACE,
        .class_size = sizeof(VIOMMUInfoClass),
    }
};

DEFINE_TYPES(types)
