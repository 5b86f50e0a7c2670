/*
 * What a host can limit in intel-iommu's CAP and ECAP
 *
 * One table; check, adopt, the error message and the accessor are its
 * readers. No field is named anywhere else, so adding one is adding a row.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/bitops.h"
#include "hw/boards.h"
#include "hw/i386/x86.h"
#include "hw/mem/memory-device.h"
#include "intel_iommu_given.h"
#include "intel_iommu_host_caps.h"
#include "intel_iommu_internal.h"
#include "system/host_iommu_vtd.h"
#include "trace.h"

/* How guest and host compare */
typedef enum VTDHostRule {
    RULE_WIDTH,         /* guest's width at most that of the IOVA ranges */
    RULE_AT_MOST,       /* guest's number at most the host's */
    RULE_SUBSET,        /* the host has what the guest is told */
    RULE_HOST_MUST,     /* the host has it, whatever the guest is told */
    RULE_GUEST_MUST_NOT, /* no assigned device gets what it promises */
} VTDHostRule;

typedef enum VTDHostWhere {
    ALWAYS,
    STAGE_1,            /* first-stage tables are walked by the host */
} VTDHostWhere;

typedef struct VTDHostField {
    const char *name;               /* in QMP */
    const char *text;
    const char *property;           /* what the user turns, NULL: nothing */
    const char *libvirt;            /* its attribute of <driver>, or NULL */
    VTDHostRule rule;
    VTDHostWhere where;
    bool ecap;
    uint8_t shift, length;
    uint8_t bias;                   /* of the number that the field holds */
    const char *set_by;             /* property it follows, NULL: none */
    size_t adopts;                  /* offset of a bool that can be lowered */
    const char *carried;            /* name in a stream, NULL: as in QMP */
} VTDHostField;

#define IN_CAP(f) \
    .ecap = false, .shift = R_VTD_CAP_##f##_SHIFT, \
    .length = R_VTD_CAP_##f##_LENGTH
#define IN_ECAP(f) \
    .ecap = true, .shift = R_VTD_ECAP_##f##_SHIFT, \
    .length = R_VTD_ECAP_##f##_LENGTH

static const VTDHostField vtd_host_fields[] = {
    { "address-width", "address width", "aw-bits", "aw_bits",
      RULE_WIDTH, ALWAYS, IN_CAP(MGAW),
      .set_by = "aw-bits", .carried = "mgaw" },
    { "sc", "snoop control", "snoop-control", NULL,
      RULE_GUEST_MUST_NOT, ALWAYS, IN_ECAP(SC),
      .set_by = "snoop-control" },
    { "smts", "scalable mode", "x-flts", NULL,
      RULE_HOST_MUST, STAGE_1, IN_ECAP(SMTS),
      .set_by = "x-scalable-mode" },
    { "fsts", "first-stage translation", "x-flts", NULL,
      RULE_HOST_MUST, STAGE_1, IN_ECAP(FSTS),
      .set_by = "x-flts" },
    { "ssts", "second-stage translation", "x-flts", NULL,
      RULE_HOST_MUST, STAGE_1, IN_ECAP(SSTS),
      .set_by = "x-scalable-mode" },
    { "nest", "nested translation", "x-flts", NULL,
      RULE_HOST_MUST, STAGE_1, IN_ECAP(NEST) },
    { "fs1gp", "1 GiB first-stage pages", "fs1gp", NULL,
      RULE_SUBSET, STAGE_1, IN_CAP(FS1GP),
      .set_by = "fs1gp", .adopts = offsetof(IntelIOMMUState, fs1gp) },
    { "dt", "device TLBs", "device-iotlb", "iotlb",
      RULE_SUBSET, STAGE_1, IN_ECAP(DT),
      .set_by = "device-iotlb" },
    { "srs", "supervisor requests", NULL, NULL,
      RULE_SUBSET, STAGE_1, IN_ECAP(SRS),
      .set_by = "x-scalable-mode" },
    { "pasid", "PASIDs", "x-pasid-mode", NULL,
      RULE_SUBSET, STAGE_1, IN_ECAP(PASID),
      .set_by = "x-pasid-mode" },
    { "pss", "PASID width", "x-pasid-mode", NULL,
      RULE_AT_MOST, STAGE_1, IN_ECAP(PSS), .bias = 1 },
};

