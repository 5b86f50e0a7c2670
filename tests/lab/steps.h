/*
 * Programs that do one step a line, for steps.py, and drive a device by VFIO
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef LAB_STEPS_H
#define LAB_STEPS_H

#include <stdint.h>

/*
 * Does the step in @line, with at most two numbers that come of it in @out.
 * Returns: how many; -1 with errno where it failed.
 */
typedef int TakeStep(const char *line, uint64_t *out);

/* Take steps from standard input until it ends; says "ok" before the first */
void answer_steps(TakeStep *take_step);

/* Returns: BAR 0 of VFIO's @device, which can do DMA then, or NULL */
volatile uint64_t *open_bar(int device);

#endif
