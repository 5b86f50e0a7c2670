/*
 * intel-iommu without x-nested=on: a guest finds in the registers what it
 * found before there was nesting
 *
 * Two VMs, one of them of the QEMU without this series that QTEST_BASE_BINARY
 * names, have the same tables, damaged in the same ways, and do the same DMA.
 * After each, all registers are compared, the Fault Recording Register being
 * one. Not compared is what that QEMU does with a PASID entry that is not
 * present, with an entry of ones alone, with tables in MMIO, and with a first
 * stage whose PASID entry has a narrow second stage in AW.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "intel-iommu-view.h"
#include "vtd-dma.h"

enum { BASE, OURS, VMS };

/* What edu reads, and then writes where there are zeros */
#define VALUE               0x0123456789abcdefULL

/* A page of 1 GiB that has the interrupt range in it */
#define INTERRUPTS_IOVA     (NARROW_IOVA + 1 * GiB)
#define INTERRUPTS_OFFSET   (VTD_INTERRUPTS - 3 * GiB)

typedef struct Twins {
    VtdGuest *guest[VMS];
    Mapping m[VMS];
} Twins;

static void start_twins(Twins *t, const char *options)
{
    t->guest[BASE] = vtd_start_edu("QTEST_BASE_BINARY", options);
    t->guest[OURS] = vtd_start_edu("QTEST_QEMU_BINARY", options);
}

static void quit_twins(Twins *t)
{
    vtd_quit(t->guest[BASE]);
    vtd_quit(t->guest[OURS]);
}

/* Expects the same after DMA; returns: has it faulted? */
static bool dma_is_same(Twins *t, uint64_t iova, bool is_write)
{
    uint8_t registers[VMS][VTD_REGISTERS_SIZE];
    bool faulted = false;
    int i;

    for (i = 0; i < VMS; i++) {
        vtd_store(t->guest[i], t->m[i].at, is_write ? 0 : VALUE);
        vtd_edu_dma(t->m[i].dev, iova, is_write);
        vtd_read_registers(t->guest[i], registers[i]);
        faulted = vtd_take_fault(t->guest[i]).recorded;
    }
    g_assert_cmpmem(registers[OURS], VTD_REGISTERS_SIZE,
                    registers[BASE], VTD_REGISTERS_SIZE);
    g_assert_cmphex(vtd_load(t->guest[OURS], t->m[OURS].at), ==,
                    vtd_load(t->guest[BASE], t->m[BASE].at));
    return faulted;
}

/* Not cached, then as it is cached then; reads and writes */
static bool all_is_same(Twins *t, uint64_t iova)
{
    bool faulted = false;
    int i;

    for (i = 0; i < VMS; i++) {
        vtd_invalidate_context_global(t->guest[i]);
        vtd_invalidate_iotlb_global(t->guest[i]);
    }
    for (i = 0; i < 2; i++) {
        faulted |= dma_is_same(t, iova, false);
        faulted |= dma_is_same(t, iova, true);
    }
    return faulted;
}

static void change(Twins *t, const uint64_t *at, uint64_t clear, uint64_t set)
{
    g_assert_cmphex(at[BASE], ==, at[OURS]);
    vtd_change(t->guest[BASE], at[BASE], clear, set);
    vtd_change(t->guest[OURS], at[OURS], clear, set);
}

/* Damages an entry for a while; @faults tells whether something must fail */
static void try_change(Twins *t, const uint64_t *at, uint64_t clear,
                       uint64_t set, bool faults)
{
    uint64_t entry = vtd_load(t->guest[BASE], at[BASE]);

    g_test_message("0x%" PRIx64 " without 0x%" PRIx64 ", with 0x%" PRIx64,
                   entry, clear, set);
    change(t, at, clear, set);
    g_assert_cmpuint(all_is_same(t, t->m[BASE].iova), ==, faults);
    change(t, at, -1, entry);
}

/* Stages */

static void find_entry(Twins *t, bool is_first, unsigned int level,
                       uint64_t *at)
{
    int i;

    for (i = 0; i < VMS; i++) {
        Mapping *m = &t->m[i];

        at[i] = vtd_entry(is_first ? &m->first : &m->second, m->iova, level);
    }
}

static void map_more(Twins *t, bool is_first, uint64_t iova, uint64_t to,
                     unsigned int level)
{
    int i;

    for (i = 0; i < VMS; i++) {
        Mapping *m = &t->m[i];

        vtd_map(is_first ? &m->first : &m->second, iova, to, level);
    }
}

static void assert_is_mapped(Twins *t)
{
    g_assert_false(all_is_same(t, t->m[BASE].iova));
    g_assert_cmphex(vtd_load(t->guest[BASE], t->m[BASE].at), ==, VALUE);
}

