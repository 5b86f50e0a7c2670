/*
 * A host IOMMU that nests, in software, to test vIOMMUs without one
 *
 * Answers as Linux' iommufd does, and walks first-stage tables of the guest
 * with a TLB that forgets only what it is told to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/bitops.h"
#include "qemu/bswap.h"
#include "exec/address-spaces.h"
#include "hw/misc/host-iommu-testparent.h"

#define TYPE_HOST_IOMMU_PARENT_TEST TYPE_HOST_IOMMU_PARENT "-test"
OBJECT_DECLARE_SIMPLE_TYPE(HostIOMMUTestParent, HOST_IOMMU_PARENT_TEST)

/* First-stage entries (VT-d 9.8) */
#define ENTRY_P         BIT_ULL(0)
#define ENTRY_RW        BIT_ULL(1)
#define ENTRY_US        BIT_ULL(2)
#define ENTRY_A         BIT_ULL(5)
#define ENTRY_D         BIT_ULL(6)
#define ENTRY_PS        BIT_ULL(7)
#define ENTRY_PAT       BIT_ULL(12)
#define ENTRY_ADDRESS   MAKE_64BIT_MASK(12, 40)
/* The memory of a VM ends below: the host's address width */
#define ENTRY_RESERVED  MAKE_64BIT_MASK(48, 4)

#define PAGE_BITS       12
#define PAGE_BYTES       (1ULL << PAGE_BITS)
#define LEVEL_BITS      9
#define LEVELS          4

#define INTERRUPTS      0xfee00000ULL
#define INTERRUPTS_LAST 0xfeefffffULL

HostIOMMUTestCalls host_iommu_test_calls;

/* A page that is cached */
typedef struct TestPage {
    uint64_t addr, mask;            /* of the request: page, offset in it */
    hwaddr output;
    bool writable, dirty;
} TestPage;

struct HostIOMMUTestTables {
    uint32_t id;
    unsigned int attached;          /* groups */
    bool shadow;
    DMATestdevListener listener;    /* with shadow */
    hwaddr root;                    /* without, and what follows */
    GHashTable *tlb;                /* number of a 4 KiB page -> TestPage */
    QLIST_ENTRY(HostIOMMUTestTables) next;
};

struct HostIOMMUTestParent {
    HostIOMMUParent parent_obj;

    char *unit;
    QLIST_HEAD(, HostIOMMUTestTables) tables;
    QLIST_ENTRY(HostIOMMUTestParent) next;
};

struct HostIOMMUTestGroup {
    int number;
    unsigned int members, attached;
    HostIOMMUTestParent *parent;
    uint32_t id;                    /* that it counts as attached to */
    HostIOMMUTestTables *tables;    /* NULL: the parent */
    bool blocked;                   /* though attached */
    QLIST_ENTRY(HostIOMMUTestGroup) next;
};

static QLIST_HEAD(, HostIOMMUTestParent) parents;
static QLIST_HEAD(, HostIOMMUTestGroup) groups;
static uint32_t last_id;

/* Returns: is it this call's turn to fail? */
static bool fails(Error **errp)
{
    HostIOMMUTestCalls *calls = &host_iommu_test_calls;

    if (!calls->fail_in || --calls->fail_in) {
        return false;
    }
    if (calls->fail_more) {
        calls->fail_more--;
        calls->fail_in = 1;
    }
    error_setg(errp, "failed as asked");
    return true;
}

/* The parent */

static HostIOMMUTestTables *find_tables(HostIOMMUTestParent *p, uint32_t id)
{
    HostIOMMUTestTables *t;

    QLIST_FOREACH(t, &p->tables, next) {
        if (t->id == id) {
            return t;
        }
    }
    return NULL;
}

static int test_alloc_tables(HostIOMMUParent *parent, HostIOMMUDevice *hiod,
                             const HostIOMMUVTDTables *tables, uint32_t *id,
                             Error **errp)
{
    HostIOMMUTestParent *p = HOST_IOMMU_PARENT_TEST(parent);
    HostIOMMUTestTables *t;

    if (fails(errp)) {
        return -ENOMEM;
    }
    if (tables->addr_width != PAGE_BITS + LEVELS * LEVEL_BITS || tables->sre ||
        tables->wpe) {
        error_setg(errp, "tables of a kind that this host does not walk");
        return -EINVAL;
    }
    t = g_new0(HostIOMMUTestTables, 1);
    t->id = ++last_id;
    t->root = tables->root;
    t->tlb = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                   g_free);
    QLIST_INSERT_HEAD(&p->tables, t, next);
    host_iommu_test_calls.allocs++;
    host_iommu_test_calls.live++;
    *id = t->id;
    return 0;
}

