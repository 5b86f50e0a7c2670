/*
 * Devices of one IOMMU group of the host, in address spaces of the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "host-iommu.h"
#include "shared-group.h"
#include "viommu-flags.h"

/* Returns: the number of the group, NULL: unknown; the caller frees it */
static char *vfio_host_group(const VFIODevice *vbasedev)
{
    g_autofree char *folder = vfio_host_folder(vbasedev);
    g_autofree char *path = NULL;
    g_autofree char *target = NULL;

    path = folder ? g_build_filename(folder, "iommu_group", NULL) : NULL;
    target = path ? g_file_read_link(path, NULL) : NULL;
    return target ? g_path_get_basename(target) : NULL;
}

void vfio_explain_shared_group(const VFIODevice *vbasedev,
                               const AddressSpace *as, Error **errp)
{
    ERRP_GUARD();
    g_autofree char *group = vfio_host_group(vbasedev);
    VFIODevice *other;

    QLIST_FOREACH(other, &vfio_device_list, global_next) {
        g_autofree char *others = vfio_host_group(other);

        if (group && !g_strcmp0(group, others) && other->bcontainer &&
            other->bcontainer->space->as != as) {
            error_prepend(errp, "%s is in the same IOMMU group of the host, "
                          "%s, which has one address space, but the vIOMMU "
                          "gives each function its own (put both behind one "
                          "pcie-pci-bridge): ", other->name, group);
            return;
        }
        if (group && !g_strcmp0(group, others) && other->bcontainer &&
            vfio_wants_nesting_parent(vbasedev)) {
            error_prepend(errp, "%s is in the same IOMMU group of the host, "
                          "%s, which has one set of page tables (put both "
                          "behind the vIOMMU, and plug both before the guest "
                          "uses either): ", other->name, group);
            return;
        }
    }
}
