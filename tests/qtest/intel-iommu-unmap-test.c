/*
 * In how few pieces a listener is told what the guest took away
 *
 * Random leaves of a region come, go and change; one invalidation is sent. The
 * number of pieces is compared with the fewest that there can be, which is
 * counted here from what was and what stays mapped, and each page with what the
 * device's host has: there a piece that splits a mapping takes nothing away, as
 * with iommufd, and is counted, as type1 refuses it.
 *
 * VTD_UNMAP_SEED in the environment is the seed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/memory.h"
#include "qemu/cutils.h"
#include "qobject/qdict.h"
#include "vtd-dma.h"

#define CACHING_MODE    ",caching-mode=on"
#define STEPS           80

/* A region of two pages of 2 MiB */
#define LARGE           512
#define PAGES           (2 * LARGE)
/* One with interrupts at the beginning of its second half */
#define AT_INTERRUPTS   0xfec00000ULL
#define INTERRUPTS      LARGE
#define INTERRUPTS_END  (LARGE + 256)

typedef struct Leaf {
    uint64_t output;            /* of the page; 0: nothing is mapped */
    bool large;                 /* is one of 2 MiB's */
} Leaf;

typedef struct Setup {
    VtdGuest *guest;
    VtdDevice *dev;
    VtdStage stage;
    bool scalable;
    uint64_t base;
    Leaf leaf[PAGES], before[PAGES];
    GRand *rand;
} Setup;

static uint64_t told(Setup *t, unsigned int reg)
{
    return vtd_device_register(t->dev, reg);
}

static void set_up(Setup *t, const char *options, const char *device,
                   uint64_t base)
{
    *t = (Setup) {
        .guest = vtd_start_devices(options, device, device),
        .scalable = strstr(options, SCALABLE),
        .base = base,
    };
    t->dev = &t->guest->dev[0];
    t->stage = vtd_second_stage(t->guest, 4);
    if (t->scalable) {
        vtd_set_up_scalable(t->guest);
        vtd_use_second(t->dev, &t->stage, DOMAIN);
    } else {
        vtd_set_up_legacy(t->guest);
        vtd_use_legacy(t->dev, &t->stage, DOMAIN);
    }
    vtd_enable(t->guest);
}

static void map_page(Setup *t, unsigned int page, uint64_t output)
{
    t->leaf[page] = (Leaf) { output };
    vtd_map(&t->stage, t->base + page * VTD_PAGE, output, 1);
}

static void unmap_page(Setup *t, unsigned int page)
{
    t->leaf[page] = (Leaf) { };
    vtd_store(t->guest, vtd_entry(&t->stage, t->base + page * VTD_PAGE, 1), 0);
}

/* A page of 2 MiB in the place of all in that half; 0: nothing */
static void map_large(Setup *t, unsigned int half, uint64_t output)
{
    uint64_t entry = vtd_entry(&t->stage, t->base + half * 2 * MiB, 2);
    unsigned int i;

    vtd_store(t->guest, entry, output ? output | ENTRY_PS | SS_ALL : 0);
    for (i = 0; i < LARGE; i++) {
        t->leaf[half * LARGE + i] = (Leaf) {
            .output = output ? output + i * VTD_PAGE : 0,
            .large = output,
        };
    }
}

static bool is_large(Setup *t, unsigned int half)
{
    return t->leaf[half * LARGE].large;
}

/* What the host has is what the tables say */
static void assert_host(Setup *t)
{
    unsigned int i;

    for (i = 0; i < PAGES; i++) {
        bool interrupts = t->base == AT_INTERRUPTS && i >= INTERRUPTS &&
                          i < INTERRUPTS_END;
        uint64_t output = interrupts ? 0 : t->leaf[i].output;
        VtdHostMapping mapping;

        /* beside the middle and the interrupts, few are used */
        if (ABS((int)i - LARGE) > 64 && ABS((int)i - INTERRUPTS_END) > 64 &&
            i % 32) {
            continue;
        }
        mapping = vtd_host_mapping(t->dev, t->base + i * VTD_PAGE);
        g_assert_cmphex(mapping.output, ==, output);
        g_assert_cmpuint(mapping.perm, ==, output ? IOMMU_RW : IOMMU_NONE);
    }
    g_assert_cmpuint(told(t, DMA_TESTDEV_REFUSED), ==, 0);
}

/* Few pages */

static void map_all(Setup *t)
{
    unsigned int i;

    for (i = 0; i < LARGE; i++) {
        map_page(t, i, VTD_DATA + i * VTD_PAGE);
    }
    vtd_invalidate_iotlb_pages(t->guest, DOMAIN, t->base, 9);
    assert_host(t);
}

