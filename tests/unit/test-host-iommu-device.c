/*
 * HostIOMMUDevice: filled once, shown where known, and gone without a trace
 *
 * A realize method of this file stands for VFIO's, a container for the device
 * that is assigned. Run with leak detection, it also tells who owns what.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "qemu/range.h"
#include "system/host_iommu_device.h"

#define TYPE_FAKE TYPE_HOST_IOMMU_DEVICE "-fake"

/* What host_iommu_device_new() hands to fake_realize() */
typedef struct Host {
    HostIOMMUDeviceCaps caps;
    const char *unit;
    bool fails;                     /* after all of it was filled in */
} Host;

static int objects;                 /* of TYPE_FAKE that there are */

static Range *new_range(uint64_t lob, uint64_t upb)
{
    Range *range = g_new(Range, 1);

    range_set_bounds(range, lob, upb);
    return range;
}

static bool fake_realize(HostIOMMUDevice *hiod, void *opaque, Error **errp)
{
    Host *host = opaque;

    hiod->name = g_strdup("fake");
    hiod->unit = g_strdup(host->unit);
    hiod->caps = host->caps;
    hiod->caps.iova_ranges = g_list_append(NULL, new_range(0, UINT32_MAX));
    if (host->fails) {
        error_setg(errp, "no host");
        return false;
    }
    return true;
}

static void fake_init(Object *obj)
{
    objects++;
}

static void fake_finalize(Object *obj)
{
    objects--;
}

static void fake_class_init(ObjectClass *oc, void *data)
{
    HOST_IOMMU_DEVICE_CLASS(oc)->realize = fake_realize;
}

static const TypeInfo fake_info = {
    .name = TYPE_FAKE,
    .parent = TYPE_HOST_IOMMU_DEVICE,
    .instance_init = fake_init,
    .instance_finalize = fake_finalize,
    .class_init = fake_class_init,
};

static Object *child_of(Object *owner)
{
    return object_resolve_path_component(owner, TYPE_HOST_IOMMU_DEVICE);
}

static void assert_shown(HostIOMMUDevice *hiod, const char *const *names,
                         bool shown)
{
    for (; *names; names++) {
        g_test_message("%s", *names);
        g_assert_cmpint(!!object_property_find(OBJECT(hiod), *names), ==,
                        shown);
    }
}

static void assert_string(HostIOMMUDevice *hiod, const char *name,
                          const char *want)
{
    g_autofree char *got = object_property_get_str(OBJECT(hiod), name,
                                                   &error_abort);

    g_assert_cmpstr(got, ==, want);
}

static void assert_number(HostIOMMUDevice *hiod, const char *name,
                          uint64_t want)
{
    Error *err = NULL;

    g_assert_cmphex(object_property_get_uint(OBJECT(hiod), name,
                                             &error_abort), ==, want);
    /* constant */
    g_assert_false(object_property_set_uint(OBJECT(hiod), name, 1, &err));
    error_free_or_abort(&err);
}

static const char *const optional[] = {
    "unit", "aw-bits", "pasid-bits", "hw-caps", "vtd-cap", "vtd-ecap", NULL
};

static void test_known(void)
{
    Host host = {
        .unit = "dmar1",
        .caps = {
            .type = HOST_IOMMU_TYPE_INTEL_VTD,
            .source = HOST_IOMMU_SOURCE_SYSFS,
            .aw_bits = 39, .pasid_bits = 20,
            .has_hw_caps = true, .hw_caps = 5,
            .vtd = { .cap = UINT64_MAX, .ecap = 0x1234 },
        },
    };
    Object *owner = object_new(TYPE_CONTAINER);
    HostIOMMUDevice *hiod = host_iommu_device_new(TYPE_FAKE, owner, &host,
                                                  &error_abort);

    g_assert_true(child_of(owner) == OBJECT(hiod));
    assert_shown(hiod, optional, true);
    assert_string(hiod, "name", "fake");
    assert_string(hiod, "unit", "dmar1");
    assert_string(hiod, "iommu-type", "intel-vtd");
    assert_string(hiod, "source", "sysfs");
    assert_number(hiod, "aw-bits", 39);
    assert_number(hiod, "pasid-bits", 20);
    assert_number(hiod, "hw-caps", 5);
    assert_number(hiod, "vtd-cap", UINT64_MAX);
    assert_number(hiod, "vtd-ecap", 0x1234);

    /* outlives its owner, as long as its agent needs it */
    object_unref(owner);
    g_assert_cmpint(objects, ==, 1);
    assert_string(hiod, "name", "fake");
    host_iommu_device_free(hiod);
    g_assert_cmpint(objects, ==, 0);
}

static void test_unknown(void)
{
    Host host = { };
    Object *owner = object_new(TYPE_CONTAINER);
    HostIOMMUDevice *hiod = host_iommu_device_new(TYPE_FAKE, owner, &host,
                                                  &error_abort);

    assert_shown(hiod, optional, false);
    assert_string(hiod, "iommu-type", "unknown");
    assert_string(hiod, "source", "none");
    host_iommu_device_free(hiod);
    object_unref(owner);
    g_assert_cmpint(objects, ==, 0);
}

