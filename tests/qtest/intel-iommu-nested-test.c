/*
 * intel-iommu: translation by PASID entry, and nested translation
 *
 * A device without a host does DMA through tables that the test has in the
 * guest's RAM; bytes, results and Fault Recording Register are compared.
 * intel-iommu-walk-test.c does so with tables made at random.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/misc/dma-testdev.h"
#include "intel-iommu-view.h"
#include "vm-refusal.h"
#include "vtd-tables.h"

#define Q35             "-M q35 -nodefaults "
#define SCALABLE        ",x-scalable-mode=on"
#define FIRST_STAGE     SCALABLE ",x-flts=on"
#define NESTED          FIRST_STAGE ",x-nested=on"

/* A request's address, at the start of a page of 1 GiB */
#define IOVA            0x7abc40000000ULL
/* The same where a second stage alone translates, with 39 bits too */
#define NARROW_IOVA     (0x7bULL * GiB)
/* Where a first stage's output is */
#define BETWEEN         (192 * GiB)
/* A page of memory that nothing else uses, aligned to 2 MiB */
#define FRAME(n)        (1 * GiB + (n) * 2 * MiB)

#define DOMAIN          7
#define OTHER_DOMAIN    9

static VtdGuest *start_scalable(const char *options)
{
    VtdGuest *guest = vtd_start(options);

    vtd_set_up_scalable(guest);
    vtd_enable(guest);
    return guest;
}

static VtdGuest *start_nested(void)
{
    return start_scalable(NESTED);
}

/* What DMA comes to */

static uint64_t fresh_value(void)
{
    static uint64_t value = 0x0123456789abcdef;

    return value += 0x1111111111111111;
}

static void assert_no_fault(VtdGuest *guest)
{
    VtdFault fault = vtd_take_fault(guest);

    g_assert_cmphex(fault.recorded ? fault.reason : 0, ==, 0);
}

/* The device reads from @iova what is in memory at @at */
static void assert_reads(VtdDevice *dev, uint64_t iova, uint64_t at)
{
    uint64_t value = fresh_value();
    unsigned int result;

    vtd_store(dev->guest, at, value);
    vtd_store(dev->guest, VTD_WINDOW, 0);
    result = vtd_copy(dev, iova, VTD_WINDOW, 8);
    assert_no_fault(dev->guest);
    g_assert_cmpuint(result, ==, DMA_TESTDEV_DONE);
    g_assert_cmphex(vtd_load(dev->guest, VTD_WINDOW), ==, value);
}

/* What the device writes to @iova is in memory at @at */
static void assert_writes(VtdDevice *dev, uint64_t iova, uint64_t at)
{
    uint64_t value = fresh_value();
    unsigned int result;

    vtd_store(dev->guest, at, 0);
    vtd_store(dev->guest, VTD_WINDOW, value);
    result = vtd_copy(dev, VTD_WINDOW, iova, 8);
    assert_no_fault(dev->guest);
    g_assert_cmpuint(result, ==, DMA_TESTDEV_DONE);
    g_assert_cmphex(vtd_load(dev->guest, at), ==, value);
}

/* Only in scalable mode; who has found no tables does not tell the PASID */
static bool tells_pasid(unsigned int reason)
{
    return reason >= 0x70;
}

static void assert_fault_is(VtdDevice *dev, uint64_t iova, bool is_read,
                            unsigned int reason)
{
    VtdFault fault = vtd_take_fault(dev->guest);

    g_assert_cmphex(fault.recorded ? fault.reason : 0, ==, reason);
    g_assert_cmpuint(fault.is_read, ==, is_read);
    g_assert_cmphex(fault.sid, ==, dev->sid);
    g_assert_cmphex(fault.page, ==, iova & ~(VTD_PAGE - 1));
    g_assert_cmpuint(fault.has_pasid, ==, tells_pasid(reason));
    if (fault.has_pasid) {
        g_assert_cmphex(fault.pasid, ==, dev->pasid);
    }
}

static void assert_read_faults(VtdDevice *dev, uint64_t iova,
                               unsigned int reason)
{
    unsigned int result = vtd_copy(dev, iova, VTD_WINDOW, 8);

    assert_fault_is(dev, iova, true, reason);
    g_assert_cmpuint(result, ==, DMA_TESTDEV_READ_FAILED);
}

static void assert_write_faults(VtdDevice *dev, uint64_t iova,
                                unsigned int reason)
{
    unsigned int result = vtd_copy(dev, VTD_WINDOW, iova, 8);

    assert_fault_is(dev, iova, false, reason);
    g_assert_cmpuint(result, ==, DMA_TESTDEV_WRITE_FAILED);
}

static void assert_both_fault(VtdDevice *dev, uint64_t iova,
                              unsigned int reason)
{
    assert_read_faults(dev, iova, reason);
    assert_write_faults(dev, iova, reason);
}

/* Translated to where no memory is: that is none of the IOMMU's faults */
static void assert_reaches_nothing(VtdDevice *dev, uint64_t iova)
{
    unsigned int result = vtd_copy(dev, iova, VTD_WINDOW, 8);

    assert_no_fault(dev->guest);
    g_assert_cmpuint(result, ==, DMA_TESTDEV_READ_FAILED);
}

/* With a @reason of 0, the access succeeds */
static void assert_access(VtdDevice *dev, uint64_t iova, uint64_t at,
                          bool is_read, unsigned int reason)
{
    if (!reason) {
        (is_read ? assert_reads : assert_writes)(dev, iova, at);
    } else {
        (is_read ? assert_read_faults : assert_write_faults)(dev, iova,
                                                             reason);
    }
}

/* Tables for a device, with one page of 4 KiB at IOVA that is FRAME(0) */

typedef struct Mapping {
    VtdStage first, second;
    VtdDevice *dev;
    uint64_t iova;
    uint64_t at;
} Mapping;

static void map_first(Mapping *m, VtdDevice *dev, uint16_t domain)
{
    m->dev = dev;
    m->iova = IOVA;
    m->at = FRAME(0);
    m->first = vtd_first_stage(dev->guest);
    vtd_map(&m->first, m->iova, m->at, 1);
    vtd_use_first(dev, &m->first, domain);
}

static void map_second(Mapping *m, VtdDevice *dev, uint16_t domain,
                       unsigned int levels)
{
    m->dev = dev;
    m->iova = NARROW_IOVA;
    m->at = FRAME(0);
    m->second = vtd_second_stage(dev->guest, levels);
    vtd_map(&m->second, m->iova, m->at, 1);
    vtd_use_second(dev, &m->second, domain);
}

static void map_nested(Mapping *m, VtdDevice *dev, uint16_t domain,
                       unsigned int levels)
{
    m->dev = dev;
    m->iova = IOVA;
    m->at = FRAME(0);
    m->second = vtd_second_stage(dev->guest, levels);
    m->first = vtd_nested_stage(&m->second);
    vtd_map(&m->first, m->iova, BETWEEN, 1);
    vtd_map(&m->second, BETWEEN, m->at, 1);
    vtd_use_nested(dev, &m->first, domain);
}

/* The property */

static void test_property_needs(void)
{
    static const char needs[] =
        "x-nested=on needs x-scalable-mode=on and x-flts=on";

    assert_device_refused("-M q35 -device intel-iommu,x-nested=on", needs);
    assert_device_refused("-M q35 -device intel-iommu" SCALABLE ",x-nested=on",
                          needs);
    assert_device_refused("-M q35 -device intel-iommu" NESTED
                          ",dma-translation=off",
                          "x-nested=on needs a second stage of 48 bits in "
                          "CAP.SAGAW, which dma-translation=off takes away");
    assert_device_refused("-M q35 -device intel-iommu" NESTED ",aw-bits=39",
                          "Scalable mode(flts=on): supported value for "
                          "aw-bits is: 48");
}

static void test_property_off(void)
{
    static const char *const modes[] = { "", SCALABLE, FIRST_STAGE };
    int i;

    for (i = 0; i < ARRAY_SIZE(modes); i++) {
        g_autofree char *without = g_strconcat(Q35 "-device intel-iommu",
                                               modes[i], NULL);
        g_autofree char *off = g_strconcat(without, ",x-nested=off", NULL);
        GuestView a = start_and_read_guest_view(without);
        GuestView b = start_and_read_guest_view(off);

        assert_same_view(&a, &b);
    }
}

static void test_property_on(void)
{
    GuestView off = start_and_read_guest_view(
        Q35 "-device intel-iommu" FIRST_STAGE);
    GuestView on = start_and_read_guest_view(
        Q35 "-device intel-iommu" NESTED);

    g_assert_cmphex(on.cap, ==, off.cap);
    /* NEST and SSTS */
    g_assert_cmphex(on.ecap & ~off.ecap, ==, BIT_ULL(26) | BIT_ULL(46));
    g_assert_cmphex(off.ecap & ~on.ecap, ==, 0);
}

static void test_property_assigned(void)
{
    static const char error[] =
        "intel-iommu does not support assigned devices with x-nested=on: its "
        "nested translation is emulated only (use x-nested=off and "
        "x-flts=off)";
    QTestState *qts;

    assert_device_refused("-M q35 -device intel-iommu" NESTED
                          " -device host-iommu-testdev", error);
    qts = qtest_init(Q35 "-device intel-iommu" NESTED ",caching-mode=on"
                     " -device pcie-root-port,id=rp1");
    assert_hotplug_refused(qts, "{\"driver\":\"host-iommu-testdev\","
                                "\"id\":\"dev1\",\"bus\":\"rp1\"}", error);
    qtest_quit(qts);
}

/* A device like any other */
static void test_property_emulated(void)
{
    GuestView without = start_and_read_guest_view(
        Q35 "-device intel-iommu" NESTED);
    GuestView with = start_and_read_guest_view(
        Q35 "-device intel-iommu" NESTED " -device dma-testdev,addr=5");

    g_assert_cmphex(with.cap, ==, without.cap);
    g_assert_cmphex(with.ecap, ==, without.ecap);
}

/* The type of the PASID entry decides */

static void test_type_first(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;
    int i;

    for (i = 0; i < ARRAY_SIZE(guest->dev); i++) {
        map_first(&m, &guest->dev[i], DOMAIN);
        assert_reads(m.dev, m.iova, m.at);
        assert_writes(m.dev, m.iova, m.at);
    }
    vtd_quit(guest);
}

static void test_type_second(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;
    int i;

    for (i = 0; i < ARRAY_SIZE(guest->dev); i++) {
        map_second(&m, &guest->dev[i], DOMAIN, 3 + i);
        assert_reads(m.dev, m.iova, m.at);
        assert_writes(m.dev, m.iova, m.at);
    }
    vtd_quit(guest);
}

