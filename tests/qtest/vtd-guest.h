/*
 * A guest that programs an intel-iommu for two dma-testdev
 *
 * The test has the guest's RAM mapped, so that it writes tables and reads
 * what a device wrote without a request to QEMU.
 *
 * Register and descriptor layouts are written down here from the VT-d
 * specification, and not taken from intel-iommu, which is tested with them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_VTD_GUEST_H
#define TESTS_VTD_GUEST_H

#include "qemu/bitops.h"
#include "qemu/units.h"
#include "libqtest.h"
#include "libqos/pci.h"

#define VTD_PAGE            (4 * KiB)

/*
 * RAM: two pages of 1 GiB. Structures are from 1 MiB up; the engine's own
 * buffer has the same address for the device in all tables; what is above
 * VTD_DATA is for the test's data.
 */
#define VTD_RAM_SIZE        (2 * GiB)
#define VTD_STRUCTURES      (1 * MiB)
#define VTD_WINDOW          (256 * MiB)
#define VTD_DATA            (512 * MiB)

/* Above 2^39, where a VM that is large has RAM too; what is below has no use */
#define VTD_HIGH_RAM        (512 * GiB)
#define VTD_HIGH_RAM_END    (514 * GiB)

/* Registers: bytes of all, and the one for the root table */
#define VTD_REGISTERS_SIZE  0x230
#define VTD_RTADDR          0x20

/* Addresses without memory, in and above the machine's first 4 GiB */
#define VTD_NOT_RAM         (512 * GiB - 64 * KiB)
#define VTD_INTERRUPTS      0xfee00000

/**
 * struct VtdDevice - a dma-testdev, and the structures that are its own
 *
 * @guest: whose device it is
 * @pci: the device
 * @bar: its registers
 * @sid: source-id
 * @pasid: RID_PASID of its context entry
 * @context: address of the context entry
 * @pasid_dir: address of the PASID directory entry
 * @pasid_entry: address of the PASID entry
 */
typedef struct VtdDevice {
    struct VtdGuest *guest;
    QPCIDevice *pci;
    QPCIBar bar;
    uint16_t sid;
    uint32_t pasid;
    uint64_t context;
    uint64_t pasid_dir;
    uint64_t pasid_entry;
} VtdDevice;

/**
 * struct VtdGuest - a VM and what its guest keeps in RAM
 *
 * @qts: the VM
 * @bus: the devices' bus
 * @ram: the VM's RAM, mapped
 * @ram_size: its bytes
 * @next_page: address of the first page that was never used
 * @root: address of the root table
 * @queue: address of the invalidation queue, a page
 * @descriptor_size: bytes that each of its descriptors has
 * @tail: its tail, in bytes
 * @held: the IOMMU is not told of the tail, see vtd_hold()
 * @dev: the devices; the context entry of the first is in the lower half of
 *     its bus, that of the second in the upper
 */
typedef struct VtdGuest {
    QTestState *qts;
    QPCIBus *bus;
    uint8_t *ram;
    uint64_t ram_size;
    uint64_t next_page;
    uint64_t root;
    uint64_t queue;
    unsigned int descriptor_size;
    unsigned int tail;
    bool held;
    VtdDevice dev[2];
} VtdGuest;

/* What a Fault Recording Register says (VT-d 11.4.14) */
typedef struct VtdFault {
    bool recorded;
    bool is_read;
    bool has_pasid;
    uint8_t reason;
    uint16_t sid;
    uint32_t pasid;
    uint64_t page;
} VtdFault;

/* The VM with -device intel-iommu@options, translation off; see vtd_quit() */
VtdGuest *vtd_start(const char *options);
/* The same with devices that listen, which want caching-mode=on */
VtdGuest *vtd_start_listening(const char *options);
/* The same with @first and @second, which have dma-testdev's registers */
VtdGuest *vtd_start_devices(const char *options, const char *first,
                            const char *second);
/* The one or the other, with RAM up to VTD_HIGH_RAM_END */
VtdGuest *vtd_start_large(const char *options, bool listens);
/*
 * The first of the QEMU that @binary of the environment names, and with edu in
 * place of dma-testdev: a QEMU without this series has that one too
 */
VtdGuest *vtd_start_edu(const char *binary, const char *options);
void vtd_quit(VtdGuest *guest);

/* A page of RAM with zeros */
uint64_t vtd_page(VtdGuest *guest);

bool vtd_is_ram(VtdGuest *guest, uint64_t addr);
/* Words at an address that is a multiple of 8 */
uint64_t vtd_load(VtdGuest *guest, uint64_t addr);
void vtd_store(VtdGuest *guest, uint64_t addr, uint64_t value);
/* Clears and sets bits of the word at @addr */
void vtd_change(VtdGuest *guest, uint64_t addr, uint64_t clear, uint64_t set);

