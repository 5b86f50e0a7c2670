/*
 * intel-iommu and the host IOMMUs behind its assigned devices
 *
 * Keeps the assigned devices: has what their hosts can do checked and, until
 * the guest runs, adopted (intel_iommu_host_caps.c). Called by intel_iommu.c,
 * and by pc.c before a hotplug; knows nothing of where a capability was read.
 *
 * Copyright (C) 2013 Knut Omang, Oracle <knut.omang@oracle.com>
 * Copyright (C) 2014 Le Tan, <tamlokveer@gmail.com>
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/queue.h"
#include "hw/iommu.h"
#include "system/host_iommu_vtd.h"
#include "intel_iommu_caching_mode.h"
#include "intel_iommu_host.h"
#include "intel_iommu_host_caps.h"
#include "trace.h"

/* An assigned device; bus and devfn are its own, not those of an alias */
typedef struct VTDHostDevice {
    PCIBus *bus;
    int devfn;
    HostIOMMUDevice *hiod;          /* a reference of ours */
    QLIST_ENTRY(VTDHostDevice) next;
} VTDHostDevice;

/* All of it is protected by the BQL */
struct VTDHostState {
    QLIST_HEAD(, VTDHostDevice) devices;
    bool frozen;                    /* the guest may have seen CAP and ECAP */
};

static VTDHostDevice *vtd_find_host_device(IntelIOMMUState *s, PCIBus *bus,
                                           int devfn)
{
    VTDHostDevice *dev;

    QLIST_FOREACH(dev, &s->host->devices, next) {
        if (dev->bus == bus && dev->devfn == devfn) {
            return dev;
        }
    }
    return NULL;
}

static bool vtd_check_not_nested(IntelIOMMUState *s, Error **errp)
{
    if (!(s->ecap & R_VTD_ECAP_NEST_MASK)) {
        return true;
    }
    error_setg(errp, "intel-iommu does not support assigned devices with "
               "x-nested=on: its nested translation is emulated only (use "
               "x-nested=off and x-flts=off)");
    return false;
}

bool vtd_check_host(IntelIOMMUState *s, HostIOMMUDevice *hiod, Error **errp)
{
    bool open = !s->host->frozen;

    if (!vtd_check_not_nested(s, errp) ||
        !vtd_check_caching_mode(s, open, errp) ||
        !vtd_check_host_caps(s, hiod, open, errp)) {
        return false;
    }
    if (s->flts) {
        error_setg(errp, "intel-iommu does not support assigned devices with "
                   "x-flts=on: stage-1 passthrough is not there yet "
                   "(use x-flts=off)");
        return false;
    }
    return true;
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
        trace_host_iommu_refused(hiod->name, error_get_pretty(*errp));
        return false;
    }
    trace_host_iommu_checked(hiod->name, s->host->frozen);
    if (!s->host->frozen) {
        vtd_adopt_host_caps(s, hiod);
    }

    dev = g_new0(VTDHostDevice, 1);
    dev->bus = bus;
    dev->devfn = devfn;
    dev->hiod = HOST_IOMMU_DEVICE(object_ref(hiod));
    QLIST_INSERT_HEAD(&s->host->devices, dev, next);
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

    QLIST_FOREACH(dev, &s->host->devices, next) {
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
    return s->flts && !(s->ecap & R_VTD_ECAP_NEST_MASK) ?
           VIOMMU_FLAG_WANT_NESTING_PARENT : 0;
}

bool vtd_check_unknown_host(IntelIOMMUState *s, DeviceState *dev,
                            Error **errp)
{
    if (!vtd_is_assigned(OBJECT(dev))) {
        return true;
    }
    /* With x-flts=on, whoever brings the device sees the flags and refuses */
    return vtd_check_not_nested(s, errp) &&
           (s->flts || vtd_check_host_caps(s, NULL, !s->host->frozen, errp));
}

bool vtd_host_is_frozen(IntelIOMMUState *s)
{
    return s->host->frozen;
}

void vtd_host_freeze(IntelIOMMUState *s)
{
    Object *obj = vtd_assigned_device();
    Error *err = NULL;

    if (obj && !vtd_check_unknown_host(s, DEVICE(obj), &err)) {
        vtd_refuse_assigned(obj, err);
    }
    s->host->frozen = true;
    trace_host_iommu_frozen(s->aw_bits, s->caching_mode);
}

void vtd_host_init(IntelIOMMUState *s)
{
    s->host = g_new0(VTDHostState, 1);
    QLIST_INIT(&s->host->devices);
    vtd_host_caps_init(s);
}