static void test_type_nested(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;
    int i;

    for (i = 0; i < ARRAY_SIZE(guest->dev); i++) {
        map_nested(&m, &guest->dev[i], DOMAIN, 3 + i);
        assert_reads(m.dev, m.iova, m.at);
        assert_writes(m.dev, m.iova, m.at);
    }
    vtd_quit(guest);
}

static void test_type_pass_through(void)
{
    VtdGuest *guest = start_nested();
    VtdDevice *dev = &guest->dev[0];

    vtd_use_pass_through(dev, DOMAIN);
    assert_reads(dev, FRAME(1), FRAME(1));
    assert_writes(dev, FRAME(1), FRAME(1));
    vtd_quit(guest);
}

/* Two devices, each with its own type */
static void test_type_of_each_device(void)
{
    VtdGuest *guest = start_nested();
    Mapping a, b;

    map_nested(&a, &guest->dev[0], DOMAIN, 4);
    map_second(&b, &guest->dev[1], OTHER_DOMAIN, 3);
    vtd_change(guest, vtd_entry(&b.second, b.iova, 1), ENTRY_ADDRESS, FRAME(1));
    assert_reads(a.dev, a.iova, a.at);
    assert_reads(b.dev, b.iova, FRAME(1));
    assert_read_faults(b.dev, IOVA & (512 * GiB - 1), 0x79);
    vtd_quit(guest);
}

static void assert_type_is_invalid(VtdDevice *dev, unsigned int type)
{
    vtd_change(dev->guest, dev->pasid_entry, PASID_PGTT_MASK,
               PASID_PGTT(type));
    vtd_invalidate_pasid_cache_global(dev->guest);
    vtd_invalidate_iotlb_global(dev->guest);
    assert_read_faults(dev, NARROW_IOVA, 0x5b);
}

static void test_type_invalid(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    assert_reads(m.dev, m.iova, m.at);
    assert_type_is_invalid(m.dev, 0);
    assert_type_is_invalid(m.dev, 5);
    assert_type_is_invalid(m.dev, 6);
    assert_type_is_invalid(m.dev, 7);
    vtd_quit(guest);
}

/* Types that ECAP does not have */
static void test_type_without_nested(void)
{
    VtdGuest *guest = start_scalable(FIRST_STAGE);
    Mapping m;

    map_first(&m, &guest->dev[0], DOMAIN);
    assert_reads(m.dev, m.iova, m.at);
    map_second(&m, &guest->dev[0], DOMAIN, 4);
    assert_type_is_invalid(m.dev, PGTT_SECOND);
    assert_type_is_invalid(m.dev, PGTT_NESTED);
    vtd_quit(guest);
}

static void test_type_without_first_stage(void)
{
    VtdGuest *guest = start_scalable(SCALABLE);
    Mapping m;

    map_second(&m, &guest->dev[0], DOMAIN, 4);
    assert_reads(m.dev, m.iova, m.at);
    assert_type_is_invalid(m.dev, PGTT_FIRST);
    assert_type_is_invalid(m.dev, PGTT_NESTED);
    vtd_quit(guest);
}

/* Page sizes */

typedef struct Sizes {
    unsigned int first, second, levels;
} Sizes;

typedef struct Pages {
    uint64_t size;
    uint64_t iova[2];
    uint64_t at[2];
} Pages;

/*
 * Two pages that follow one another at IOVA, and neither between the stages
 * nor in memory where the tables can have them apart
 */
static Pages map_two_pages(VtdStage *first, const Sizes *s)
{
    uint64_t size = vtd_span(MIN(s->first, s->second));
    uint64_t second_size = vtd_span(s->second);
    Pages p = { .size = size, .iova = { IOVA, IOVA + size } };
    /* the last two pages of 1 GiB, of 2 MiB or of 4 KiB in RAM */
    uint64_t memory[] = { VTD_RAM_SIZE - second_size,
                          VTD_RAM_SIZE - 2 * second_size };
    uint64_t between[2] = { BETWEEN, BETWEEN + size };
    int i;

    if (s->first < s->second) {
        between[0] = BETWEEN + 3 * size;
    } else if (s->first == s->second) {
        between[0] = BETWEEN + 2 * size;
    }
    for (i = 0; i < 2; i++) {
        int page = s->first < s->second ? 0 : i;

        vtd_map(first, p.iova[i] & -vtd_span(s->first),
                between[i] & -vtd_span(s->first), s->first);
        vtd_map(first->second, between[i] & -second_size, memory[page],
                s->second);
        p.at[i] = memory[page] + between[i] % second_size;
    }
    return p;
}

/* The last @before bytes of the first page, and @after of the second */
static void assert_copies_across(VtdDevice *dev, const Pages *p, size_t before,
                                 size_t after)
{
    uint8_t *ram = dev->guest->ram;
    uint64_t start = p->iova[1] - before, last = p->at[0] + p->size - before;
    uint8_t bytes[32], got[32];
    size_t i, len = before + after;

    for (i = 0; i < len; i++) {
        bytes[i] = fresh_value() >> 56;
    }
    memcpy(ram + last, bytes, before);
    memcpy(ram + p->at[1], bytes + before, after);
    g_assert_cmpuint(vtd_copy(dev, start, VTD_WINDOW, len), ==,
                     DMA_TESTDEV_DONE);
    g_assert_cmpmem(ram + VTD_WINDOW, len, bytes, len);

    memset(ram + last, 0, before);
    memset(ram + p->at[1], 0, after);
    g_assert_cmpuint(vtd_copy(dev, VTD_WINDOW, start, len), ==,
                     DMA_TESTDEV_DONE);
    memcpy(got, ram + last, before);
    memcpy(got + before, ram + p->at[1], after);
    g_assert_cmpmem(got, len, bytes, len);
}

static void test_sizes(const void *data)
{
    const Sizes *s = data;
    VtdGuest *guest = start_nested();
    VtdDevice *dev = &guest->dev[0];
    VtdStage second = vtd_second_stage(guest, s->levels);
    VtdStage first = vtd_nested_stage(&second);
    Pages p = map_two_pages(&first, s);

    vtd_use_nested(dev, &first, DOMAIN);
    assert_reads(dev, p.iova[0], p.at[0]);
    assert_reads(dev, p.iova[0] + p.size / 2 + 8, p.at[0] + p.size / 2 + 8);
    assert_copies_across(dev, &p, 1, 0);
    assert_copies_across(dev, &p, 0, 1);
    assert_copies_across(dev, &p, 13, 19);
    vtd_quit(guest);
}

static void add_sizes_tests(void)
{
    static const char *const names[] = { NULL, "4k", "2m", "1g" };
    static Sizes sizes[2 * 3 * 3];
    Sizes *s = sizes;
    int i;

    for (i = 0; i < ARRAY_SIZE(sizes); i++, s++) {
        g_autofree char *path = NULL;

        *s = (Sizes) { i / 3 % 3 + 1, i % 3 + 1, i / 9 + 3 };
        path = g_strdup_printf(
            "/intel-iommu-nested/sizes/%u-levels/%s-in-%s", s->levels,
            names[s->first], names[s->second]);
        qtest_add_data_func(path, s, test_sizes);
    }
}

/* Permissions: each level of each stage takes from what may be done */

static void try_rights(Mapping *m, VtdStage *stage, uint64_t input,
                       unsigned int level, uint64_t clear,
                       unsigned int read_reason, unsigned int write_reason)
{
    VtdGuest *guest = m->dev->guest;
    uint64_t at = vtd_entry(stage, input, level);
    uint64_t entry = vtd_load(guest, at);

    g_test_message("level %u without 0x%" PRIx64, level, clear);
    vtd_change(guest, at, clear, 0);
    vtd_invalidate_iotlb_global(guest);
    assert_access(m->dev, m->iova, m->at, true, read_reason);
    assert_access(m->dev, m->iova, m->at, false, write_reason);
    /* what is cached of the read, or of nothing, is no different */
    assert_access(m->dev, m->iova, m->at, false, write_reason);
    assert_access(m->dev, m->iova, m->at, true, read_reason);
    vtd_store(guest, at, entry);
}

/* A page at each level, as it would be at IOVA, is there in turn */
static void try_first_rights(Mapping *m, unsigned int leaf)
{
    unsigned int level;

    for (level = leaf; level <= 4; level++) {
        try_rights(m, &m->first, m->iova, level, 0, 0, 0);
        try_rights(m, &m->first, m->iova, level, FS_RW, 0, 0x85);
        try_rights(m, &m->first, m->iova, level, FS_US, 0x81, 0x81);
        try_rights(m, &m->first, m->iova, level, FS_US | FS_RW, 0x81, 0x81);
        try_rights(m, &m->first, m->iova, level, FS_P, 0x71, 0x71);
    }
}

static void try_second_rights(Mapping *m, uint64_t input, unsigned int leaf)
{
    unsigned int level;

    for (level = leaf; level <= m->second.levels; level++) {
        try_rights(m, &m->second, input, level, 0, 0, 0);
        try_rights(m, &m->second, input, level, SS_W, 0, 0x85);
        try_rights(m, &m->second, input, level, SS_R, 0x86, 0);
        try_rights(m, &m->second, input, level, SS_ALL, 0x79, 0x79);
    }
}

static void test_rights_first(void)
{
    VtdGuest *guest = start_nested();
    unsigned int leaf;
    Mapping m;

    for (leaf = 1; leaf <= 3; leaf++) {
        map_first(&m, &guest->dev[0], DOMAIN);
        m.iova += 512 * GiB;
        m.at = 1 * GiB;
        vtd_map(&m.first, m.iova, m.at, leaf);
        try_first_rights(&m, leaf);
    }
    vtd_quit(guest);
}

static void test_rights_second(void)
{
    VtdGuest *guest = start_nested();
    unsigned int leaf, levels;
    Mapping m;

    for (levels = 3; levels <= 4; levels++) {
        for (leaf = 1; leaf <= 3; leaf++) {
            map_second(&m, &guest->dev[0], DOMAIN, levels);
            /* another entry of the root table than the engine's own page */
            m.iova += levels == 3 ? 1 * GiB : 512 * GiB;
            m.at = 1 * GiB;
            vtd_map(&m.second, m.iova, m.at, leaf);
            try_second_rights(&m, m.iova, leaf);
        }
    }
    vtd_quit(guest);
}

static void test_rights_nested(void)
{
    VtdGuest *guest = start_nested();
    const uint64_t between = BETWEEN + 512 * GiB;
    unsigned int first_leaf, second_leaf;
    Mapping m;

    for (first_leaf = 1; first_leaf <= 3; first_leaf++) {
        for (second_leaf = 1; second_leaf <= 3; second_leaf++) {
            map_nested(&m, &guest->dev[0], DOMAIN, 4);
            m.iova += 512 * GiB;
            m.at = 1 * GiB;
            vtd_map(&m.first, m.iova, between, first_leaf);
            vtd_map(&m.second, between, m.at, second_leaf);
            try_first_rights(&m, first_leaf);
            try_second_rights(&m, between, second_leaf);
        }
    }
    vtd_quit(guest);
}

