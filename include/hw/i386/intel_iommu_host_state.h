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

typedef enum VTDOriginKind {
    VTD_ORIGIN_NONE,                /* the value was not adopted */
    VTD_ORIGIN_DEVICE,              /* an assigned device */
    VTD_ORIGIN_NAMED_HOST,          /* an IOMMU that host-iommu= names */
    VTD_ORIGIN_STREAM,              /* an incoming migration */
} VTDOriginKind;

/**
 * struct VTDHostOrigin - where a value was adopted
 *
 * @kind: which of the following there are
 * @device: name of a device, as its backend calls it, or as the stream says
 *     that the source's backend did; NULL: there is none
 * @path: the device's QOM path, with VTD_ORIGIN_DEVICE
 * @unit: name of the host's IOMMU, NULL: unknown
 */
typedef struct VTDHostOrigin {
    VTDOriginKind kind;
    char *device;
    char *path;
    char *unit;
} VTDHostOrigin;

/**
 * struct VTDHostAdopted - a field that was lowered to what a host has
 *
 * @before: the guest's value before anything was adopted
 * @origin: where the value in force was adopted; its strings are owned
 */
typedef struct VTDHostAdopted {
    uint64_t before;
    VTDHostOrigin origin;
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
