/*
 * Stage-1 passthrough: what a host that walks the guest's tables makes of DMA
 *
 * The host is host-iommu-testdev's, whose TLB forgets only what it is told to.
 * An emulated device with the same tables says what its DMA must come to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/misc/host-iommu-testdev.h"
#include "qemu/cutils.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "vm-refusal.h"
#include "vtd-dma.h"

/* NEST, SMTS, SSTS and FSTS; MGAW of 48 bits, FS1GP */
#define HOST_ECAP       "219902392664064"
#define HOST_CAP        "72057594041008128"
#define HOST            "host-iommu-testdev,iommu-type=intel-vtd," \
                        "source=iommufd,unit=dmar0,vtd-cap=" HOST_CAP \
                        ",vtd-ecap=" HOST_ECAP

/* Registers of invalidations without a queue (VT-d 11.4) */
#define CAP_REG         0x08
#define GCMD            0x18
#define GCMD_TE         BIT(31)
#define CCMD_REG        0x28
#define CCMD_ICC        BIT_ULL(63)
#define CCMD_GLOBAL     BIT_ULL(61)
#define IOTLB_REG       0xf8
#define IOTLB_IVT       BIT_ULL(63)
#define IOTLB_GLOBAL    BIT_ULL(60)

/* Requests' addresses of the random sequences */
#define PAGES           6

/* A group of the host's devices, and an emulated one */
#define MEMBERS         3
#define DEVICES         (MEMBERS + 1)
#define MORE_SLOT       6

/* Structures of legacy and of scalable mode */
typedef struct Mode {
    uint64_t rtaddr, context[DEVICES];
    VtdStage tables[2];
} Mode;

typedef struct Setup {
    VtdGuest *guest;
    VtdDevice *host;            /* whose tables the host walks */
    VtdDevice *emulated;
    VtdDevice more[MEMBERS - 1];        /* of the host's group */
    VtdDevice *dev[DEVICES];    /* members of the group, and the emulated one */
    unsigned int members;
    VtdStage tables[2];
    bool legacy;                /* the mode of all devices */
    bool translates;
    bool apart;                 /* one member's structures say something else */
    Mode other;                 /* of the mode that is not in force */
    uint64_t page[PAGES];
    GRand *rand;
} Setup;

static const struct {
    const char *name;
    unsigned int offset;
} counters[] = {
    { "allocs", HOST_IOMMU_TESTDEV_ALLOCS },
    { "live", HOST_IOMMU_TESTDEV_LIVE },
    { "attaches", HOST_IOMMU_TESTDEV_ATTACHES },
    { "detaches", HOST_IOMMU_TESTDEV_DETACHES },
    { "invalidations", HOST_IOMMU_TESTDEV_INVALIDATIONS },
    { "ranges", HOST_IOMMU_TESTDEV_RANGES },
};

enum { ALLOCS, LIVE, ATTACHES, DETACHES, INVALIDATIONS, RANGES };

static uint64_t calls(Setup *t, unsigned int which)
{
    return vtd_device_register(t->host, counters[which].offset);
}

/* Returns: the binding of the device in this slot, in query-viommu's words */
static char *bound(Setup *t, unsigned int index)
{
    g_autoptr(QDict) answer = qtest_qmp(t->guest->qts,
                                        "{'execute': 'query-viommu'}");
    QDict *viommu = qobject_to(QDict, qlist_peek(qdict_get_qlist(answer,
                                                                 "return")));
    const QListEntry *e;
    QDict *binding;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(viommu, "devices"), e) {
        if (index-- == 0) {
            binding = qdict_get_qdict(qobject_to(QDict, qlist_entry_obj(e)),
                                      "bound");
            return qdict_haskey(binding, "reason") ?
                   g_strdup_printf("%s: %s", qdict_get_str(binding, "to"),
                                   qdict_get_str(binding, "reason")) :
                   g_strdup(qdict_get_str(binding, "to"));
        }
    }
    g_assert_not_reached();
}

/* The host's call number @in from now fails, and @more after it */
static void let_fail(Setup *t, unsigned int how, uint64_t in, uint64_t more)
{
    const VtdDevice *dev = t->host;

    qpci_io_writeq(dev->pci, dev->bar, HOST_IOMMU_TESTDEV_FAIL_HOW, how);
    qpci_io_writeq(dev->pci, dev->bar, HOST_IOMMU_TESTDEV_FAIL_MORE, more);
    qpci_io_writeq(dev->pci, dev->bar, HOST_IOMMU_TESTDEV_FAIL_IN, in);
}

static void assert_bound(Setup *t, const char *expected)
{
    g_autofree char *to = bound(t, 0);

    g_assert_cmpstr(to, ==, expected);
}

static void invalidate_all(Setup *t)
{
    vtd_invalidate_context_global(t->guest);
    vtd_invalidate_pasid_cache_global(t->guest);
    vtd_invalidate_iotlb_global(t->guest);
}

static void use_tables(Setup *t, unsigned int which, uint16_t domain)
{
    unsigned int i;

    for (i = 0; i <= t->members; i++) {
        if (t->legacy) {
            vtd_use_legacy(t->dev[i], &t->tables[which], domain);
        } else {
            vtd_change(t->guest, t->dev[i]->context, 0, ENTRY_P);
            vtd_use_first(t->dev[i], &t->tables[which], domain);
        }
    }
}

