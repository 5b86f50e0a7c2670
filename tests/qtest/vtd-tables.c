/*
 * VT-d's translation tables, in a guest's RAM
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-tables.h"

#define ENTRIES             512

#define PASID_DIR_INDEX(pasid)  ((pasid) >> 6)
#define PASID_INDEX(pasid)      ((pasid) & 63)

/* Neither is 0, nor do they share tables */
static const uint32_t rid_pasids[] = { 0x47, 0x123 };

/* Stages */

static uint64_t all_rights(const VtdStage *stage)
{
    return stage->is_first ? FS_ALL : SS_ALL;
}

uint64_t vtd_table_address(const VtdStage *stage, uint64_t at)
{
    return stage->second ? at + VTD_TABLES_INPUT : at;
}

static uint64_t table_in_memory(const VtdStage *stage, uint64_t entry)
{
    uint64_t addr = entry & ENTRY_ADDRESS;

    return stage->second ? addr - VTD_TABLES_INPUT : addr;
}

static uint64_t new_table(VtdStage *stage)
{
    uint64_t at = vtd_page(stage->guest);

    if (stage->second) {
        vtd_map(stage->second, vtd_table_address(stage, at), at, 1);
    }
    return at;
}

uint64_t vtd_span(unsigned int level)
{
    uint64_t span = VTD_PAGE;

    while (--level) {
        span *= ENTRIES;
    }
    return span;
}

uint64_t vtd_entry(VtdStage *stage, uint64_t input, unsigned int level)
{
    VtdGuest *guest = stage->guest;
    uint64_t at, table = stage->root;
    unsigned int l;

    for (l = stage->levels; ; l--) {
        at = table + input / vtd_span(l) % ENTRIES * 8;
        if (l == level) {
            return at;
        }
        if (!vtd_load(guest, at)) {
            table = new_table(stage);
            vtd_store(guest, at, vtd_table_address(stage, table) |
                                 all_rights(stage));
        }
        table = table_in_memory(stage, vtd_load(guest, at));
    }
}

uint64_t vtd_map_with(VtdStage *stage, uint64_t input, uint64_t output,
                      unsigned int level, uint64_t rights)
{
    uint64_t at = vtd_entry(stage, input, level);

    vtd_store(stage->guest, at, output | rights | (level > 1 ? ENTRY_PS : 0));
    return at;
}

uint64_t vtd_map(VtdStage *stage, uint64_t input, uint64_t output,
                 unsigned int level)
{
    return vtd_map_with(stage, input, output, level, all_rights(stage));
}

VtdStage vtd_first_stage(VtdGuest *guest)
{
    VtdStage first = { .guest = guest, .is_first = true, .levels = 4 };

    first.root = new_table(&first);
    vtd_map(&first, VTD_WINDOW, VTD_WINDOW, 1);
    return first;
}

VtdStage vtd_second_stage(VtdGuest *guest, unsigned int levels)
{
    VtdStage second = { .guest = guest, .levels = levels };

    second.root = new_table(&second);
    vtd_map(&second, VTD_WINDOW, VTD_WINDOW, 1);
    return second;
}

VtdStage vtd_nested_stage(VtdStage *second)
{
    VtdStage first = {
        .guest = second->guest,
        .second = second,
        .is_first = true,
        .levels = 4,
    };

    first.root = new_table(&first);
    vtd_map(&first, VTD_WINDOW, VTD_WINDOW, 1);
    return first;
}

/* Root, context and PASID tables */

void vtd_set_rid_pasid(VtdDevice *dev, uint32_t pasid)
{
    VtdGuest *guest = dev->guest;
    uint64_t dir = vtd_page(guest);
    uint64_t table = vtd_page(guest);

    dev->pasid = pasid;
    dev->pasid_dir = dir + PASID_DIR_INDEX(pasid) * 8;
    dev->pasid_entry = table + PASID_INDEX(pasid) * 64;
    vtd_store(guest, dev->pasid_dir, table | ENTRY_P);
    vtd_store(guest, dev->context, dir | ENTRY_P);
    vtd_store(guest, dev->context + 8, pasid);
}

void vtd_add_scalable(VtdDevice *dev, uint32_t pasid)
{
    VtdGuest *guest = dev->guest;
    uint64_t context_table = vtd_page(guest);

    vtd_store(guest, guest->root + dev->sid / 128 * 8,
              context_table | ENTRY_P);
    dev->context = context_table + dev->sid % 128 * 32;
    vtd_set_rid_pasid(dev, pasid);
}

void vtd_add_legacy(VtdDevice *dev)
{
    VtdGuest *guest = dev->guest;
    uint64_t context_table = vtd_page(guest);

    vtd_store(guest, guest->root + dev->sid / 256 * 16,
              context_table | ENTRY_P);
    dev->context = context_table + dev->sid % 256 * 16;
}

void vtd_set_up_scalable(VtdGuest *guest)
{
    int i;

    guest->root = vtd_page(guest);
    for (i = 0; i < ARRAY_SIZE(guest->dev); i++) {
        vtd_add_scalable(&guest->dev[i], rid_pasids[i]);
    }
    vtd_set_root(guest, guest->root | VTD_RTADDR_SCALABLE);
}

void vtd_set_up_legacy(VtdGuest *guest)
{
    uint64_t context_table = vtd_page(guest);
    int i;

    guest->root = vtd_page(guest);
    vtd_store(guest, guest->root, context_table | ENTRY_P);
    for (i = 0; i < ARRAY_SIZE(guest->dev); i++) {
        guest->dev[i].context = context_table + guest->dev[i].sid * 16;
    }
    vtd_set_root(guest, guest->root);
}

static void set_pasid_entry(VtdDevice *dev, uint64_t word_0, uint64_t word_1,
                            uint64_t word_2)
{
    vtd_store(dev->guest, dev->pasid_entry, word_0 | ENTRY_P);
    vtd_store(dev->guest, dev->pasid_entry + 8, word_1);
    vtd_store(dev->guest, dev->pasid_entry + 16, word_2);
}

void vtd_use_first(VtdDevice *dev, const VtdStage *first, uint16_t domain)
{
    set_pasid_entry(dev, PASID_PGTT(PGTT_FIRST), domain, first->root);
}

void vtd_use_second(VtdDevice *dev, const VtdStage *second, uint16_t domain)
{
    set_pasid_entry(dev, second->root | PASID_AW(second->levels) |
                         PASID_PGTT(PGTT_SECOND), domain, 0);
}

void vtd_use_nested(VtdDevice *dev, const VtdStage *first, uint16_t domain)
{
    const VtdStage *second = first->second;

    set_pasid_entry(dev, second->root | PASID_AW(second->levels) |
                         PASID_PGTT(PGTT_NESTED), domain,
                    vtd_table_address(first, first->root));
}

void vtd_use_pass_through(VtdDevice *dev, uint16_t domain)
{
    set_pasid_entry(dev, PASID_PGTT(PGTT_PASS_THROUGH), domain, 0);
}

void vtd_use_legacy(VtdDevice *dev, const VtdStage *second, uint16_t domain)
{
    vtd_store(dev->guest, dev->context, second->root | ENTRY_P);
    vtd_store(dev->guest, dev->context + 8,
              (uint64_t)domain << 8 | (second->levels - 2));
}