QEMU_BUILD_BUG_ON(ARRAY_SIZE(vtd_host_fields) > VTD_HOST_FIELDS_MAX);

static uint64_t vtd_field_of(const VTDHostField *f, uint64_t cap,
                             uint64_t ecap)
{
    if (f->rule == RULE_WIDTH) {
        return host_iommu_vtd_mgaw(cap);
    }
    return extract64(f->ecap ? ecap : cap, f->shift, f->length) + f->bias;
}

/* Returns: what adopting turns off, or NULL */
static bool *vtd_field_switch(IntelIOMMUState *s, const VTDHostField *f)
{
    return f->adopts ? (bool *)((char *)s + f->adopts) : NULL;
}

/* The registers follow what was adopted only at the next reset */
static uint64_t vtd_guest_value(IntelIOMMUState *s, const VTDHostField *f)
{
    bool *on = vtd_field_switch(s, f);

    if (f->rule == RULE_WIDTH) {
        return s->aw_bits;
    }
    return on && !*on ? 0 : vtd_field_of(f, s->cap, s->ecap);
}

/* Returns: false where it is unknown */
static bool vtd_host_value(HostIOMMUDevice *hiod, const VTDHostField *f,
                           uint64_t *value)
{
    const HostIOMMUDeviceCaps *caps;

    if (!hiod) {
        return false;
    }
    caps = &hiod->caps;
    switch (f->rule) {
    case RULE_WIDTH:
        *value = caps->aw_bits;
        return caps->aw_bits != HOST_IOMMU_BITS_UNKNOWN;
    case RULE_AT_MOST:
        *value = vtd_field_of(f, caps->vtd.cap, caps->vtd.ecap);
        if (caps->pasid_bits != HOST_IOMMU_BITS_UNKNOWN) {
            *value = MIN(*value, caps->pasid_bits);
        }
        break;
    default:
        *value = vtd_field_of(f, caps->vtd.cap, caps->vtd.ecap);
        break;
    }
    return caps->type == HOST_IOMMU_TYPE_INTEL_VTD;
}

static bool vtd_field_fits(IntelIOMMUState *s, const VTDHostField *f,
                           uint64_t guest, bool host_known, uint64_t host)
{
    if (f->where == STAGE_1 && !s->flts) {
        return true;
    }
    switch (f->rule) {
    case RULE_WIDTH:
        /* Without translation, MGAW promises nothing */
        return !s->dma_translation || !host_known || guest <= host;
    case RULE_AT_MOST:
        return host_known && guest <= host;
    case RULE_SUBSET:
        return !guest || (host_known && host);
    case RULE_HOST_MUST:
        return host_known && host;
    case RULE_GUEST_MUST_NOT:
        return !guest;
    }
    g_assert_not_reached();
}

/* A width of 0 is given to leave it open */
static bool vtd_field_is_given(IntelIOMMUState *s, const VTDHostField *f)
{
    return f->set_by && vtd_is_given(s, f->set_by) &&
           (f->rule != RULE_WIDTH || s->aw_bits_given);
}

/* Did the user leave it to the host? */
static bool vtd_is_open(IntelIOMMUState *s, const VTDHostField *f)
{
    return f->rule == RULE_WIDTH ? !s->aw_bits_given
                                 : f->adopts && !vtd_field_is_given(s, f);
}

