/*
 * Fails one of the calls by which a QEMU that runs asks VFIO and iommufd in
 * the host's kernel, instead of making it, and writes down what became of each
 *
 * Loaded before libc by failing-qemu. What is to be failed, and what was seen,
 * is in /run/failure; failing.py writes and reads it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/iommufd.h>

#define CALLS 4096      /* that are written down; those after are not */

static struct {
    uint64_t failing;   /* the call that fails, from 1; 0 for none */
    uint64_t error;     /* its errno */
    uint64_t made;      /* calls so far, the one that failed among them */
    struct {
        uint8_t number; /* of the ioctl; VFIO's and iommufd's are unlike */
        uint8_t error;
    } calls[CALLS];
} *file;

__attribute__((constructor))
static void open_file(void)
{
    int fd = open("/run/failure", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, sizeof(*file))) {
        abort();
    }
    file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                0);
    if (file == MAP_FAILED) {
        abort();
    }
    close(fd);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    uint64_t call;
    void *arg;
    int ret;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (_IOC_TYPE(request) != IOMMUFD_TYPE) {
        return syscall(SYS_ioctl, fd, request, arg);
    }
    call = __atomic_add_fetch(&file->made, 1, __ATOMIC_RELAXED);
    if (call == file->failing) {
        errno = file->error;
        ret = -1;
    } else {
        ret = syscall(SYS_ioctl, fd, request, arg);
    }
    if (call <= CALLS) {
        file->calls[call - 1].number = _IOC_NR(request);
        file->calls[call - 1].error = ret == -1 ? errno : 0;
    }
    return ret;
}
