/*
 * What an assigned device can reach, beside what an emulated one can
 *
 * Each step edits one of the structures that translate for devices, sends
 * invalidations that the specification calls sufficient for it (VT-d 6.5.3,
 * and 6.1 for CAP.CM), and compares for addresses around what was edited:
 * what DMA through the tables comes to, what the devices' listeners have
 * mapped, as VFIO would have on a host, and what a walk here says.
 *
 * Two devices are always there; behind a root port, others are plugged and
 * unplugged, and bridges with them, between steps and in the middle of one.
 * Their structures are edited whether they are there or not.
 *
 * VTD_COMPARE_SEED in the environment is the seed, VTD_COMPARE_STEPS the number
 * of steps; a failure tells the seed and the step.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/memory.h"
#include "qemu/cutils.h"
#include "vtd-dma.h"
#include "vtd-slot.h"

#define STEPS           10000
#define SAMPLES         3
#define DEVICES         6
#define COMPARED        2               /* devices, for each sample */
#define STAGES          2
#define MAPPED          8

typedef struct Variant {
    const char *name;
    const char *options;
    bool scalable;
    bool listens;
    unsigned int width;
    Slot slot;                  /* what is there at start */
    bool first_stage;
} Variant;

typedef struct Run {
    const Variant *variant;
    VtdGuest *guest;
    GRand *rand;
    uint32_t seed;
    unsigned int step;
    bool enabled;
    Slot slot;                  /* what is behind the root port */
    VtdDevice *dev[DEVICES];    /* one without a PCI device is not there */
    VtdDevice plugged[DEVICES - 2];
    VtdStage stage[STAGES];
    unsigned int high_tables;   /* tables above 39 bits */
    uint64_t edited;            /* an address that the step was about */
    uint64_t mapped[MAPPED];    /* some that were mapped once */
    GString *story;             /* of the step */
} Run;

/* The stages' domains come first, then those that entries are given */
static const uint16_t domains[] = { DOMAIN, OTHER_DOMAIN, 0x1234 };

enum { BEHIND = 2, OTHER };

/* Those that come and go: where they are, and what their requests have */
static const struct Place {
    Slot slot;
    unsigned int device;
    int addr;
    uint16_t sid;
    const char *id;
} places[DEVICES - 2] = {
    { ENDPOINT, 0, SLOT_ENDPOINT, SLOT_ENDPOINT, "behind" },
    { SWITCH, 0, SLOT_BEHIND_SWITCH, SLOT_BEHIND_SWITCH, "behind" },
    /* these two share an address space */
    [BEHIND] = { BRIDGE, 4, SLOT_BEHIND(4), SLOT_BRIDGE_SID, "behind" },
    [OTHER] = { BRIDGE, 5, SLOT_BEHIND(5), SLOT_BRIDGE_SID, "other" },
};

/* Randomness */

static unsigned int below(Run *r, unsigned int limit)
{
    return g_rand_int_range(r->rand, 0, limit);
}

static bool one_in(Run *r, unsigned int n)
{
    return !below(r, n);
}

static VtdDevice *random_device(Run *r)
{
    return r->dev[below(r, DEVICES)];
}

/* One that is there, as two are always */
static VtdDevice *random_present(Run *r)
{
    VtdDevice *dev;

    do {
        dev = random_device(r);
    } while (!dev->pci);
    return dev;
}

/* One whose structures are edited: more often such that matter now */
static VtdDevice *random_target(Run *r)
{
    return one_in(r, 3) ? random_device(r) : random_present(r);
}

static uint16_t random_domain(Run *r)
{
    return domains[below(r, ARRAY_SIZE(domains))];
}

/*
 * Registers are no tables, but one of each device could be a page's entry: what
 * a copy needs, which nobody makes
 */
#define ENTRY_IN_REGISTERS  (DMA_TESTDEV_LEN / 8)

static void set_registers(VtdDevice *dev)
{
    qpci_io_writeq(dev->pci, dev->bar, DMA_TESTDEV_LEN, VTD_DATA | FS_ALL);
}

/*
 * Few tables for all: the interrupts' range and what is beside it, and both
 * ends of what can be translated
 */
static uint64_t random_input(Run *r)
{
    static const unsigned int top[] = { 0, 0, 0, 1, 255 };
    static const unsigned int third[] = { 1, 3, 3, 510, 511 };
    static const unsigned int second[] = { 0, 502, 503, 503, 504, 511 };
    static const unsigned int lowest[] = {
        0, 1, ENTRY_IN_REGISTERS, 255, 256, 510, 511
    };

    return top[below(r, ARRAY_SIZE(top))] * vtd_span(4) +
           third[below(r, ARRAY_SIZE(third))] * vtd_span(3) +
           second[below(r, ARRAY_SIZE(second))] * vtd_span(2) +
           lowest[below(r, ARRAY_SIZE(lowest))] * vtd_span(1);
}

static unsigned int random_level(Run *r)
{
    return one_in(r, 6) ? 3 : one_in(r, 2) ? 2 : 1;
}

/* What an entry has for all, and what has none of it translates nothing */
static uint64_t all_rights(Run *r)
{
    return r->variant->first_stage ? FS_ALL : SS_ALL;
}

static bool is_present(Run *r, uint64_t entry)
{
    return entry & (r->variant->first_stage ? FS_P : SS_ALL);
}

