/*
 * Accessed and Dirty in a first stage's entries
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "vtd-dma.h"

typedef struct Setup {
    VtdGuest *guest;
    VtdDevice *dev;
    VtdStage first;
    uint64_t entry[5];      /* by level */
    unsigned int leaf;
} Setup;

static void set_up(Setup *setup, const char *options, unsigned int leaf)
{
    unsigned int level;

    setup->guest = start_scalable(options);
    setup->dev = &setup->guest->dev[0];
    setup->first = vtd_first_stage(setup->guest);
    setup->leaf = leaf;
    vtd_map(&setup->first, NARROW_IOVA, 1 * GiB, leaf);
    for (level = leaf; level <= 4; level++) {
        setup->entry[level] = vtd_entry(&setup->first, NARROW_IOVA, level);
    }
    vtd_use_first(setup->dev, &setup->first, DOMAIN);
    vtd_change(setup->guest, setup->dev->pasid_entry, 0, PASID_AW(4));
}

static void set_flags(Setup *setup, uint64_t flags)
{
    unsigned int level;

    for (level = setup->leaf; level <= 4; level++) {
        vtd_change(setup->guest, setup->entry[level], FS_A | FS_D,
                   level == setup->leaf ? flags : flags & FS_A);
    }
    vtd_invalidate_pasid(setup->guest, DOMAIN, setup->dev->pasid);
}

static void assert_flags(Setup *setup, uint64_t leaf_flags)
{
    unsigned int level;

    for (level = setup->leaf; level <= 4; level++) {
        g_assert_cmphex(vtd_load(setup->guest, setup->entry[level]) &
                        (FS_A | FS_D), ==,
                        level == setup->leaf ? leaf_flags : FS_A);
    }
}

/* Whatever was set before, and whether the page is cached or not */
static void test_flags(const void *leaf)
{
    static const uint64_t before[] = { 0, FS_A, FS_D, FS_A | FS_D };
    uint64_t iova = NARROW_IOVA, at = 1 * GiB;
    Setup setup;
    int i;

    set_up(&setup, FIRST_STAGE, GPOINTER_TO_UINT(leaf));
    for (i = 0; i < ARRAY_SIZE(before); i++) {
        set_flags(&setup, before[i]);
        assert_writes(setup.dev, iova, at);
        assert_flags(&setup, FS_A | FS_D);

        set_flags(&setup, before[i]);
        assert_reads(setup.dev, iova, at);
        assert_flags(&setup, before[i] | FS_A);
        /* now it is cached */
        assert_writes(setup.dev, iova, at);
        assert_flags(&setup, FS_A | FS_D);
        assert_writes(setup.dev, iova, at);
        assert_reads(setup.dev, iova, at);
    }
    vtd_quit(setup.guest);
}

/*
 * A table that is code too: the entry at CODE + 8 has the loop's constant for
 * its lowest byte, which is where the flags are, and for an address what jumps
 * on to behind it.
 */
#define CODE            0x8000
#define ENTRY           (CODE + 8)
#define PAGE            0x5e000
#define CONSTANT        0x5000      /* what the loop has stored at last */
#define ROUNDS          0x5008      /* how often, 16 bits */

static const uint8_t code[] = {
    0xeb, 0x05,                                 /*       jmp loop */
    0x90, 0x90, 0x90, 0x90, 0x90,
    0xb0,                                       /* loop: mov $FS_ALL, %al */
    0x07, 0xeb, 0x05, 0, 0, 0, 0, 0,            /*       jmp next */
    0xa2, 0x00, 0x50,                           /* next: mov %al, CONSTANT */
    0xff, 0x06, 0x08, 0x50,                     /*       incw ROUNDS */
    0xeb, 0xee,                                 /*       jmp loop */
};

/* A ROM, which jumps to CODE */
static char *create_rom(void)
{
    g_autofree uint8_t *rom = g_malloc0(64 * KiB);
    static const uint8_t reset[] = { 0xea, 0x00, 0x80, 0x00, 0x00 };
    g_autoptr(GError) err = NULL;
    char *path;
    int fd = g_file_open_tmp("vtd-rom-XXXXXX", &path, &err);

    g_assert_no_error(err);
    memcpy(rom + 64 * KiB - 16, reset, sizeof(reset));
    g_assert_cmpint(qemu_write_full(fd, rom, 64 * KiB), ==, 64 * KiB);
    close(fd);
    return path;
}

/* Until a round of the loop is over that began after this was called */
static void wait_round(VtdGuest *guest)
{
    int i;

    for (i = 0; i < 2; i++) {
        uint64_t rounds = vtd_load(guest, ROUNDS);

        while (vtd_load(guest, ROUNDS) == rounds) {
            g_thread_yield();
        }
    }
}

static void assert_constant(Setup *setup, uint64_t constant)
{
    wait_round(setup->guest);
    g_assert_cmphex(vtd_load(setup->guest, ENTRY) & 0xff, ==, constant);
    g_assert_cmphex(vtd_load(setup->guest, CONSTANT), ==, constant);
}

/* Code that was translated goes as a flag is set in it */
static void test_code(void)
{
    g_autofree char *rom = create_rom();
    g_autofree char *options = g_strdup_printf(
        FIRST_STAGE " -accel tcg -S -bios %s", rom);
    uint64_t iova = NARROW_IOVA + VTD_PAGE;
    uint64_t data;
    Setup setup;
    int i;

    set_up(&setup, options, 1);
    unlink(rom);
    for (i = 0; i < sizeof(code); i += 8) {
        uint8_t word[8] = { };

        memcpy(word, code + i, MIN(8, sizeof(code) - i));
        vtd_store(setup.guest, CODE + i, ldq_le_p(word));
    }
    vtd_store(setup.guest, setup.entry[2], CODE | FS_ALL);
    vtd_invalidate_pasid(setup.guest, DOMAIN, setup.dev->pasid);
    qtest_qmp_assert_success(setup.guest->qts, "{ 'execute': 'cont' }");
    assert_constant(&setup, FS_ALL);

    g_assert_true(vtd_device_load(setup.dev, iova, &data));
    assert_constant(&setup, FS_ALL | FS_A);

    g_assert_true(vtd_device_store(setup.dev, iova, 0x1234));
    g_assert_cmphex(vtd_load(setup.guest, PAGE), ==, 0x1234);
    assert_constant(&setup, FS_ALL | FS_A | FS_D);
    vtd_quit(setup.guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/intel-iommu/accessed/4K", GUINT_TO_POINTER(1),
                        test_flags);
    qtest_add_data_func("/intel-iommu/accessed/2M", GUINT_TO_POINTER(2),
                        test_flags);
    qtest_add_data_func("/intel-iommu/accessed/1G", GUINT_TO_POINTER(3),
                        test_flags);
    if (qtest_has_accel("tcg")) {
        qtest_add_func("/intel-iommu/accessed/code", test_code);
    }
    return g_test_run();
}
