/*
 * Maps, unmaps and copies at random, against a model
 *
 * The model is an array of what each page of IOVA is mapped to, and a second
 * memory, in which the CPU copies what devices copy in the first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain.h"

#define PAGES       (MEMORY / PAGE)
#define BASE        0x123450000UL   /* the first IOVA */
#define WINDOW      8192UL          /* pages of IOVA */
#define AREAS       256
#define STALE       64

/* All in pages; iova is from BASE */
typedef struct {
    uint64_t iova, page, pages;
    bool writable;
} Area;

static Area areas[AREAS];
static int mapped;
static Area *area_of[WINDOW];
static uint64_t stale[STALE];       /* pages that were unmapped, a ring */
static uint64_t taken_back;
static char *model;
static uint64_t state;

static uint64_t below(uint64_t limit)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * 0x2545f4914f6cdd1dULL >> 32) % limit;
}

static void paint(const Area *area, Area *with)
{
    uint64_t i;

    for (i = 0; i < area->pages; i++) {
        area_of[area->iova + i] = with;
    }
}

static bool is_free(const Area *area)
{
    uint64_t i;

    for (i = 0; i < area->pages; i++) {
        if (area_of[area->iova + i]) {
            return false;
        }
    }
    return true;
}

static bool answers(const char *what, const Area *area, int got, int wanted)
{
    if (got != wanted) {
        fprintf(stderr, "%s 0x%" PRIx64 " + 0x%" PRIx64 ": %s, not %s\n",
                what, area->iova, area->pages, strerror(got),
                strerror(wanted));
    }
    return got == wanted;
}

static bool do_map(void)
{
    Area area = { .writable = below(4) };
    int i, result;
    bool room;

    area.pages = 1 + (below(16) ? below(8) : below(1024));
    area.iova = below(WINDOW - area.pages);
    area.page = below(PAGES - area.pages);
    room = is_free(&area);
    result = map(BASE + area.iova * PAGE, area.page * PAGE, area.pages * PAGE,
                 area.writable);
    if (room && !result) {
        i = 0;
        while (areas[i].pages) {
            i++;
        }
        areas[i] = area;
        paint(&area, &areas[i]);
        mapped++;
    }
    return answers("map", &area, result, room ? 0 : EEXIST);
}

static Area *any_area(void)
{
    int i = below(AREAS);

    while (!areas[i].pages) {
        i = (i + 1) % AREAS;
    }
    return &areas[i];
}

/* A page that is mapped, that was, or any */
static uint64_t any_page(void)
{
    uint64_t kind = below(8);

    if (kind == 0) {
        return below(WINDOW);
    }
    if (kind == 1 && taken_back) {
        return stale[below(taken_back < STALE ? taken_back : STALE)];
    }
    if (mapped) {
        Area *area = any_area();

        return area->iova + below(area->pages);
    }
    return below(WINDOW);
}

static char *in_model(uint64_t iova_page)
{
    Area *area = area_of[iova_page];

    return model + (area->page + iova_page - area->iova) * PAGE;
}

static bool do_copy(uint64_t source, uint64_t sink, uint64_t *denied)
{
    uint64_t length = 8 * (1 + below(PAGE / 8));
    uint64_t from = 8 * below((PAGE - length) / 8 + 1);
    uint64_t to = 8 * below((PAGE - length) / 8 + 1);
    int device = below(devices);
    uint64_t wanted = DONE, got;

    if (!area_of[source]) {
        wanted = NOT_READ;
    } else if (!area_of[sink] || !area_of[sink]->writable) {
        wanted = NOT_WRITTEN;
    }
    got = copy(device, BASE + source * PAGE + from, BASE + sink * PAGE + to,
               length);
    if (got != wanted) {
        fprintf(stderr, "copy by %d of 0x%" PRIx64 " from 0x%" PRIx64
                " to 0x%" PRIx64 ": %" PRIu64 ", not %" PRIu64 "\n", device,
                length, source, sink, got, wanted);
        return false;
    }
    *denied += wanted != DONE;
    if (wanted == DONE) {
        memmove(in_model(sink) + to, in_model(source) + from, length);
    }
    if (area_of[sink] &&
        memcmp(in_model(sink), in_model(sink) - model + memory, PAGE)) {
        fprintf(stderr, "copy by %d from 0x%" PRIx64 " to 0x%" PRIx64
                ": other bytes\n", device, source, sink);
        return false;
    }
    return true;
}

static bool do_unmap(uint64_t *denied)
{
    Area *area = any_area(), gone = *area;
    uint64_t page = area->iova + below(area->pages);

    if (gone.pages > 1 && !below(8)) {
        gone.pages--;
        return answers("unmap of a part of", &gone,
                       unmap(BASE + gone.iova * PAGE, gone.pages * PAGE),
                       EINVAL);
    }
    /* What a device has just reached it does not reach any more. */
    if (!do_copy(page, page, denied) ||
        !answers("unmap", &gone,
                 unmap(BASE + gone.iova * PAGE, gone.pages * PAGE), 0)) {
        return false;
    }
    paint(&gone, NULL);
    area->pages = 0;
    mapped--;
    stale[taken_back++ % STALE] = page;
    return do_copy(page, any_page(), denied) &&
           do_copy(any_page(), page, denied);
}

static bool do_any(uint64_t *denied)
{
    uint64_t what = below(8);

    if (what < 2 && mapped < AREAS) {
        return do_map();
    }
    if (what < 3 && mapped) {
        return do_unmap(denied);
    }
    return do_copy(any_page(), any_page(), denied);
}

uint64_t compare_with_model(uint64_t seed, uint64_t operations,
                            uint64_t *denied)
{
    uint64_t i;

    state = seed + 1;
    model = malloc(MEMORY);
    if (!model) {
        return 0;
    }
    for (i = 0; i < MEMORY; i += sizeof(i)) {
        *(uint64_t *)(memory + i) = i * 0x9e3779b97f4a7c15ULL;
    }
    memcpy(model, memory, MEMORY);
    i = 0;
    while (i < operations && do_any(denied)) {
        i++;
    }
    if (memcmp(model, memory, MEMORY)) {
        fprintf(stderr, "the memory is not the model's after %" PRIu64 "\n",
                i);
        return 0;
    }
    return i;
}