static uint64_t random_rights(Run *r)
{
    if (r->variant->first_stage) {
        return FS_P | (one_in(r, 4) ? 0 : FS_RW) | (one_in(r, 20) ? 0 : FS_US);
    }
    return one_in(r, 4) ? SS_R : one_in(r, 4) ? SS_W : SS_ALL;
}

/* Whether faults are recorded is nothing to what is translated */
static uint64_t random_present_bits(Run *r)
{
    return ENTRY_P | (one_in(r, 3) ? ENTRY_FPD : 0);
}

/* Memory for data, above 39 bits too; now and then none */
static uint64_t random_output(Run *r, unsigned int level)
{
    bool high = one_in(r, 4);
    uint64_t start = high ? VTD_HIGH_RAM + 1 * GiB : VTD_DATA;
    uint64_t end = high ? VTD_HIGH_RAM_END : VTD_RAM_SIZE;

    if (one_in(r, 20)) {
        return 2 * VTD_HIGH_RAM;
    }
    if (level == 3) {
        return end - 1 * GiB;
    }
    return (start + below(r, (end - start) / VTD_PAGE) * VTD_PAGE) &
           -vtd_span(level);
}

/* A page for a table */
static uint64_t random_table(Run *r)
{
    uint64_t page;

    if (!one_in(r, 4)) {
        return vtd_page(r->guest);
    }
    page = VTD_HIGH_RAM + r->high_tables++ * VTD_PAGE;
    g_assert_cmphex(page, <, VTD_HIGH_RAM + 1 * GiB);
    return page;
}

/* What the tables say: a walk (VT-d 3.4, 3.7, chapter 9) */

typedef struct Reached {
    unsigned int perm;          /* IOMMUAccessFlags */
    uint64_t output;
    uint64_t entry[5];          /* of a first stage: by level; or 0 */
} Reached;

static const Reached nothing;

/* Not of devices: their registers are no structures of the IOMMU */
static uint64_t word(Run *r, uint64_t addr)
{
    return vtd_is_ram(r->guest, addr) ? vtd_load(r->guest, addr) : 0;
}

/* Above the host address width, 48 bits; the width given is that of inputs */
static uint64_t above_width(void)
{
    return ENTRY_ADDRESS & -BIT_ULL(48);
}

static bool is_page(uint64_t entry, unsigned int level)
{
    return level == 1 || (level < 4 && entry & ENTRY_PS);
}

static uint64_t reserved(Run *r, uint64_t entry, unsigned int level)
{
    uint64_t bits = above_width();

    if (!is_page(entry, level)) {
        return bits | SS_SNP | (level == 4 ? ENTRY_PS : 0);
    }
    return bits | (r->variant->scalable ? 0 : SS_SNP) |
           ((vtd_span(level) - 1) & ENTRY_ADDRESS);
}

static Reached walk(Run *r, uint64_t table, unsigned int levels, uint64_t addr)
{
    unsigned int level, bits = MIN(12 + 9 * levels, r->variant->width);
    uint64_t entry, rights = SS_ALL;

    if (addr >> bits) {
        return nothing;
    }
    for (level = levels; ; level--) {
        entry = word(r, table + addr / vtd_span(level) % 512 * 8);
        rights &= entry;
        if (!rights || entry & reserved(r, entry, level)) {
            return nothing;
        }
        if (is_page(entry, level)) {
            uint64_t page = entry & ENTRY_ADDRESS & -vtd_span(level);

            return (Reached) {
                .perm = (rights & SS_R ? IOMMU_RO : 0) |
                        (rights & SS_W ? IOMMU_WO : 0),
                .output = page + addr % vtd_span(level),
            };
        }
        table = entry & ENTRY_ADDRESS;
    }
}

/* Without PASID, requests are those of a user (VT-d 3.6) */
static Reached walk_first_stage(Run *r, uint64_t table, uint64_t addr)
{
    Reached reached = { };
    uint64_t entry, at, rights = FS_ALL, bits;
    unsigned int level;

    if (addr >> 47) {
        return nothing;
    }
    for (level = 4; ; level--) {
        at = table + addr / vtd_span(level) % 512 * 8;
        entry = word(r, at);
        rights &= entry;
        bits = above_width() | (level == 4 ? ENTRY_PS : 0);
        if (~rights & (FS_P | FS_US) || entry & bits) {
            return nothing;
        }
        reached.entry[level] = at;
        if (is_page(entry, level)) {
            uint64_t page = entry & ENTRY_ADDRESS & -vtd_span(level);

            reached.perm = rights & FS_RW ? IOMMU_RW : IOMMU_RO;
            reached.output = page + addr % vtd_span(level);
            return reached;
        }
        table = entry & ENTRY_ADDRESS;
    }
}

static Reached walk_second_stage(Run *r, uint64_t root, unsigned int aw,
                                 uint64_t addr)
{
    /* SAGAW has tables of 48 bits where the width is more than 39 */
    if (aw != 1 && (aw != 2 || r->variant->width == 39)) {
        return nothing;
    }
    return walk(r, root, 2 + aw, addr);
}

static Reached pass_through(uint64_t addr)
{
    return (Reached) { IOMMU_RW, addr };
}

