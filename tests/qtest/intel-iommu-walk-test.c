/*
 * intel-iommu's translation beside a reference, over tables made at random
 *
 * Each round makes tables, damages some of their entries, and has a device
 * read and write at addresses that the tables know, or nearly know. What
 * comes out, the fault's reason, and the Accessed and Dirty bits are those of
 * vtd-reference-walk.c.
 *
 * VTD_WALK_SEED in the environment is the first round's seed, the next one's
 * is one more; a failure tells the round's. VTD_WALK_ROUNDS limits them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "hw/misc/dma-testdev.h"
#include "vtd-reference-walk.h"
#include "vtd-tables.h"

#define ROUNDS              500
#define ACCESSES            200

/* Of what a round maps */
#define PAGES               40
/* The inputs that a second stage knows in nested translation */
#define BETWEEN             (192 * GiB)
/* A part of the entries, one in this many, is damaged */
#define DAMAGED             30

/* A page that was mapped */
typedef struct Page {
    uint64_t input, output;
    unsigned int level;
} Page;

typedef struct Pages {
    Page page[PAGES];
    int count;
} Pages;

typedef struct Round {
    VtdGuest *guest;
    VtdDevice *dev;
    GRand *rand;
    uint32_t seed;
    const char *name;
    VtdStage first, second;
    Pages first_pages, second_pages;
    /* has its own copy of the round's structures, which begin at @start */
    VtdReferenceTables reference;
    uint64_t start;
} Round;

/* Randomness */

static uint64_t random_below(Round *r, uint64_t limit)
{
    uint64_t n = (uint64_t)g_rand_int(r->rand) << 32 | g_rand_int(r->rand);

    return n % limit;
}

static bool one_in(Round *r, unsigned int n)
{
    return !random_below(r, n);
}

static unsigned int random_level(Round *r)
{
    return one_in(r, 5) ? 3 : one_in(r, 3) ? 2 : 1;
}

static Page *random_page(Round *r, Pages *pages)
{
    return &pages->page[random_below(r, pages->count)];
}

/* Tables */

/* No first GiB, which the engine's own page has, nor an interrupt's address */
static uint64_t random_input(Round *r, bool narrow)
{
    uint64_t input;

    if (narrow) {
        return random_below(r, BIT_ULL(39) - 4 * GiB) + 4 * GiB;
    }
    /* a few tables for all; none that the engine's own page has */
    input = (random_below(r, 3) + 1) * 512 * GiB * 50 +
            random_below(r, 4) * GiB * 77 + random_below(r, 3) * MiB * 94 +
            random_below(r, 2 * MiB);
    return one_in(r, 4) ? input | -BIT_ULL(47) : input;
}

/* Where memory is; now and then where it is not, or interrupts are */
static uint64_t random_memory(Round *r, unsigned int level)
{
    if (one_in(r, 25)) {
        return level == 3 ? 5 * GiB : VTD_INTERRUPTS;
    }
    if (one_in(r, 25)) {
        return 4 * GiB + random_below(r, 100 * GiB);
    }
    if (level == 3) {
        return 1 * GiB;
    }
    return VTD_DATA + random_below(r, VTD_RAM_SIZE - VTD_DATA);
}

static bool is_free(VtdStage *stage, const Pages *pages, uint64_t input,
                    unsigned int level)
{
    int i;

    for (i = 0; i < pages->count; i++) {
        const Page *p = &pages->page[i];
        uint64_t mask = -vtd_span(MAX(level, p->level));

        if (!((input ^ p->input) & mask)) {
            return false;
        }
    }
    /* a table is there, of pages that are smaller */
    return level == 1 ||
           !vtd_load(stage->guest, vtd_entry(stage, input, level));
}

static void map(VtdStage *stage, Pages *pages, uint64_t input, uint64_t output,
                unsigned int level, uint64_t rights)
{
    Page page = {
        input & -vtd_span(level), output & -vtd_span(level), level
    };

    if (is_free(stage, pages, input, level)) {
        vtd_map_with(stage, page.input, page.output, level, rights);
        pages->page[pages->count++] = page;
    }
}

/* An input of the second stage; most of them it knows */
static uint64_t random_between(Round *r)
{
    Page *page = random_page(r, &r->second_pages);

    if (one_in(r, 30)) {
        return random_below(r, BIT_ULL(48));
    }
    return page->input + random_below(r, vtd_span(page->level));
}