static void unmap_all(Setup *t)
{
    unsigned int i;

    for (i = 0; i < LARGE; i++) {
        unmap_page(t, i);
    }
}

static void by_pages(Setup *t)
{
    vtd_invalidate_iotlb_pages(t->guest, DOMAIN, t->base, 9);
}

static void by_domain(Setup *t)
{
    vtd_invalidate_iotlb_domain(t->guest, DOMAIN);
}

static void by_all(Setup *t)
{
    vtd_invalidate_iotlb_global(t->guest);
}

static void by_context(Setup *t)
{
    vtd_invalidate_context_device(t->dev, DOMAIN);
}

static void by_pasid(Setup *t)
{
    if (t->scalable) {
        vtd_invalidate_pasid(t->guest, DOMAIN, t->dev->pasid);
    } else {
        by_all(t);
    }
}

static void by_pasid_pages(Setup *t)
{
    if (t->scalable) {
        vtd_invalidate_pasid_pages(t->guest, DOMAIN, t->dev->pasid, t->base, 9);
    } else {
        by_pages(t);
    }
}

static void (*const invalidations[])(Setup *) = {
    by_pages, by_domain, by_all, by_context, by_pasid, by_pasid_pages,
};

/* 512 pages go with one descriptor, and nothing is told where nothing goes */
static void test_descriptor(const void *options)
{
    Setup t;
    uint64_t unmaps;
    int i;

    set_up(&t, options, "dma-testdev,listen=on", NARROW_IOVA);
    for (i = 0; i < ARRAY_SIZE(invalidations); i++) {
        map_all(&t);
        unmaps = told(&t, DMA_TESTDEV_UNMAPS);
        unmap_all(&t);
        invalidations[i](&t);
        g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 1);
        assert_host(&t);

        invalidations[i](&t);
        g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 1);
    }
    vtd_quit(t.guest);
}

/* The window and the region, which are on either side of the interrupts, go */
static void test_whole(const void *options)
{
    Setup t;
    uint64_t unmaps;

    set_up(&t, options, "dma-testdev,listen=on", NARROW_IOVA);
    map_all(&t);

    /* told as gone, and then as it was */
    unmaps = told(&t, DMA_TESTDEV_UNMAPS);
    vtd_invalidate_context_global(t.guest);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 2);
    assert_host(&t);

    unmaps = told(&t, DMA_TESTDEV_UNMAPS);
    vtd_change(t.guest, t.dev->context, ENTRY_P, 0);
    vtd_invalidate_context_device(t.dev, DOMAIN);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 2);
    vtd_invalidate_context_device(t.dev, DOMAIN);
    vtd_invalidate_iotlb_domain(t.guest, DOMAIN);
    vtd_invalidate_context_global(t.guest);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 2);

    vtd_change(t.guest, t.dev->context, 0, ENTRY_P);
    vtd_invalidate_context_device(t.dev, DOMAIN);
    assert_host(&t);

    unmaps = told(&t, DMA_TESTDEV_UNMAPS);
    vtd_disable(t.guest);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 2);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_REFUSED), ==, 0);
    vtd_quit(t.guest);
}

/* One that is told of no mappings is told of all that could be gone */
static void test_unmap_only(const void *options)
{
    Setup t;
    uint64_t unmaps;

    set_up(&t, options, "dma-testdev,listen=on,x-unmap-only=on", NARROW_IOVA);
    unmaps = told(&t, DMA_TESTDEV_UNMAPS);
    by_pages(&t);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 1);
    by_pasid_pages(&t);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 2);
    by_domain(&t);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 4);
    by_all(&t);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 6);
    by_pasid(&t);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 8);
    by_context(&t);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 10);
    vtd_disable(t.guest);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), >, unmaps + 11);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_MAPS), ==, 0);
    vtd_quit(t.guest);
}

static void wait_for_migration(Setup *t, const char *want)
{
    bool there = false;

    while (!there) {
        QDict *rsp = qtest_qmp_assert_success_ref(
            t->guest->qts, "{'execute': 'query-migrate'}");

        there = !g_strcmp0(qdict_get_try_str(rsp, "status"), want);
        qobject_unref(rsp);
    }
}

