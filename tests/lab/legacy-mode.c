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
#include <stdint.h>

#define BYTES 4096
#define DEVFN (0x10 << 3)

/* Registers of dma-testdev, and what it answers */
enum { SRC = 0x00, DST = 0x08, LEN = 0x10, START = 0x18, RESULT = 0x20 };
enum { DONE = 1, NOT_READ, NOT_WRITTEN };

/* Registers of VT-d, 11.4 in its specification */
#define IOMMU 0xfed90000
enum {
    CAP = 0x08, ECAP = 0x10, GCMD = 0x18, GSTS = 0x1c, RTADDR = 0x20,
    CCMD = 0x28,
};
#define GSTS_KEPT 0x96ffffff        /* what is no command for once */
#define TRANSLATION (1u << 31)
#define ROOT_TABLE (1u << 30)
#define CCMD_DO (1ULL << 63)
#define CCMD_GLOBAL (1ULL << 61)
#define CCMD_DEVICE (3ULL << 61)
#define IOTLB_DO (1ULL << 63)
#define IOTLB_GLOBAL (1ULL << 60)
#define IOTLB_DOMAIN (2ULL << 60)
#define IOTLB_PAGE (3ULL << 60)

/* Structures of VT-d, 9.1, 9.3 and 9.8 there */
#define PRESENT 1
#define READ 1
#define WRITE 2
#define DOMAIN 5

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define COMMAND 0x04
#define MEMORY_AND_MASTER 0x06
#define BAR 0x10
#define SERIAL 0x3f8

/* Above what 32 bits reach */
#define READ_ONLY 0x100000000
#define WRITABLE 0x100001000
#define NOWHERE 0x100002000

typedef uint64_t Page[BYTES / 8] __attribute__((aligned(BYTES)));

static Page root_table, context_table, tables[8];
static Page source, copy, other;
static unsigned int levels, tables_used;
static uintptr_t device;

__attribute__((used)) static uint8_t stack[4 * BYTES];

/* A header of Multiboot, 3.1 in its specification */
asm(".text\n"
    ".balign 4\n"
    ".long 0x1badb002, 0, -0x1badb002\n"
    ".globl _start\n"
    "_start:\n"
    "movl $stack + 16384, %esp\n"
    "call run\n"
    "0: hlt\n"
    "jmp 0b\n");

static void write8(uint16_t port, uint8_t value)
{
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void write_config(unsigned int offset, uint32_t value)
{
    asm volatile("outl %0, %1" : : "a"(0x80000000 | DEVFN << 8 | offset),
                 "Nd"((uint16_t)CONFIG_ADDRESS));
    asm volatile("outl %0, %1" : : "a"(value), "Nd"((uint16_t)CONFIG_DATA));
}

static uint32_t read_config(unsigned int offset)
{
    uint32_t value;

    asm volatile("outl %0, %1" : : "a"(0x80000000 | DEVFN << 8 | offset),
                 "Nd"((uint16_t)CONFIG_ADDRESS));
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"((uint16_t)CONFIG_DATA));
    return value;
}

static uint32_t read32(uintptr_t address)
{
    return *(volatile uint32_t *)address;
}

static void write32(uintptr_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

/* Eight bytes at once, which dma-testdev insists on */
static uint64_t read64(uintptr_t address)
{
    uint64_t value;

    asm volatile("movq (%1), %%mm0\n"
                 "movq %%mm0, %0\n"
                 "emms" : "=m"(value) : "r"(address) : "memory");
    return value;
}

static void write64(uintptr_t address, uint64_t value)
{
    asm volatile("movq %0, %%mm0\n"
                 "movq %%mm0, (%1)\n"
                 "emms" : : "m"(value), "r"(address) : "memory");
}

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
    uintptr_t registers = IOMMU + (read64(IOMMU + ECAP) >> 8 & 0x3ff) * 16;

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
        table = (uint64_t *)(uintptr_t)(*entry & -BYTES);
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
    for (unsigned int i = 0; i < BYTES / 8; i++) {
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

    for (unsigned int i = 0; i < BYTES / 8; i++) {
        *(volatile uint64_t *)&page[i] = 0;
    }
    write64(device + SRC, from);
    write64(device + DST, to);
    write64(device + LEN, BYTES);
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
    device = read_config(BAR) & ~0xfu;
    write_config(COMMAND, MEMORY_AND_MASTER);
    for (unsigned int i = 0; i < BYTES / 8; i++) {
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
