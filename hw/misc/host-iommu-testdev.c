/*
 * A PCI device that stands for an assigned one, to test vIOMMUs without one
 *
 * Brings a HostIOMMUDevice whose capabilities are this device's properties,
 * and behaves towards the vIOMMU as VFIO does: asks for its flags, attaches,
 * listens for what the guest maps, introduces itself, and takes it all back
 * when it goes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/range.h"
#include "qemu/units.h"
#include "exec/memory.h"
#include "hw/iommu.h"
#include "hw/misc/host-iommu-testdev.h"
#include "hw/misc/host-iommu-testparent.h"
#include "hw/qdev-properties.h"
#include "system/host_iommu_device.h"

OBJECT_DECLARE_TYPE(HostIOMMUTestdev, HostIOMMUTestdevClass,
                    HOST_IOMMU_TESTDEV)

#define TYPE_HOST_IOMMU_DEVICE_TEST TYPE_HOST_IOMMU_DEVICE "-test"

struct HostIOMMUTestdevClass {
    PCIDeviceClass parent_class;

    void (*parent_realize)(PCIDevice *pdev, Error **errp);
    PCIUnregisterFunc *parent_exit;
};

struct HostIOMMUTestdev {
    DMATestdev dma;

    MemoryRegion registers;
    HostIOMMUDevice *hiod;
    HostIOMMUParent *parent;
    HostIOMMUTestMember member;

    /* properties: what the host can do */
    char *iommu_type;
    char *source;
    char *unit;
    uint8_t aw_bits;
    uint8_t pasid_bits;
    uint64_t page_sizes;
    uint64_t hw_caps;
    uint64_t vtd_cap;
    uint64_t vtd_ecap;
    bool mdev;
    bool fail_late;
    bool refuse_parent;
    int32_t group;

    /* register, beside those of the DMA engine */
    uint64_t viommu_flags;
};

/* The host IOMMU */

/* Returns: the enum value that has @name, or @max with @errp set */
static int host_iommu_test_parse(const char *property, const char *value,
                                 const char *const names[], int max,
                                 Error **errp)
{
    int i;

    for (i = 0; i < max; i++) {
        if (!strcmp(value, names[i])) {
            return i;
        }
    }
    error_setg(errp, "%s=%s: no such %s", property, value, property);
    return max;
}

static bool host_iommu_test_realize(HostIOMMUDevice *hiod, void *opaque,
                                    Error **errp)
{
    static const char *const type_names[] = {
        [HOST_IOMMU_TYPE_UNKNOWN] = "none",
        [HOST_IOMMU_TYPE_INTEL_VTD] = "intel-vtd",
        [HOST_IOMMU_TYPE_ARM_SMMUV3] = "arm-smmuv3",
        [HOST_IOMMU_TYPE_AMD_VI] = "amd-vi",
    };
    static const char *const source_names[] = {
        [HOST_IOMMU_SOURCE_NONE] = "none",
        [HOST_IOMMU_SOURCE_IOMMUFD] = "iommufd",
        [HOST_IOMMU_SOURCE_SYSFS] = "sysfs",
    };
    HostIOMMUTestdev *td = opaque;
    HostIOMMUDeviceCaps *caps = &hiod->caps;
    Range *range;

    hiod->name = g_strdup(td->dma.pdev.qdev.id ?: TYPE_HOST_IOMMU_TESTDEV);
    hiod->unit = g_strdup(td->unit);
    caps->type = host_iommu_test_parse("iommu-type", td->iommu_type ?: "none",
                                       type_names, HOST_IOMMU_TYPE__MAX,
                                       errp);
    if (caps->type == HOST_IOMMU_TYPE__MAX) {
        return false;
    }
    caps->source = host_iommu_test_parse("source", td->source ?: "none",
                                         source_names,
                                         HOST_IOMMU_SOURCE__MAX, errp);
    if (caps->source == HOST_IOMMU_SOURCE__MAX) {
        return false;
    }
    if (caps->source == HOST_IOMMU_SOURCE_NONE) {
        caps->type = HOST_IOMMU_TYPE_UNKNOWN;
    }
    if (td->aw_bits > 64) {
        error_setg(errp, "aw-bits=%u: 64 at most", td->aw_bits);
        return false;
    }

    if (td->aw_bits) {
        range = g_new(Range, 1);
        range_set_bounds(range, 0, MAKE_64BIT_MASK(0, td->aw_bits));
        caps->iova_ranges = range_list_insert(NULL, range);
    }
    caps->aw_bits = host_iommu_iova_ranges_bits(caps->iova_ranges);
    caps->pasid_bits = td->pasid_bits;
    caps->group = td->group;
    caps->page_sizes = td->page_sizes;
    caps->has_hw_caps = caps->source == HOST_IOMMU_SOURCE_IOMMUFD;
    caps->hw_caps = td->hw_caps;
    if (caps->type == HOST_IOMMU_TYPE_INTEL_VTD) {
        caps->vtd.cap = td->vtd_cap;
        caps->vtd.ecap = td->vtd_ecap;
    }
    if (td->parent) {
        hiod->parent = HOST_IOMMU_PARENT(object_ref(td->parent));
    }
    return true;
}

