/*
 * Which listeners are told when a domain is invalidated
 *
 * Those that can have something cached of it are, whether the guest told when
 * their structures became present, or not, as it may without caching mode; and
 * no other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-dma.h"

#define UNMAP_ONLY      "dma-testdev,listen=on,x-unmap-only=on"
#define SHADOW          "dma-testdev,listen=on"
#define CACHING_MODE    ",caching-mode=on"

/* Of one notifier, and of those on either side of the interrupts */
#define OF_PAGE         1
#define OF_ALL          2

typedef struct Setup {
    VtdGuest *guest;
    VtdDevice *dev;
    VtdStage stage;
    bool scalable;
} Setup;

static void use(Setup *t, VtdDevice *dev, uint16_t domain)
{
    if (t->scalable) {
        vtd_use_second(dev, &t->stage, domain);
    } else {
        vtd_use_legacy(dev, &t->stage, domain);
    }
}

/* The first device's tables are not present where @domain is 0 */
static void set_up(Setup *t, const char *options, const char *device,
                   uint16_t domain)
{
    *t = (Setup) {
        .guest = vtd_start_devices(options, device, device),
        .scalable = strstr(options, SCALABLE),
    };
    t->dev = &t->guest->dev[0];
    t->stage = vtd_second_stage(t->guest, 4);
    vtd_map(&t->stage, NARROW_IOVA, FRAME(0), 1);
    vtd_map(&t->stage, NARROW_IOVA + VTD_PAGE, FRAME(1), 1);
    if (t->scalable) {
        vtd_set_up_scalable(t->guest);
    } else {
        vtd_set_up_legacy(t->guest);
    }
    use(t, &t->guest->dev[1], OTHER_DOMAIN);
    if (domain) {
        use(t, t->dev, domain);
    }
    vtd_enable(t->guest);
}

static uint64_t unmaps(VtdDevice *dev)
{
    return vtd_device_register(dev, DMA_TESTDEV_UNMAPS);
}

/* Invalidations of @domain, by pages and whole, tell both devices so often */
static void assert_told(Setup *t, uint16_t domain, unsigned int first_page,
                        unsigned int first_all, unsigned int second_page,
                        unsigned int second_all)
{
    VtdGuest *guest = t->guest;
    VtdDevice *second = &guest->dev[1];
    uint64_t a = unmaps(t->dev), b = unmaps(second);

    vtd_invalidate_iotlb_pages(guest, domain, NARROW_IOVA, 0);
    g_assert_cmpuint(unmaps(t->dev) - a, ==, first_page);
    g_assert_cmpuint(unmaps(second) - b, ==, second_page);

    vtd_invalidate_iotlb_domain(guest, domain);
    g_assert_cmpuint(unmaps(t->dev) - a, ==, first_page + first_all);
    g_assert_cmpuint(unmaps(second) - b, ==, second_page + second_all);
}

/* The same of a PASID's */
static void assert_told_pasid(Setup *t, uint16_t domain, uint32_t pasid,
                              unsigned int page, unsigned int all)
{
    VtdGuest *guest = t->guest;
    uint64_t a = unmaps(t->dev);

    vtd_invalidate_pasid_pages(guest, domain, pasid, NARROW_IOVA, 0);
    g_assert_cmpuint(unmaps(t->dev) - a, ==, page);
    vtd_invalidate_pasid(guest, domain, pasid);
    g_assert_cmpuint(unmaps(t->dev) - a, ==, page + all);
}

static void test_unmap_only(const void *options)
{
    Setup t;

    set_up(&t, options, UNMAP_ONLY, DOMAIN);
    assert_told(&t, DOMAIN, OF_PAGE, OF_ALL, 0, 0);
    assert_told(&t, OTHER_DOMAIN, 0, 0, OF_PAGE, OF_ALL);
    assert_told(&t, 0x123, 0, 0, 0, 0);
    if (t.scalable) {
        assert_told_pasid(&t, DOMAIN, t.dev->pasid, OF_PAGE, OF_ALL);
        assert_told_pasid(&t, DOMAIN, t.dev->pasid + 1, 0, 0);
        assert_told_pasid(&t, OTHER_DOMAIN, t.dev->pasid, 0, 0);
    }

    /* it moves, which is told: the other domain's are both now */
    use(&t, t.dev, OTHER_DOMAIN);
    vtd_invalidate_context_device(t.dev, DOMAIN);
    if (t.scalable) {
        vtd_invalidate_pasid_cache(t.dev, DOMAIN);
    }
    assert_told(&t, DOMAIN, 0, 0, 0, 0);
    assert_told(&t, OTHER_DOMAIN, OF_PAGE, OF_ALL, OF_PAGE, OF_ALL);
    vtd_quit(t.guest);
}