static void set_root(Setup *t)
{
    vtd_set_root(t->guest,
                 t->guest->root | (t->legacy ? 0 : VTD_RTADDR_SCALABLE));
}

/* To be told to the IOMMU by set_root() */
static void change_mode(Setup *t)
{
    Mode mode = t->other;
    unsigned int i;

    t->other.rtaddr = t->guest->root;
    t->guest->root = mode.rtaddr;
    for (i = 0; i <= t->members; i++) {
        t->other.context[i] = t->dev[i]->context;
        t->dev[i]->context = mode.context[i];
    }
    for (i = 0; i < 2; i++) {
        t->other.tables[i] = t->tables[i];
        t->tables[i] = mode.tables[i];
    }
    t->legacy = !t->legacy;
}

/* Returns: where the context entry is, of @size, in the table of the host's */
static uint64_t beside_host(Setup *t, const VtdDevice *dev, unsigned int size)
{
    return t->host->context + (dev->sid - t->host->sid) * size;
}

/* What change_mode() changes to first */
static void set_up_legacy(Setup *t)
{
    Mode scalable = { .rtaddr = t->guest->root };
    unsigned int i, j;

    for (i = 0; i <= t->members; i++) {
        scalable.context[i] = t->dev[i]->context;
    }
    for (i = 0; i < 2; i++) {
        scalable.tables[i] = t->tables[i];
    }
    vtd_set_up_legacy(t->guest);
    for (i = 1; i < t->members; i++) {
        t->dev[i]->context = beside_host(t, t->dev[i], 16);
    }
    t->legacy = true;
    for (i = 0; i < 2; i++) {
        t->tables[i] = vtd_second_stage(t->guest, 4);
        /* the last is no address of legacy mode */
        for (j = 0; j < PAGES - 1; j++) {
            vtd_map(&t->tables[i], t->page[j], FRAME(i * PAGES + j), 1);
        }
    }
    use_tables(t, 0, DOMAIN);
    t->other = scalable;
    change_mode(t);
    set_root(t);
}

/* The structures of the devices in the guest, which number @members and one */
static void set_up_structures(Setup *t, unsigned int members)
{
    unsigned int i, j;

    t->legacy = false;
    t->translates = false;
    t->apart = false;
    t->members = members;
    t->host = &t->guest->dev[0];
    t->emulated = &t->guest->dev[1];
    t->dev[0] = t->host;
    t->dev[members] = t->emulated;
    vtd_set_up_scalable(t->guest);
    vtd_set_rid_pasid(t->emulated, t->host->pasid);
    for (i = 1; i < members; i++) {
        t->dev[i] = &t->more[i - 1];
        t->dev[i]->context = beside_host(t, t->dev[i], 32);
        vtd_set_rid_pasid(t->dev[i], t->host->pasid);
    }
    for (i = 0; i < PAGES; i++) {
        /* neighbours, one far away, one in another half */
        t->page[i] = i < 4 ? IOVA + i * VTD_PAGE :
                     i == 4 ? 3 * GiB : -(uint64_t)GiB;
    }
    for (i = 0; i < ARRAY_SIZE(t->tables); i++) {
        t->tables[i] = vtd_first_stage(t->guest);
        for (j = 0; j < PAGES; j++) {
            vtd_map(&t->tables[i], t->page[j], FRAME(i * PAGES + j), 1);
        }
    }
    use_tables(t, 0, DOMAIN);
}

static void set_up(Setup *t, const char *first, const char *second)
{
    t->guest = vtd_start_devices(FIRST_STAGE, first, second);
    set_up_structures(t, 1);
}

static void open_more(Setup *t, unsigned int members)
{
    unsigned int i;

    for (i = 1; i < members; i++) {
        VtdDevice *dev = &t->more[i - 1];

        dev->guest = t->guest;
        dev->sid = QPCI_DEVFN(MORE_SLOT + i, 0);
        dev->pci = qpci_device_find(t->guest->bus, dev->sid);
        qpci_device_enable(dev->pci);
        dev->bar = qpci_iomap(dev->pci, 0, NULL);
    }
}

static void close_more(Setup *t)
{
    unsigned int i;

    for (i = 1; i < t->members; i++) {
        g_free(t->dev[i]->pci);
    }
}

/* A group of the host with @members, and an emulated device */
static void set_up_group(Setup *t, unsigned int members)
{
    g_autoptr(GString) options = g_string_new(FIRST_STAGE);
    unsigned int i;

    for (i = 1; i < members; i++) {
        g_string_append_printf(options, " -device " HOST ",x-group=3,addr=%x",
                               MORE_SLOT + i);
    }
    t->guest = vtd_start_devices(options->str, HOST ",x-group=3",
                                 "dma-testdev");
    open_more(t, members);
    set_up_structures(t, members);
}

static void start(Setup *t)
{
    set_up(t, HOST, "dma-testdev");
    vtd_enable(t->guest);
}

static void quit(Setup *t)
{
    g_assert_cmpuint(vtd_device_register(t->host, HOST_IOMMU_TESTDEV_WRONG), ==,
                     0);
    close_more(t);
    vtd_quit(t->guest);
}

/* The comparison */

