/*
 * What a host can limit in intel-iommu's CAP and ECAP
 *
 * One table of fields, and its readers.
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
 * @name: stable name, as used by QMP; static
 * @carried: its name in a migration stream; static
 * @text: name as people read it; static
 * @open: the user left it to the host
 * @property: what the user turns where it does not fit, NULL: nothing; static
 * @set_by: property that @guest follows, NULL: none; static
 * @given: did the user or the machine type give @set_by a value?
 * @guest: what the guest is told
 * @adopted: where that was adopted, NULL: it was not; of the vIOMMU
 * @host: what the host has; valid with @host_known
 * @host_known: is @host known?
 * @fits: can the host back the guest's value, as things are?
 */
typedef struct VTDHostFieldState {
    const char *name;
    const char *carried;
    const char *text;
    const char *property;
    bool open;
    const char *set_by;
    bool given;
    uint64_t guest;
    const VTDHostAdopted *adopted;
    uint64_t host;
    bool host_known;
    bool fits;
} VTDHostFieldState;

/**
 * vtd_host_field() - read one field of the table
 *
 * @s: the vIOMMU, or NULL, which has nothing that could fit or not
 * @hiod: the host, or NULL, of which nothing is known
 * @index: 0 and up
 * @field: filled
 *
 * Returns: false when there is no field of that index
 */
bool vtd_host_field(IntelIOMMUState *s, HostIOMMUDevice *hiod, int index,
                    VTDHostFieldState *field);

/**
 * vtd_host_field_in() - read one field from register words
 *
 * @index: of a field that vtd_host_field() knows
 * @cap: Capability Register, of this vIOMMU or another one
 * @ecap: Extended Capability Register of the same
 */
uint64_t vtd_host_field_in(int index, uint64_t cap, uint64_t ecap);

/**
 * vtd_host_field_fits() - could the host back another value?
 *
 * @s: the vIOMMU
 * @hiod: the host
 * @index: of a field that vtd_host_field() knows
 * @guest: what the guest would be told
 */
bool vtd_host_field_fits(IntelIOMMUState *s, HostIOMMUDevice *hiod, int index,
                         uint64_t guest);

/**
 * vtd_host_field_value() - a field's value as people read it
 *
 * @index: of a field that vtd_host_field() knows
 * @value: the value
 *
 * Returns: a number, "on" or "off"; the caller frees it
 */
char *vtd_host_field_value(int index, uint64_t value);

/**
 * vtd_host_field_setting() - how to give a field's value
 *
 * @index: of a field that has a property
 * @value: the value
 *
 * Returns: "property=value", with libvirt's attribute where there is one; the
 * caller frees it
 */
char *vtd_host_field_setting(int index, uint64_t value);

/**
 * vtd_host_field_obstacle() - what keeps an open field from a lower value?
 *
 * @s: the vIOMMU
 * @index: of an open field
 * @value: the value, lower than or equal to that in force at the start
 *
 * Returns: NULL where nothing does; the caller frees it
 */
char *vtd_host_field_obstacle(IntelIOMMUState *s, int index, uint64_t value);

/**
 * vtd_origin_name() - one name for where a value was adopted
 *
 * @origin: a place, or none
 *
 * Returns: the name of the device where there is one, else that of the
 * IOMMU, else words for a stream; of @origin or static. NULL for none
 */
const char *vtd_origin_name(const VTDHostOrigin *origin);

/* What vtd_origin_name() calls a stream that names nothing */
#define VTD_FROM_STREAM "the incoming stream"

/**
 * vtd_set_host_field() - have an open field adopt a value
 *
 * Remembers what was there before and where it is from.
 *
 * @s: the vIOMMU
 * @index: of an open field
 * @value: one that vtd_host_field_obstacle() has nothing against
 * @origin: where it is from; copied. VTD_ORIGIN_NONE: it comes back to what was
 *     there before anything was adopted
 */
void vtd_set_host_field(IntelIOMMUState *s, int index, uint64_t value,
                        const VTDHostOrigin *origin);

/**
 * vtd_check_host_caps() - can the host back what the guest is told?
 *
 * Changes nothing.
 *
 * @s: the vIOMMU
 * @hiod: the host, or NULL, of which nothing is known
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
 * Cannot fail: vtd_check_host_caps() comes before. Remembers what was there
 * before, and what lowered it. Registers and masks follow at the reset that
 * comes between machine-done and the guest's first step.
 *
 * @s: the vIOMMU
 * @hiod: the host; QOM child of the assigned device, or, where the user named
 *     the host, of @s
 */
void vtd_adopt_host_caps(IntelIOMMUState *s, HostIOMMUDevice *hiod);

#endif /* HW_I386_INTEL_IOMMU_HOST_CAPS_H */
