/*
 * A hostile guest of intel-iommu: registers, queue and tables, and devices
 * that do DMA, come and go
 *
 * An input is a sequence of what a guest or a user does. Each mode is a target
 * of its own; one has a host that nests behind its devices, and how that
 * answers is part of the input. What starts and ends QEMU is left to qtests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-host-iommu.h"
#include "qemu/madvise.h"
#include "hw/boards.h"
#include "hw/misc/dma-testdev.h"
#include "hw/misc/host-iommu-testparent.h"
#include "../vtd-dma.h"
#include "fuzz.h"
#include "viommu_fuzz.h"

/* An input does no more: some take long, such as a device that comes */
#define MAX_STEPS       64

/* Registers (VT-d 11.4), of which these are parts of a step */
#define REGISTERS       0xfed90000ULL
#define GCMD            0x18
#define IQT             0x88
#define IQA             0x90

#define GCMD_TE         BIT(31)
#define GCMD_SRTP       BIT(30)
#define GCMD_QIE        BIT(26)
#define IQA_DW          BIT(11)

/* edu (docs/specs/edu.rst) */
#define EDU             "edu,dma_mask=0xffffffffffffffff"
#define EDU_DEVICE_ID   0x11e8

/* With two in a group of the host */
#define NESTING(group)  FUZZ_HOST ",x-group=" #group

typedef struct FuzzMode {
    const char *name;
    const char *viommu;
    const char *devices[FUZZ_SLOTS];
} FuzzMode;

static const FuzzMode modes[] = {
    {
        "legacy", "intel-iommu,caching-mode=on,device-iotlb=on",
        { "dma-testdev", EDU, FUZZ_HOST },
    }, {
        "scalable", "intel-iommu,caching-mode=on,device-iotlb=on" SCALABLE,
        { "dma-testdev", EDU, FUZZ_HOST },
    }, {
        "first-stage", "intel-iommu,device-iotlb=on" FIRST_STAGE,
        { "dma-testdev", EDU, FUZZ_HOST },
    }, {
        "nested", "intel-iommu,caching-mode=on" NESTED,
        { "dma-testdev,listen=on", EDU, "dma-testdev" },
    }, {
        "host-nests", "intel-iommu" FIRST_STAGE,
        { NESTING(1), NESTING(1), NESTING(2) },
    }
};

/* What can be plugged, whether it fits or not */
static const char *const pluggable[] = {
    "dma-testdev", "dma-testdev,listen=on",
    "dma-testdev,listen=on,x-unmap-only=on", EDU, FUZZ_HOST, NESTING(1),
    FUZZ_HOST ",aw-bits=39", FUZZ_HOST ",x-fail-late=on",
    FUZZ_HOST ",x-refuse-parent=on", FUZZ_HOST ",mdev=on",
};

/* Requests' addresses, and where tables have them in memory: FRAME() */
static const uint64_t iovas[] = {
    NARROW_IOVA, NARROW_IOVA + VTD_PAGE, NARROW_IOVA + 2 * MiB, IOVA,
    -(uint64_t)GiB, 3 * GiB, VTD_INTERRUPTS, 0,
};

/* Where ranges are that one entry maps */
#define WIDE_IOVA       (NARROW_IOVA + 2 * GiB)

enum { LEGACY, SCALABLE_MODE, ROOTS };

/* Words of structures, which a step changes */
#define MAX_WORDS       1024

static struct {
    VtdGuest guest;
    uint64_t roots[ROOTS];
    VtdDevice dev[ROOTS][FUZZ_SLOTS];
    uint64_t words[MAX_WORDS];
    unsigned int n_words;
} fuzz;

static void note_word(uint64_t at)
{
    if (fuzz.n_words < MAX_WORDS) {
        fuzz.words[fuzz.n_words++] = at;
    }
}

/* Structures */

static void note_stage(VtdStage *stage, uint64_t input)
{
    unsigned int level;

    for (level = stage->levels; level; level--) {
        note_word(vtd_entry(stage, input, level));
    }
}

/* @between: where the first stage of nested translation has its output, or 0 */
static void map_all(VtdStage *stage, uint64_t between)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(iovas); i++) {
        uint64_t input = iovas[i];

        /* listeners read every entry of every table */
        if (!stage->is_first && input >= 512 * GiB) {
            continue;
        }
        vtd_map(stage, input, between + FRAME(i), 1);
        note_stage(stage, input);
        if (stage->second) {
            vtd_map(stage->second, between + FRAME(i), FRAME(i), 1);
            note_stage(stage->second, between + FRAME(i));
        }
    }
    /* one of 2 MiB, and one of 1 GiB */
    note_word(vtd_map(stage, WIDE_IOVA, between + FRAME(i), 2));
    note_word(vtd_map(stage, WIDE_IOVA + GiB, between + GiB, 3));
}

