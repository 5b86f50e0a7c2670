/*
 * What virtio-iommu reports of itself
 *
 * It keeps no record of where its values come from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/util.h"
#include "hw/viommu-info.h"
#include "hw/virtio/virtio-iommu.h"
#include "virtio-iommu-info.h"

static void virtio_iommu_add_field(ViommuInfo *info, const char *name,
                                   uint64_t value, const char *property)
{
    ViommuField *field = g_new0(ViommuField, 1);

    field->name = g_strdup(name);
    field->value = value;
    field->property = g_strdup(property);
    QAPI_LIST_PREPEND(info->fields, field);
}

static void virtio_iommu_query(Object *obj, ViommuInfo *info)
{
    VirtIOIOMMU *s = VIRTIO_IOMMU(obj);
    GHashTableIter iter;
    gpointer hiod;

    info->frozen = s->granule_frozen;
    info->has_address_width = true;
    info->address_width = s->aw_bits;
    virtio_iommu_add_field(info, "page-size-mask", s->config.page_size_mask,
                           "granule");
    virtio_iommu_add_field(info, "address-width", s->aw_bits, "aw-bits");

    g_hash_table_iter_init(&iter, s->host_iommu_devices);
    while (g_hash_table_iter_next(&iter, NULL, &hiod)) {
        viommu_info_add_device(info, hiod);
    }
}

void virtio_iommu_info_class_init(ObjectClass *oc)
{
    VIOMMUInfoClass *vic = VIOMMU_INFO_CLASS(oc);

    vic->type = VIOMMU_TYPE_VIRTIO_IOMMU;
    vic->query = virtio_iommu_query;
}
