/*
 * Stage-1 passthrough: the guest's first-stage tables, walked by the host
 *
 * Each group of the host is bound to what the guest's structures say: guest-
 * physical memory (a nesting parent), tables, or nothing; second-stage tables,
 * which legacy mode has, are shadowed. Invalidations of tables are collected,
 * and done by the host before the guest is told so.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "hw/pci/pci_bus.h"
#include "intel_iommu_host.h"
#include "intel_iommu_internal.h"
#include "intel_iommu_migration.h"
#include "intel_iommu_shadow_space.h"
#include "intel_iommu_stage1.h"
#include "intel_iommu_tables.h"
#include "system/host_iommu_parent.h"
#include "trace.h"

/* Above so many ranges, the host forgets all of the tables at once */
#define VTD_STAGE1_RANGES 32

/* Tables that devices are bound to; those with the same tables share them */
struct VTDStage1Set {
    HostIOMMUParent *parent;        /* a reference */
    VTDTables tables;
    uint32_t id;                    /* the host's */
    unsigned int users;             /* groups that are bound to it */
    HostIOMMUVTDRange pending[VTD_STAGE1_RANGES];
    uint32_t num_pending;
    QLIST_ENTRY(VTDStage1Set) next, next_pending;
};

/* A device; bus and devfn are its own, and those of its requests */
typedef struct VTDStage1Device {
    PCIBus *bus;
    int devfn;
    HostIOMMUDevice *hiod;          /* a reference */
    VTDShadowSpace *shadow;         /* what the host's tables follow, or NULL */
    QLIST_ENTRY(VTDStage1Device) next;
} VTDStage1Device;

typedef enum VTDStage1Kind {
    VTD_STAGE1_PARENT,
    VTD_STAGE1_TABLES,
    VTD_STAGE1_SHADOW,
    VTD_STAGE1_NOTHING,
} VTDStage1Kind;

/* What devices should be bound to */
typedef struct VTDStage1Binding {
    VTDStage1Kind kind;
    VTDTables tables;               /* with VTD_STAGE1_TABLES */
    const char *reason;             /* with VTD_STAGE1_NOTHING */
} VTDStage1Binding;

/*
 * The host attaches all devices of a group to the same, and blocks DMA where
 * it attaches none: the group is what is bound.
 */
struct VTDStage1Group {
    int number;                     /* the host's, or unknown: one device */
    QLIST_HEAD(, VTDStage1Device) devices;
    VTDStage1Kind kind;             /* what it is bound to */
    VTDStage1Set *set;              /* with VTD_STAGE1_TABLES */
    char *reason;                   /* with VTD_STAGE1_NOTHING; owned */
    bool legacy_told;
    bool disagreement_told;
    QLIST_ENTRY(VTDStage1Group) next;
};

static const char *vtd_stage1_fault(int fault)
{
    switch (fault) {
    case VTD_FR_ROOT_ENTRY_P:
    case VTD_FR_SM_ROOT_ENTRY_P:
        return "its root entry is not present";
    case VTD_FR_CONTEXT_ENTRY_P:
    case VTD_FR_SM_CONTEXT_ENTRY_P:
        return "its context entry is not present";
    case VTD_FR_PASID_DIR_ENTRY_P:
        return "its PASID directory entry is not present";
    case VTD_FR_PASID_ENTRY_P:
        return "its PASID entry is not present";
    case VTD_FR_PASID_TABLE_ENTRY_INV:
        return "its PASID entry is of a type that intel-iommu does not offer";
    default:
        return "its root, context or PASID entries are invalid";
    }
}

/* What the guest's structures say of a device, at this moment */
static VTDStage1Binding vtd_stage1_wanted(IntelIOMMUState *s,
                                          const VTDStage1Device *dev)
{
    VTDStage1Binding want = { .kind = VTD_STAGE1_PARENT };
    int fault;

    if (!s->dmar_enabled) {
        return want;
    }
    fault = -vtd_get_device_tables(s, pci_bus_num(dev->bus), dev->devfn,
                                   PCI_NO_PASID, &want.tables);
    if (fault) {
        want.kind = VTD_STAGE1_NOTHING;
        want.reason = vtd_stage1_fault(fault);
    } else if (want.tables.pgtt == VTD_SM_PASID_ENTRY_FLT) {
        want.kind = VTD_STAGE1_TABLES;
    } else if (want.tables.pgtt != VTD_SM_PASID_ENTRY_PT) {
        /* Second stages are offered by legacy mode alone */
        want.kind = VTD_STAGE1_SHADOW;
    }
    return want;
}