static void test_rights_nested_narrow(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 3);
    try_second_rights(&m, BETWEEN, 1);
    vtd_quit(guest);
}

/* Both stages at once: the first is asked first */
static void test_rights_of_both(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;
    uint64_t rights;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    for (rights = 0; rights <= SS_ALL; rights++) {
        bool read = rights & SS_R;

        vtd_map_with(&m.second, BETWEEN, m.at, 1, rights);
        try_rights(&m, &m.first, m.iova, 1, FS_RW,
                   read ? 0 : rights ? 0x86 : 0x79, 0x85);
        try_rights(&m, &m.first, m.iova, 1, FS_US, 0x81, 0x81);
    }
    vtd_quit(guest);
}

/* Faults of the PASID tables */

static void assert_entry_faults(VtdDevice *dev, uint64_t at, uint64_t clear,
                                uint64_t set, unsigned int reason)
{
    uint64_t entry = vtd_load(dev->guest, at);

    vtd_change(dev->guest, at, clear, set);
    vtd_invalidate_context_global(dev->guest);
    vtd_invalidate_pasid_cache_global(dev->guest);
    vtd_invalidate_iotlb_global(dev->guest);
    assert_read_faults(dev, IOVA + 8, reason);
    vtd_store(dev->guest, at, entry);
}

static void test_fault_pasid_tables(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    assert_entry_faults(m.dev, m.dev->context, ENTRY_ADDRESS, VTD_NOT_RAM,
                        0x50);
    assert_entry_faults(m.dev, m.dev->pasid_dir, ENTRY_P, 0, 0x51);
    assert_entry_faults(m.dev, m.dev->pasid_dir, ENTRY_ADDRESS, VTD_NOT_RAM,
                        0x58);
    assert_entry_faults(m.dev, m.dev->pasid_entry, ENTRY_P, 0, 0x59);
    /* before anything of it counts */
    assert_entry_faults(m.dev, m.dev->pasid_entry, ENTRY_P | PASID_PGTT_MASK,
                        0, 0x59);
    vtd_invalidate_context_global(guest);
    assert_reads(m.dev, m.iova, m.at);
    vtd_quit(guest);
}

/* With a context entry that is cached, the reason is the same */
static void test_fault_pasid_tables_later(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_first(&m, &guest->dev[0], DOMAIN);
    assert_reads(m.dev, m.iova, m.at);
    vtd_invalidate_iotlb_global(guest);
    vtd_change(guest, m.dev->pasid_entry, ENTRY_P, 0);
    assert_read_faults(m.dev, m.iova, 0x59);
    vtd_change(guest, m.dev->pasid_dir, ENTRY_P, 0);
    assert_read_faults(m.dev, m.iova, 0x51);
    vtd_quit(guest);
}

static void test_fault_first_stage_levels(void)
{
    VtdGuest *guest = start_nested();
    uint64_t modes;
    Mapping m;

    for (modes = 1; modes <= 3; modes++) {
        map_first(&m, &guest->dev[0], DOMAIN);
        assert_entry_faults(m.dev, m.dev->pasid_entry + 16, PASID_FSPM_MASK,
                            modes << 2, 0x5b);
        map_nested(&m, &guest->dev[0], DOMAIN, 4);
        assert_entry_faults(m.dev, m.dev->pasid_entry + 16, PASID_FSPM_MASK,
                            modes << 2, 0x5b);
    }
    /* a second stage alone does not look at it */
    map_second(&m, &guest->dev[0], DOMAIN, 4);
    vtd_change(guest, m.dev->pasid_entry + 16, 0, PASID_FSPM_MASK);
    assert_reads(m.dev, m.iova, m.at);
    vtd_quit(guest);
}

static void test_fault_second_stage_levels(void)
{
    static const unsigned int widths[] = { 0, 3, 4, 5, 6, 7 };
    VtdGuest *guest = start_nested();
    Mapping m;
    int i;

    for (i = 0; i < ARRAY_SIZE(widths); i++) {
        uint64_t width = (uint64_t)widths[i] << 2;

        map_second(&m, &guest->dev[0], DOMAIN, 4);
        assert_entry_faults(m.dev, m.dev->pasid_entry, PASID_AW_MASK, width,
                            0x5b);
        map_nested(&m, &guest->dev[0], DOMAIN, 4);
        assert_entry_faults(m.dev, m.dev->pasid_entry, PASID_AW_MASK, width,
                            0x5b);
    }
    /* a first stage alone does not look at it */
    map_first(&m, &guest->dev[0], DOMAIN);
    vtd_change(guest, m.dev->pasid_entry, 0, PASID_AW_MASK);
    assert_reads(m.dev, m.iova, m.at);
    vtd_quit(guest);
}

/* Faults of a stage's entries; each is put right again */

static void try_entry(Mapping *m, uint64_t at, uint64_t clear, uint64_t set,
                      unsigned int reason)
{
    VtdGuest *guest = m->dev->guest;
    uint64_t entry = vtd_load(guest, at);

    g_test_message("0x%" PRIx64 " without 0x%" PRIx64 ", with 0x%" PRIx64,
                   entry, clear, set);
    vtd_change(guest, at, clear, set);
    vtd_invalidate_iotlb_global(guest);
    if (reason) {
        assert_both_fault(m->dev, m->iova + 0x458, reason);
    } else {
        assert_writes(m->dev, m->iova, m->at);
        assert_reads(m->dev, m->iova, m->at);
    }
    vtd_store(guest, at, entry);
}

/* MMIO is no memory to have tables in, whatever a read of it gives */
static const uint64_t not_memory[] = { VTD_NOT_RAM, 0xfed90000 };

static void try_first_access(Mapping *m)
{
    unsigned int level;
    int i;

    for (level = 2; level <= 4; level++) {
        for (i = 0; i < ARRAY_SIZE(not_memory); i++) {
            try_entry(m, vtd_entry(&m->first, m->iova, level), ENTRY_ADDRESS,
                      not_memory[i], 0x70);
        }
    }
}

static void test_fault_first_access(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_first(&m, &guest->dev[0], DOMAIN);
    try_first_access(&m);
    /* the engine's own page is without tables too: reads alone */
    assert_entry_faults(m.dev, m.dev->pasid_entry + 16, ENTRY_ADDRESS,
                        VTD_NOT_RAM, 0x73);
    assert_entry_faults(m.dev, m.dev->pasid_entry + 16, ENTRY_ADDRESS,
                        0xfed90000, 0x73);
    vtd_quit(guest);
}

/* What a second stage translates to no memory */
static void test_fault_first_access_nested(void)
{
    VtdGuest *guest = start_nested();
    const uint64_t input = 300 * GiB;
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    vtd_map(&m.second, input, VTD_NOT_RAM, 1);
    try_entry(&m, vtd_entry(&m.first, m.iova, 4), ENTRY_ADDRESS, input, 0x70);
    try_entry(&m, vtd_entry(&m.first, m.iova, 2), ENTRY_ADDRESS, input, 0x70);
    assert_entry_faults(m.dev, m.dev->pasid_entry + 16, ENTRY_ADDRESS, input,
                        0x73);
    vtd_quit(guest);
}

static void try_first_reserved(Mapping *m, unsigned int leaf)
{
    uint64_t at = vtd_entry(&m->first, m->iova, leaf);
    unsigned int level;

    for (level = leaf; level <= 4; level++) {
        uint64_t entry = vtd_entry(&m->first, m->iova, level);

        try_entry(m, entry, 0, BIT_ULL(48), 0x72);
        try_entry(m, entry, 0, BIT_ULL(51), 0x72);
        /* bits 52 to 62 and 8 to 10 are ignored */
        try_entry(m, entry, 0, 0x7ff0000000000700ULL, 0);
    }
    try_entry(m, vtd_entry(&m->first, m->iova, 4), 0, ENTRY_PS, 0x72);
    if (leaf == 2) {
        try_entry(m, at, 0, BIT_ULL(13), 0x72);
        try_entry(m, at, 0, BIT_ULL(20), 0x72);
    } else if (leaf == 3) {
        try_entry(m, at, 0, BIT_ULL(13), 0x72);
        try_entry(m, at, 0, BIT_ULL(29), 0x72);
    }
}

static void test_fault_first_reserved(void)
{
    VtdGuest *guest = start_nested();
    unsigned int leaf;
    Mapping m;

    for (leaf = 1; leaf <= 3; leaf++) {
        map_first(&m, &guest->dev[0], DOMAIN);
        m.iova += 512 * GiB;
        m.at = 1 * GiB;
        vtd_map(&m.first, m.iova, m.at, leaf);
        try_first_reserved(&m, leaf);

        map_nested(&m, &guest->dev[0], DOMAIN, 4);
        m.iova += 512 * GiB;
        m.at = 1 * GiB;
        vtd_map(&m.first, m.iova, BETWEEN + 1 * GiB, leaf);
        vtd_map(&m.second, BETWEEN + 1 * GiB, m.at, 3);
        try_first_reserved(&m, leaf);
    }
    vtd_quit(guest);
}

/* Without FS1GP there are no pages of 1 GiB */
static void test_fault_first_1g(void)
{
    VtdGuest *guest = start_scalable(NESTED ",fs1gp=off");
    Mapping m;

    map_first(&m, &guest->dev[0], DOMAIN);
    vtd_map(&m.first, m.iova + 1 * GiB, 1 * GiB, 3);
    assert_both_fault(m.dev, m.iova + 1 * GiB, 0x72);
    vtd_map(&m.first, m.iova + 2 * GiB, 1 * GiB, 2);
    assert_reads(m.dev, m.iova + 2 * GiB, 1 * GiB);
    vtd_quit(guest);
}

/* A first-stage table that is beyond the second stage's input */
static void test_fault_table_beyond(void)
{
    VtdGuest *guest = start_nested();
    unsigned int level;
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 3);
    for (level = 2; level <= 4; level++) {
        try_entry(&m, vtd_entry(&m.first, m.iova, level), 0, BIT_ULL(39),
                  0x74);
        try_entry(&m, vtd_entry(&m.first, m.iova, level), 0, BIT_ULL(47),
                  0x74);
    }
    assert_entry_faults(m.dev, m.dev->pasid_entry + 16, 0, BIT_ULL(39), 0x74);

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    assert_entry_faults(m.dev, m.dev->pasid_entry + 16, 0, BIT_ULL(48), 0x74);
    assert_entry_faults(m.dev, m.dev->pasid_entry + 16, 0, BIT_ULL(63), 0x74);
    vtd_quit(guest);
}

