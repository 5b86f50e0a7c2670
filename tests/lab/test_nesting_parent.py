# SPDX-License-Identifier: GPL-2.0-or-later
"""
VFIO attaches to a nesting parent where the host has one to give, for a
vIOMMU that wants to nest; and lets go of all of it when the device goes.
"""

import re
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from assignment import STOPPED_PORT, assigned, hot, unassigned
from buildtree import BuildTree
from device import nvme
from host import Host
from view import shown
from vtd import NESTED, STAGE_1

BACKEND = 'iommufd'
MEMORY = '128M'
TRACE = ('-trace', 'iommufd_backend_*', '-trace', '*host_iommu_*')

NEST_PARENT = 1     # IOMMU_HWPT_ALLOC_NEST_PARENT


@pytest.fixture(name='host', scope='module')
def fixture_host(tree: BuildTree, disk_content: Path) -> Iterator[Host]:
    """A host of 48 bits that nests."""
    with Host(tree, 'nesting-parent', NESTED,
              [nvme(disk_content, slot=3)]) as machine:
        yield machine


def check_parent_came(traced: str) -> Tuple[str, str]:
    """What QEMU @traced is one nesting parent that the kernel gave, on an
    IOAS without what is read-only; returns the ids of both."""
    allocated, = re.findall(r'iommufd_backend_alloc_hwpt .* pt_id=(\d+) '
                            r'flags=(\w+) .* out_hwpt=(\d+) \(0\)', traced)
    ioas, flags, parent = allocated
    assert int(flags, 0) == NEST_PARENT
    maps = re.findall(r'iommufd_backend_map_dma .* readonly=(\d) \((-?\d+)\)',
                      traced)
    assert maps and set(maps) == {('0', '0')}
    assert (f'vfio_host_iommu_read_only_skipped IOAS {ioas} has a nesting '
            'parent' in traced)
    return parent, ioas


def check_parent_went(traced: str, parent: str, ioas: str) -> None:
    """What QEMU @traced is that the kernel took both back, and that the
    iommufd has no user left."""
    freed = re.findall(r'iommufd_backend_free_id .* id=(\d+) \(0\)', traced)
    assert freed == [parent, ioas]
    users = re.findall(r'iommufd_backend_(?:dis)?connect fd=.* users=(\d)',
                       traced)
    assert users == ['1', '0']


def test_parent_at_start(host: Host) -> None:
    """A device that is there from the start has a parent, and is bound to
    it: the guest does not translate yet."""
    device = host.devices[0]
    with host.guest([*assigned(device, BACKEND, None, MEMORY, **STAGE_1),
                     *TRACE]) as guest:
        check_parent_came(guest.log())
        viommu, = guest.monitor.cmd('query-viommu')
        assert viommu['devices'][0]['bound'] == {'to': 'pass-through'}
        assert list(shown(guest.monitor)) == [device.address]
    with host.guest(assigned(device, BACKEND, None, MEMORY)) as other:
        assert list(shown(other.monitor)) == [device.address]


def test_parent_at_hotplug(host: Host) -> None:
    """The same later, each time; when it is unplugged nothing is left, and
    another VM can have it."""
    device = host.devices[0]
    with host.guest([*unassigned(BACKEND, None, MEMORY, **STAGE_1),
                     *STOPPED_PORT, *TRACE]) as guest:
        before = guest.open_files()
        told = 0
        for _ in range(2):
            guest.plug(hot(device, BACKEND))
            assert guest.pinned() > 0
            guest.unplug('hot')
            traced = guest.log()[told:]
            check_parent_went(traced, *check_parent_came(traced))
            told += len(traced)
            assert guest.open_files() == before
            assert guest.pinned() == 0
        assert shown(guest.monitor) == {}
        with host.guest(assigned(device, BACKEND, None, MEMORY)) as other:
            assert list(shown(other.monitor)) == [device.address]
            assert other.pinned() > 0
        assert guest.monitor.cmd('query-status')['status'] == 'prelaunch'