static void test_free_tables(HostIOMMUParent *parent, uint32_t id)
{
    HostIOMMUTestTables *t = find_tables(HOST_IOMMU_PARENT_TEST(parent), id);

    if (!t || t->attached) {
        host_iommu_test_calls.wrong++;
        return;
    }
    QLIST_REMOVE(t, next);
    g_hash_table_destroy(t->tlb);
    g_free(t);
    host_iommu_test_calls.live--;
}

static gboolean is_in_range(gpointer key, gpointer value, gpointer opaque)
{
    const HostIOMMUVTDRange *range = opaque;
    const TestPage *page = value;
    uint64_t last = range->addr + (range->npages << PAGE_BITS) - 1;

    return range->npages == HOST_IOMMU_ALL_PAGES ||
           (page->addr <= last && range->addr <= (page->addr | page->mask));
}

static int test_invalidate(HostIOMMUParent *parent, uint32_t id,
                           const HostIOMMUVTDRange *ranges, uint32_t *count,
                           Error **errp)
{
    HostIOMMUTestTables *t = find_tables(HOST_IOMMU_PARENT_TEST(parent), id);
    uint32_t i, asked = *count;
    bool failed = fails(errp);

    host_iommu_test_calls.invalidations++;
    if (!t) {
        host_iommu_test_calls.wrong++;
        asked = 0;
    } else if (failed) {
        asked = host_iommu_test_calls.partly ? asked - 1 : 0;
    }
    for (i = 0; i < asked; i++) {
        g_hash_table_foreach_remove(t->tlb, is_in_range, (void *)&ranges[i]);
    }
    host_iommu_test_calls.ranges += asked;
    *count = asked;
    return failed ? -EIO : 0;
}

HostIOMMUParent *host_iommu_test_parent(const char *unit)
{
    HostIOMMUTestParent *p;

    QLIST_FOREACH(p, &parents, next) {
        if (!g_strcmp0(p->unit, unit)) {
            return HOST_IOMMU_PARENT(object_ref(p));
        }
    }
    p = HOST_IOMMU_PARENT_TEST(object_new(TYPE_HOST_IOMMU_PARENT_TEST));
    p->unit = g_strdup(unit);
    p->parent_obj.id = ++last_id;
    QLIST_INSERT_HEAD(&parents, p, next);
    return HOST_IOMMU_PARENT(p);
}

static void test_parent_finalize(Object *obj)
{
    HostIOMMUTestParent *p = HOST_IOMMU_PARENT_TEST(obj);

    if (!QLIST_EMPTY(&p->tables)) {
        host_iommu_test_calls.wrong++;
    }
    QLIST_REMOVE(p, next);
    g_free(p->unit);
}

static void test_parent_class_init(ObjectClass *oc, void *data)
{
    HostIOMMUParentClass *pc = HOST_IOMMU_PARENT_CLASS(oc);

    pc->alloc_tables = test_alloc_tables;
    pc->free_tables = test_free_tables;
    pc->invalidate = test_invalidate;
}

/* Groups and their devices */

static HostIOMMUTestGroup *find_group(int number)
{
    HostIOMMUTestGroup *g;

    if (number != HOST_IOMMU_GROUP_UNKNOWN) {
        QLIST_FOREACH(g, &groups, next) {
            if (g->number == number) {
                return g;
            }
        }
    }
    g = g_new0(HostIOMMUTestGroup, 1);
    g->number = number;
    QLIST_INSERT_HEAD(&groups, g, next);
    return g;
}

static void set_tables(HostIOMMUTestGroup *g, HostIOMMUTestTables *t)
{
    if (t) {
        t->attached++;
    }
    if (g->tables) {
        g->tables->attached--;
    }
    g->tables = t;
}

