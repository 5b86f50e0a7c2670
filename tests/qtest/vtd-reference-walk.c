/*
 * What a VT-d translates an address to: a walk to compare intel-iommu's with
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "vtd-reference-walk.h"
#include "vtd-tables.h"

typedef VtdReferenceTables Tables;

/* Bits 51 to 48: above the width, and not ignored */
#define ABOVE_WIDTH         (ENTRY_ADDRESS & ~(BIT_ULL(48) - 1))
#define FS_PAT              BIT_ULL(12)

static bool is_ram(const Tables *t, uint64_t at)
{
    return at < t->ram_size;
}

static bool is_page(uint64_t entry, unsigned int level)
{
    return level == 1 || ((level == 2 || level == 3) && entry & ENTRY_PS);
}

/* The address bits below a page's own, which have to be 0 in its entry */
static uint64_t below_page(unsigned int level)
{
    return (vtd_span(level) - 1) & ENTRY_ADDRESS;
}

static uint64_t entry_place(uint64_t table, uint64_t addr, unsigned int level)
{
    return table + addr / vtd_span(level) % 512 * 8;
}

static uint64_t in_page(uint64_t entry, uint64_t addr, unsigned int level)
{
    uint64_t offset = addr % vtd_span(level);

    return (entry & ENTRY_ADDRESS & -vtd_span(level)) + offset;
}

/* Second stage (VT-d 3.7, 9.8) */

static uint64_t second_reserved(uint64_t entry, unsigned int level)
{
    if (level == 1) {
        return ABOVE_WIDTH;
    }
    if (is_page(entry, level)) {
        return ABOVE_WIDTH | below_page(level);
    }
    return ABOVE_WIDTH | SS_SNP | (level == 4 ? ENTRY_PS : 0);
}

static unsigned int second_entry_fault(uint64_t entry, unsigned int level,
                                       uint64_t wanted)
{
    if (!(entry & SS_ALL)) {
        return 0x79;
    }
    if (!(entry & wanted)) {
        return wanted == SS_W ? 0x85 : 0x86;
    }
    return entry & second_reserved(entry, level) ? 0x7a : 0;
}

/* @rights: what all entries on the way allow */
static unsigned int second_stage(const Tables *t, uint64_t addr,
                                 uint64_t wanted, uint64_t *output,
                                 uint64_t *rights)
{
    uint64_t entry, at, table = t->second_root;
    unsigned int fault, level = t->second_levels;

    *rights = SS_ALL;
    if (addr >= (t->second_levels == 3 ? BIT_ULL(39) : BIT_ULL(48))) {
        return 0x84;
    }
    for (;; level--) {
        at = entry_place(table, addr, level);
        if (!is_ram(t, at)) {
            return level == t->second_levels ? 0x7b : 0x78;
        }
        entry = ldq_le_p(t->ram + at);
        fault = second_entry_fault(entry, level, wanted);
        if (fault) {
            return fault;
        }
        *rights &= entry;
        if (is_page(entry, level)) {
            *output = in_page(entry, addr, level);
            return 0;
        }
        table = entry & ENTRY_ADDRESS;
    }
}

/* First stage (VT-d 3.6, 9.7) */

static uint64_t first_reserved(uint64_t entry, unsigned int level)
{
    if (level > 1 && is_page(entry, level)) {
        return ABOVE_WIDTH | (below_page(level) & ~FS_PAT);
    }
    return ABOVE_WIDTH | (level == 4 ? ENTRY_PS : 0);
}

static unsigned int first_entry_fault(uint64_t entry, unsigned int level,
                                      bool is_write)
{
    if (!(entry & FS_P)) {
        return 0x71;
    }
    if (!(entry & FS_US)) {
        return 0x81;
    }
    if (is_write && !(entry & FS_RW)) {
        return 0x85;
    }
    return entry & first_reserved(entry, level) ? 0x72 : 0;
}

/* Where in memory a first-stage entry is; its address is an input (VT-d 3.8) */
static unsigned int find_entry(const Tables *t, unsigned int level,
                               uint64_t *at, bool *can_update)
{
    uint64_t rights;
    unsigned int fault;

    *can_update = true;
    if (t->pgtt == PGTT_FIRST) {
        return 0;
    }
    fault = second_stage(t, *at, SS_R, at, &rights);
    *can_update = rights & SS_W;
    switch (fault) {
    case 0x84:
        return 0x74;
    case 0x79:
    case 0x86:
        return level == 4 ? 0x75 : 0x76;
    default:
        return fault;
    }
}

/* Accessed, and with a page that is written Dirty (VT-d 3.6.2) */
static unsigned int update(const Tables *t, uint64_t at, uint64_t entry,
                           uint64_t bits, bool can_update)
{
    if (!(bits & ~entry)) {
        return 0;
    }
    if (!can_update) {
        return 0x77;
    }
    stq_le_p(t->ram + at, entry | bits);
    return 0;
}

static unsigned int first_stage(const Tables *t, uint64_t addr, bool is_write,
                                uint64_t *output)
{
    uint64_t entry, at, table = t->first_root;
    unsigned int fault, level = 4;
    bool can_update, page;

    if (addr >= BIT_ULL(47) && addr < -BIT_ULL(47)) {
        return 0x80;
    }
    for (;; level--) {
        at = entry_place(table, addr, level);
        fault = find_entry(t, level, &at, &can_update);
        if (fault) {
            return fault;
        }
        if (!is_ram(t, at)) {
            return level == 4 ? 0x73 : 0x70;
        }
        entry = ldq_le_p(t->ram + at);
        fault = first_entry_fault(entry, level, is_write);
        if (fault) {
            return fault;
        }
        page = is_page(entry, level);
        fault = update(t, at, entry, page && is_write ? FS_A | FS_D : FS_A,
                       can_update);
        if (fault) {
            return fault;
        }
        if (page) {
            *output = in_page(entry, addr, level);
            return 0;
        }
        table = entry & ENTRY_ADDRESS;
    }
}

unsigned int vtd_reference_walk(const VtdReferenceTables *tables,
                                uint64_t addr, bool is_write,
                                uint64_t *output)
{
    unsigned int fault = 0;
    uint64_t rights;

    *output = addr;
    if (tables->pgtt != PGTT_SECOND) {
        fault = first_stage(tables, addr, is_write, output);
    }
    if (!fault && tables->pgtt != PGTT_FIRST) {
        fault = second_stage(tables, *output, is_write ? SS_W : SS_R, output,
                             &rights);
    }
    if (!fault && *output >> 20 == VTD_INTERRUPTS >> 20) {
        fault = 0x87;
    }
    return fault;
}
