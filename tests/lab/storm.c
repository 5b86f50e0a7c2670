/*
 * A hostile guest without an operating system: four vCPUs at once change
 * tables, invalidate, have devices do DMA, and reset and unplug them
 *
 * Each does one random thing after another, until one resets the machine, or
 * DMA has overwritten this program. What they count is at COUNTS, in the order
 * of its names; nothing else comes out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdbool.h>
#include <stddef.h>

#include "bare.h"

#define VCPUS 4
#define COUNTS ((volatile uint32_t *)0x1000000)
enum { STEPS, COPIES, UNPLUGGED, BUS_RESETS };

/* Each of its own root port, on this bus and below these */
#define PORTS 4
#define FIRST_PORT 4                /* its device number */

#define ECAM_BASE 0x60              /* a register of the host bridge */

/* Of a bridge, and of PCI Express' capability */
#define BUS_NUMBERS 0x18
#define BRIDGE_CONTROL 0x3c
#define BUS_RESET (0x40u << 16)
#define CAPABILITIES 0x34
#define EXPRESS 0x10
#define SLOT_CONTROL 0x18
#define SLOT_ON 0x100               /* its indicator, and its power */
#define SLOT_OFF 0x700

/* VT-d, beside what bare.h has */
enum { FSTS = 0x34, FECTL = 0x38, IQT = 0x88, IQA = 0x90 };
#define QUEUE (1u << 26)
#define RTADDR_SCALABLE (1u << 10)
#define IQA_WIDE (1u << 11)

/* What DMA goes to, page by page */
#define IOVA 0x40000000
#define FRAMES 64

#define RESET_CONTROL 0xcf9
#define APIC_COMMAND 0xfee00300
#define START_ADDRESS 0x8000

enum {
    LEGACY_ROOT, SCALABLE_ROOT, LEGACY_CONTEXT, SCALABLE_CONTEXT, PASID_DIR,
    PASID_TABLE, LEVEL4, LEVEL3, LEVEL2, LEVEL1, TABLES
};

static Page tables[TABLES], frames[FRAMES], queue;
static uintptr_t ecam, bar[PORTS];
static uint8_t bus[PORTS];
static volatile uint32_t vcpus, tail;

/* Words that a step changes, and what they have where all is well */
static struct {
    volatile uint64_t *at;
    uint64_t good;
} words[128];
static unsigned int words_used;

__attribute__((used)) static uint8_t stacks[VCPUS][PAGE];

/* What an application processor begins with, copied to START_ADDRESS */
extern const uint8_t start_of_vcpu[], end_of_start[];
asm(".code16\n"
    "start_of_vcpu:\n"
    "cli\n"
    "xorw %ax, %ax\n"
    "movw %ax, %ds\n"
    "lgdtl start_gdtr - start_of_vcpu + 0x8000\n"
    "movl %cr0, %eax\n"
    "orl $1, %eax\n"
    "movl %eax, %cr0\n"
    "ljmpl $8, $start_flat - start_of_vcpu + 0x8000\n"
    ".balign 8\n"
    "start_gdt: .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff\n"
    "start_gdtr: .word 23\n"
    ".long start_gdt - start_of_vcpu + 0x8000\n"
    ".code32\n"
    "start_flat:\n"
    "movw $16, %ax\n"
    "movw %ax, %ds\n"
    "movw %ax, %es\n"
    "movw %ax, %ss\n"
    "movl $1, %eax\n"
    "lock xaddl %eax, vcpus\n"
    "movl %eax, %edx\n"
    "incl %edx\n"
    "shll $12, %edx\n"
    "leal stacks(%edx), %esp\n"
    "pushl %eax\n"
    "movl $vcpu, %edx\n"
    "call *%edx\n"
    "end_of_start:\n");