static bool vtd_stage1_same_tables(const VTDTables *a, const VTDTables *b)
{
    return a->fs_root == b->fs_root && a->fs_levels == b->fs_levels &&
           a->sre == b->sre && a->wpe == b->wpe &&
           a->domain_id == b->domain_id && a->pasid == b->pasid;
}

static bool vtd_stage1_same(const VTDStage1Binding *a,
                            const VTDStage1Binding *b)
{
    return a->kind == b->kind &&
           (a->kind != VTD_STAGE1_TABLES ||
            vtd_stage1_same_tables(&a->tables, &b->tables));
}

static void vtd_stage1_tell_legacy(VTDStage1Group *group, bool legacy)
{
    if (legacy && !group->legacy_told) {
        warn_report("%s: its DMA is blocked: the guest uses VT-d's legacy "
                    "mode, where each device of an IOMMU group of the host has "
                    "tables of its own (use intel_iommu=on,sm_on in a Linux "
                    "guest, or assign one device of the group)",
                    QLIST_FIRST(&group->devices)->hiod->name);
    }
    group->legacy_told = legacy;
}

/* A guest programs one function after another: to disagree is no error */
static VTDStage1Binding vtd_stage1_group_wanted(IntelIOMMUState *s,
                                                VTDStage1Group *group)
{
    VTDStage1Device *first = QLIST_FIRST(&group->devices), *dev;
    VTDStage1Binding want = vtd_stage1_wanted(s, first), other;
    bool one = !QLIST_NEXT(first, next);

    vtd_stage1_tell_legacy(group, !one && want.kind == VTD_STAGE1_SHADOW);
    if (!one && want.kind == VTD_STAGE1_SHADOW) {
        return (VTDStage1Binding) {
            .kind = VTD_STAGE1_NOTHING,
            .reason = "the guest uses VT-d's legacy mode, and the device's "
                      "host IOMMU group has others",
        };
    }
    for (dev = QLIST_NEXT(first, next); dev; dev = QLIST_NEXT(dev, next)) {
        other = vtd_stage1_wanted(s, dev);
        if (vtd_stage1_same(&want, &other)) {
            continue;
        }
        if (want.kind == VTD_STAGE1_TABLES &&
            other.kind == VTD_STAGE1_TABLES && !group->disagreement_told) {
            group->disagreement_told = true;
            warn_report("%s and %s are in one IOMMU group of the host, and the "
                        "guest gives them different tables: their DMA is "
                        "blocked", first->hiod->name, dev->hiod->name);
        }
        return (VTDStage1Binding) {
            .kind = VTD_STAGE1_NOTHING,
            .reason = "the guest gives the devices of its host's IOMMU group "
                      "different tables",
        };
    }
    return want;
}

/* Sets */

static unsigned int vtd_stage1_bucket(uint16_t domain_id)
{
    return domain_id % VTD_STAGE1_BUCKETS;
}

static VTDStage1Set *vtd_stage1_find_set(IntelIOMMUState *s,
                                         HostIOMMUParent *parent,
                                         const VTDTables *tables)
{
    VTDStage1Set *set;

    QLIST_FOREACH(set, &s->stage1.sets[vtd_stage1_bucket(tables->domain_id)],
                  next) {
        if (set->parent == parent &&
            vtd_stage1_same_tables(&set->tables, tables)) {
            return set;
        }
    }
    return NULL;
}