bool vtd_host_field(IntelIOMMUState *s, HostIOMMUDevice *hiod, int index,
                    VTDHostFieldState *field)
{
    const VTDHostField *f;

    if (index >= ARRAY_SIZE(vtd_host_fields)) {
        return false;
    }
    f = &vtd_host_fields[index];
    *field = (VTDHostFieldState) {
        .name = f->name,
        .carried = f->carried ?: f->name,
        .text = f->text,
        .property = f->property,
        .set_by = f->set_by,
    };
    field->host_known = vtd_host_value(hiod, f, &field->host);
    if (!s) {
        return true;
    }
    field->given = vtd_field_is_given(s, f);
    field->open = vtd_is_open(s, f);
    field->guest = vtd_guest_value(s, f);
    if (s->host.adopted[index].origin.kind != VTD_ORIGIN_NONE) {
        field->adopted = &s->host.adopted[index];
    }
    field->fits = vtd_field_fits(s, f, field->guest, field->host_known,
                                 field->host);
    return true;
}

uint64_t vtd_host_field_in(int index, uint64_t cap, uint64_t ecap)
{
    return vtd_field_of(&vtd_host_fields[index], cap, ecap);
}

bool vtd_host_field_fits(IntelIOMMUState *s, HostIOMMUDevice *hiod, int index,
                         uint64_t guest)
{
    const VTDHostField *f = &vtd_host_fields[index];
    uint64_t host = 0;
    bool known = vtd_host_value(hiod, f, &host);

    return vtd_field_fits(s, f, guest, known, host);
}

char *vtd_host_field_value(int index, uint64_t value)
{
    return vtd_host_fields[index].length > 1 ?
           g_strdup_printf("%" PRIu64, value) : g_strdup(value ? "on" : "off");
}

char *vtd_host_field_setting(int index, uint64_t value)
{
    const VTDHostField *f = &vtd_host_fields[index];
    g_autofree char *text = vtd_host_field_value(index, value);

    return f->libvirt ? g_strdup_printf("%s=%s, in libvirt %s='%s'",
                                        f->property, text, f->libvirt, text)
                      : g_strdup_printf("%s=%s", f->property, text);
}

/* Returns: where a memory device ends that is mapped at once, 0 for others */
static uint64_t vtd_memory_device_end(const MemoryDeviceInfo *info)
{
    switch (info->type) {
    case MEMORY_DEVICE_INFO_KIND_DIMM:
        return info->u.dimm.data->addr + info->u.dimm.data->size;
    case MEMORY_DEVICE_INFO_KIND_NVDIMM:
        return info->u.nvdimm.data->addr + info->u.nvdimm.data->size;
    case MEMORY_DEVICE_INFO_KIND_VIRTIO_PMEM:
        return info->u.virtio_pmem.data->memaddr +
               info->u.virtio_pmem.data->size;
    default:
        return 0;
    }
}

/*
 * Returns: the first guest-physical address above all RAM that is there, or,
 * with @maxmem, above what can be plugged too
 */
static uint64_t vtd_guest_ram_top(bool maxmem)
{
    MachineState *ms = MACHINE(qdev_get_machine());
    X86MachineState *x86ms = X86_MACHINE(ms);
    uint64_t top = x86ms->below_4g_mem_size;
    g_autoptr(MemoryDeviceInfoList) plugged = NULL;
    MemoryDeviceInfoList *e;

    if (x86ms->above_4g_mem_size) {
        top = x86ms->above_4g_mem_start + x86ms->above_4g_mem_size;
    }
    /* It looks at every object of the machine */
    if (ms->device_memory && ms->device_memory->used_region_size) {
        plugged = qmp_memory_device_list();
    }
    for (e = plugged; e; e = e->next) {
        top = MAX(top, vtd_memory_device_end(e->value));
    }
    if (maxmem && ms->device_memory) {
        top = MAX(top, ms->device_memory->base +
                       memory_region_size(&ms->device_memory->mr));
    }
    return top;
}

/*
 * What to do about a width of the host's that is smaller than the guest's.
 * Returns: NULL where the guest's may be lowered to it; the caller frees it.
 */
