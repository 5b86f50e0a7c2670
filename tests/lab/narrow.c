/*
 * Makes the host's IOMMU narrower for a QEMU that runs: as a second device
 * can whose unit is not like the first's
 *
 * Loaded before libc by narrowed-qemu. While /run/narrow exists, what the
 * kernel tells of usable IOVAs ends at 39 bits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#define LAST ((1ULL << 39) - 1)

static void narrow_iommufd(struct iommu_ioas_iova_ranges *answer)
{
    struct iommu_iova_range *range = (void *)(uintptr_t)answer->allowed_iovas;
    uint32_t i;

    for (i = 0; i < answer->num_iovas; i++) {
        if (range[i].last > LAST) {
            range[i].last = LAST;
        }
    }
}

static void narrow_legacy(struct vfio_iommu_type1_info *answer)
{
    struct vfio_iommu_type1_info_cap_iova_range *cap;
    struct vfio_info_cap_header *header;
    uint32_t at, i;

    if (!(answer->flags & VFIO_IOMMU_INFO_CAPS)) {
        return;
    }
    for (at = answer->cap_offset; at; at = header->next) {
        header = (void *)((char *)answer + at);
        if (header->id != VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
            continue;
        }
        cap = (void *)header;
        for (i = 0; i < cap->nr_iovas; i++) {
            if (cap->iova_ranges[i].end > LAST) {
                cap->iova_ranges[i].end = LAST;
            }
        }
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    void *arg;
    int ret;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    ret = syscall(SYS_ioctl, fd, request, arg);
    if (ret || access("/run/narrow", F_OK)) {
        return ret;
    }
    if (request == IOMMU_IOAS_IOVA_RANGES) {
        narrow_iommufd(arg);
    } else if (request == VFIO_IOMMU_GET_INFO) {
        /* of which the first call may have no room for capabilities */
        struct vfio_iommu_type1_info *info = arg;

        if (info->argsz > sizeof(*info) && info->cap_offset) {
            narrow_legacy(info);
        }
    }
    return ret;
}