static int vtd_stage1_alloc_tables(const VTDStage1Set *set,
                                   HostIOMMUDevice *hiod, uint32_t *id,
                                   Error **errp)
{
    const HostIOMMUVTDTables tables = {
        .root = set->tables.fs_root,
        .addr_width = VTD_PAGE_SHIFT_4K +
                      set->tables.fs_levels * VTD_LEVEL_BITS,
        .sre = set->tables.sre,
        .wpe = set->tables.wpe,
    };

    return host_iommu_parent_alloc_tables(set->parent, hiod, &tables, id,
                                          errp);
}

/* Returns: the set, which the caller uses, or NULL */
static VTDStage1Set *vtd_stage1_get_set(IntelIOMMUState *s,
                                        VTDStage1Group *group,
                                        const VTDTables *tables, Error **errp)
{
    HostIOMMUDevice *hiod = QLIST_FIRST(&group->devices)->hiod;
    VTDStage1Set *set = vtd_stage1_find_set(s, hiod->parent, tables);

    if (!set) {
        set = g_new0(VTDStage1Set, 1);
        set->parent = hiod->parent;
        set->tables = *tables;
        if (vtd_stage1_alloc_tables(set, hiod, &set->id, errp)) {
            g_free(set);
            return NULL;
        }
        object_ref(OBJECT(set->parent));
        QLIST_INSERT_HEAD(
            &s->stage1.sets[vtd_stage1_bucket(tables->domain_id)], set, next);
    }
    set->users++;
    return set;
}

/* To which no device is attached, if there are no other users */
static void vtd_stage1_put_set(VTDStage1Set *set)
{
    if (set && --set->users == 0) {
        QLIST_REMOVE(set, next);
        QLIST_SAFE_REMOVE(set, next_pending);
        host_iommu_parent_free_tables(set->parent, set->id);
        object_unref(OBJECT(set->parent));
        g_free(set);
    }
}

/* Groups */

static void vtd_stage1_detach(VTDStage1Group *group)
{
    VTDStage1Device *dev;
    Error *err = NULL;

    QLIST_FOREACH(dev, &group->devices, next) {
        if (host_iommu_device_detach(dev->hiod, HOST_IOMMU_NO_PASID, &err)) {
            error_reportf_err(g_steal_pointer(&err), "%s: its DMA cannot be "
                              "blocked: ", dev->hiod->name);
        }
    }
}

static bool vtd_stage1_try_attach(VTDStage1Group *group, uint32_t id,
                                  Error **errp)
{
    VTDStage1Device *dev;

    QLIST_FOREACH(dev, &group->devices, next) {
        if (host_iommu_device_attach(dev->hiod, HOST_IOMMU_NO_PASID, id,
                                     errp)) {
            return false;
        }
    }
    return true;
}

/*
 * After a failure the old tables may be in force or not, and to attach to what
 * a device seems to have does nothing: only from detached it is known.
 */
static bool vtd_stage1_attach(VTDStage1Group *group, uint32_t id,
                              Error **errp)
{
    if (vtd_stage1_try_attach(group, id, NULL)) {
        return true;
    }
    vtd_stage1_detach(group);
    if (vtd_stage1_try_attach(group, id, errp)) {
        return true;
    }
    vtd_stage1_detach(group);
    return false;
}

static bool vtd_stage1_shadow(IntelIOMMUState *s, VTDStage1Device *dev,
                              uint32_t *id, Error **errp)
{
    dev->shadow = vtd_shadow_space_new(s, dev->bus, dev->devfn);
    if (!host_iommu_device_shadow(dev->hiod, vtd_shadow_space_as(dev->shadow),
                                  id, errp)) {
        vtd_shadow_space_free(g_steal_pointer(&dev->shadow));
        return false;
    }
    return true;
}

/* @dev is not attached to its shadow, if there is one */
static void vtd_stage1_unshadow(VTDStage1Device *dev)
{
    if (dev->shadow) {
        host_iommu_device_unshadow(dev->hiod);
        vtd_shadow_space_free(g_steal_pointer(&dev->shadow));
    }
}

