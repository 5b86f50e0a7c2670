/*
 * A guest that programs an intel-iommu for two dma-testdev
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qemu/bswap.h"
#include "hw/misc/dma-testdev.h"
#include "libqos/pci-pc.h"
#include "vtd-guest.h"

/* Registers (VT-d 11.4) */
#define REGISTERS           0xfed90000ULL
#define ECAP                0x10
#define GCMD                0x18
#define GSTS                0x1c
#define FSTS                0x34
#define IQH                 0x80
#define IQT                 0x88
#define IQA                 0x90
#define FRCD                0x220

#define GCMD_TE             BIT(31)
#define GCMD_SRTP           BIT(30)
#define GCMD_QIE            BIT(26)
#define IQA_DW              BIT(11)
#define FSTS_IQE            BIT(4)

#define ECAP_SMTS           BIT_ULL(43)

static const unsigned int slots[] = { 5, 0x12 };

/* The VM */

static int create_ram(char **path, uint64_t size)
{
    g_autoptr(GError) err = NULL;
    int fd = g_file_open_tmp("vtd-guest-XXXXXX", path, &err);

    g_assert_no_error(err);
    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    return fd;
}

static void open_device(VtdGuest *guest, VtdDevice *dev, unsigned int slot)
{
    dev->guest = guest;
    dev->sid = QPCI_DEVFN(slot, 0);
    dev->pci = qpci_device_find(guest->bus, dev->sid);
    g_assert_nonnull(dev->pci);
    qpci_device_enable(dev->pci);
    dev->bar = qpci_iomap(dev->pci, 0, NULL);
}

/* -device intel-iommu@options, and two devices */
static VtdGuest *start(const char *binary, const char *options,
                       const char *first, const char *second,
                       uint64_t ram_size)
{
    VtdGuest *guest = g_new0(VtdGuest, 1);
    g_autofree char *path = NULL, *args = NULL;
    int i, fd = create_ram(&path, ram_size);

    guest->ram_size = ram_size;
    guest->ram = mmap(NULL, ram_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                      0);
    g_assert_true(guest->ram != MAP_FAILED);
    close(fd);
    args = g_strdup_printf(
        "-nodefaults -M q35,memory-backend=ram -m %" PRIu64 "G"
        " -object memory-backend-file,id=ram,size=%" PRIu64 "G,share=on,"
        "mem-path=%s"
        " -device intel-iommu%s -device %s,addr=%x -device %s,addr=%x",
        ram_size / GiB, ram_size / GiB, path, options, first, slots[0],
        second, slots[1]);
    guest->qts = qtest_init_with_env(binary, args, true);
    unlink(path);

    guest->next_page = VTD_STRUCTURES;
    guest->bus = qpci_new_pc(guest->qts, NULL);
    for (i = 0; i < ARRAY_SIZE(guest->dev); i++) {
        open_device(guest, &guest->dev[i], slots[i]);
    }
    return guest;
}

VtdGuest *vtd_start(const char *options)
{
    return vtd_start_devices(options, "dma-testdev", "dma-testdev");
}

VtdGuest *vtd_start_devices(const char *options, const char *first,
                            const char *second)
{
    return start(NULL, options, first, second, VTD_RAM_SIZE);
}

VtdGuest *vtd_start_listening(const char *options)
{
    return vtd_start_devices(options, "dma-testdev,listen=on",
                             "dma-testdev,listen=on");
}

VtdGuest *vtd_start_large(const char *options, bool listens)
{
    const char *device = listens ? "dma-testdev,listen=on" : "dma-testdev";

    return start(NULL, options, device, device,
                 VTD_HIGH_RAM_END - 4 * GiB + VTD_RAM_SIZE);
}

VtdGuest *vtd_start_edu(const char *binary, const char *options)
{
    const char *edu = "edu,dma_mask=0xffffffffffffffff";

    return start(binary, options, edu, edu, VTD_RAM_SIZE);
}

void vtd_quit(VtdGuest *guest)
{
    int i;

    for (i = 0; i < ARRAY_SIZE(guest->dev); i++) {
        g_free(guest->dev[i].pci);
    }
    qpci_free_pc(guest->bus);
    qtest_quit(guest->qts);
    munmap(guest->ram, guest->ram_size);
    g_free(guest);
}

/* RAM */

uint64_t vtd_page(VtdGuest *guest)
{
    uint64_t page = guest->next_page;

    g_assert_cmphex(page, <, VTD_WINDOW);
    guest->next_page += VTD_PAGE;
    memset(guest->ram + page, 0, VTD_PAGE);
    return page;
}