static Reached reach_legacy(Run *r, uint64_t root, VtdDevice *dev,
                            uint64_t addr)
{
    uint64_t low, high, entry;

    entry = root & ENTRY_ADDRESS;
    low = word(r, entry + dev->sid % 256 * 16);
    high = word(r, entry + dev->sid % 256 * 16 + 8);
    if (root & 0xffe || !(low & ENTRY_P) || low & 0xff0 ||
        high & 0xffffffffff000080) {
        return nothing;
    }
    switch (extract64(low, 2, 2)) {
    case 0:
        return walk_second_stage(r, low & ENTRY_ADDRESS, high & 7, addr);
    case 2:
        return (high & 7) == 1 || ((high & 7) == 2 && r->variant->width > 39) ?
               pass_through(addr) : nothing;
    default:
        return nothing;
    }
}

static Reached reach_scalable(Run *r, uint64_t root, VtdDevice *dev,
                              uint64_t addr)
{
    uint64_t context = (root & ENTRY_ADDRESS) + dev->sid % 128 * 32;
    uint64_t low = word(r, context), high = word(r, context + 8), pe;
    unsigned int pasid = extract64(high, 0, 20);

    if (!(low & ENTRY_P) || low & 0x1e0 || high >> 21) {
        return nothing;
    }
    pe = word(r, (low & ENTRY_ADDRESS) + (pasid >> 6) * 8);
    if (!(pe & ENTRY_P)) {
        return nothing;
    }
    pe = (pe & ENTRY_ADDRESS) + (pasid & 63) * 64;
    low = word(r, pe);
    if (!(low & ENTRY_P)) {
        return nothing;
    }
    switch (extract64(low, 6, 3)) {
    case PGTT_FIRST:
        return r->variant->first_stage ?
               walk_first_stage(r, word(r, pe + 16) & ENTRY_ADDRESS, addr) :
               nothing;
    case PGTT_SECOND:
        return r->variant->first_stage ? nothing :
               walk_second_stage(r, low & ENTRY_ADDRESS, extract64(low, 2, 3),
                                 addr);
    case PGTT_PASS_THROUGH:
        return pass_through(addr);
    default:
        return nothing;
    }
}

static uint64_t root_entry(Run *r, VtdDevice *dev)
{
    return r->guest->root + (dev->sid >> 8) * 16 +
           (r->variant->scalable ? (dev->sid & 128) / 16 : 0);
}

static Reached reach(Run *r, VtdDevice *dev, uint64_t addr)
{
    uint64_t root = r->guest->root;
    Reached reached;

    if (!r->enabled) {
        reached = pass_through(addr);
    } else if (r->variant->scalable) {
        root = word(r, root_entry(r, dev));
        reached = root & ENTRY_P ? reach_scalable(r, root, dev, addr) : nothing;
    } else {
        root = word(r, root_entry(r, dev));
        reached = root & ENTRY_P ? reach_legacy(r, root, dev, addr) : nothing;
    }
    return reached;
}

/* The comparison */

/* What ends the test may be QEMU that ends */
static void tell_step(void *opaque)
{
    Run *r = opaque;

    g_printerr("%s, VTD_COMPARE_SEED=%u, step %u:%s\n", r->variant->name,
               r->seed, r->step, r->story->str);
}

static G_GNUC_PRINTF(6, 7)
void check(Run *r, VtdDevice *dev, uint64_t addr, bool good, const char *what,
           const char *format, ...)
{
    g_autofree char *values = NULL;
    va_list args;

    if (good) {
        return;
    }
    va_start(args, format);
    values = g_strdup_vprintf(format, args);
    va_end(args);
    g_printerr("device %02x, address 0x%" PRIx64 ": %s: %s\n", dev->sid, addr,
               what, values);
    g_test_fail();
    abort();
}

/* Accessed in all entries, and Dirty in that of the page, as @dirty says */
static void check_flags(Run *r, VtdDevice *dev, uint64_t addr, Reached want,
                        bool dirty)
{
    unsigned int level;

    for (level = 4; level && want.entry[level]; level--) {
        bool is_leaf = level == 1 || !want.entry[level - 1];
        uint64_t entry = word(r, want.entry[level]);

        check(r, dev, addr, entry & FS_A, "Accessed is not set",
              "0x%" PRIx64 ", level %u", entry, level);
        check(r, dev, addr, !is_leaf || dirty == !!(entry & FS_D), "Dirty",
              "0x%" PRIx64 ", level %u", entry, level);
    }
}

/* Whether the page is dirty already */
static bool is_dirty(Run *r, Reached want)
{
    unsigned int level = 1;

    while (level < 4 && !want.entry[level]) {
        level++;
    }
    return word(r, want.entry[level]) & FS_D;
}

static void check_emulated(Run *r, VtdDevice *dev, uint64_t addr, Reached want)
{
    uint64_t value = fresh_value(), data = 0;
    bool loads, stores, dirty = is_dirty(r, want);

    if (want.perm) {
        vtd_store(r->guest, want.output, value);
    }
    loads = vtd_device_load(dev, addr, &data);
    check(r, dev, addr, loads == !!(want.perm & IOMMU_RO), "DMA reads",
          "%d, the tables say %d", loads, !loads);
    check(r, dev, addr, !loads || data == value, "DMA reads from elsewhere",
          "0x%" PRIx64 ", 0x%" PRIx64 " is at 0x%" PRIx64, data, value,
          want.output);

    if (loads) {
        check_flags(r, dev, addr, want, dirty);
    }

    stores = vtd_device_store(dev, addr, ~value);
    check(r, dev, addr, stores == !!(want.perm & IOMMU_WO), "DMA writes",
          "%d, the tables say %d", stores, !stores);
    check(r, dev, addr, !stores || vtd_load(r->guest, want.output) == ~value,
          "DMA writes to elsewhere", "not to 0x%" PRIx64, want.output);
    if (stores) {
        check_flags(r, dev, addr, want, true);
    }
}