int host_iommu_test_attach(HostIOMMUTestMember *member, uint32_t pasid,
                           uint32_t id, Error **errp)
{
    HostIOMMUTestGroup *g = member->group;
    HostIOMMUTestTables *t = find_tables(g->parent, id);

    host_iommu_test_calls.attaches++;
    if (pasid != HOST_IOMMU_NO_PASID) {
        error_setg(errp, "PASIDs cannot be attached");
        return -ENOTSUP;
    }
    if (!t && id != g->parent->parent_obj.id) {
        host_iommu_test_calls.wrong++;
        error_setg(errp, "nothing has id %u", id);
        return -ENOENT;
    }
    if (fails(errp)) {
        if (member->attached && id != g->id) {
            g->blocked = host_iommu_test_calls.blocks;
        }
        return -EBUSY;
    }
    if (g->attached && g->id != id && !member->attached) {
        error_setg(errp, "the group is attached to something else");
        return -EINVAL;
    }
    /* To attach to what it counts as attached to changes nothing */
    if (g->attached == 0 || g->id != id) {
        g->blocked = false;
        g->id = id;
        set_tables(g, t);
    }
    if (!member->attached) {
        member->attached = true;
        g->attached++;
    }
    return 0;
}

int host_iommu_test_detach(HostIOMMUTestMember *member, uint32_t pasid)
{
    HostIOMMUTestGroup *g = member->group;

    host_iommu_test_calls.detaches++;
    if (pasid == HOST_IOMMU_NO_PASID && member->attached) {
        member->attached = false;
        if (--g->attached == 0) {
            set_tables(g, NULL);
        }
    }
    return 0;
}

bool host_iommu_test_shadow(HostIOMMUTestMember *member, AddressSpace *as,
                            uint32_t *id, Error **errp)
{
    HostIOMMUTestTables *t;

    if (fails(errp)) {
        return false;
    }
    t = g_new0(HostIOMMUTestTables, 1);
    t->id = ++last_id;
    t->shadow = true;
    if (!dma_testdev_listen(&t->listener, as, errp)) {
        g_free(t);
        return false;
    }
    QLIST_INSERT_HEAD(&member->group->parent->tables, t, next);
    host_iommu_test_calls.wrong += !!member->shadow;
    member->shadow = t;
    *id = t->id;
    return true;
}

void host_iommu_test_unshadow(HostIOMMUTestMember *member)
{
    HostIOMMUTestTables *t = g_steal_pointer(&member->shadow);

    if (!t || t->attached) {
        host_iommu_test_calls.wrong++;
        return;
    }
    QLIST_REMOVE(t, next);
    dma_testdev_stop_listening(&t->listener);
    host_iommu_test_calls.wrong += t->listener.refused;
    g_free(t);
}

bool host_iommu_test_join(HostIOMMUTestMember *member, HostIOMMUParent *parent,
                          int group, Error **errp)
{
    HostIOMMUTestGroup *g = find_group(group);

    g->members++;
    g->parent = HOST_IOMMU_PARENT_TEST(parent);
    member->group = g;
    if (host_iommu_test_attach(member, HOST_IOMMU_NO_PASID, parent->id,
                               errp)) {
        host_iommu_test_leave(member);
        return false;
    }
    return true;
}

void host_iommu_test_leave(HostIOMMUTestMember *member)
{
    HostIOMMUTestGroup *g = member->group;

    if (g) {
        host_iommu_test_detach(member, HOST_IOMMU_NO_PASID);
        member->group = NULL;
        if (--g->members == 0) {
            QLIST_REMOVE(g, next);
            g_free(g);
        }
    }
}

/* DMA */

static bool update_entry(hwaddr at, uint64_t old, uint64_t bits)
{
    uint32_t byte = (old | bits) & 0xff;

    /* Accessed and Dirty are in the entry's first byte */
    return address_space_write(&address_space_memory, at,
                               (MemTxAttrs) { .memory = 1 }, &(uint8_t){ byte },
                               1) == MEMTX_OK;
}

static uint64_t reserved_bits(unsigned int level, bool leaf)
{
    if (leaf && level > 1) {
        return ENTRY_RESERVED |
               (MAKE_64BIT_MASK(PAGE_BITS, (level - 1) * LEVEL_BITS) &
                ~ENTRY_PAT);
    }
    return ENTRY_RESERVED | (level == LEVELS ? ENTRY_PS : 0);
}

