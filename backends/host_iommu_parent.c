/*
 * Nesting parents of a host IOMMU, and what is attached to them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/host_iommu_parent.h"
#include "trace.h"

int host_iommu_parent_alloc_tables(HostIOMMUParent *parent,
                                   HostIOMMUDevice *hiod,
                                   const HostIOMMUVTDTables *tables,
                                   uint32_t *id, Error **errp)
{
    HostIOMMUParentClass *pc = HOST_IOMMU_PARENT_GET_CLASS(parent);
    int ret = pc->alloc_tables(parent, hiod, tables, id, errp);

    trace_host_iommu_alloc_tables(hiod->name, parent->id, tables->root,
                                  tables->addr_width, ret ? 0 : *id, ret);
    return ret;
}

void host_iommu_parent_free_tables(HostIOMMUParent *parent, uint32_t id)
{
    HOST_IOMMU_PARENT_GET_CLASS(parent)->free_tables(parent, id);
    trace_host_iommu_free_tables(parent->id, id);
}

int host_iommu_parent_invalidate(HostIOMMUParent *parent, uint32_t id,
                                 const HostIOMMUVTDRange *ranges,
                                 uint32_t *count, Error **errp)
{
    HostIOMMUParentClass *pc = HOST_IOMMU_PARENT_GET_CLASS(parent);
    uint32_t asked = *count;
    int ret = pc->invalidate(parent, id, ranges, count, errp);

    assert(*count <= asked);
    trace_host_iommu_invalidate(parent->id, id, asked, *count, ret);
    return ret;
}

int host_iommu_device_attach(HostIOMMUDevice *hiod, uint32_t pasid,
                             uint32_t id, Error **errp)
{
    int ret = HOST_IOMMU_DEVICE_GET_CLASS(hiod)->attach(hiod, pasid, id, errp);

    trace_host_iommu_attach(hiod->name, pasid, id, ret);
    return ret;
}

int host_iommu_device_detach(HostIOMMUDevice *hiod, uint32_t pasid,
                             Error **errp)
{
    int ret = HOST_IOMMU_DEVICE_GET_CLASS(hiod)->detach(hiod, pasid, errp);

    trace_host_iommu_detach(hiod->name, pasid, ret);
    return ret;
}

bool host_iommu_device_shadow(HostIOMMUDevice *hiod, AddressSpace *as,
                              uint32_t *id, Error **errp)
{
    bool done = HOST_IOMMU_DEVICE_GET_CLASS(hiod)->shadow(hiod, as, id, errp);

    trace_host_iommu_shadow(hiod->name, done ? *id : 0, done);
    return done;
}

void host_iommu_device_unshadow(HostIOMMUDevice *hiod)
{
    HOST_IOMMU_DEVICE_GET_CLASS(hiod)->unshadow(hiod);
    trace_host_iommu_unshadow(hiod->name);
}

static const TypeInfo types[] = {
    {
        .name = TYPE_HOST_IOMMU_PARENT,
        .parent = TYPE_OBJECT,
        .abstract = true,
        .instance_size = sizeof(HostIOMMUParent),
        .class_size = sizeof(HostIOMMUParentClass),
    },
};

DEFINE_TYPES(types)
