/*
 * A vCPU that reads a register again and again, while a device's memory comes
 * and goes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "libqtest.h"
#include "libqos/pci-pc.h"

#define ROM_BYTES 0x10000
#define ENTRY 0xff00            /* in the ROM, which ends at 1 MiB and 4 GiB */
#define RESET_VECTOR 0xfff0

/* What the program leaves in memory: how often it read, and what else */
#define ROUNDS 0x1000
#define WRONG 0x1004

#define HPET_ID 0x8086a201      /* IA-PC HPET 1.0a, 2.3.4, with three timers */
#define BAR 0xe0000000
#define TOGGLES 8000

/* Reads the HPET's first register, whose section stands after each BAR's */
static const uint8_t program[] = {
    0x2e, 0x66, 0x0f, 0x01, 0x16, 0x60, 0xff,   /* lgdt cs:[gdtr] */
    0x0f, 0x20, 0xc0,                           /* mov eax, cr0 */
    0x0c, 0x01,                                 /* or al, 1 */
    0x0f, 0x22, 0xc0,                           /* mov cr0, eax */
    0xb8, 0x08, 0x00,                           /* mov ax, 8 */
    0x8e, 0xd8,                                 /* mov ds, ax */
    /* again: */
    0x67, 0x66, 0xa1, 0x00, 0x00, 0xd0, 0xfe,   /* mov eax, [0xfed00000] */
    0x66, 0x3d, 0x01, 0xa2, 0x86, 0x80,         /* cmp eax, HPET_ID */
    0x74, 0x05,                                 /* je right */
    0x66, 0xff, 0x06, 0x04, 0x10,               /* inc dword [WRONG] */
    /* right: */
    0x66, 0xff, 0x06, 0x00, 0x10,               /* inc dword [ROUNDS] */
    0x8b, 0x0e, 0x00, 0x10,                     /* mov cx, [ROUNDS] */
    0x81, 0xe1, 0xff, 0x00,                     /* and cx, 255 */
    0x41,                                       /* inc cx */
    0xe2, 0xfe,                                 /* wait: loop wait */
    0xeb, 0xda,                                 /* jmp again */
};

/* One segment beside the null one: data, flat, 4 GiB */
static const uint8_t gdt[] = {
    0, 0, 0, 0, 0, 0, 0, 0,
    0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0,
};
static const uint8_t gdtr[] = {
    sizeof(gdt) - 1, 0, 0x70, 0xff, 0x0f, 0x00,
};
static const uint8_t reset_vector[] = { 0xe9, 0x0d, 0xff };  /* jmp ENTRY */

static char *make_rom(void)
{
    g_autofree char *rom = g_malloc(ROM_BYTES);
    char *path;
    int fd;

    memset(rom, 0xf4, ROM_BYTES);       /* hlt */
    memcpy(rom + ENTRY, program, sizeof(program));
    memcpy(rom + 0xff60, gdtr, sizeof(gdtr));
    memcpy(rom + 0xff70, gdt, sizeof(gdt));
    memcpy(rom + RESET_VECTOR, reset_vector, sizeof(reset_vector));
    fd = g_file_open_tmp("tlb-view-XXXXXX", &path, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, rom, ROM_BYTES), ==, ROM_BYTES);
    close(fd);
    return path;
}

static void await_rounds(QTestState *qts, uint32_t more)
{
    uint32_t before = qtest_readl(qts, ROUNDS);

    while (qtest_readl(qts, ROUNDS) - before < more) {
        /* the program runs on */
    }
}

static void test_bar_comes_and_goes(void)
{
    g_autofree char *rom = make_rom();
    /* the more address spaces, the longer a change of memory takes */
    QTestState *qts = qtest_initf("-machine q35,hpet=on -accel tcg "
                                  "-nodefaults -bios %s -device intel-iommu "
                                  "-device edu,addr=4 -device edu "
                                  "-device edu -device edu -device edu "
                                  "-device edu -device edu -device edu", rom);
    QPCIBus *bus = qpci_new_pc(qts, NULL);
    QPCIDevice *edu = qpci_device_find(bus, QPCI_DEVFN(4, 0));

    qpci_config_writel(edu, PCI_BASE_ADDRESS_0, BAR);
    await_rounds(qts, 1000);
    for (int i = 0; i < TOGGLES; i++) {
        qpci_config_writew(edu, PCI_COMMAND, PCI_COMMAND_MEMORY);
        qpci_config_writew(edu, PCI_COMMAND, 0);
    }
    await_rounds(qts, 1000);
    g_assert_cmphex(qtest_readl(qts, WRONG), ==, 0);

    g_free(edu);
    qpci_free_pc(bus);
    qtest_quit(qts);
    unlink(rom);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!qtest_has_accel("tcg")) {
        g_test_skip("no TCG");
        return 0;
    }
    qtest_add_func("/tlb-view/bar-comes-and-goes", test_bar_comes_and_goes);
    return g_test_run();
}
