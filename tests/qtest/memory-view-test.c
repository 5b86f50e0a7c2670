/*
 * The flat views of memory that are kept, against views made anew
 *
 * Devices, their address spaces and BARs come and go at random. After each
 * step, what the address spaces show is what they show when a visible change
 * has had all of their views made anew.
 *
 * MEMORY_VIEW_SEED in the environment is the seed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "hw/pci/pci_regs.h"
#include "vtd-slot.h"
#include "vtd-tables.h"

#define STEPS       300
#define ENDPOINT_ID "hot"
#define BEHIND_ID   "behind"
#define BEHIND      4

typedef struct Setup {
    VtdGuest *guest;
    Slot slot;
    bool behind;                /* and a device is behind the bridge */
} Setup;

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What the address spaces show, whatever the order of their views is */
static char *shown(Setup *t)
{
    g_autofree char *text = qtest_hmp(t->guest->qts, "info mtree -f");
    g_auto(GStrv) views = g_strsplit(text, "FlatView #", 0);
    unsigned int n = g_strv_length(views);

    g_assert_cmpuint(n, >, 3);
    for (unsigned int i = 0; i < n; i++) {
        char *end = strchr(views[i], '\n');

        if (end) {
            memmove(views[i], end, strlen(end) + 1);
        }
    }
    qsort(views, n, sizeof(views[0]), compare);
    return g_strjoinv("", views);
}

static void toggle(VtdDevice *dev, uint16_t bits)
{
    qpci_config_writew(dev->pci, PCI_COMMAND,
                       qpci_config_readw(dev->pci, PCI_COMMAND) ^ bits);
}

static void check_views(Setup *t, unsigned int step)
{
    g_autofree char *kept = shown(t);
    g_autofree char *anew = NULL;

    toggle(&t->guest->dev[1], PCI_COMMAND_MEMORY);
    toggle(&t->guest->dev[1], PCI_COMMAND_MEMORY);
    anew = shown(t);
    if (strcmp(kept, anew)) {
        g_test_message("step %u, kept: %s", step, kept);
        g_test_message("made anew: %s", anew);
        g_test_fail();
    }
}

static void change_slot(Setup *t, GRand *rand)
{
    VtdGuest *guest = t->guest;

    switch (t->slot) {
    case EMPTY:
        if (g_rand_boolean(rand)) {
            slot_plug_endpoint(guest, ENDPOINT_ID, g_rand_boolean(rand));
            t->slot = ENDPOINT;
        } else {
            slot_plug_bridge(guest);
            t->slot = BRIDGE;
        }
        slot_set_up(guest, t->slot);
        break;
    case BRIDGE:
        if (g_rand_boolean(rand)) {
            slot_unplug(guest, "bridge", 1 + t->behind);
            t->slot = EMPTY;
            t->behind = false;
            break;
        }
        if (t->behind) {
            slot_unplug_behind(guest, BEHIND_ID, BEHIND);
        } else {
            slot_plug_behind(guest, BEHIND_ID, BEHIND, g_rand_boolean(rand));
        }
        t->behind = !t->behind;
        break;
    default:
        slot_unplug(guest, ENDPOINT_ID, 1);
        t->slot = EMPTY;
    }
}

static void change(Setup *t, GRand *rand)
{
    switch (g_rand_int_range(rand, 0, 6)) {
    case 0:
        toggle(&t->guest->dev[0], PCI_COMMAND_MASTER);
        break;
    case 1:
        toggle(&t->guest->dev[0], PCI_COMMAND_MEMORY);
        break;
    case 2:
        vtd_enable(t->guest);
        break;
    case 3:
        vtd_disable(t->guest);
        break;
    default:
        change_slot(t, rand);
    }
}

static void test_random(void)
{
    const char *given = g_getenv("MEMORY_VIEW_SEED");
    unsigned int seed = g_random_int();
    g_autoptr(GRand) rand = NULL;
    Setup t = {
        .guest = vtd_start_listening(",caching-mode=on" SLOT_OPTIONS),
    };

    if (given) {
        g_assert_cmpint(qemu_strtoui(given, NULL, 0, &seed), ==, 0);
    }
    g_test_message("MEMORY_VIEW_SEED=%u", seed);
    rand = g_rand_new_with_seed(seed);
    vtd_set_up_legacy(t.guest);
    slot_set_up(t.guest, EMPTY);
    for (unsigned int step = 0; step < STEPS && !g_test_failed(); step++) {
        change(&t, rand);
        check_views(&t, step);
    }
    vtd_quit(t.guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/memory-view/random", test_random);
    return g_test_run();
}