static void map_first_pages(Round *r)
{
    bool nested = r->reference.pgtt == PGTT_NESTED;
    int i;

    for (i = 0; i < PAGES; i++) {
        unsigned int level = random_level(r);

        map(&r->first, &r->first_pages, random_input(r, false),
            nested ? random_between(r) : random_memory(r, level), level,
            FS_ALL | (one_in(r, 2) ? FS_A | FS_D : 0));
    }
}

static void map_second_pages(Round *r)
{
    bool nested = r->reference.pgtt == PGTT_NESTED;
    bool narrow = r->second.levels == 3;
    int i;

    for (i = 0; i < PAGES; i++) {
        unsigned int level = random_level(r);
        uint64_t input = nested ? BETWEEN + random_below(r, 20 * GiB)
                                : random_input(r, narrow) & ~-BIT_ULL(47);

        map(&r->second, &r->second_pages, input, random_memory(r, level),
            level, SS_ALL);
    }
}

/* Damage, of entries that are there but those of the engine's own page */

static uint64_t damage(Round *r, uint64_t entry)
{
    static const uint64_t flips[] = {
        /* of both stages, of either, and of none */
        FS_P, FS_RW, FS_RW, FS_P | FS_RW, FS_US, FS_US | FS_RW,
        FS_A, FS_D, FS_A | FS_D, BIT_ULL(8), BIT_ULL(63),
        BIT_ULL(11), BIT_ULL(48), BIT_ULL(51), FS_P | BIT_ULL(51),
        FS_RW | BIT_ULL(51), FS_P | FS_RW | BIT_ULL(51),
        BIT_ULL(12), BIT_ULL(13), BIT_ULL(38), BIT_ULL(40),
        ENTRY_PS, ENTRY_PS,
    };
    uint64_t flip = flips[random_below(r, ARRAY_SIZE(flips))];

    /* a page that becomes a table has data for entries, of which none knows */
    return flip == ENTRY_PS ? entry | ENTRY_PS : entry ^ flip;
}

/* Is it where devices have registers, were it a page in memory? */
static bool is_mmio(uint64_t entry)
{
    uint64_t addr = entry & ENTRY_ADDRESS;

    return addr >= VTD_RAM_SIZE && addr < 4 * GiB &&
           addr >> 20 != VTD_INTERRUPTS >> 20;
}

/* @engine: the structures when they mapped the engine's own page alone */
static void damage_entries(Round *r, const uint8_t *engine, size_t engine_size)
{
    VtdGuest *guest = r->guest;
    uint64_t at;

    for (at = r->start; at < guest->next_page; at += 8) {
        uint64_t entry = vtd_load(guest, at), damaged;

        if (!entry || !one_in(r, DAMAGED)) {
            continue;
        }
        if (at - r->start < engine_size && ldq_le_p(engine + at - r->start)) {
            continue;
        }
        damaged = damage(r, entry);
        if (!is_mmio(damaged)) {
            vtd_store(guest, at, damaged);
        }
    }
}

/* A round's tables */

static void make_stages(Round *r, unsigned int pgtt, unsigned int levels)
{
    VtdReferenceTables *ref = &r->reference;

    ref->pgtt = pgtt;
    ref->second_levels = levels;
    if (pgtt != PGTT_FIRST) {
        r->second = vtd_second_stage(r->guest, levels);
        ref->second_root = r->second.root;
    }
    if (pgtt != PGTT_SECOND) {
        r->first = pgtt == PGTT_FIRST ? vtd_first_stage(r->guest)
                                      : vtd_nested_stage(&r->second);
        ref->first_root = vtd_table_address(&r->first, r->first.root);
    }
}

static void use_stages(Round *r)
{
    switch (r->reference.pgtt) {
    case PGTT_FIRST:
        vtd_use_first(r->dev, &r->first, 1);
        break;
    case PGTT_SECOND:
        vtd_use_second(r->dev, &r->second, 1);
        break;
    default:
        vtd_use_nested(r->dev, &r->first, 1);
        break;
    }
    vtd_invalidate_iotlb_global(r->guest);
}

