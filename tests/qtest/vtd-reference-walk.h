/*
 * What a VT-d translates an address to: a walk to compare intel-iommu's with
 *
 * Written from the specification (VT-d 3.6 to 3.8, 3.15, 7.1.2, chapter 9) and
 * for reading. Knows of ECAP what x-nested=on has, and of CAP a width of 48
 * bits and pages of 2 MiB and 1 GiB.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_VTD_REFERENCE_WALK_H
#define TESTS_VTD_REFERENCE_WALK_H

/**
 * struct VtdReferenceTables - the tables of a request
 *
 * @ram: memory, in which Accessed and Dirty are set
 * @ram_size: its bytes; beyond them is no memory
 * @pgtt: type of the PASID entry, first stage, second stage or nested
 * @first_root: first-stage page table pointer, with four levels
 * @second_root: second-stage page table pointer
 * @second_levels: of the second stage, 3 or 4
 */
typedef struct VtdReferenceTables {
    uint8_t *ram;
    uint64_t ram_size;
    unsigned int pgtt;
    uint64_t first_root;
    uint64_t second_root;
    unsigned int second_levels;
} VtdReferenceTables;

/**
 * vtd_reference_walk() - translate an address
 *
 * Where an entry has several faults, the first of these counts: not present;
 * privilege; permission; reserved bits. The specification leaves it open.
 *
 * @tables: the request's
 * @addr: its address
 * @is_write: whether it writes
 * @output: the address that comes out
 *
 * Returns: 0, or the reason for which none does
 */
unsigned int vtd_reference_walk(const VtdReferenceTables *tables,
                                uint64_t addr, bool is_write,
                                uint64_t *output);

#endif /* TESTS_VTD_REFERENCE_WALK_H */
