/*
 * intel-iommu's tables and pages above the addresses that devices use
 *
 * A guest with more RAM than 2^39 bytes behind an intel-iommu of 39 bits.
 * Every structure is in the upper RAM; edu is the device that uses them.
 * Layouts are written down here from the VT-d specification.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqtest.h"
#include "libqos/pci-pc.h"

#define ARGS \
    "-M q35,memory-backend=ram -nodefaults -m 600G" \
    " -object memory-backend-ram,id=ram,size=600G,reserve=off" \
    " -device intel-iommu,aw-bits=39,intremap=on -device edu,addr=4"

#define IOMMU               0xfed90000
#define GCMD                0x18
#define GSTS                0x1c
#define RTADDR              0x20
#define FSTS                0x34
#define IQT                 0x88
#define IQA                 0x90
#define IRTA                0xb8
#define SIRTP               BIT(24)
#define IRE                 BIT(25)
#define QIE                 BIT(26)
#define SRTP                BIT(30)
#define TE                  BIT(31)

/* Where a register of 39 bits sees 2 MiB */
#define HIGH                (BIT_ULL(39) + 2 * MiB)
#define ROOT                (HIGH + 0x0000)
#define CONTEXT             (HIGH + 0x1000)
#define TABLE(level)        (HIGH + 0x1000 + (level) * 0x1000)
#define QUEUE               (HIGH + 0x5000)
#define INTERRUPTS          (HIGH + 0x6000)
#define STATUS              (HIGH + 0x7000)
#define PAGE                (HIGH + 0x8000)

#define IOVA                (1 * MiB)
#define EDU                 QPCI_DEVFN(4, 0)
#define EDU_BUFFER          0x40000
/* More than edu needs, in ns */
#define DMA_TIME            200000000

typedef struct Vm {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *edu;
    QPCIBar bar;
    uint32_t gsts;
} Vm;

static void vm_start(Vm *vm)
{
    vm->qts = qtest_init(ARGS);
    vm->bus = qpci_new_pc(vm->qts, NULL);
    vm->edu = qpci_device_find(vm->bus, EDU);
    g_assert_nonnull(vm->edu);
    qpci_device_enable(vm->edu);
    vm->bar = qpci_iomap(vm->edu, 0, NULL);
    vm->gsts = 0;
}

static void vm_quit(Vm *vm)
{
    g_free(vm->edu);
    qpci_free_pc(vm->bus);
    qtest_quit(vm->qts);
}

/* Sets a bit of GCMD that stays, or does once what one of the others does */
static void command(Vm *vm, uint32_t bit)
{
    qtest_writel(vm->qts, IOMMU + GCMD, vm->gsts | bit);
    g_assert_cmphex(qtest_readl(vm->qts, IOMMU + GSTS) & bit, ==, bit);
    if (bit & (TE | QIE | IRE)) {
        vm->gsts |= bit;
    }
}

static void test_queue(void)
{
    Vm vm;

    vm_start(&vm);
    /* a wait that writes its status */
    qtest_writeq(vm.qts, QUEUE, 5 | BIT(5) | 0x1234ULL << 32);
    qtest_writeq(vm.qts, QUEUE + 8, STATUS);
    qtest_writeq(vm.qts, IOMMU + IQA, QUEUE);
    command(&vm, QIE);
    qtest_writeq(vm.qts, IOMMU + IQT, 16);
    g_assert_cmphex(qtest_readl(vm.qts, STATUS), ==, 0x1234);
    g_assert_cmphex(qtest_readl(vm.qts, IOMMU + FSTS), ==, 0);
    vm_quit(&vm);
}

/* Tables and pages of legacy mode: what is above is translated through them */
static void test_translation(void)
{
    static const unsigned int shifts[] = { 0, 12, 21, 30 };
    Vm vm;
    int level;

    vm_start(&vm);
    qtest_writeq(vm.qts, ROOT, CONTEXT | 1);
    qtest_writeq(vm.qts, CONTEXT + EDU * 16, TABLE(3) | 1);
    /* domain 1, page tables of three levels */
    qtest_writeq(vm.qts, CONTEXT + EDU * 16 + 8, 1 << 8 | 1);
    for (level = 3; level > 0; level--) {
        uint64_t index = IOVA >> shifts[level] & 0x1ff;

        qtest_writeq(vm.qts, TABLE(level) + index * 8,
                     (level > 1 ? TABLE(level - 1) : PAGE) | 3);
    }
    qtest_writeq(vm.qts, PAGE, 0x0123456789abcdef);
    qtest_writeq(vm.qts, IOMMU + RTADDR, ROOT);
    command(&vm, SRTP);
    command(&vm, TE);

    /* source, destination, count, and start: in, and out again */
    qpci_io_writeq(vm.edu, vm.bar, 0x80, IOVA);
    qpci_io_writeq(vm.edu, vm.bar, 0x88, EDU_BUFFER);
    qpci_io_writeq(vm.edu, vm.bar, 0x90, 8);
    qpci_io_writeq(vm.edu, vm.bar, 0x98, 1);
    qtest_clock_step(vm.qts, DMA_TIME);
    qpci_io_writeq(vm.edu, vm.bar, 0x80, EDU_BUFFER);
    qpci_io_writeq(vm.edu, vm.bar, 0x88, IOVA + 8);
    qpci_io_writeq(vm.edu, vm.bar, 0x98, 3);
    qtest_clock_step(vm.qts, DMA_TIME);
    g_assert_cmphex(qtest_readl(vm.qts, IOMMU + FSTS), ==, 0);
    g_assert_cmphex(qtest_readq(vm.qts, PAGE + 8), ==, 0x0123456789abcdef);
    vm_quit(&vm);
}

/* Has edu send the interrupt of entry 0; returns FSTS, of which faults are */
static uint32_t interrupt(Vm *vm)
{
    uint8_t msi = qpci_find_capability(vm->edu, PCI_CAP_ID_MSI, 0);

    g_assert_cmpuint(msi, !=, 0);
    qpci_config_writel(vm->edu, msi + PCI_MSI_ADDRESS_LO, 0xfee00010);
    qpci_config_writel(vm->edu, msi + PCI_MSI_ADDRESS_HI, 0);
    qpci_config_writew(vm->edu, msi + PCI_MSI_DATA_64, 0);
    qpci_config_writew(vm->edu, msi + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT |
                                                     PCI_MSI_FLAGS_ENABLE);
    qpci_io_writel(vm->edu, vm->bar, 0x60, 1);
    return qtest_readl(vm->qts, IOMMU + FSTS);
}

static void test_interrupts(void)
{
    int present;
    Vm vm;

    for (present = 0; present < 2; present++) {
        vm_start(&vm);
        qtest_writeq(vm.qts, INTERRUPTS, 0x40 << 16 | present);
        qtest_writeq(vm.qts, IOMMU + IRTA, INTERRUPTS | 7);
        command(&vm, SIRTP);
        command(&vm, IRE);
        g_assert_cmpint(!interrupt(&vm), ==, present);
        vm_quit(&vm);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!qtest_has_device("intel-iommu") || !qtest_has_device("edu")) {
        return g_test_run();
    }
    qtest_add_func("/intel-iommu-haw/queue", test_queue);
    qtest_add_func("/intel-iommu-haw/translation", test_translation);
    qtest_add_func("/intel-iommu-haw/interrupts", test_interrupts);
    return g_test_run();
}
