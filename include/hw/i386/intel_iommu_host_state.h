/*
 * What intel-iommu keeps of its assigned devices and their hosts
 *
 * Part of IntelIOMMUState, which owns all of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_HOST_STATE_H
#define HW_I386_INTEL_IOMMU_HOST_STATE_H

#include "qemu/queue.h"

/* At least as many as the table of intel_iommu_host_caps.c has */
#define VTD_HOST_FIELDS_MAX 16

typedef struct VTDHostDevice VTDHostDevice;

/**
 * struct VTDHostAdopted - a field that was lowered to what a host has
 *
 * @before: the guest's value before anything was adopted
 * @device: name of the device whose host has the value in force; owned,
 *     NULL: nothing was adopted
 * @unit: name of that host's IOMMU; owned, NULL: unknown
 */
typedef struct VTDHostAdopted {
    uint64_t before;
    char *device;
    char *unit;
} VTDHostAdopted;

/**
 * struct VTDHostState - protected by the BQL
 *
 * @devices: assigned devices that introduced themselves
 * @adopted: one a field of the table
 * @frozen: may the guest have seen CAP and ECAP?
 */
typedef struct VTDHostState {
    QLIST_HEAD(, VTDHostDevice) devices;
    VTDHostAdopted adopted[VTD_HOST_FIELDS_MAX];
    bool frozen;
} VTDHostState;

#endif /* HW_I386_INTEL_IOMMU_HOST_STATE_H */
