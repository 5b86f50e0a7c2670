/*
 * A folder that stands for the /sys of a host, to test without that host
 *
 * As long as this device is there, the host's IOMMUs are those of the folder.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/qdev-properties.h"
#include "system/host_iommu_unit.h"

#define TYPE_HOST_IOMMU_TESTHOST "host-iommu-testhost"
OBJECT_DECLARE_SIMPLE_TYPE(HostIOMMUTesthost, HOST_IOMMU_TESTHOST)

struct HostIOMMUTesthost {
    DeviceState parent_obj;

    char *sysfs;
};

static void host_iommu_testhost_realize(DeviceState *dev, Error **errp)
{
    HostIOMMUTesthost *th = HOST_IOMMU_TESTHOST(dev);

    if (!th->sysfs) {
        error_setg(errp, "property 'sysfs' is needed");
        return;
    }
    host_iommu_unit_set_sysfs(th->sysfs);
}

static void host_iommu_testhost_unrealize(DeviceState *dev)
{
    host_iommu_unit_set_sysfs(NULL);
}

static const Property host_iommu_testhost_properties[] = {
    DEFINE_PROP_STRING("sysfs", HostIOMMUTesthost, sysfs),
};

static void host_iommu_testhost_class_init(ObjectClass *oc, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);

    dc->desc = "a folder in the place of the host's /sys, for tests";
    dc->hotpluggable = false;
    dc->realize = host_iommu_testhost_realize;
    dc->unrealize = host_iommu_testhost_unrealize;
    device_class_set_props(dc, host_iommu_testhost_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo types[] = {
    {
        .name = TYPE_HOST_IOMMU_TESTHOST,
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(HostIOMMUTesthost),
        .class_init = host_iommu_testhost_class_init,
    }
};

DEFINE_TYPES(types)