static void make_tables(Round *r)
{
    static const struct {
        const char *name;
        unsigned int pgtt, levels;
    } types[] = {
        { "first stage", PGTT_FIRST },
        { "second stage of 3 levels", PGTT_SECOND, 3 },
        { "second stage of 4 levels", PGTT_SECOND, 4 },
        { "nested, 3 levels in the second stage", PGTT_NESTED, 3 },
        { "nested, 4 levels in the second stage", PGTT_NESTED, 4 },
    };
    int type = random_below(r, ARRAY_SIZE(types));
    g_autofree uint8_t *engine = NULL;
    size_t engine_size;

    r->name = types[type].name;
    make_stages(r, types[type].pgtt, types[type].levels);
    engine_size = r->guest->next_page - r->start;
    engine = g_memdup2(r->guest->ram + r->start, engine_size);
    if (types[type].pgtt != PGTT_FIRST) {
        map_second_pages(r);
    }
    if (types[type].pgtt != PGTT_SECOND) {
        map_first_pages(r);
    }
    damage_entries(r, engine, engine_size);
    use_stages(r);
}

/* Accesses */

/* Where the second stage cuts a page of the first, one of its pieces */
static uint64_t piece_of(Round *r, const Page *page)
{
    const Page *piece = random_page(r, &r->second_pages);

    if (piece->input - page->output >= vtd_span(page->level)) {
        return page->input;
    }
    return page->input + (piece->input - page->output) +
           random_below(r, vtd_span(piece->level));
}

static uint64_t random_address(Round *r)
{
    Pages *pages = r->reference.pgtt == PGTT_SECOND ? &r->second_pages
                                                    : &r->first_pages;
    Page *page = random_page(r, pages);

    if (one_in(r, 40)) {
        return random_below(r, UINT64_MAX);
    }
    if (one_in(r, 20)) {
        return random_input(r, r->reference.second_levels == 3);
    }
    if (one_in(r, 20)) {
        return page->input + vtd_span(page->level);
    }
    if (r->reference.pgtt == PGTT_NESTED && !one_in(r, 4)) {
        return piece_of(r, page);
    }
    return page->input + random_below(r, vtd_span(page->level));
}

typedef struct Access {
    uint64_t addr, output, value;
    bool is_write;
    unsigned int reason;
} Access;

/* Puts the value in where it is to come from, and another where it goes */
static void prepare(Round *r, Access *a)
{
    VtdGuest *guest = r->guest;

    a->value = random_below(r, UINT64_MAX);
    if (a->reason || a->output >= VTD_RAM_SIZE) {
        return;
    }
    /* tables that were damaged into a page: their bytes stay as they are */
    if (a->output < VTD_DATA) {
        a->value = vtd_load(guest, a->output);
    } else {
        vtd_store(guest, a->output, a->is_write ? ~a->value : a->value);
    }
    vtd_store(guest, VTD_WINDOW, a->is_write ? a->value : ~a->value);
}

static void tell(Round *r, const Access *a)
{
    g_test_message("VTD_WALK_SEED=%u VTD_WALK_ROUNDS=1: %s: %s 0x%" PRIx64
                   ": should be 0x%" PRIx64 ", fault 0x%x",
                   r->seed, r->name, a->is_write ? "write to" : "read from",
                   a->addr, a->output, a->reason);
}

static void assert_result(Round *r, const Access *a, unsigned int result)
{
    bool reaches_ram = !a->reason && a->output < VTD_RAM_SIZE;
    unsigned int failed = a->is_write ? DMA_TESTDEV_WRITE_FAILED
                                      : DMA_TESTDEV_READ_FAILED;
    unsigned int want = reaches_ram ? DMA_TESTDEV_DONE : failed;
    uint64_t got = 0;
    VtdFault fault = { };

    if (result == DMA_TESTDEV_DONE) {
        got = vtd_load(r->guest, a->is_write && reaches_ram ? a->output
                                                            : VTD_WINDOW);
    } else {
        fault = vtd_take_fault(r->guest);
    }
    if (result != want || fault.reason != a->reason ||
        (reaches_ram && got != a->value)) {
        tell(r, a);
    }
    g_assert_cmphex(fault.reason, ==, a->reason);
    g_assert_cmpuint(result, ==, want);
    if (reaches_ram) {
        g_assert_cmphex(got, ==, a->value);
    }
    if (a->reason) {
        g_assert_cmphex(fault.page, ==, a->addr & ~(VTD_PAGE - 1));
        g_assert_cmpuint(fault.is_read, ==, !a->is_write);
    }
}

