/*
 * Hosts that the user names, before there is a device
 *
 * They are adopted from as devices are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_NAMED_HOST_H
#define HW_I386_INTEL_IOMMU_NAMED_HOST_H

#include "hw/i386/intel_iommu.h"

/**
 * vtd_adopt_named_hosts() - follow the units that host-iommu= names
 *
 * Lowers what was left open, as a device behind each of the units would, and
 * turns caching-mode on, so that such a device can be plugged later. A width
 * that nobody gave is open, whatever its default is.
 *
 * @s: the vIOMMU, being realized, that has its table of fields. The units
 *     become its QOM children.
 * @errp: what is wrong with the name, and which units there are; what does
 *     not fit
 *
 * Returns: whether all is well; so it is where nothing is named
 */
bool vtd_adopt_named_hosts(IntelIOMMUState *s, Error **errp);

#endif /* HW_I386_INTEL_IOMMU_NAMED_HOST_H */
