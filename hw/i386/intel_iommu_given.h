/*
 * Properties of intel-iommu that know whether somebody gave them
 *
 * A value that was given is a contract; one that was not may follow the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_GIVEN_H
#define HW_I386_INTEL_IOMMU_GIVEN_H

#include "hw/i386/intel_iommu.h"
#include "hw/qdev-properties.h"

/* Like qdev_prop_bool and qdev_prop_uint8, for IntelIOMMUState alone */
extern const PropertyInfo vtd_prop_bool;
extern const PropertyInfo vtd_prop_uint8;

#define DEFINE_PROP_VTD_BOOL(_name, _state, _field, _defval)            \
    DEFINE_PROP(_name, _state, _field, vtd_prop_bool, bool,             \
                .set_default = true, .defval.u = (bool)(_defval))
#define DEFINE_PROP_VTD_BOOL_NODEFAULT(_name, _state, _field)           \
    DEFINE_PROP(_name, _state, _field, vtd_prop_bool, bool)
#define DEFINE_PROP_VTD_UINT8(_name, _state, _field, _defval)           \
    DEFINE_PROP_UNSIGNED(_name, _state, _field, _defval,                \
                         vtd_prop_uint8, uint8_t)

/**
 * vtd_given_init() - instance_init of intel-iommu
 *
 * @obj: the IntelIOMMUState, to which nobody has given anything yet
 */
void vtd_given_init(Object *obj);

/**
 * vtd_is_given() - did somebody give this property a value?
 *
 * @s: the vIOMMU
 * @property: name of a property of intel-iommu
 *
 * Returns: whether the user did, be it the default's value, with -device or
 * -global, or the machine type. Properties that are not of this kind do not
 * remember: they are taken as given where they differ from their default.
 */
bool vtd_is_given(IntelIOMMUState *s, const char *property);

#endif /* HW_I386_INTEL_IOMMU_GIVEN_H */
