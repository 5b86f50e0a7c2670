/*
 * What a guest can learn of its intel-iommu
 *
 * Registers by MMIO, the DMAR table by fw_cfg.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_INTEL_IOMMU_VIEW_H
#define TESTS_INTEL_IOMMU_VIEW_H

#include "qemu/units.h"
#include "libqtest.h"
#include "hw/i386/intel_iommu_internal.h"

/**
 * struct GuestView - what the guest is told
 *
 * @cap: Capability Register
 * @ecap: Extended Capability Register
 * @registers: all of them, @cap and @ecap included
 * @dmar_size: bytes of @dmar that are used
 * @dmar: the ACPI table
 */
typedef struct GuestView {
    uint64_t cap;
    uint64_t ecap;
    uint8_t registers[DMAR_REG_SIZE];
    uint32_t dmar_size;
    uint8_t dmar[4 * KiB];
} GuestView;

GuestView read_guest_view(QTestState *qts);

/* The view of a VM that is started for this alone, with @cmdline */
GuestView start_and_read_guest_view(const char *cmdline);

/* The same, of the QEMU that QTEST_BASE_BINARY names */
GuestView start_base_and_read_guest_view(const char *cmdline);

/* Returns: does QTEST_BASE_BINARY name a QEMU? If not, the test is skipped */
bool have_base(void);

void assert_same_view(const GuestView *a, const GuestView *b);

/* CAP.MGAW, CAP.SAGAW and the DMAR table tell of @width bits */
void assert_width(const GuestView *view, unsigned int width);

#endif /* TESTS_INTEL_IOMMU_VIEW_H */
