/*
 * What intel-iommu reports of itself
 *
 * A reader of the table in intel_iommu_host_caps.c, for query-viommu and
 * query-host-iommu.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/util.h"
#include "qemu/bswap.h"
#include "hw/viommu-info.h"
#include "intel_iommu_host.h"
#include "intel_iommu_host_caps.h"
#include "intel_iommu_info.h"
#include "intel_iommu_internal.h"
#include "intel_iommu_migration.h"
#include "intel_iommu_stage1.h"
#include "system/host_iommu_unit.h"

static ViommuFieldAdopted *vtd_query_adopted(const VTDHostAdopted *from)
{
    ViommuFieldAdopted *adopted = g_new0(ViommuFieldAdopted, 1);
    const VTDHostOrigin *origin = &from->origin;

    adopted->before = from->before;
    adopted->unit = g_strdup(origin->unit);
    switch (origin->kind) {
    case VTD_ORIGIN_DEVICE:
        adopted->from = VIOMMU_ADOPTED_FROM_DEVICE;
        adopted->u.device.name = g_strdup(origin->device);
        adopted->u.device.qom_path = g_strdup(origin->path);
        break;
    case VTD_ORIGIN_NAMED_HOST:
        adopted->from = VIOMMU_ADOPTED_FROM_NAMED_HOST;
        break;
    case VTD_ORIGIN_STREAM:
        adopted->from = VIOMMU_ADOPTED_FROM_STREAM;
        adopted->u.stream.name = g_strdup(origin->device);
        break;
    default:
        g_assert_not_reached();
    }
    return adopted;
}

static ViommuField *vtd_query_field(const VTDHostFieldState *state)
{
    ViommuField *field = g_new0(ViommuField, 1);

    field->name = g_strdup(state->name);
    field->value = state->guest;
    field->property = g_strdup(state->set_by);
    field->has_origin = true;
    if (state->adopted) {
        field->origin = VIOMMU_FIELD_ORIGIN_ADOPTED;
        field->adopted = vtd_query_adopted(state->adopted);
    } else {
        field->origin = state->given ? VIOMMU_FIELD_ORIGIN_GIVEN
                                     : VIOMMU_FIELD_ORIGIN_DEFAULT;
    }
    return field;
}

static HostIommuMisfitList *vtd_query_misfits(IntelIOMMUState *s,
                                              HostIOMMUDevice *hiod)
{
    HostIommuMisfitList *misfits = NULL, **tail = &misfits;
    VTDHostFieldState field;
    int i;

    for (i = 0; vtd_host_field(s, hiod, i, &field); i++) {
        if (!field.fits) {
            HostIommuMisfit *misfit = g_new0(HostIommuMisfit, 1);

            misfit->name = g_strdup(field.name);
            misfit->guest = field.guest;
            misfit->has_host = field.host_known;
            misfit->host = field.host;
            QAPI_LIST_APPEND(tail, misfit);
        }
    }
    return misfits;
}

static bool vtd_query_device(IntelIOMMUState *s, HostIOMMUDevice *hiod,
                             void *info)
{
    ViommuHostDevice *device = viommu_info_add_device(info, hiod);

    device->misfits = vtd_query_misfits(s, hiod);
    device->bound = vtd_stage1_query(s, hiod);
    return true;
}

/* The registers as the guest reads them: a migration may have brought them */
static uint64_t vtd_query_register(IntelIOMMUState *s, hwaddr addr)
{
    return ldq_le_p(&s->csr[addr]);
}

static void vtd_query(Object *obj, ViommuInfo *info)
{
    IntelIOMMUState *s = INTEL_IOMMU_DEVICE(obj);
    ViommuFieldList **tail = &info->fields;
    VTDHostFieldState field;
    int i;

    info->frozen = vtd_host_is_frozen(s);
    viommu_info_set_vtd(&info->u.intel_iommu,
                        vtd_query_register(s, DMAR_CAP_REG),
                        vtd_query_register(s, DMAR_ECAP_REG));
    info->has_address_width = true;
    info->address_width = s->aw_bits;
    for (i = 0; vtd_host_field(s, NULL, i, &field); i++) {
        QAPI_LIST_APPEND(tail, vtd_query_field(&field));
    }
    info->blocked_reason = g_strdup(vtd_migration_blocked(s));
    info->migratable = !info->blocked_reason;
    vtd_foreach_host_device(s, vtd_query_device, info);
}

static bool vtd_query_check_host(Object *obj, HostIOMMUDevice *host,
                                 HostIommuMisfitList **misfits, Error **errp)
{
    IntelIOMMUState *s = INTEL_IOMMU_DEVICE(obj);

    *misfits = vtd_query_misfits(s, host);
    return host_iommu_unit_translates(host, errp) &&
           vtd_check_host(s, host, errp);
}

static HostIommuFieldList *vtd_query_decode_host(HostIOMMUDevice *host)
{
    HostIommuFieldList *fields = NULL, **tail = &fields;
    VTDHostFieldState state;
    int i;

    if (host->caps.type != HOST_IOMMU_TYPE_INTEL_VTD) {
        return NULL;
    }
    for (i = 0; vtd_host_field(NULL, host, i, &state); i++) {
        if (state.host_known) {
            HostIommuField *field = g_new0(HostIommuField, 1);

            field->name = g_strdup(state.name);
            field->value = state.host;
            QAPI_LIST_APPEND(tail, field);
        }
    }
    return fields;
}

void vtd_info_class_init(ObjectClass *oc)
{
    VIOMMUInfoClass *vic = VIOMMU_INFO_CLASS(oc);

    vic->type = VIOMMU_TYPE_INTEL_IOMMU;
    vic->query = vtd_query;
    vic->check_host = vtd_query_check_host;
    vic->decode_host = vtd_query_decode_host;
}