static HostIOMMUTestMember *host_iommu_test_member(HostIOMMUDevice *hiod)
{
    return &HOST_IOMMU_TESTDEV(OBJECT(hiod)->parent)->member;
}

static int host_iommu_test_attach_to(HostIOMMUDevice *hiod, uint32_t pasid,
                                     uint32_t id, Error **errp)
{
    return host_iommu_test_attach(host_iommu_test_member(hiod), pasid, id,
                                  errp);
}

static int host_iommu_test_detach_from(HostIOMMUDevice *hiod, uint32_t pasid,
                                       Error **errp)
{
    return host_iommu_test_detach(host_iommu_test_member(hiod), pasid);
}

static bool host_iommu_test_shadow_of(HostIOMMUDevice *hiod, AddressSpace *as,
                                      uint32_t *id, Error **errp)
{
    return host_iommu_test_shadow(host_iommu_test_member(hiod), as, id, errp);
}

static void host_iommu_test_unshadow_of(HostIOMMUDevice *hiod)
{
    host_iommu_test_unshadow(host_iommu_test_member(hiod));
}

static void host_iommu_test_class_init(ObjectClass *oc, void *data)
{
    HostIOMMUDeviceClass *hc = HOST_IOMMU_DEVICE_CLASS(oc);

    hc->realize = host_iommu_test_realize;
    hc->attach = host_iommu_test_attach_to;
    hc->detach = host_iommu_test_detach_from;
    hc->shadow = host_iommu_test_shadow_of;
    hc->unshadow = host_iommu_test_unshadow_of;
}

/* Registers */

static uint64_t host_iommu_testdev_read(void *opaque, hwaddr addr,
                                        unsigned int size)
{
    HostIOMMUTestdev *td = opaque;
    const HostIOMMUTestCalls *calls = &host_iommu_test_calls;

    switch (DMA_TESTDEV_SUBCLASS + addr) {
    case HOST_IOMMU_TESTDEV_FLAGS:
        return td->viommu_flags;
    case HOST_IOMMU_TESTDEV_ALLOCS:
        return calls->allocs;
    case HOST_IOMMU_TESTDEV_LIVE:
        return calls->live;
    case HOST_IOMMU_TESTDEV_ATTACHES:
        return calls->attaches;
    case HOST_IOMMU_TESTDEV_DETACHES:
        return calls->detaches;
    case HOST_IOMMU_TESTDEV_INVALIDATIONS:
        return calls->invalidations;
    case HOST_IOMMU_TESTDEV_RANGES:
        return calls->ranges;
    case HOST_IOMMU_TESTDEV_WRONG:
        return calls->wrong;
    case HOST_IOMMU_TESTDEV_FAIL_IN:
        return calls->fail_in;
    case HOST_IOMMU_TESTDEV_FAIL_MORE:
        return calls->fail_more;
    default:
        return 0;
    }
}

static void host_iommu_testdev_write(void *opaque, hwaddr addr, uint64_t val,
                                     unsigned int size)
{
    HostIOMMUTestCalls *calls = &host_iommu_test_calls;

    switch (DMA_TESTDEV_SUBCLASS + addr) {
    case HOST_IOMMU_TESTDEV_FAIL_IN:
        calls->fail_in = val;
        break;
    case HOST_IOMMU_TESTDEV_FAIL_HOW:
        calls->blocks = val & HOST_IOMMU_TESTDEV_BLOCKS;
        calls->partly = val & HOST_IOMMU_TESTDEV_PARTLY;
        break;
    case HOST_IOMMU_TESTDEV_FAIL_MORE:
        calls->fail_more = val;
        break;
    }
}

