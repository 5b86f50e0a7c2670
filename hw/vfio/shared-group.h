/*
 * Devices of one IOMMU group of the host, in address spaces of the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_SHARED_GROUP_H
#define HW_VFIO_SHARED_GROUP_H

#include "hw/vfio/vfio-common.h"

/**
 * vfio_explain_shared_group() - say so where an attach failed for its group
 *
 * A group of the host has one address space, whatever the backend. A vIOMMU
 * gives each function of the guest its own, unless they share a requester ID.
 *
 * @vbasedev: the device that was to be attached
 * @as: the address space that it has in the guest
 * @errp: what the attach failed with; put after the explanation where another
 *     device of the group is attached to another address space
 */
void vfio_explain_shared_group(const VFIODevice *vbasedev,
                               const AddressSpace *as, Error **errp);

#endif /* HW_VFIO_SHARED_GROUP_H */