/* Is the group blocked, whatever its members' structures translate? */
static bool is_blocked(Setup *t)
{
    uint64_t context = vtd_load(t->guest, t->host->context);

    /* in legacy mode a group is not shadowed; there, bit 3 is pass-through */
    return t->apart || (t->legacy && t->members > 1 && t->translates &&
                        context & ENTRY_P && !(context & BIT_ULL(3)));
}

/* All devices get the same; with @may_block, the host's may get nothing */
static void compare_at(Setup *t, uint64_t addr, bool may_block)
{
    bool loads[DEVICES], stores[DEVICES], blocked = is_blocked(t);
    uint64_t loaded[DEVICES] = { }, stored = 0;
    unsigned int i, emulated = t->members;

    for (i = 0; i <= emulated; i++) {
        loads[i] = vtd_device_load(t->dev[i], addr, &loaded[i]);
    }
    for (i = 0; i <= emulated; i++) {
        uint64_t value = fresh_value();

        stores[i] = vtd_device_store(t->dev[i], addr, value);
        /* second-stage entries can be for writes alone */
        if (stores[i] && loads[emulated]) {
            g_assert_true(vtd_device_load(t->emulated, addr, &stored));
            g_assert_cmphex(stored, ==, value);
        }
    }
    vtd_take_fault(t->guest);
    for (i = 0; i < emulated; i++) {
        if (may_block && !loads[i] && !stores[i]) {
            continue;
        }
        g_assert_cmpint(loads[i], ==, loads[emulated] && !blocked);
        g_assert_cmphex(loaded[i], ==, blocked ? 0 : loaded[emulated]);
        g_assert_cmpint(stores[i], ==, stores[emulated] && !blocked);
    }
}

static void compare(Setup *t, bool may_block)
{
    unsigned int i;

    for (i = 0; i < PAGES; i++) {
        compare_at(t, t->page[i] + g_rand_int_range(t->rand, 0, 512) * 8,
                   may_block);
    }
    /* which is an address in memory where nothing is translated */
    compare_at(t, FRAME(40), may_block);
}

static uint64_t random_entry(Setup *t)
{
    uint64_t entry = FRAME(g_rand_int_range(t->rand, 0, 20));

    if (t->legacy) {
        return entry | g_rand_int_range(t->rand, 0, 4);
    }
    entry |= FS_ALL;
    switch (g_rand_int_range(t->rand, 0, 8)) {
    case 0:
        return 0;
    case 1:
        return entry & ~FS_RW;
    case 2:
        return entry & ~FS_US;
    case 3:
        return entry | BIT_ULL(51);
    default:
        return entry;
    }
}

/* Entries of the tables in use, with what is sufficient for them */
static void step_pages(Setup *t, unsigned int which, uint16_t domain)
{
    VtdGuest *guest = t->guest;
    unsigned int i, n = g_rand_int_range(t->rand, 1, 4);
    bool wide = false;

    for (i = 0; i < n; i++) {
        uint64_t page = t->page[g_rand_int_range(t->rand, 0,
                                                 PAGES - t->legacy)];
        unsigned int level = g_rand_int_range(t->rand, 0, 12) ? 1 : 2;
        uint64_t at = vtd_entry(&t->tables[which], page, level);

        if (level == 2) {
            /* SS_R and SS_W in legacy mode */
            vtd_change(guest, at, FS_P | FS_RW,
                       g_rand_boolean(t->rand) ? FS_P | FS_RW : 0);
            wide = true;
        } else {
            vtd_store(guest, at, random_entry(t));
        }
        if (g_rand_int_range(t->rand, 0, 4)) {
            uint8_t am = level == 1 ? g_rand_int_range(t->rand, 0, 3) : 9;

            if (t->legacy) {
                vtd_invalidate_iotlb_pages(guest, domain,
                                           page & -(VTD_PAGE << am), am);
            } else {
                vtd_invalidate_pasid_pages(guest, domain, t->host->pasid, page,
                                           am);
            }
        } else {
            wide = true;
        }
    }
    if (wide) {
        switch (g_rand_int_range(t->rand, t->legacy, 3)) {
        case 0:
            vtd_invalidate_pasid(guest, domain, t->host->pasid);
            break;
        case 1:
            vtd_invalidate_iotlb_domain(guest, domain);
            break;
        default:
            vtd_invalidate_iotlb_global(guest);
            break;
        }
    }
}

static void invalidate_entries(Setup *t, uint16_t domain)
{
    unsigned int i;

    if (g_rand_boolean(t->rand)) {
        vtd_invalidate_context_global(t->guest);
    } else {
        for (i = 0; i <= t->members; i++) {
            vtd_invalidate_context_device(t->dev[i], domain);
        }
    }
    if (t->legacy) {
        vtd_invalidate_iotlb_domain(t->guest, domain);
        return;
    }
    if (g_rand_boolean(t->rand)) {
        vtd_invalidate_pasid_cache_global(t->guest);
    } else {
        vtd_invalidate_pasid_cache(t->host, domain);
    }
    vtd_invalidate_pasid(t->guest, domain, t->host->pasid);
}

