/*
 * Pluggable memory and the host IOMMUs behind assigned devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_PC_HOST_WIDTH_H
#define HW_I386_PC_HOST_WIDTH_H

#include "hw/boards.h"
#include "hw/qdev-core.h"

/**
 * pc_check_host_width() - can the assigned devices' hosts map a memory device?
 *
 * A memory device that is mapped piece by piece (virtio-mem) passes: it is
 * refused the piece.
 *
 * @dev: a device that is about to be plugged. A memory device knows its
 *     address; any other passes
 * @errp: says where the memory ends, and which host cannot map it
 */
bool pc_check_host_width(DeviceState *dev, Error **errp);

/**
 * pc_warn_host_width() - warn of memory that cannot be plugged
 *
 * @ms: the machine. Where its maxmem ends beyond what the host of an assigned
 *     device can map, it runs, but pc_check_host_width() may refuse what is
 *     plugged
 */
void pc_warn_host_width(MachineState *ms);

#endif /* HW_I386_PC_HOST_WIDTH_H */