bool vtd_is_ram(VtdGuest *guest, uint64_t addr)
{
    return addr < VTD_RAM_SIZE ||
           (addr >= 4 * GiB && addr - 4 * GiB < guest->ram_size - VTD_RAM_SIZE);
}

/* q35 has the first 2 GiB of RAM below, and the others from 4 GiB on */
static uint8_t *word_at(VtdGuest *guest, uint64_t addr)
{
    g_assert_cmphex(addr % 8, ==, 0);
    g_assert_true(vtd_is_ram(guest, addr));
    return guest->ram + (addr < 4 * GiB ? addr :
                         addr - 4 * GiB + VTD_RAM_SIZE);
}

uint64_t vtd_load(VtdGuest *guest, uint64_t addr)
{
    return ldq_le_p(word_at(guest, addr));
}

void vtd_store(VtdGuest *guest, uint64_t addr, uint64_t value)
{
    stq_le_p(word_at(guest, addr), value);
}

void vtd_change(VtdGuest *guest, uint64_t addr, uint64_t clear, uint64_t set)
{
    vtd_store(guest, addr, (vtd_load(guest, addr) & ~clear) | set);
}

/* Registers */

uint64_t vtd_readq(VtdGuest *guest, unsigned int reg)
{
    return qtest_readq(guest->qts, REGISTERS + reg);
}

void vtd_writeq(VtdGuest *guest, unsigned int reg, uint64_t value)
{
    qtest_writeq(guest->qts, REGISTERS + reg, value);
}

void vtd_read_registers(VtdGuest *guest, uint8_t *registers)
{
    qtest_memread(guest->qts, REGISTERS, registers, VTD_REGISTERS_SIZE);
}

static void command(VtdGuest *guest, uint32_t bit)
{
    uint32_t status = qtest_readl(guest->qts, REGISTERS + GSTS);

    /* the bits that are states, which a command must repeat */
    status &= GCMD_TE | GCMD_QIE;
    qtest_writel(guest->qts, REGISTERS + GCMD, status | bit);
    g_assert_cmphex(qtest_readl(guest->qts, REGISTERS + GSTS) & bit, ==, bit);
}

void vtd_set_root(VtdGuest *guest, uint64_t rtaddr)
{
    vtd_writeq(guest, VTD_RTADDR, rtaddr);
    command(guest, GCMD_SRTP);
}

void vtd_enable_queue(VtdGuest *guest, unsigned int descriptor_size)
{
    guest->queue = guest->queue ?: vtd_page(guest);
    guest->tail = 0;
    guest->descriptor_size = descriptor_size;
    vtd_writeq(guest, IQT, 0);
    vtd_writeq(guest, IQA,
               guest->queue | (descriptor_size == 32 ? IQA_DW : 0));
    command(guest, GCMD_QIE);
}

/* With descriptors of 256 bits where there are any */
void vtd_enable(VtdGuest *guest)
{
    if (!(qtest_readl(guest->qts, REGISTERS + GSTS) & GCMD_QIE)) {
        vtd_enable_queue(guest,
                         vtd_readq(guest, ECAP) & ECAP_SMTS ? 32 : 16);
    }
    command(guest, GCMD_TE);
}

void vtd_disable(VtdGuest *guest)
{
    qtest_writel(guest->qts, REGISTERS + GCMD,
                 qtest_readl(guest->qts, REGISTERS + GSTS) & GCMD_QIE);
    g_assert_cmphex(qtest_readl(guest->qts, REGISTERS + GSTS) & GCMD_TE, ==,
                    0);
}

void vtd_reset(VtdGuest *guest)
{
    int i;

    qtest_system_reset(guest->qts);
    guest->tail = 0;
    for (i = 0; i < ARRAY_SIZE(guest->dev); i++) {
        g_free(guest->dev[i].pci);
        open_device(guest, &guest->dev[i], slots[i]);
    }
}

VtdFault vtd_take_fault(VtdGuest *guest)
{
    uint64_t high = vtd_readq(guest, FRCD + 8);
    VtdFault fault = { .recorded = high >> 63 };

    if (fault.recorded) {
        fault.is_read = extract64(high, 62, 1);
        fault.reason = extract64(high, 32, 8);
        fault.sid = extract64(high, 0, 16);
        fault.has_pasid = extract64(high, 31, 1);
        fault.pasid = extract64(high, 40, 20);
        fault.page = vtd_readq(guest, FRCD);
        vtd_writeq(guest, FRCD + 8, BIT_ULL(63));
    }
    return fault;
}

/* DMA */