/* Where in memory the second stage's entry for a first-stage table is */
static uint64_t entry_of_table(Mapping *m, unsigned int level)
{
    uint64_t at = vtd_entry(&m->first, m->iova, level);

    return vtd_entry(&m->second, vtd_table_address(&m->first, at), 1);
}

static void test_fault_table_unreadable(void)
{
    VtdGuest *guest = start_nested();
    unsigned int level, levels;
    Mapping m;

    for (levels = 3; levels <= 4; levels++) {
        map_nested(&m, &guest->dev[0], DOMAIN, levels);
        for (level = 1; level <= 3; level++) {
            try_entry(&m, entry_of_table(&m, level), SS_R, 0, 0x76);
            try_entry(&m, entry_of_table(&m, level), SS_ALL, 0, 0x76);
        }
        assert_entry_faults(m.dev, entry_of_table(&m, 4), SS_R, 0, 0x75);
        assert_entry_faults(m.dev, entry_of_table(&m, 4), SS_ALL, 0, 0x75);
    }
    vtd_quit(guest);
}

/* Not even to be read where Accessed has to be set */
static void test_fault_table_unwritable(void)
{
    VtdGuest *guest = start_nested();
    unsigned int level;
    Mapping m;

    for (level = 1; level <= 4; level++) {
        map_nested(&m, &guest->dev[0], DOMAIN, 4);
        if (level == 4) {
            /* after that, the engine's own page needs no change of it */
            assert_reads(m.dev, VTD_WINDOW + 8, VTD_WINDOW + 8);
        }
        try_entry(&m, entry_of_table(&m, level), SS_W, 0, 0x77);
        vtd_invalidate_iotlb_global(guest);
    }
    vtd_quit(guest);
}

/* What the second stage's own tables cannot give */
static void try_second_access(Mapping *m, uint64_t input)
{
    unsigned int level;
    int i;

    for (level = 2; level <= m->second.levels; level++) {
        for (i = 0; i < ARRAY_SIZE(not_memory); i++) {
            try_entry(m, vtd_entry(&m->second, input, level), ENTRY_ADDRESS,
                      not_memory[i], 0x78);
        }
    }
}

static void test_fault_second_access(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_second(&m, &guest->dev[0], DOMAIN, 4);
    assert_entry_faults(m.dev, m.dev->pasid_entry, ENTRY_ADDRESS, VTD_NOT_RAM,
                        0x7b);
    m.iova += 512 * GiB;
    vtd_map(&m.second, m.iova, m.at, 1);
    try_second_access(&m, m.iova);
    vtd_quit(guest);
}

static void test_fault_second_access_narrow(void)
{
    VtdGuest *guest = start_nested();
    uint64_t entry;
    Mapping m;

    map_second(&m, &guest->dev[0], DOMAIN, 3);
    try_second_access(&m, m.iova);
    entry = vtd_load(guest, m.dev->pasid_entry);
    vtd_change(guest, m.dev->pasid_entry, ENTRY_ADDRESS, VTD_NOT_RAM);
    vtd_invalidate_iotlb_global(guest);
    assert_read_faults(m.dev, m.iova, 0x7b);
    vtd_store(guest, m.dev->pasid_entry, entry);
    assert_reads(m.dev, m.iova, m.at);
    vtd_quit(guest);
}

/* In nested translation, for the output and for each table */
static void test_fault_second_access_nested(void)
{
    VtdGuest *guest = start_nested();
    const uint64_t between = BETWEEN + 512 * GiB;
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    assert_entry_faults(m.dev, m.dev->pasid_entry, ENTRY_ADDRESS, VTD_NOT_RAM,
                        0x7b);
    vtd_change(guest, vtd_entry(&m.first, m.iova, 1), ENTRY_ADDRESS, between);
    vtd_map(&m.second, between, m.at, 1);
    try_second_access(&m, between);
    /* a table of the first stage whose address has no second-stage table */
    vtd_map(&m.second, 600 * GiB, 0, 1);
    vtd_change(guest, vtd_entry(&m.second, 600 * GiB, 2), ENTRY_ADDRESS,
               VTD_NOT_RAM);
    try_entry(&m, vtd_entry(&m.first, m.iova, 3), ENTRY_ADDRESS, 600 * GiB,
              0x78);
    vtd_quit(guest);
}

static void try_second_reserved(Mapping *m, uint64_t input, unsigned int leaf)
{
    uint64_t at = vtd_entry(&m->second, input, leaf);
    unsigned int level;

    for (level = leaf; level <= m->second.levels; level++) {
        uint64_t entry = vtd_entry(&m->second, input, level);

        try_entry(m, entry, 0, BIT_ULL(48), 0x7a);
        try_entry(m, entry, 0, BIT_ULL(51), 0x7a);
        /* bits 52 to 61, 63 and 8 to 10 are ignored */
        try_entry(m, entry, 0, 0xbff0000000000700ULL, 0);
    }
    if (m->second.levels == 4) {
        try_entry(m, vtd_entry(&m->second, input, 4), 0, ENTRY_PS, 0x7a);
    }
    if (leaf == 2) {
        try_entry(m, at, 0, BIT_ULL(12), 0x7a);
        try_entry(m, at, 0, BIT_ULL(20), 0x7a);
    } else if (leaf == 3) {
        try_entry(m, at, 0, BIT_ULL(12), 0x7a);
        try_entry(m, at, 0, BIT_ULL(29), 0x7a);
    }
    /* snoop control is a leaf's */
    try_entry(m, at, 0, BIT_ULL(11), 0);
    try_entry(m, vtd_entry(&m->second, input, leaf + 1), 0, BIT_ULL(11),
              leaf + 1 <= m->second.levels ? 0x7a : 0);
}

static void test_fault_second_reserved(void)
{
    VtdGuest *guest = start_nested();
    unsigned int leaf;
    Mapping m;

    for (leaf = 1; leaf <= 3; leaf++) {
        map_second(&m, &guest->dev[0], DOMAIN, 4);
        m.iova += 512 * GiB;
        m.at = 1 * GiB;
        vtd_map(&m.second, m.iova, m.at, leaf);
        try_second_reserved(&m, m.iova, leaf);
    }
    vtd_quit(guest);
}

static void test_fault_second_reserved_nested(void)
{
    VtdGuest *guest = start_nested();
    const uint64_t between = BETWEEN + 512 * GiB;
    unsigned int leaf;
    Mapping m;

    for (leaf = 1; leaf <= 3; leaf++) {
        map_nested(&m, &guest->dev[0], DOMAIN, 4);
        m.at = 1 * GiB;
        vtd_change(guest, vtd_entry(&m.first, m.iova, 1), ENTRY_ADDRESS,
                   between);
        vtd_map(&m.second, between, m.at, leaf);
        try_second_reserved(&m, between, leaf);
    }
    /* and for a table of the first stage */
    try_entry(&m, entry_of_table(&m, 2), 0, BIT_ULL(51), 0x7a);
    vtd_quit(guest);
}

static void test_fault_not_canonical(void)
{
    VtdGuest *guest = start_nested();
    const uint64_t high = 0xffff800000000000ULL;
    Mapping m;

    map_first(&m, &guest->dev[0], DOMAIN);
    vtd_map(&m.first, high, FRAME(1), 1);
    vtd_map(&m.first, BIT_ULL(47) - VTD_PAGE, FRAME(2), 1);
    assert_reads(m.dev, high, FRAME(1));
    assert_reads(m.dev, BIT_ULL(47) - 8, FRAME(2) + VTD_PAGE - 8);
    assert_both_fault(m.dev, BIT_ULL(47), 0x80);
    assert_both_fault(m.dev, high - 8, 0x80);
    assert_both_fault(m.dev, IOVA | BIT_ULL(48), 0x80);
    assert_both_fault(m.dev, IOVA | BIT_ULL(63), 0x80);

    map_nested(&m, &guest->dev[0], DOMAIN, 3);
    vtd_map(&m.first, high, BETWEEN, 1);
    vtd_invalidate_iotlb_global(guest);
    assert_reads(m.dev, high, m.at);
    assert_both_fault(m.dev, BIT_ULL(47), 0x80);
    assert_both_fault(m.dev, IOVA | BIT_ULL(63), 0x80);
    vtd_quit(guest);
}

/* The input of a second stage alone */
static void test_fault_input_beyond(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_second(&m, &guest->dev[0], DOMAIN, 3);
    vtd_map(&m.second, BIT_ULL(39) - VTD_PAGE, FRAME(1), 1);
    assert_reads(m.dev, BIT_ULL(39) - 8, FRAME(1) + VTD_PAGE - 8);
    assert_both_fault(m.dev, BIT_ULL(39), 0x84);
    assert_both_fault(m.dev, m.iova | BIT_ULL(63), 0x84);

    map_second(&m, &guest->dev[0], DOMAIN, 4);
    vtd_map(&m.second, BIT_ULL(48) - VTD_PAGE, FRAME(1), 1);
    vtd_invalidate_iotlb_global(guest);
    assert_reads(m.dev, BIT_ULL(48) - 8, FRAME(1) + VTD_PAGE - 8);
    assert_both_fault(m.dev, BIT_ULL(48), 0x84);
    vtd_quit(guest);
}

/* MGAW is less than what four levels span */
static void test_fault_input_beyond_mgaw(void)
{
    VtdGuest *guest = start_scalable(SCALABLE ",aw-bits=42");
    Mapping m;

    map_second(&m, &guest->dev[0], DOMAIN, 4);
    vtd_map(&m.second, BIT_ULL(42) - VTD_PAGE, FRAME(1), 1);
    vtd_map(&m.second, BIT_ULL(42), FRAME(1), 1);
    assert_reads(m.dev, BIT_ULL(42) - 8, FRAME(1) + VTD_PAGE - 8);
    assert_both_fault(m.dev, BIT_ULL(42), 0x84);
    vtd_quit(guest);
}

/* A first stage's output, and the second stage's input */
static void test_fault_output_beyond(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 3);
    vtd_map(&m.second, BIT_ULL(39) - 2 * MiB, FRAME(1), 2);
    vtd_map(&m.first, m.iova, BIT_ULL(39) - VTD_PAGE, 1);
    vtd_map(&m.first, m.iova + VTD_PAGE, BIT_ULL(39), 1);
    vtd_map(&m.first, m.iova + 2 * MiB, BIT_ULL(47), 2);
    assert_reads(m.dev, m.iova, FRAME(2) - VTD_PAGE);
    assert_both_fault(m.dev, m.iova + VTD_PAGE, 0x84);
    assert_both_fault(m.dev, m.iova + 3 * MiB, 0x84);
    vtd_quit(guest);
}

/* Interrupts: the address that comes out counts, not the page that has it */