/* What all structures say that have no tables of a first stage */
static void use_no_tables(Setup *t, unsigned int how, uint16_t domain)
{
    unsigned int i;

    for (i = 0; i <= t->members; i++) {
        VtdDevice *dev = t->dev[i];

        switch (how) {
        case 0:
            vtd_change(t->guest, dev->pasid_entry, ENTRY_P, 0);
            break;
        case 1:
            vtd_use_pass_through(dev, domain);
            break;
        case 2:
            vtd_change(t->guest, dev->context, ENTRY_P, 0);
            break;
        default:
            if (t->legacy) {
                /* translation type: pass-through */
                vtd_change(t->guest, dev->context, 0, BIT_ULL(3));
            } else {
                vtd_change(t->guest, dev->pasid_entry, PASID_PGTT_MASK,
                           PASID_PGTT(PGTT_SECOND));
            }
            break;
        }
    }
}

/* Returns: the domain that is in force then */
static uint16_t step_entries(Setup *t, unsigned int *which, uint16_t domain)
{
    unsigned int how = g_rand_int_range(t->rand, t->legacy ? 2 : 0, 8);
    uint16_t old = domain;

    if (how < 4) {
        use_no_tables(t, how, domain);
    } else {
        *which = g_rand_boolean(t->rand);
        domain = g_rand_boolean(t->rand) ? DOMAIN : OTHER_DOMAIN;
        use_tables(t, *which, domain);
    }
    invalidate_entries(t, old);
    return domain;
}

/* One member's structures say something else than the others', for a while */
static void step_apart(Setup *t, unsigned int which, uint16_t domain,
                       bool may_block)
{
    VtdDevice *odd = t->dev[g_rand_int_range(t->rand, 0, t->members)];

    use_tables(t, which, domain);
    invalidate_entries(t, domain);
    switch (g_rand_int_range(t->rand, 0, t->legacy ? 1 : 4)) {
    case 0:
        vtd_change(t->guest, odd->context, ENTRY_P, 0);
        break;
    case 1:
        vtd_change(t->guest, odd->pasid_entry, ENTRY_P, 0);
        break;
    case 2:
        vtd_use_pass_through(odd, domain);
        break;
    default:
        vtd_use_first(odd, &t->tables[!which], domain);
        break;
    }
    t->apart = true;
    invalidate_entries(t, domain);
    compare(t, may_block);
    step_pages(t, which, domain);
    compare(t, may_block);
    t->apart = false;
    use_tables(t, which, domain);
    invalidate_entries(t, domain);
}

static void step_machine(Setup *t, unsigned int which, uint16_t domain,
                         bool may_block)
{
    switch (g_rand_int_range(t->rand, 0, 4)) {
    case 0:
        vtd_disable(t->guest);
        t->translates = false;
        if (g_rand_boolean(t->rand)) {
            change_mode(t);
            use_tables(t, which, domain);
            set_root(t);
            invalidate_all(t);
        }
        break;
    case 1:
        vtd_reset(t->guest);
        close_more(t);
        open_more(t, t->members);
        t->translates = false;
        if (g_rand_boolean(t->rand)) {
            change_mode(t);
            use_tables(t, which, domain);
        }
        set_root(t);
        break;
    default:
        set_root(t);
        if (t->legacy) {
            /* as GCMD_REG.SRTP needs it: till then nothing is shadowed */
            invalidate_all(t);
        }
        break;
    }
    compare(t, may_block);
    vtd_enable(t->guest);
    t->translates = true;
}

static unsigned int env_number(const char *name, unsigned int otherwise)
{
    const char *value = g_getenv(name);
    unsigned int number;

    return value && !qemu_strtoui(value, NULL, 0, &number) ? number
                                                           : otherwise;
}

/*
 * @members: of the group, which are given the same, mostly
 * @failing: host calls fail now and then, and the next event puts it right
 */
static void random_steps(unsigned int members, bool failing)
{
    unsigned int seed = env_number("VTD_STAGE1_SEED", g_test_rand_int());
    unsigned int steps = env_number("VTD_STAGE1_STEPS", 1000);
    unsigned int i, kind, which = 0;
    uint16_t domain = DOMAIN;
    Setup t;

    g_test_message("VTD_STAGE1_SEED=0x%x VTD_STAGE1_STEPS=%u", seed, steps);
    set_up_group(&t, members);
    set_up_legacy(&t);
    vtd_enable(t.guest);
    t.translates = true;
    t.rand = g_rand_new_with_seed(seed);
    for (i = 0; i < steps; i++) {
        bool held = g_rand_boolean(t.rand);
        bool fails = failing && g_rand_int_range(t.rand, 0, 3) == 0;

        if (fails) {
            let_fail(&t, g_rand_int_range(t.rand, 0, 4),
                     g_rand_int_range(t.rand, 1, 4),
                     g_rand_int_range(t.rand, 0, 5));
        }
        kind = g_rand_int_range(t.rand, 0, 40);
        if (kind == 0) {
            step_machine(&t, which, domain, fails);
        } else if (kind < 5 && members > 1) {
            step_apart(&t, which, domain, fails);
        } else {
            if (held) {
                vtd_hold(t.guest);
            }
            if (kind < 30) {
                step_pages(&t, which, domain);
            } else {
                domain = step_entries(&t, &which, domain);
            }
            if (held) {
                vtd_wait(t.guest, FRAME(41), i);
                vtd_release(t.guest);
                g_assert_cmphex((uint32_t)vtd_load(t.guest, FRAME(41)), ==, i);
            }
        }
        compare(&t, fails);
        if (fails) {
            let_fail(&t, 0, 0, 0);
            invalidate_all(&t);
            compare(&t, false);
        }
    }
    g_assert_cmpuint(calls(&t, LIVE), <=, 1);
    g_rand_free(t.rand);
    quit(&t);
}

