/*
 * What intel-iommu keeps for its migration
 *
 * Part of IntelIOMMUState, which owns all of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_MIGRATION_STATE_H
#define HW_I386_INTEL_IOMMU_MIGRATION_STATE_H

#include "hw/i386/intel_iommu_host_state.h"

/* A field that the source adopted, as it travels; strings end with NULs */
typedef struct VTDCarried {
    uint8_t name[16];
    uint64_t value;
    uint8_t device[64];             /* vtd_origin_name(), maybe cut */
    uint8_t unit[32];               /* that host's IOMMU, "": unknown */
} VTDCarried;

/* A value, and where it was adopted */
typedef struct VTDOrigin {
    uint64_t value;
    VTDHostOrigin from;
} VTDOrigin;

/**
 * struct VTDMigrationState - protected by the BQL
 *
 * @blocker: what blocks migration in normal mode, or NULL
 * @limits: as frozen, one a field of the table; own their strings
 * @n_carried: how many of @carried are valid
 * @carried: filled by pre_save or by a stream that arrives, and read in the
 *     course of that alone
 */
typedef struct VTDMigrationState {
    Error *blocker;
    VTDOrigin limits[VTD_HOST_FIELDS_MAX];
    uint8_t n_carried;
    VTDCarried carried[VTD_HOST_FIELDS_MAX];
} VTDMigrationState;

#endif /* HW_I386_INTEL_IOMMU_MIGRATION_STATE_H */
