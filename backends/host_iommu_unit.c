/*
 * The host's IOMMUs, with or without an assigned device behind them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/iommu.h"
#include "system/host_iommu_sysfs.h"
#include "system/host_iommu_unit.h"
#include "system/host_iommu_vtd.h"

#define SYSFS "/sys"

/* What a first stage of four levels leaves for addresses of devices */
#define FIRST_STAGE_BITS 47

/* What host_iommu_unit_realize() is told */
typedef struct UnitArgs {
    const char *name;
    const char *folder;
    bool second_stage;
} UnitArgs;

/* What a test put in the place of SYSFS, or NULL */
static char *stand_in;

const char *host_iommu_unit_sysfs(void)
{
    return stand_in ?: SYSFS;
}

void host_iommu_unit_set_sysfs(const char *folder)
{
    g_free(stand_in);
    stand_in = g_strdup(folder);
}

static char *host_iommu_unit_folder(const char *name)
{
    return g_build_filename(host_iommu_unit_sysfs(), "class", "iommu", name,
                            NULL);
}

static uint8_t host_iommu_unit_width(const HostIOMMUDeviceCaps *caps,
                                     bool second_stage)
{
    uint64_t cap = caps->vtd.cap, ecap = caps->vtd.ecap;
    uint32_t sagaw = FIELD_EX64(cap, VTD_CAP, SAGAW);
    uint8_t width = host_iommu_vtd_mgaw(cap);
    bool first_stage = FIELD_EX64(ecap, VTD_ECAP, SMTS) &&
                       FIELD_EX64(ecap, VTD_ECAP, FSTS) && !second_stage;

    if (!sagaw && !first_stage) {
        return HOST_IOMMU_BITS_UNKNOWN;
    }
    if (sagaw) {
        /* VT-d 11.4.2: bit 1 is 39 bits, each further one 9 more */
        width = MIN(width, 30 + 9 * (31 - clz32(sagaw)));
    }
    return first_stage ? MIN(width, FIRST_STAGE_BITS) : width;
}

static bool host_iommu_unit_realize(HostIOMMUDevice *hiod, void *opaque,
                                    Error **errp)
{
    UnitArgs *unit = opaque;

    hiod->name = g_strdup(unit->name);
    hiod->unit = g_strdup(unit->name);
    host_iommu_sysfs_read(unit->folder, &hiod->caps);
    if (hiod->caps.type == HOST_IOMMU_TYPE_INTEL_VTD) {
        hiod->caps.aw_bits = host_iommu_unit_width(&hiod->caps,
                                                   unit->second_stage);
    }
    return true;
}

HostIOMMUDevice *host_iommu_unit_new(Object *owner, const char *name,
                                     uint64_t viommu_flags)
{
    g_autofree char *folder = host_iommu_unit_folder(name);
    g_autofree char *child = g_strdup_printf("host-iommu-%s", name);
    UnitArgs unit = {
        .name = name,
        .folder = folder,
        .second_stage = viommu_flags & VIOMMU_FLAG_WANT_NESTING_PARENT,
    };

    return host_iommu_device_new_named(TYPE_HOST_IOMMU_UNIT, owner, child,
                                       &unit, &error_abort);
}

bool host_iommu_unit_translates(const HostIOMMUDevice *unit, Error **errp)
{
    if (unit->caps.type != HOST_IOMMU_TYPE_INTEL_VTD ||
        host_iommu_unit_width(&unit->caps, false) != HOST_IOMMU_BITS_UNKNOWN) {
        return true;
    }
    error_setg(errp, "%s does not translate DMA: its CAP has page tables of "
               "no width (SAGAW is 0)", unit->name);
    return false;
}

/* By number where they differ in nothing else */
static int compare_names(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    size_t letters = strcspn(x, "0123456789");
    int order = strncmp(x, y, letters);

    if (!order && strcspn(y, "0123456789") == letters) {
        order = (int)strlen(x) - (int)strlen(y);
    }
    return order ?: strcmp(x, y);
}

GStrv host_iommu_unit_names(void)
{
    g_autofree char *folder = host_iommu_unit_folder(NULL);
    GDir *dir = g_dir_open(folder, 0, NULL);
    GPtrArray *names = g_ptr_array_new();
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_ptr_array_add(names, g_strdup(name));
    }
    if (dir) {
        g_dir_close(dir);
    }
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return (GStrv)g_ptr_array_free(names, false);
}

char *host_iommu_unit_of_pci(const char *address, Error **errp)
{
    g_autofree char *device = g_build_filename(host_iommu_unit_sysfs(), "bus",
                                               "pci", "devices", address,
                                               NULL);
    g_autofree char *folder = g_build_filename(device, "iommu", NULL);
    char *name;

    if (!g_file_test(device, G_FILE_TEST_EXISTS)) {
        error_setg(errp, "this host has no such PCI device: there is no %s",
                   device);
        return NULL;
    }
    name = host_iommu_sysfs_unit(folder);
    if (!name) {
        error_setg(errp, "no IOMMU of this host is behind the device: there "
                   "is no %s", folder);
    }
    return name;
}

char *host_iommu_unit_tell_unknown(const char *name)
{
    static const char *const registers[] = { "cap", "ecap" };
    g_autofree char *folder = host_iommu_unit_folder(name);
    g_autofree char *vtd = g_build_filename(folder, "intel-iommu", NULL);
    int i;

    if (!g_file_test(folder, G_FILE_TEST_EXISTS)) {
        return g_strdup_printf("%s leads nowhere that QEMU can see", folder);
    }
    if (!g_file_test(vtd, G_FILE_TEST_EXISTS)) {
        return NULL;
    }
    for (i = 0; i < ARRAY_SIZE(registers); i++) {
        g_autofree char *path = g_build_filename(vtd, registers[i], NULL);
        char *why = host_iommu_sysfs_unreadable(path);

        if (why) {
            return why;
        }
    }
    return g_strdup_printf("%s: cap or ecap is not a register", vtd);
}

static void host_iommu_unit_class_init(ObjectClass *oc, void *data)
{
    HOST_IOMMU_DEVICE_CLASS(oc)->realize = host_iommu_unit_realize;
}

static const TypeInfo types[] = {
    {
        .name = TYPE_HOST_IOMMU_UNIT,
        .parent = TYPE_HOST_IOMMU_DEVICE,
        .class_init = host_iommu_unit_class_init,
    }
};

DEFINE_TYPES(types)
