/*
 * What the host IOMMU behind an assigned device can do
 *
 * Created by whoever brings a device (VFIO), read by vIOMMUs, which get it
 * through pci_device_set_iommu_device(). Knows neither of them, and includes
 * no header of a kernel: it builds on every host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_IOMMU_DEVICE_H
#define HOST_IOMMU_DEVICE_H

#include "qom/object.h"
#include "qapi/error.h"

typedef struct HostIOMMUParent HostIOMMUParent;

/**
 * enum HostIOMMUType - what kind of IOMMU stands behind the device
 *
 * @HOST_IOMMU_TYPE_UNKNOWN: nobody could tell
 * @HOST_IOMMU_TYPE_INTEL_VTD: Intel VT-d; caps.vtd is valid
 * @HOST_IOMMU_TYPE_ARM_SMMUV3: Arm SMMUv3
 * @HOST_IOMMU_TYPE_AMD_VI: AMD-Vi
 */
typedef enum HostIOMMUType {
    HOST_IOMMU_TYPE_UNKNOWN,
    HOST_IOMMU_TYPE_INTEL_VTD,
    HOST_IOMMU_TYPE_ARM_SMMUV3,
    HOST_IOMMU_TYPE_AMD_VI,
    HOST_IOMMU_TYPE__MAX,
} HostIOMMUType;

/**
 * enum HostIOMMUSource - where the type and the vendor's part were read
 *
 * @HOST_IOMMU_SOURCE_NONE: nowhere; the type is unknown
 * @HOST_IOMMU_SOURCE_IOMMUFD: IOMMU_GET_HW_INFO (linux/iommufd.h)
 * @HOST_IOMMU_SOURCE_SYSFS: the device's iommu/ folder in sysfs (Linux'
 *     Documentation/ABI/testing/sysfs-class-iommu)
 */
typedef enum HostIOMMUSource {
    HOST_IOMMU_SOURCE_NONE,
    HOST_IOMMU_SOURCE_IOMMUFD,
    HOST_IOMMU_SOURCE_SYSFS,
    HOST_IOMMU_SOURCE__MAX,
} HostIOMMUSource;

/* Stands for a width that nobody could tell */
#define HOST_IOMMU_BITS_UNKNOWN 0

/* Stands for a group that nobody could tell */
#define HOST_IOMMU_GROUP_UNKNOWN (-1)

/**
 * struct HostIOMMUDeviceCaps - filled once, at realize, and constant after
 *
 * Unknown is a value of its own: nothing here is guessed.
 *
 * @type: kind of IOMMU
 * @source: where @type and the vendor's part come from
 * @aw_bits: bits of an IOVA that the device can be given, from the last
 *     usable IOVA; HOST_IOMMU_BITS_UNKNOWN on kernels that do not tell
 * @pasid_bits: bits of a PASID, or HOST_IOMMU_BITS_UNKNOWN
 * @group: number of the host's IOMMU group, whose devices are attached to the
 *     same page tables; HOST_IOMMU_GROUP_UNKNOWN
 * @has_hw_caps: is @hw_caps known?
 * @hw_caps: out_capabilities of IOMMU_GET_HW_INFO
 * @page_sizes: bitmap of page sizes, in bytes, that can be mapped; 0: unknown
 * @iova_ranges: sorted list of usable Range, owned by the object; NULL:
 *     unknown
 * @vtd: CAP and ECAP registers of the unit (VT-d 11.4.2, 11.4.3), raw, and
 *     flags of struct iommu_hw_info_vtd (linux/iommufd.h), which iommufd alone
 *     tells; valid with HOST_IOMMU_TYPE_INTEL_VTD
 */
typedef struct HostIOMMUDeviceCaps {
    HostIOMMUType type;
    HostIOMMUSource source;
    uint8_t aw_bits;
    uint8_t pasid_bits;
    int group;
    bool has_hw_caps;
    uint64_t hw_caps;
    uint64_t page_sizes;
    GList *iova_ranges;
    struct {
        uint64_t cap;
        uint64_t ecap;
        uint32_t flags;
    } vtd;
} HostIOMMUDeviceCaps;

#define TYPE_HOST_IOMMU_DEVICE "host-iommu-device"
OBJECT_DECLARE_TYPE(HostIOMMUDevice, HostIOMMUDeviceClass, HOST_IOMMU_DEVICE)

