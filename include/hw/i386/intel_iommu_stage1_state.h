/*
 * What intel-iommu keeps of devices whose first-stage tables the host walks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_STAGE1_STATE_H
#define HW_I386_INTEL_IOMMU_STAGE1_STATE_H

#include "qemu/queue.h"

#define VTD_STAGE1_BUCKETS 256

typedef struct VTDStage1Group VTDStage1Group;
typedef struct VTDStage1Set VTDStage1Set;

/**
 * struct VTDStage1State - part of IntelIOMMUState, protected by the BQL
 *
 * @groups: the host's groups that have devices behind the vIOMMU
 * @sets: the tables that some of them are bound to, by their domain's lowest
 *     bits: Linux numbers domains in sequence
 * @pending: those that have invalidations which the host was not told of
 */
typedef struct VTDStage1State {
    QLIST_HEAD(, VTDStage1Group) groups;
    QLIST_HEAD(, VTDStage1Set) sets[VTD_STAGE1_BUCKETS];
    QLIST_HEAD(, VTDStage1Set) pending;
} VTDStage1State;

#endif /* HW_I386_INTEL_IOMMU_STAGE1_STATE_H */
