/*
 * Nesting parents of iommufd (linux/iommufd.h)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/iommufd.h>
#include "qapi/error.h"
#include "system/host_iommu_iommufd_parent.h"

#define TYPE_HOST_IOMMU_PARENT_IOMMUFD TYPE_HOST_IOMMU_PARENT "-iommufd"
OBJECT_DECLARE_SIMPLE_TYPE(HostIOMMUParentIOMMUFD, HOST_IOMMU_PARENT_IOMMUFD)

struct HostIOMMUParentIOMMUFD {
    HostIOMMUParent parent_obj;

    IOMMUFDBackend *iommufd;
};

static int parent_alloc_tables(HostIOMMUParent *parent, HostIOMMUDevice *hiod,
                               const HostIOMMUVTDTables *tables, uint32_t *id,
                               Error **errp)
{
    struct iommu_hwpt_vtd_s1 vtd = {
        .flags = (tables->sre ? IOMMU_VTD_S1_SRE : 0) |
                 (tables->wpe ? IOMMU_VTD_S1_WPE : 0),
        .pgtbl_addr = tables->root,
        .addr_width = tables->addr_width,
    };
    struct iommu_hwpt_alloc alloc = {
        .size = sizeof(alloc),
        .dev_id = HOST_IOMMU_DEVICE_IOMMUFD(hiod)->devid,
        .pt_id = parent->id,
        .data_type = IOMMU_HWPT_DATA_VTD_S1,
        .data_len = sizeof(vtd),
        .data_uptr = (uintptr_t)&vtd,
    };
    int fd = HOST_IOMMU_PARENT_IOMMUFD(parent)->iommufd->fd;
    int ret = 0;

    if (ioctl(fd, IOMMU_HWPT_ALLOC, &alloc)) {
        ret = -errno;
        error_setg_errno(errp, -ret, "IOMMU_HWPT_ALLOC of first-stage tables "
                         "on HWPT %u", parent->id);
    }
    *id = alloc.out_hwpt_id;
    return ret;
}

static void parent_free_tables(HostIOMMUParent *parent, uint32_t id)
{
    iommufd_backend_free_id(HOST_IOMMU_PARENT_IOMMUFD(parent)->iommufd, id);
}

static int parent_invalidate(HostIOMMUParent *parent, uint32_t id,
                             const HostIOMMUVTDRange *ranges, uint32_t *count,
                             Error **errp)
{
    g_autofree struct iommu_hwpt_vtd_s1_invalidate *entries =
        g_new0(struct iommu_hwpt_vtd_s1_invalidate, *count);
    struct iommu_hwpt_invalidate invalidate = {
        .size = sizeof(invalidate),
        .hwpt_id = id,
        .data_uptr = (uintptr_t)entries,
        .data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
        .entry_len = sizeof(*entries),
    };
    int fd = HOST_IOMMU_PARENT_IOMMUFD(parent)->iommufd->fd;
    uint32_t i;
    int ret;

    for (i = 0; i < *count; i++) {
        entries[i].addr = ranges[i].addr;
        entries[i].npages = ranges[i].npages;
        entries[i].flags = ranges[i].leaf ? IOMMU_VTD_INV_FLAGS_LEAF : 0;
    }
    do {
        /* To begin again is right: to forget twice is */
        invalidate.entry_num = *count;
        ret = ioctl(fd, IOMMU_HWPT_INVALIDATE, &invalidate) ? -errno : 0;
    } while (ret == -EINTR);
    if (ret) {
        error_setg_errno(errp, -ret, "IOMMU_HWPT_INVALIDATE of HWPT %u", id);
        /* Where the call itself was refused, nothing was written back */
        if (invalidate.entry_num >= *count) {
            invalidate.entry_num = 0;
        }
    }
    *count = invalidate.entry_num;
    return ret;
}

HostIOMMUParent *host_iommu_iommufd_parent_new(IOMMUFDBackend *iommufd,
                                               uint32_t hwpt_id)
{
    HostIOMMUParentIOMMUFD *p = HOST_IOMMU_PARENT_IOMMUFD(
        object_new(TYPE_HOST_IOMMU_PARENT_IOMMUFD));

    p->iommufd = iommufd;
    p->parent_obj.id = hwpt_id;
    return HOST_IOMMU_PARENT(p);
}

static void parent_class_init(ObjectClass *oc, void *data)
{
    HostIOMMUParentClass *pc = HOST_IOMMU_PARENT_CLASS(oc);

    pc->alloc_tables = parent_alloc_tables;
    pc->free_tables = parent_free_tables;
    pc->invalidate = parent_invalidate;
}

static const TypeInfo types[] = {
    {
        .name = TYPE_HOST_IOMMU_PARENT_IOMMUFD,
        .parent = TYPE_HOST_IOMMU_PARENT,
        .instance_size = sizeof(HostIOMMUParentIOMMUFD),
        .class_init = parent_class_init,
    },
};

DEFINE_TYPES(types)
