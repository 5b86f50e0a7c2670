/*
 * info viommu and info host-iommu
 *
 * A line a device or unit, and one a field that was adopted or does not fit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-host-iommu.h"

#define UNKNOWN "?"

static void print_behind(Monitor *mon, const char *device, const char *unit)
{
    monitor_printf(mon, "%s behind %s", device, unit ?: "unknown");
}

static void print_adopted(Monitor *mon, const ViommuFieldAdopted *adopted)
{
    switch (adopted->from) {
    case VIOMMU_ADOPTED_FROM_DEVICE:
        print_behind(mon, adopted->u.device.name, adopted->unit);
        break;
    case VIOMMU_ADOPTED_FROM_NAMED_HOST:
        monitor_printf(mon, "host IOMMU %s", adopted->unit);
        break;
    case VIOMMU_ADOPTED_FROM_STREAM:
        monitor_printf(mon, "the incoming stream");
        if (adopted->u.stream.name) {
            monitor_printf(mon, ", there from ");
            print_behind(mon, adopted->u.stream.name, adopted->unit);
        } else if (adopted->unit) {
            monitor_printf(mon, ", there from host IOMMU %s", adopted->unit);
        }
        break;
    default:
        g_assert_not_reached();
    }
}

static void print_field(Monitor *mon, const ViommuField *field)
{
    if (field->adopted) {
        monitor_printf(mon, "  %s is %" PRIu64 " in the guest, adopted from ",
                       field->name, field->value);
        print_adopted(mon, field->adopted);
        monitor_printf(mon, " (%" PRIu64 " before)\n", field->adopted->before);
    }
}

static void print_misfits(Monitor *mon, const HostIommuMisfitList *misfits)
{
    for (; misfits; misfits = misfits->next) {
        const HostIommuMisfit *misfit = misfits->value;

        monitor_printf(mon, "    %s is %" PRIu64 " in the guest, ",
                       misfit->name, misfit->guest);
        if (misfit->has_host) {
            monitor_printf(mon, "%" PRIu64 " on the host\n", misfit->host);
        } else {
            monitor_printf(mon, "unknown on the host\n");
        }
    }
}

static void print_width(Monitor *mon, bool known, uint8_t width)
{
    if (known) {
        monitor_printf(mon, " %-5u", width);
    } else {
        monitor_printf(mon, " %-5s", UNKNOWN);
    }
}

static void print_bound(Monitor *mon, const ViommuBound *bound)
{
    monitor_printf(mon, "    %s", ViommuBoundTo_str(bound->to));
    if (bound->to == VIOMMU_BOUND_TO_NESTED) {
        monitor_printf(mon, ", HWPT %u", bound->u.nested.hwpt);
    } else if (bound->to == VIOMMU_BOUND_TO_BLOCKED) {
        monitor_printf(mon, ": %s", bound->u.blocked.reason);
    }
    monitor_printf(mon, "\n");
}

static void print_devices(Monitor *mon, const ViommuHostDeviceList *devices)
{
    monitor_printf(mon, "  %-15s %-15s %-7s %-10s %-7s %-5s %s\n", "device",
                   "backend", "unit", "type", "source", "width", "fits");
    for (; devices; devices = devices->next) {
        const ViommuHostDevice *dev = devices->value;

        monitor_printf(mon, "  %-15s %-15s %-7s %-10s %-7s",
                       dev->id ?: dev->qom_path,
                       HostIommuBackend_str(dev->backend),
                       dev->unit ?: UNKNOWN, HostIommuType_str(dev->type),
                       HostIommuSource_str(dev->source));
        print_width(mon, dev->has_address_width, dev->address_width);
        monitor_printf(mon, " %s\n", dev->misfits ? "no" : "yes");
        print_misfits(mon, dev->misfits);
        if (dev->bound && dev->bound->to != VIOMMU_BOUND_TO_SHADOW) {
            print_bound(mon, dev->bound);
        }
    }
}

static void print_viommu(Monitor *mon, const ViommuInfo *info)
{
    const VtdRegisters *vtd = &info->u.intel_iommu;
    const ViommuFieldList *field;

    monitor_printf(mon, "%s %s:", ViommuType_str(info->type), info->qom_path);
    if (info->has_address_width) {
        monitor_printf(mon, " %u bits,", info->address_width);
    }
    if (info->type == VIOMMU_TYPE_INTEL_IOMMU) {
        monitor_printf(mon, " cap 0x%016" PRIx64 ", ecap 0x%016" PRIx64 ",",
                       vtd->cap, vtd->ecap);
    }
    monitor_printf(mon, " %s\n", info->frozen ? "frozen" : "not frozen yet");
    if (info->blocked_reason) {
        monitor_printf(mon, "  not migratable: %s\n", info->blocked_reason);
    }
    for (field = info->fields; field; field = field->next) {
        print_field(mon, field->value);
    }
    if (info->devices) {
        print_devices(mon, info->devices);
    }
}

void hmp_info_viommu(Monitor *mon, const QDict *qdict)
{
    g_autoptr(ViommuInfoList) list = qmp_query_viommu(&error_abort);
    const ViommuInfoList *e;

    if (!list) {
        monitor_printf(mon, "no virtual IOMMU\n");
    }
    for (e = list; e; e = e->next) {
        print_viommu(mon, e->value);
    }
}

static void print_unit(Monitor *mon, const HostIommuUnit *unit)
{
    monitor_printf(mon, "%-7s %-10s", unit->name,
                   HostIommuType_str(unit->type));
    print_width(mon, unit->has_address_width, unit->address_width);
    if (unit->type == QAPI_HOST_IOMMU_TYPE_INTEL_VTD) {
        monitor_printf(mon, " 0x%016" PRIx64 " 0x%016" PRIx64,
                       unit->u.intel_vtd.cap, unit->u.intel_vtd.ecap);
    } else {
        monitor_printf(mon, " %-18s %-18s", UNKNOWN, UNKNOWN);
    }
    monitor_printf(mon, " %s\n", !unit->has_fits ? UNKNOWN :
                                 unit->fits ? "yes" : "no");
    print_misfits(mon, unit->misfits);
    if (unit->reason) {
        monitor_printf(mon, "    %s\n", unit->reason);
    }
}

void hmp_info_host_iommu(Monitor *mon, const QDict *qdict)
{
    g_autoptr(HostIommuUnitList) list = qmp_query_host_iommu(&error_abort);
    const HostIommuUnitList *e;

    if (!list) {
        monitor_printf(mon, "no IOMMU of the host, or none that QEMU can "
                       "see\n");
        return;
    }
    monitor_printf(mon, "%-7s %-10s %-5s %-18s %-18s %s\n", "unit", "type",
                   "width", "cap", "ecap", "fits");
    for (e = list; e; e = e->next) {
        print_unit(mon, e->value);
    }
}