static void test_random(const void *members)
{
    random_steps((uintptr_t)members, false);
}

static void test_random_failing(const void *members)
{
    random_steps((uintptr_t)members, true);
}

/* What the host is asked */

static void test_one_call(void)
{
    uint64_t before, ranges;
    unsigned int i, n;
    Setup t;

    start(&t);
    assert_bound(&t, "nested");
    assert_reads(t.host, IOVA, FRAME(0));
    for (n = 1; n <= 40; n += 13) {
        before = calls(&t, INVALIDATIONS);
        ranges = calls(&t, RANGES);
        vtd_hold(t.guest);
        for (i = 0; i < n; i++) {
            /* apart from each other */
            vtd_invalidate_pasid_pages(t.guest, DOMAIN, t.host->pasid,
                                       IOVA + i * 4 * VTD_PAGE, i % 2);
        }
        vtd_wait(t.guest, FRAME(41), n);
        vtd_release(t.guest);
        g_assert_cmpuint(calls(&t, INVALIDATIONS), ==, before + 1);
        g_assert_cmpuint(calls(&t, RANGES), ==, ranges + (n > 32 ? 1 : n));
    }
    /* another domain's, another PASID's: none */
    before = calls(&t, INVALIDATIONS);
    vtd_invalidate_iotlb_domain(t.guest, OTHER_DOMAIN);
    vtd_invalidate_pasid(t.guest, DOMAIN, t.host->pasid + 1);
    vtd_invalidate_pasid(t.guest, OTHER_DOMAIN, t.host->pasid);
    g_assert_cmpuint(calls(&t, INVALIDATIONS), ==, before);
    quit(&t);
}

/* Nothing is told to be done before it is */
static void test_each_wait(void)
{
    uint64_t before;
    unsigned int i;
    Setup t;

    start(&t);
    before = calls(&t, INVALIDATIONS);
    vtd_hold(t.guest);
    for (i = 0; i < 5; i++) {
        vtd_invalidate_pasid(t.guest, DOMAIN, t.host->pasid);
        vtd_invalidate_iotlb_domain(t.guest, DOMAIN);
        vtd_wait(t.guest, FRAME(41), i);
    }
    vtd_release(t.guest);
    g_assert_cmpuint(calls(&t, INVALIDATIONS), ==, before + 5);
    quit(&t);
}

static void test_registers(void)
{
    uint64_t data, before;
    Setup t;

    start(&t);
    assert_reads(t.host, IOVA, FRAME(0));
    vtd_wait(t.guest, FRAME(41), 1);
    vtd_writeq(t.guest, GCMD, GCMD_TE);
    vtd_store(t.guest, vtd_entry(&t.tables[0], IOVA, 1), 0);
    before = calls(&t, INVALIDATIONS);
    vtd_writeq(t.guest, IOTLB_REG, IOTLB_IVT | IOTLB_GLOBAL);
    g_assert_cmpuint(calls(&t, INVALIDATIONS), ==, before + 1);
    g_assert_false(vtd_device_load(t.host, IOVA, &data));

    vtd_change(t.guest, t.host->context, ENTRY_P, 0);
    vtd_writeq(t.guest, CCMD_REG, CCMD_ICC | CCMD_GLOBAL);
    assert_bound(&t, "blocked: its context entry is not present");
    quit(&t);
}

static void test_shared(void)
{
    uint64_t before;
    Setup t;

    set_up(&t, HOST, HOST);
    vtd_enable(t.guest);
    g_assert_cmpuint(calls(&t, LIVE), ==, 1);
    assert_reads(t.host, IOVA, FRAME(0));
    assert_reads(t.emulated, IOVA, FRAME(0));
    before = calls(&t, INVALIDATIONS);
    vtd_invalidate_pasid(t.guest, DOMAIN, t.host->pasid);
    g_assert_cmpuint(calls(&t, INVALIDATIONS), ==, before + 1);

    vtd_use_first(t.emulated, &t.tables[0], OTHER_DOMAIN);
    invalidate_all(&t);
    g_assert_cmpuint(calls(&t, LIVE), ==, 2);
    vtd_use_pass_through(t.host, DOMAIN);
    vtd_use_pass_through(t.emulated, DOMAIN);
    invalidate_all(&t);
    g_assert_cmpuint(calls(&t, LIVE), ==, 0);
    quit(&t);
}

/* A group is bound as one: where its devices disagree, its DMA is blocked */
static void test_group(void)
{
    Setup t;

    set_up(&t, HOST ",x-group=3", HOST ",x-group=3");
    vtd_enable(t.guest);
    assert_reads(t.host, IOVA, FRAME(0));
    assert_reads(t.emulated, IOVA, FRAME(0));

    vtd_use_first(t.emulated, &t.tables[1], DOMAIN);
    invalidate_all(&t);
    assert_bound(&t, "blocked: the guest gives the devices of its host's IOMMU "
                     "group different tables");
    g_assert_false(vtd_device_load(t.host, IOVA, &t.page[0]));
    g_assert_false(vtd_device_load(t.emulated, IOVA, &t.page[0]));

    vtd_use_first(t.host, &t.tables[1], DOMAIN);
    invalidate_all(&t);
    assert_reads(t.host, IOVA, FRAME(PAGES));
    assert_reads(t.emulated, IOVA, FRAME(PAGES));
    quit(&t);
}

