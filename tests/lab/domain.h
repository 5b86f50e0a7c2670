/*
 * Devices in one domain: what domain.c has, for the random steps
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef LAB_DOMAIN_H
#define LAB_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#define MEMORY  (16UL << 20)
#define PAGE    4096UL

/* What dma-testdev answers */
enum { DONE = 1, NOT_READ, NOT_WRITTEN };

extern char *memory;
extern int devices;

/*
 * All in bytes, @offset into the memory. Returns: the errno, or 0. Nothing is
 * unmapped in part (EINVAL).
 */
int map(uint64_t iova, uint64_t offset, uint64_t length, bool writable);
int unmap(uint64_t iova, uint64_t length);

/* Have @device copy from IOVA to IOVA: what it answers */
uint64_t copy(int device, uint64_t source, uint64_t sink, uint64_t length);

/*
 * Map, unmap and copy at random, where nothing is mapped yet, until something
 * is not as a model has it, which is told on stderr. Returns how many
 * @operations were right; *@denied is how many copies were right to fail.
 */
uint64_t compare_with_model(uint64_t seed, uint64_t operations,
                            uint64_t *denied);

#endif
