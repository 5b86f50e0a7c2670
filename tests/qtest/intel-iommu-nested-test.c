/*
 * intel-iommu: translation by PASID entry, and nested translation
 *
 * A device without a host does DMA through tables that the test has in the
 * guest's RAM; bytes, results and Fault Recording Register are compared.
 * intel-iommu-fault-test.c has each fault, intel-iommu-invalidation-test.c what
 * is cached, intel-iommu-walk-test.c tables made at random, and
 * intel-iommu-base-test.c what a guest sees without x-nested=on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "intel-iommu-view.h"
#include "vm-refusal.h"
#include "vtd-dma.h"

#define Q35             "-M q35 -nodefaults "

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

    if (!have_base()) {
        return;
    }

    for (i = 0; i < ARRAY_SIZE(modes); i++) {
        g_autofree char *without = g_strconcat(Q35 "-device intel-iommu",
                                               modes[i], NULL);
        g_autofree char *off = g_strconcat(without, ",x-nested=off", NULL);
        GuestView a = start_base_and_read_guest_view(without);
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
    static const char *const caching_modes[] = {
        "", ",caching-mode=off", ",caching-mode=on"
    };
    int i;

    for (i = 0; i < ARRAY_SIZE(caching_modes); i++) {
        g_autofree char *args = g_strconcat(
            Q35 "-device intel-iommu" NESTED, caching_modes[i],
            " -device pcie-root-port,id=rp1", NULL);
        g_autofree char *with = g_strconcat(
            args, " -device host-iommu-testdev", NULL);
        QTestState *qts;

        assert_device_refused(with, error);
        qts = qtest_init(args);
        assert_hotplug_refused(qts, "{\"driver\":\"host-iommu-testdev\","
                                    "\"id\":\"dev1\",\"bus\":\"rp1\"}", error);
        qtest_quit(qts);
    }
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
        map_first_leaf(&m, &guest->dev[0], leaf);
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
            map_second_leaf(&m, &guest->dev[0], levels, leaf);
            try_second_rights(&m, m.iova, leaf);
        }
    }
    vtd_quit(guest);
}

static void test_rights_nested(void)
{
    VtdGuest *guest = start_nested();
    unsigned int first_leaf, second_leaf;
    Mapping m;

    for (first_leaf = 1; first_leaf <= 3; first_leaf++) {
        for (second_leaf = 1; second_leaf <= 3; second_leaf++) {
            map_nested_leaves(&m, &guest->dev[0], first_leaf, second_leaf);
            try_first_rights(&m, first_leaf);
            try_second_rights(&m, FAR_BETWEEN, second_leaf);
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

/* A guest that leaves RTADDR.TTM at legacy mode */
static void test_mode_legacy(void)
{
    VtdGuest *guest = vtd_start(NESTED);
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
    assert_reaches_nothing(dev, NARROW_IOVA + VTD_INTERRUPTS + 1 * MiB -
                                2 * GiB);
    vtd_change(guest, dev->context, ENTRY_ADDRESS, VTD_NOT_RAM);
    vtd_invalidate_context_global(guest);
    assert_read_faults(dev, NARROW_IOVA + 8 * VTD_PAGE, 3);
    vtd_change(guest, dev->context, ENTRY_P, 0);
    vtd_invalidate_context_global(guest);
    assert_read_faults(dev, NARROW_IOVA, 2);
    vtd_change(guest, guest->root, ENTRY_P, 0);
    assert_read_faults(dev, NARROW_IOVA, 1);
    vtd_quit(guest);
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
    qtest_add_func("/intel-iommu-nested/mode/legacy", test_mode_legacy);

    return g_test_run();
}