uint64_t vtd_readq(VtdGuest *guest, unsigned int reg);
void vtd_writeq(VtdGuest *guest, unsigned int reg, uint64_t value);

/* A queue of one page, with descriptors of 16 or 32 bytes */
void vtd_enable_queue(VtdGuest *guest, unsigned int descriptor_size);
/*
 * Returns: whether the queue went past a descriptor of these @words; if not, it
 * stopped there, with IQE set, and the next descriptor takes the place of this
 */
bool vtd_submit(VtdGuest *guest, const uint64_t *words);
void vtd_clear_queue_error(VtdGuest *guest);

/* What a queue can be: options of intel-iommu, and bytes of a descriptor */
typedef struct VtdQueueMode {
    const char *name, *options;
    unsigned int descriptor_size;
} VtdQueueMode;

/* A test for each mode, which is passed to it; its name is between the two */
void vtd_add_queue_tests(const char *before, const char *after,
                         void (*test)(const void *mode));
/* The VM with a queue of that mode */
VtdGuest *vtd_start_queue(const VtdQueueMode *mode);

/* VTD_REGISTERS_SIZE bytes, the Fault Recording Register being the last */
void vtd_read_registers(VtdGuest *guest, uint8_t *registers);

/* Root Table Address Register := @rtaddr, and set it; as guests do, alone */
void vtd_set_root(VtdGuest *guest, uint64_t rtaddr);
void vtd_enable(VtdGuest *guest);
void vtd_disable(VtdGuest *guest);

/* Resets the VM: the devices are there again, translation is off */
void vtd_reset(VtdGuest *guest);

/* Takes the recorded fault out of its register */
VtdFault vtd_take_fault(VtdGuest *guest);

/* DMA; the result is a DMA_TESTDEV_* */
unsigned int vtd_copy(VtdDevice *dev, uint64_t src, uint64_t dst, size_t len);

/* DMA of 8 bytes that goes through no buffer. Returns: did it succeed? */
bool vtd_device_load(VtdDevice *dev, uint64_t src, uint64_t *data);
bool vtd_device_store(VtdDevice *dev, uint64_t dst, uint64_t data);

/* What a host would have mapped for the device */
typedef struct VtdHostMapping {
    unsigned int perm;          /* IOMMUAccessFlags; 0: nothing is there */
    uint64_t output;
} VtdHostMapping;

VtdHostMapping vtd_host_mapping(VtdDevice *dev, uint64_t iova);

/* A register of the device, DMA_TESTDEV_* */
uint64_t vtd_device_register(VtdDevice *dev, unsigned int reg);

/* edu's, of 8 bytes between a buffer of its own and @iova */
void vtd_edu_dma(VtdDevice *dev, uint64_t iova, bool is_write);

/* Invalidations, through the queue (VT-d 6.5.2), one after another; or: */

/* Those that follow are not begun before vtd_release(); fewer than a page of */
void vtd_hold(VtdGuest *guest);
void vtd_release(VtdGuest *guest);
/* Writes @status to @addr when those before it are done */
void vtd_wait(VtdGuest *guest, uint64_t addr, uint32_t status);

void vtd_invalidate_context_global(VtdGuest *guest);
void vtd_invalidate_context_domain(VtdGuest *guest, uint16_t domain);
void vtd_invalidate_context_device(VtdDevice *dev, uint16_t domain);
void vtd_invalidate_pasid_cache(VtdDevice *dev, uint16_t domain);
void vtd_invalidate_pasid_cache_domain(VtdGuest *guest, uint16_t domain);
void vtd_invalidate_pasid_cache_global(VtdGuest *guest);
void vtd_invalidate_iotlb_global(VtdGuest *guest);
void vtd_invalidate_iotlb_domain(VtdGuest *guest, uint16_t domain);
/* 2^@am pages of 4 KiB */
void vtd_invalidate_iotlb_pages(VtdGuest *guest, uint16_t domain,
                                uint64_t addr, unsigned int am);
void vtd_invalidate_pasid(VtdGuest *guest, uint16_t domain, uint32_t pasid);
void vtd_invalidate_pasid_pages(VtdGuest *guest, uint16_t domain,
                                uint32_t pasid, uint64_t addr,
                                unsigned int am);
/* 2^@order pages from @addr on, which is aligned to that; 52: all there are */
void vtd_invalidate_device_tlb(VtdDevice *dev, uint64_t addr,
                               unsigned int order);
/* Of its RID_PASID, or of every PASID */
void vtd_invalidate_pasid_device_tlb(VtdDevice *dev, bool global,
                                     uint64_t addr, unsigned int order);

#endif /* TESTS_VTD_GUEST_H */