static void check_host(Run *r, VtdDevice *dev, uint64_t addr, Reached want)
{
    VtdHostMapping have = vtd_host_mapping(dev, addr);

    check(r, dev, addr, have.perm == want.perm, "rights on the host",
          "%u, the tables say %u", have.perm, want.perm);
    check(r, dev, addr, !want.perm || have.output == want.output,
          "address on the host", "0x%" PRIx64 ", the tables say 0x%" PRIx64,
          have.output, want.output);
}

/* Not of devices' DMA: what they write there are interrupts */
static bool is_interrupt(uint64_t addr)
{
    return addr >> 20 == VTD_INTERRUPTS >> 20;
}

static void compare(Run *r)
{
    int i, n;

    for (n = 0; n < SAMPLES; n++) {
        uint64_t addr = random_input(r);

        if (n == 1 && one_in(r, 2)) {
            addr = r->edited & -VTD_PAGE;
        } else if (n == 1) {
            /* about what was edited: in it, or just beside */
            addr = (r->edited & -vtd_span(random_level(r))) +
                   ((int)below(r, 3) - 1) * (int64_t)vtd_span(random_level(r));
        } else if (n == 2) {
            addr = r->mapped[below(r, MAPPED)];
        }
        addr += below(r, VTD_PAGE / 8) * 8;
        if (is_interrupt(addr) || addr >> 52 || addr < 1 * MiB) {
            continue;
        }
        for (i = 0; i < COMPARED; i++) {
            VtdDevice *dev = random_present(r);
            Reached want = reach(r, dev, addr);

            /*
             * Neither the guest's structures nor registers of devices are a
             * place for data
             */
            if (want.perm && (want.output < VTD_DATA ||
                              (want.output >= VTD_RAM_SIZE &&
                               want.output < 4 * GiB))) {
                continue;
            }
            if (!vtd_is_ram(r->guest, want.output)) {
                want = nothing;
            }
            check_emulated(r, dev, addr, want);
            if (r->variant->listens) {
                check_host(r, dev, addr, want);
            }
        }
    }
    if (r->variant->listens) {
        VtdDevice *dev = random_present(r);
        uint64_t refused = vtd_device_register(dev, DMA_TESTDEV_REFUSED);

        check(r, dev, r->edited, !refused, "requests that no host takes",
              "%" PRIu64, refused);
    }
}

static G_GNUC_PRINTF(2, 3) void tell(Run *r, const char *format, ...)
{
    va_list args;

    g_string_append_c(r->story, ' ');
    va_start(args, format);
    g_string_append_vprintf(r->story, format, args);
    va_end(args);
}

/* Devices come and go */

static void open_place(Run *r, int i)
{
    slot_open(r->guest, &r->plugged[i], places[i].addr, places[i].sid,
              SLOT_BAR + i * 1 * MiB);
    set_registers(&r->plugged[i]);
}

static void plug(Run *r, int i)
{
    tell(r, "plug %x", places[i].addr);
    if (places[i].slot == ENDPOINT) {
        slot_plug_endpoint(r->guest, places[i].id, r->variant->listens);
    } else {
        slot_plug_behind(r->guest, places[i].id, places[i].device,
                         r->variant->listens);
    }
    open_place(r, i);
}

/* One or two devices, the bridge having its bus number by then */
static void plug_bridge(Run *r)
{
    int i, missing = below(r, ARRAY_SIZE(places));

    tell(r, "plug a bridge");
    slot_plug_bridge(r->guest);
    slot_set_up(r->guest, BRIDGE);
    for (i = 0; i < ARRAY_SIZE(places); i++) {
        if (places[i].slot == BRIDGE && i != missing) {
            plug(r, i);
        }
    }
}

/* All that is in the slot */
static void unplug(Run *r)
{
    static const char *const ids[] = { NULL, "behind", "bridge", "up" };
    static const unsigned int others[] = { 0, 0, 1, 3 };
    unsigned int n = others[r->slot];
    int i;

    for (i = 0; i < ARRAY_SIZE(places); i++) {
        n += !!r->plugged[i].pci;
        slot_close(&r->plugged[i]);
    }
    tell(r, "unplug %s, %u devices", ids[r->slot], n);
    slot_unplug(r->guest, ids[r->slot], n);
    r->slot = EMPTY;
}

static void plug_or_unplug_behind(Run *r)
{
    int i;

    do {
        i = below(r, ARRAY_SIZE(places));
    } while (places[i].slot != BRIDGE);

    if (r->plugged[i].pci) {
        tell(r, "unplug %x", places[i].addr);
        slot_close(&r->plugged[i]);
        slot_unplug_behind(r->guest, places[i].id, places[i].device);
    } else {
        plug(r, i);
    }
}

