/*
 * The host IOMMU behind a virtio device that vhost-vdpa backs
 *
 * A HostIOMMUDevice that vIOMMUs are introduced to as to one of VFIO's. vDPA
 * tells the range of IOVAs; the rest is read in the sysfs of the parent, the
 * device that the host's driver drives. A parent that translates by itself or
 * is software has no IOMMU there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/sysmacros.h>
#include "qapi/error.h"
#include "qemu/range.h"
#include "hw/iommu.h"
#include "hw/pci/pci_device.h"
#include "hw/virtio/vdpa-dev.h"
#include "hw/virtio/vhost.h"
#include "hw/virtio/vhost-backend.h"
#include "hw/virtio/vhost-vdpa.h"
#include "host-iommu-vdpa.h"
#include "system/host_iommu_device.h"
#include "system/host_iommu_sysfs.h"
#include "system/host_iommu_unit.h"

/*
 * Returns: where sysfs has vhost-vdpa's device, a link into the folder of the
 * vDPA device, which is in that of the parent; NULL: @fd is something else
 */
static char *host_iommu_vdpa_link(int fd)
{
    struct stat st;

    if (fstat(fd, &st) || !S_ISCHR(st.st_mode)) {
        return NULL;
    }
    return g_strdup_printf("%s/dev/char/%u:%u", host_iommu_unit_sysfs(),
                           major(st.st_rdev), minor(st.st_rdev));
}

/* Returns: the host's name of the vDPA device, which the caller frees */
static char *host_iommu_vdpa_name(const char *link)
{
    g_autofree char *target = link ? g_file_read_link(link, NULL) : NULL;
    g_autofree char *folder = target ? g_path_get_dirname(target) : NULL;

    return folder ? g_path_get_basename(folder) : g_strdup("vhost-vdpa");
}

static bool host_iommu_vdpa_realize(HostIOMMUDevice *hiod, void *opaque,
                                    Error **errp)
{
    const VhostVDPAShared *shared = opaque;
    const struct vhost_vdpa_iova_range *iova = &shared->iova_range;
    g_autofree char *link = host_iommu_vdpa_link(shared->device_fd);
    g_autofree char *folder = NULL;
    HostIOMMUDeviceCaps *caps = &hiod->caps;

    hiod->name = host_iommu_vdpa_name(link);
    if (iova->first <= iova->last) {
        Range *range = g_new(Range, 1);

        range_set_bounds(range, iova->first, iova->last);
        caps->iova_ranges = range_list_insert(NULL, range);
    }
    caps->aw_bits = host_iommu_iova_ranges_bits(caps->iova_ranges);
    if (link) {
        folder = g_build_filename(link, "..", "..", "iommu", NULL);
        hiod->unit = host_iommu_sysfs_unit(folder);
        host_iommu_sysfs_read(folder, caps);
    }
    return true;
}

static PCIDevice *host_iommu_vdpa_pci_device(VirtIODevice *vdev)
{
    DeviceState *parent = qdev_get_parent_bus(DEVICE(vdev))->parent;

    return (PCIDevice *)object_dynamic_cast(OBJECT(parent), TYPE_PCI_DEVICE);
}

/* Returns: what all queues of the device share, NULL without vhost-vdpa */
static VhostVDPAShared *host_iommu_vdpa_backend(VirtIODevice *vdev)
{
    VirtioDeviceClass *vdc = VIRTIO_DEVICE_GET_CLASS(vdev);
    struct vhost_dev *hdev;

    if (object_dynamic_cast(OBJECT(vdev), TYPE_VHOST_VDPA_DEVICE)) {
        return VHOST_VDPA_DEVICE(vdev)->vdpa.shared;
    }
    hdev = vdc->get_vhost ? vdc->get_vhost(vdev) : NULL;
    if (!hdev || !hdev->vhost_ops ||
        hdev->vhost_ops->backend_type != VHOST_BACKEND_TYPE_VDPA) {
        return NULL;
    }
    return ((struct vhost_vdpa *)hdev->opaque)->shared;
}

static bool host_iommu_vdpa_check_flags(PCIDevice *pdev, Error **errp)
{
    uint64_t flags;

    if (!pci_device_get_viommu_flags(pdev, &flags, errp)) {
        return false;
    }
    if (flags & VIOMMU_FLAG_WANT_NESTING_PARENT) {
        error_setg(errp, "vDPA has no nesting parents");
        pci_device_explain_viommu_flags(pdev, NULL, errp);
        return false;
    }
    return true;
}

bool host_iommu_vdpa_introduce(VirtIODevice *vdev, Error **errp)
{
    ERRP_GUARD();
    VhostVDPAShared *shared = host_iommu_vdpa_backend(vdev);
    PCIDevice *pdev = host_iommu_vdpa_pci_device(vdev);
    HostIOMMUDevice *hiod;

    if (!shared || !pdev) {
        return true;
    }
    hiod = host_iommu_device_new(TYPE_HOST_IOMMU_DEVICE_VDPA, OBJECT(pdev),
                                 shared, &error_abort);
    /* A vIOMMU can be told of a device only when it has its address space */
    pci_device_iommu_address_space(pdev);
    if (!host_iommu_vdpa_check_flags(pdev, errp) ||
        !pci_device_set_iommu_device(pdev, hiod, errp)) {
        error_prepend(errp, "vdpa %s: ", hiod->name);
        host_iommu_device_free(hiod);
        return false;
    }
    return true;
}

void host_iommu_vdpa_withdraw(VirtIODevice *vdev)
{
    PCIDevice *pdev = host_iommu_vdpa_pci_device(vdev);
    Object *child = pdev ? object_resolve_path_component(OBJECT(pdev),
                                                         TYPE_HOST_IOMMU_DEVICE)
                         : NULL;

    if (child && object_dynamic_cast(child, TYPE_HOST_IOMMU_DEVICE_VDPA)) {
        pci_device_unset_iommu_device(pdev);
        host_iommu_device_free(HOST_IOMMU_DEVICE(child));
    }
}

static void host_iommu_vdpa_class_init(ObjectClass *oc, void *data)
{
    HOST_IOMMU_DEVICE_CLASS(oc)->realize = host_iommu_vdpa_realize;
}

static const TypeInfo types[] = {
    {
        .name = TYPE_HOST_IOMMU_DEVICE_VDPA,
        .parent = TYPE_HOST_IOMMU_DEVICE,
        .class_init = host_iommu_vdpa_class_init,
    }
};

DEFINE_TYPES(types)