/* A leaf has memory that is dirty: each is told alone while that is tracked */
static void test_dirty_tracking(void)
{
    Setup t;
    uint64_t unmaps;

    set_up(&t, CACHING_MODE ",aw-bits=48",
           "host-iommu-testdev,x-migratable=on", NARROW_IOVA);
    map_all(&t);
    /* as slow as can be: it does not end */
    qtest_qmp_assert_success(t.guest->qts,
                             "{'execute': 'migrate-set-parameters',"
                             " 'arguments': {'max-bandwidth': 4096}}");
    qtest_qmp_assert_success(t.guest->qts, "{'execute': 'migrate',"
                             " 'arguments': {'uri': 'exec:cat > /dev/null'}}");
    wait_for_migration(&t, "active");

    unmaps = told(&t, DMA_TESTDEV_UNMAPS);
    unmap_all(&t);
    by_pages(&t);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + LARGE);
    assert_host(&t);
    map_all(&t);
    unmaps = told(&t, DMA_TESTDEV_UNMAPS);
    vtd_change(t.guest, t.dev->context, ENTRY_P, 0);
    vtd_invalidate_context_global(t.guest);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + LARGE + 1);
    vtd_change(t.guest, t.dev->context, 0, ENTRY_P);
    vtd_invalidate_context_global(t.guest);

    qtest_qmp_assert_success(t.guest->qts, "{'execute': 'migrate_cancel'}");
    wait_for_migration(&t, "cancelled");
    unmaps = told(&t, DMA_TESTDEV_UNMAPS);
    unmap_all(&t);
    by_pages(&t);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS), ==, unmaps + 1);
    assert_host(&t);
    vtd_quit(t.guest);
}

/* Random ones */

static bool same(const Leaf *a, const Leaf *b)
{
    return a->output == b->output && a->large == b->large;
}

/*
 * The fewest aligned ranges that have all pages that went, and none that stays
 * or is not from @first up to @end
 */
static unsigned int fewest(Setup *t, unsigned int first, unsigned int end,
                           unsigned int start, unsigned int size)
{
    bool gone = false, other = start < first || start + size > end;
    unsigned int i;

    for (i = start; i < start + size; i++) {
        bool is_same = same(&t->leaf[i], &t->before[i]);

        if (i < first || i >= end || !t->before[i].output) {
            continue;
        }
        gone |= !is_same;
        other |= is_same;
    }
    if (!gone || !other) {
        return gone;
    }
    return fewest(t, first, end, start, size / 2) +
           fewest(t, first, end, start + size / 2, size / 2);
}

static unsigned int fewest_unmaps(Setup *t)
{
    if (t->base != AT_INTERRUPTS) {
        return fewest(t, 0, PAGES, 0, PAGES);
    }
    return fewest(t, 0, INTERRUPTS, 0, PAGES) +
           fewest(t, INTERRUPTS_END, PAGES, 0, PAGES);
}

/* Leaves as the guest made them, of which interrupts leave one part at most */
static unsigned int new_maps(Setup *t)
{
    unsigned int i, count = 0;

    for (i = 0; i < PAGES; i++) {
        bool interrupts = t->base == AT_INTERRUPTS && i >= INTERRUPTS &&
                          i < INTERRUPTS_END;

        if (t->leaf[i].large && i % LARGE != LARGE - 1) {
            continue;
        }
        count += t->leaf[i].output && !interrupts &&
                 !same(&t->leaf[i], &t->before[i]);
    }
    return count;
}

static unsigned int below(Setup *t, unsigned int limit)
{
    return g_rand_int_range(t->rand, 0, limit);
}

/* About the middle of the region, and about the end of the interrupts */
static unsigned int random_page(Setup *t)
{
    return below(t, 4) ? LARGE - 32 + below(t, 64) :
                         INTERRUPTS_END - 16 + below(t, 32);
}

static uint64_t random_output(Setup *t)
{
    return VTD_DATA + below(t, 1 * GiB / VTD_PAGE) * VTD_PAGE;
}

static void edit(Setup *t)
{
    unsigned int first, i, page = random_page(t), half = page / LARGE;
    unsigned int count = 1 + below(t, 24), kind = below(t, 16);

    if (kind == 0) {
        map_large(t, half, random_output(t) & -(2 * MiB));
        return;
    }
    if (kind == 1 || is_large(t, half)) {
        map_large(t, half, 0);
    }
    first = page;
    for (i = first; i < MIN(first + count, (half + 1) * LARGE); i++) {
        if (kind < 4 && i % 2) {
            continue;
        }
        if (kind % 2) {
            map_page(t, i, random_output(t));
        } else {
            unmap_page(t, i);
        }
    }
}

