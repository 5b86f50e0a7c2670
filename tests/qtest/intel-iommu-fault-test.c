/*
 * intel-iommu: each way to fail in scalable mode
 *
 * Every test damages one entry and puts it right again; the reasons are those
 * of VT-d 7.1.2, and all of the Fault Recording Register is compared.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "vtd-dma.h"

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

/* Faults of the root and the context table */

#define ROOT_RESERVED       BIT_ULL(1)
#define CONTEXT_RESERVED    BIT_ULL(5)

static void test_fault_context(void)
{
    VtdGuest *guest = start_nested();
    Mapping m;
    int i;

    for (i = 0; i < ARRAY_SIZE(guest->dev); i++) {
        /* a root entry has one word for each half of the bus */
        uint64_t root = guest->root + 8 * i;

        map_nested(&m, &guest->dev[i], DOMAIN, 4);
        assert_entry_faults(m.dev, root, ENTRY_P, 0, 0x39);
        assert_entry_faults(m.dev, root, 0, ROOT_RESERVED, 0x3a);
        assert_entry_faults(m.dev, root, ENTRY_ADDRESS, VTD_NOT_RAM, 0x40);
        assert_entry_faults(m.dev, m.dev->context, ENTRY_P, 0, 0x41);
        assert_entry_faults(m.dev, m.dev->context, 0, CONTEXT_RESERVED, 0x42);
        vtd_invalidate_context_global(guest);
        assert_reads(m.dev, m.iova, m.at);
    }
    vtd_set_root(guest, VTD_NOT_RAM | VTD_RTADDR_SCALABLE);
    assert_read_faults(m.dev, m.iova, 0x38);
    vtd_quit(guest);
}

/* Faults of the PASID tables */

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
        map_first_leaf(&m, &guest->dev[0], leaf);
        try_first_reserved(&m, leaf);
        map_nested_leaves(&m, &guest->dev[0], leaf, 3);
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
    Mapping m;

    map_nested(&m, &guest->dev[0], DOMAIN, 4);
    assert_entry_faults(m.dev, m.dev->pasid_entry, ENTRY_ADDRESS, VTD_NOT_RAM,
                        0x7b);
    vtd_change(guest, vtd_entry(&m.first, m.iova, 1), ENTRY_ADDRESS,
               FAR_BETWEEN);
    vtd_map(&m.second, FAR_BETWEEN, m.at, 1);
    try_second_access(&m, FAR_BETWEEN);
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
        map_second_leaf(&m, &guest->dev[0], 4, leaf);
        try_second_reserved(&m, m.iova, leaf);
    }
    vtd_quit(guest);
}

