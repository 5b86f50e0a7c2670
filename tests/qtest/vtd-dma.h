/*
 * DMA through a VT-d, and what it should come to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_VTD_DMA_H
#define TESTS_VTD_DMA_H

#include "hw/misc/dma-testdev.h"
#include "vtd-tables.h"

/* Options of intel-iommu */
#define SCALABLE        ",x-scalable-mode=on"
#define FIRST_STAGE     SCALABLE ",x-flts=on"
#define NESTED          FIRST_STAGE ",x-nested=on"

/* A request's address, at the start of a page of 1 GiB */
#define IOVA            0x7abc40000000ULL
/* The same where a second stage alone translates, with 39 bits too */
#define NARROW_IOVA     (0x7bULL * GiB)
/* Where a first stage's output is */
#define BETWEEN         (192 * GiB)
/* A page of memory that nothing else uses, aligned to 2 MiB */
#define FRAME(n)        (1 * GiB + (n) * 2 * MiB)

#define DOMAIN          7
#define OTHER_DOMAIN    9

/* Tables for a device, with a page of 4 KiB at @iova that is memory at @at */
typedef struct Mapping {
    VtdStage first, second;
    VtdDevice *dev;
    uint64_t iova;
    uint64_t at;
} Mapping;

/* The VM with -device intel-iommu@options, in scalable mode, translation on */
VtdGuest *start_scalable(const char *options);
/* The same with x-nested=on */
VtdGuest *start_nested(void);

/*
 * Fills @m with tables for @dev, which then uses them: IOVA or, with a second
 * stage alone, NARROW_IOVA is FRAME(0), by way of BETWEEN in nested
 * translation. Invalidates nothing.
 */
void map_first(Mapping *m, VtdDevice *dev, uint16_t domain);
void map_second(Mapping *m, VtdDevice *dev, uint16_t domain,
                unsigned int levels);
void map_nested(Mapping *m, VtdDevice *dev, uint16_t domain,
                unsigned int levels);

/* Between the stages, away from BETWEEN and from all tables */
#define FAR_BETWEEN     (BETWEEN + 512 * GiB)

/*
 * The same in domain DOMAIN, and @m's is then a page at a level of the caller's
 * that is memory at 1 GiB, under another entry of the root table
 */
void map_first_leaf(Mapping *m, VtdDevice *dev, unsigned int leaf);
void map_second_leaf(Mapping *m, VtdDevice *dev, unsigned int levels,
                     unsigned int leaf);
/* By way of FAR_BETWEEN */
void map_nested_leaves(Mapping *m, VtdDevice *dev, unsigned int first_leaf,
                       unsigned int second_leaf);

/*
 * Returns: where in memory the second stage's entry is that maps the table of
 * the first stage at @level
 */
uint64_t entry_of_table(Mapping *m, unsigned int level);

/* Another one each time */
uint64_t fresh_value(void);

/* The device reads from @iova what is in memory at @at */
void assert_reads(VtdDevice *dev, uint64_t iova, uint64_t at);
/* What the device writes to @iova is in memory at @at */
void assert_writes(VtdDevice *dev, uint64_t iova, uint64_t at);

/* The access is refused, and recorded with @reason */
void assert_read_faults(VtdDevice *dev, uint64_t iova, unsigned int reason);
void assert_write_faults(VtdDevice *dev, uint64_t iova, unsigned int reason);
void assert_both_fault(VtdDevice *dev, uint64_t iova, unsigned int reason);

/* With a @reason of 0, the access succeeds */
void assert_access(VtdDevice *dev, uint64_t iova, uint64_t at, bool is_read,
                   unsigned int reason);

/* Translated to where no memory is: that is none of the IOMMU's faults */
void assert_reaches_nothing(VtdDevice *dev, uint64_t iova);
void assert_no_fault(VtdGuest *guest);

#endif /* TESTS_VTD_DMA_H */
