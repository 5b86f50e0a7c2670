/*
 * What virtual IOMMUs report of themselves
 *
 * Answers query-viommu and query-host-iommu. What there is to report is in
 * files of the vIOMMUs; one that reports nothing is found by the bus that it
 * serves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-host-iommu.h"
#include "qapi/util.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_host.h"
#include "hw/qdev-core.h"
#include "hw/viommu-info.h"
#include "migration/vmstate.h"
#include "qemu/module.h"
#include "system/host_iommu_vtd.h"
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

/* The object's type is the backend's name, after a common prefix */
static HostIommuBackend viommu_info_backend(HostIOMMUDevice *hiod)
{
    return qapi_enum_parse(&HostIommuBackend_lookup,
                           object_get_typename(OBJECT(hiod)) +
                           strlen(TYPE_HOST_IOMMU_DEVICE "-"), -1,
                           &error_abort);
}

void viommu_info_set_vtd(VtdRegisters *vtd, uint64_t cap, uint64_t ecap)
{
    vtd->cap = cap;
    vtd->ecap = ecap;
    vtd->mgaw = host_iommu_vtd_mgaw(cap);
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
    device->backend = viommu_info_backend(hiod);
    device->unit = g_strdup(hiod->unit);
    device->type = viommu_info_host_type(hiod);
    device->source = viommu_info_host_source(hiod);
    if (caps->type == HOST_IOMMU_TYPE_INTEL_VTD) {
        viommu_info_set_vtd(&device->u.intel_vtd, caps->vtd.cap,
                            caps->vtd.ecap);
    }
    device->has_address_width = caps->aw_bits != HOST_IOMMU_BITS_UNKNOWN;
    device->address_width = caps->aw_bits;

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

/* What is reported of an object that nothing is known of */
static ViommuInfo *viommu_info_new(Object *obj, ViommuType type)
{
    const VMStateDescription *vmsd = DEVICE_GET_CLASS(obj)->vmsd;
    ViommuInfo *info = g_new0(ViommuInfo, 1);

    info->qom_path = object_get_canonical_path(obj);
    info->type = type;
    info->frozen = true;
    info->migratable = !vmsd || !vmsd->unmigratable;
    if (!info->migratable) {
        info->blocked_reason = g_strdup_printf("%s cannot be migrated",
                                               object_get_typename(obj));
    }
    return info;
}

static int viommu_info_query_one(Object *obj, void *opaque)
{
    ViommuInfoList **list = opaque;

    if (viommu_info_is_there(obj)) {
        VIOMMUInfoClass *vic = VIOMMU_INFO_GET_CLASS(obj);
        ViommuInfo *info = viommu_info_new(obj, vic->type);

        if (vic->query) {
            vic->query(obj, info);
        }
        QAPI_LIST_PREPEND(*list, info);
    }
    return 0;
}

/* Returns: the root bus of a PCI host bridge that a vIOMMU serves, or NULL */
static PCIBus *viommu_info_served_bus(Object *obj)
{
    PCIBus *bus;

    if (!object_dynamic_cast(obj, TYPE_PCI_HOST_BRIDGE)) {
        return NULL;
    }
    bus = PCI_HOST_BRIDGE(obj)->bus;
    return bus && bus->iommu_ops ? bus : NULL;
}

typedef struct ViommuInfoSearch {
    void *opaque;                   /* of pci_setup_iommu() */
    PCIBus *bus;
    bool found;
} ViommuInfoSearch;

/* Is @obj the vIOMMU that a bus is served by? */
static int viommu_info_find_server(Object *obj, void *opaque)
{
    ViommuInfoSearch *search = opaque;

    search->found = obj == search->opaque && viommu_info_is_there(obj);
    return search->found;
}

/* A bridge whose vIOMMU does not report itself stands for it */
static int viommu_info_query_other(Object *obj, void *opaque)
{
    ViommuInfoList **list = opaque;
    PCIBus *bus = viommu_info_served_bus(obj);

    if (bus) {
        ViommuInfoSearch search = { .opaque = bus->iommu_opaque };

        object_child_foreach_recursive(object_get_root(),
                                       viommu_info_find_server, &search);
        if (!search.found) {
            QAPI_LIST_PREPEND(*list, viommu_info_new(obj, VIOMMU_TYPE_OTHER));
        }
    }
    return 0;
}

ViommuInfoList *qmp_query_viommu(Error **errp)
{
    ViommuInfoList *list = NULL;

    object_child_foreach_recursive(object_get_root(), viommu_info_query_one,
                                   &list);
    object_child_foreach_recursive(object_get_root(), viommu_info_query_other,
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

static int viommu_info_find_served(Object *obj, void *opaque)
{
    ViommuInfoSearch *search = opaque;
    PCIBus *bus = viommu_info_served_bus(obj);

    if (bus && bus->iommu_opaque == search->opaque) {
        search->bus = bus;
        return 1;
    }
    return 0;
}

/* What @viommu, or NULL, wants from the attach of a device */
static uint64_t viommu_info_flags(Object *viommu)
{
    ViommuInfoSearch search = { .opaque = viommu };
    const PCIIOMMUOps *ops;
    uint64_t flags = 0;

    if (viommu) {
        object_child_foreach_recursive(object_get_root(),
                                       viommu_info_find_served, &search);
    }
    ops = search.bus ? search.bus->iommu_ops : NULL;
    if (ops && ops->get_viommu_flags) {
        ops->get_viommu_flags(viommu, &flags, NULL);
    }
    return flags;
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
    unit->has_fits = !unit->fits || unit->has_address_width;
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
    if (caps->type == HOST_IOMMU_TYPE_INTEL_VTD) {
        viommu_info_set_vtd(&unit->u.intel_vtd, caps->vtd.cap, caps->vtd.ecap);
    }
    unit->has_address_width = caps->aw_bits != HOST_IOMMU_BITS_UNKNOWN;
    unit->address_width = caps->aw_bits;
    unit->fields = viommu_info_decode_host(host);
    if (viommu) {
        viommu_info_check_host(viommu, host, unit);
    }
    return unit;
}

HostIommuUnitList *qmp_query_host_iommu(Error **errp)
{
    Object *owner = object_new(TYPE_CONTAINER);
    g_auto(GStrv) names = host_iommu_unit_names();
    HostIommuUnitList *list = NULL, **tail = &list;
    Object *viommu = NULL;
    uint64_t flags;
    int i;

    object_child_foreach_recursive(object_get_root(), viommu_info_find,
                                   &viommu);
    flags = viommu_info_flags(viommu);
    for (i = 0; names[i]; i++) {
        HostIOMMUDevice *host = host_iommu_unit_new(owner, names[i], flags);

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