#define BEFORE_INTERRUPTS   (VTD_INTERRUPTS - 8)
#define LAST_INTERRUPT      (VTD_INTERRUPTS + 1 * MiB - 8)
#define AFTER_INTERRUPTS    (VTD_INTERRUPTS + 1 * MiB)

/* From @iova, the device sees all from 3 GiB to 4 GiB; twice, as all caches */
static void assert_keeps_from_interrupts(VtdDevice *dev, uint64_t iova)
{
    VtdDevice *other = &dev->guest->dev[1];
    uint64_t at = iova + other->bar.addr + DMA_TESTDEV_SRC - 3 * GiB;
    uint64_t value = fresh_value();
    int i;

    g_assert_cmphex(other->bar.addr, >=, 3 * GiB);
    qpci_io_writeq(other->pci, other->bar, DMA_TESTDEV_SRC, value);
    for (i = 0; i < 2; i++) {
        g_assert_cmpuint(vtd_copy(dev, at, VTD_WINDOW, 8), ==,
                         DMA_TESTDEV_DONE);
        g_assert_cmphex(vtd_load(dev->guest, VTD_WINDOW), ==, value);
        assert_reaches_nothing(dev, iova + BEFORE_INTERRUPTS - 3 * GiB);
        assert_both_fault(dev, iova + VTD_INTERRUPTS - 3 * GiB, 0x87);
        assert_both_fault(dev, iova + LAST_INTERRUPT - 3 * GiB, 0x87);
        assert_reaches_nothing(dev, iova + AFTER_INTERRUPTS - 3 * GiB);
    }
}

static void test_fault_interrupts_first(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_first(&m, &guest->dev[0], DOMAIN);
    vtd_map(&m.first, m.iova, VTD_INTERRUPTS, 1);
    assert_both_fault(m.dev, m.iova, 0x87);
    vtd_map(&m.first, m.iova + 1 * GiB, 3 * GiB, 3);
    assert_keeps_from_interrupts(m.dev, m.iova + 1 * GiB);
    vtd_quit(guest);
}

static void test_fault_interrupts_second(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_second(&m, &guest->dev[0], DOMAIN, 3);
    vtd_map(&m.second, m.iova, VTD_INTERRUPTS, 1);
    assert_both_fault(m.dev, m.iova, 0x87);
    vtd_map(&m.second, m.iova + 1 * GiB, 3 * GiB, 3);
    assert_keeps_from_interrupts(m.dev, m.iova + 1 * GiB);
    vtd_quit(guest);
}

static void test_fault_interrupts_nested(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    vtd_map(&m.second, BETWEEN, VTD_INTERRUPTS, 1);
    assert_both_fault(m.dev, m.iova, 0x87);
    /* between the stages it is an address like any other */
    vtd_map(&m.first, m.iova, VTD_INTERRUPTS, 1);
    vtd_map(&m.second, VTD_INTERRUPTS, FRAME(1), 1);
    assert_reads(m.dev, m.iova, FRAME(1));
    /* each stage's page of another size */
    vtd_map(&m.first, m.iova + 1 * GiB, BETWEEN + 1 * GiB, 3);
    vtd_map(&m.second, BETWEEN + 1 * GiB, 3 * GiB, 3);
    assert_keeps_from_interrupts(m.dev, m.iova + 1 * GiB);
    vtd_map(&m.first, m.iova + 2 * GiB, BETWEEN + 1 * GiB + 0x3ee00000, 2);
    assert_both_fault(m.dev, m.iova + 2 * GiB, 0x87);
    assert_reaches_nothing(m.dev, m.iova + 2 * GiB + 1 * MiB);
    vtd_quit(guest);
}

/* A page of the guest's that is cached in parts is one to invalidate */
static void test_fault_interrupts_invalidation(void)
{
    VtdGuest *guest = start_nested();
    VtdDevice *dev = &guest->dev[0];
    uint64_t iova, value = fresh_value();
    Mapping m;

    map_first(&m, dev, DOMAIN);
    iova = m.iova + 1 * GiB;
    vtd_map(&m.first, iova, 3 * GiB, 3);
    assert_keeps_from_interrupts(dev, iova);
    vtd_map(&m.first, iova, 1 * GiB, 3);
    iova += guest->dev[1].bar.addr - 3 * GiB;
    vtd_store(guest, guest->dev[1].bar.addr - 2 * GiB, value);
    g_assert_cmpuint(vtd_copy(dev, iova, VTD_WINDOW, 8), ==, DMA_TESTDEV_DONE);
    g_assert_cmphex(vtd_load(guest, VTD_WINDOW), !=, value);
    vtd_invalidate_pasid_pages(guest, DOMAIN, dev->pasid, m.iova + 1 * GiB, 0);
    g_assert_cmpuint(vtd_copy(dev, iova, VTD_WINDOW, 8), ==, DMA_TESTDEV_DONE);
    g_assert_cmphex(vtd_load(guest, VTD_WINDOW), ==, value);
    vtd_quit(guest);
}

/* A first-stage table in ROM, which can be read */

#define ROM_SIZE        (64 * KiB)
#define ROM             (4 * GiB - ROM_SIZE)

/* Returns: the path of a ROM whose first words are @words */
static char *create_rom(const uint64_t *words, size_t count)
{
    g_autofree uint8_t *rom = g_malloc0(ROM_SIZE);
    g_autoptr(GError) err = NULL;
    char *path;
    int fd = g_file_open_tmp("vtd-rom-XXXXXX", &path, &err);
    size_t i;

    g_assert_no_error(err);
    for (i = 0; i < count; i++) {
        stq_le_p(rom + i * 8, words[i]);
    }
    g_assert_cmpint(write(fd, rom, ROM_SIZE), ==, ROM_SIZE);
    close(fd);
    return path;
}

static void test_fault_update_failed(void)
{
    const uint64_t words[] = {
        FRAME(0) | FS_ALL | FS_A | FS_D,
        FRAME(1) | FS_ALL | FS_A,
        FRAME(2) | FS_ALL,
    };
    g_autofree char *rom = create_rom(words, ARRAY_SIZE(words));
    g_autofree char *options = g_strconcat(NESTED " -bios ", rom, NULL);
    VtdGuest *guest = start_scalable(options);
    Mapping m;

    map_first(&m, &guest->dev[0], DOMAIN);
    vtd_change(guest, vtd_entry(&m.first, m.iova, 2), ENTRY_ADDRESS, ROM);
    assert_reads(m.dev, m.iova, FRAME(0));
    assert_writes(m.dev, m.iova, FRAME(0));
    assert_reads(m.dev, m.iova + VTD_PAGE, FRAME(1));
    assert_write_faults(m.dev, m.iova + VTD_PAGE, 0x91);
    assert_both_fault(m.dev, m.iova + 2 * VTD_PAGE, 0x91);
    unlink(rom);
    vtd_quit(guest);
}

/* Fault processing disabled */

static void assert_silent(VtdDevice *dev, uint64_t iova)
{
    g_assert_cmpuint(vtd_copy(dev, iova, VTD_WINDOW, 8), ==,
                     DMA_TESTDEV_READ_FAILED);
    assert_no_fault(dev->guest);
}

static void test_fault_processing_disabled(void)
{
    VtdGuest *guest = start_nested();
    const uint64_t nowhere = IOVA + 3 * GiB;
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    assert_read_faults(m.dev, nowhere, 0x71);
    vtd_change(guest, m.dev->pasid_entry, 0, ENTRY_FPD);
    assert_silent(m.dev, nowhere);
    assert_reads(m.dev, m.iova, m.at);
    /* also where the entry is not present, or says what there is not */
    vtd_invalidate_iotlb_global(guest);
    vtd_change(guest, m.dev->pasid_entry, PASID_AW_MASK, 0);
    assert_silent(m.dev, nowhere);
    vtd_change(guest, m.dev->pasid_entry, ENTRY_P, 0);
    assert_silent(m.dev, nowhere);
    vtd_store(guest, m.dev->pasid_entry, 0);
    assert_read_faults(m.dev, nowhere, 0x59);

    vtd_change(guest, m.dev->pasid_dir, 0, ENTRY_FPD);
    assert_silent(m.dev, nowhere);
    vtd_change(guest, m.dev->pasid_dir, ENTRY_P, 0);
    assert_silent(m.dev, nowhere);
    vtd_change(guest, m.dev->pasid_dir, ENTRY_FPD, 0);
    assert_read_faults(m.dev, nowhere, 0x51);

    vtd_change(guest, m.dev->context, 0, ENTRY_FPD);
    vtd_invalidate_context_device(m.dev, DOMAIN);
    assert_silent(m.dev, nowhere);
    vtd_quit(guest);
}

/* A failed access to a table is not what FPD is about */
static void test_fault_not_qualified(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    vtd_change(guest, m.dev->pasid_dir, ENTRY_ADDRESS, VTD_NOT_RAM | ENTRY_FPD);
    assert_read_faults(m.dev, m.iova, 0x58);
    vtd_quit(guest);
}

/* Legacy mode, and its reasons */

static void try_legacy(VtdDevice *dev, uint64_t at, uint64_t clear,
                       uint64_t set, unsigned int read_reason,
                       unsigned int write_reason)
{
    uint64_t entry = vtd_load(dev->guest, at);

    vtd_change(dev->guest, at, clear, set);
    vtd_invalidate_context_global(dev->guest);
    vtd_invalidate_iotlb_global(dev->guest);
    assert_access(dev, NARROW_IOVA, FRAME(0), true, read_reason);
    assert_access(dev, NARROW_IOVA, FRAME(0), false, write_reason);
    vtd_store(dev->guest, at, entry);
}

static void assert_legacy(const char *options)
{
    VtdGuest *guest = vtd_start(options);
    VtdDevice *dev = &guest->dev[1];
    VtdStage second = vtd_second_stage(guest, 3);
    uint64_t leaf = vtd_map(&second, NARROW_IOVA, FRAME(0), 1);

    vtd_set_up_legacy(guest);
    vtd_use_legacy(dev, &second, DOMAIN);
    vtd_map(&second, NARROW_IOVA + 1 * GiB, 3 * GiB, 3);
    vtd_enable(guest);
    assert_reads(dev, NARROW_IOVA, FRAME(0));
    assert_writes(dev, NARROW_IOVA, FRAME(0));
    try_legacy(dev, leaf, SS_W, 0, 0, 5);
    try_legacy(dev, leaf, SS_R, 0, 6, 0);
    try_legacy(dev, leaf, SS_ALL, 0, 6, 5);
    try_legacy(dev, leaf, 0, BIT_ULL(51), 0xc, 0xc);
    try_legacy(dev, leaf, ENTRY_ADDRESS, VTD_INTERRUPTS, 0xe, 0xe);
    try_legacy(dev, vtd_entry(&second, NARROW_IOVA, 3), ENTRY_ADDRESS,
               VTD_NOT_RAM, 7, 7);
    assert_both_fault(dev, BIT_ULL(39), 4);
    assert_both_fault(dev, NARROW_IOVA + VTD_INTERRUPTS - 2 * GiB, 0xe);
    assert_reaches_nothing(dev, NARROW_IOVA + AFTER_INTERRUPTS - 2 * GiB);
    vtd_change(guest, dev->context, ENTRY_ADDRESS, VTD_NOT_RAM);
    vtd_invalidate_context_global(guest);
    assert_read_faults(dev, NARROW_IOVA + 8 * VTD_PAGE, 3);
    vtd_quit(guest);
}

