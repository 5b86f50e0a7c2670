/*
 * VT-d's translation tables, in a guest's RAM
 *
 * Bits are written down here from the VT-d specification (chapter 9), and not
 * taken from intel-iommu, which is tested with them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_VTD_TABLES_H
#define TESTS_VTD_TABLES_H

#include "vtd-guest.h"

/* First-stage entries */
#define FS_P                BIT_ULL(0)
#define FS_RW               BIT_ULL(1)
#define FS_US               BIT_ULL(2)
#define FS_A                BIT_ULL(5)
#define FS_D                BIT_ULL(6)
#define FS_ALL              (FS_P | FS_RW | FS_US)

/* Second-stage entries */
#define SS_R                BIT_ULL(0)
#define SS_W                BIT_ULL(1)
#define SS_SNP              BIT_ULL(11)
#define SS_ALL              (SS_R | SS_W)

/* Both: a page above the lowest level; the address of a page or table */
#define ENTRY_PS            BIT_ULL(7)
#define ENTRY_ADDRESS       0x000ffffffffff000ULL

/* Root and context entries; PASID directory entries and PASID entries */
#define ENTRY_P             BIT_ULL(0)
#define ENTRY_FPD           BIT_ULL(1)

/* PASID entries (VT-d 9.6), words 0 and 2 */
#define PASID_AW(levels)    ((uint64_t)((levels) - 2) << 2)
#define PASID_AW_MASK       (7ULL << 2)
#define PASID_PGTT(type)    ((uint64_t)(type) << 6)
#define PASID_PGTT_MASK     (7ULL << 6)
#define PASID_FSPM(levels)  ((uint64_t)((levels) - 4) << 2)
#define PASID_FSPM_MASK     (3ULL << 2)

enum { PGTT_FIRST = 1, PGTT_SECOND, PGTT_NESTED, PGTT_PASS_THROUGH };

/*
 * Where a second stage has the tables of a first stage: table at this + N has
 * its memory at N
 */
#define VTD_TABLES_INPUT    (64 * GiB)

/**
 * struct VtdStage - a first or a second stage's tables
 *
 * @guest: in whose RAM they are
 * @second: the second stage of which the tables' addresses are inputs, where
 *     this is a first stage of nested translation; else NULL
 * @is_first: has entries of a first stage
 * @levels: of the tables
 * @root: where in memory the root table is
 */
typedef struct VtdStage {
    VtdGuest *guest;
    struct VtdStage *second;
    bool is_first;
    unsigned int levels;
    uint64_t root;
} VtdStage;

/* Tables that map the engine's buffer, VTD_WINDOW, and nothing else */
VtdStage vtd_first_stage(VtdGuest *guest);
VtdStage vtd_second_stage(VtdGuest *guest, unsigned int levels);
/* The same in nested translation; @second is used for as long */
VtdStage vtd_nested_stage(VtdStage *second);

/* Bytes that an entry of a table at @level, 1 and up, spans */
uint64_t vtd_span(unsigned int level);

/*
 * Returns: where in memory the entry for @input is, in the table at @level,
 * with new tables above it where there are none
 */
uint64_t vtd_entry(VtdStage *stage, uint64_t input, unsigned int level);

/* Maps the page for @input at @level to @output. Returns: its entry's place */
uint64_t vtd_map(VtdStage *stage, uint64_t input, uint64_t output,
                 unsigned int level);
uint64_t vtd_map_with(VtdStage *stage, uint64_t input, uint64_t output,
                      unsigned int level, uint64_t rights);

/* The address that entries have for the memory at @at, where a table is */
uint64_t vtd_table_address(const VtdStage *stage, uint64_t at);

/* RTADDR.TTM: scalable mode */
#define VTD_RTADDR_SCALABLE BIT_ULL(10)

/* Root, context and PASID tables for both devices, in scalable mode */
void vtd_set_up_scalable(VtdGuest *guest);
/* Root and context tables, in legacy mode: see vtd_use_legacy() */
void vtd_set_up_legacy(VtdGuest *guest);

/*
 * Tables for one more device, in the one mode and in the other: it is the only
 * one of its part of the root table
 */
void vtd_add_scalable(VtdDevice *dev, uint32_t pasid);
void vtd_add_legacy(VtdDevice *dev);

/* Another RID_PASID, with PASID tables of its own; invalidates nothing */
void vtd_set_rid_pasid(VtdDevice *dev, uint32_t pasid);

/* The device's PASID entry; invalidates nothing */
void vtd_use_first(VtdDevice *dev, const VtdStage *first, uint16_t domain);
void vtd_use_second(VtdDevice *dev, const VtdStage *second, uint16_t domain);
void vtd_use_nested(VtdDevice *dev, const VtdStage *first, uint16_t domain);
void vtd_use_pass_through(VtdDevice *dev, uint16_t domain);
/* Its context entry, in legacy mode */
void vtd_use_legacy(VtdDevice *dev, const VtdStage *second, uint16_t domain);

#endif /* TESTS_VTD_TABLES_H */