static void test_bound(void)
{
    static const struct {
        const char *what;
        unsigned int word;
        uint64_t clear, set;
        const char *bound;
    } cases[] = {
        { "present", 0, 0, 0, "nested" },
        { "pass-through", 0, PASID_PGTT_MASK, PASID_PGTT(PGTT_PASS_THROUGH),
          "pass-through" },
        { "not present", 0, ENTRY_P, 0,
          "blocked: its PASID entry is not present" },
        { "second stage", 0, PASID_PGTT_MASK, PASID_PGTT(PGTT_SECOND),
          "blocked: its PASID entry is of a type that intel-iommu does not "
          "offer" },
        { "five levels", 2, 0, PASID_FSPM(5),
          "blocked: its PASID entry is of a type that intel-iommu does not "
          "offer" },
    };
    unsigned int i;
    Setup t;

    set_up(&t, HOST, "dma-testdev");
    assert_bound(&t, "pass-through");
    vtd_enable(t.guest);
    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t at = t.host->pasid_entry + cases[i].word * 8;
        uint64_t old = vtd_load(t.guest, at);

        g_test_message("%s", cases[i].what);
        vtd_change(t.guest, at, cases[i].clear, cases[i].set);
        vtd_invalidate_pasid_cache(t.host, DOMAIN);
        assert_bound(&t, cases[i].bound);
        vtd_store(t.guest, at, old);
        vtd_invalidate_pasid_cache(t.host, DOMAIN);
        assert_bound(&t, "nested");
    }
    vtd_change(t.guest, t.host->context, ENTRY_P, 0);
    vtd_invalidate_context_device(t.host, DOMAIN);
    assert_bound(&t, "blocked: its context entry is not present");
    vtd_disable(t.guest);
    assert_bound(&t, "pass-through");
    quit(&t);
}

/* Second-stage tables are shadowed, rights and all; scalable mode is left */
static void test_legacy(void)
{
    VtdStage stage;
    uint64_t data;
    Setup t;

    set_up(&t, HOST, "dma-testdev");
    vtd_enable(t.guest);
    assert_bound(&t, "nested");
    vtd_disable(t.guest);

    vtd_set_up_legacy(t.guest);
    stage = vtd_second_stage(t.guest, 4);
    vtd_map(&stage, IOVA, FRAME(3), 1);
    vtd_use_legacy(t.host, &stage, DOMAIN);
    vtd_enable(t.guest);
    assert_bound(&t, "shadow");
    assert_reads(t.host, IOVA, FRAME(3));
    g_assert_true(vtd_device_store(t.host, IOVA, fresh_value()));
    g_assert_false(vtd_device_load(t.host, IOVA + VTD_PAGE, &data));
    g_assert_false(vtd_device_load(t.host, FRAME(3), &data));

    vtd_map(&stage, IOVA + VTD_PAGE, FRAME(4), 1);
    vtd_store(t.guest, vtd_entry(&stage, IOVA, 1), FRAME(5) | SS_R);
    vtd_invalidate_iotlb_domain(t.guest, DOMAIN);
    assert_reads(t.host, IOVA, FRAME(5));
    assert_reads(t.host, IOVA + VTD_PAGE, FRAME(4));
    g_assert_false(vtd_device_store(t.host, IOVA, fresh_value()));
    g_assert_cmpuint(calls(&t, LIVE), ==, 0);

    vtd_change(t.guest, t.host->context, ENTRY_P, 0);
    vtd_invalidate_context_device(t.host, DOMAIN);
    assert_bound(&t, "blocked: its context entry is not present");
    g_assert_false(vtd_device_load(t.host, IOVA, &data));
    vtd_change(t.guest, t.host->context, 0, ENTRY_P);
    vtd_invalidate_context_device(t.host, DOMAIN);
    assert_reads(t.host, IOVA, FRAME(5));

    vtd_disable(t.guest);
    assert_bound(&t, "pass-through");
    assert_reads(t.host, FRAME(3), FRAME(3));
    quit(&t);
}

/* Each device of a group would have tables of its own: they are blocked */
static void test_legacy_group(void)
{
    VtdStage stage;
    uint64_t data;
    Setup t;

    set_up(&t, HOST ",x-group=3", HOST ",x-group=3");
    vtd_set_up_legacy(t.guest);
    stage = vtd_second_stage(t.guest, 4);
    vtd_use_legacy(t.host, &stage, DOMAIN);
    vtd_use_legacy(t.emulated, &stage, DOMAIN);
    vtd_enable(t.guest);
    assert_bound(&t, "blocked: the guest uses VT-d's legacy mode, and the "
                     "device's host IOMMU group has others");
    g_assert_false(vtd_device_load(t.host, FRAME(3), &data));
    quit(&t);
}