static void test_mode_legacy(void)
{
    assert_legacy("");
}

/* A guest that leaves RTADDR.TTM at legacy mode */
static void test_mode_legacy_with_nested(void)
{
    assert_legacy(NESTED);
}

static void test_mode_scalable(void)
{
    VtdGuest *guest = start_scalable(SCALABLE);
    Mapping m;

    map_second(&m, &guest->dev[1], DOMAIN, 3);
    try_second_rights(&m, m.iova, 1);
    try_second_reserved(&m, m.iova, 1);
    vtd_quit(guest);
}

static void test_mode_first_stage(void)
{
    VtdGuest *guest = start_scalable(FIRST_STAGE);
    Mapping m;

    map_first(&m, &guest->dev[1], DOMAIN);
    try_first_rights(&m, 1);
    try_first_reserved(&m, 1);
    vtd_quit(guest);
}

/* Accessed and Dirty */

/* Expects @leaf_bits in the leaf, and Accessed alone in what leads to it */
static void assert_accessed(Mapping *m, unsigned int leaf, uint64_t leaf_bits,
                            uint64_t table_bits)
{
    unsigned int level;

    for (level = leaf; level <= 4; level++) {
        uint64_t entry = vtd_load(m->dev->guest,
                                  vtd_entry(&m->first, m->iova, level));

        g_assert_cmphex(entry & (FS_A | FS_D), ==,
                        level == leaf ? leaf_bits : table_bits);
    }
}

/* Two pages of @leaf's size follow each other at IOVA */
static void assert_sets_accessed(Mapping *m, unsigned int leaf)
{
    assert_accessed(m, leaf, 0, 0);
    assert_reads(m->dev, m->iova, m->at);
    assert_accessed(m, leaf, FS_A, FS_A);
    /* what is cached knows that Dirty has to be set */
    assert_writes(m->dev, m->iova, m->at);
    assert_accessed(m, leaf, FS_A | FS_D, FS_A);

    m->iova += vtd_span(leaf);
    assert_accessed(m, leaf, 0, FS_A);
    assert_writes(m->dev, m->iova, m->at);
    assert_accessed(m, leaf, FS_A | FS_D, FS_A);
}

static void test_accessed_first(void)
{
    VtdGuest *guest = start_nested();
    unsigned int leaf;
    Mapping m;

    for (leaf = 1; leaf <= 3; leaf++) {
        map_first(&m, &guest->dev[0], DOMAIN);
        m.iova += 512 * GiB;
        m.at = 1 * GiB;
        vtd_map(&m.first, m.iova, m.at, leaf);
        vtd_map(&m.first, m.iova + vtd_span(leaf), m.at, leaf);
        vtd_invalidate_iotlb_global(guest);
        assert_sets_accessed(&m, leaf);
    }
    vtd_quit(guest);
}

static void test_accessed_nested(void)
{
    VtdGuest *guest = start_nested();
    const uint64_t between = BETWEEN + 1 * GiB;
    unsigned int leaf;
    Mapping m;

    for (leaf = 1; leaf <= 3; leaf++) {
        map_nested(&m, &guest->dev[0], DOMAIN, 4);
        m.iova += 512 * GiB;
        vtd_map(&m.first, m.iova, between, leaf);
        vtd_map(&m.first, m.iova + vtd_span(leaf), between, leaf);
        vtd_map(&m.second, between, m.at, 1);
        vtd_invalidate_iotlb_global(guest);
        assert_sets_accessed(&m, leaf);
    }
    vtd_quit(guest);
}

/* The second stage has none, as ECAP.SSADS is clear */
static void test_accessed_not_in_second(void)
{
    VtdGuest *guest = start_nested();
    uint64_t leaf, table;
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    leaf = vtd_load(guest, vtd_entry(&m.second, BETWEEN, 1));
    table = vtd_load(guest, entry_of_table(&m, 1));
    assert_reads(m.dev, m.iova, m.at);
    assert_writes(m.dev, m.iova, m.at);
    g_assert_cmphex(vtd_load(guest, vtd_entry(&m.second, BETWEEN, 1)), ==,
                    leaf);
    g_assert_cmphex(vtd_load(guest, entry_of_table(&m, 1)), ==, table);
    vtd_quit(guest);
}

static void protect_tables(Mapping *m)
{
    unsigned int level;

    for (level = 1; level <= 4; level++) {
        vtd_change(m->dev->guest, entry_of_table(m, level), SS_W, 0);
    }
    vtd_invalidate_iotlb_global(m->dev->guest);
}

/* Tables that cannot be written will do where there is nothing to set */
static void test_accessed_already(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    assert_reads(m.dev, m.iova, m.at);
    protect_tables(&m);
    assert_reads(m.dev, m.iova, m.at);
    assert_write_faults(m.dev, m.iova, 0x77);
    assert_reads(m.dev, m.iova, m.at);

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    vtd_invalidate_iotlb_global(guest);
    assert_writes(m.dev, m.iova, m.at);
    protect_tables(&m);
    assert_reads(m.dev, m.iova, m.at);
    assert_writes(m.dev, m.iova, m.at);
    vtd_quit(guest);
}

/* A write that cannot be done leaves no Dirty */
static void test_accessed_not_by_denied_write(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_first(&m, &guest->dev[0], DOMAIN);
    vtd_change(guest, vtd_entry(&m.first, m.iova, 1), FS_RW, 0);
    assert_reads(m.dev, m.iova, m.at);
    assert_write_faults(m.dev, m.iova, 0x85);
    assert_accessed(&m, 1, FS_A, FS_A);
    vtd_quit(guest);
}

/* What is cached denies a write as the tables do: with a record */
static void test_cached_write_denied(void)
{
    static const unsigned int types[] = { PGTT_FIRST, PGTT_SECOND };
    VtdGuest *guest = start_nested();
    Mapping m;
    int i;

    for (i = 0; i < ARRAY_SIZE(types); i++) {
        if (types[i] == PGTT_FIRST) {
            map_first(&m, &guest->dev[i], DOMAIN);
            vtd_change(guest, vtd_entry(&m.first, m.iova, 1), FS_RW, 0);
        } else {
            map_second(&m, &guest->dev[i], DOMAIN, 4);
            vtd_change(guest, vtd_entry(&m.second, m.iova, 1), SS_W, 0);
        }
        assert_reads(m.dev, m.iova, m.at);
        assert_write_faults(m.dev, m.iova, 0x85);
        assert_reads(m.dev, m.iova, m.at);
    }
    vtd_quit(guest);
}

/*
 * Invalidation: what a device sees is old until what was cached is dropped
 *
 * Addresses are offsets from the mapping's. Each is in FRAME(0) at first, and
 * MOVE bytes on after its leaf was changed.
 */

#define MOVE            (4 * MiB)
#define PAGE(n)         ((n) * VTD_PAGE)

/* Pages of a block of 2 MiB that a second stage of 4 KiB pages has */
static const unsigned int pages[] = { 0, 1, 2, 3, 4, 5, 6, 7, 511 };

static void map_between(Mapping *m)
{
    int block, i;

    for (block = 0; block < 4; block++) {
        for (i = 0; i < ARRAY_SIZE(pages); i++) {
            vtd_map(&m->second, BETWEEN + block * 2 * MiB + PAGE(pages[i]),
                    FRAME(block) + PAGE(pages[i]), 1);
        }
    }
}

/* Two blocks of 2 MiB: pages of 4 KiB each, or with a @leaf of 2 whole */
static void map_blocks(Mapping *m, VtdDevice *dev, unsigned int type,
                       uint16_t domain, unsigned int leaf)
{
    VtdStage *stage = type == PGTT_SECOND ? &m->second : &m->first;
    uint64_t output = type == PGTT_NESTED ? BETWEEN : FRAME(0);
    int block, i;

    if (type == PGTT_FIRST) {
        map_first(m, dev, domain);
    } else if (type == PGTT_SECOND) {
        map_second(m, dev, domain, 4);
    } else {
        map_nested(m, dev, domain, 4);
        map_between(m);
    }
    for (block = 0; block < 2; block++) {
        for (i = 0; i < (leaf == 1 ? ARRAY_SIZE(pages) : 1); i++) {
            uint64_t offset = block * 2 * MiB + PAGE(pages[i]);

            vtd_map(stage, m->iova + offset, output + offset, leaf);
        }
    }
}

static void assert_old(Mapping *m, uint64_t offset)
{
    assert_reads(m->dev, m->iova + offset, FRAME(0) + offset);
}

static void assert_moved(Mapping *m, uint64_t offset)
{
    assert_reads(m->dev, m->iova + offset, FRAME(0) + offset + MOVE);
}

static void move_leaf(Mapping *m, VtdStage *stage, uint64_t offset,
                      unsigned int leaf)
{
    VtdGuest *guest = m->dev->guest;
    uint64_t at = vtd_entry(stage, m->iova + offset, leaf);

    vtd_store(guest, at, vtd_load(guest, at) + MOVE);
}

/* Of the stage that has the request's addresses */
static void make_stale(Mapping *m, unsigned int type, uint64_t offset)
{
    assert_old(m, offset);
    move_leaf(m, type == PGTT_SECOND ? &m->second : &m->first, offset, 1);
    assert_old(m, offset);
}

static void map_stale(Mapping *m, VtdDevice *dev, unsigned int type,
                      uint16_t domain)
{
    map_blocks(m, dev, type, domain, 1);
    make_stale(m, type, PAGE(0));
}

static void assert_drops_second_stage(Mapping *m)
{
    vtd_store(m->dev->guest, vtd_entry(&m->second, BETWEEN, 1),
              FRAME(3) | SS_ALL);
    assert_old(m, 0);
    vtd_invalidate_iotlb_global(m->dev->guest);
    assert_reads(m->dev, m->iova, FRAME(3));
}

