/*
 * Counts what a QEMU that runs asks of VFIO and iommufd in the host's kernel
 *
 * Loaded before libc by counted-qemu. The file "ioctls" in the folder that
 * QEMU is started in is an array of counters of 64 bits, by the number of the
 * ioctl; VFIO and iommufd have one type and unlike numbers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/iommufd.h>

#define COUNTERS 256

static uint64_t *counters;

__attribute__((constructor))
static void open_counters(void)
{
    int fd = open("ioctls", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, COUNTERS * sizeof(*counters))) {
        abort();
    }
    counters = mmap(NULL, COUNTERS * sizeof(*counters),
                    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (counters == MAP_FAILED) {
        abort();
    }
    close(fd);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (_IOC_TYPE(request) == IOMMUFD_TYPE) {
        __atomic_fetch_add(&counters[_IOC_NR(request)], 1, __ATOMIC_RELAXED);
    }
    return syscall(SYS_ioctl, fd, request, arg);
}