/* What @group is bound to now; a user of @set */
static void vtd_stage1_note(VTDStage1Group *group, VTDStage1Kind kind,
                            VTDStage1Set *set, const char *reason)
{
    VTDStage1Set *old = group->set;
    VTDStage1Device *dev;

    group->kind = kind;
    group->set = set;
    QLIST_FOREACH(dev, &group->devices, next) {
        if (kind != VTD_STAGE1_SHADOW) {
            vtd_stage1_unshadow(dev);
        }
    }
    g_free(group->reason);
    group->reason = g_strdup(reason);
    vtd_stage1_put_set(old);
    trace_vtd_stage1_bound(QLIST_FIRST(&group->devices)->hiod->name, kind,
                           set ? set->id : 0, reason ?: "");
}

/* All devices of @group are detached; warns of it once */
static void vtd_stage1_note_failure(VTDStage1Group *group, Error *err)
{
    g_autofree char *reason = g_strdup_printf("the host failed: %s",
                                              error_get_pretty(err));

    if (g_strcmp0(group->reason, reason)) {
        error_report("%s: its DMA is blocked: %s",
                     QLIST_FIRST(&group->devices)->hiod->name, reason);
    }
    error_free(err);
    vtd_stage1_note(group, VTD_STAGE1_NOTHING, NULL, reason);
}

static bool vtd_stage1_is_bound(const VTDStage1Group *group,
                                const VTDStage1Binding *want)
{
    return group->kind == want->kind &&
           (want->kind != VTD_STAGE1_TABLES ||
            vtd_stage1_same_tables(&group->set->tables, &want->tables));
}

static void vtd_stage1_bind(IntelIOMMUState *s, VTDStage1Group *group)
{
    VTDStage1Binding want = vtd_stage1_group_wanted(s, group);
    VTDStage1Set *set = NULL;
    uint32_t id = QLIST_FIRST(&group->devices)->hiod->parent->id;
    Error *err = NULL;

    if (vtd_stage1_is_bound(group, &want)) {
        if (want.kind == VTD_STAGE1_NOTHING) {
            vtd_stage1_note(group, want.kind, NULL, want.reason);
        }
        return;
    }

    vtd_stage1_flush(s);
    if (want.kind == VTD_STAGE1_NOTHING) {
        vtd_stage1_detach(group);
        vtd_stage1_note(group, want.kind, NULL, want.reason);
        return;
    }
    if (want.kind == VTD_STAGE1_TABLES) {
        set = vtd_stage1_get_set(s, group, &want.tables, &err);
        if (!set) {
            vtd_stage1_detach(group);
            vtd_stage1_note_failure(group, err);
            return;
        }
        id = set->id;
    }
    if (want.kind == VTD_STAGE1_SHADOW &&
        !vtd_stage1_shadow(s, QLIST_FIRST(&group->devices), &id, &err)) {
        vtd_stage1_detach(group);
        vtd_stage1_note_failure(group, err);
        return;
    }
    if (vtd_stage1_attach(group, id, &err)) {
        vtd_stage1_note(group, want.kind, set, NULL);
    } else {
        vtd_stage1_note_failure(group, err);
        vtd_stage1_put_set(set);
    }
}

void vtd_stage1_sync(IntelIOMMUState *s)
{
    VTDStage1Group *group;

    QLIST_FOREACH(group, &s->stage1.groups, next) {
        vtd_stage1_bind(s, group);
    }
}

void vtd_stage1_sync_devices(IntelIOMMUState *s, uint16_t source_id,
                             uint16_t mask)
{
    VTDStage1Group *group;
    VTDStage1Device *dev;

    QLIST_FOREACH(group, &s->stage1.groups, next) {
        QLIST_FOREACH(dev, &group->devices, next) {
            uint16_t id = PCI_BUILD_BDF(pci_bus_num(dev->bus), dev->devfn);

            if (!((id ^ source_id) & mask)) {
                vtd_stage1_bind(s, group);
                break;
            }
        }
    }
}

/* Invalidations */

