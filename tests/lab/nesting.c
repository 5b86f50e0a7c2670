/*
 * Does what a user of iommufd does to nest: one step a line, for nesting.py
 *
 * Called with the character device of an assigned dma-testdev. Has some
 * memory, for data and for first-stage tables, which the steps name by its
 * offsets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "steps.h"

#define MEMORY  (16UL << 20)
#define ALIGN   (2UL << 20)         /* a large page of the second stage */
#define STEPPING 0x9e3779b97f4a7c15ULL

/* Registers of dma-testdev, in 64-bit words */
enum { SRC, DST, LEN, START, RESULT };

static int iommufd;
static int device;
static uint32_t device_id;
static volatile uint64_t *registers;    /* volatile: each access is one */
static char *memory;

/* A step: values it answers go to @out; returns how many, or -1 and errno */
typedef int Step(const uint64_t *arg, uint64_t *out);

static int step_info(const uint64_t *arg, uint64_t *out)
{
    struct iommu_hw_info_vtd vtd = {};
    struct iommu_hw_info info = {
        .size = sizeof(info),
        .dev_id = device_id,
        .data_len = sizeof(vtd),
        .data_uptr = (uintptr_t)&vtd,
    };

    if (ioctl(iommufd, IOMMU_GET_HW_INFO, &info)) {
        return -1;
    }
    out[0] = vtd.cap_reg;
    out[1] = vtd.ecap_reg;
    return 2;
}

static int step_ioas(const uint64_t *arg, uint64_t *out)
{
    struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };

    if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &ioas)) {
        return -1;
    }
    out[0] = ioas.out_ioas_id;
    return 1;
}

/* map IOAS IOVA OFFSET LENGTH */
static int step_map(const uint64_t *arg, uint64_t *out)
{
    struct iommu_ioas_map map = {
        .size = sizeof(map),
        .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
                 IOMMU_IOAS_MAP_WRITEABLE,
        .ioas_id = arg[0],
        .iova = arg[1],
        .user_va = (uintptr_t)memory + arg[2],
        .length = arg[3],
    };

    return ioctl(iommufd, IOMMU_IOAS_MAP, &map);
}

/* unmap IOAS IOVA LENGTH */
static int step_unmap(const uint64_t *arg, uint64_t *out)
{
    struct iommu_ioas_unmap unmap = {
        .size = sizeof(unmap),
        .ioas_id = arg[0],
        .iova = arg[1],
        .length = arg[2],
    };

    return ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap);
}

static int alloc_hwpt(struct iommu_hwpt_alloc *alloc, uint64_t *out)
{
    alloc->size = sizeof(*alloc);
    alloc->dev_id = device_id;
    if (ioctl(iommufd, IOMMU_HWPT_ALLOC, alloc)) {
        return -1;
    }
    out[0] = alloc->out_hwpt_id;
    return 1;
}

/* parent IOAS */
static int step_parent(const uint64_t *arg, uint64_t *out)
{
    struct iommu_hwpt_alloc alloc = {
        .flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
        .pt_id = arg[0],
    };

    return alloc_hwpt(&alloc, out);
}

/* plain IOAS: an HWPT that cannot be a parent */
static int step_plain(const uint64_t *arg, uint64_t *out)
{
    struct iommu_hwpt_alloc alloc = { .pt_id = arg[0] };

    return alloc_hwpt(&alloc, out);
}

/* nested PARENT ROOT WIDTH: on tables at that address, for so many bits */
static int step_nested(const uint64_t *arg, uint64_t *out)
{
    struct iommu_hwpt_vtd_s1 vtd = {
        .pgtbl_addr = arg[1],
        .addr_width = arg[2],
    };
    struct iommu_hwpt_alloc alloc = {
        .pt_id = arg[0],
        .data_type = IOMMU_HWPT_DATA_VTD_S1,
        .data_len = sizeof(vtd),
        .data_uptr = (uintptr_t)&vtd,
    };

    return alloc_hwpt(&alloc, out);
}