static char *vtd_width_remedy(IntelIOMMUState *s, uint64_t host, bool open)
{
    uint64_t ram_top = vtd_guest_ram_top(true);
    const char *or_else = "";

    if (host < VTD_HOST_AW_39BIT) {
        return g_strdup_printf("intel-iommu needs %d at least",
                               VTD_HOST_AW_39BIT);
    }
    if (s->flts) {
        return g_strdup_printf("x-flts=on needs %d", VTD_HOST_AW_48BIT);
    }
    if (ram_top > VTD_ADDRESS_SIZE(host)) {
        return g_strdup_printf("guest RAM, maxmem included, ends at 0x%"
                               PRIx64 " and takes %d: give the VM less",
                               ram_top, 64 - clz64(ram_top - 1));
    }
    if (open && !s->aw_bits_given) {
        return NULL;
    }
    if (open) {
        or_else = ", or leave it out to adopt the host's";
    } else if (!s->aw_bits_given) {
        or_else = ", or with host-iommu=all";
    }
    return g_strdup_printf("%s aw-bits=%" PRIu64 ", in libvirt aw_bits='%"
                           PRIu64 "'%s",
                           open ? "use" : "fixed since the VM started: start "
                                          "it with", host, host, or_else);
}

/* Appends what is wrong with @f, and @remedy or how to turn @f off */
static void vtd_tell_field(const VTDHostField *f,
                           const VTDHostFieldState *field,
                           const char *remedy, GString *problems)
{
    if (problems->len) {
        g_string_append(problems, "; ");
    }
    if (f->length > 1) {
        g_string_append_printf(problems, "%s is %" PRIu64 " in the guest, %"
                               PRIu64 " on the host", f->text, field->guest,
                               field->host);
    } else {
        g_string_append_printf(problems, "%s: %s, %s", f->text,
                               f->rule == RULE_HOST_MUST ?
                               "needed" : "on in the guest",
                               f->rule == RULE_GUEST_MUST_NOT ?
                               "not for assigned devices" : "off on the host");
    }
    if (remedy) {
        g_string_append_printf(problems, " (%s)", remedy);
    } else if (f->property) {
        g_string_append_printf(problems, " (use %s=off%s%s%s)", f->property,
                               f->libvirt ? ", in libvirt " : "",
                               f->libvirt ?: "", f->libvirt ? "='off'" : "");
    }
}

/*
 * Appends that the guest's RAM is beyond the host's width, where it is: without
 * translation the device has to reach all of it, however narrow the guest's
 * translation is.
 */
static void vtd_tell_ram(const VTDHostFieldState *width, GString *problems)
{
    uint64_t ram_top = vtd_guest_ram_top(false);

    if (width->host_known && width->host < 64 &&
        ram_top > VTD_ADDRESS_SIZE(width->host)) {
        g_string_append_printf(problems, "%sguest RAM ends at 0x%" PRIx64
                               " and takes %d address bits, %" PRIu64 " on "
                               "the host (give the VM less)",
                               problems->len ? "; " : "", ram_top,
                               64 - clz64(ram_top - 1), width->host);
    }
}

/* What the host is must be known before its hardware walks guest tables */
static bool vtd_check_host_type(IntelIOMMUState *s, HostIOMMUDevice *hiod,
                                const char *host, Error **errp)
{
    HostIOMMUType type = hiod ? hiod->caps.type : HOST_IOMMU_TYPE_UNKNOWN;

    if (!s->flts || type == HOST_IOMMU_TYPE_INTEL_VTD) {
        return true;
    }
    if (type == HOST_IOMMU_TYPE_UNKNOWN) {
        error_setg(errp, "%s cannot back intel-iommu with x-flts=on: what it "
                   "can do is unknown, neither iommufd nor the device's "
                   "iommu/intel-iommu/ folder in sysfs tells (use x-flts=off)",
                   host);
    } else {
        error_setg(errp, "%s cannot back intel-iommu with x-flts=on: it is "
                   "%s, not %s (use x-flts=off)", host,
                   host_iommu_type_name(type),
                   host_iommu_type_name(HOST_IOMMU_TYPE_INTEL_VTD));
    }
    return false;
}

