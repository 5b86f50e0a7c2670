/*
 * VMs that do not start, and devices that cannot be plugged
 *
 * Compares whole messages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_VM_REFUSAL_H
#define TESTS_VM_REFUSAL_H

#include "libqtest.h"

/**
 * assert_start_refused() - QEMU exits with status 1 and one line on stderr
 *
 * @cmdline: options, in shell syntax
 * @message: the line, without the program's name before it
 */
void assert_start_refused(const char *cmdline, const char *message);

/**
 * assert_device_refused() - the last -device of a command line is refused
 *
 * @cmdline: options, in shell syntax
 * @error: the line, without the program's name and the option before it
 */
void assert_device_refused(const char *cmdline, const char *error);

/**
 * assert_hotplug_refused() - device_add fails, and leaves no device
 *
 * @qts: the VM, in which @device's id is free
 * @device: arguments of device_add as JSON; has an id
 * @error: the whole description of the error
 */
void assert_hotplug_refused(QTestState *qts, const char *device,
                            const char *error);

/**
 * assert_hotplug() - device_add succeeds
 *
 * @qts: the VM
 * @device: arguments of device_add as JSON; has an id
 */
void assert_hotplug(QTestState *qts, const char *device);

/**
 * is_plugged() - is there a device of this id?
 *
 * @qts: the VM
 * @id: the device's id
 */
bool is_plugged(QTestState *qts, const char *id);

#endif /* TESTS_VM_REFUSAL_H */
