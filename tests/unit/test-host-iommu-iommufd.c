/*
 * HostIOMMUDevice of a VFIO device on an iommufd, against a kernel made here
 *
 * What hw/vfio and backends/ ask of the kernel ends in this file's ioctl().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/iommufd.h>
#include "qapi/error.h"
#include "qemu/module.h"
#include "qemu/range.h"
#include "hw/vfio/shadow.h"
#include "hw/vfio/vfio-common.h"
#include "system/host_iommu_iommufd.h"

#define IOMMUFD     100
#define DEVID       7

/* The kernel: what it answers */
static struct {
    uint32_t type;
    uint8_t pasid_log2;
    struct iommu_hw_info_vtd vtd;
    int error;
} kernel;

static int hw_info(struct iommu_hw_info *info)
{
    g_assert_cmpuint(info->dev_id, ==, DEVID);
    info->out_data_type = kernel.type;
    info->out_capabilities = IOMMU_HW_CAP_DIRTY_TRACKING;
    *(uint8_t *)&info->__reserved = kernel.pasid_log2;
    if (kernel.type == IOMMU_HW_INFO_TYPE_INTEL_VTD) {
        g_assert_cmpuint(info->data_len, ==, sizeof(kernel.vtd));
        memcpy((void *)(uintptr_t)info->data_uptr, &kernel.vtd,
               sizeof(kernel.vtd));
    }
    return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (kernel.error) {
        errno = kernel.error;
        return -1;
    }
    switch (request) {
    case IOMMU_GET_HW_INFO:
        g_assert_cmpint(fd, ==, IOMMUFD);
        return hw_info(arg);
    default:
        g_assert_not_reached();
    }
}

/* What the rest of VFIO would tell */

GList *vfio_container_get_iova_ranges(const VFIOContainerBase *bcontainer)
{
    Range *range = g_new(Range, 1);

    range_set_bounds(range, 0, MAKE_64BIT_MASK(0, 39));
    return range_list_insert(NULL, range);
}

/* Page tables that follow an address space: as many as there are, or refused */
static unsigned int shadows;
static bool refuses_shadow;
static int shadow;

VFIOShadow *vfio_shadow_new(VFIODevice *vdev, AddressSpace *as,
                            uint32_t *hwpt_id, Error **errp)
{
    g_assert_cmpint(vdev->devid, ==, DEVID);
    if (refuses_shadow) {
        error_setg(errp, "refused");
        return NULL;
    }
    shadows++;
    *hwpt_id = 42;
    return (VFIOShadow *)&shadow;
}

void vfio_shadow_free(VFIOShadow *freed)
{
    g_assert_true((void *)freed == &shadow);
    shadows--;
}

/* The device and its object */

static IOMMUFDBackend *iommufd;
static Object *owner;
static VFIOContainerBase container = { .pgsizes = 4096 };

static HostIOMMUDevice *learn(const char *sysfsdev, bool attached,
                              Error **errp)
{
    static VFIODevice vdev;

    vdev = (VFIODevice) {
        .name = (char *)"0000:3b:00.0",
        .sysfsdev = (char *)sysfsdev,
        .devid = DEVID,
        .iommufd = iommufd,
        .bcontainer = attached ? &container : NULL,
    };

    return host_iommu_device_new(TYPE_HOST_IOMMU_DEVICE_IOMMUFD_VFIO, owner,
                                 &vdev, errp);
}

static void test_vtd(void)
{
    HostIOMMUDevice *hiod;

    kernel.type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
    kernel.pasid_log2 = 20;
    kernel.vtd = (struct iommu_hw_info_vtd) {
        .cap_reg = 0xd2008c40660462,
        .ecap_reg = 0xf050da,
    };
    hiod = learn(NULL, true, &error_abort);
    g_assert_cmpstr(hiod->name, ==, "0000:3b:00.0");
    g_assert_null(hiod->unit);
    g_assert_cmpint(hiod->caps.type, ==, HOST_IOMMU_TYPE_INTEL_VTD);
    g_assert_cmpint(hiod->caps.source, ==, HOST_IOMMU_SOURCE_IOMMUFD);
    g_assert_cmphex(hiod->caps.vtd.cap, ==, 0xd2008c40660462);
    g_assert_cmphex(hiod->caps.vtd.ecap, ==, 0xf050da);
    g_assert_cmpuint(hiod->caps.pasid_bits, ==, 20);
    g_assert_true(hiod->caps.has_hw_caps);
    g_assert_cmphex(hiod->caps.hw_caps, ==, IOMMU_HW_CAP_DIRTY_TRACKING);
    g_assert_cmpuint(hiod->caps.aw_bits, ==, 39);
    g_assert_cmphex(hiod->caps.page_sizes, ==, 4096);
    host_iommu_device_free(hiod);
}

static void test_smmu(void)
{
    HostIOMMUDevice *hiod;

    kernel.type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
    kernel.pasid_log2 = 0;
    hiod = learn(NULL, true, &error_abort);
    g_assert_cmpint(hiod->caps.type, ==, HOST_IOMMU_TYPE_ARM_SMMUV3);
    g_assert_cmpint(hiod->caps.source, ==, HOST_IOMMU_SOURCE_IOMMUFD);
    g_assert_cmpuint(hiod->caps.pasid_bits, ==, HOST_IOMMU_BITS_UNKNOWN);
    host_iommu_device_free(hiod);
}

