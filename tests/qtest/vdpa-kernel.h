/*
 * vDPA devices without a kernel that has any
 *
 * A library for QEMU, loaded before libc: its ioctl() answers what is asked of
 * the files below, which every Linux has, as vhost-vdpa's character devices do.
 * The devices are never started.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_VDPA_KERNEL_H
#define TESTS_VDPA_KERNEL_H

/* IOVAs of 39 and 48 bits, and of all 64 */
#define VDPA_39             "/dev/null"
#define VDPA_48             "/dev/zero"
#define VDPA_64             "/dev/full"
/*
 * 39 bits from 1 MiB on, two queue pairs, and a control queue that can have an
 * address space of its own
 */
#define VDPA_MULTIQUEUE     "/dev/random"
/* 39 bits, and does not do without guest-physical addresses */
#define VDPA_NO_PLATFORM    "/dev/urandom"

/* Names a file in the environment, to which each request is appended */
#define VDPA_KERNEL_LOG     "VDPA_KERNEL_LOG"

/**
 * vdpa_kernel_load() - have each QEMU that is started from now on load it
 */
void vdpa_kernel_load(void);

#endif /* TESTS_VDPA_KERNEL_H */
