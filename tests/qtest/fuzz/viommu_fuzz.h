/*
 * What the fuzz targets of virtual IOMMUs share: the input, and root ports
 * whose slots are plugged and unplugged
 *
 * The guest's side of a device is driven without its bridges being programmed:
 * registers and configuration space are accessed where the device has them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_VIOMMU_FUZZ_H
#define TESTS_VIOMMU_FUZZ_H

#include "hw/pci/pci_device.h"

/* What is left of an input; what is taken after its end is 0 */
typedef struct FuzzInput {
    const uint8_t *data;
    size_t size;
} FuzzInput;

void fuzz_take(FuzzInput *in, void *to, size_t size);
uint8_t fuzz_take_u8(FuzzInput *in);
uint16_t fuzz_take_u16(FuzzInput *in);
uint32_t fuzz_take_u32(FuzzInput *in);
uint64_t fuzz_take_u64(FuzzInput *in);

/* Root ports; that with number n is bus n + 1, and its device is devn */
#define FUZZ_SLOTS      3

/* A host that can all that stage-1 passthrough asks for */
#define FUZZ_HOST \
    "host-iommu-testdev,iommu-type=intel-vtd,source=iommufd,unit=dmar0," \
    "vtd-cap=0x1000000002f0000,vtd-ecap=0xc80004000004"

/**
 * fuzz_slots_cmdline() - a q35 with a vIOMMU and devices behind it
 *
 * @viommu: argument of -device
 * @devices: one a slot, with properties; NULL: the slot is empty. Kept: that is
 *     what fuzz_slots_restore() plugs.
 */
GString *fuzz_slots_cmdline(const char *viommu,
                            const char *const devices[FUZZ_SLOTS]);

/*
 * Resets the machine, as the guest can, and then programs the bridges' bus
 * numbers, and that devices may do DMA: before the first input, too
 */
void fuzz_slots_reset(void);

/* Returns: NULL where there is none */
PCIDevice *fuzz_slot_device(unsigned int slot);

/* The source-id of its requests, whether one is there or not */
uint16_t fuzz_slot_sid(unsigned int slot);

/* Of BAR 0, 8 bytes; nothing is done, or 0 read, where no device is */
void fuzz_slot_write(unsigned int slot, hwaddr reg, uint64_t value);
uint64_t fuzz_slot_read(unsigned int slot, hwaddr reg);

/* @device: as of fuzz_slots_cmdline(). Returns: is it there now? */
bool fuzz_slot_plug(unsigned int slot, const char *device);
/* The guest agrees, and turns the slot's power off */
void fuzz_slot_unplug(unsigned int slot);

/* After an input: a reset, and the devices of the command line again */
void fuzz_slots_restore(void);

/* The linker has all calls of ioctl() end in the second, see meson.build */
int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

#endif /* TESTS_VIOMMU_FUZZ_H */
