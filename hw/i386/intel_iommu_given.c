/*
 * Properties of intel-iommu that know whether somebody gave them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qobject/qobject.h"
#include "qom/qom-qobject.h"
#include "intel_iommu_given.h"

/* Returns: the bit of IntelIOMMUState.given that stands for @prop */
static uint64_t vtd_given_bit(const Property *prop)
{
    ObjectClass *oc = object_class_by_name(TYPE_INTEL_IOMMU_DEVICE);
    ptrdiff_t index = prop - DEVICE_CLASS(oc)->props_;

    g_assert(index >= 0 && index < 64);
    return 1ULL << index;
}

static void vtd_set(Object *obj, Visitor *v, const char *name, void *opaque,
                    const PropertyInfo *like, Error **errp)
{
    ERRP_GUARD();

    like->set(obj, v, name, opaque, errp);
    if (!*errp) {
        INTEL_IOMMU_DEVICE(obj)->given |= vtd_given_bit(opaque);
    }
}

static void vtd_get_bool(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    qdev_prop_bool.get(obj, v, name, opaque, errp);
}

static void vtd_set_bool(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    vtd_set(obj, v, name, opaque, &qdev_prop_bool, errp);
}

static void vtd_set_default_bool(ObjectProperty *op, const Property *prop)
{
    qdev_prop_bool.set_default_value(op, prop);
}

const PropertyInfo vtd_prop_bool = {
    .type = "bool",
    .description = "on/off",
    .get = vtd_get_bool,
    .set = vtd_set_bool,
    .set_default_value = vtd_set_default_bool,
};

static void vtd_get_uint8(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    qdev_prop_uint8.get(obj, v, name, opaque, errp);
}

static void vtd_set_uint8(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    vtd_set(obj, v, name, opaque, &qdev_prop_uint8, errp);
}

static void vtd_set_default_uint8(ObjectProperty *op, const Property *prop)
{
    qdev_prop_uint8.set_default_value(op, prop);
}

const PropertyInfo vtd_prop_uint8 = {
    .type = "uint8",
    .get = vtd_get_uint8,
    .set = vtd_set_uint8,
    .set_default_value = vtd_set_default_uint8,
};

/* The defaults were set by the same setters, which nobody means by "given" */
void vtd_given_init(Object *obj)
{
    INTEL_IOMMU_DEVICE(obj)->given = 0;
}

bool vtd_is_given(IntelIOMMUState *s, const char *property)
{
    ObjectClass *oc = object_class_by_name(TYPE_INTEL_IOMMU_DEVICE);
    DeviceClass *dc = DEVICE_CLASS(oc);
    ObjectProperty *op;
    QObject *value;
    bool given;
    int i;

    for (i = 0; i < dc->props_count_; i++) {
        const Property *prop = &dc->props_[i];

        if (!strcmp(prop->name, property) &&
            (prop->info == &vtd_prop_bool || prop->info == &vtd_prop_uint8)) {
            return s->given & vtd_given_bit(prop);
        }
    }

    op = object_property_find(OBJECT(s), property);
    value = object_property_get_qobject(OBJECT(s), property, &error_abort);
    given = !qobject_is_equal(value, op->defval);
    qobject_unref(value);
    return given;
}
