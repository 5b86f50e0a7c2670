/*
 * PASID entries that are not present translate nothing, cached context entry
 * or not
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-dma.h"

/* VT-d 7.1.3: SPD.2, SPT.2, SPT.3 */
#define DIR_NOT_PRESENT     0x51
#define NOT_PRESENT         0x59
#define INVALID             0x5b

typedef struct Edit {
    uint64_t at;
    uint64_t clear, set;
    unsigned int reason;
} Edit;

static void assert_refused(VtdDevice *dev, unsigned int reason)
{
    if (reason) {
        assert_read_faults(dev, NARROW_IOVA, reason);
        return;
    }
    g_assert_cmpuint(vtd_copy(dev, NARROW_IOVA, VTD_WINDOW, 8), ==,
                     DMA_TESTDEV_READ_FAILED);
    assert_no_fault(dev->guest);
}

/* @quiet: the entry in which fault processing is disabled; 0: in none */
static void try_edits(VtdDevice *dev, const Edit *edits, size_t count,
                      uint64_t quiet)
{
    VtdGuest *guest = dev->guest;
    size_t i;

    for (i = 0; i < count; i++) {
        uint64_t old = vtd_load(guest, edits[i].at);

        /* now the context entry is cached, and the page is not */
        assert_reads(dev, NARROW_IOVA, FRAME(0));
        vtd_change(guest, edits[i].at, edits[i].clear, edits[i].set);
        vtd_invalidate_iotlb_global(guest);
        assert_refused(dev, quiet ? 0 : edits[i].reason);

        vtd_store(guest, edits[i].at, old);
        assert_reads(dev, NARROW_IOVA, FRAME(0));
    }
}

static void test_edits(const void *first_stage)
{
    VtdGuest *guest = start_scalable(first_stage ? FIRST_STAGE : SCALABLE);
    VtdDevice *dev = &guest->dev[0];
    VtdStage stage = first_stage ? vtd_first_stage(guest) :
                                   vtd_second_stage(guest, 4);
    const uint64_t quiet[] = {
        0, dev->context, dev->pasid_dir, dev->pasid_entry,
    };
    const Edit edits[] = {
        { dev->pasid_entry, ENTRY_P, 0, NOT_PRESENT },
        { dev->pasid_dir, ENTRY_P, 0, DIR_NOT_PRESENT },
        { dev->pasid_entry, PASID_PGTT_MASK, PASID_PGTT(PGTT_NESTED),
          INVALID },
    };
    int i;

    vtd_map(&stage, NARROW_IOVA, FRAME(0), 1);
    if (first_stage) {
        vtd_use_first(dev, &stage, DOMAIN);
        vtd_change(guest, dev->pasid_entry, 0, PASID_AW(4));
    } else {
        vtd_use_second(dev, &stage, DOMAIN);
    }
    for (i = 0; i < ARRAY_SIZE(quiet); i++) {
        if (quiet[i]) {
            vtd_change(guest, quiet[i], 0, ENTRY_FPD);
            vtd_invalidate_context_global(guest);
        }
        /* the last FPD is not found without a directory, nor where invalid */
        try_edits(dev, edits,
                  quiet[i] == dev->pasid_entry ? 1 : ARRAY_SIZE(edits),
                  quiet[i]);
        if (quiet[i]) {
            vtd_change(guest, quiet[i], ENTRY_FPD, 0);
        }
    }
    vtd_quit(guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/intel-iommu/pasid-entry/second-stage", NULL,
                        test_edits);
    qtest_add_data_func("/intel-iommu/pasid-entry/first-stage",
                        GINT_TO_POINTER(1), test_edits);
    return g_test_run();
}