static void test_fault_second_reserved_nested(void)
{
    VtdGuest *guest = start_nested();
    unsigned int leaf;
    Mapping m;

    for (leaf = 1; leaf <= 3; leaf++) {
        map_nested(&m, &guest->dev[0], DOMAIN, 4);
        m.at = 1 * GiB;
        vtd_change(guest, vtd_entry(&m.first, m.iova, 1), ENTRY_ADDRESS,
                   FAR_BETWEEN);
        vtd_map(&m.second, FAR_BETWEEN, m.at, leaf);
        try_second_reserved(&m, FAR_BETWEEN, leaf);
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

/* MGAW is less than what four levels span; only x-flts=off has such a one */
static void test_fault_input_beyond_mgaw(void)
{
    VtdGuest *guest = start_scalable(SCALABLE ",aw-bits=42");
    VtdFault fault;
    Mapping m;

    map_second(&m, &guest->dev[0], DOMAIN, 4);
    vtd_map(&m.second, BIT_ULL(42) - VTD_PAGE, FRAME(1), 1);
    vtd_map(&m.second, BIT_ULL(42), FRAME(1), 1);
    assert_reads(m.dev, BIT_ULL(42) - 8, FRAME(1) + VTD_PAGE - 8);
    g_assert_cmpuint(vtd_copy(m.dev, BIT_ULL(42), VTD_WINDOW, 8), ==,
                     DMA_TESTDEV_READ_FAILED);
    fault = vtd_take_fault(guest);
    g_assert_true(fault.recorded);
    g_assert_cmphex(fault.reason, ==, 4);
    g_assert_cmphex(fault.page, ==, BIT_ULL(42));
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

    unlink(rom);
    map_first(&m, &guest->dev[0], DOMAIN);
    vtd_change(guest, vtd_entry(&m.first, m.iova, 2), ENTRY_ADDRESS, ROM);
    assert_reads(m.dev, m.iova, FRAME(0));
    assert_writes(m.dev, m.iova, FRAME(0));
    assert_reads(m.dev, m.iova + VTD_PAGE, FRAME(1));
    assert_write_faults(m.dev, m.iova + VTD_PAGE, 0x91);
    assert_both_fault(m.dev, m.iova + 2 * VTD_PAGE, 0x91);
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
    vtd_change(guest, m.dev->context, ENTRY_P, 0);
    vtd_invalidate_context_device(m.dev, DOMAIN);
    assert_silent(m.dev, nowhere);
    vtd_change(guest, m.dev->context, 0, ENTRY_P | CONTEXT_RESERVED);
    assert_silent(m.dev, nowhere);
    vtd_change(guest, guest->root, 0, ROOT_RESERVED);
    assert_read_faults(m.dev, nowhere, 0x3a);
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/intel-iommu-fault/context", test_fault_context);
    qtest_add_func("/intel-iommu-fault/pasid-tables", test_fault_pasid_tables);
    qtest_add_func("/intel-iommu-fault/pasid-tables-later",
                   test_fault_pasid_tables_later);
    qtest_add_func("/intel-iommu-fault/first-stage-levels",
                   test_fault_first_stage_levels);
    qtest_add_func("/intel-iommu-fault/second-stage-levels",
                   test_fault_second_stage_levels);
    qtest_add_func("/intel-iommu-fault/first-access", test_fault_first_access);
    qtest_add_func("/intel-iommu-fault/first-access-nested",
                   test_fault_first_access_nested);
    qtest_add_func("/intel-iommu-fault/first-reserved",
                   test_fault_first_reserved);
    qtest_add_func("/intel-iommu-fault/first-1g", test_fault_first_1g);
    qtest_add_func("/intel-iommu-fault/table-beyond", test_fault_table_beyond);
    qtest_add_func("/intel-iommu-fault/table-unreadable",
                   test_fault_table_unreadable);
    qtest_add_func("/intel-iommu-fault/table-unwritable",
                   test_fault_table_unwritable);
    qtest_add_func("/intel-iommu-fault/second-access",
                   test_fault_second_access);
    qtest_add_func("/intel-iommu-fault/second-access-narrow",
                   test_fault_second_access_narrow);
    qtest_add_func("/intel-iommu-fault/second-access-nested",
                   test_fault_second_access_nested);
    qtest_add_func("/intel-iommu-fault/second-reserved",
                   test_fault_second_reserved);
    qtest_add_func("/intel-iommu-fault/second-reserved-nested",
                   test_fault_second_reserved_nested);
    qtest_add_func("/intel-iommu-fault/not-canonical",
                   test_fault_not_canonical);
    qtest_add_func("/intel-iommu-fault/input-beyond", test_fault_input_beyond);
    qtest_add_func("/intel-iommu-fault/input-beyond-mgaw",
                   test_fault_input_beyond_mgaw);
    qtest_add_func("/intel-iommu-fault/output-beyond",
                   test_fault_output_beyond);
    qtest_add_func("/intel-iommu-fault/interrupts-first",
                   test_fault_interrupts_first);
    qtest_add_func("/intel-iommu-fault/interrupts-second",
                   test_fault_interrupts_second);
    qtest_add_func("/intel-iommu-fault/interrupts-nested",
                   test_fault_interrupts_nested);
    qtest_add_func("/intel-iommu-fault/interrupts-invalidation",
                   test_fault_interrupts_invalidation);
    qtest_add_func("/intel-iommu-fault/update-failed",
                   test_fault_update_failed);
    qtest_add_func("/intel-iommu-fault/processing-disabled",
                   test_fault_processing_disabled);
    qtest_add_func("/intel-iommu-fault/not-qualified",
                   test_fault_not_qualified);

    return g_test_run();
}
