/*
 * What a guest without an operating system begins with, and how it reaches
 * its devices: for a program of one file, which defines run()
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BARE_H
#define BARE_H

#include <stdint.h>

#define PAGE 4096

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define COMMAND 0x04
#define MEMORY_AND_MASTER 0x06
#define BAR 0x10
#define SERIAL 0x3f8

/* Registers of dma-testdev, and what it answers */
enum { SRC = 0x00, DST = 0x08, LEN = 0x10, START = 0x18, RESULT = 0x20 };
enum { DONE = 1, NOT_READ, NOT_WRITTEN };

/* Registers of VT-d, 11.4 in its specification */
#define IOMMU 0xfed90000
enum {
    CAP = 0x08, ECAP = 0x10, GCMD = 0x18, GSTS = 0x1c, RTADDR = 0x20,
    CCMD = 0x28,
};
#define TRANSLATION (1u << 31)
#define ROOT_TABLE (1u << 30)
#define CCMD_DO (1ULL << 63)
#define IOTLB_DO (1ULL << 63)

/* Structures of VT-d, 9.1, 9.3 and 9.8 there */
#define PRESENT 1
#define READ 1
#define WRITE 2

typedef uint64_t Page[PAGE / 8] __attribute__((aligned(PAGE)));

__attribute__((used)) static uint8_t stack[4 * PAGE];

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

static inline void write8(uint16_t port, uint8_t value)
{
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void select_config(unsigned int devfn, unsigned int offset)
{
    asm volatile("outl %0, %1" : : "a"(0x80000000 | devfn << 8 | offset),
                 "Nd"((uint16_t)CONFIG_ADDRESS));
}

static inline void write_config(unsigned int devfn, unsigned int offset,
                                uint32_t value)
{
    select_config(devfn, offset);
    asm volatile("outl %0, %1" : : "a"(value), "Nd"((uint16_t)CONFIG_DATA));
}

static inline uint32_t read_config(unsigned int devfn, unsigned int offset)
{
    uint32_t value;

    select_config(devfn, offset);
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"((uint16_t)CONFIG_DATA));
    return value;
}

static inline uint32_t read32(uintptr_t address)
{
    return *(volatile uint32_t *)address;
}

static inline void write32(uintptr_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

/* Eight bytes at once, which dma-testdev insists on */
static inline uint64_t read64(uintptr_t address)
{
    uint64_t value;

    asm volatile("movq (%1), %%mm0\n"
                 "movq %%mm0, %0\n"
                 "emms" : "=m"(value) : "r"(address) : "memory");
    return value;
}

static inline void write64(uintptr_t address, uint64_t value)
{
    asm volatile("movq %0, %%mm0\n"
                 "movq %%mm0, (%1)\n"
                 "emms" : : "m"(value), "r"(address) : "memory");
}

/* Where the registers that invalidate the IOTLB are */
static inline uintptr_t iotlb_registers(void)
{
    return IOMMU + (read64(IOMMU + ECAP) >> 8 & 0x3ff) * 16;
}

#endif