/* Registers of VT-d say nothing of another IOMMU */
static void test_other_type(void)
{
    static const char *const vtd[] = { "vtd-cap", "vtd-ecap", NULL };
    Host host = {
        .caps = {
            .type = HOST_IOMMU_TYPE_ARM_SMMUV3,
            .source = HOST_IOMMU_SOURCE_IOMMUFD,
            .vtd = { .cap = 1, .ecap = 1 },
        },
    };
    Object *owner = object_new(TYPE_CONTAINER);
    HostIOMMUDevice *hiod = host_iommu_device_new(TYPE_FAKE, owner, &host,
                                                  &error_abort);

    assert_shown(hiod, vtd, false);
    assert_string(hiod, "iommu-type", "arm-smmuv3");
    assert_string(hiod, "source", "iommufd");
    host_iommu_device_free(hiod);
    object_unref(owner);
    g_assert_cmpint(objects, ==, 0);
}

static void test_failing_realize(void)
{
    Host host = { .unit = "dmar1", .fails = true };
    Object *owner = object_new(TYPE_CONTAINER);
    HostIOMMUDevice *hiod;
    Error *err = NULL;

    hiod = host_iommu_device_new(TYPE_FAKE, owner, &host, &err);
    g_assert_null(hiod);
    g_assert_cmpstr(error_get_pretty(err), ==, "no host");
    error_free(err);
    g_assert_null(child_of(owner));
    g_assert_cmpint(objects, ==, 0);

    /* nor does it stand in the way of the next attempt */
    host.fails = false;
    hiod = host_iommu_device_new(TYPE_FAKE, owner, &host, &error_abort);
    g_assert_true(child_of(owner) == OBJECT(hiod));
    host_iommu_device_free(hiod);
    object_unref(owner);
    g_assert_cmpint(objects, ==, 0);
}

static void test_free(void)
{
    Host host = { };
    Object *owner = object_new(TYPE_CONTAINER);
    HostIOMMUDevice *hiod = host_iommu_device_new(TYPE_FAKE, owner, &host,
                                                  &error_abort);

    /* as a vIOMMU that knows it does */
    object_ref(OBJECT(hiod));
    host_iommu_device_free(hiod);
    g_assert_null(child_of(owner));
    g_assert_cmpint(objects, ==, 1);
    assert_string(hiod, "name", "fake");
    object_unref(OBJECT(hiod));
    g_assert_cmpint(objects, ==, 0);

    host_iommu_device_free(NULL);
    object_unref(owner);
}

static void test_iova_ranges_bits(void)
{
    static const struct {
        uint64_t upb;
        uint8_t bits;
    } ends[] = {
        { 1, 1 }, { UINT32_MAX, 32 }, { 1ULL << 32, 33 },
        { (1ULL << 39) - 1, 39 }, { 1ULL << 39, 40 },
        { (1ULL << 48) - 1, 48 }, { UINT64_MAX, 64 },
    };
    int i;

    g_assert_cmpint(host_iommu_iova_ranges_bits(NULL), ==,
                    HOST_IOMMU_BITS_UNKNOWN);
    for (i = 0; i < ARRAY_SIZE(ends); i++) {
        GList *ranges = g_list_append(NULL, new_range(0, ends[i].upb));

        g_assert_cmpint(host_iommu_iova_ranges_bits(ranges), ==,
                        ends[i].bits);
        g_list_free_full(ranges, g_free);
    }
}

/* The last range decides; holes and a late start do not matter */
static void test_iova_ranges_bits_with_holes(void)
{
    GList *ranges = NULL;

    ranges = g_list_append(ranges, new_range(0x1000, 0xfedfffff));
    ranges = g_list_append(ranges, new_range(0xfef00000, (1ULL << 46) - 1));
    g_assert_cmpint(host_iommu_iova_ranges_bits(ranges), ==, 46);
    g_list_free_full(ranges, g_free);
}

static void test_type_names(void)
{
    g_assert_cmpstr(host_iommu_type_name(HOST_IOMMU_TYPE_UNKNOWN), ==,
                    "unknown");
    g_assert_cmpstr(host_iommu_type_name(HOST_IOMMU_TYPE_AMD_VI), ==,
                    "amd-vi");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);
    type_register_static(&fake_info);

    g_test_add_func("/host-iommu-device/known", test_known);
    g_test_add_func("/host-iommu-device/unknown", test_unknown);
    g_test_add_func("/host-iommu-device/other-type", test_other_type);
    g_test_add_func("/host-iommu-device/failing-realize",
                    test_failing_realize);
    g_test_add_func("/host-iommu-device/free", test_free);
    g_test_add_func("/host-iommu-device/iova-ranges/bits",
                    test_iova_ranges_bits);
    g_test_add_func("/host-iommu-device/iova-ranges/with-holes",
                    test_iova_ranges_bits_with_holes);
    g_test_add_func("/host-iommu-device/type-names", test_type_names);
    return g_test_run();
}
