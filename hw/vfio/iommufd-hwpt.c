/*
 * The default HWPT of a VFIO device that is attached through iommufd
 *
 * Called by hw/vfio/iommufd.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>
#include "qapi/error.h"
#include "hw/iommu.h"
#include "host-iommu.h"
#include "system/host_iommu_sysfs.h"
#include "system/host_iommu_vtd.h"
#include "system/iommufd.h"
#include "trace.h"
#include "viommu-flags.h"

static bool vfio_wants_nesting_parent(const VFIODevice *vdev)
{
    return vdev->viommu_flags & VIOMMU_FLAG_WANT_NESTING_PARENT;
}

bool vfio_hwpt_suits(const VFIOIOASHwpt *hwpt, const VFIODevice *vdev)
{
    return !vfio_wants_nesting_parent(vdev) ||
           hwpt->hwpt_flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
}

bool vfio_iommufd_skips_map(const VFIOIOMMUFDContainer *container,
                            bool readonly)
{
    const VFIOIOASHwpt *hwpt;

    if (readonly) {
        QLIST_FOREACH(hwpt, &container->hwpt_list, next) {
            if (hwpt->hwpt_flags & IOMMU_HWPT_ALLOC_NEST_PARENT) {
                trace_host_iommu_read_only_skipped(container->ioas_id);
                return true;
            }
        }
    }
    return false;
}

/* Returns: why the host IOMMU behind @vdev does not nest */
static char *vfio_nesting_obstacle(VFIODevice *vdev)
{
    static const struct {
        uint64_t bit;
        const char *text;
    } needed[] = {
        { R_VTD_ECAP_SMTS_MASK, "scalable mode" },
        { R_VTD_ECAP_SSTS_MASK, "second-stage translation" },
        { R_VTD_ECAP_NEST_MASK, "nested translation" },
    };
    g_autoptr(GString) lacks = g_string_new("");
    struct iommu_hw_info_vtd vtd = {};
    uint64_t hw_caps;
    uint32_t type;
    int i;

    if (!iommufd_backend_get_device_info(vdev->iommufd, vdev->devid, &type,
                                         &vtd, sizeof(vtd), &hw_caps, NULL)) {
        return g_strdup("what it can do is unknown");
    }
    if (type != IOMMU_HW_INFO_TYPE_INTEL_VTD) {
        return g_strdup_printf("it is no %s", host_iommu_type_name(
                               HOST_IOMMU_TYPE_INTEL_VTD));
    }
    for (i = 0; i < ARRAY_SIZE(needed); i++) {
        if (!(vtd.ecap_reg & needed[i].bit)) {
            g_string_append_printf(lacks, "%s%s", lacks->len ? ", " :
                                   "it lacks ", needed[i].text);
        }
    }
    if (!lacks->len) {
        g_string_append(lacks, "it can, so scalable mode may be off in the "
                        "host's kernel, see intel_iommu=sm_on");
    }
    return g_strdup(lacks->str);
}

static bool vfio_hwpt_alloc_with(VFIODevice *vdev, uint32_t ioas_id,
                                 uint32_t flags, uint32_t *hwpt_id,
                                 Error **errp)
{
    return iommufd_backend_alloc_hwpt(vdev->iommufd, vdev->devid, ioas_id,
                                      flags, IOMMU_HWPT_DATA_NONE, 0, NULL,
                                      hwpt_id, errp);
}

static bool vfio_hwpt_alloc_parent(VFIODevice *vdev, uint32_t ioas_id,
                                   uint32_t *flags, uint32_t *hwpt_id,
                                   Error **errp)
{
    ERRP_GUARD();
    g_autofree char *folder = NULL;
    g_autofree char *unit = NULL;
    g_autofree char *obstacle = NULL;

    *flags |= IOMMU_HWPT_ALLOC_NEST_PARENT;
    if (*flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) {
        if (vfio_hwpt_alloc_with(vdev, ioas_id, *flags, hwpt_id, NULL)) {
            return true;
        }
        *flags &= ~IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
    }
    if (vfio_hwpt_alloc_with(vdev, ioas_id, *flags, hwpt_id, errp)) {
        return true;
    }

    folder = vfio_host_iommu_folder(vdev);
    unit = folder ? host_iommu_sysfs_unit(folder) : NULL;
    obstacle = vfio_nesting_obstacle(vdev);
    error_prepend(errp, "host IOMMU%s%s refuses a nesting parent, which the "
                  "vIOMMU wants: %s (intel-iommu has x-flts=on: use "
                  "x-flts=off): ", unit ? " " : "", unit ?: "", obstacle);
    return false;
}

bool vfio_hwpt_alloc(VFIODevice *vdev, uint32_t ioas_id, uint32_t *flags,
                     uint32_t *hwpt_id, Error **errp)
{
    if (vfio_wants_nesting_parent(vdev)) {
        return vfio_hwpt_alloc_parent(vdev, ioas_id, flags, hwpt_id, errp);
    }
    return vfio_hwpt_alloc_with(vdev, ioas_id, *flags, hwpt_id, errp);
}
