/*
 * intel-iommu's caching-mode, which every assigned device needs
 *
 * Given, it is a contract; left open, it follows the assigned devices that
 * are there when the guest starts.
 *
 * Copyright (C) 2013 Knut Omang, Oracle <knut.omang@oracle.com>
 * Copyright (C) 2014 Le Tan, <tamlokveer@gmail.com>
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/pci/pci_device.h"
#include "intel_iommu_caching_mode.h"
#include "intel_iommu_given.h"

static int vtd_find_assigned(Object *obj, void *found)
{
    if (object_dynamic_cast(obj, TYPE_PCI_DEVICE) &&
        PCI_DEVICE(obj)->assigned) {
        *(Object **)found = obj;
        return 1;
    }
    return 0;
}

Object *vtd_assigned_device(void)
{
    Object *found = NULL;

    object_child_foreach_recursive(object_get_root(), vtd_find_assigned,
                                   &found);
    return found;
}

bool vtd_check_order(Error **errp)
{
    Object *obj = vtd_assigned_device();

    if (obj) {
        g_autofree char *path = object_get_canonical_path(obj);

        error_setg(errp, "%s %s precedes intel-iommu, which would not know "
                   "of it: put intel-iommu first on the command line, and "
                   "both as JSON or neither", object_get_typename(obj), path);
        return false;
    }
    return true;
}

bool vtd_check_caching_mode(IntelIOMMUState *s, bool open, Error **errp)
{
    if (s->caching_mode || (open && !vtd_is_given(s, "caching-mode"))) {
        return true;
    }
    error_setg(errp, "an assigned device needs intel-iommu's caching-mode, "
               "which is off (%s caching-mode=on, in libvirt "
               "caching_mode='on'%s)",
               open ? "use" : "fixed since the VM started: start it with",
               open ? ", or leave it out" : "");
    return false;
}

void vtd_resolve_caching_mode(IntelIOMMUState *s)
{
    if (vtd_assigned_device()) {
        s->caching_mode = true;
    }
}

bool vtd_check_arriving_caching_mode(IntelIOMMUState *s, bool on, Error **errp)
{
    Object *obj = on || vtd_is_given(s, "caching-mode") ?
                  NULL : vtd_assigned_device();

    if (obj) {
        g_autofree char *path = object_get_canonical_path(obj);

        error_setg(errp, "caching-mode is off in the stream, and %s %s needs "
                   "it (start the source with caching-mode=on, in libvirt "
                   "caching_mode='on')", object_get_typename(obj), path);
        return false;
    }
    return true;
}

bool vtd_follow_caching_mode(IntelIOMMUState *s, bool on)
{
    if (vtd_is_given(s, "caching-mode") || s->caching_mode == on) {
        return false;
    }
    s->caching_mode = on;
    return true;
}
