/*
 * Programs that do one step a line, for steps.py, and drive a device by VFIO
 *
 * Each step is answered with "ok" and the numbers that came of it, or with
 * "error" and its number.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "steps.h"

static void answer(TakeStep *take_step, const char *line)
{
    uint64_t out[2] = {};
    int i, values = take_step(line, out);

    if (values < 0) {
        printf("error %d\n", errno);
        return;
    }
    printf("ok");
    for (i = 0; i < values; i++) {
        printf(" 0x%" PRIx64, out[i]);
    }
    puts("");
}

void answer_steps(TakeStep *take_step)
{
    char line[256];

    puts("ok");
    while (fgets(line, sizeof(line), stdin)) {
        answer(take_step, line);
    }
}

volatile uint64_t *open_bar(int device)
{
    struct vfio_region_info bar = {
        .argsz = sizeof(bar),
        .index = VFIO_PCI_BAR0_REGION_INDEX,
    };
    struct vfio_region_info config = {
        .argsz = sizeof(config),
        .index = VFIO_PCI_CONFIG_REGION_INDEX,
    };
    uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    void *mapped;

    if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar) ||
        ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config) ||
        pwrite(device, &command, sizeof(command),
               config.offset + PCI_COMMAND) != sizeof(command)) {
        return NULL;
    }
    mapped = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device,
                  bar.offset);
    return mapped == MAP_FAILED ? NULL : mapped;
}
