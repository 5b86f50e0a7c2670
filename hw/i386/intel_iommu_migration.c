/*
 * intel-iommu's migration: what was adopted, and what arrives
 *
 * What was adopted from a host is on no command line. So it blocks migration,
 * or is carried in a subsection; and whatever the source is, the CAP and ECAP
 * that arrive are compared with what is possible here. Reads the table of
 * intel_iommu_host_caps.c and names no field. The BQL is held throughout.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "qemu/error-report.h"
#include "migration/blocker.h"
#include "intel_iommu_caching_mode.h"
#include "intel_iommu_host.h"
#include "intel_iommu_host_caps.h"
#include "intel_iommu_internal.h"
#include "intel_iommu_migration.h"
#include "trace.h"

/* Where, as it is read in a message; the caller frees it */
static char *vtd_origin_text(const VTDHostOrigin *from)
{
    if (!from->unit) {
        return g_strdup(vtd_origin_name(from));
    }
    return g_strdup_printf("%s%shost IOMMU %s", from->device ?: "",
                           from->device ? ", " : "", from->unit);
}

/* Returns: what is in force, for each field; the caller frees it */
static VTDOrigin *vtd_origins(IntelIOMMUState *s)
{
    VTDOrigin *origins = g_new0(VTDOrigin, VTD_HOST_FIELDS_MAX);
    VTDHostFieldState field;
    int i;

    for (i = 0; vtd_host_field(s, NULL, i, &field); i++) {
        origins[i].value = field.guest;
        if (field.adopted) {
            origins[i].from = field.adopted->origin;
        }
    }
    return origins;
}

/* Returns: @value, from an assigned device's host, which owns the strings */
static VTDOrigin vtd_origin_device(HostIOMMUDevice *hiod, uint64_t value)
{
    return (VTDOrigin) {
        .value = value,
        .from.kind = VTD_ORIGIN_DEVICE,
        .from.device = hiod->name,
        .from.unit = hiod->unit,
    };
}

/* The blocker */

/* Returns: NULL where nothing was adopted; the caller frees it */
static char *vtd_blocked_reason(IntelIOMMUState *s, const VTDOrigin *origins)
{
    g_autoptr(GString) reason = g_string_new("");
    VTDHostFieldState field;
    int i;

    for (i = 0; vtd_host_field(s, NULL, i, &field); i++) {
        g_autofree char *value = NULL, *setting = NULL, *origin = NULL;

        if (origins[i].from.kind == VTD_ORIGIN_NONE) {
            continue;
        }
        value = vtd_host_field_value(i, origins[i].value);
        setting = vtd_host_field_setting(i, origins[i].value);
        origin = vtd_origin_text(&origins[i].from);
        g_string_append_printf(reason, "%s%s is %s, from %s (use %s, or "
                               "migrate-host-caps=on)", reason->len ? "; " : "",
                               field.text, value, origin, setting);
    }
    if (!reason->len) {
        return NULL;
    }
    return g_strdup_printf("intel-iommu adopted what its command line does "
                           "not say: %s", reason->str);
}

/* Blocks migration with @origins in force; on failure, nothing changes */
static bool vtd_block_migration(IntelIOMMUState *s, const VTDOrigin *origins,
                                Error **errp)
{
    VTDMigrationState *m = &s->migration;
    g_autofree char *reason = s->migrate_host_caps ? NULL :
                              vtd_blocked_reason(s, origins);
    Error *blocker = NULL;

    if (!g_strcmp0(reason, vtd_migration_blocked(s))) {
        return true;
    }
    if (reason) {
        error_setg(&blocker, "%s", reason);
        if (migrate_add_blocker_normal(&blocker, errp) < 0) {
            return false;
        }
    }
    migrate_del_blocker(&m->blocker);
    m->blocker = blocker;
    trace_vtd_migration_blocked(reason ?: "no");
    return true;
}

static bool vtd_block_as_things_are(IntelIOMMUState *s, Error **errp)
{
    g_autofree VTDOrigin *origins = vtd_origins(s);

    return vtd_block_migration(s, origins, errp);
}

const char *vtd_migration_blocked(IntelIOMMUState *s)
{
    return s->migration.blocker ? error_get_pretty(s->migration.blocker)
                                : NULL;
}

/* Blocks migration as it has to be once @hiod is there, which fits */
static bool vtd_block_for_host(IntelIOMMUState *s, HostIOMMUDevice *hiod,
                               Error **errp)
{
    g_autofree VTDOrigin *origins = vtd_origins(s);
    VTDHostFieldState field;
    int i;

    for (i = 0; vtd_host_field(s, hiod, i, &field); i++) {
        if (field.open && !field.fits) {
            origins[i] = vtd_origin_device(hiod, field.host);
        }
    }
    return vtd_block_migration(s, origins, errp);
}

