/*
 * What intel-iommu reports of itself
 *
 * For query-viommu and query-host-iommu.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_INFO_H
#define HW_I386_INTEL_IOMMU_INFO_H

#include "qom/object.h"

/**
 * vtd_info_class_init() - implement TYPE_VIOMMU_INFO
 *
 * @oc: the class of intel-iommu, which has that interface
 */
void vtd_info_class_init(ObjectClass *oc);

#endif /* HW_I386_INTEL_IOMMU_INFO_H */
