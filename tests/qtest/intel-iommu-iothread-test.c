/*
 * A disk whose IOThread does DMA that an intel-iommu refuses
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "libqtest.h"
#include "libqos/pci-pc.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_pci.h"

#define ROM_BYTES       0x10000
#define SLOT            4

/* Registers (VT-d 11.4) */
#define IOMMU           0xfed90000ULL
#define GCMD            0x18
#define GSTS            0x1c
#define RTADDR          0x20
#define FSTS            0x34
#define FECTL           0x38
#define FEDATA          0x3c
#define FEADDR          0x40
#define FRCD            0x220

#define GCMD_TE         BIT(31)
#define GCMD_SRTP       BIT(30)
#define FSTS_PPF        BIT(1)
#define FECTL_IM        BIT(31)
#define FECTL_IP        BIT(30)

#define NMI             0x400       /* a message's data */
#define NOT_PRESENT     1           /* the reason of a fault: a root entry */

#define ROOT_TABLE      0x100000
#define RINGS           0x200000

/* In the BAR of virtio's structures, as QEMU lays them out */
#define NOTIFY          0x3000

/* A CPU that runs, and does nothing */
static char *make_rom(void)
{
    g_autofree char *rom = g_malloc(ROM_BYTES);
    char *path;
    int fd;

    memset(rom, 0xf4, ROM_BYTES);       /* hlt */
    fd = g_file_open_tmp("iothread-XXXXXX", &path, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, rom, ROM_BYTES), ==, ROM_BYTES);
    close(fd);
    return path;
}

/* With a queue of which nothing can be read, once translation is on */
static void start_disk(QPCIDevice *dev, QPCIBar bar)
{
    uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
    unsigned int i;

    qpci_io_writeb(dev, bar, VIRTIO_PCI_COMMON_STATUS, status);
    qpci_io_writel(dev, bar, VIRTIO_PCI_COMMON_GFSELECT, 1);
    qpci_io_writel(dev, bar, VIRTIO_PCI_COMMON_GF,
                   BIT(VIRTIO_F_VERSION_1 - 32) |
                   BIT(VIRTIO_F_ACCESS_PLATFORM - 32));
    status |= VIRTIO_CONFIG_S_FEATURES_OK;
    qpci_io_writeb(dev, bar, VIRTIO_PCI_COMMON_STATUS, status);
    for (i = 0; i < 3; i++) {
        qpci_io_writel(dev, bar, VIRTIO_PCI_COMMON_Q_DESCLO + 8 * i,
                       RINGS + 0x1000 * i);
    }
    qpci_io_writew(dev, bar, VIRTIO_PCI_COMMON_Q_ENABLE, 1);
    qpci_io_writeb(dev, bar, VIRTIO_PCI_COMMON_STATUS,
                   status | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void translate_nothing(QTestState *qts)
{
    qtest_writeq(qts, IOMMU + RTADDR, ROOT_TABLE);
    qtest_writel(qts, IOMMU + GCMD, GCMD_SRTP);
    qtest_writel(qts, IOMMU + FEDATA, NMI);
    qtest_writel(qts, IOMMU + FEADDR, 0xfee00000);
    qtest_writel(qts, IOMMU + FECTL, 0);
    qtest_writel(qts, IOMMU + GCMD, GCMD_TE);
    g_assert_true(qtest_readl(qts, IOMMU + GSTS) & GCMD_TE);
}

static void test_fault(void)
{
    g_autofree char *rom = make_rom();
    QTestState *qts = qtest_initf("-machine q35 -accel tcg -nodefaults "
                                  "-bios %s -device intel-iommu "
                                  "-object iothread,id=io "
                                  "-blockdev null-co,node-name=disk "
                                  "-device virtio-blk-pci,addr=%x,drive=disk,"
                                  "iothread=io,iommu_platform=on,"
                                  "disable-legacy=on", rom, SLOT);
    QPCIBus *bus = qpci_new_pc(qts, NULL);
    QPCIDevice *dev = qpci_device_find(bus, QPCI_DEVFN(SLOT, 0));
    QPCIBar bar;

    g_assert_nonnull(dev);
    qpci_device_enable(dev);
    bar = qpci_iomap(dev, 4, NULL);
    start_disk(dev, bar);
    translate_nothing(qts);

    qpci_io_writew(dev, bar, NOTIFY, 0);
    while (!(qtest_readl(qts, IOMMU + FSTS) & FSTS_PPF)) {
        /* it is told from another thread */
    }
    /* the first thing is that no more notifications are wanted */
    g_assert_cmphex(qtest_readq(qts, IOMMU + FRCD) & -4096ULL, ==,
                    RINGS + 0x2000);
    g_assert_cmphex(qtest_readl(qts, IOMMU + FRCD + 8) & 0xffff, ==,
                    QPCI_DEVFN(SLOT, 0));
    g_assert_cmphex(qtest_readl(qts, IOMMU + FRCD + 12) & 0xff, ==,
                    NOT_PRESENT);
    /* and the CPU was */
    g_assert_cmphex(qtest_readl(qts, IOMMU + FECTL) & (FECTL_IM | FECTL_IP),
                    ==, 0);

    g_free(dev);
    qpci_free_pc(bus);
    qtest_quit(qts);
    unlink(rom);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!qtest_has_accel("tcg") || !qtest_has_device("virtio-blk-pci")) {
        g_test_skip("no TCG, or no virtio-blk-pci");
        return 0;
    }
    qtest_add_func("/intel-iommu-iothread/fault", test_fault);
    return g_test_run();
}