/* A driver that tells iommufd nothing: sysfs may know */
static void test_untold(void)
{
    g_autofree char *device = g_dir_make_tmp("host-iommu-XXXXXX", NULL);
    g_autofree char *iommu = g_build_filename(device, "iommu", NULL);
    g_autofree char *amd = g_build_filename(iommu, "amd-iommu", NULL);
    HostIOMMUDevice *hiod;

    kernel.type = IOMMU_HW_INFO_TYPE_NONE;
    hiod = learn(device, true, &error_abort);
    g_assert_cmpint(hiod->caps.type, ==, HOST_IOMMU_TYPE_UNKNOWN);
    g_assert_cmpint(hiod->caps.source, ==, HOST_IOMMU_SOURCE_NONE);
    host_iommu_device_free(hiod);

    g_assert_cmpint(g_mkdir_with_parents(amd, 0700), ==, 0);
    hiod = learn(device, true, &error_abort);
    g_assert_cmpint(hiod->caps.type, ==, HOST_IOMMU_TYPE_AMD_VI);
    g_assert_cmpint(hiod->caps.source, ==, HOST_IOMMU_SOURCE_SYSFS);
    host_iommu_device_free(hiod);
    remove(amd);
    remove(iommu);
    remove(device);
}

/* One that is bound, and has no container: what the kernel tells is known */
static void test_not_attached(void)
{
    HostIOMMUDevice *hiod;

    kernel.type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
    kernel.vtd = (struct iommu_hw_info_vtd) { .ecap_reg = 0xf050da };
    hiod = learn(NULL, false, &error_abort);
    g_assert_cmpstr(hiod->name, ==, "0000:3b:00.0");
    g_assert_cmpint(hiod->caps.type, ==, HOST_IOMMU_TYPE_INTEL_VTD);
    g_assert_cmphex(hiod->caps.vtd.ecap, ==, 0xf050da);
    g_assert_cmpuint(hiod->caps.aw_bits, ==, HOST_IOMMU_BITS_UNKNOWN);
    g_assert_cmphex(hiod->caps.page_sizes, ==, 0);
    g_assert_null(hiod->caps.iova_ranges);
    host_iommu_device_free(hiod);
}

static void test_kernel_refuses(void)
{
    Error *err = NULL;

    kernel.error = EOPNOTSUPP;
    g_assert_null(learn(NULL, true, &err));
    g_assert_cmpstr(error_get_pretty(err), ==,
                    "iommufd does not tell what the host IOMMU behind device "
                    "7 can do: Operation not supported");
    error_free(err);
    kernel.error = 0;
    g_assert_null(object_resolve_path_component(owner,
                                                TYPE_HOST_IOMMU_DEVICE));
}

static void test_shadow(void)
{
    HostIOMMUDeviceClass *hc;
    HostIOMMUDevice *hiod;
    Error *err = NULL;
    uint32_t id = 0;

    kernel.type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
    hiod = learn(NULL, true, &error_abort);
    hc = HOST_IOMMU_DEVICE_GET_CLASS(hiod);
    refuses_shadow = true;
    g_assert_false(hc->shadow(hiod, NULL, &id, &err));
    g_assert_cmpstr(error_get_pretty(err), ==, "refused");
    error_free(err);
    refuses_shadow = false;
    g_assert_true(hc->shadow(hiod, NULL, &id, &error_abort));
    g_assert_cmpuint(id, ==, 42);
    g_assert_cmpuint(shadows, ==, 1);
    hc->unshadow(hiod);
    g_assert_cmpuint(shadows, ==, 0);
    host_iommu_device_free(hiod);
}

static const TypeInfo types[] = {
    {
        .name = TYPE_IOMMUFD_BACKEND,
        .parent = TYPE_OBJECT,
        .instance_size = sizeof(IOMMUFDBackend),
        .class_size = sizeof(IOMMUFDBackendClass),
    }
};

DEFINE_TYPES(types)

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);
    iommufd = IOMMUFD_BACKEND(object_new(TYPE_IOMMUFD_BACKEND));
    iommufd->fd = IOMMUFD;
    owner = object_new("container");

    g_test_add_func("/host-iommu-iommufd/vtd", test_vtd);
    g_test_add_func("/host-iommu-iommufd/smmu", test_smmu);
    g_test_add_func("/host-iommu-iommufd/untold", test_untold);
    g_test_add_func("/host-iommu-iommufd/not-attached", test_not_attached);
    g_test_add_func("/host-iommu-iommufd/kernel-refuses",
                    test_kernel_refuses);
    g_test_add_func("/host-iommu-iommufd/shadow", test_shadow);
    ret = g_test_run();
    object_unref(owner);
    /* nobody keeps a reference */
    g_assert_cmpuint(OBJECT(iommufd)->ref, ==, 1);
    object_unref(OBJECT(iommufd));
    return ret;
}
