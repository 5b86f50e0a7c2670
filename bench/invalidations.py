# SPDX-License-Identifier: GPL-2.0-or-later
"""
Instructions for one descriptor that invalidates a device's page, its domain,
or either of its PASID, beside devices that have nothing to do with it.
"""

from counted import CountedQEMU, functions
from program import (DATA, DOMAIN, FIRST, IOTLB, PASID_IOTLB, SCALABLE, SECOND,
                     Program)
from rows import Curve, Table

FEW, MANY = 1, 200      # unrelated devices, in a domain each
CURVE = (1, 10, 50, 100, 200)
COUNT = 20              # per measurement

# What listens, options of intel-iommu, type of the tables
SHADOW = ('shadow', 'dma-testdev,listen=on', SCALABLE + 'caching-mode=on,',
          SECOND)
LISTENERS = (
    SHADOW,
    ('unmap-only', 'dma-testdev,listen=on,x-unmap-only=on', SCALABLE, SECOND),
    ('stage-1', 'host-iommu-testdev,iommu-type=intel-vtd,source=iommufd,'
     'vtd-cap=72057594041008128,vtd-ecap=219902392664064',
     SCALABLE + 'x-flts=on,caching-mode=on,', FIRST),
)

# Words of a descriptor: of a page, or of all
PAGE = ('page', (DOMAIN << 16 | 3 << 4 | IOTLB, DATA))
GRANULARITIES = (
    PAGE,
    ('domain', (DOMAIN << 16 | 2 << 4 | IOTLB, 0)),
    ('p-iotlb, page', (DOMAIN << 16 | 3 << 4 | PASID_IOTLB, DATA)),
    ('p-iotlb, all', (DOMAIN << 16 | 2 << 4 | PASID_IOTLB, 0)),
)


def count(binary, listener, others, granularities=GRANULARITIES):
    """Instructions for one of each granularity, beside @others."""
    _, device, options, pgtt = listener
    with CountedQEMU(binary, options, functions(device, 1 + others),
                     'vtd_fetch_inv_desc') as qemu:
        program = Program(qemu)
        program.translate_devices(pgtt, 1 + others)
        qemu.cut()
        for _, words in granularities:
            program.invalidate(words, COUNT)
            qemu.cut()
    return [part / COUNT for part in qemu.counts[1:1 + len(granularities)]]


def measure(builds):
    """Yields: the table."""
    table = Table('instructions for an invalidation, beside other devices',
                  f'with {FEW}', f'with {MANY}', bound=1.5)
    for listener in LISTENERS:
        counts = (count(builds.ours, listener, others)
                  for others in (FEW, MANY))
        for (name, _), few, many in zip(GRANULARITIES, *counts):
            table.add(f'{listener[0]}, {name}', few, many)
    yield table


def measure_curves(builds):
    """Yields: how the first of them grows with the number of devices, ours
    and the base's, which has a device that listens from our first topic."""
    for label, binary in (('QEMU 10.0', builds.base_with_testdev),
                          ('this series', builds.ours)):
        yield Curve(label, [
            (others, count(binary, SHADOW, others, [PAGE])[0])
            for others in CURVE])


def compare(curves):
    """Yields: the table of what the curves show."""
    base, ours = curves
    table = Table('instructions for an invalidation of a shadowed page',
                  'base', 'ours', bound=1)
    for (others, there), (_, here) in zip(base.points, ours.points):
        table.add(f'beside {others}', there, here)
    yield table