static void use_legacy(VtdDevice *dev, uint8_t kind, uint16_t domain)
{
    VtdStage second = vtd_second_stage(&fuzz.guest, kind & 1 ? 3 : 4);

    map_all(&second, 0);
    vtd_use_legacy(dev, &second, domain);
    note_word(dev->context);
    note_word(dev->context + 8);
}

static void use_scalable(VtdDevice *dev, uint8_t kind, uint16_t domain)
{
    VtdStage first, second;
    unsigned int i;

    switch (kind % 5) {
    case 0:
        first = vtd_first_stage(&fuzz.guest);
        map_all(&first, 0);
        vtd_use_first(dev, &first, domain);
        break;
    case 1:
    case 2:
        second = vtd_second_stage(&fuzz.guest, kind % 5 == 1 ? 4 : 3);
        map_all(&second, 0);
        vtd_use_second(dev, &second, domain);
        break;
    case 3:
        second = vtd_second_stage(&fuzz.guest, 4);
        first = vtd_nested_stage(&second);
        map_all(&first, BETWEEN);
        vtd_use_nested(dev, &first, domain);
        break;
    case 4:
        vtd_use_pass_through(dev, domain);
        break;
    }
    for (i = 0; i < 4; i++) {
        note_word(dev->context + i * 8);
        note_word(dev->pasid_entry + i * 8);
    }
    note_word(dev->pasid_dir);
}

/* Root tables of both modes; whose entries use_*() fills */
static void make_roots(void)
{
    unsigned int i;

    for (i = 0; i < FUZZ_SLOTS; i++) {
        VtdDevice dev = { .guest = &fuzz.guest, .sid = fuzz_slot_sid(i) };

        fuzz.dev[LEGACY][i] = fuzz.dev[SCALABLE_MODE][i] = dev;
    }
    fuzz.roots[LEGACY] = fuzz.guest.root = vtd_page(&fuzz.guest);
    for (i = 0; i < FUZZ_SLOTS; i++) {
        vtd_add_legacy(&fuzz.dev[LEGACY][i]);
        note_word(fuzz.guest.root + (i + 1) * 16);
    }
    fuzz.roots[SCALABLE_MODE] = fuzz.guest.root = vtd_page(&fuzz.guest);
    for (i = 0; i < FUZZ_SLOTS; i++) {
        vtd_add_scalable(&fuzz.dev[SCALABLE_MODE][i], i);
        note_word(fuzz.guest.root + (i + 1) * 16);
    }
}

/* Registers */

static void write_long(unsigned int reg, uint32_t value)
{
    qtest_writel(fuzz.guest.qts, REGISTERS + reg, value);
}

static void enable_queue(uint8_t how)
{
    uint64_t size = how >> 4 & 3;

    fuzz.guest.queue = fuzz.guest.queue ?: vtd_page(&fuzz.guest);
    fuzz.guest.descriptor_size = how & 1 ? 32 : 16;
    fuzz.guest.tail = 0;
    vtd_writeq(&fuzz.guest, IQT, 0);
    vtd_writeq(&fuzz.guest, IQA, fuzz.guest.queue | size |
                                 (how & 1 ? IQA_DW : 0));
    write_long(GCMD, GCMD_QIE);
}

static void set_root(uint8_t how)
{
    bool scalable = how & 1;

    vtd_writeq(&fuzz.guest, VTD_RTADDR,
               fuzz.roots[scalable] | (scalable ? VTD_RTADDR_SCALABLE : 0));
    write_long(GCMD, GCMD_SRTP | (how & 2 ? GCMD_QIE : 0) |
                     (how & 4 ? GCMD_TE : 0));
}

/* The steps. What they take of the input says what is done. */

static uint16_t take_domain(FuzzInput *in)
{
    return fuzz_take_u8(in) % 4 + DOMAIN;
}

static uint64_t take_iova(FuzzInput *in)
{
    uint8_t which = fuzz_take_u8(in);

    if (which == UINT8_MAX) {
        return fuzz_take_u64(in);
    }
    if (which & 0x80) {
        return WIDE_IOVA + (which & 0x7f) * 16 * MiB;
    }
    return iovas[which % ARRAY_SIZE(iovas)] +
           fuzz_take_u16(in) % (2 * VTD_PAGE);
}

static unsigned int take_slot(FuzzInput *in)
{
    return fuzz_take_u8(in) % FUZZ_SLOTS;
}