/* Each call of a sequence fails in turn: blocked or right, and right after */
static void each_failing(unsigned int how, uint64_t more)
{
    unsigned int n = 0;
    bool failed;
    Setup t;

    set_up(&t, HOST, HOST);
    vtd_enable(t.guest);
    do {
        n++;
        use_tables(&t, 0, DOMAIN);
        invalidate_all(&t);
        assert_reads(t.host, IOVA, FRAME(0));
        assert_reads(t.emulated, IOVA, FRAME(0));

        let_fail(&t, how, n, more);
        vtd_hold(t.guest);
        vtd_store(t.guest, vtd_entry(&t.tables[0], IOVA, 1),
                  FRAME(30) | FS_ALL);
        vtd_invalidate_pasid_pages(t.guest, DOMAIN, t.host->pasid,
                                   IOVA + 8 * VTD_PAGE, 0);
        vtd_invalidate_pasid_pages(t.guest, DOMAIN, t.host->pasid, IOVA, 0);
        vtd_wait(t.guest, FRAME(41), n);
        vtd_release(t.guest);
        for (unsigned int i = 0; i < 2; i++) {
            VtdDevice *dev = &t.guest->dev[i];
            uint64_t value = fresh_value(), data;

            vtd_store(t.guest, FRAME(30), value);
            if (vtd_device_load(dev, IOVA, &data)) {
                g_assert_cmphex(data, ==, value);
            }
        }
        use_tables(&t, 1, DOMAIN);
        invalidate_all(&t);
        failed = !vtd_device_register(t.host, HOST_IOMMU_TESTDEV_FAIL_IN) ||
            vtd_device_register(t.host, HOST_IOMMU_TESTDEV_FAIL_MORE) < more;
        let_fail(&t, 0, 0, 0);
        invalidate_all(&t);
        assert_reads(t.host, IOVA, FRAME(PAGES));
        assert_reads(t.emulated, IOVA, FRAME(PAGES));
        vtd_store(t.guest, vtd_entry(&t.tables[0], IOVA, 1), FRAME(0) | FS_ALL);
        g_assert_cmpuint(calls(&t, LIVE), ==, 1);
    } while (failed);
    g_assert_cmpuint(n, >, 3);
    quit(&t);
}

static void test_each_failing(const void *how)
{
    uint64_t more;

    for (more = 0; more < 5; more++) {
        g_test_message("%" PRIu64 " more", more);
        each_failing(GPOINTER_TO_UINT(how), more);
    }
}

/* A device that comes while the guest translates has no tables yet */
static void test_hotplug(void)
{
    g_autofree char *to = NULL;
    uint64_t live;
    Setup t;

    set_up(&t, HOST, "pcie-root-port,id=rp,chassis=1");
    vtd_enable(t.guest);
    live = calls(&t, LIVE);
    assert_hotplug(t.guest->qts,
                   "{'id': 'dev', 'bus': 'rp', 'driver': 'host-iommu-testdev', "
                   "'iommu-type': 'intel-vtd', 'source': 'iommufd', "
                   "'vtd-cap': " HOST_CAP ", 'vtd-ecap': " HOST_ECAP "}");
    to = bound(&t, 1);
    g_assert_cmpstr(to, ==, "blocked: its context entry is not present");
    g_assert_cmpuint(calls(&t, LIVE), ==, live);
    assert_reads(t.host, IOVA, FRAME(0));
    quit(&t);
}

/* A device that joins a blocked group does not open it */
#define IN_GROUP(id, bus, addr) \
    "{'id': '" id "', 'bus': '" bus "', 'addr': '" addr "', " \
    "'multifunction': true, 'driver': 'host-iommu-testdev', " \
    "'iommu-type': 'intel-vtd', 'source': 'iommufd', 'x-group': 3, " \
    "'unit': 'dmar0', 'vtd-cap': " HOST_CAP ", 'vtd-ecap': " HOST_ECAP "}"

#define GROUP_IN_USE "dev1 is in the same IOMMU group of " \
    "the host, 3, which has one set of page tables, and the guest uses it " \
    "already (plug both before it does, or into one slot, function 0 last)"

/* A device that joins takes nothing from one that the guest uses or may not */
static void test_group_hotplug(void)
{
    uint64_t data;
    Setup t;

    set_up(&t, HOST ",x-group=3,id=dev1", "pcie-root-port,id=rp,chassis=1");
    vtd_enable(t.guest);
    vtd_change(t.guest, t.host->pasid_entry, ENTRY_P, 0);
    invalidate_all(&t);
    assert_hotplug_refused(t.guest->qts, IN_GROUP("dev2", "rp", "0"),
                           GROUP_IN_USE);
    g_assert_false(vtd_device_load(t.host, FRAME(0), &data));
    g_assert_false(vtd_device_load(t.host, IOVA, &data));

    vtd_use_pass_through(t.host, DOMAIN);
    invalidate_all(&t);
    assert_hotplug(t.guest->qts, IN_GROUP("dev2", "rp", "0"));
    /* whose structures are not there yet */
    g_assert_false(vtd_device_load(t.host, FRAME(0), &data));
    quit(&t);
}