bool vtd_migration_set_iommu_device(PCIBus *bus, void *opaque, int devfn,
                                    HostIOMMUDevice *hiod, Error **errp)
{
    IntelIOMMUState *s = opaque;
    bool open = !vtd_host_is_frozen(s);

    if (open && vtd_check_host_caps(s, hiod, true, NULL) &&
        !vtd_block_for_host(s, hiod, errp)) {
        return false;
    }
    if (!vtd_set_iommu_device(bus, opaque, devfn, hiod, errp)) {
        if (open) {
            /* back to the reason that there was, if any: nothing refuses it */
            vtd_block_as_things_are(s, &error_abort);
        }
        return false;
    }
    return true;
}

bool vtd_migration_init(IntelIOMMUState *s, Error **errp)
{
    return vtd_block_as_things_are(s, errp);
}

void vtd_migration_freeze(IntelIOMMUState *s)
{
    g_autofree VTDOrigin *origins = vtd_origins(s);
    int i;

    vtd_block_as_things_are(s, &error_fatal);
    for (i = 0; i < VTD_HOST_FIELDS_MAX; i++) {
        s->migration.limits[i] = (VTDOrigin) {
            .value = origins[i].value,
            .from.kind = origins[i].from.kind,
            .from.device = g_strdup(origins[i].from.device),
            .from.unit = g_strdup(origins[i].from.unit),
        };
    }
}

/* What is carried */

/* @to gets @from, cut, with what is not printable replaced */
static void vtd_put_text(uint8_t *to, size_t size, const char *from)
{
    size_t i;

    memset(to, 0, size);
    for (i = 0; from && from[i] && i < size - 1; i++) {
        to[i] = g_ascii_isprint(from[i]) ? from[i] : '?';
    }
}

/* Is it what vtd_put_text() makes? */
static bool vtd_is_text(const uint8_t *text, size_t size)
{
    size_t i, length = strnlen((const char *)text, size);

    for (i = 0; i < size; i++) {
        if (i < length ? !g_ascii_isprint(text[i]) : text[i]) {
            return false;
        }
    }
    return length < size;
}

static bool vtd_host_caps_needed(void *opaque)
{
    VTDHostFieldState field;
    int i;

    for (i = 0; vtd_host_field(opaque, NULL, i, &field); i++) {
        if (field.adopted) {
            return true;
        }
    }
    return false;
}

static int vtd_host_caps_pre_save(void *opaque)
{
    IntelIOMMUState *s = opaque;
    VTDMigrationState *m = &s->migration;
    VTDHostFieldState field;
    int i;

    m->n_carried = 0;
    for (i = 0; vtd_host_field(s, NULL, i, &field); i++) {
        VTDCarried *c = &m->carried[m->n_carried];

        if (!field.adopted) {
            continue;
        }
        vtd_put_text(c->name, sizeof(c->name), field.carried);
        c->value = field.guest;
        vtd_put_text(c->device, sizeof(c->device),
                     vtd_origin_name(&field.adopted->origin));
        vtd_put_text(c->unit, sizeof(c->unit), field.adopted->origin.unit);
        m->n_carried++;
    }
    return 0;
}

static bool vtd_carried_fit_in(void *opaque, int version_id)
{
    VTDMigrationState *m = opaque;

    return m->n_carried <= VTD_HOST_FIELDS_MAX;
}

static const VMStateDescription vtd_vmstate_carried_field = {
    .name = "iommu-intel-host-caps-field",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT8_ARRAY(name, VTDCarried, sizeof_field(VTDCarried, name)),
        VMSTATE_UINT64(value, VTDCarried),
        VMSTATE_UINT8_ARRAY(device, VTDCarried,
                            sizeof_field(VTDCarried, device)),
        VMSTATE_UINT8_ARRAY(unit, VTDCarried, sizeof_field(VTDCarried, unit)),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vtd_vmstate_carried = {
    .name = "iommu-intel-host-caps-fields",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT8(n_carried, VTDMigrationState),
        VMSTATE_VALIDATE("at most " stringify(VTD_HOST_FIELDS_MAX) " fields",
                         vtd_carried_fit_in),
        VMSTATE_STRUCT_VARRAY_UINT8(carried, VTDMigrationState, n_carried, 1,
                                    vtd_vmstate_carried_field, VTDCarried),
        VMSTATE_END_OF_LIST()
    }
};

