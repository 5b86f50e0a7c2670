/*
 * Accesses of all sizes to all offsets of intel-iommu's register page
 *
 * The same values are written to two VMs: to one as they are, to the other by
 * aligned 32 bits, or not at all where VT-d 11.1 has no such access. All
 * registers must be equal then, and a write of 32 bits may only have changed
 * its own register and those that the specification makes depend on it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "libqtest.h"

#define REGISTERS           0xfed90000ULL
#define REGISTERS_SIZE      0x230
#define PAGE                (4 * KiB)

/* VT-d 11.4 */
#define GCMD                0x18
#define GSTS                0x1c
#define FSTS                0x34
#define FECTL               0x38
#define IQH                 0x80
#define IQT                 0x88
#define IQA                 0x90
#define ICS                 0x9c
#define IECTL               0xa0
#define FRCD_HIGH           0x22c

/* What a write to a register changes beside it */
static const struct {
    unsigned int reg, changes[6];
} dependent[] = {
    { GCMD, { GSTS, IQH, IQA, IQA + 4, FSTS, FECTL } },
    { IQT, { IQH, FSTS, FECTL, ICS, IECTL } },
    { FSTS, { FECTL } },
    { ICS, { IECTL } },
    { FRCD_HIGH, { FSTS } },
};

typedef struct Vms {
    QTestState *whole, *pieces;
    uint8_t before[REGISTERS_SIZE];
} Vms;

static bool may_change(unsigned int written, unsigned int reg)
{
    int i, j;

    for (i = 0; i < ARRAY_SIZE(dependent); i++) {
        for (j = 0; dependent[i].reg == written && j < 6; j++) {
            if (dependent[i].changes[j] == reg) {
                return true;
            }
        }
    }
    return written == reg;
}

static void check_registers(Vms *vms, unsigned int offset, unsigned int size,
                            uint64_t value)
{
    uint8_t whole[REGISTERS_SIZE], pieces[REGISTERS_SIZE];
    unsigned int reg;

    qtest_memread(vms->whole, REGISTERS, whole, REGISTERS_SIZE);
    qtest_memread(vms->pieces, REGISTERS, pieces, REGISTERS_SIZE);
    for (reg = 0; reg < REGISTERS_SIZE; reg += 4) {
        uint32_t is = ldl_le_p(whole + reg), must = ldl_le_p(pieces + reg);

        if (is != must) {
            g_error("0x%" PRIx64 " of %u bytes to 0x%x: register 0x%x is 0x%x,"
                    " not 0x%x", value, size, offset, reg, is, must);
        }
        if (size == 4 && is != ldl_le_p(vms->before + reg) &&
            !may_change(offset, reg)) {
            g_error("0x%" PRIx64 " to 0x%x: changed register 0x%x to 0x%x",
                    value, offset, reg, is);
        }
    }
    memcpy(vms->before, whole, REGISTERS_SIZE);
}

static void write_whole(QTestState *qts, uint64_t addr, unsigned int size,
                        uint64_t value)
{
    switch (size) {
    case 1:
        qtest_writeb(qts, addr, value);
        break;
    case 2:
        qtest_writew(qts, addr, value);
        break;
    case 4:
        qtest_writel(qts, addr, value);
        break;
    default:
        qtest_writeq(qts, addr, value);
    }
}

static uint64_t read_whole(QTestState *qts, uint64_t addr, unsigned int size)
{
    switch (size) {
    case 1:
        return qtest_readb(qts, addr);
    case 2:
        return qtest_readw(qts, addr);
    case 4:
        return qtest_readl(qts, addr);
    default:
        return qtest_readq(qts, addr);
    }
}

static void write_pieces(QTestState *qts, uint64_t addr, unsigned int size,
                         uint64_t value)
{
    unsigned int i;

    for (i = 0; addr % 4 == 0 && i < size / 4; i++) {
        qtest_writel(qts, addr + i * 4, value >> (i * 32));
    }
}

static uint64_t read_pieces(QTestState *qts, uint64_t addr, unsigned int size)
{
    uint64_t value = 0;
    unsigned int i;

    for (i = 0; addr % 4 == 0 && i < size / 4; i++) {
        value |= (uint64_t)qtest_readl(qts, addr + i * 4) << (i * 32);
    }
    return value;
}

static void check_access(Vms *vms, unsigned int offset, unsigned int size,
                         uint64_t value)
{
    uint64_t addr = REGISTERS + offset;

    write_whole(vms->whole, addr, size, value);
    write_pieces(vms->pieces, addr, size, value);
    /* where there is no register, one comparison for many will do */
    if (offset < REGISTERS_SIZE || (offset % 64 == 63 && size == 8)) {
        check_registers(vms, offset, size, value);
    }
    g_assert_cmphex(read_whole(vms->whole, addr, size), ==,
                    read_pieces(vms->pieces, addr, size));
}

static void test_page(const void *options)
{
    g_autofree char *args = g_strdup_printf("-nodefaults -M q35 -m 64M"
                                            " -device intel-iommu%s",
                                            (const char *)options);
    Vms vms = { qtest_init(args), qtest_init(args) };
    GRand *rand = g_rand_new_with_seed(14);
    unsigned int offset, size, i;

    qtest_memread(vms.whole, REGISTERS, vms.before, REGISTERS_SIZE);
    for (offset = 0; offset < PAGE; offset++) {
        unsigned int values = offset < REGISTERS_SIZE ? 3 : 1;

        for (size = 1; size <= 8; size *= 2) {
            for (i = 0; i < values; i++) {
                uint64_t value = (uint64_t)g_rand_int(rand) << 32 |
                                 g_rand_int(rand);

                check_access(&vms, offset, size,
                             i == 0 ? UINT64_MAX : i == 1 ? 0 : value);
            }
        }
    }
    g_rand_free(rand);
    qtest_quit(vms.pieces);
    qtest_quit(vms.whole);
}

/* In any order, so that each access meets many states of the others */
static void test_random(const void *options)
{
    g_autofree char *args = g_strdup_printf("-nodefaults -M q35 -m 64M"
                                            " -device intel-iommu%s",
                                            (const char *)options);
    Vms vms = { qtest_init(args), qtest_init(args) };
    GRand *rand = g_rand_new_with_seed(15);
    int i;

    qtest_memread(vms.whole, REGISTERS, vms.before, REGISTERS_SIZE);
    for (i = 0; i < 2000; i++) {
        /* in RAM, so that a queue or a table is found there */
        uint64_t value = g_rand_int(rand) & 0x3ffffff;

        if (g_rand_boolean(rand)) {
            value |= (uint64_t)g_rand_int(rand) << 32;
        }
        if (g_rand_boolean(rand)) {
            value |= g_rand_int(rand) & 0xff000000;
        }
        check_access(&vms, g_rand_int_range(rand, 0, REGISTERS_SIZE),
                     1 << g_rand_int_range(rand, 0, 4), value);
    }
    g_rand_free(rand);
    qtest_quit(vms.pieces);
    qtest_quit(vms.whole);
}

static void add(const char *mode, const char *options)
{
    g_autofree char *page = g_strdup_printf("/vtd/registers/%s/page", mode);
    g_autofree char *random = g_strdup_printf("/vtd/registers/%s/random", mode);

    qtest_add_data_func(page, options, test_page);
    qtest_add_data_func(random, options, test_random);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("legacy", "");
    add("scalable", ",x-scalable-mode=on");
    add("stage-1", ",x-scalable-mode=on,x-flts=on");
    return g_test_run();
}
