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

static void print_field(Monitor *mon, const ViommuField *field)
{
    const ViommuFieldAdopted *adopted = field->adopted;

    if (!adopted) {
        return;
    }
    monitor_printf(mon, "  %s is %" PRIu64 " in the guest, adopted from %s%s%s "
                   "(%" PRIu64 " before)\n", field->name, field->value,
                   adopted->device ?: "", adopted->device ? " behind " : "",
                   adopted->unit ?: "unknown", adopted->before);
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

static void print_devices(Monitor *mon, const ViommuHostDeviceList *devices)
{
    monitor_printf(mon, "  %-15s %-15s %-7s %-10s %-7s %-5s %s\n", "device",
                   "backend", "unit", "type", "source", "width", "fits");
    for (; devices; devices = devices->next) {
        const ViommuHostDevice *dev = devices->value;

        monitor_printf(mon, "  %-15s %-15s %-7s %-10s %-7s",
                       dev->id ?: dev->qom_path, dev->backend,
                       dev->unit ?: UNKNOWN, HostIommuType_str(dev->type),
                       HostIommuSource_str(dev->source));
        print_width(mon, dev->has_aw_bits, dev->aw_bits);
        monitor_printf(mon, " %s\n", dev->misfits ? "no" : "yes");
        print_misfits(mon, dev->misfits);
    }
}

static void print_viommu(Monitor *mon, const ViommuInfo *info)
{
    const ViommuFieldList *field;

    monitor_printf(mon, "%s %s: %u bits", info->type, info->qom_path,
                   info->aw_bits);
    if (info->has_cap && info->has_ecap) {
        monitor_printf(mon, ", cap 0x%016" PRIx64 ", ecap 0x%016" PRIx64,
                       info->cap, info->ecap);
    }
    monitor_printf(mon, "%s\n", info->frozen ? ", frozen" : "");
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