/* attach HWPT */
static int step_attach(const uint64_t *arg, uint64_t *out)
{
    struct vfio_device_attach_iommufd_pt attach = {
        .argsz = sizeof(attach),
        .pt_id = arg[0],
    };

    return ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

static int step_detach(const uint64_t *arg, uint64_t *out)
{
    struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

    return ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

/* invalidate HWPT IOVA PAGES */
static int step_invalidate(const uint64_t *arg, uint64_t *out)
{
    struct iommu_hwpt_vtd_s1_invalidate vtd = {
        .addr = arg[1],
        .npages = arg[2],
    };
    struct iommu_hwpt_invalidate invalidate = {
        .size = sizeof(invalidate),
        .hwpt_id = arg[0],
        .data_uptr = (uintptr_t)&vtd,
        .data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
        .entry_len = sizeof(vtd),
        .entry_num = 1,
    };

    return ioctl(iommufd, IOMMU_HWPT_INVALIDATE, &invalidate);
}

/* destroy ID */
static int step_destroy(const uint64_t *arg, uint64_t *out)
{
    struct iommu_destroy destroy = { .size = sizeof(destroy), .id = arg[0] };

    return ioctl(iommufd, IOMMU_DESTROY, &destroy);
}

static uint64_t *word(uint64_t offset)
{
    return (uint64_t *)(memory + offset);
}

/* peek OFFSET */
static int step_peek(const uint64_t *arg, uint64_t *out)
{
    out[0] = *word(arg[0]);
    return 1;
}

/* poke OFFSET VALUE */
static int step_poke(const uint64_t *arg, uint64_t *out)
{
    *word(arg[0]) = arg[1];
    return 0;
}

/* fill OFFSET LENGTH SEED: with words that are all unlike */
static int step_fill(const uint64_t *arg, uint64_t *out)
{
    uint64_t i;

    for (i = 0; i < arg[1]; i += sizeof(i)) {
        *word(arg[0] + i) = (arg[2] + i) * STEPPING;
    }
    return 0;
}

/* same OFFSET LENGTH SEED: how many bytes are as fill left them */
static int step_same(const uint64_t *arg, uint64_t *out)
{
    uint64_t i;

    for (i = 0; i < arg[1]; i += sizeof(i)) {
        out[0] += *word(arg[0] + i) == (arg[2] + i) * STEPPING ? sizeof(i) : 0;
    }
    return 1;
}

/* dma SOURCE DESTINATION LENGTH: what the device answers */
static int step_dma(const uint64_t *arg, uint64_t *out)
{
    registers[SRC] = arg[0];
    registers[DST] = arg[1];
    registers[LEN] = arg[2];
    registers[START] = 1;
    out[0] = registers[RESULT];
    return 1;
}

static const struct {
    const char *name;
    Step *step;
    int args;
} steps[] = {
    { "info", step_info, 0 },
    { "ioas", step_ioas, 0 },
    { "map", step_map, 4 },
    { "unmap", step_unmap, 3 },
    { "parent", step_parent, 1 },
    { "plain", step_plain, 1 },
    { "nested", step_nested, 3 },
    { "attach", step_attach, 1 },
    { "detach", step_detach, 0 },
    { "invalidate", step_invalidate, 3 },
    { "destroy", step_destroy, 1 },
    { "peek", step_peek, 1 },
    { "poke", step_poke, 2 },
    { "fill", step_fill, 3 },
    { "same", step_same, 3 },
    { "dma", step_dma, 3 },
};

static int take_step(const char *line, uint64_t *out)
{
    char name[16] = "";
    uint64_t arg[4];
    int args = sscanf(line, "%15s %" SCNx64 " %" SCNx64 " %" SCNx64
                      " %" SCNx64, name, &arg[0], &arg[1], &arg[2],
                      &arg[3]) - 1;
    size_t i;

    for (i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        if (!strcmp(name, steps[i].name) && args == steps[i].args) {
            return steps[i].step(arg, out);
        }
    }
    errno = ENOSYS;
    return -1;
}

static int open_device(const char *path)
{
    struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };

    iommufd = open("/dev/iommu", O_RDWR);
    device = open(path, O_RDWR);
    bind.iommufd = iommufd;
    if (iommufd < 0 || device < 0 ||
        ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind)) {
        return -1;
    }
    device_id = bind.out_devid;
    registers = open_bar(device);
    return registers ? 0 : -1;
}

int main(int argc, char **argv)
{
    setlinebuf(stdout);
    memory = mmap(NULL, MEMORY + ALIGN, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (argc != 2 || memory == MAP_FAILED || open_device(argv[1])) {
        printf("error %d\n", errno);
        return 1;
    }
    memory = (char *)(((uintptr_t)memory + ALIGN - 1) & -ALIGN);
    /* so that the second stage has large pages where offsets let it */
    madvise(memory, MEMORY, MADV_HUGEPAGE);
    answer_steps(take_step);
    return 0;
}