const VMStateDescription vtd_vmstate_host_caps = {
    .name = "iommu-intel/host-caps",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = vtd_host_caps_needed,
    .pre_save = vtd_host_caps_pre_save,
    .fields = (const VMStateField[]) {
        VMSTATE_STRUCT(migration, IntelIOMMUState, 1, vtd_vmstate_carried,
                       VTDMigrationState),
        VMSTATE_END_OF_LIST()
    }
};

int vtd_migration_pre_load(void *opaque)
{
    IntelIOMMUState *s = opaque;

    /* of an earlier stream, which may have broken off */
    s->migration.n_carried = 0;
    return 0;
}

/* What arrives */

/* Appends one problem of several */
static void G_GNUC_PRINTF(2, 3) vtd_add_problem(GString *problems,
                                                const char *format, ...)
{
    va_list ap;

    if (problems->len) {
        g_string_append(problems, "; ");
    }
    va_start(ap, format);
    g_string_append_vprintf(problems, format, ap);
    va_end(ap);
}

/* Returns: what the source says of its field @name, or NULL */
static const VTDCarried *vtd_find_carried(IntelIOMMUState *s, const char *name)
{
    VTDMigrationState *m = &s->migration;
    int i;

    for (i = 0; i < m->n_carried; i++) {
        if (!strcmp((const char *)m->carried[i].name, name)) {
            return &m->carried[i];
        }
    }
    return NULL;
}

static bool vtd_is_field(IntelIOMMUState *s, const char *name)
{
    VTDHostFieldState field;
    int i;

    for (i = 0; vtd_host_field(s, NULL, i, &field); i++) {
        if (!strcmp(field.carried, name)) {
            return true;
        }
    }
    return false;
}

/* Is the subsection one that a source like us can have sent? */
static void vtd_check_carried(IntelIOMMUState *s, GString *problems)
{
    VTDMigrationState *m = &s->migration;
    int i;

    for (i = 0; i < m->n_carried; i++) {
        const VTDCarried *c = &m->carried[i];
        const char *name = (const char *)c->name;

        if (!vtd_is_text(c->name, sizeof(c->name)) ||
            !vtd_is_text(c->device, sizeof(c->device)) || !c->device[0] ||
            !vtd_is_text(c->unit, sizeof(c->unit))) {
            vtd_add_problem(problems, "adopted field %d is malformed", i);
        } else if (!vtd_is_field(s, name)) {
            vtd_add_problem(problems, "the source adopted '%s', which this "
                            "QEMU does not know", name);
        } else if (vtd_find_carried(s, name) != c) {
            vtd_add_problem(problems, "'%s' is adopted twice", name);
        }
    }
}

typedef struct VTDLimitSearch {
    int index;
    uint64_t value;                 /* that arrived */
    VTDOrigin limit;                /* the lowest found so far */
} VTDLimitSearch;

static bool vtd_find_limit(IntelIOMMUState *s, HostIOMMUDevice *hiod,
                           void *opaque)
{
    VTDLimitSearch *search = opaque;
    VTDHostFieldState field;

    vtd_host_field(s, hiod, search->index, &field);
    if (!vtd_host_field_fits(s, hiod, search->index, search->value) &&
        field.host < search->limit.value) {
        search->limit = vtd_origin_device(hiod, field.host);
    }
    return true;
}

/* Is what arrived for an open field supported here? */
static void vtd_check_open(IntelIOMMUState *s, int index,
                           const VTDHostFieldState *field, uint64_t arrived,
                           GString *problems)
{
    VTDLimitSearch search = {
        .index = index,
        .value = arrived,
        .limit = s->migration.limits[index],
    };
    g_autofree char *there = vtd_host_field_value(index, arrived);
    g_autofree char *obstacle = NULL;

    vtd_foreach_host_device(s, vtd_find_limit, &search);
    if (arrived > search.limit.value) {
        g_autofree char *here = vtd_host_field_value(index,
                                                     search.limit.value);
        g_autofree char *setting =
            vtd_host_field_setting(index, search.limit.value);
        g_autofree char *origin = vtd_origin_name(&search.limit.from) ?
                                  vtd_origin_text(&search.limit.from) : NULL;

        vtd_add_problem(problems, "%s is %s in the stream, %s at most here%s%s "
                        "(start the source with %s)", field->text, there, here,
                        origin ? ", from " : "", origin ?: "", setting);
        return;
    }
    obstacle = vtd_host_field_obstacle(s, index, arrived);
    if (obstacle) {
        vtd_add_problem(problems, "%s is %s in the stream (%s)", field->text,
                        there, obstacle);
    }
}

/*
 * A stream, and what @c, or NULL, says of where its source adopted a value.
 * Returns: strings of @c
 */
