/*
 * Page tables of iommufd that follow an address space of the vIOMMU, beside
 * those that a device nests on
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>
#include "qapi/error.h"
#include "shadow.h"
#include "system/iommufd.h"

struct VFIOShadow {
    VFIOIOMMUFDContainer *container;
    uint32_t hwpt_id;
};

VFIOShadow *vfio_shadow_new(VFIODevice *vdev, AddressSpace *as,
                            uint32_t *hwpt_id, Error **errp)
{
    IOMMUFDBackend *be = vdev->iommufd;
    VFIOContainerBase *bcontainer;
    VFIOShadow *shadow;
    uint32_t ioas_id;

    if (!iommufd_backend_alloc_ioas(be, &ioas_id, errp)) {
        return NULL;
    }
    if (!iommufd_backend_alloc_hwpt(be, vdev->devid, ioas_id, 0,
                                    IOMMU_HWPT_DATA_NONE, 0, NULL, hwpt_id,
                                    errp)) {
        iommufd_backend_free_id(be, ioas_id);
        return NULL;
    }

    shadow = g_new0(VFIOShadow, 1);
    shadow->hwpt_id = *hwpt_id;
    shadow->container = VFIO_IOMMU_IOMMUFD(object_new(TYPE_VFIO_IOMMU_IOMMUFD));
    shadow->container->be = be;
    shadow->container->ioas_id = ioas_id;
    QLIST_INIT(&shadow->container->hwpt_list);

    bcontainer = &shadow->container->bcontainer;
    bcontainer->pgsizes = vdev->bcontainer->pgsizes;
    bcontainer->listener = (MemoryListener) {
        .name = "vfio-shadow",
        .region_add = vfio_memory_listener.region_add,
        .region_del = vfio_memory_listener.region_del,
    };
    memory_listener_register(&bcontainer->listener, as);
    if (bcontainer->error) {
        error_propagate(errp, bcontainer->error);
        vfio_shadow_free(shadow);
        return NULL;
    }
    bcontainer->initialized = true;
    return shadow;
}

void vfio_shadow_free(VFIOShadow *shadow)
{
    VFIOIOMMUFDContainer *container = shadow->container;

    memory_listener_unregister(&container->bcontainer.listener);
    iommufd_backend_free_id(container->be, shadow->hwpt_id);
    iommufd_backend_free_id(container->be, container->ioas_id);
    object_unref(container);
    g_free(shadow);
}