static void vtd_stage1_collect(IntelIOMMUState *s, VTDStage1Set *set,
                               const HostIOMMUVTDRange *range)
{
    static const HostIOMMUVTDRange all = { .npages = HOST_IOMMU_ALL_PAGES };
    HostIOMMUVTDRange *last = set->pending + set->num_pending - 1;

    if (!set->num_pending) {
        QLIST_INSERT_HEAD(&s->stage1.pending, set, next_pending);
    }
    if (set->num_pending && last->npages == HOST_IOMMU_ALL_PAGES) {
        return;
    }
    if (range->npages == HOST_IOMMU_ALL_PAGES ||
        set->num_pending == VTD_STAGE1_RANGES) {
        set->pending[0] = all;
        set->num_pending = 1;
        return;
    }
    if (set->num_pending && last->leaf == range->leaf &&
        last->addr + last->npages * VTD_PAGE_SIZE == range->addr) {
        last->npages += range->npages;
        return;
    }
    set->pending[set->num_pending++] = *range;
}

static void vtd_stage1_collect_for(IntelIOMMUState *s, uint32_t domain_id,
                                   uint32_t pasid,
                                   const HostIOMMUVTDRange *range)
{
    bool any = domain_id == VTD_STAGE1_ANY;
    unsigned int bucket = any ? 0 : vtd_stage1_bucket(domain_id);
    VTDStage1Set *set;

    do {
        QLIST_FOREACH(set, &s->stage1.sets[bucket], next) {
            if ((any || domain_id == set->tables.domain_id) &&
                (pasid == VTD_STAGE1_ANY || pasid == set->tables.pasid)) {
                vtd_stage1_collect(s, set, range);
            }
        }
    } while (any && ++bucket < VTD_STAGE1_BUCKETS);
}

void vtd_stage1_invalidate(IntelIOMMUState *s, uint32_t domain_id,
                           uint32_t pasid)
{
    const HostIOMMUVTDRange all = { .npages = HOST_IOMMU_ALL_PAGES };

    vtd_stage1_collect_for(s, domain_id, pasid, &all);
}

void vtd_stage1_invalidate_pages(IntelIOMMUState *s, uint32_t domain_id,
                                 uint32_t pasid, hwaddr addr, uint8_t am,
                                 bool leaf)
{
    HostIOMMUVTDRange range = { .leaf = leaf };

    /* A quarter of what four levels translate is no range, it is all */
    if (VTD_PAGE_SHIFT_4K + am >= VTD_HOST_AW_48BIT - 2) {
        vtd_stage1_invalidate(s, domain_id, pasid);
        return;
    }
    range.npages = 1ULL << am;
    range.addr = addr & -(range.npages * VTD_PAGE_SIZE);
    vtd_stage1_collect_for(s, domain_id, pasid, &range);
}

/* Returns: did the host forget all that it was asked to? */
static bool vtd_stage1_tell_host(const VTDStage1Set *set,
                                 const HostIOMMUVTDRange *ranges,
                                 uint32_t count, Error **errp)
{
    Error *err = NULL;

    while (count) {
        uint32_t done = count;
        int ret = host_iommu_parent_invalidate(set->parent, set->id, ranges,
                                               &done, &err);

        if (ret && !done) {
            error_propagate(errp, err);
            return false;
        }
        /* What was not done is tried again, and fails as the first then */
        error_free(g_steal_pointer(&err));
        assert(ret || done == count);
        ranges += done;
        count -= done;
    }
    return true;
}

/*
 * The host has something of @set that it must not use. New tables have nothing
 * cached; where there are none, devices are blocked.
 */
static void vtd_stage1_renew(IntelIOMMUState *s, VTDStage1Set *set)
{
    VTDStage1Group *group;
    HostIOMMUDevice *hiod = NULL;
    Error *err = NULL;
    bool renewed;
    uint32_t id;

    /* not freed as its users go */
    set->users++;
    QLIST_FOREACH(group, &s->stage1.groups, next) {
        if (group->set == set) {
            vtd_stage1_detach(group);
            hiod = QLIST_FIRST(&group->devices)->hiod;
        }
    }
    renewed = !vtd_stage1_alloc_tables(set, hiod, &id, &err);
    if (renewed) {
        host_iommu_parent_free_tables(set->parent, set->id);
        set->id = id;
    }
    QLIST_FOREACH(group, &s->stage1.groups, next) {
        if (group->set != set) {
            continue;
        }
        if (!renewed) {
            vtd_stage1_note_failure(group, error_copy(err));
        } else if (!vtd_stage1_attach(group, set->id, &err)) {
            vtd_stage1_note_failure(group, g_steal_pointer(&err));
        }
    }
    error_free(err);
    vtd_stage1_put_set(set);
}