static VTDHostOrigin vtd_origin_stream(const VTDCarried *c)
{
    VTDHostOrigin from = { .kind = VTD_ORIGIN_STREAM };
    char *device = c ? (char *)c->device : NULL;

    if (c && c->unit[0]) {
        from.unit = (char *)c->unit;
    }
    /* none where the user named the unit, or an earlier stream told none */
    if (device && g_strcmp0(device, from.unit) &&
        strcmp(device, VTD_FROM_STREAM)) {
        from.device = device;
    }
    return from;
}

/*
 * Compares one field, and writes to @next what it has to become.
 * Returns: whether that is a change
 */
static bool vtd_check_arrived(IntelIOMMUState *s, int index,
                              const VTDHostFieldState *field, uint64_t arrived,
                              VTDOrigin *next, GString *problems)
{
    const VTDCarried *c = vtd_find_carried(s, field->carried);
    g_autofree char *there = vtd_host_field_value(index, arrived);

    if (c && c->value != arrived) {
        g_autofree char *carried = vtd_host_field_value(index, c->value);

        vtd_add_problem(problems, "%s is %s in the stream's registers, %s in "
                        "what its source adopted", field->text, there,
                        carried);
        return false;
    }
    if (arrived == field->guest || (!c && !field->open)) {
        return false;
    }
    if (!field->open) {
        g_autofree char *here = vtd_host_field_value(index, field->guest);
        g_autofree char *setting = field->property ?
                                   vtd_host_field_setting(index, arrived) :
                                   NULL;

        vtd_add_problem(problems, "%s is %s in the stream, whose source "
                        "adopted it, %s here%s%s%s", field->text, there, here,
                        setting ? " (use " : "", setting ?: "",
                        setting ? ", or leave it out)" : "");
        return false;
    }
    vtd_check_open(s, index, field, arrived, problems);
    *next = (VTDOrigin) { .value = arrived };
    /* after an earlier stream, it can come back to what it was */
    if (!field->adopted || arrived != field->adopted->before) {
        next->from = vtd_origin_stream(c);
    }
    return true;
}

/*
 * Compares all, and writes to @next what has to become of each field that
 * @changed is set for. Changes nothing else.
 */
static bool vtd_check_stream(IntelIOMMUState *s, uint64_t cap, uint64_t ecap,
                             VTDOrigin *next, bool *changed, Error **errp)
{
    g_autoptr(GString) problems = g_string_new("");
    VTDHostFieldState field;
    Error *err = NULL;
    int i;

    vtd_check_carried(s, problems);
    /* what is malformed is not printed, nor compared */
    if (!problems->len) {
        for (i = 0; vtd_host_field(s, NULL, i, &field); i++) {
            changed[i] = vtd_check_arrived(s, i, &field,
                                           vtd_host_field_in(i, cap, ecap),
                                           &next[i], problems);
        }
        if (!vtd_check_arriving_caching_mode(s, cap & VTD_CAP_CM, &err)) {
            vtd_add_problem(problems, "%s", error_get_pretty(err));
            error_free(err);
        }
    }
    if (problems->len) {
        error_setg(errp, "intel-iommu cannot take over what the guest was "
                   "told: %s", problems->str);
        return false;
    }
    return true;
}

static bool vtd_take_stream(IntelIOMMUState *s, uint64_t cap, uint64_t ecap,
                            Error **errp)
{
    g_autofree VTDOrigin *next = vtd_origins(s);
    g_autofree bool *changed = g_new0(bool, VTD_HOST_FIELDS_MAX);
    bool any = false;
    int i;

    if (!vtd_check_stream(s, cap, ecap, next, changed, errp) ||
        !vtd_block_migration(s, next, errp)) {
        return false;
    }
    for (i = 0; i < VTD_HOST_FIELDS_MAX; i++) {
        if (changed[i]) {
            vtd_set_host_field(s, i, next[i].value, &next[i].from);
            any = true;
        }
    }
    any |= vtd_follow_caching_mode(s, cap & VTD_CAP_CM);
    if (any) {
        vtd_init_derived(s);
    }
    return true;
}

int vtd_migration_post_load(IntelIOMMUState *s)
{
    Error *err = NULL;

    /* an index, which whoever records a fault takes for good */
    if (s->next_frcd_reg >= DMAR_FRCD_REG_NR) {
        error_report("intel-iommu has no Fault Recording Register %u, which "
                     "is the next in the stream", s->next_frcd_reg);
        s->next_frcd_reg = 0;
        return -EINVAL;
    }
    if (!vtd_take_stream(s, ldq_le_p(s->csr + DMAR_CAP_REG),
                         ldq_le_p(s->csr + DMAR_ECAP_REG), &err)) {
        error_report_err(err);
        return -EINVAL;
    }
    return 0;
}
