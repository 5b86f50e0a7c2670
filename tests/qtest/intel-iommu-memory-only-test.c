/*
 * Structures that a guest says are where a device has its registers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-dma.h"

#define REGISTERS           0xfed90000ULL
#define GCMD                0x18
#define FSTS                0x34
#define IQT                 0x88
#define IQA                 0x90
#define IRTA                0xb8
#define GCMD_SIRTP          BIT(24)
#define GCMD_IRE            BIT(25)
#define GCMD_TE             BIT(31)
#define GCMD_QIE            BIT(26)
#define FSTS_IQE            BIT(4)
#define IOREGSEL            0xfec00000ULL
#define WAIT_STATUS         (5 | BIT(5))

/* VT-d 7.1.3 and 5.1.4.1: it cannot be read */
#define LRT_1               0x08
#define LCT_1               0x09
#define LCT_4               0x03
#define LSS_1               0x07
#define SPD_1               0x50
#define SPT_1               0x58
#define SFS_4               0x73
#define SFS_1               0x70
#define RTA_1               0x23

/* Where a device has registers */
static uint64_t bar(VtdGuest *guest)
{
    return guest->dev[1].bar.addr;
}

static void assert_denied(VtdDevice *dev, unsigned int reason)
{
    VtdFault fault;

    vtd_invalidate_context_global(dev->guest);
    vtd_invalidate_iotlb_global(dev->guest);
    g_assert_cmpuint(vtd_copy(dev, NARROW_IOVA, VTD_WINDOW, 8), ==,
                     DMA_TESTDEV_READ_FAILED);
    fault = vtd_take_fault(dev->guest);
    g_assert_true(fault.recorded);
    g_assert_cmphex(fault.reason, ==, reason);
}

/* Puts the structure that the entry at @at names there, for a moment */
static void try_structure(VtdDevice *dev, uint64_t at, unsigned int reason)
{
    uint64_t old = vtd_load(dev->guest, at);

    vtd_change(dev->guest, at, ENTRY_ADDRESS, bar(dev->guest));
    assert_denied(dev, reason);
    vtd_store(dev->guest, at, old);
}

static void test_legacy(void)
{
    VtdGuest *guest = vtd_start("");
    VtdDevice *dev = &guest->dev[0];
    VtdStage second = vtd_second_stage(guest, 4);

    vtd_set_up_legacy(guest);
    vtd_map(&second, NARROW_IOVA, FRAME(0), 1);
    vtd_use_legacy(dev, &second, DOMAIN);
    vtd_enable(guest);
    try_structure(dev, guest->root, LCT_1);
    try_structure(dev, dev->context, LCT_4);
    try_structure(dev, vtd_entry(&second, NARROW_IOVA, 2), LSS_1);
    assert_reads(dev, NARROW_IOVA, FRAME(0));
    vtd_quit(guest);
}

static void test_root(void)
{
    VtdGuest *guest = vtd_start("");

    vtd_set_root(guest, bar(guest));
    vtd_enable(guest);
    assert_denied(&guest->dev[0], LRT_1);
    vtd_quit(guest);
}

static void test_scalable(const void *first_stage)
{
    VtdGuest *guest = start_scalable(first_stage ? FIRST_STAGE : SCALABLE);
    VtdDevice *dev = &guest->dev[0];
    VtdStage stage = first_stage ? vtd_first_stage(guest) :
                                   vtd_second_stage(guest, 4);

    vtd_map(&stage, NARROW_IOVA, FRAME(0), 1);
    if (first_stage) {
        vtd_use_first(dev, &stage, DOMAIN);
        vtd_change(guest, dev->pasid_entry, 0, PASID_AW(4));
        try_structure(dev, dev->pasid_entry + 16, SFS_4);
    } else {
        vtd_use_second(dev, &stage, DOMAIN);
        try_structure(dev, dev->pasid_entry, LCT_4);
    }
    try_structure(dev, guest->root, LCT_1);
    try_structure(dev, dev->context, SPD_1);
    try_structure(dev, dev->pasid_dir, SPT_1);
    try_structure(dev, vtd_entry(&stage, NARROW_IOVA, 2),
                  first_stage ? SFS_1 : LSS_1);
    assert_reads(dev, NARROW_IOVA, FRAME(0));
    vtd_quit(guest);
}

static bool is_queue_error(VtdGuest *guest)
{
    return qtest_readl(guest->qts, REGISTERS + FSTS) & FSTS_IQE;
}

/* A device's registers hold a descriptor that is one */
static void test_queue(void)
{
    VtdGuest *guest = vtd_start("");
    VtdDevice *dev = &guest->dev[1];

    vtd_set_up_legacy(guest);
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_SRC,
                   WAIT_STATUS | 0x12345678ULL << 32);
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_DST, FRAME(0));
    vtd_writeq(guest, IQT, 0);
    vtd_writeq(guest, IQA, bar(guest));
    qtest_writel(guest->qts, REGISTERS + GCMD, GCMD_QIE);
    g_assert_false(is_queue_error(guest));
    vtd_writeq(guest, IQT, 16);
    g_assert_true(is_queue_error(guest));
    g_assert_cmphex(vtd_load(guest, FRAME(0)), ==, 0);
    vtd_quit(guest);
}

/* Nor is a status written to a device's registers */
static void test_status(void)
{
    VtdGuest *guest = vtd_start("");
    uint32_t old;

    vtd_set_up_legacy(guest);
    vtd_enable(guest);
    old = qtest_readl(guest->qts, IOREGSEL);
    vtd_store(guest, guest->queue, WAIT_STATUS | (uint64_t)(old ^ 0x11) << 32);
    vtd_store(guest, guest->queue + 8, IOREGSEL);
    vtd_writeq(guest, IQT, 16);
    g_assert_true(is_queue_error(guest));
    g_assert_cmphex(qtest_readl(guest->qts, IOREGSEL), ==, old);
    vtd_quit(guest);
}

static void test_interrupts(void)
{
    VtdGuest *guest = vtd_start(",intremap=on");
    VtdDevice *dev = &guest->dev[0];
    VtdStage second = vtd_second_stage(guest, 4);
    VtdFault fault;

    vtd_set_up_legacy(guest);
    vtd_use_legacy(dev, &second, DOMAIN);
    vtd_enable(guest);
    vtd_writeq(guest, IRTA, bar(guest));
    qtest_writel(guest->qts, REGISTERS + GCMD, GCMD_TE | GCMD_QIE | GCMD_SIRTP);
    qtest_writel(guest->qts, REGISTERS + GCMD, GCMD_TE | GCMD_QIE | GCMD_IRE);
    /* remappable format, entry 0 */
    vtd_copy(dev, VTD_WINDOW, VTD_INTERRUPTS | BIT(4), 4);
    fault = vtd_take_fault(guest);
    g_assert_true(fault.recorded);
    g_assert_cmphex(fault.reason, ==, RTA_1);
    vtd_quit(guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/intel-iommu/memory-only/root", test_root);
    qtest_add_func("/intel-iommu/memory-only/legacy", test_legacy);
    qtest_add_data_func("/intel-iommu/memory-only/second-stage", NULL,
                        test_scalable);
    qtest_add_data_func("/intel-iommu/memory-only/first-stage",
                        GINT_TO_POINTER(1), test_scalable);
    qtest_add_func("/intel-iommu/memory-only/queue", test_queue);
    qtest_add_func("/intel-iommu/memory-only/status", test_status);
    qtest_add_func("/intel-iommu/memory-only/interrupts", test_interrupts);
    return g_test_run();
}
