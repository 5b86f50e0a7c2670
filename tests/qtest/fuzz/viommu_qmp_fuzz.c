/*
 * QMP of virtual IOMMUs and of what stands for assigned devices: queries, and
 * devices with each of their properties
 *
 * intel-iommu itself is realized at start alone, which is left to qtests; its
 * properties are set here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qmp-registry.h"
#include "qobject/qbool.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qnull.h"
#include "qobject/qnum.h"
#include "qobject/qstring.h"
#include "hw/i386/intel_iommu.h"
#include "hw/misc/host-iommu-testdev.h"
#include "hw/qdev-properties.h"
#include "monitor/monitor-internal.h"
#include "qom/object_interfaces.h"
#include "qom/qom-qobject.h"
#include "fuzz.h"
#include "viommu_fuzz.h"

#define MAX_STEPS       32
#define MAX_TEXT        32

static const char *const devices[FUZZ_SLOTS];

static QObject *take_string(FuzzInput *in)
{
    static const char *const known[] = {
        "", "none", "iommufd", "sysfs", "intel-vtd", "arm-smmuv3", "amd-vi",
        "dmar0", "dmar0:dmar1", "all", "0000:00:02.0", "on", "off", "auto",
        "0", "39", "48", "0xffffffffffffffff",
    };
    uint8_t which = fuzz_take_u8(in);
    char bytes[MAX_TEXT + 1] = "";
    g_autofree char *text = NULL;

    if (which < 0x80) {
        return QOBJECT(qstring_from_str(known[which % ARRAY_SIZE(known)]));
    }
    fuzz_take(in, bytes, which % sizeof(bytes));
    text = g_utf8_make_valid(bytes, -1);
    return QOBJECT(qstring_from_str(text));
}

static QObject *take_value(FuzzInput *in)
{
    switch (fuzz_take_u8(in) % 10) {
    case 0:
        return QOBJECT(qnull());
    case 1:
        return QOBJECT(qlist_new());
    case 2:
        return QOBJECT(qdict_new());
    case 3:
        return QOBJECT(qnum_from_int((int64_t)fuzz_take_u64(in)));
    case 4:
        return QOBJECT(qnum_from_uint(fuzz_take_u64(in)));
    case 5:
        return QOBJECT(qnum_from_uint(fuzz_take_u8(in)));
    case 6:
    case 7:
        return QOBJECT(qbool_from_bool(fuzz_take_u8(in) & 1));
    default:
        return take_string(in);
    }
}

/* Properties of @type and of the type that it is one of, but not of others */
static void take_properties(FuzzInput *in, const char *type, QDict *to)
{
    ObjectClass *oc = object_class_by_name(type);
    unsigned int n = fuzz_take_u8(in) % 16;

    while (n--) {
        uint8_t which = fuzz_take_u8(in);
        DeviceClass *dc = DEVICE_CLASS(which & 0x80 ?
                                       object_class_get_parent(oc) : oc);

        if (dc->props_count_) {
            qdict_put_obj(to, dc->props_[which % dc->props_count_].name,
                          take_value(in));
        }
    }
}

/* @arguments: whose reference is taken */
static void execute(const char *command, QDict *arguments)
{
    g_autoptr(QDict) request = qdict_new();

    qdict_put_str(request, "execute", command);
    qdict_put(request, "arguments", arguments);
    qobject_unref(qmp_dispatch(&qmp_commands, QOBJECT(request), false, NULL));
}

static void add_device(FuzzInput *in)
{
    static const char *const drivers[] = {
        TYPE_HOST_IOMMU_TESTDEV, TYPE_DMA_TESTDEV, TYPE_INTEL_IOMMU_DEVICE,
    };
    unsigned int slot = fuzz_take_u8(in) % FUZZ_SLOTS;
    uint8_t which = fuzz_take_u8(in);
    const char *driver = which >= ARRAY_SIZE(drivers) ? drivers[0] :
                         drivers[which];
    g_autofree char *id = g_strdup_printf("dev%u", slot);
    g_autofree char *bus = g_strdup_printf("rp%u", slot);
    QDict *arguments = qdict_new();

    take_properties(in, driver, arguments);
    qdict_put_str(arguments, "driver", driver);
    qdict_put_str(arguments, "id", id);
    qdict_put_str(arguments, "bus", bus);
    execute("device_add", arguments);
}

/* One that is never realized */
static void set_viommu_properties(FuzzInput *in)
{
    Object *obj = object_new(TYPE_INTEL_IOMMU_DEVICE);
    g_autoptr(QDict) properties = qdict_new();
    const QDictEntry *e;

    take_properties(in, TYPE_INTEL_IOMMU_DEVICE, properties);
    for (e = qdict_first(properties); e; e = qdict_next(properties, e)) {
        object_property_set_qobject(obj, qdict_entry_key(e),
                                    qdict_entry_value(e), NULL);
        qobject_unref(object_property_get_qobject(obj, qdict_entry_key(e),
                                                  NULL));
    }
    object_unref(obj);
}

/* What is known of a device's host, or of the vIOMMU */
static void get_property(FuzzInput *in)
{
    static const char *const names[] = {
        "type", "name", "iommu-type", "source", "unit", "aw-bits",
        "pasid-bits", "hw-caps", "vtd-cap", "vtd-ecap", "caching-mode",
    };
    uint8_t which = fuzz_take_u8(in);
    g_autofree char *path = g_strdup_printf("dev%u/host-iommu-device",
                                            which % FUZZ_SLOTS);
    QDict *arguments = qdict_new();

    qdict_put_str(arguments, "path", which & 0x80 ? "viommu" : path);
    if (which & 0x40) {
        execute("qom-list", arguments);
        return;
    }
    qdict_put_str(arguments, "property",
                  names[fuzz_take_u8(in) % ARRAY_SIZE(names)]);
    execute("qom-get", arguments);
}

static void step(FuzzInput *in)
{
    switch (fuzz_take_u8(in) % 8) {
    case 0:
        execute("query-viommu", qdict_new());
        break;
    case 1:
        execute("query-host-iommu", qdict_new());
        break;
    case 2:
        fuzz_slot_unplug(fuzz_take_u8(in) % FUZZ_SLOTS);
        break;
    case 3:
        set_viommu_properties(in);
        break;
    case 4:
        get_property(in);
        break;
    default:
        add_device(in);
        break;
    }
}

static void fuzz_qmp(QTestState *s, const unsigned char *data, size_t size)
{
    FuzzInput in = { data, size };
    unsigned int i;

    for (i = 0; in.size && i < MAX_STEPS; i++) {
        step(&in);
    }
    for (i = 0; i < FUZZ_SLOTS; i++) {
        fuzz_slot_unplug(i);
    }
}

static GString *cmdline(FuzzTarget *target)
{
    return fuzz_slots_cmdline("intel-iommu,id=viommu,x-scalable-mode=on,"
                              "x-flts=on", devices);
}

static void register_target(void)
{
    fuzz_add_target(&(FuzzTarget) {
        .name = "viommu-qmp",
        .description = "QMP of virtual IOMMUs, and properties of devices",
        .get_init_cmdline = cmdline,
        .fuzz = fuzz_qmp,
    });
}

fuzz_target_init(register_target);