static const MemoryRegionOps host_iommu_testdev_ops = {
    .read = host_iommu_testdev_read,
    .write = host_iommu_testdev_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid.min_access_size = 8,
    .valid.max_access_size = 8,
    .impl.min_access_size = 8,
    .impl.max_access_size = 8,
};

/* The PCI device */

static void host_iommu_testdev_detach(HostIOMMUTestdev *td)
{
    if (td->hiod) {
        pci_device_unset_iommu_device(&td->dma.pdev);
    }
    dma_testdev_stop_listening(&td->dma.listener);
    host_iommu_test_leave(&td->member);
}

/* As late as VFIO does: a device keeps its host until it is finalized */
static void host_iommu_testdev_finalize(Object *obj)
{
    HostIOMMUTestdev *td = HOST_IOMMU_TESTDEV(obj);

    host_iommu_device_free(td->hiod);
    object_unref(OBJECT(td->parent));
}

/* As VFIO: its own words, those of the host, and what the vIOMMU adds */
static bool host_iommu_testdev_check_flags(HostIOMMUTestdev *td, Error **errp)
{
    HostIOMMUDevice *hiod;

    if (!(td->viommu_flags & VIOMMU_FLAG_WANT_NESTING_PARENT)) {
        return true;
    }
    if (td->mdev) {
        error_setg(errp, "mdev=on: no nesting parent");
        pci_device_explain_viommu_flags(&td->dma.pdev, NULL, errp);
        return false;
    }
    if (td->refuse_parent) {
        hiod = host_iommu_device_new(TYPE_HOST_IOMMU_DEVICE_TEST, OBJECT(td),
                                     td, &error_abort);
        error_setg(errp, "x-refuse-parent=on: no nesting parent");
        pci_device_explain_viommu_flags(&td->dma.pdev, hiod, errp);
        host_iommu_device_free(hiod);
        return false;
    }
    return true;
}

static MemTxResult host_iommu_testdev_dma(DMATestdev *dma, hwaddr addr,
                                          void *buf, hwaddr len, bool is_write)
{
    return host_iommu_test_dma(&HOST_IOMMU_TESTDEV(dma)->member, addr, buf, len,
                               is_write);
}

/* To what the vIOMMU's flags say: guest-physical memory, or what it maps */
static bool host_iommu_testdev_attach_first(HostIOMMUTestdev *td, Error **errp)
{
    if (!(td->viommu_flags & VIOMMU_FLAG_WANT_NESTING_PARENT)) {
        return dma_testdev_listen(&td->dma.listener,
                                  pci_device_iommu_address_space(&td->dma.pdev),
                                  errp);
    }
    td->parent = host_iommu_test_parent(td->unit);
    td->dma.dma = host_iommu_testdev_dma;
    return host_iommu_test_join(&td->member, td->parent, td->group, errp);
}

static bool host_iommu_testdev_attach(HostIOMMUTestdev *td, Error **errp)
{
    if (!pci_device_get_viommu_flags(&td->dma.pdev, &td->viommu_flags, errp) ||
        !host_iommu_testdev_check_flags(td, errp)) {
        return false;
    }
    if (!host_iommu_testdev_attach_first(td, errp)) {
        return false;
    }
    if (td->mdev) {
        return true;
    }
    td->hiod = host_iommu_device_new(TYPE_HOST_IOMMU_DEVICE_TEST, OBJECT(td),
                                     td, errp);
    if (!td->hiod) {
        goto stop_listening;
    }
    if (!pci_device_set_iommu_device(&td->dma.pdev, td->hiod, errp)) {
        goto free_hiod;
    }
    return true;

free_hiod:
    host_iommu_device_free(g_steal_pointer(&td->hiod));
stop_listening:
    dma_testdev_stop_listening(&td->dma.listener);
    host_iommu_test_leave(&td->member);
    return false;
}