static void test_iotlb_global(void)
{
    VtdGuest *guest = start_nested();
    unsigned int type;
    Mapping a, b;

    for (type = PGTT_FIRST; type <= PGTT_NESTED; type++) {
        map_stale(&a, &guest->dev[0], type, DOMAIN);
        map_stale(&b, &guest->dev[1], type, OTHER_DOMAIN);
        vtd_invalidate_iotlb_global(guest);
        assert_moved(&a, 0);
        assert_moved(&b, 0);
        vtd_invalidate_iotlb_global(guest);
    }
    map_blocks(&a, &guest->dev[0], PGTT_NESTED, DOMAIN, 1);
    assert_old(&a, 0);
    assert_drops_second_stage(&a);
    vtd_quit(guest);
}

static void test_iotlb_domain(void)
{
    VtdGuest *guest = start_nested();
    unsigned int type;
    Mapping a, b;

    for (type = PGTT_FIRST; type <= PGTT_NESTED; type++) {
        map_stale(&a, &guest->dev[0], type, DOMAIN);
        map_stale(&b, &guest->dev[1], type, OTHER_DOMAIN);
        vtd_invalidate_iotlb_domain(guest, DOMAIN);
        assert_moved(&a, 0);
        assert_old(&b, 0);
        vtd_invalidate_iotlb_global(guest);
    }
    vtd_quit(guest);
}

/* Of a second stage alone: the pages that are named */
static void test_iotlb_pages_second(void)
{
    VtdGuest *guest = start_nested();
    Mapping m, other;
    int page;

    map_blocks(&m, &guest->dev[0], PGTT_SECOND, DOMAIN, 1);
    for (page = 0; page < 8; page++) {
        make_stale(&m, PGTT_SECOND, PAGE(page));
    }
    map_stale(&other, &guest->dev[1], PGTT_SECOND, OTHER_DOMAIN);
    vtd_invalidate_iotlb_pages(guest, DOMAIN, m.iova, 0);
    assert_moved(&m, PAGE(0));
    vtd_invalidate_iotlb_pages(guest, DOMAIN, m.iova + PAGE(4), 1);
    for (page = 1; page < 8; page++) {
        (page == 4 || page == 5 ? assert_moved : assert_old)(&m, PAGE(page));
    }
    assert_old(&other, PAGE(0));
    vtd_quit(guest);
}

static void test_iotlb_pages_second_2m(void)
{
    VtdGuest *guest = start_nested();
    const uint64_t within = PAGE(77), next = 2 * MiB;
    Mapping m;

    map_blocks(&m, &guest->dev[0], PGTT_SECOND, DOMAIN, 2);
    assert_old(&m, 0);
    assert_old(&m, next);
    move_leaf(&m, &m.second, 0, 2);
    move_leaf(&m, &m.second, next, 2);
    assert_old(&m, within);
    vtd_invalidate_iotlb_pages(guest, DOMAIN, m.iova + PAGE(301), 0);
    assert_moved(&m, within);
    assert_old(&m, next);
    /* a range that the page is a part of */
    vtd_invalidate_iotlb_pages(guest, DOMAIN, m.iova & -4 * MiB, 10);
    assert_moved(&m, next);
    vtd_quit(guest);
}

/* With a first stage: all that the domain has, whatever is named */
static void test_iotlb_pages_first(void)
{
    VtdGuest *guest = start_nested();
    unsigned int type;
    Mapping a, b;

    for (type = PGTT_FIRST; type <= PGTT_NESTED; type += 2) {
        map_stale(&a, &guest->dev[0], type, DOMAIN);
        map_stale(&b, &guest->dev[1], type, OTHER_DOMAIN);
        vtd_invalidate_iotlb_pages(guest, DOMAIN, 5 * GiB, 0);
        assert_moved(&a, 0);
        assert_old(&b, 0);
        vtd_invalidate_iotlb_pages(guest, OTHER_DOMAIN, 5 * GiB, 0);
        assert_moved(&b, 0);
        vtd_invalidate_iotlb_global(guest);
    }
    vtd_quit(guest);
}

/* The second stage's page changes under a nested translation */
static void test_iotlb_pages_nested(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_blocks(&m, &guest->dev[0], PGTT_NESTED, DOMAIN, 1);
    assert_old(&m, 0);
    vtd_store(guest, vtd_entry(&m.second, BETWEEN, 1), FRAME(3) | SS_ALL);
    assert_old(&m, 0);
    vtd_invalidate_iotlb_pages(guest, DOMAIN, BETWEEN, 0);
    assert_reads(m.dev, m.iova, FRAME(3));
    vtd_quit(guest);
}

/* The whole PASID; not another in the domain */
static void test_pasid_all(void)
{
    VtdGuest *guest = start_nested();
    unsigned int type;
    Mapping a, b;

    for (type = PGTT_FIRST; type <= PGTT_NESTED; type += 2) {
        map_stale(&a, &guest->dev[0], type, DOMAIN);
        map_stale(&b, &guest->dev[1], type, DOMAIN);
        vtd_invalidate_pasid(guest, DOMAIN, a.dev->pasid);
        assert_moved(&a, 0);
        assert_old(&b, 0);
        vtd_invalidate_iotlb_global(guest);
    }
    vtd_quit(guest);
}

/* Not the same PASID in another domain */
static void test_pasid_of_other_domain(void)
{
    VtdGuest *guest = start_nested();
    unsigned int type;
    Mapping a, b;

    vtd_set_rid_pasid(&guest->dev[1], guest->dev[0].pasid);
    vtd_invalidate_context_global(guest);
    for (type = PGTT_FIRST; type <= PGTT_NESTED; type += 2) {
        map_stale(&a, &guest->dev[0], type, DOMAIN);
        map_stale(&b, &guest->dev[1], type, OTHER_DOMAIN);
        vtd_invalidate_pasid(guest, DOMAIN, a.dev->pasid);
        assert_moved(&a, 0);
        assert_old(&b, 0);
        vtd_invalidate_pasid_pages(guest, DOMAIN, a.dev->pasid, b.iova, 0);
        assert_old(&b, 0);
        vtd_invalidate_pasid_pages(guest, OTHER_DOMAIN, a.dev->pasid, b.iova,
                                   0);
        assert_moved(&b, 0);
        vtd_invalidate_iotlb_global(guest);
    }
    vtd_quit(guest);
}

static void assert_pasid_pages(VtdGuest *guest, unsigned int type)
{
    VtdDevice *dev = &guest->dev[0];
    Mapping m, other;
    int page;

    map_blocks(&m, dev, type, DOMAIN, 1);
    for (page = 0; page < 8; page++) {
        make_stale(&m, type, PAGE(page));
    }
    map_stale(&other, &guest->dev[1], type, DOMAIN);
    vtd_invalidate_pasid_pages(guest, DOMAIN, dev->pasid, m.iova, 0);
    assert_moved(&m, PAGE(0));
    vtd_invalidate_pasid_pages(guest, DOMAIN, dev->pasid, m.iova + PAGE(4), 1);
    for (page = 1; page < 8; page++) {
        (page == 4 || page == 5 ? assert_moved : assert_old)(&m, PAGE(page));
    }
    vtd_invalidate_pasid_pages(guest, DOMAIN, dev->pasid, m.iova, 3);
    for (page = 0; page < 8; page++) {
        assert_moved(&m, PAGE(page));
    }
    assert_old(&other, PAGE(0));
    vtd_invalidate_iotlb_global(guest);
}

static void test_pasid_pages(void)
{
    VtdGuest *guest = start_nested();

    assert_pasid_pages(guest, PGTT_FIRST);
    assert_pasid_pages(guest, PGTT_NESTED);
    vtd_quit(guest);
}

/* A second stage's pages are no matter of the PASID's */
static void test_pasid_pages_second(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;

    map_stale(&m, &guest->dev[0], PGTT_SECOND, DOMAIN);
    vtd_invalidate_pasid_pages(guest, DOMAIN, m.dev->pasid, m.iova, 9);
    assert_old(&m, 0);
    vtd_quit(guest);
}

/*
 * A page of 2 MiB in the first stage, cached as the second stage cuts it: all
 * of it goes with any of its addresses, and no more.
 */
static void test_pasid_pages_nested_2m(void)
{
    VtdGuest *guest = start_nested();
    const uint64_t offsets[] = { PAGE(0), PAGE(5), PAGE(511) };
    const uint64_t next = 2 * MiB;
    Mapping m;
    int i;

    map_blocks(&m, &guest->dev[0], PGTT_NESTED, DOMAIN, 2);
    for (i = 0; i < ARRAY_SIZE(offsets); i++) {
        assert_old(&m, offsets[i]);
        assert_old(&m, offsets[i] + next);
    }
    move_leaf(&m, &m.first, 0, 2);
    move_leaf(&m, &m.first, next, 2);
    assert_old(&m, PAGE(5));
    vtd_invalidate_pasid_pages(guest, DOMAIN, m.dev->pasid, m.iova + PAGE(7),
                               0);
    for (i = 0; i < ARRAY_SIZE(offsets); i++) {
        assert_moved(&m, offsets[i]);
        assert_old(&m, offsets[i] + next);
    }
    vtd_invalidate_pasid_pages(guest, DOMAIN, m.dev->pasid,
                               m.iova + next + PAGE(256), 8);
    for (i = 0; i < ARRAY_SIZE(offsets); i++) {
        assert_moved(&m, offsets[i] + next);
    }
    vtd_quit(guest);
}

/* A page of 4 KiB in the first stage, within one of 2 MiB in the second */
static void test_pasid_pages_in_large_second(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;
    int block;

    map_blocks(&m, &guest->dev[0], PGTT_NESTED, DOMAIN, 1);
    for (block = 0; block < 4; block++) {
        vtd_map(&m.second, BETWEEN + block * 2 * MiB, FRAME(block), 2);
    }
    make_stale(&m, PGTT_NESTED, PAGE(1));
    make_stale(&m, PGTT_NESTED, PAGE(2));
    vtd_invalidate_pasid_pages(guest, DOMAIN, m.dev->pasid, m.iova + PAGE(2),
                               0);
    assert_old(&m, PAGE(1));
    assert_moved(&m, PAGE(2));
    vtd_quit(guest);
}

/* The device's PASID is found in other tables than before */
static Mapping move_device(VtdDevice *dev, Mapping *before)
{
    Mapping after;

    map_blocks(before, dev, PGTT_NESTED, DOMAIN, 1);
    assert_old(before, PAGE(0));
    vtd_set_rid_pasid(dev, dev->pasid + 1);
    map_blocks(&after, dev, PGTT_NESTED, DOMAIN, 1);
    vtd_map(&after.second, BETWEEN + PAGE(1), FRAME(3), 1);
    /* never seen before: the PASID that is cached */
    assert_old(before, PAGE(2));
    return after;
}

static void assert_device_moved(Mapping *after)
{
    assert_reads(after->dev, after->iova + PAGE(1), FRAME(3));
}

