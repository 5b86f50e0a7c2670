/*
 * What virtual IOMMUs tell of themselves
 *
 * The map of hw/core/viommu-info.c, which answers query-viommu. Included by
 * vIOMMUs, which implement the interface; knows none of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VIOMMU_INFO_H
#define HW_VIOMMU_INFO_H

#include "qapi/qapi-types-host-iommu.h"
#include "qom/object.h"
#include "system/host_iommu_device.h"

#define TYPE_VIOMMU_INFO "viommu-info"

typedef struct VIOMMUInfoClass VIOMMUInfoClass;
DECLARE_CLASS_CHECKERS(VIOMMUInfoClass, VIOMMU_INFO, TYPE_VIOMMU_INFO)

/* An interface of devices */
struct VIOMMUInfoClass {
    InterfaceClass parent_class;

    /**
     * @query: tell all
     *
     * @obj: the vIOMMU, realized
     * @info: zeroed but for @qom_path and @type, which are the caller's
     */
    void (*query)(Object *obj, ViommuInfo *info);
};

/**
 * viommu_info_add_device() - tell of one device what every vIOMMU would
 *
 * @info: gets the device
 * @hiod: its host; child of the device
 *
 * Returns: what was added, without misfits; owned by @info
 */
ViommuHostDevice *viommu_info_add_device(ViommuInfo *info,
                                         HostIOMMUDevice *hiod);

#endif /* HW_VIOMMU_INFO_H */