static void step_tables(FuzzInput *in)
{
    unsigned int slot = take_slot(in);
    uint8_t kind = fuzz_take_u8(in);
    uint16_t domain = take_domain(in);

    /* there is memory for so many, see vtd_page() */
    if (fuzz.guest.next_page > VTD_WINDOW / 2) {
        return;
    }
    if (kind & 0x80) {
        use_legacy(&fuzz.dev[LEGACY][slot], kind, domain);
    } else {
        use_scalable(&fuzz.dev[SCALABLE_MODE][slot], kind, domain);
    }
}

static void step_change(FuzzInput *in)
{
    uint16_t which = fuzz_take_u16(in);
    uint8_t how = fuzz_take_u8(in);
    uint64_t at, bit;

    if (!fuzz.n_words) {
        return;
    }
    at = fuzz.words[which % fuzz.n_words];
    switch (how >> 6) {
    case 0:
        bit = BIT_ULL(how & 63);
        vtd_store(&fuzz.guest, at, vtd_load(&fuzz.guest, at) ^ bit);
        break;
    case 1:
        vtd_store(&fuzz.guest, at, 0);
        break;
    case 2:
        vtd_store(&fuzz.guest, at, vtd_load(&fuzz.guest,
                                            fuzz.words[fuzz_take_u16(in) %
                                                       fuzz.n_words]));
        break;
    case 3:
        vtd_store(&fuzz.guest, at, fuzz_take_u64(in));
        break;
    }
}

static void submit(const uint64_t *words, bool hold)
{
    VtdGuest *guest = &fuzz.guest;
    unsigned int i;

    if (!guest->queue) {
        return;
    }
    for (i = 0; i < guest->descriptor_size / 8; i++) {
        vtd_store(guest, guest->queue + guest->tail + i * 8, words[i]);
    }
    guest->tail = (guest->tail + guest->descriptor_size) % VTD_PAGE;
    if (!hold) {
        vtd_writeq(guest, IQT, guest->tail);
    }
}

/* The fields of those that invalidate are at the same places, mostly */
static void step_invalidate(FuzzInput *in)
{
    uint8_t what = fuzz_take_u8(in), how = fuzz_take_u8(in);
    unsigned int slot = take_slot(in);
    uint16_t domain = take_domain(in);
    uint64_t addr = take_iova(in);
    uint32_t who = how & 0x10 ? fuzz_slot_sid(slot) :
                   fuzz.dev[SCALABLE_MODE][slot].pasid;
    const uint64_t words[4] = {
        (what & 15) | (how & 3) << 4 | (uint64_t)domain << 16 |
            (uint64_t)who << 32,
        (addr & -VTD_PAGE) | (how >> 2 & 3) * 9,
    };

    submit(words, what & 0x80);
}

static void step_wait(FuzzInput *in)
{
    uint8_t how = fuzz_take_u8(in);
    const uint64_t words[4] = {
        5 | (how & 0xf) << 4 | (uint64_t)how << 32,
        FRAME(how % ARRAY_SIZE(iovas)),
    };

    submit(words, false);
}

static void step_descriptor(FuzzInput *in)
{
    uint64_t words[4];
    uint8_t hold = fuzz_take_u8(in);

    fuzz_take(in, words, sizeof(words));
    submit(words, hold & 1);
}

static void do_edu_dma(unsigned int slot, uint64_t iova, bool is_write)
{
    const uint64_t buffer = 0x40000, delay = 100 * 1000 * 1000;

    fuzz_slot_write(slot, 0x80, is_write ? buffer : iova);
    fuzz_slot_write(slot, 0x88, is_write ? iova : buffer);
    fuzz_slot_write(slot, 0x90, 8);
    fuzz_slot_write(slot, 0x98, 1 | is_write << 1);
    qtest_clock_step(fuzz.guest.qts, delay);
}

static void step_dma(FuzzInput *in)
{
    unsigned int slot = take_slot(in);
    uint8_t how = fuzz_take_u8(in);
    uint64_t src = take_iova(in), dst = take_iova(in);
    PCIDevice *pdev = fuzz_slot_device(slot);

    if (pdev && pci_get_word(pdev->config + PCI_DEVICE_ID) == EDU_DEVICE_ID) {
        do_edu_dma(slot, src, how & 1);
        return;
    }
    fuzz_slot_write(slot, DMA_TESTDEV_SRC, src);
    fuzz_slot_write(slot, DMA_TESTDEV_DST, dst);
    /* seldom long: what is read could overwrite all structures */
    fuzz_slot_write(slot, DMA_TESTDEV_LEN, how >> 2 << (how & 0x80 ? 8 : 0));
    fuzz_slot_write(slot, DMA_TESTDEV_START, how & 3);
    fuzz_slot_write(slot, DMA_TESTDEV_LOOKUP, src);
    fuzz_slot_read(slot, DMA_TESTDEV_PERM);
}