static void plug_or_unplug(Run *r)
{
    if (r->slot == BRIDGE && !one_in(r, 3)) {
        plug_or_unplug_behind(r);
        return;
    }
    if (r->slot != EMPTY) {
        unplug(r);
        if (one_in(r, 2)) {
            return;
        }
    }
    if (one_in(r, 3)) {
        r->slot = ENDPOINT;
        plug(r, 0);
    } else {
        r->slot = BRIDGE;
        plug_bridge(r);
    }
}

/*
 * Invalidations: sufficient ones, and often more. Before them, a device may
 * come that sees what was edited at once, or one go.
 */

static void before_invalidation(Run *r)
{
    VtdDevice *behind = &r->plugged[BEHIND], *other = &r->plugged[OTHER];

    if (!behind->pci == !other->pci) {
        if (one_in(r, 20)) {
            plug_or_unplug(r);
        }
    } else if (one_in(r, 4)) {
        /* into the address space of another, which has what was there before */
        plug(r, behind->pci ? OTHER : BEHIND);
    }
}

static void invalidate_all(Run *r)
{
    tell(r, "[all]");
    vtd_invalidate_context_global(r->guest);
    if (r->variant->scalable) {
        vtd_invalidate_pasid_cache_global(r->guest);
    }
    vtd_invalidate_iotlb_global(r->guest);
}

static void invalidate_iotlb(Run *r, uint16_t domain)
{
    if (one_in(r, 5)) {
        tell(r, "[iotlb]");
        vtd_invalidate_iotlb_global(r->guest);
    } else {
        tell(r, "[iotlb of domain %x]", domain);
        vtd_invalidate_iotlb_domain(r->guest, domain);
    }
}

static void invalidate_pasid_cache(Run *r, uint16_t domain)
{
    if (one_in(r, 5)) {
        tell(r, "[pasid cache]");
        vtd_invalidate_pasid_cache_global(r->guest);
    } else {
        tell(r, "[pasid cache of domain %x]", domain);
        vtd_invalidate_pasid_cache_domain(r->guest, domain);
    }
}

/* More than suffices, which changes nothing */
static void invalidate_more(Run *r)
{
    VtdDevice *dev = random_present(r);
    uint64_t addr = one_in(r, 2) ? r->edited : random_input(r);
    unsigned int order = below(r, 53);
    uint64_t start = order > 51 ? 0 : addr & -((uint64_t)VTD_PAGE << order);

    switch (below(r, r->variant->scalable ? 4 : 2)) {
    case 0:
        tell(r, "[device TLB of %x, 2^%u]", dev->sid, order);
        vtd_invalidate_device_tlb(dev, start, order);
        break;
    case 1:
        vtd_invalidate_iotlb_pages(r->guest, random_domain(r),
                                   addr & -VTD_PAGE, below(r, 19));
        break;
    case 2:
        vtd_invalidate_pasid_pages(r->guest, random_domain(r), dev->pasid,
                                   addr & -VTD_PAGE, order);
        break;
    default:
        tell(r, "[device TLB of %x by PASID, 2^%u]", dev->sid, order);
        vtd_invalidate_pasid_device_tlb(dev, one_in(r, 2), start, order);
    }
}

/* After a change of the context entry of @dev, which was of @domain */
static void invalidate_context(Run *r, VtdDevice *dev, uint16_t domain)
{
    before_invalidation(r);
    if (one_in(r, 10)) {
        invalidate_all(r);
        return;
    }
    if (one_in(r, 5)) {
        tell(r, "[context cache of domain %x]", domain);
        vtd_invalidate_context_domain(r->guest, domain);
    } else {
        tell(r, "[context cache of device %x, domain %x]", dev->sid, domain);
        vtd_invalidate_context_device(dev, domain);
    }
    if (r->variant->scalable) {
        invalidate_pasid_cache(r, domain);
    }
    invalidate_iotlb(r, domain);
}

/* After a change of the PASID entry of @dev, which was of @domain */
static void invalidate_pasid(Run *r, VtdDevice *dev, uint16_t domain,
                             bool was_present)
{
    before_invalidation(r);
    if (one_in(r, 10)) {
        invalidate_all(r);
        return;
    }
    if (one_in(r, 3)) {
        invalidate_pasid_cache(r, domain);
    } else {
        tell(r, "[pasid cache of domain %x, pasid %x]", domain, dev->pasid);
        vtd_invalidate_pasid_cache(dev, domain);
    }
    if (was_present) {
        invalidate_iotlb(r, domain);
    } else {
        /* as Linux does with CAP.CM, whatever the type */
        tell(r, "[piotlb of domain %x, pasid %x]", domain, dev->pasid);
        if (one_in(r, 2)) {
            vtd_invalidate_pasid(r->guest, domain, dev->pasid);
        } else {
            /* all its pages, as Linux says it for a user */
            vtd_invalidate_pasid_pages(r->guest, domain, dev->pasid, 0, 52);
        }
    }
}

static void invalidate_pasid_pages(Run *r, uint16_t domain, uint64_t addr,
                                   unsigned int am)
{
    int i;

    /* a mask may have more bits than CAP.MAMV says of the second stage's */
    if (one_in(r, 3)) {
        am = 32 + below(r, 21);
    }

    for (i = 0; i < DEVICES; i++) {
        vtd_invalidate_pasid_pages(r->guest, domain, r->dev[i]->pasid, addr,
                                   am);
    }
}