static void test_context_global(void)
{
    VtdGuest *guest = start_nested();
    Mapping before, after;

    after = move_device(&guest->dev[0], &before);
    vtd_invalidate_context_global(guest);
    assert_device_moved(&after);
    vtd_quit(guest);
}

static void test_context_domain(void)
{
    VtdGuest *guest = start_nested();
    Mapping before, after;

    after = move_device(&guest->dev[0], &before);
    vtd_invalidate_context_domain(guest, DOMAIN);
    assert_device_moved(&after);
    vtd_quit(guest);
}

static void test_context_device(void)
{
    VtdGuest *guest = start_nested();
    Mapping before[2], after[2];
    int i;

    for (i = 0; i < 2; i++) {
        after[i] = move_device(&guest->dev[i], &before[i]);
    }
    vtd_invalidate_context_device(&guest->dev[0], DOMAIN);
    assert_device_moved(&after[0]);
    assert_old(&before[1], PAGE(3));
    vtd_invalidate_context_device(&guest->dev[1], DOMAIN);
    assert_device_moved(&after[1]);
    vtd_quit(guest);
}

static void test_root_drops_everything(void)
{
    VtdGuest *guest = start_nested();
    Mapping before, after, stale;

    map_stale(&stale, &guest->dev[1], PGTT_SECOND, OTHER_DOMAIN);
    after = move_device(&guest->dev[0], &before);
    vtd_set_root(guest, guest->root | VTD_RTADDR_SCALABLE);
    assert_device_moved(&after);
    assert_moved(&stale, PAGE(0));
    vtd_quit(guest);
}

/*
 * Pass-through takes a device out of the IOMMU's sight, which has to come
 * back with the PASID cache's invalidation.
 */
static void assert_leaves_pass_through(void (*invalidate)(VtdDevice *dev))
{
    VtdGuest *guest = start_nested();
    VtdDevice *dev = &guest->dev[0];
    Mapping m;

    vtd_use_pass_through(dev, DOMAIN);
    assert_reads(dev, FRAME(5), FRAME(5));
    assert_reads(dev, FRAME(5), FRAME(5));
    map_nested(&m, dev, DOMAIN, 4);
    assert_reads(dev, FRAME(5), FRAME(5));
    invalidate(dev);
    assert_reads(dev, m.iova, m.at);
    assert_read_faults(dev, FRAME(5), 0x71);

    /* and back */
    vtd_use_pass_through(dev, DOMAIN);
    invalidate(dev);
    vtd_invalidate_pasid(guest, DOMAIN, dev->pasid);
    assert_reads(dev, FRAME(5), FRAME(5));
    vtd_quit(guest);
}

static void invalidate_pasid_cache(VtdDevice *dev)
{
    vtd_invalidate_pasid_cache(dev, DOMAIN);
}

static void invalidate_pasid_cache_domain(VtdDevice *dev)
{
    vtd_invalidate_pasid_cache_domain(dev->guest, DOMAIN);
}

static void invalidate_pasid_cache_global(VtdDevice *dev)
{
    vtd_invalidate_pasid_cache_global(dev->guest);
}

static void test_pasid_cache(void)
{
    assert_leaves_pass_through(invalidate_pasid_cache);
    assert_leaves_pass_through(invalidate_pasid_cache_domain);
    assert_leaves_pass_through(invalidate_pasid_cache_global);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/intel-iommu-nested/property/needs", test_property_needs);
    qtest_add_func("/intel-iommu-nested/property/off", test_property_off);
    qtest_add_func("/intel-iommu-nested/property/on", test_property_on);
    qtest_add_func("/intel-iommu-nested/property/assigned",
                   test_property_assigned);
    qtest_add_func("/intel-iommu-nested/property/emulated",
                   test_property_emulated);
    qtest_add_func("/intel-iommu-nested/type/first", test_type_first);
    qtest_add_func("/intel-iommu-nested/type/second", test_type_second);
    qtest_add_func("/intel-iommu-nested/type/nested", test_type_nested);
    qtest_add_func("/intel-iommu-nested/type/pass-through",
                   test_type_pass_through);
    qtest_add_func("/intel-iommu-nested/type/of-each-device",
                   test_type_of_each_device);
    qtest_add_func("/intel-iommu-nested/type/invalid", test_type_invalid);
    qtest_add_func("/intel-iommu-nested/type/without-nested",
                   test_type_without_nested);
    qtest_add_func("/intel-iommu-nested/type/without-first-stage",
                   test_type_without_first_stage);
    add_sizes_tests();
    qtest_add_func("/intel-iommu-nested/rights/first", test_rights_first);
    qtest_add_func("/intel-iommu-nested/rights/second", test_rights_second);
    qtest_add_func("/intel-iommu-nested/rights/nested", test_rights_nested);
    qtest_add_func("/intel-iommu-nested/rights/nested-narrow",
                   test_rights_nested_narrow);
    qtest_add_func("/intel-iommu-nested/rights/of-both", test_rights_of_both);
    qtest_add_func("/intel-iommu-nested/fault/pasid-tables",
                   test_fault_pasid_tables);
    qtest_add_func("/intel-iommu-nested/fault/pasid-tables-later",
                   test_fault_pasid_tables_later);
    qtest_add_func("/intel-iommu-nested/fault/first-stage-levels",
                   test_fault_first_stage_levels);
    qtest_add_func("/intel-iommu-nested/fault/second-stage-levels",
                   test_fault_second_stage_levels);
    qtest_add_func("/intel-iommu-nested/fault/first-access",
                   test_fault_first_access);
    qtest_add_func("/intel-iommu-nested/fault/first-access-nested",
                   test_fault_first_access_nested);
    qtest_add_func("/intel-iommu-nested/fault/first-reserved",
                   test_fault_first_reserved);
    qtest_add_func("/intel-iommu-nested/fault/first-1g", test_fault_first_1g);
    qtest_add_func("/intel-iommu-nested/fault/table-beyond",
                   test_fault_table_beyond);
    qtest_add_func("/intel-iommu-nested/fault/table-unreadable",
                   test_fault_table_unreadable);
    qtest_add_func("/intel-iommu-nested/fault/table-unwritable",
                   test_fault_table_unwritable);
    qtest_add_func("/intel-iommu-nested/fault/second-access",
                   test_fault_second_access);
    qtest_add_func("/intel-iommu-nested/fault/second-access-narrow",
                   test_fault_second_access_narrow);
    qtest_add_func("/intel-iommu-nested/fault/second-access-nested",
                   test_fault_second_access_nested);
    qtest_add_func("/intel-iommu-nested/fault/second-reserved",
                   test_fault_second_reserved);
    qtest_add_func("/intel-iommu-nested/fault/second-reserved-nested",
                   test_fault_second_reserved_nested);
    qtest_add_func("/intel-iommu-nested/fault/not-canonical",
                   test_fault_not_canonical);
    qtest_add_func("/intel-iommu-nested/fault/input-beyond",
                   test_fault_input_beyond);
    qtest_add_func("/intel-iommu-nested/fault/input-beyond-mgaw",
                   test_fault_input_beyond_mgaw);
    qtest_add_func("/intel-iommu-nested/fault/output-beyond",
                   test_fault_output_beyond);
    qtest_add_func("/intel-iommu-nested/fault/interrupts-first",
                   test_fault_interrupts_first);
    qtest_add_func("/intel-iommu-nested/fault/interrupts-second",
                   test_fault_interrupts_second);
    qtest_add_func("/intel-iommu-nested/fault/interrupts-nested",
                   test_fault_interrupts_nested);
    qtest_add_func("/intel-iommu-nested/fault/interrupts-invalidation",
                   test_fault_interrupts_invalidation);
    qtest_add_func("/intel-iommu-nested/fault/update-failed",
                   test_fault_update_failed);
    qtest_add_func("/intel-iommu-nested/fault/processing-disabled",
                   test_fault_processing_disabled);
    qtest_add_func("/intel-iommu-nested/fault/not-qualified",
                   test_fault_not_qualified);
    qtest_add_func("/intel-iommu-nested/mode/legacy", test_mode_legacy);
    qtest_add_func("/intel-iommu-nested/mode/legacy-with-nested",
                   test_mode_legacy_with_nested);
    qtest_add_func("/intel-iommu-nested/mode/scalable", test_mode_scalable);
    qtest_add_func("/intel-iommu-nested/mode/first-stage",
                   test_mode_first_stage);
    qtest_add_func("/intel-iommu-nested/accessed/first", test_accessed_first);
    qtest_add_func("/intel-iommu-nested/accessed/nested", test_accessed_nested);
    qtest_add_func("/intel-iommu-nested/accessed/not-in-second",
                   test_accessed_not_in_second);
    qtest_add_func("/intel-iommu-nested/accessed/already",
                   test_accessed_already);
    qtest_add_func("/intel-iommu-nested/accessed/not-by-denied-write",
                   test_accessed_not_by_denied_write);
    qtest_add_func("/intel-iommu-nested/cached/write-denied",
                   test_cached_write_denied);
    qtest_add_func("/intel-iommu-nested/iotlb/global", test_iotlb_global);
    qtest_add_func("/intel-iommu-nested/iotlb/domain", test_iotlb_domain);
    qtest_add_func("/intel-iommu-nested/iotlb/pages-second",
                   test_iotlb_pages_second);
    qtest_add_func("/intel-iommu-nested/iotlb/pages-second-2m",
                   test_iotlb_pages_second_2m);
    qtest_add_func("/intel-iommu-nested/iotlb/pages-first",
                   test_iotlb_pages_first);
    qtest_add_func("/intel-iommu-nested/iotlb/pages-nested",
                   test_iotlb_pages_nested);
    qtest_add_func("/intel-iommu-nested/pasid/all", test_pasid_all);
    qtest_add_func("/intel-iommu-nested/pasid/of-other-domain",
                   test_pasid_of_other_domain);
    qtest_add_func("/intel-iommu-nested/pasid/pages", test_pasid_pages);
    qtest_add_func("/intel-iommu-nested/pasid/pages-second",
                   test_pasid_pages_second);
    qtest_add_func("/intel-iommu-nested/pasid/pages-nested-2m",
                   test_pasid_pages_nested_2m);
    qtest_add_func("/intel-iommu-nested/pasid/pages-in-large-second",
                   test_pasid_pages_in_large_second);
    qtest_add_func("/intel-iommu-nested/context/global", test_context_global);
    qtest_add_func("/intel-iommu-nested/context/domain", test_context_domain);
    qtest_add_func("/intel-iommu-nested/context/device", test_context_device);
    qtest_add_func("/intel-iommu-nested/root/drops-everything",
                   test_root_drops_everything);
    qtest_add_func("/intel-iommu-nested/pasid/cache", test_pasid_cache);

    return g_test_run();
}