/* VT-d 3.6, as requests without supervisor privilege are translated */
static bool walk(const HostIOMMUTestTables *t, uint64_t addr, bool is_write,
                 TestPage *page)
{
    const MemTxAttrs attrs = { .memory = 1 };
    unsigned int level, shift = PAGE_BITS + LEVELS * LEVEL_BITS;
    hwaddr at, table = t->root;
    uint64_t entry, set;
    bool leaf = false;

    if (sextract64(addr, 0, shift) != addr) {
        return false;
    }
    page->writable = true;
    for (level = LEVELS; !leaf; level--) {
        shift -= LEVEL_BITS;
        at = table + extract64(addr, shift, LEVEL_BITS) * sizeof(entry);
        if (address_space_read(&address_space_memory, at, attrs, &entry,
                               sizeof(entry)) != MEMTX_OK) {
            return false;
        }
        entry = le64_to_cpu(entry);
        leaf = level == 1 || (level < LEVELS && entry & ENTRY_PS);
        if (!(entry & ENTRY_P) || !(entry & ENTRY_US) ||
            (is_write && !(entry & ENTRY_RW)) ||
            entry & reserved_bits(level, leaf)) {
            return false;
        }
        set = ENTRY_A | (is_write && leaf ? ENTRY_D : 0);
        if (set & ~entry && !update_entry(at, entry, set)) {
            return false;
        }
        entry |= set;
        page->writable &= !!(entry & ENTRY_RW);
        table = entry & ENTRY_ADDRESS;
    }
    page->mask = MAKE_64BIT_MASK(0, shift);
    page->addr = addr & ~page->mask;
    page->output = table & ~page->mask;
    page->dirty = entry & ENTRY_D;
    return page->output > INTERRUPTS_LAST ||
           (page->output | page->mask) < INTERRUPTS;
}

static bool translate(HostIOMMUTestTables *t, uint64_t addr, bool is_write,
                      hwaddr *output)
{
    uint64_t number = addr >> PAGE_BITS;
    TestPage *page, found;

    if (t->shadow) {
        return dma_testdev_find_mapping(&t->listener, addr, output) &
               (is_write ? IOMMU_WO : IOMMU_RO);
    }
    page = g_hash_table_lookup(t->tlb, &number);
    /* What is cached may be refused without another look */
    if (page && is_write && !page->writable) {
        return false;
    }
    if (!page || (is_write && !page->dirty)) {
        if (!walk(t, addr, is_write, &found)) {
            return false;
        }
        page = g_memdup2(&found, sizeof(found));
        g_hash_table_replace(t->tlb, g_memdup2(&number, sizeof(number)), page);
    }
    *output = page->output + (addr & page->mask);
    return true;
}

MemTxResult host_iommu_test_dma(HostIOMMUTestMember *member, hwaddr addr,
                                void *buf, hwaddr len, bool is_write)
{
    HostIOMMUTestGroup *g = member->group;
    uint8_t *bytes = buf;
    hwaddr output;

    /* A vCPU may be on its way to the registers of a device that has gone */
    if (!g || !g->attached || g->blocked) {
        return MEMTX_ACCESS_ERROR;
    }
    while (len) {
        hwaddr piece = MIN(len, PAGE_BYTES - addr % PAGE_BYTES);

        output = addr;
        if ((g->tables && !translate(g->tables, addr, is_write, &output)) ||
            address_space_rw(&address_space_memory, output,
                             MEMTXATTRS_UNSPECIFIED, bytes, piece, is_write)) {
            return MEMTX_ACCESS_ERROR;
        }
        addr += piece;
        bytes += piece;
        len -= piece;
    }
    return MEMTX_OK;
}

static const TypeInfo types[] = {
    {
        .name = TYPE_HOST_IOMMU_PARENT_TEST,
        .parent = TYPE_HOST_IOMMU_PARENT,
        .instance_size = sizeof(HostIOMMUTestParent),
        .instance_finalize = test_parent_finalize,
        .class_init = test_parent_class_init,
    },
};

DEFINE_TYPES(types)