/* After a change of an entry for @input, whose table is at @level */
static void invalidate_pages(Run *r, uint64_t input, unsigned int level)
{
    unsigned int am = 9 * (level - 1);
    /* those of each PASID are many */
    bool by_page = level < 4 && (r->variant->first_stage ? one_in(r, 4) :
                                                           !one_in(r, 4));
    int i;

    before_invalidation(r);
    if (one_in(r, 20)) {
        invalidate_iotlb(r, domains[0]);
        vtd_invalidate_iotlb_global(r->guest);
        return;
    }
    for (i = 0; i < ARRAY_SIZE(domains); i++) {
        uint64_t addr = input & -VTD_PAGE;

        /* hardware ignores what is below the mask */
        addr = one_in(r, 2) ? addr : addr & -vtd_span(level);
        if (by_page && r->variant->first_stage) {
            invalidate_pasid_pages(r, domains[i], addr, am);
        } else if (by_page) {
            vtd_invalidate_iotlb_pages(r->guest, domains[i], addr, am);
        } else {
            vtd_invalidate_iotlb_domain(r->guest, domains[i]);
        }
    }
    tell(r, by_page ? "[pages 2^%u]" : "[domains]", am);
}

/* Edits */

/* Returns: where the entry is; makes no tables but over what is no entry */
static uint64_t find_entry(Run *r, VtdStage *stage, uint64_t input,
                           unsigned int *level)
{
    uint64_t table = stage->root, at, entry;
    unsigned int l;

    for (l = stage->levels; ; l--) {
        at = table + input / vtd_span(l) % 512 * 8;
        entry = vtd_load(r->guest, at);
        if (l == *level || is_page(entry, l) || !is_present(r, entry) ||
            !vtd_is_ram(r->guest, entry & ENTRY_ADDRESS)) {
            *level = l;
            return at;
        }
        table = entry & ENTRY_ADDRESS;
    }
}

/* A page at @level under @at, an entry at @top, by way of new tables */
static uint64_t tables_to_page(Run *r, uint64_t input, uint64_t page,
                               unsigned int level, unsigned int top)
{
    for (; level < top; level++) {
        uint64_t table = random_table(r);

        vtd_store(r->guest, table + input / vtd_span(level) % 512 * 8, page);
        page = table | all_rights(r);
    }
    return page;
}

static void edit_table(Run *r)
{
    VtdStage *stage = &r->stage[below(r, STAGES)];
    unsigned int level = random_level(r), top = level;
    uint64_t input = random_input(r), page, at, bit;

    if (input >> (12 + 9 * stage->levels)) {
        input &= vtd_span(stage->levels) * 512 - 1;
    }
    r->edited = input;
    switch (below(r, 9)) {
    case 0:
    case 1:
    case 2:
    case 3:
        at = find_entry(r, stage, input, &top);
        page = random_output(r, level) | random_rights(r) |
               (level > 1 ? ENTRY_PS : 0);
        vtd_store(r->guest, at, tables_to_page(r, input, page, level, top));
        r->mapped[below(r, MAPPED)] = input & -VTD_PAGE;
        tell(r, "map 0x%" PRIx64 " at level %u under level %u", input, level,
             top);
        break;
    case 4:
    case 5:
        at = find_entry(r, stage, input, &top);
        vtd_store(r->guest, at, 0);
        tell(r, "clear 0x%" PRIx64 " at level %u", input, top);
        break;
    case 6:
        top = 1 + below(r, stage->levels);
        at = find_entry(r, stage, input, &top);
        bit = one_in(r, 3) ? SS_SNP :
              one_in(r, 2) && top == 4 ? ENTRY_PS : BIT_ULL(40 + below(r, 12));
        vtd_change(r->guest, at, 0, bit);
        tell(r, "set 0x%" PRIx64 " of 0x%" PRIx64 " at level %u", bit, input,
             top);
        break;
    case 7:
        top = 2;
        at = find_entry(r, stage, input, &top);
        if (top == 2) {
            input = (input & -vtd_span(2)) + ENTRY_IN_REGISTERS * VTD_PAGE;
            r->edited = input;
            vtd_store(r->guest, at, random_present(r)->bar.addr |
                                    all_rights(r));
            tell(r, "registers as the table of 0x%" PRIx64, input);
        }
        break;
    default:
        top = 1 + below(r, stage->levels);
        at = find_entry(r, stage, input, &top);
        if (is_present(r, vtd_load(r->guest, at))) {
            vtd_change(r->guest, at, all_rights(r), random_rights(r));
            tell(r, "other rights of 0x%" PRIx64 " at level %u", input, top);
        }
    }
    invalidate_pages(r, input, top);
}

static unsigned int domain_of(Run *r, VtdDevice *dev)
{
    return r->variant->scalable ?
           extract64(vtd_load(r->guest, dev->pasid_entry + 8), 0, 16) :
           extract64(vtd_load(r->guest, dev->context + 8), 8, 16);
}