static uint32_t random32(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void count(unsigned int what)
{
    __atomic_fetch_add(&COUNTS[what], 1, __ATOMIC_RELAXED);
}

/* The configuration space of a port, and of what is behind it */
static uintptr_t config_of(unsigned int port)
{
    return ecam + ((FIRST_PORT + port) << 15);
}

static uintptr_t config_behind(unsigned int port)
{
    return ecam + (bus[port] << 20);
}

/* Where the slot's register is, or 0 */
static uintptr_t find_slot_control(uintptr_t config)
{
    unsigned int at = read32(config + CAPABILITIES) & 0xfc;
    unsigned int i;

    for (i = 0; i < 48 && at; i++) {
        uint32_t header = read32(config + at);

        if ((header & 0xff) == EXPRESS) {
            return config + at + SLOT_CONTROL;
        }
        at = header >> 8 & 0xfc;
    }
    return 0;
}

static void set_word(unsigned int table, unsigned int index, uint64_t good)
{
    words[words_used].at = &tables[table][index];
    words[words_used++].good = good;
    tables[table][index] = good;
}

static uint64_t point(unsigned int table, uint64_t flags)
{
    return (uintptr_t)tables[table] | flags;
}

/* Tables of both modes: of legacy mode with second stage, of scalable mode with
 * first, which begins at the same table */
static void make_tables(void)
{
    uint64_t wide = read64(IOMMU + CAP) >> 10 & 1;
    const uint64_t user = 0x67;         /* of each stage: present, writable */
    unsigned int i;

    words_used = 0;
    for (i = 0; i < PORTS; i++) {
        set_word(LEGACY_ROOT, 2 * bus[i], point(LEGACY_CONTEXT, PRESENT));
        set_word(SCALABLE_ROOT, 2 * bus[i], point(SCALABLE_CONTEXT, PRESENT));
    }
    set_word(LEGACY_CONTEXT, 0, point(wide ? LEVEL4 : LEVEL3, PRESENT));
    set_word(LEGACY_CONTEXT, 1, 1 << 8 | (1 + wide));
    set_word(SCALABLE_CONTEXT, 0, point(PASID_DIR, PRESENT | 1 << 2));
    set_word(SCALABLE_CONTEXT, 1, 0);
    set_word(PASID_DIR, 0, point(PASID_TABLE, PRESENT));
    set_word(PASID_TABLE, 0, PRESENT | 1 << 6);
    set_word(PASID_TABLE, 1, 1);
    set_word(PASID_TABLE, 2, point(LEVEL4, 0));
    set_word(LEVEL4, 0, point(LEVEL3, user));
    set_word(LEVEL3, IOVA >> 30, point(LEVEL2, user));
    set_word(LEVEL2, 0, point(LEVEL1, user));
    for (i = 0; i < FRAMES; i++) {
        set_word(LEVEL1, i, (uintptr_t)frames[i] | user);
    }
}

static void step_tables(uint32_t *seed)
{
    unsigned int i = random32(seed) % words_used;
    unsigned int how = random32(seed) % 16;
    uint64_t value = words[i].good;

    if (how == 0) {
        value = 0;
    } else if (how == 1) {
        value ^= 1ULL << random32(seed) % 64;
    } else if (how == 2) {
        value = words[random32(seed) % words_used].good;
    }
    *words[i].at = value;
}

/* Commands, of which each forgets what another vCPU's has set */
static void step_command(uint32_t *seed)
{
    uint32_t how = random32(seed);
    uint32_t on = (how & 7 ? TRANSLATION : 0) | (how & 0x70 ? QUEUE : 0);

    switch (how >> 8 & 7) {
    case 0:
        write64(IOMMU + RTADDR,
                how & 0x1000 ? point(SCALABLE_ROOT, RTADDR_SCALABLE)
                             : point(LEGACY_ROOT, 0));
        write32(IOMMU + GCMD, on | ROOT_TABLE);
        break;
    case 1:
        write32(IOMMU + GCMD, on & ~QUEUE);
        write32(IOMMU + IQT, 0);
        write64(IOMMU + IQA,
                (uintptr_t)queue | (how & 0x2000 ? IQA_WIDE : 0));
        write32(IOMMU + GCMD, on | QUEUE);
        tail = 0;
        break;
    case 2:
        write64(IOMMU + CCMD, CCMD_DO | (uint64_t)(how >> 12 & 3) << 61);
        break;
    case 3:
        write64(iotlb_registers() + 8,
                IOTLB_DO | (uint64_t)(how >> 12 & 3) << 60 | 1ULL << 32);
        break;
    case 4:
        write32(IOMMU + FSTS, -1u);
        write32(IOMMU + FECTL, how & 0x1000 ? 0 : 1u << 31);
        break;
    default:
        write32(IOMMU + GCMD, on);
        break;
    }
}

/* A descriptor of 16 bytes, or half of one of 32 */
static void step_queue(uint32_t *seed)
{
    uint32_t how = random32(seed);
    uint32_t at = __atomic_fetch_add(&tail, 32, __ATOMIC_RELAXED) % PAGE;
    uint64_t source = (uint64_t)bus[how >> 8 & 3] << 40;
    uint64_t *descriptor = &queue[at / 8];
    uint64_t page = IOVA + (random32(seed) % FRAMES) * PAGE;

    descriptor[0] = (how & 7) | (how >> 4 & 3) << 4 | 1 << 16 |
                    ((how & 7) == 1 || (how & 7) == 3 ? source : 0);
    descriptor[1] = (how & 7) == 5 ? (uintptr_t)frames : page;
    descriptor[2] = how & 0x10000 ? 0 : 5 | 1 << 5;
    descriptor[3] = (uintptr_t)frames;
    write32(IOMMU + IQT, (at + 32) % PAGE);
}

/* Gives a device what a reset or another plugged one has lost */
static bool revive(unsigned int port)
{
    uintptr_t config = config_behind(port);

    if (read32(config) == -1u || !bar[port]) {
        return false;
    }
    write32(config + BAR, bar[port]);
    write32(config + COMMAND, MEMORY_AND_MASTER);
    return true;
}

static uint64_t some_address(uint32_t *seed)
{
    uint32_t how = random32(seed);

    return (how & 0xf00 ? IOVA : (uintptr_t)frames) + how % FRAMES * PAGE +
           (how >> 16 & 0xff8);
}

static void step_dma(uint32_t *seed)
{
    uint32_t how = random32(seed);
    unsigned int port = how % PORTS;

    if ((how & 0xf00) == 0 && !revive(port)) {
        return;
    }
    write64(bar[port] + SRC, some_address(seed));
    write64(bar[port] + DST, some_address(seed));
    write64(bar[port] + LEN, how >> 16 & 0x1ff);
    write64(bar[port] + START, how >> 28 & 3);
    if (read64(bar[port] + RESULT) == DONE) {
        count(COPIES);
    }
}

static void step_slot(uint32_t *seed)
{
    uint32_t how = random32(seed);
    unsigned int port = how % PORTS;
    uintptr_t config = config_of(port);
    uintptr_t slot = find_slot_control(config);
    uint32_t control = read32(config + BRIDGE_CONTROL);

    if (!slot) {
        return;
    }
    switch (how >> 8 & 7) {
    case 0:
        write32(slot, SLOT_OFF);
        count(UNPLUGGED);
        break;
    case 1:
    case 2:
        write32(config + BRIDGE_CONTROL, control | BUS_RESET);
        write32(config + BRIDGE_CONTROL, control & ~BUS_RESET);
        count(BUS_RESETS);
        break;
    case 3:
        write32(config_behind(port) + COMMAND, how >> 16 & MEMORY_AND_MASTER);
        break;
    default:
        write32(slot, SLOT_ON);
        break;
    }
    revive(port);
}

__attribute__((used, noreturn)) static void vcpu(unsigned int number)
{
    uint32_t seed = 0x9e3779b9 * (COUNTS[STEPS] * VCPUS + number + 1) | 1;

    while (true) {
        uint32_t what = random32(&seed);

        count(STEPS);
        if ((what & 0x3ffff) == 0) {
            write8(RESET_CONTROL, 6);
        } else if ((what & 0xff) == 1) {
            step_slot(&seed);
        } else if ((what & 0xf) < 4) {
            step_tables(&seed);
        } else if ((what & 0xf) < 5) {
            step_command(&seed);
        } else if ((what & 0xf) < 9) {
            step_queue(&seed);
        } else {
            step_dma(&seed);
        }
    }
}

__attribute__((used)) static void run(void)
{
    volatile uint8_t *start = (volatile uint8_t *)START_ADDRESS;
    unsigned int i;

    ecam = read_config(0, ECAM_BASE) & ~0xfffu;
    for (i = 0; i < PORTS; i++) {
        bus[i] = read32(config_of(i) + BUS_NUMBERS) >> 8;
        bar[i] = read32(config_behind(i) + BAR) & ~0xfu;
    }
    make_tables();
    vcpus = 1;
    for (i = 0; i < (unsigned int)(end_of_start - start_of_vcpu); i++) {
        start[i] = start_of_vcpu[i];
    }
    write32(APIC_COMMAND, 0x000c4500);              /* INIT, all but itself */
    write32(APIC_COMMAND, 0x000c4600 | START_ADDRESS / PAGE);
    vcpu(0);
}