static void vtd_stage1_flush_set(IntelIOMMUState *s, VTDStage1Set *set)
{
    static const HostIOMMUVTDRange all = { .npages = HOST_IOMMU_ALL_PAGES };
    uint32_t count = set->num_pending;
    Error *err = NULL;

    set->num_pending = 0;
    if (vtd_stage1_tell_host(set, set->pending, count, NULL) ||
        vtd_stage1_tell_host(set, &all, 1, &err)) {
        return;
    }
    warn_report_once("the host failed to invalidate a guest's tables, which "
                     "are bound anew: %s", error_get_pretty(err));
    error_free(err);
    vtd_stage1_renew(s, set);
}

void vtd_stage1_flush(IntelIOMMUState *s)
{
    VTDStage1Set *set;

    while ((set = QLIST_FIRST(&s->stage1.pending))) {
        QLIST_REMOVE(set, next_pending);
        vtd_stage1_flush_set(s, set);
    }
}

/* Devices */

static VTDStage1Group *vtd_stage1_find_group(IntelIOMMUState *s, int number)
{
    VTDStage1Group *group;

    if (number != HOST_IOMMU_GROUP_UNKNOWN) {
        QLIST_FOREACH(group, &s->stage1.groups, next) {
            if (group->number == number) {
                return group;
            }
        }
    }
    return NULL;
}

static VTDStage1Device *vtd_stage1_find(IntelIOMMUState *s, PCIBus *bus,
                                        int devfn, VTDStage1Group **group)
{
    VTDStage1Device *dev;

    QLIST_FOREACH(*group, &s->stage1.groups, next) {
        QLIST_FOREACH(dev, &(*group)->devices, next) {
            if (dev->bus == bus && dev->devfn == devfn) {
                return dev;
            }
        }
    }
    return NULL;
}

static void vtd_stage1_add(IntelIOMMUState *s, PCIBus *bus, int devfn,
                           HostIOMMUDevice *hiod)
{
    VTDStage1Group *group = vtd_stage1_find_group(s, hiod->caps.group);
    VTDStage1Device *dev = g_new0(VTDStage1Device, 1);
    bool moved = group && group->kind != VTD_STAGE1_PARENT;

    dev->bus = bus;
    dev->devfn = devfn;
    dev->hiod = HOST_IOMMU_DEVICE(object_ref(hiod));
    if (!group) {
        group = g_new0(VTDStage1Group, 1);
        group->number = hiod->caps.group;
        group->kind = VTD_STAGE1_PARENT;
        QLIST_INSERT_HEAD(&s->stage1.groups, group, next);
    }
    QLIST_INSERT_HEAD(&group->devices, dev, next);
    if (moved) {
        /* It came attached to the parent, which opened that for all of them */
        vtd_stage1_detach(group);
        vtd_stage1_note(group, VTD_STAGE1_NOTHING, NULL,
                        "a device joined its host's IOMMU group");
    }
    vtd_stage1_bind(s, group);
}

/*
 * Are all of @group in the slot of a new device? A guest looks into that once
 * function 0 is there, and no function is plugged beside one (hw/pci/pci.c).
 */
static bool vtd_stage1_is_unseen(const VTDStage1Group *group, PCIBus *bus,
                                 int devfn)
{
    VTDStage1Device *dev;

    QLIST_FOREACH(dev, &group->devices, next) {
        if (dev->bus != bus || PCI_SLOT(dev->devfn) != PCI_SLOT(devfn)) {
            return false;
        }
    }
    return true;
}

/* One that joins would take from the others what they are bound to */
static bool vtd_stage1_check_group(IntelIOMMUState *s, PCIBus *bus, int devfn,
                                   HostIOMMUDevice *hiod, Error **errp)
{
    VTDStage1Group *group = vtd_stage1_find_group(s, hiod->caps.group);

    if (group && group->kind != VTD_STAGE1_PARENT &&
        !vtd_stage1_is_unseen(group, bus, devfn)) {
        error_setg(errp, "%s is in the same IOMMU group of the host, %d, which "
                   "has one set of page tables, and the guest uses it already "
                   "(plug both before it does, or into one slot, function 0 "
                   "last)", QLIST_FIRST(&group->devices)->hiod->name,
                   group->number);
        return false;
    }
    return true;
}