static void invalidate(Setup *t)
{
    unsigned int how = below(t, 4);

    if (how == 0) {
        vtd_invalidate_iotlb_domain(t->guest, DOMAIN);
    } else if (how == 1) {
        vtd_invalidate_iotlb_global(t->guest);
    } else if (how == 2 && t->scalable) {
        vtd_invalidate_pasid(t->guest, DOMAIN, t->dev->pasid);
    } else {
        vtd_invalidate_iotlb_pages(t->guest, DOMAIN, t->base, 10 + below(t, 9));
    }
}

static uint32_t seed(void)
{
    const char *text = g_getenv("VTD_UNMAP_SEED");
    unsigned int value = g_random_int();

    if (text) {
        g_assert_cmpint(qemu_strtoui(text, NULL, 0, &value), ==, 0);
    }
    g_test_message("VTD_UNMAP_SEED=%u", value);
    return value;
}

static void test_random(const void *data)
{
    bool scalable = GPOINTER_TO_UINT(data) & 1;
    bool interrupts = GPOINTER_TO_UINT(data) & 2;
    Setup t;
    unsigned int i, n;

    set_up(&t, scalable ? CACHING_MODE SCALABLE : CACHING_MODE,
           "dma-testdev,listen=on", interrupts ? AT_INTERRUPTS : NARROW_IOVA);
    t.rand = g_rand_new_with_seed(seed());
    for (i = 0; i < STEPS; i++) {
        uint64_t maps = told(&t, DMA_TESTDEV_MAPS);
        uint64_t unmaps = told(&t, DMA_TESTDEV_UNMAPS);

        memcpy(t.before, t.leaf, sizeof(t.leaf));
        for (n = below(&t, 6); n; n--) {
            edit(&t);
        }
        invalidate(&t);
        g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS) - unmaps, ==,
                         fewest_unmaps(&t));
        g_assert_cmpuint(told(&t, DMA_TESTDEV_MAPS) - maps, ==, new_maps(&t));
        assert_host(&t);
    }
    g_rand_free(t.rand);
    vtd_quit(t.guest);
}

/* Among so many maps, what goes is told in parts, and right */
static void test_many(void)
{
    const unsigned int count = 16 * LARGE;
    Setup t;
    uint64_t unmaps;
    unsigned int i;

    set_up(&t, CACHING_MODE, "dma-testdev,listen=on", NARROW_IOVA);
    for (i = 0; i < count; i++) {
        vtd_map(&t.stage, t.base + i * VTD_PAGE, VTD_DATA + i * VTD_PAGE, 1);
    }
    by_domain(&t);
    unmaps = told(&t, DMA_TESTDEV_UNMAPS);
    for (i = 0; i < count; i++) {
        vtd_map(&t.stage, t.base + i * VTD_PAGE, VTD_DATA + (i + 1) * VTD_PAGE,
                1);
    }
    by_domain(&t);
    g_assert_cmpuint(told(&t, DMA_TESTDEV_UNMAPS) - unmaps, <=, 4);
    for (i = 0; i < count; i += 61) {
        g_assert_cmphex(vtd_host_mapping(t.dev, t.base + i * VTD_PAGE).output,
                        ==, VTD_DATA + (i + 1) * VTD_PAGE);
    }
    g_assert_cmpuint(told(&t, DMA_TESTDEV_REFUSED), ==, 0);
    vtd_quit(t.guest);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {
        "legacy", "scalable", "legacy-interrupts", "scalable-interrupts",
    };
    unsigned int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < 2; i++) {
        const char *options = i ? CACHING_MODE SCALABLE : CACHING_MODE;
        g_autofree char *descriptor = g_strdup_printf(
            "/intel-iommu-unmap/descriptor/%s", names[i]);
        g_autofree char *whole = g_strdup_printf("/intel-iommu-unmap/whole/%s",
                                                 names[i]);
        g_autofree char *unmap_only = g_strdup_printf(
            "/intel-iommu-unmap/unmap-only/%s", names[i]);

        qtest_add_data_func(descriptor, options, test_descriptor);
        qtest_add_data_func(whole, options, test_whole);
        qtest_add_data_func(unmap_only, options, test_unmap_only);
    }
    qtest_add_func("/intel-iommu-unmap/dirty-tracking", test_dirty_tracking);
    qtest_add_func("/intel-iommu-unmap/many", test_many);
    for (i = 0; i < ARRAY_SIZE(names); i++) {
        g_autofree char *path = g_strdup_printf("/intel-iommu-unmap/random/%s",
                                                names[i]);

        qtest_add_data_func(path, GUINT_TO_POINTER(i), test_random);
    }
    return g_test_run();
}