bool vtd_check_host_caps(IntelIOMMUState *s, HostIOMMUDevice *hiod, bool open,
                         Error **errp)
{
    const char *unit = hiod ? hiod->unit : NULL;
    g_autofree char *host = g_strdup_printf("host IOMMU%s%s", unit ? " " : "",
                                            unit ?: "");
    g_autoptr(GString) problems = g_string_new("");
    VTDHostFieldState field;
    int i;

    if (!vtd_check_host_type(s, hiod, host, errp)) {
        return false;
    }
    for (i = 0; vtd_host_field(s, hiod, i, &field); i++) {
        const VTDHostField *f = &vtd_host_fields[i];
        g_autofree char *remedy = NULL;

        if (field.fits) {
            if (f->rule == RULE_WIDTH) {
                vtd_tell_ram(&field, problems);
            }
            continue;
        }
        if (f->rule == RULE_WIDTH) {
            remedy = vtd_width_remedy(s, field.host, open);
            if (!remedy) {
                continue;
            }
        } else if (open && field.open) {
            continue;
        }
        vtd_tell_field(f, &field, remedy, problems);
    }
    if (problems->len) {
        error_setg(errp, "%s cannot back intel-iommu: %s", host,
                   problems->str);
        return false;
    }
    return true;
}

char *vtd_host_field_obstacle(IntelIOMMUState *s, int index, uint64_t value)
{
    return vtd_host_fields[index].rule == RULE_WIDTH ?
           vtd_width_remedy(s, value, true) : NULL;
}

const char *vtd_origin_name(const VTDHostOrigin *origin)
{
    if (origin->kind == VTD_ORIGIN_NONE) {
        return NULL;
    }
    return origin->device ?: origin->unit ?: VTD_FROM_STREAM;
}

static void vtd_set_origin(VTDHostOrigin *to, const VTDHostOrigin *from)
{
    g_free(to->device);
    g_free(to->path);
    g_free(to->unit);
    to->kind = from->kind;
    to->device = g_strdup(from->device);
    to->path = g_strdup(from->path);
    to->unit = g_strdup(from->unit);
}

void vtd_set_host_field(IntelIOMMUState *s, int index, uint64_t value,
                        const VTDHostOrigin *origin)
{
    VTDHostAdopted *adopted = &s->host.adopted[index];
    VTDHostFieldState field;

    vtd_host_field(s, NULL, index, &field);
    if (!field.adopted) {
        adopted->before = field.guest;
    }
    vtd_set_origin(&adopted->origin, origin);

    if (vtd_host_fields[index].rule == RULE_WIDTH) {
        s->aw_bits = value;
    } else {
        *vtd_field_switch(s, &vtd_host_fields[index]) = value;
    }
    trace_vtd_host_iommu_adopted(field.name, field.guest, value,
                             vtd_origin_name(origin) ?: "nobody",
                             origin->unit ?: "unknown");
}

void vtd_adopt_host_caps(IntelIOMMUState *s, HostIOMMUDevice *hiod)
{
    Object *owner = OBJECT(hiod)->parent;
    g_autofree char *path = object_get_canonical_path(owner);
    VTDHostOrigin device = {
        VTD_ORIGIN_DEVICE, hiod->name, path, hiod->unit
    };
    VTDHostOrigin named_host = {
        .kind = VTD_ORIGIN_NAMED_HOST, .unit = hiod->unit
    };
    VTDHostFieldState field;
    int i;

    for (i = 0; vtd_host_field(s, hiod, i, &field); i++) {
        if (field.open && !field.fits) {
            vtd_set_host_field(s, i, field.host, owner == OBJECT(s) ?
                                                 &named_host : &device);
        }
    }
}