/**
 * struct HostIOMMUDevice - one assigned device, seen from its host's IOMMU
 *
 * @name: the device, as its bringer calls it; owned
 * @unit: the host's name of the IOMMU, such as dmar0; owned, NULL: unknown
 * @caps: see there
 * @parent: the nesting parent that the device is attached to when it is
 *     introduced to the vIOMMU (system/host_iommu_parent.h); a reference, NULL:
 *     none
 * @aliased_bus: bus of the requester id that the vIOMMU sees; set by
 *     pci_device_set_iommu_device()
 * @aliased_devfn: device and function of that requester id
 */
struct HostIOMMUDevice {
    Object parent_obj;

    char *name;
    char *unit;
    HostIOMMUDeviceCaps caps;
    HostIOMMUParent *parent;
    PCIBus *aliased_bus;
    int aliased_devfn;
};

struct HostIOMMUDeviceClass {
    ObjectClass parent_class;

    /**
     * @realize: fill name and caps, for good
     *
     * @hiod: the object, with everything unknown
     * @bringer: what host_iommu_device_new() was given
     * @errp: why the host could not be asked
     *
     * Returns: whether all is well; what the host does not tell is unknown,
     * and no error
     */
    bool (*realize)(HostIOMMUDevice *hiod, void *bringer, Error **errp);

    /**
     * @attach: give a device, and all of its group, other page tables;
     * optional, for those with a parent
     *
     * @hiod: the device
     * @pasid: whose requests; HOST_IOMMU_NO_PASID: those without
     * @id: the host's, of a parent or of tables on it
     * @errp: what the host says; what is in force then is not known
     *
     * Returns: 0 or a negative errno, then @errp is set. Nothing is done where
     * @id is what the device is attached to.
     */
    int (*attach)(HostIOMMUDevice *hiod, uint32_t pasid, uint32_t id,
                  Error **errp);

    /**
     * @detach: take a device from its page tables; optional, as @attach
     *
     * DMA is blocked when no device of the group is attached.
     *
     * @hiod: the device; where it is not attached, nothing is done
     * @pasid: whose requests; HOST_IOMMU_NO_PASID: those without
     * @errp: what the host says
     *
     * Returns: 0 or a negative errno, then @errp is set
     */
    int (*detach)(HostIOMMUDevice *hiod, uint32_t pasid, Error **errp);
};

/**
 * host_iommu_device_new() - learn what the host behind a device can do
 *
 * @typename: a concrete child of TYPE_HOST_IOMMU_DEVICE
 * @owner: the device that is attached; the object becomes its QOM child
 *     "host-iommu-device"
 * @bringer: passed to the realize method
 * @errp: why the host could not be asked
 *
 * Returns: a reference for the caller, who gives it back by
 * host_iommu_device_free(); or NULL, and @owner is as it was
 */
HostIOMMUDevice *host_iommu_device_new(const char *typename, Object *owner,
                                       void *bringer, Error **errp);

/**
 * host_iommu_device_new_named() - the same, for an owner of several
 *
 * @typename: as above
 * @owner: the object becomes its QOM child @name
 * @name: free at @owner
 * @bringer: as above
 * @errp: as above
 */
HostIOMMUDevice *host_iommu_device_new_named(const char *typename,
                                             Object *owner, const char *name,
                                             void *bringer, Error **errp);

/**
 * host_iommu_device_free() - give up a host_iommu_device_new()
 *
 * Takes the object from its owner, where that still has it: one that is being
 * finalized has lost it.
 *
 * @hiod: the object, or NULL. It goes when the last reference does.
 */
void host_iommu_device_free(HostIOMMUDevice *hiod);

/**
 * host_iommu_type_name() - the name that properties and messages use
 *
 * @type: kind of IOMMU
 *
 * Returns: a static string, such as "intel-vtd"
 */
const char *host_iommu_type_name(HostIOMMUType type);

/**
 * host_iommu_source_name() - the name that properties and QMP use
 *
 * @source: where a type was read
 *
 * Returns: a static string, such as "sysfs"
 */
const char *host_iommu_source_name(HostIOMMUSource source);

/**
 * host_iommu_iova_ranges_bits() - the width that a list of ranges amounts to
 *
 * @ranges: sorted list of usable Range, or NULL
 *
 * Returns: bits of the last usable IOVA, HOST_IOMMU_BITS_UNKNOWN for NULL
 */
uint8_t host_iommu_iova_ranges_bits(GList *ranges);

#endif /* HOST_IOMMU_DEVICE_H */