static void step_write(FuzzInput *in)
{
    unsigned int reg = fuzz_take_u8(in) * 4;

    if (fuzz_take_u8(in) & 1) {
        vtd_writeq(&fuzz.guest, reg, fuzz_take_u64(in));
    } else {
        write_long(reg, fuzz_take_u32(in));
    }
}

static void step_read(FuzzInput *in)
{
    unsigned int reg = fuzz_take_u8(in) * 4;

    if (fuzz_take_u8(in) & 1) {
        vtd_readq(&fuzz.guest, reg);
    } else {
        qtest_readl(fuzz.guest.qts, REGISTERS + reg);
    }
}

static void step_plug(FuzzInput *in)
{
    unsigned int slot = take_slot(in);
    uint8_t device = fuzz_take_u8(in);

    fuzz_slot_unplug(slot);
    if (device & 0x80) {
        fuzz_slot_plug(slot, pluggable[device % ARRAY_SIZE(pluggable)]);
    }
}

/* How the host answers what it is asked next */
static void step_answers(FuzzInput *in)
{
    uint8_t how = fuzz_take_u8(in);

    host_iommu_test_calls.fail_in = how & 7;
    host_iommu_test_calls.fail_more = how >> 3 & 7;
    host_iommu_test_calls.blocks = how & 0x40;
    host_iommu_test_calls.partly = how & 0x80;
}

static void step(FuzzInput *in)
{
    switch (fuzz_take_u8(in) % 16) {
    case 0:
        fuzz_slots_reset();
        break;
    case 1:
        write_long(GCMD, (uint32_t)fuzz_take_u8(in) << 24);
        break;
    case 2:
        set_root(fuzz_take_u8(in));
        break;
    case 3:
        enable_queue(fuzz_take_u8(in));
        break;
    case 4:
        step_tables(in);
        break;
    case 5:
    case 6:
        step_change(in);
        break;
    case 7:
        step_wait(in);
        break;
    case 8:
        step_descriptor(in);
        break;
    case 9:
        step_write(in);
        break;
    case 10:
        step_read(in);
        break;
    case 11:
        step_plug(in);
        break;
    case 12:
        step_answers(in);
        break;
    case 13:
        qapi_free_ViommuInfoList(qmp_query_viommu(&error_abort));
        break;
    case 14:
        step_invalidate(in);
        break;
    default:
        step_dma(in);
        break;
    }
}

/* The targets */

/* A guest as it is when it uses the IOMMU; from there one gets further */
static void set_up(FuzzInput *in)
{
    uint8_t how = fuzz_take_u8(in);
    bool scalable = how & 1;
    unsigned int i;

    fuzz.guest.next_page = VTD_STRUCTURES;
    fuzz.guest.queue = 0;
    fuzz.n_words = 0;
    make_roots();
    for (i = 0; i < FUZZ_SLOTS; i++) {
        use_legacy(&fuzz.dev[LEGACY][i], 0, DOMAIN);
        use_scalable(&fuzz.dev[SCALABLE_MODE][i], how >> 3, DOMAIN);
    }
    enable_queue(scalable);
    /* one change of all devices' views of memory, as in fuzz_slots_restore() */
    memory_region_transaction_begin();
    set_root(how & 7);
    memory_region_transaction_commit();
}

static void fuzz_guest(QTestState *s, const unsigned char *data, size_t size)
{
    FuzzInput in = { data, size };
    unsigned int i;

    set_up(&in);
    for (i = 0; in.size && i < MAX_STEPS; i++) {
        step(&in);
    }
    g_assert_cmpuint(host_iommu_test_calls.wrong, ==, 0);
    memset(&host_iommu_test_calls, 0, sizeof(host_iommu_test_calls));
    fuzz_slots_restore();
    qemu_madvise(fuzz.guest.ram, fuzz.guest.ram_size, QEMU_MADV_DONTNEED);
}

static void begin(QTestState *s)
{
    fuzz.guest.qts = s;
    fuzz.guest.ram = memory_region_get_ram_ptr(current_machine->ram);
    fuzz.guest.ram_size = VTD_RAM_SIZE;
    fuzz_slots_reset();
}

static GString *cmdline_of_mode(FuzzTarget *target)
{
    const FuzzMode *mode = target->opaque;

    return fuzz_slots_cmdline(mode->viommu, mode->devices);
}

static void register_targets(void)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(modes); i++) {
        fuzz_add_target(&(FuzzTarget) {
            .name = g_strconcat("intel-iommu-", modes[i].name, NULL),
            .description = g_strconcat("intel-iommu and its devices, ",
                                       modes[i].name, NULL),
            .get_init_cmdline = cmdline_of_mode,
            .pre_fuzz = begin,
            .fuzz = fuzz_guest,
            .opaque = (void *)&modes[i],
        });
    }
}

fuzz_target_init(register_targets);
