/*
 * A device that comes and goes, and a device whose domain changes, a thousand
 * times in one VM, whose memory does not grow
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qjson.h"
#include "hw/misc/host-iommu-testdev.h"
#include "vtd-dma.h"
#include "vtd-slot.h"

#define ROUNDS      1000
#define WARM        200             /* of them, until the heap has its size */
#define SLOPE       192             /* bytes a round that are noise */

/* NEST, SMTS, SSTS and FSTS; MGAW of 48 bits, FS1GP */
#define HOST_ECAP   219902392664064
#define HOST_CAP    72057594041008128

typedef struct Storm {
    const char *name, *options;     /* of intel-iommu */
    bool nests;                     /* the device's host, else it listens */
} Storm;

/* Returns: bytes of QEMU's in memory */
static int64_t resident(QTestState *qts)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/statm", qtest_pid(qts));
    g_autofree char *text = NULL;
    int64_t pages;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpint(sscanf(text, "%*d %" SCNd64, &pages), ==, 1);
    return pages * qemu_real_host_page_size();
}

/* Run @round so often, and compare what QEMU has before and after */
static void storm(VtdGuest *guest, void (*round)(void *, unsigned int),
                  void *opaque)
{
    int64_t before = 0, slope;
    unsigned int i;

    for (i = 0; i < ROUNDS; i++) {
        if (i == WARM) {
            before = resident(guest->qts);
        }
        round(opaque, i);
    }
    slope = (resident(guest->qts) - before) / (ROUNDS - WARM);
    g_test_message("%" PRId64 " bytes a round", slope);
    /* a sanitizer keeps what is freed, and looks for leaks itself */
    if (!g_getenv("ASAN_OPTIONS")) {
        g_assert_cmpint(slope, <, SLOPE);
    }
}

typedef struct Tables {
    const Storm *storm;
    VtdGuest *guest;
    VtdDevice *dev;
    VtdStage stage[2];              /* the page is FRAME(0), or FRAME(1) */
    uint64_t iova;
} Tables;

static void make_tables(Tables *t)
{
    bool first = t->storm->nests;

    t->iova = first ? IOVA : NARROW_IOVA;
    for (unsigned int i = 0; i < 2; i++) {
        t->stage[i] = first ? vtd_first_stage(t->guest) :
                              vtd_second_stage(t->guest, 4);
        vtd_map(&t->stage[i], t->iova, FRAME(i), 1);
    }
}

/* Have the device use tables @i in a domain of theirs, and try them */
static void use_tables(Tables *t, unsigned int i, uint16_t before)
{
    uint16_t domain = i ? OTHER_DOMAIN : DOMAIN;

    if (t->storm->nests) {
        vtd_use_first(t->dev, &t->stage[i], domain);
    } else if (strstr(t->storm->options, SCALABLE)) {
        vtd_use_second(t->dev, &t->stage[i], domain);
    } else {
        vtd_use_legacy(t->dev, &t->stage[i], domain);
    }
    vtd_invalidate_context_device(t->dev, before);
    if (strstr(t->storm->options, SCALABLE)) {
        vtd_invalidate_pasid_cache(t->dev, before);
        vtd_invalidate_pasid(t->guest, before, t->dev->pasid);
    }
    vtd_invalidate_iotlb_domain(t->guest, before);
    assert_reads(t->dev, t->iova, FRAME(i));
    assert_writes(t->dev, t->iova, FRAME(i));
}

static void change_domain(void *opaque, unsigned int round)
{
    use_tables(opaque, round & 1, round & 1 ? DOMAIN : OTHER_DOMAIN);
}

static void test_domains(const void *storm_)
{
    Tables t = { .storm = storm_ };

    t.guest = vtd_start_devices(
        t.storm->options, t.storm->nests ?
        "host-iommu-testdev,iommu-type=intel-vtd,source=iommufd,vtd-cap="
        stringify(HOST_CAP) ",vtd-ecap=" stringify(HOST_ECAP) :
        "dma-testdev,listen=on", "dma-testdev");
    t.dev = &t.guest->dev[0];
    if (strstr(t.storm->options, SCALABLE)) {
        vtd_set_up_scalable(t.guest);
    } else {
        vtd_set_up_legacy(t.guest);
    }
    make_tables(&t);
    vtd_enable(t.guest);
    storm(t.guest, change_domain, &t);
    vtd_quit(t.guest);
}

static void plug(void *opaque, unsigned int round)
{
    Tables *t = opaque;

    if (t->storm->nests) {
        slot_plug(t->guest, "host-iommu-testdev", qdict_from_jsonf_nofail(
            "{'id': 'hot', 'iommu-type': 'intel-vtd', 'source': 'iommufd', "
            "'vtd-cap': %" PRId64 ", 'vtd-ecap': %" PRId64 "}",
            (int64_t)HOST_CAP, (int64_t)HOST_ECAP));
    } else {
        slot_plug_endpoint(t->guest, "hot", true);
    }
    slot_open(t->guest, t->dev, SLOT_ENDPOINT, SLOT_ENDPOINT, SLOT_BAR);
    use_tables(t, round & 1, round & 1 ? DOMAIN : OTHER_DOMAIN);
    slot_close(t->dev);
    slot_unplug(t->guest, "hot", 1);
}

static void test_plug(const void *storm_)
{
    Tables t = { .storm = storm_ };
    VtdDevice dev = { .sid = SLOT_ENDPOINT };
    g_autofree char *options = g_strconcat(t.storm->options, SLOT_OPTIONS,
                                           NULL);

    t.guest = vtd_start(options);
    dev.guest = t.guest;
    t.dev = &dev;
    slot_set_up(t.guest, EMPTY);
    if (strstr(t.storm->options, SCALABLE)) {
        vtd_set_up_scalable(t.guest);
        vtd_add_scalable(t.dev, 0);
    } else {
        vtd_set_up_legacy(t.guest);
        vtd_add_legacy(t.dev);
    }
    make_tables(&t);
    vtd_enable(t.guest);
    storm(t.guest, plug, &t);
    vtd_quit(t.guest);
}

static const Storm storms[] = {
    { "legacy", ",caching-mode=on" },
    { "scalable", SCALABLE ",caching-mode=on" },
    { "stage-1", FIRST_STAGE ",caching-mode=on", .nests = true },
};

int main(int argc, char **argv)
{
    unsigned int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(storms); i++) {
        g_autofree char *domains = g_strdup_printf(
            "/intel-iommu-storm/domains/%s", storms[i].name);
        g_autofree char *plugs = g_strdup_printf("/intel-iommu-storm/plug/%s",
                                                 storms[i].name);

        qtest_add_data_func(domains, &storms[i], test_domains);
        qtest_add_data_func(plugs, &storms[i], test_plug);
    }
    return g_test_run();
}