static void try_second_stage(Twins *t)
{
    unsigned int level, levels = t->m[BASE].second.levels;
    uint64_t at[VMS];

    assert_is_mapped(t);
    for (level = 1; level <= levels; level++) {
        find_entry(t, false, level, at);
        try_change(t, at, SS_ALL, 0, true);
        try_change(t, at, 0, BIT_ULL(51), true);
        try_change(t, at, 0, BIT_ULL(60), false);
        if (level > 1) {
            try_change(t, at, ENTRY_ADDRESS, VTD_NOT_RAM, true);
            try_change(t, at, 0, BIT_ULL(11), true);
        }
        try_change(t, at, SS_R, 0, true);
        /* with what was read cached the first write alone is recorded */
        try_change(t, at, SS_W, 0, false);
    }
    find_entry(t, false, 1, at);
    try_change(t, at, ENTRY_ADDRESS, VTD_INTERRUPTS, true);
    map_more(t, false, INTERRUPTS_IOVA, 3 * GiB, 3);
    g_assert_true(all_is_same(t, INTERRUPTS_IOVA + INTERRUPTS_OFFSET));
    g_assert_true(all_is_same(t, INTERRUPTS_IOVA));
    g_assert_true(all_is_same(t, BIT_ULL(12 + 9 * levels)));
    g_assert_true(all_is_same(t, t->m[BASE].iova | BIT_ULL(63)));
}

static void try_first_stage(Twins *t)
{
    uint64_t at[VMS];
    unsigned int level;

    assert_is_mapped(t);
    for (level = 1; level <= 4; level++) {
        find_entry(t, true, level, at);
        try_change(t, at, FS_P, 0, true);
        try_change(t, at, FS_US, 0, true);
        try_change(t, at, 0, BIT_ULL(51), true);
        try_change(t, at, 0, BIT_ULL(60), false);
        if (level > 1) {
            try_change(t, at, ENTRY_ADDRESS, VTD_NOT_RAM, true);
        }
        try_change(t, at, FS_RW, 0, false);
    }
    try_change(t, at, 0, ENTRY_PS, true);
    find_entry(t, true, 1, at);
    try_change(t, at, ENTRY_ADDRESS, VTD_INTERRUPTS, true);
    map_more(t, true, INTERRUPTS_IOVA, 3 * GiB, 3);
    g_assert_true(all_is_same(t, INTERRUPTS_IOVA + INTERRUPTS_OFFSET));
    g_assert_true(all_is_same(t, INTERRUPTS_IOVA));
    g_assert_true(all_is_same(t, BIT_ULL(47)));
    g_assert_true(all_is_same(t, t->m[BASE].iova | BIT_ULL(63)));
}

/* What leads to the stages */

static void try_root(Twins *t, unsigned int word)
{
    uint64_t at[] = { t->guest[BASE]->root + 8 * word,
                      t->guest[OURS]->root + 8 * word };
    uint64_t rtaddr = vtd_readq(t->guest[BASE], VTD_RTADDR);
    int i;

    try_change(t, at, ENTRY_P, 0, true);
    try_change(t, at, 0, BIT_ULL(5), true);
    try_change(t, at, ENTRY_ADDRESS, VTD_NOT_RAM, true);
    for (i = 0; i < VMS; i++) {
        vtd_set_root(t->guest[i], (rtaddr & ~ENTRY_ADDRESS) | VTD_NOT_RAM);
    }
    g_assert_true(all_is_same(t, t->m[BASE].iova));
    for (i = 0; i < VMS; i++) {
        vtd_set_root(t->guest[i], rtaddr);
    }
    g_assert_false(all_is_same(t, t->m[BASE].iova));
}

static void try_context(Twins *t, uint64_t reserved)
{
    uint64_t at[] = { t->m[BASE].dev->context, t->m[OURS].dev->context };

    try_change(t, at, ENTRY_P, 0, true);
    try_change(t, at, ENTRY_P, ENTRY_FPD, false);
    try_change(t, at, 0, reserved, true);
    try_change(t, at, ENTRY_ADDRESS, VTD_NOT_RAM, true);
}

static void try_pasid_tables(Twins *t, unsigned int other_type)
{
    uint64_t dir[] = { t->m[BASE].dev->pasid_dir, t->m[OURS].dev->pasid_dir };
    uint64_t entry[] = { t->m[BASE].dev->pasid_entry,
                         t->m[OURS].dev->pasid_entry };

    try_change(t, dir, ENTRY_P, 0, true);
    try_change(t, dir, ENTRY_ADDRESS, VTD_NOT_RAM, true);
    try_change(t, dir, 0, ENTRY_FPD, false);
    try_change(t, entry, -1, 0, true);
    try_change(t, entry, -1, ENTRY_FPD, true);
    try_change(t, entry, PASID_PGTT_MASK, PASID_PGTT(other_type), true);
    try_change(t, entry, PASID_PGTT_MASK, PASID_PGTT(PGTT_NESTED), true);
    try_change(t, entry, PASID_PGTT_MASK, PASID_PGTT(7), true);
    try_change(t, entry, 0, ENTRY_FPD, false);
}