static void try_access(Round *r, unsigned int *counts)
{
    Access a = {
        .addr = random_address(r) & ~7ULL,
        .is_write = one_in(r, 2),
    };
    uint64_t src = a.is_write ? VTD_WINDOW : a.addr;
    uint64_t dst = a.is_write ? a.addr : VTD_WINDOW;

    /* interrupts are not translated */
    if (a.addr >> 20 == VTD_INTERRUPTS >> 20) {
        return;
    }
    a.reason = vtd_reference_walk(&r->reference, a.addr, a.is_write,
                                  &a.output);
    counts[a.reason]++;
    prepare(r, &a);
    assert_result(r, &a, vtd_copy(r->dev, src, dst, 8));
}

/* Once and for all, the engine's own page is Accessed and Dirty */
static void use_window(Round *r)
{
    uint64_t output;

    g_assert_cmphex(vtd_reference_walk(&r->reference, VTD_WINDOW, true,
                                       &output), ==, 0);
    g_assert_cmphex(output, ==, VTD_WINDOW);
    g_assert_cmpuint(vtd_copy(r->dev, VTD_WINDOW, VTD_WINDOW, 8), ==,
                     DMA_TESTDEV_DONE);
}

static void assert_same_tables(Round *r)
{
    uint64_t at;

    for (at = r->start; at < r->guest->next_page; at += 8) {
        uint64_t entry = vtd_load(r->guest, at);
        uint64_t want = ldq_le_p(r->reference.ram + at);

        if (entry != want) {
            g_test_message("VTD_WALK_SEED=%u VTD_WALK_ROUNDS=1: %s: entry at "
                           "0x%" PRIx64, r->seed, r->name, at);
        }
        g_assert_cmphex(entry, ==, want);
    }
}

/* How often the accesses of a round were to come to each reason; 0 is none */
static void run_round(VtdGuest *guest, uint8_t *copy, uint32_t seed,
                      unsigned int *counts)
{
    Round r = {
        .guest = guest,
        .dev = &guest->dev[seed % 2],
        .rand = g_rand_new_with_seed(seed),
        .seed = seed,
        .start = guest->next_page,
        .reference = { .ram = copy, .ram_size = VTD_RAM_SIZE },
    };
    int i;

    make_tables(&r);
    memcpy(copy, guest->ram, guest->next_page);
    use_window(&r);
    for (i = 0; i < ACCESSES; i++) {
        try_access(&r, counts);
    }
    assert_same_tables(&r);
    guest->next_page = r.start;
    g_rand_free(r.rand);
}

static unsigned int number_from_env(const char *name, unsigned int otherwise)
{
    const char *value = getenv(name);
    unsigned int number = otherwise;

    if (value) {
        g_assert_cmpint(qemu_strtoui(value, NULL, 0, &number), ==, 0);
    }
    return number;
}

/* Every reason that the reference has, and enough that comes to none */
static void assert_well_mixed(const unsigned int *counts)
{
    static const uint8_t reasons[] = {
        0x70, 0x71, 0x72, 0x74, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x80, 0x81,
        0x84, 0x85, 0x86, 0x87,
    };
    int i;

    g_test_message("no fault: %u", counts[0]);
    for (i = 0; i < ARRAY_SIZE(reasons); i++) {
        g_test_message("fault 0x%x: %u", reasons[i], counts[reasons[i]]);
        g_assert_cmpuint(counts[reasons[i]], >=, 20);
    }
    g_assert_cmpuint(counts[0], >, ROUNDS * ACCESSES / 3);
}

static void test_random(void)
{
    unsigned int counts[256] = { };
    uint32_t seed = number_from_env("VTD_WALK_SEED", 1);
    unsigned int i, rounds = number_from_env("VTD_WALK_ROUNDS", ROUNDS);
    VtdGuest *guest = vtd_start(",x-scalable-mode=on,x-flts=on,x-nested=on");
    uint8_t *copy = mmap(NULL, VTD_RAM_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    g_assert_true(copy != MAP_FAILED);
    vtd_set_up_scalable(guest);
    vtd_enable(guest);
    for (i = 0; i < rounds; i++) {
        run_round(guest, copy, seed + i, counts);
    }
    if (rounds >= ROUNDS) {
        assert_well_mixed(counts);
    }
    munmap(copy, VTD_RAM_SIZE);
    vtd_quit(guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/intel-iommu-walk/random", test_random);

    return g_test_run();
}
