/*
 * Holds dma-testdevs in one domain of VFIO's: one step a line, for domain.py
 *
 * Called with the PCI addresses of the devices. Has some memory, which the
 * steps name by its offsets.
 *
 * By VFIO's containers: Linux 6.12's iommufd wants a second stage for what it
 * maps, and has none in a guest with x-flts=on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "domain.h"
#include "steps.h"

#define DEVICES 8

/* Registers of dma-testdev, in 64-bit words */
enum { SRC, DST, LEN, START, RESULT };

char *memory;
int devices;
static int container;
static volatile uint64_t *registers[DEVICES];   /* each access is one */

int map(uint64_t iova, uint64_t offset, uint64_t length, bool writable)
{
    struct vfio_iommu_type1_dma_map dma_map = {
        .argsz = sizeof(dma_map),
        .flags = VFIO_DMA_MAP_FLAG_READ |
                 (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0),
        .vaddr = (uintptr_t)memory + offset,
        .iova = iova,
        .size = length,
    };

    return ioctl(container, VFIO_IOMMU_MAP_DMA, &dma_map) ? errno : 0;
}

int unmap(uint64_t iova, uint64_t length)
{
    struct vfio_iommu_type1_dma_unmap dma_unmap = {
        .argsz = sizeof(dma_unmap),
        .iova = iova,
        .size = length,
    };

    return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &dma_unmap) ? errno : 0;
}

uint64_t copy(int device, uint64_t source, uint64_t sink, uint64_t length)
{
    registers[device][SRC] = source;
    registers[device][DST] = sink;
    registers[device][LEN] = length;
    registers[device][START] = 1;
    return registers[device][RESULT];
}

/*
 * Take the step in @line; values it answers go to @out. Returns how many, or
 * -1 and errno.
 */
static int take_step(const char *line, uint64_t *out)
{
    char name[16] = "";
    uint64_t arg[4];
    int args = sscanf(line, "%15s %" SCNx64 " %" SCNx64 " %" SCNx64
                      " %" SCNx64, name, &arg[0], &arg[1], &arg[2],
                      &arg[3]) - 1;

    /* map IOVA OFFSET LENGTH */
    if (!strcmp(name, "map") && args == 3) {
        errno = map(arg[0], arg[1], arg[2], true);
        return errno ? -1 : 0;
    }
    /* unmap IOVA LENGTH */
    if (!strcmp(name, "unmap") && args == 2) {
        errno = unmap(arg[0], arg[1]);
        return errno ? -1 : 0;
    }
    /* dma DEVICE SOURCE DESTINATION LENGTH: what the device answers */
    if (!strcmp(name, "dma") && args == 4 && arg[0] < devices) {
        out[0] = copy(arg[0], arg[1], arg[2], arg[3]);
        return 1;
    }
    /* random SEED OPERATIONS: how many were right, copies that failed */
    if (!strcmp(name, "random") && args == 2) {
        out[0] = compare_with_model(arg[0], arg[1], &out[1]);
        return 2;
    }
    errno = ENOSYS;
    return -1;
}

/*
 * Returns: the group of the device at @address, in the container, or -1. The
 * devices of a group come one after another.
 */
static int open_group(const char *address)
{
    static char opened[64];
    static int group;
    char link[256], target[256], path[64];
    ssize_t length;

    snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/iommu_group",
             address);
    length = readlink(link, target, sizeof(target) - 1);
    if (length < 0) {
        return -1;
    }
    target[length] = '\0';
    snprintf(path, sizeof(path), "/dev/vfio/%.32s",
             strrchr(target, '/') + 1);
    if (!strcmp(path, opened)) {
        return group;
    }
    strcpy(opened, path);
    group = open(path, O_RDWR);
    if (group < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
        (!devices &&
         ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))) {
        return -1;
    }
    return group;
}

/* Add the device at @address to the domain and to the others */
static int open_device(const char *address)
{
    int device, group = open_group(address);

    if (group < 0 || devices == DEVICES) {
        return -1;
    }
    device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
    if (device < 0) {
        return -1;
    }
    registers[devices] = open_bar(device);
    return registers[devices++] ? 0 : -1;
}

int main(int argc, char **argv)
{
    int i;

    setlinebuf(stdout);
    memory = aligned_alloc(MEMORY, MEMORY);
    container = open("/dev/vfio/vfio", O_RDWR);
    if (argc < 2 || !memory || container < 0) {
        printf("error %d\n", errno);
        return 1;
    }
    madvise(memory, MEMORY, MADV_HUGEPAGE);
    for (i = 1; i < argc; i++) {
        if (open_device(argv[i])) {
            printf("error %d\n", errno);
            return 1;
        }
    }
    answer_steps(take_step);
    return 0;
}