/* The device gets a stage, whole */
static void use_stage(Run *r, VtdDevice *dev)
{
    int n = below(r, STAGES);
    uint16_t domain = one_in(r, 4) ? random_domain(r) : domains[n];

    tell(r, "device %x: stage %d, domain %x", dev->sid, n, domain);
    if (r->variant->first_stage) {
        vtd_use_first(dev, &r->stage[n], domain);
        vtd_change(r->guest, dev->pasid_entry, 0,
                   PASID_AW(4) | random_present_bits(r));
    } else if (r->variant->scalable) {
        vtd_use_second(dev, &r->stage[n], domain);
        vtd_change(r->guest, dev->pasid_entry, 0, random_present_bits(r));
    } else {
        vtd_use_legacy(dev, &r->stage[n], domain);
        vtd_change(r->guest, dev->context, 0, random_present_bits(r));
    }
}

static void edit_context(Run *r)
{
    VtdDevice *dev = random_target(r);
    uint64_t low = vtd_load(r->guest, dev->context);
    uint16_t domain = domain_of(r, dev);

    switch (below(r, 6)) {
    case 0:
        tell(r, "clear the context entry of %x", dev->sid);
        vtd_store(r->guest, dev->context, low & ~ENTRY_P);
        break;
    case 1:
        tell(r, "damage the context entry of %x", dev->sid);
        vtd_store(r->guest, dev->context, low | BIT_ULL(5));
        break;
    case 2:
        if (r->variant->scalable) {
            goto whole;
        }
        tell(r, "pass through of %x", dev->sid);
        vtd_store(r->guest, dev->context, (low & ~0xffeULL) | 2 << 2);
        break;
    default:
    whole:
        if (r->variant->scalable) {
            uint64_t table = dev->pasid_entry & -VTD_PAGE;

            tell(r, "the context entry of %x", dev->sid);
            vtd_store(r->guest, dev->context,
                      (low & ENTRY_ADDRESS) | random_present_bits(r));
            vtd_store(r->guest, dev->pasid_dir,
                      table | random_present_bits(r));
        } else {
            use_stage(r, dev);
        }
        if (!(low & ENTRY_P) || r->variant->scalable) {
            /* it becomes present, and its new domain is told of */
            invalidate_context(r, dev, domain_of(r, dev));
            return;
        }
    }
    invalidate_context(r, dev, domain);
}

static void edit_pasid(Run *r)
{
    const unsigned int types[] = {
        0, r->variant->first_stage ? PGTT_SECOND : PGTT_FIRST, PGTT_NESTED, 5, 7
    };
    VtdDevice *dev = random_target(r);
    uint64_t low = vtd_load(r->guest, dev->pasid_entry);
    uint16_t domain = domain_of(r, dev);
    bool was_present = low & ENTRY_P;

    switch (below(r, 10)) {
    case 0:
        tell(r, "clear the PASID entry of %x", dev->sid);
        vtd_store(r->guest, dev->pasid_entry, low & ~ENTRY_P);
        break;
    case 1:
        tell(r, "pass through of %x", dev->sid);
        vtd_change(r->guest, dev->pasid_entry, PASID_PGTT_MASK,
                   PASID_PGTT(PGTT_PASS_THROUGH));
        break;
    case 2:
        tell(r, "a type that there is not of %x", dev->sid);
        vtd_change(r->guest, dev->pasid_entry, PASID_PGTT_MASK,
                   PASID_PGTT(types[below(r, ARRAY_SIZE(types))]));
        break;
    case 3:
        if (r->variant->first_stage) {
            break;
        }
        tell(r, "other levels of %x", dev->sid);
        vtd_change(r->guest, dev->pasid_entry, PASID_AW_MASK,
                   (uint64_t)below(r, 4) << 2);
        break;
    case 4:
        tell(r, "clear the PASID directory entry of %x", dev->sid);
        vtd_change(r->guest, dev->pasid_dir, ENTRY_P, 0);
        invalidate_pasid_cache(r, domain);
        invalidate_iotlb(r, domain);
        return;
    default:
        use_stage(r, dev);
        domain = was_present ? domain : domain_of(r, dev);
    }
    invalidate_pasid(r, dev, domain, was_present);
}

/* One is away at most, as all the rest would be for nothing */
static void edit_root(Run *r)
{
    VtdDevice *dev = random_target(r);
    bool present = true;
    uint64_t at;
    int i;

    for (i = 0; i < DEVICES && present; i++) {
        present = vtd_load(r->guest, root_entry(r, r->dev[i])) & ENTRY_P;
        dev = present ? dev : r->dev[i];
    }
    at = root_entry(r, dev);

    tell(r, "root entry of %x: %d", dev->sid, !present);
    vtd_change(r->guest, at, ENTRY_P, present ? 0 : ENTRY_P);
    if (one_in(r, 2)) {
        invalidate_all(r);
        return;
    }
    for (i = 0; i < DEVICES; i++) {
        if (r->dev[i]->sid >> 8 == dev->sid >> 8) {
            invalidate_context(r, r->dev[i], domain_of(r, r->dev[i]));
        }
    }
}

static void switch_translation(Run *r)
{
    tell(r, "translation: %d", !r->enabled);
    if (r->enabled) {
        vtd_disable(r->guest);
    } else {
        vtd_enable(r->guest);
    }
    r->enabled = !r->enabled;
}

static void set_root(Run *r)
{
    vtd_set_root(r->guest, r->guest->root |
                           (r->variant->scalable ? VTD_RTADDR_SCALABLE : 0));
}

