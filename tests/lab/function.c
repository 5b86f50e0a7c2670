/*
 * Drives a dma-testdev that has no driver, beside another function of its
 * slot that has one: one step a line, for steps.py
 *
 * Called with the PCI addresses of both. Linux has one group of them, and so
 * what its driver maps for the other function is mapped for this one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/pci_regs.h>

#include "steps.h"

#define BAR_BYTES 0x1000

/* Registers of dma-testdev, in 64-bit words */
enum { SRC, DST, START = 3, RESULT, DATA = 11 };

/* What it is started to do, and the answer that all is well */
enum { LOAD = 2, STORE = 3 };
#define DONE 1

static volatile uint64_t *registers, *others;
static uint64_t last;

static int open_file(const char *address, const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, name);
    return open(path, O_RDWR);
}

/* Returns: BAR 0 of the device at @address, or NULL */
static volatile uint64_t *open_function(const char *address)
{
    int fd = open_file(address, "resource0");
    void *mapped;

    if (fd < 0) {
        return NULL;
    }
    mapped = mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return mapped == MAP_FAILED ? NULL : mapped;
}

static bool enable(const char *address)
{
    uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    int fd = open_file(address, "config");
    bool enabled = pwrite(fd, &command, sizeof(command), PCI_COMMAND) ==
                   sizeof(command);

    close(fd);
    return enabled;
}

/* Returns: what dma-testdev answers, or 0 where it has read something else */
static uint64_t check(uint64_t iova)
{
    registers[DATA] = ++last;
    registers[DST] = iova;
    registers[START] = STORE;
    if (registers[RESULT] != DONE) {
        return registers[RESULT];
    }
    registers[DATA] = 0;
    registers[SRC] = iova;
    registers[START] = LOAD;
    return registers[RESULT] != DONE || registers[DATA] == last ?
           registers[RESULT] : 0;
}

static int take_step(const char *line, uint64_t *out)
{
    struct pollfd next = { .fd = STDIN_FILENO, .events = POLLIN };
    char name[16] = "";
    uint64_t arg;
    int args = sscanf(line, "%15s %" SCNx64, name, &arg) - 1;

    /* register OFFSET: 64 bits of the other function's BAR 0 */
    if (!strcmp(name, "register") && args == 1) {
        out[0] = others[arg / sizeof(*others)];
        return 1;
    }
    /* check IOVA: write 8 bytes there and read them; what comes of it */
    if (!strcmp(name, "check") && args == 1) {
        out[0] = check(arg);
        return 1;
    }
    /* busy IOVA: the same until the next step; how often, and not right */
    if (!strcmp(name, "busy") && args == 1) {
        do {
            out[0]++;
            out[1] += check(arg) != DONE;
        } while (poll(&next, 1, 0) == 0);
        return 2;
    }
    errno = ENOSYS;
    return -1;
}

int main(int argc, char **argv)
{
    setlinebuf(stdout);
    if (argc != 3 || !enable(argv[1]) ||
        !(registers = open_function(argv[1])) ||
        !(others = open_function(argv[2]))) {
        printf("error %d\n", errno);
        return 1;
    }
    answer_steps(take_step);
    return 0;
}