/* No entry in the last table, with fault processing disabled by one above */
static void try_fault_disabled(Twins *t, bool is_first, const uint64_t *above)
{
    uint64_t at[VMS];

    find_entry(t, is_first, 1, at);
    change(t, above, 0, ENTRY_FPD);
    try_change(t, at, -1, 0, false);
    change(t, above, ENTRY_FPD, 0);
}

/* Modes */

static void map_legacy(Mapping *m, VtdDevice *dev)
{
    map_second(m, dev, DOMAIN, 3);
    vtd_use_legacy(dev, &m->second, DOMAIN);
}

static void assert_legacy_is_same(const char *options)
{
    Twins t;
    int i;

    if (!have_base()) {
        return;
    }
    start_twins(&t, options);
    for (i = 0; i < VMS; i++) {
        vtd_set_up_legacy(t.guest[i]);
        vtd_enable(t.guest[i]);
        map_legacy(&t.m[i], &t.guest[i]->dev[1]);
    }
    try_second_stage(&t);
    try_root(&t, 0);
    try_context(&t, BIT_ULL(4));
    quit_twins(&t);
}

static void test_base_legacy(void)
{
    assert_legacy_is_same("");
}

/* Of a guest that leaves scalable mode alone */
static void test_base_legacy_of_scalable(void)
{
    assert_legacy_is_same(SCALABLE);
    assert_legacy_is_same(FIRST_STAGE);
}

static void start_scalable_twins(Twins *t, const char *options)
{
    start_twins(t, options);
    vtd_set_up_scalable(t->guest[BASE]);
    vtd_set_up_scalable(t->guest[OURS]);
    vtd_enable(t->guest[BASE]);
    vtd_enable(t->guest[OURS]);
}

static void test_base_second_stage(void)
{
    unsigned int levels;
    uint64_t above[VMS];
    Twins t;
    int i;

    if (!have_base()) {
        return;
    }
    start_scalable_twins(&t, SCALABLE);
    for (levels = 3; levels <= 4; levels++) {
        for (i = 0; i < VMS; i++) {
            map_second(&t.m[i], &t.guest[i]->dev[1], DOMAIN, levels);
            above[i] = t.m[i].dev->pasid_entry;
        }
        try_second_stage(&t);
    }
    try_root(&t, 1);
    try_context(&t, BIT_ULL(5));
    try_pasid_tables(&t, PGTT_FIRST);
    try_change(&t, above, ENTRY_ADDRESS, VTD_NOT_RAM, true);
    try_change(&t, above, PASID_AW_MASK, 0, true);
    try_fault_disabled(&t, false, above);
    quit_twins(&t);
}

/* AW is the second stage's; the base goes by it, and Linux sets it */
static void map_first_stage(Mapping *m, VtdDevice *dev)
{
    map_first(m, dev, DOMAIN);
    vtd_change(dev->guest, dev->pasid_entry, PASID_AW_MASK, PASID_AW(4));
}

static void test_base_first_stage(void)
{
    uint64_t above[VMS], first[VMS];
    Twins t;
    int i;

    if (!have_base()) {
        return;
    }
    start_scalable_twins(&t, FIRST_STAGE);
    for (i = 0; i < VMS; i++) {
        map_first_stage(&t.m[i], &t.guest[i]->dev[1]);
        above[i] = t.m[i].dev->pasid_entry;
        first[i] = above[i] + 16;
    }
    try_first_stage(&t);
    try_root(&t, 1);
    try_context(&t, BIT_ULL(5));
    try_pasid_tables(&t, PGTT_SECOND);
    try_change(&t, first, ENTRY_ADDRESS, VTD_NOT_RAM, true);
    try_change(&t, first, PASID_FSPM_MASK, PASID_FSPM(5), true);
    try_fault_disabled(&t, true, above);
    quit_twins(&t);
}

/* A page of 1 GiB without FS1GP was no fault */
static void test_base_first_stage_1g(void)
{
    Twins t;
    int i;

    if (!have_base()) {
        return;
    }
    start_scalable_twins(&t, FIRST_STAGE ",fs1gp=off");
    for (i = 0; i < VMS; i++) {
        map_first_stage(&t.m[i], &t.guest[i]->dev[1]);
    }
    map_more(&t, true, t.m[BASE].iova + 1 * GiB, 1 * GiB, 3);
    g_assert_false(all_is_same(&t, t.m[BASE].iova + 1 * GiB));
    quit_twins(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/intel-iommu-base/legacy", test_base_legacy);
    qtest_add_func("/intel-iommu-base/legacy-of-scalable",
                   test_base_legacy_of_scalable);
    qtest_add_func("/intel-iommu-base/second-stage", test_base_second_stage);
    qtest_add_func("/intel-iommu-base/first-stage", test_base_first_stage);
    qtest_add_func("/intel-iommu-base/first-stage-1g",
                   test_base_first_stage_1g);

    return g_test_run();
}
