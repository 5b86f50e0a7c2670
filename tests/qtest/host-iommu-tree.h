/*
 * Folders that stand for the /sys of several kinds of host
 *
 * For query-host-iommu, and for intel-iommu's host-iommu=.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_HOST_IOMMU_TREE_H
#define TESTS_HOST_IOMMU_TREE_H

/* CAP and ECAP as sysfs shows them */

/* a client: MGAW 39, SAGAW 48 */
#define CLIENT_39       "d2008c40660462", "f050da"
/* a server: 48 bits, no scalable mode */
#define SERVER_48       "8d2078c106f0466", "f020df"
/* a newer server: 57 bits and scalable mode, with all that stage 1 needs */
#define SERVER_57       "19ed008c40780c66", "3ef9ea6f050df"

/**
 * host_tree_new() - an empty /sys, as of a host without an IOMMU
 *
 * Returns: its path; host_tree_free() removes it
 */
char *host_tree_new(void);

void host_tree_free(char *sysfs);

/**
 * host_tree_add_vtd() - add a VT-d unit
 *
 * @sysfs: of host_tree_new()
 * @name: such as dmar0
 * @cap: what the file of that name says, without a newline
 * @ecap: likewise
 */
void host_tree_add_vtd(const char *sysfs, const char *name, const char *cap,
                       const char *ecap);

/* Adds a unit with an empty folder @kind, such as amd-iommu */
void host_tree_add_other(const char *sysfs, const char *name,
                         const char *kind);

/* The file of a unit that @name names, below @sysfs; the caller frees it */
char *host_tree_file(const char *sysfs, const char *unit, const char *name);

/**
 * host_tree_add_pci() - add a PCI device
 *
 * @sysfs: of host_tree_new()
 * @address: such as 0000:01:00.0
 * @unit: name of the IOMMU behind it, or NULL
 */
void host_tree_add_pci(const char *sysfs, const char *address,
                       const char *unit);

#endif /* TESTS_HOST_IOMMU_TREE_H */
