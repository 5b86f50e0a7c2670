/*
 * Page tables of iommufd that follow an address space of the vIOMMU, beside
 * those that a device nests on
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_SHADOW_H
#define HW_VFIO_SHADOW_H

#include "hw/vfio/vfio-common.h"

typedef struct VFIOShadow VFIOShadow;

/**
 * vfio_shadow_new() - make page tables, and fill them
 *
 * An IOAS and an HWPT (linux/iommufd.h). Dirty logging leaves them alone: a
 * device that nests does not migrate.
 *
 * @vdev: a device of the iommufd backend, for whose IOMMU the tables are
 * @as: the address space, without RAM regions of its own
 * @hwpt_id: set to the HWPT, to attach devices to
 * @errp: what iommufd or the vIOMMU says
 *
 * Returns: what vfio_shadow_free() takes, or NULL
 */
VFIOShadow *vfio_shadow_new(VFIODevice *vdev, AddressSpace *as,
                            uint32_t *hwpt_id, Error **errp);

/* No device is attached to the tables */
void vfio_shadow_free(VFIOShadow *shadow);

#endif /* HW_VFIO_SHADOW_H */