static void host_iommu_testdev_realize(PCIDevice *pdev, Error **errp)
{
    HostIOMMUTestdev *td = HOST_IOMMU_TESTDEV(pdev);
    HostIOMMUTestdevClass *tc = HOST_IOMMU_TESTDEV_GET_CLASS(td);
    Error *err = NULL;

    /* before its host is learned, and so not by the engine's realize */
    td->dma.listen = false;
    if (!host_iommu_testdev_attach(td, errp)) {
        return;
    }
    if (td->fail_late) {
        host_iommu_testdev_detach(td);
        error_setg(errp, "x-fail-late=on: failed as asked");
        return;
    }
    tc->parent_realize(pdev, &err);
    if (err) {
        host_iommu_testdev_detach(td);
        error_propagate(errp, err);
        return;
    }
    memory_region_init_io(&td->registers, OBJECT(td), &host_iommu_testdev_ops,
                          td, TYPE_HOST_IOMMU_TESTDEV,
                          HOST_IOMMU_TESTDEV_END - DMA_TESTDEV_SUBCLASS);
    memory_region_add_subregion(&td->dma.bar, DMA_TESTDEV_SUBCLASS,
                                &td->registers);
}

static void host_iommu_testdev_exit(PCIDevice *pdev)
{
    HostIOMMUTestdev *td = HOST_IOMMU_TESTDEV(pdev);

    /* it holds a reference to the device */
    memory_region_del_subregion(&td->dma.bar, &td->registers);
    host_iommu_testdev_detach(td);
    HOST_IOMMU_TESTDEV_GET_CLASS(td)->parent_exit(pdev);
}

static const Property host_iommu_testdev_properties[] = {
    DEFINE_PROP_STRING("iommu-type", HostIOMMUTestdev, iommu_type),
    DEFINE_PROP_STRING("source", HostIOMMUTestdev, source),
    DEFINE_PROP_STRING("unit", HostIOMMUTestdev, unit),
    DEFINE_PROP_UINT8("aw-bits", HostIOMMUTestdev, aw_bits, 48),
    DEFINE_PROP_UINT8("pasid-bits", HostIOMMUTestdev, pasid_bits, 0),
    DEFINE_PROP_UINT64("page-sizes", HostIOMMUTestdev, page_sizes, 4 * KiB),
    DEFINE_PROP_UINT64("hw-caps", HostIOMMUTestdev, hw_caps, 0),
    DEFINE_PROP_UINT64("vtd-cap", HostIOMMUTestdev, vtd_cap, 0),
    DEFINE_PROP_UINT64("vtd-ecap", HostIOMMUTestdev, vtd_ecap, 0),
    /* as a mediated device: assigned, but never introduced to the vIOMMU */
    DEFINE_PROP_BOOL("mdev", HostIOMMUTestdev, mdev, false),
    /* of what it is, not what it does: registers are lost */
    DEFINE_PROP_BOOL("x-migratable", HostIOMMUTestdev, dma.migratable, false),
    /* realize fails after the device was introduced */
    DEFINE_PROP_BOOL("x-fail-late", HostIOMMUTestdev, fail_late, false),
    /* as a host that does not nest */
    DEFINE_PROP_BOOL("x-refuse-parent", HostIOMMUTestdev, refuse_parent, false),
    /* number of its group in the host */
    DEFINE_PROP_INT32("x-group", HostIOMMUTestdev, group,
                      HOST_IOMMU_GROUP_UNKNOWN),
};

static void host_iommu_testdev_class_init(ObjectClass *oc, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(oc);
    HostIOMMUTestdevClass *tc = HOST_IOMMU_TESTDEV_CLASS(oc);

    tc->parent_realize = pc->realize;
    pc->realize = host_iommu_testdev_realize;
    tc->parent_exit = pc->exit;
    pc->exit = host_iommu_testdev_exit;
    pc->device_id = HOST_IOMMU_TESTDEV_DEVICE_ID;
    dc->desc = "Stands for an assigned device, to test vIOMMUs";
    device_class_set_props(dc, host_iommu_testdev_properties);
}

static const TypeInfo types[] = {
    {
        .name = TYPE_HOST_IOMMU_DEVICE_TEST,
        .parent = TYPE_HOST_IOMMU_DEVICE,
        .class_init = host_iommu_test_class_init,
    }, {
        .name = TYPE_HOST_IOMMU_TESTDEV,
        .parent = TYPE_DMA_TESTDEV,
        .instance_size = sizeof(HostIOMMUTestdev),
        .instance_finalize = host_iommu_testdev_finalize,
        .class_size = sizeof(HostIOMMUTestdevClass),
        .class_init = host_iommu_testdev_class_init,
    }
};

DEFINE_TYPES(types)
