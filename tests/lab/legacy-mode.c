/*
 * A guest without an operating system: has a dma-testdev copy pages through
 * second-stage tables of its own, in legacy mode
 *
 * It drives the IOMMU by its registers alone, with no queue, as firmware does.
 * A line on the serial port says what a copy did, and the last one that all
 * are done.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdbool.h>

#include "bare.h"

#define DEVFN (0x10 << 3)

/* Of VT-d's registers, 11.4 in its specification */
#define GSTS_KEPT 0x96ffffff        /* what is no command for once */
#define CCMD_GLOBAL (1ULL << 61)
#define CCMD_DEVICE (3ULL << 61)
#define IOTLB_GLOBAL (1ULL << 60)
#define IOTLB_DOMAIN (2ULL << 60)
#define IOTLB_PAGE (3ULL << 60)

#define DOMAIN 5

/* Above what 32 bits reach */
#define READ_ONLY 0x100000000
#define WRITABLE 0x100001000
#define NOWHERE 0x100002000

static Page root_table, context_table, tables[8];
static Page source, copy, other;
static unsigned int levels, tables_used;
static uintptr_t device;

static void say(const char *text)
{
    while (*text) {
        write8(SERIAL, *text++);
    }
}

/* Gives the IOMMU command @bit, or takes it back, and waits until it did it */
static void command(uint32_t bit, bool on)
{
    uint32_t kept = read32(IOMMU + GSTS) & GSTS_KEPT & ~bit;

    write32(IOMMU + GCMD, kept | (on ? bit : 0));
    while (!(read32(IOMMU + GSTS) & bit) == on) {
    }
}

static void invalidate_contexts(uint64_t which)
{
    write64(IOMMU + CCMD, CCMD_DO | which);
    while (read64(IOMMU + CCMD) & CCMD_DO) {
    }
}

/* @address: of the page, where @which is IOTLB_PAGE */
static void invalidate_iotlb(uint64_t which, uint64_t address)
{
    uintptr_t registers = iotlb_registers();

    write64(registers, address);
    write64(registers + 8, IOTLB_DO | which | (uint64_t)DOMAIN << 32);
    while (read64(registers + 8) & IOTLB_DO) {
    }
}

/* Maps @page with @rights, or nothing without, at @iova */
static void map(uint64_t iova, const void *page, unsigned int rights)
{
    uint64_t *table = tables[0];

    for (unsigned int level = levels - 1; level; level--) {
        uint64_t *entry = &table[iova >> (12 + 9 * level) & 511];

        if (!*entry) {
            *entry = (uintptr_t)tables[++tables_used] | READ | WRITE;
        }
        table = (uint64_t *)(uintptr_t)(*entry & -PAGE);
    }
    table[iova >> 12 & 511] = rights ? (uintptr_t)page | rights : 0;
}

static void attach(void)
{
    context_table[2 * DEVFN + 1] = DOMAIN << 8 | (levels - 2);
    context_table[2 * DEVFN] = (uintptr_t)tables[0] | PRESENT;
}

static bool is_copied(const uint64_t *to)
{
    for (unsigned int i = 0; i < PAGE / 8; i++) {
        if (to[i] != source[i]) {
            return false;
        }
    }
    return true;
}

/* Has what is at @from copied to @to, which leads to @page, and says how */
static void try_copy(const char *what, uint64_t from, uint64_t to,
                     uint64_t *page)
{
    uint64_t result;

    for (unsigned int i = 0; i < PAGE / 8; i++) {
        *(volatile uint64_t *)&page[i] = 0;
    }
    write64(device + SRC, from);
    write64(device + DST, to);
    write64(device + LEN, PAGE);
    write64(device + START, 1);
    result = read64(device + RESULT);
    say(what);
    say(result == DONE ? is_copied(page) ? ": copied\n" : ": wrong\n" :
        result == NOT_READ ? ": not read\n" :
        result == NOT_WRITTEN ? ": not written\n" : ": no answer\n");
}

static void try_translation(void)
{
    try_copy("to a page", READ_ONLY, WRITABLE, copy);
    try_copy("to a read-only page", READ_ONLY, READ_ONLY, copy);
    try_copy("from nowhere", NOWHERE, WRITABLE, copy);
    try_copy("from guest-physical memory", (uintptr_t)source, WRITABLE, copy);
}

__attribute__((used)) static void run(void)
{
    levels = read64(IOMMU + CAP) >> 10 & 1 ? 4 : 3;
    device = read_config(DEVFN, BAR) & ~0xfu;
    write_config(DEVFN, COMMAND, MEMORY_AND_MASTER);
    for (unsigned int i = 0; i < PAGE / 8; i++) {
        source[i] = 0x0123456789abcdefULL * (i + 1);
    }
    try_copy("without translation", (uintptr_t)source, (uintptr_t)copy, copy);

    root_table[0] = (uintptr_t)context_table | PRESENT;
    map(READ_ONLY, source, READ);
    map(WRITABLE, copy, READ | WRITE);
    attach();
    write64(IOMMU + RTADDR, (uintptr_t)root_table);
    command(ROOT_TABLE, true);
    invalidate_contexts(CCMD_GLOBAL);
    invalidate_iotlb(IOTLB_GLOBAL, 0);
    command(TRANSLATION, true);
    try_translation();

    map(WRITABLE, other, READ | WRITE);
    invalidate_iotlb(IOTLB_PAGE, WRITABLE);
    try_copy("to another page", READ_ONLY, WRITABLE, other);
    map(READ_ONLY, source, 0);
    invalidate_iotlb(IOTLB_DOMAIN, 0);
    try_copy("from no page", READ_ONLY, WRITABLE, other);
    map(READ_ONLY, source, READ);
    invalidate_iotlb(IOTLB_DOMAIN, 0);
    try_copy("from a page again", READ_ONLY, WRITABLE, other);

    context_table[2 * DEVFN] = 0;
    invalidate_contexts(CCMD_DEVICE | DEVFN << 16 | DOMAIN);
    invalidate_iotlb(IOTLB_DOMAIN, 0);
    try_copy("without a context", READ_ONLY, WRITABLE, other);
    map(WRITABLE, copy, READ | WRITE);
    attach();
    invalidate_contexts(CCMD_DEVICE | DEVFN << 16 | DOMAIN);
    invalidate_iotlb(IOTLB_DOMAIN, 0);
    try_translation();

    command(TRANSLATION, false);
    try_copy("without translation", (uintptr_t)source, (uintptr_t)copy, copy);
    command(TRANSLATION, true);
    try_translation();
    say("all done\n");
}