/* Bridges have forgotten their buses */
static void open_slot(Run *r)
{
    int i;

    for (i = 0; i < ARRAY_SIZE(r->guest->dev); i++) {
        set_registers(&r->guest->dev[i]);
    }
    slot_set_up(r->guest, r->slot);
    for (i = 0; i < ARRAY_SIZE(places); i++) {
        if (r->plugged[i].pci) {
            slot_close(&r->plugged[i]);
            open_place(r, i);
        }
    }
}

static void reset(Run *r)
{
    tell(r, "reset");
    vtd_reset(r->guest);
    open_slot(r);
    r->enabled = false;
    compare(r);
    set_root(r);
    switch_translation(r);
}

static void step(Run *r)
{
    unsigned int n = below(r, 200);

    g_string_truncate(r->story, 0);
    if (n < 1) {
        reset(r);
    } else if (n < 4) {
        switch_translation(r);
    } else if (n < 10) {
        edit_root(r);
    } else if (n < 14) {
        plug_or_unplug(r);
    } else if (n < 34) {
        edit_context(r);
    } else if (n < 60 && r->variant->scalable) {
        edit_pasid(r);
    } else {
        edit_table(r);
    }
    if (r->enabled && one_in(r, 4)) {
        invalidate_more(r);
    }
    compare(r);
}

static void set_up(Run *r)
{
    VtdGuest *guest = r->guest;
    int i;

    if (r->variant->scalable) {
        vtd_set_up_scalable(guest);
    } else {
        vtd_set_up_legacy(guest);
    }
    for (i = 0; i < ARRAY_SIZE(guest->dev); i++) {
        r->dev[i] = &guest->dev[i];
        use_stage(r, r->dev[i]);
        set_registers(r->dev[i]);
    }
    for (i = 0; i < ARRAY_SIZE(places); i++) {
        VtdDevice *dev = &r->plugged[i];

        r->dev[ARRAY_SIZE(guest->dev) + i] = dev;
        dev->guest = guest;
        dev->sid = places[i].sid;
        if (i && dev->sid == dev[-1].sid) {
            *dev = dev[-1];
        } else if (r->variant->scalable) {
            vtd_add_scalable(dev, 0x80 + i);
        } else {
            vtd_add_legacy(dev);
        }
        use_stage(r, dev);
    }
    slot_set_up(guest, r->slot);
    for (i = 0; i < ARRAY_SIZE(places); i++) {
        /* of those behind a bridge, one */
        if (places[i].slot == r->slot && !strcmp(places[i].id, "behind")) {
            open_place(r, i);
        }
    }
}

static unsigned int from_environment(const char *name, unsigned int value)
{
    const char *text = g_getenv(name);

    if (text) {
        g_assert_cmpint(qemu_strtoui(text, NULL, 0, &value), ==, 0);
    }
    return value;
}

static void test_random(const void *data)
{
    const Variant *variant = data;
    Run run = {
        .variant = variant,
        .slot = variant->slot,
        .seed = from_environment("VTD_COMPARE_SEED", g_random_int()),
        .story = g_string_new(""),
    };
    unsigned int steps = from_environment("VTD_COMPARE_STEPS", STEPS);
    unsigned int levels = variant->width == 39 ? 3 : 4;
    VtdGuest *guest;
    int i;

    g_test_message("VTD_COMPARE_SEED=%u", run.seed);
    run.rand = g_rand_new_with_seed(run.seed);
    guest = vtd_start_large(variant->options, variant->listens);
    run.guest = guest;
    qtest_add_abrt_handler(tell_step, &run);
    for (i = 0; i < STAGES; i++) {
        run.stage[i] = variant->first_stage ? vtd_first_stage(guest) :
                       vtd_second_stage(guest, i ? levels : 3);
    }
    set_up(&run);
    switch_translation(&run);
    for (run.step = 0; run.step < steps; run.step++) {
        step(&run);
    }
    for (i = 0; i < ARRAY_SIZE(places); i++) {
        slot_close(&run.plugged[i]);
    }
    qtest_remove_abrt_handler(&run);
    vtd_quit(guest);
    g_rand_free(run.rand);
    g_string_free(run.story, true);
}

int main(int argc, char **argv)
{
    static const Variant variants[] = {
        { "legacy-39", ",caching-mode=on,aw-bits=39" SLOT_OPTIONS SLOT_BRIDGE,
          false, true, 39, BRIDGE },
        { "legacy-48", ",caching-mode=on" SLOT_OPTIONS SLOT_SWITCH,
          false, true, 48, SWITCH },
        { "scalable-39", ",caching-mode=on,aw-bits=39" SCALABLE
          SLOT_OPTIONS SLOT_SWITCH, true, true, 39, SWITCH },
        { "scalable-48", ",caching-mode=on" SCALABLE SLOT_OPTIONS SLOT_BRIDGE,
          true, true, 48, BRIDGE },
        /* no device that listens is let near a vIOMMU that promises to snoop */
        { "snoop", ",caching-mode=on,snoop-control=on" SCALABLE SLOT_OPTIONS,
          true, false, 48, EMPTY },
        /* what the host's IOMMU would walk, and no listener hears of */
        { "first-stage", ",caching-mode=on" FIRST_STAGE SLOT_OPTIONS,
          true, false, 48, EMPTY, true },
    };
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(variants); i++) {
        g_autofree char *path = g_strdup_printf("/intel-iommu-compare/%s",
                                                variants[i].name);

        qtest_add_data_func(path, &variants[i], test_random);
    }
    return g_test_run();
}