/* Both come into a slot that the guest looks into when function 0 is there */
static void test_group_in_slot(void)
{
    g_autofree char *to = NULL;
    Setup t;

    set_up(&t, HOST, "pcie-root-port,id=rp,chassis=1");
    vtd_enable(t.guest);
    assert_hotplug(t.guest->qts, IN_GROUP("dev1", "rp", "0.1"));
    assert_hotplug(t.guest->qts, IN_GROUP("dev0", "rp", "0.0"));
    to = bound(&t, 2);
    g_assert_cmpstr(to, ==, "blocked: its context entry is not present");
    assert_reads(t.host, IOVA, FRAME(0));
    quit(&t);
}

/* 1 GiB pages are left to the host; what it lacks, the guest is not told */
static void test_adopts_fs1gp(void)
{
    static const struct {
        const char *cap;
        bool has;
    } hosts[] = {
        { HOST_CAP, true }, { "0x2f0000", false },
    };
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(hosts); i++) {
        g_autofree char *device = g_strdup_printf(HOST ",vtd-cap=%s",
                                                  hosts[i].cap);
        Setup t;

        set_up(&t, device, "dma-testdev");
        g_assert_cmpint(extract64(vtd_readq(t.guest, CAP_REG), 56, 1), ==,
                        hosts[i].has);
        quit(&t);
    }
}

/* Both names of a property are one, listed, and show what was given */
static void test_names(void)
{
    static const char *const names[][2] = {
        { "x-scalable-mode", "scalable-mode" }, { "x-flts", "fsts" },
    };
    QTestState *qts = qtest_init("-nodefaults -M q35 -device intel-iommu,"
                                 "id=iommu0,scalable-mode=on,fsts=on");
    QDict *answer;
    unsigned int i, j;

    for (i = 0; i < ARRAY_SIZE(names); i++) {
        for (j = 0; j < 2; j++) {
            answer = qtest_qmp(qts, "{'execute': 'qom-get', 'arguments': "
                               "{'path': 'iommu0', 'property': %s}}",
                               names[i][j]);
            g_assert_true(qdict_get_bool(answer, "return"));
            qobject_unref(answer);
        }
    }
    answer = qtest_qmp(qts, "{'execute': 'device-list-properties', "
                       "'arguments': {'typename': 'intel-iommu'}}");
    for (i = 0; i < ARRAY_SIZE(names); i++) {
        for (j = 0; j < 2; j++) {
            const QListEntry *e;
            bool found = false;

            QLIST_FOREACH_ENTRY(qdict_get_qlist(answer, "return"), e) {
                QDict *prop = qobject_to(QDict, qlist_entry_obj(e));

                found |= !strcmp(qdict_get_str(prop, "name"), names[i][j]) &&
                         !strcmp(qdict_get_str(prop, "type"), "bool");
            }
            g_assert_true(found);
        }
    }
    qobject_unref(answer);
    qtest_quit(qts);
}

static void test_refused(void)
{
    assert_device_refused(
        "-nodefaults -M q35 -device intel-iommu" FIRST_STAGE
        " -device pcie-pci-bridge,id=b -device " HOST ",bus=b,addr=1",
        "intel-iommu with x-flts=on does not support assigned devices behind a "
        "PCIe-to-PCI bridge, which share their tables (plug it into a PCIe "
        "port, or use x-flts=off)");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_data_func("/intel-iommu-stage1/random/one", (void *)1,
                        test_random);
    qtest_add_data_func("/intel-iommu-stage1/random/one/failing", (void *)1,
                        test_random_failing);
    qtest_add_data_func("/intel-iommu-stage1/random/two", (void *)2,
                        test_random);
    qtest_add_data_func("/intel-iommu-stage1/random/two/failing", (void *)2,
                        test_random_failing);
    qtest_add_data_func("/intel-iommu-stage1/random/three", (void *)3,
                        test_random);
    qtest_add_data_func("/intel-iommu-stage1/random/three/failing", (void *)3,
                        test_random_failing);
    qtest_add_func("/intel-iommu-stage1/one-call", test_one_call);
    qtest_add_func("/intel-iommu-stage1/each-wait", test_each_wait);
    qtest_add_func("/intel-iommu-stage1/registers", test_registers);
    qtest_add_func("/intel-iommu-stage1/shared", test_shared);
    qtest_add_func("/intel-iommu-stage1/group", test_group);
    qtest_add_func("/intel-iommu-stage1/bound", test_bound);
    qtest_add_func("/intel-iommu-stage1/legacy", test_legacy);
    qtest_add_func("/intel-iommu-stage1/legacy-group", test_legacy_group);
    qtest_add_data_func("/intel-iommu-stage1/each-failing/keeps",
                        GUINT_TO_POINTER(0), test_each_failing);
    qtest_add_data_func("/intel-iommu-stage1/each-failing/blocks",
                        GUINT_TO_POINTER(HOST_IOMMU_TESTDEV_BLOCKS |
                                         HOST_IOMMU_TESTDEV_PARTLY),
                        test_each_failing);
    qtest_add_func("/intel-iommu-stage1/hotplug", test_hotplug);
    qtest_add_func("/intel-iommu-stage1/group-hotplug", test_group_hotplug);
    qtest_add_func("/intel-iommu-stage1/group-in-slot", test_group_in_slot);
    qtest_add_func("/intel-iommu-stage1/adopts-fs1gp", test_adopts_fs1gp);
    qtest_add_func("/intel-iommu-stage1/names", test_names);
    qtest_add_func("/intel-iommu-stage1/refused", test_refused);

    return g_test_run();
}