/* Nobody tells, and a translation finds them */
static void test_becomes_present(const void *options)
{
    Setup t;

    set_up(&t, options, UNMAP_ONLY, 0);
    assert_told(&t, DOMAIN, 0, 0, 0, 0);

    use(&t, t.dev, DOMAIN);
    assert_reads(t.dev, NARROW_IOVA, FRAME(0));
    assert_told(&t, DOMAIN, OF_PAGE, OF_ALL, 0, 0);
    if (t.scalable) {
        assert_told_pasid(&t, DOMAIN, t.dev->pasid, OF_PAGE, OF_ALL);
    }
    vtd_quit(t.guest);
}

/*
 * A translation finds other tables before the guest tells, and something of
 * both is cached: each domain is told of
 */
static void test_in_between(const void *data)
{
    bool pages = GPOINTER_TO_UINT(data);
    Setup t;
    uint64_t before, value;

    set_up(&t, SCALABLE, UNMAP_ONLY, DOMAIN);
    assert_reads(t.dev, NARROW_IOVA, FRAME(0));
    use(&t, t.dev, OTHER_DOMAIN);
    /* and nothing but that: the window's is known by the old domain still */
    g_assert_true(vtd_device_load(t.dev, NARROW_IOVA + VTD_PAGE, &value));

    before = unmaps(t.dev);
    if (pages) {
        vtd_invalidate_iotlb_pages(t.guest, DOMAIN, NARROW_IOVA, 0);
    } else {
        vtd_invalidate_pasid_cache(t.dev, DOMAIN);
    }
    g_assert_cmpuint(unmaps(t.dev) - before, ==, OF_ALL);

    /* of the other domain alone, from then on */
    assert_told(&t, DOMAIN, 0, 0, 0, 0);
    assert_told(&t, OTHER_DOMAIN, OF_PAGE, OF_ALL, OF_PAGE, OF_ALL);
    vtd_quit(t.guest);
}

/* What an assigned device has is that of the domain that it was made from */
static void test_shadow(const void *options)
{
    Setup t;
    uint64_t leaf;

    set_up(&t, options, SHADOW, DOMAIN);
    leaf = vtd_entry(&t.stage, NARROW_IOVA, 1);
    assert_told(&t, DOMAIN, 0, 0, 0, 0);

    /* both have it, and the domain that is named has one of them */
    vtd_store(t.guest, leaf, 0);
    assert_told(&t, DOMAIN, 1, 0, 0, 0);
    assert_told(&t, OTHER_DOMAIN, 0, 0, 1, 0);

    /* one goes, and only the domain that it had is told of */
    vtd_change(t.guest, t.scalable ? t.dev->pasid_entry : t.dev->context,
               ENTRY_P, 0);
    assert_told(&t, OTHER_DOMAIN, 0, 0, 0, 0);
    assert_told(&t, DOMAIN, OF_ALL, 0, 0, 0);
    vtd_quit(t.guest);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name, *plain, *caching_mode;
    } modes[] = {
        { "legacy", "", CACHING_MODE },
        { "scalable", SCALABLE, CACHING_MODE SCALABLE },
    };
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(modes); i++) {
        g_autofree char *unmap_only = g_strdup_printf(
            "/intel-iommu-domain-index/unmap-only/%s", modes[i].name);
        g_autofree char *present = g_strdup_printf(
            "/intel-iommu-domain-index/becomes-present/%s", modes[i].name);
        g_autofree char *shadow = g_strdup_printf(
            "/intel-iommu-domain-index/shadow/%s", modes[i].name);

        qtest_add_data_func(unmap_only, modes[i].plain, test_unmap_only);
        qtest_add_data_func(present, modes[i].plain, test_becomes_present);
        qtest_add_data_func(shadow, modes[i].caching_mode, test_shadow);
    }
    qtest_add_data_func("/intel-iommu-domain-index/in-between/pasid-cache",
                        GUINT_TO_POINTER(0), test_in_between);
    qtest_add_data_func("/intel-iommu-domain-index/in-between/pages",
                        GUINT_TO_POINTER(1), test_in_between);
    return g_test_run();
}
