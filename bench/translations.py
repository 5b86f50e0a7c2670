# SPDX-License-Identifier: GPL-2.0-or-later
"""
Instructions of intel-iommu for one translation, ours beside the base's: edu
reads 8 bytes of another page with each DMA, and of one page again and again.
"""

from counted import CountedQEMU
from program import EDU, FIRST, NESTED, SCALABLE, SECOND, Program
from rows import Table

PAGES = 200             # per measurement, below the IOTLB's size in two

MODES = (
    ('legacy, second stage', '', None),
    ('scalable, second stage', SCALABLE, SECOND),
    ('scalable, first stage', SCALABLE + 'x-flts=on,', FIRST),
    ('scalable, nested', SCALABLE + 'x-flts=on,x-nested=on,', NESTED),
)


def count(binary, options, pgtt):
    """Instructions for one that misses the IOTLB, and for one that hits."""
    with CountedQEMU(binary, options, [EDU], 'vtd_iommu_translate') as qemu:
        program = Program(qemu)
        program.translate_edu(pgtt, 2 * PAGES)
        program.read_pages(range(PAGES))
        qemu.cut()
        program.read_pages(range(PAGES, 2 * PAGES))
        qemu.cut()
        program.read_pages([0] * PAGES)
        qemu.cut()
    return [part / PAGES for part in qemu.counts[1:3]]


def measure(builds):
    """Yields: the tables of misses and of hits."""
    misses = Table('instructions for a translation that misses the IOTLB',
                   'base', 'ours', bound=1)
    hits = Table('instructions for a translation that hits the IOTLB',
                 'base', 'ours', bound=1)
    for name, options, pgtt in MODES:
        ours = count(builds.ours, options, pgtt)
        # The base does not nest
        base = ((None, None) if pgtt == NESTED else
                count(builds.base, options, pgtt))
        for table, there, here in zip((misses, hits), base, ours):
            table.add(name, there, here)
    yield misses
    yield hits
