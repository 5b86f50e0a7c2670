/*
 * What virtual IOMMUs report of themselves
 *
 * The interface that query-viommu and query-host-iommu look for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VIOMMU_INFO_H
#define HW_VIOMMU_INFO_H

#include "qapi/qapi-types-host-iommu.h"
#include "qom/object.h"
#include "system/host_iommu_device.h"

#define TYPE_VIOMMU_INFO "viommu-info"

typedef struct VIOMMUInfoClass VIOMMUInfoClass;
DECLARE_CLASS_CHECKERS(VIOMMUInfoClass, VIOMMU_INFO, TYPE_VIOMMU_INFO)

/*
 * An interface of devices, those that pci_setup_iommu() is called with. Who has
 * nothing to report sets @type alone.
 */
struct VIOMMUInfoClass {
    InterfaceClass parent_class;

    ViommuType type;

    /**
     * @query: report all; NULL: there is no more than every vIOMMU has
     *
     * @obj: the vIOMMU, realized
     * @info: as of a vIOMMU that is not changed by a host, and migrates where
     *     its VMState does
     */
    void (*query)(Object *obj, ViommuInfo *info);

    /**
     * @check_host: could a device of this host be plugged now? NULL: the
     * vIOMMU cannot know before it sees the device
     *
     * @obj: the vIOMMU, realized
     * @host: a unit of the host
     * @misfits: set to what does not fit, for the caller to free
     * @errp: the message that the device would be refused with
     */
    bool (*check_host)(Object *obj, HostIOMMUDevice *host,
                       HostIommuMisfitList **misfits, Error **errp);

    /**
     * @decode_host: what a host has of the fields that @query names
     *
     * Asked with or without a vIOMMU of this class in the VM.
     *
     * @host: a unit of the host
     *
     * Returns: NULL for a host of a kind that is not known; the caller frees
     */
    HostIommuFieldList *(*decode_host)(HostIOMMUDevice *host);
};

/**
 * viommu_info_set_vtd() - report a pair of VT-d's registers
 *
 * @vtd: filled
 * @cap: Capability Register
 * @ecap: Extended Capability Register
 */
void viommu_info_set_vtd(VtdRegisters *vtd, uint64_t cap, uint64_t ecap);

/**
 * viommu_info_add_device() - report of one device what every vIOMMU would
 *
 * @info: gets the device
 * @hiod: its host; child of the device
 *
 * Returns: what was added, without misfits; owned by @info
 */
ViommuHostDevice *viommu_info_add_device(ViommuInfo *info,
                                         HostIOMMUDevice *hiod);

#endif /* HW_VIOMMU_INFO_H */
