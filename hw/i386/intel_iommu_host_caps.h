/*
 * What a host can limit in intel-iommu's CAP and ECAP
 *
 * The map of intel_iommu_host_caps.c, which holds one table of fields and
 * its readers. Included by intel_iommu_host.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_HOST_CAPS_H
#define HW_I386_INTEL_IOMMU_HOST_CAPS_H

#include "hw/i386/intel_iommu.h"
#include "system/host_iommu_device.h"

/**
 * struct VTDHostFieldState - one field of the table, guest and host
 *
 * @name: stable name, as used by properties and QMP; static
 * @text: name as people read it; static
 * @guest: what the guest is told
 * @host: what the host has; valid with @host_known
 * @host_known: could somebody tell?
 * @fits: can the host back the guest's value, as things are?
 */
typedef struct VTDHostFieldState {
    const char *name;
    const char *text;
    uint64_t guest;
    uint64_t host;
    bool host_known;
    bool fits;
} VTDHostFieldState;

/**
 * vtd_host_field() - read one field of the table
 *
 * @s: the vIOMMU
 * @hiod: the host
 * @index: 0 and up
 * @field: filled
 *
 * Returns: false when there is no field of that index
 */
bool vtd_host_field(IntelIOMMUState *s, HostIOMMUDevice *hiod, int index,
                    VTDHostFieldState *field);

/**
 * vtd_check_host_caps() - can the host back what the guest is told?
 *
 * Changes nothing.
 *
 * @s: the vIOMMU
 * @hiod: the host
 * @open: may what the user left open still be lowered?
 * @errp: every field that does not fit, with both values and what to do
 *
 * Returns: whether the host can, once vtd_adopt_host_caps() has run where
 * @open
 */
bool vtd_check_host_caps(IntelIOMMUState *s, HostIOMMUDevice *hiod, bool open,
                         Error **errp);

/**
 * vtd_adopt_host_caps() - lower what the user left open to what the host has
 *
 * Cannot fail: vtd_check_host_caps() comes before. Registers and masks
 * follow at the reset that comes between machine-done and the guest's first
 * step.
 *
 * @s: the vIOMMU
 * @hiod: the host
 */
void vtd_adopt_host_caps(IntelIOMMUState *s, HostIOMMUDevice *hiod);

#endif /* HW_I386_INTEL_IOMMU_HOST_CAPS_H */
