/*
 * What a host says of its IOMMUs: files of sysfs, and answers of iommufd
 *
 * And whether intel-iommu would take a device behind such a host. What it
 * adopts from a host it does at start, which is left to qtests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include <linux/iommufd.h>
#include "qapi/error.h"
#include "qapi/qapi-commands-host-iommu.h"
#include "qobject/qdict.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "system/host_iommu_iommufd.h"
#include "system/host_iommu_unit.h"
#include "../host-iommu-tree.h"
#include "fuzz.h"
#include "viommu_fuzz.h"

#define UNITS           2
/* A file descriptor that no kernel gives */
#define IOMMUFD         -7

static const char *const devices[FUZZ_SLOTS];
static char *sysfs;

/* The kernel's answer to the next IOMMU_GET_HW_INFO of IOMMUFD */
static FuzzInput *answer;

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
    struct iommu_hw_info *info = arg;

    if (fd != IOMMUFD) {
        return __real_ioctl(fd, request, arg);
    }
    g_assert_cmphex(request, ==, IOMMU_GET_HW_INFO);
    errno = fuzz_take_u8(answer) & 0x7f;
    if (errno) {
        return -1;
    }
    info->out_data_type = fuzz_take_u8(answer);
    info->out_capabilities = fuzz_take_u64(answer);
    info->__reserved = fuzz_take_u32(answer);
    fuzz_take(answer, (void *)(uintptr_t)info->data_uptr, info->data_len);
    return 0;
}

/* The host's units, in sysfs */

static char *register_file(unsigned int unit, const char *name)
{
    g_autofree char *folder = g_strdup_printf("dmar%u", unit);
    g_autofree char *file = g_build_filename("intel-iommu", name, NULL);

    return host_tree_file(sysfs, folder, file);
}

static void write_register(unsigned int unit, const char *name, FuzzInput *in)
{
    g_autofree char *path = register_file(unit, name);
    uint8_t how = fuzz_take_u8(in);
    char text[32];
    size_t size;

    g_unlink(path);
    if (how == 0) {
        return;
    }
    if (how & 1) {
        size = snprintf(text, sizeof(text), "%" PRIx64 "\n",
                        fuzz_take_u64(in));
    } else {
        size = how / 2 % sizeof(text);
        fuzz_take(in, text, size);
    }
    g_assert_true(g_file_set_contents(path, text, size, NULL));
}

static void make_units(QTestState *s)
{
    unsigned int i;

    sysfs = host_tree_new();
    for (i = 0; i < UNITS; i++) {
        g_autofree char *name = g_strdup_printf("dmar%u", i);

        host_tree_add_vtd(sysfs, name, SERVER_48);
    }
    host_iommu_unit_set_sysfs(sysfs);
}

/* A device behind the host that answered */

static void plug(const HostIOMMUDeviceCaps *caps, FuzzInput *in)
{
    static const char *const types[HOST_IOMMU_TYPE__MAX] = {
        [HOST_IOMMU_TYPE_UNKNOWN] = "none",
        [HOST_IOMMU_TYPE_INTEL_VTD] = "intel-vtd",
        [HOST_IOMMU_TYPE_ARM_SMMUV3] = "arm-smmuv3",
        [HOST_IOMMU_TYPE_AMD_VI] = "amd-vi",
    };
    g_autofree char *device = g_strdup_printf(
        "host-iommu-testdev,iommu-type=%s,source=iommufd,unit=dmar0,"
        "vtd-cap=%" PRIu64 ",vtd-ecap=%" PRIu64 ",hw-caps=%" PRIu64
        ",pasid-bits=%u,aw-bits=%u", types[caps->type], caps->vtd.cap,
        caps->vtd.ecap, caps->hw_caps, caps->pasid_bits,
        fuzz_take_u8(in) % 65);

    if (fuzz_slot_plug(0, device)) {
        qapi_free_ViommuInfoList(qmp_query_viommu(&error_abort));
        fuzz_slot_unplug(0);
    }
}

static void fuzz_host(QTestState *s, const unsigned char *data, size_t size)
{
    FuzzInput in = { data, size };
    HostIOMMUDeviceCaps caps = { };
    IOMMUFDBackend iommufd = { .fd = IOMMUFD };
    unsigned int i;

    for (i = 0; i < UNITS; i++) {
        write_register(i, "cap", &in);
        write_register(i, "ecap", &in);
    }
    qapi_free_HostIommuUnitList(qmp_query_host_iommu(&error_abort));
    answer = &in;
    if (host_iommu_iommufd_learn(&caps, &iommufd, 1, NULL)) {
        plug(&caps, &in);
    }
}

/* A vIOMMU that asks for all that it can ask for */
static GString *cmdline(FuzzTarget *target)
{
    return fuzz_slots_cmdline("intel-iommu,caching-mode=on,x-scalable-mode=on,"
                              "x-flts=on", devices);
}

static void register_target(void)
{
    fuzz_add_target(&(FuzzTarget) {
        .name = "host-iommu",
        .description = "What a host says of its IOMMUs",
        .get_init_cmdline = cmdline,
        .pre_fuzz = make_units,
        .fuzz = fuzz_host,
    });
}

fuzz_target_init(register_target);
