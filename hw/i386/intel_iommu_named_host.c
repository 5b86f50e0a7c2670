/*
 * Hosts that the user names, before there is a device
 *
 * For a VM that starts without a device and gets one later: at realize, what
 * the units can do comes from sysfs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "system/host_iommu_unit.h"
#include "intel_iommu_given.h"
#include "intel_iommu_host.h"
#include "intel_iommu_host_caps.h"
#include "intel_iommu_migration.h"
#include "intel_iommu_named_host.h"

#define PCI_ADDRESS "^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]$"

static bool vtd_names_all(IntelIOMMUState *s)
{
    return !strcmp(s->host_iommu, "all");
}

/* What can be given instead; the caller frees it */
static char *vtd_tell_units(void)
{
    g_auto(GStrv) units = host_iommu_unit_names();
    g_autofree char *list = g_strjoinv(", ", units);

    if (!units[0]) {
        return g_strdup_printf("this host shows no IOMMU in %s/class/iommu: "
                               "is it on, in the firmware and with "
                               "intel_iommu=on?", host_iommu_unit_sysfs());
    }
    return g_strdup_printf("this host has %s", list);
}

static bool vtd_check_names(GStrv names, Error **errp)
{
    g_auto(GStrv) units = host_iommu_unit_names();
    g_autofree char *there = vtd_tell_units();
    int i;

    for (i = 0; names[i]; i++) {
        if (!g_strv_contains((const char *const *)units, names[i])) {
            error_setg(errp, "there is no IOMMU '%s': %s", names[i], there);
            return false;
        }
        /* of the rest of the list */
        if (g_strv_contains((const char *const *)names + i + 1, names[i])) {
            error_setg(errp, "%s is named twice", names[i]);
            return false;
        }
    }
    if (!i) {
        error_setg(errp, "%s", there);
        return false;
    }
    return true;
}

/* Returns: the name of the unit behind a device, which the caller frees */
static char *vtd_unit_of_pci(const char *address, Error **errp)
{
    Error *err = NULL;
    char *name = host_iommu_unit_of_pci(address, &err);

    if (!name) {
        g_autofree char *there = vtd_tell_units();

        error_setg(errp, "%s (%s)", error_get_pretty(err), there);
        error_free(err);
    }
    return name;
}

/* Returns: names of units that are there, NULL on error; the caller frees */
static GStrv vtd_named_units(IntelIOMMUState *s, Error **errp)
{
    g_autofree char *address = g_ascii_strdown(s->host_iommu, -1);
    g_auto(GStrv) names = NULL;

    if (vtd_names_all(s)) {
        names = host_iommu_unit_names();
    } else if (g_regex_match_simple(PCI_ADDRESS, address, 0, 0)) {
        char *name = vtd_unit_of_pci(address, errp);

        if (!name) {
            return NULL;
        }
        names = g_new0(char *, 2);
        names[0] = name;
    } else {
        names = g_strsplit(s->host_iommu, ":", -1);
    }
    return vtd_check_names(names, errp) ? g_steal_pointer(&names) : NULL;
}

/*
 * Says that @unit is no VT-d unit, or none that translates, or that nobody can
 * tell.
 */
static void vtd_tell_other(HostIOMMUDevice *unit, const char *unknown,
                           Error **errp)
{
    g_autofree char *there = vtd_tell_units();
    Error *err = NULL;

    if (!host_iommu_unit_translates(unit, &err)) {
        error_setg(errp, "%s (%s)", error_get_pretty(err), there);
        error_free(err);
    } else if (unknown) {
        error_setg(errp, "what %s can do cannot be read: %s (%s)", unit->name,
                   unknown, there);
    } else {
        error_setg(errp, "%s is %s, not %s (%s)", unit->name,
                   unit->caps.type == HOST_IOMMU_TYPE_UNKNOWN ?
                   "of another kind" : host_iommu_type_name(unit->caps.type),
                   host_iommu_type_name(HOST_IOMMU_TYPE_INTEL_VTD), there);
    }
}

/*
 * Makes a unit of a name. Returns: false with @errp set where it is no VT-d
 * unit that translates, but that is no error with "all", which sets @unit to
 * NULL
 */
static bool vtd_get_unit(IntelIOMMUState *s, const char *name,
                         HostIOMMUDevice **unit, Error **errp)
{
    g_autofree char *unknown = NULL;

    *unit = host_iommu_unit_new(OBJECT(s), name, vtd_get_viommu_flags(s));
    if ((*unit)->caps.type == HOST_IOMMU_TYPE_INTEL_VTD &&
        host_iommu_unit_translates(*unit, NULL)) {
        return true;
    }
    if ((*unit)->caps.type == HOST_IOMMU_TYPE_UNKNOWN) {
        unknown = host_iommu_unit_tell_unknown(name);
    }
    if (unknown || !vtd_names_all(s)) {
        vtd_tell_other(*unit, unknown, errp);
        host_iommu_device_free(*unit);
        return false;
    }
    host_iommu_device_free(*unit);
    *unit = NULL;
    return true;
}

static bool vtd_adopt_units(IntelIOMMUState *s, GStrv names, Error **errp)
{
    HostIOMMUDevice *unit;
    bool any = false;
    int i;

    for (i = 0; names[i]; i++) {
        if (!vtd_get_unit(s, names[i], &unit, errp)) {
            return false;
        }
        if (!unit) {
            continue;
        }
        if (!vtd_check_host(s, unit, errp)) {
            host_iommu_device_free(unit);
            return false;
        }
        vtd_adopt_host_caps(s, unit);
        any = true;
        /* from now on it is intel-iommu's */
        object_unref(OBJECT(unit));
    }
    if (!any) {
        g_autofree char *there = vtd_tell_units();

        error_setg(errp, "none of them is %s and translates DMA (%s)",
                   host_iommu_type_name(HOST_IOMMU_TYPE_INTEL_VTD), there);
        return false;
    }
    return true;
}

bool vtd_adopt_named_hosts(IntelIOMMUState *s, Error **errp)
{
    ERRP_GUARD();
    g_auto(GStrv) names = NULL;

    if (!s->host_iommu) {
        return true;
    }
    if (!vtd_is_given(s, "aw-bits")) {
        s->aw_bits_given = 0;
    }
    /* what is checked */
    vtd_init_derived(s);
    names = vtd_named_units(s, errp);
    if (!names || !vtd_adopt_units(s, names, errp)) {
        error_prepend(errp, "host-iommu=%s: ", s->host_iommu);
        return false;
    }
    s->caching_mode = true;
    return true;
}