unsigned int vtd_copy(VtdDevice *dev, uint64_t src, uint64_t dst, size_t len)
{
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_SRC, src);
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_DST, dst);
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_LEN, len);
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_START,
                   DMA_TESTDEV_COPY);
    return vtd_device_register(dev, DMA_TESTDEV_RESULT);
}

bool vtd_device_load(VtdDevice *dev, uint64_t src, uint64_t *data)
{
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_SRC, src);
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_START, DMA_TESTDEV_LOAD);
    if (vtd_device_register(dev, DMA_TESTDEV_RESULT) != DMA_TESTDEV_DONE) {
        return false;
    }
    *data = vtd_device_register(dev, DMA_TESTDEV_DATA);
    return true;
}

bool vtd_device_store(VtdDevice *dev, uint64_t dst, uint64_t data)
{
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_DST, dst);
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_DATA, data);
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_START, DMA_TESTDEV_STORE);
    return vtd_device_register(dev, DMA_TESTDEV_RESULT) == DMA_TESTDEV_DONE;
}

uint64_t vtd_device_register(VtdDevice *dev, unsigned int reg)
{
    return qpci_io_readq(dev->pci, dev->bar, reg);
}

VtdHostMapping vtd_host_mapping(VtdDevice *dev, uint64_t iova)
{
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_LOOKUP, iova);
    return (VtdHostMapping) {
        .perm = vtd_device_register(dev, DMA_TESTDEV_PERM),
        .output = vtd_device_register(dev, DMA_TESTDEV_OUTPUT),
    };
}

/* edu (docs/specs/edu.rst) */
#define EDU_SRC             0x80
#define EDU_DST             0x88
#define EDU_COUNT           0x90
#define EDU_COMMAND         0x98
#define EDU_RUN             1
#define EDU_WRITE           2
#define EDU_BUFFER          0x40000
#define EDU_DELAY           (100 * 1000 * 1000) /* ns */

void vtd_edu_dma(VtdDevice *dev, uint64_t iova, bool is_write)
{
    qpci_io_writeq(dev->pci, dev->bar, EDU_SRC, is_write ? EDU_BUFFER : iova);
    qpci_io_writeq(dev->pci, dev->bar, EDU_DST, is_write ? iova : EDU_BUFFER);
    qpci_io_writeq(dev->pci, dev->bar, EDU_COUNT, 8);
    qpci_io_writeq(dev->pci, dev->bar, EDU_COMMAND,
                   EDU_RUN | (is_write ? EDU_WRITE : 0));
    qtest_clock_step(dev->guest->qts, EDU_DELAY);
}

/* Invalidations */

static void add_descriptor(VtdGuest *guest, const uint64_t *words)
{
    unsigned int i;

    for (i = 0; i < guest->descriptor_size / 8; i++) {
        vtd_store(guest, guest->queue + guest->tail + i * 8, words[i]);
    }
    guest->tail = (guest->tail + guest->descriptor_size) % VTD_PAGE;
}

bool vtd_submit(VtdGuest *guest, const uint64_t *words)
{
    unsigned int head = guest->tail;

    add_descriptor(guest, words);
    vtd_writeq(guest, IQT, guest->tail);
    if (qtest_readl(guest->qts, REGISTERS + FSTS) & FSTS_IQE) {
        guest->tail = head;
        g_assert_cmphex(vtd_readq(guest, IQH), ==, head);
        return false;
    }
    g_assert_cmphex(vtd_readq(guest, IQH), ==, guest->tail);
    return true;
}

void vtd_clear_queue_error(VtdGuest *guest)
{
    qtest_writel(guest->qts, REGISTERS + FSTS, FSTS_IQE);
}

void vtd_hold(VtdGuest *guest)
{
    guest->held = true;
}

void vtd_release(VtdGuest *guest)
{
    guest->held = false;
    vtd_writeq(guest, IQT, guest->tail);
    g_assert_cmphex(vtd_readq(guest, IQH), ==, guest->tail);
    g_assert_cmphex(qtest_readl(guest->qts, REGISTERS + FSTS) & FSTS_IQE, ==,
                    0);
}

static void invalidate(VtdGuest *guest, uint64_t low, uint64_t high)
{
    const uint64_t words[4] = { low, high };

    if (guest->held) {
        add_descriptor(guest, words);
    } else {
        g_assert_true(vtd_submit(guest, words));
    }
}

enum {
    CONTEXT_CACHE = 1, IOTLB, DEVICE_TLB, WAIT = 5, PASID_IOTLB, PASID_CACHE,
    PASID_DEVICE_TLB,
};

#define WAIT_SW     BIT_ULL(5)