static bool vtd_stage1_check_device(IntelIOMMUState *s, PCIBus *bus, int devfn,
                                    HostIOMMUDevice *hiod, Error **errp)
{
    if (hiod->aliased_bus != bus || hiod->aliased_devfn != devfn) {
        error_setg(errp, "intel-iommu with x-flts=on does not support assigned "
                   "devices behind a PCIe-to-PCI bridge, which share their "
                   "tables (plug it into a PCIe port, or use x-flts=off)");
        return false;
    }
    if (!hiod->parent) {
        error_setg(errp, "intel-iommu with x-flts=on needs a nesting parent, "
                   "which the device does not have (use x-flts=off)");
        return false;
    }
    return vtd_stage1_check_group(s, bus, devfn, hiod, errp);
}

bool vtd_stage1_set_iommu_device(PCIBus *bus, void *opaque, int devfn,
                                 HostIOMMUDevice *hiod, Error **errp)
{
    IntelIOMMUState *s = opaque;

    assert(bql_locked());

    if ((s->flts && !vtd_stage1_check_device(s, bus, devfn, hiod, errp)) ||
        !vtd_migration_set_iommu_device(bus, s, devfn, hiod, errp)) {
        return false;
    }
    if (s->flts) {
        vtd_stage1_add(s, bus, devfn, hiod);
    }
    return true;
}

void vtd_stage1_unset_iommu_device(PCIBus *bus, void *opaque, int devfn)
{
    IntelIOMMUState *s = opaque;
    VTDStage1Group *group;
    VTDStage1Device *dev = vtd_stage1_find(s, bus, devfn, &group);

    if (dev) {
        host_iommu_device_detach(dev->hiod, HOST_IOMMU_NO_PASID,
                                 &error_warn);
        vtd_stage1_unshadow(dev);
        QLIST_REMOVE(dev, next);
        if (QLIST_EMPTY(&group->devices)) {
            QLIST_REMOVE(group, next);
            vtd_stage1_put_set(group->set);
            g_free(group->reason);
            g_free(group);
        } else {
            vtd_stage1_bind(s, group);
        }
        object_unref(OBJECT(dev->hiod));
        g_free(dev);
    }
    vtd_unset_iommu_device(bus, s, devfn);
}

/* Query */

static const VTDStage1Group *vtd_stage1_group_of(IntelIOMMUState *s,
                                                 HostIOMMUDevice *hiod)
{
    VTDStage1Group *group;
    VTDStage1Device *dev;

    QLIST_FOREACH(group, &s->stage1.groups, next) {
        QLIST_FOREACH(dev, &group->devices, next) {
            if (dev->hiod == hiod) {
                return group;
            }
        }
    }
    return NULL;
}

ViommuBound *vtd_stage1_query(IntelIOMMUState *s, HostIOMMUDevice *hiod)
{
    const VTDStage1Group *group = vtd_stage1_group_of(s, hiod);
    ViommuBound *bound = g_new0(ViommuBound, 1);

    if (!group) {
        bound->to = VIOMMU_BOUND_TO_SHADOW;
        return bound;
    }
    switch (group->kind) {
    case VTD_STAGE1_PARENT:
        bound->to = VIOMMU_BOUND_TO_PASS_THROUGH;
        break;
    case VTD_STAGE1_TABLES:
        bound->to = VIOMMU_BOUND_TO_NESTED;
        bound->u.nested.hwpt = group->set->id;
        break;
    case VTD_STAGE1_SHADOW:
        bound->to = VIOMMU_BOUND_TO_SHADOW;
        break;
    case VTD_STAGE1_NOTHING:
        bound->to = VIOMMU_BOUND_TO_BLOCKED;
        bound->u.blocked.reason = g_strdup(group->reason);
        break;
    }
    return bound;
}
