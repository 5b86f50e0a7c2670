/*
 * intel-iommu and the host IOMMUs behind its assigned devices
 *
 * Keeps the assigned devices: has what their hosts can do checked and, until
 * the guest runs, adopted (intel_iommu_host_caps.c). Knows nothing of where a
 * capability was read.
 *
 * Copyright (C) 2013 Knut Omang, Oracle <knut.omang@oracle.com>
 * Copyright (C) 2014 Le Tan, <tamlokveer@gmail.com>
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/queue.h"
#include "hw/iommu.h"
#include "intel_iommu_caching_mode.h"
#include "intel_iommu_host.h"
#include "intel_iommu_host_caps.h"
#include "trace.h"

/* An assigned device; bus and devfn are its own, not those of an alias */
struct VTDHostDevice {
    PCIBus *bus;
    int devfn;
    HostIOMMUDevice *hiod;          /* a reference of ours */
    QLIST_ENTRY(VTDHostDevice) next;
};

static VTDHostDevice *vtd_find_host_device(IntelIOMMUState *s, PCIBus *bus,
                                           int devfn)
{
    VTDHostDevice *dev;

    QLIST_FOREACH(dev, &s->host.devices, next) {
        if (dev->bus == bus && dev->devfn == devfn) {
            return dev;
        }
    }
    return NULL;
}

/* Is a device taken at all, whatever it is and its host is? */
static bool vtd_check_any_device(IntelIOMMUState *s, Error **errp)
{
    if (s->nested) {
        error_setg(errp, "intel-iommu does not support assigned devices with "
                   "x-nested=on: its nested translation is emulated only (use "
                   "x-nested=off and x-flts=off)");
        return false;
    }
    return vtd_check_caching_mode(s, !s->host.frozen, errp);
}

bool vtd_check_host(IntelIOMMUState *s, HostIOMMUDevice *hiod, Error **errp)
{
    return vtd_check_any_device(s, errp) &&
           vtd_check_host_caps(s, hiod, !s->host.frozen, errp);
}

static bool vtd_check_host_device(IntelIOMMUState *s, PCIBus *bus, int devfn,
                                  HostIOMMUDevice *hiod, Error **errp)
{
    if (vtd_find_host_device(s, bus, devfn)) {
        error_setg(errp, "intel-iommu knows a host device at this PCI address "
                   "already");
        return false;
    }
    return vtd_check_host(s, hiod, errp);
}

bool vtd_set_iommu_device(PCIBus *bus, void *opaque, int devfn,
                          HostIOMMUDevice *hiod, Error **errp)
{
    ERRP_GUARD();
    IntelIOMMUState *s = opaque;
    VTDHostDevice *dev;

    if (!vtd_check_host_device(s, bus, devfn, hiod, errp)) {
        trace_vtd_host_iommu_refused(hiod->name, error_get_pretty(*errp));
        return false;
    }
    trace_vtd_host_iommu_checked(hiod->name, s->host.frozen);
    if (!s->host.frozen) {
        vtd_adopt_host_caps(s, hiod);
    }

    dev = g_new0(VTDHostDevice, 1);
    dev->bus = bus;
    dev->devfn = devfn;
    dev->hiod = HOST_IOMMU_DEVICE(object_ref(hiod));
    QLIST_INSERT_HEAD(&s->host.devices, dev, next);
    return true;
}

void vtd_unset_iommu_device(PCIBus *bus, void *opaque, int devfn)
{
    VTDHostDevice *dev = vtd_find_host_device(opaque, bus, devfn);

    if (dev) {
        QLIST_REMOVE(dev, next);
        object_unref(OBJECT(dev->hiod));
        g_free(dev);
    }
}

bool vtd_foreach_host_device(IntelIOMMUState *s, VTDHostDeviceFn *fn,
                             void *opaque)
{
    VTDHostDevice *dev;

    QLIST_FOREACH(dev, &s->host.devices, next) {
        if (!fn(s, dev->hiod, opaque)) {
            return false;
        }
    }
    return true;
}

uint64_t vtd_get_viommu_flags(void *opaque)
{
    IntelIOMMUState *s = opaque;

    /* With x-nested=on no device is taken, whatever its attach gives */
    return s->flts && !s->nested ? VIOMMU_FLAG_WANT_NESTING_PARENT : 0;
}

/* A mediated device never calls vtd_set_iommu_device() */
static bool vtd_check_unknown_host(IntelIOMMUState *s, Error **errp)
{
    /* With x-flts=on, whoever attaches it sees the flags and refuses */
    return s->flts || vtd_check_host_caps(s, NULL, !s->host.frozen, errp);
}

bool vtd_check_attach(void *opaque, uint64_t *flags, Error **errp)
{
    IntelIOMMUState *s = opaque;

    *flags = vtd_get_viommu_flags(s);
    return vtd_check_any_device(s, errp) &&
           (!s->host.frozen || vtd_check_unknown_host(s, errp));
}

void vtd_explain_viommu_flags(void *opaque, HostIOMMUDevice *hiod,
                              Error **errp)
{
    ERRP_GUARD();
    IntelIOMMUState *s = opaque;
    Error *misfit = NULL;

    if (!hiod) {
        error_prepend(errp, "intel-iommu needs a nesting parent, as it has "
                      "x-flts=on (use x-flts=off): ");
    } else if (vtd_check_host_caps(s, hiod, !s->host.frozen, &misfit)) {
        error_prepend(errp, "host IOMMU%s%s can nest, which intel-iommu with "
                      "x-flts=on needs, so scalable mode may be off in the "
                      "host's kernel, see intel_iommu=sm_on (or use "
                      "x-flts=off): ", hiod->unit ? " " : "",
                      hiod->unit ?: "");
    } else {
        error_prepend(errp, "%s: ", error_get_pretty(misfit));
        error_free(misfit);
    }
}

bool vtd_host_is_frozen(IntelIOMMUState *s)
{
    return s->host.frozen;
}

void vtd_host_freeze(IntelIOMMUState *s)
{
    Object *obj = vtd_assigned_device();
    Error *err = NULL;

    if (obj && !vtd_check_unknown_host(s, &err)) {
        g_autofree char *path = object_get_canonical_path(obj);

        error_reportf_err(err, "%s %s: ", object_get_typename(obj), path);
        exit(1);
    }
    s->host.frozen = true;
    trace_vtd_host_iommu_frozen(s->aw_bits, s->caching_mode);
}