void vtd_wait(VtdGuest *guest, uint64_t addr, uint32_t status)
{
    invalidate(guest, WAIT | WAIT_SW | (uint64_t)status << 32, addr);
}

/* The first word of these four kinds: its fields are at the same places */
static uint64_t descriptor(unsigned int type, unsigned int granularity,
                           uint16_t domain, uint32_t sid_or_pasid)
{
    return type | granularity << 4 | (uint64_t)domain << 16 |
           (uint64_t)sid_or_pasid << 32;
}

void vtd_invalidate_context_global(VtdGuest *guest)
{
    invalidate(guest, descriptor(CONTEXT_CACHE, 1, 0, 0), 0);
}

void vtd_invalidate_context_domain(VtdGuest *guest, uint16_t domain)
{
    invalidate(guest, descriptor(CONTEXT_CACHE, 2, domain, 0), 0);
}

void vtd_invalidate_context_device(VtdDevice *dev, uint16_t domain)
{
    invalidate(dev->guest, descriptor(CONTEXT_CACHE, 3, domain, dev->sid), 0);
}

void vtd_invalidate_pasid_cache(VtdDevice *dev, uint16_t domain)
{
    invalidate(dev->guest, descriptor(PASID_CACHE, 1, domain, dev->pasid), 0);
}

void vtd_invalidate_pasid_cache_domain(VtdGuest *guest, uint16_t domain)
{
    invalidate(guest, descriptor(PASID_CACHE, 0, domain, 0), 0);
}

void vtd_invalidate_pasid_cache_global(VtdGuest *guest)
{
    invalidate(guest, descriptor(PASID_CACHE, 3, 0, 0), 0);
}

void vtd_invalidate_iotlb_global(VtdGuest *guest)
{
    invalidate(guest, descriptor(IOTLB, 1, 0, 0), 0);
}

void vtd_invalidate_iotlb_domain(VtdGuest *guest, uint16_t domain)
{
    invalidate(guest, descriptor(IOTLB, 2, domain, 0), 0);
}

void vtd_invalidate_iotlb_pages(VtdGuest *guest, uint16_t domain,
                                uint64_t addr, unsigned int am)
{
    invalidate(guest, descriptor(IOTLB, 3, domain, 0), addr | am);
}

void vtd_invalidate_pasid(VtdGuest *guest, uint16_t domain, uint32_t pasid)
{
    invalidate(guest, descriptor(PASID_IOTLB, 2, domain, pasid), 0);
}

void vtd_invalidate_pasid_pages(VtdGuest *guest, uint16_t domain,
                                uint32_t pasid, uint64_t addr,
                                unsigned int am)
{
    invalidate(guest, descriptor(PASID_IOTLB, 3, domain, pasid), addr | am);
}

/* The size is in the address: below its lowest 0 from bit 12 on (6.5.2.5) */
static uint64_t device_tlb_range(uint64_t addr, unsigned int order)
{
    uint64_t half = order ? BIT_ULL(12 + order - 1) : 0;

    return addr | (half ? half - VTD_PAGE : 0);
}

void vtd_invalidate_device_tlb(VtdDevice *dev, uint64_t addr,
                               unsigned int order)
{
    invalidate(dev->guest, DEVICE_TLB | (uint64_t)dev->sid << 32,
               device_tlb_range(addr, order) | !!order);
}

void vtd_invalidate_pasid_device_tlb(VtdDevice *dev, bool global,
                                     uint64_t addr, unsigned int order)
{
    invalidate(dev->guest,
               PASID_DEVICE_TLB | (uint64_t)dev->sid << 16 |
               (global ? 0 : (uint64_t)dev->pasid << 32),
               device_tlb_range(addr, order) | (uint64_t)!!order << 11 |
               global);
}

/* Tests of the queue */

static const VtdQueueMode queue_modes[] = {
    { "legacy", "", 16 },
    { "scalable-128", ",x-scalable-mode=on", 16 },
    { "scalable-256", ",x-scalable-mode=on", 32 },
    { "stage-1", ",x-scalable-mode=on,x-flts=on", 32 },
};

VtdGuest *vtd_start_queue(const VtdQueueMode *mode)
{
    VtdGuest *guest = vtd_start(mode->options);

    vtd_enable_queue(guest, mode->descriptor_size);
    return guest;
}

void vtd_add_queue_tests(const char *before, const char *after,
                         void (*test)(const void *mode))
{
    int i;

    for (i = 0; i < ARRAY_SIZE(queue_modes); i++) {
        g_autofree char *path = g_strconcat(before, queue_modes[i].name, after,
                                            NULL);

        qtest_add_data_func(path, &queue_modes[i], test);
    }
}
