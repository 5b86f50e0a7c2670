/*
 * What virtual IOMMUs tell of themselves
 *
 * Answers query-viommu and query-host-iommu, in every build. What there is to
 * tell is in files of the vIOMMUs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-host-iommu.h"
#include "qapi/util.h"
#include "hw/qdev-core.h"
#include "hw/viommu-info.h"
#include "qemu/module.h"
#include "system/host_iommu_unit.h"

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

static int viommu_info_find(Object *obj, void *found)
{
    if (viommu_info_is_there(obj)) {
        *(Object **)found = obj;
        return 1;
    }
    return 0;
}

/* Whoever knows the kind decodes it, be it in this VM or not */
static HostIommuFieldList *viommu_info_decode_host(HostIOMMUDevice *host)
{
    g_autoptr(GSList) classes = object_class_get_list(TYPE_VIOMMU_INFO, false);
    HostIommuFieldList *fields = NULL;
    GSList *e;

    for (e = classes; e && !fields; e = e->next) {
        VIOMMUInfoClass *vic = VIOMMU_INFO_CLASS(e->data);

        if (vic->decode_host) {
            fields = vic->decode_host(host);
        }
    }
    return fields;
}

static void viommu_info_check_host(Object *viommu, HostIOMMUDevice *host,
                                   HostIommuUnit *unit)
{
    VIOMMUInfoClass *vic = VIOMMU_INFO_GET_CLASS(viommu);
    Error *err = NULL;

    if (!vic->check_host) {
        return;
    }
    unit->fits = vic->check_host(viommu, host, &unit->misfits, &err);
    /* That it fits can be said of a known width alone */
    unit->has_fits = !unit->fits || unit->has_aw_bits;
    if (!unit->fits) {
        unit->reason = g_strdup(error_get_pretty(err));
        error_free(err);
    }
}

static HostIommuUnit *viommu_info_query_unit(HostIOMMUDevice *host,
                                             Object *viommu)
{
    const HostIOMMUDeviceCaps *caps = &host->caps;
    HostIommuUnit *unit = g_new0(HostIommuUnit, 1);

    unit->name = g_strdup(host->name);
    unit->type = viommu_info_host_type(host);
    unit->has_cap = caps->type == HOST_IOMMU_TYPE_INTEL_VTD;
    unit->cap = caps->vtd.cap;
    unit->has_ecap = unit->has_cap;
    unit->ecap = caps->vtd.ecap;
    unit->has_aw_bits = caps->aw_bits != HOST_IOMMU_BITS_UNKNOWN;
    unit->aw_bits = caps->aw_bits;
    unit->fields = viommu_info_decode_host(host);
    if (viommu) {
        viommu_info_check_host(viommu, host, unit);
    }
    return unit;
}

HostIommuUnitList *qmp_query_host_iommu(const char *sysfs, Error **errp)
{
    Object *owner = object_new(TYPE_CONTAINER);
    g_auto(GStrv) names = NULL;
    HostIommuUnitList *list = NULL, **tail = &list;
    Object *viommu = NULL;
    uint64_t flags = 0;
    int i;

    object_child_foreach_recursive(object_get_root(), viommu_info_find,
                                   &viommu);
    if (viommu && VIOMMU_INFO_GET_CLASS(viommu)->get_viommu_flags) {
        flags = VIOMMU_INFO_GET_CLASS(viommu)->get_viommu_flags(viommu);
    }
    sysfs = sysfs ?: HOST_IOMMU_SYSFS;
    names = host_iommu_unit_names(sysfs);
    for (i = 0; names[i]; i++) {
        HostIOMMUDevice *host = host_iommu_unit_new(owner, sysfs, names[i],
                                                    flags);

        QAPI_LIST_APPEND(tail, viommu_info_query_unit(host, viommu));
        host_iommu_device_free(host);
    }
    object_unref(owner);
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
