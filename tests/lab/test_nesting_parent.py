# SPDX-License-Identifier: GPL-2.0-or-later
"""
VFIO attaches to a nesting parent where the host has one to give, for a
vIOMMU that wants to nest; and lets go of all of it when the vIOMMU then
refuses the device, because stage-1 passthrough is not there yet.
"""

import re
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from assignment import (STAGE_1_REFUSAL, STOPPED_PORT, assigned, hot,
                        refused_at_start, unassigned)
from buildtree import BuildTree
from device import nvme
from guest import Refused
from host import Host
from monitor import ExecuteError
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
    """The device is refused for want of stage-1 passthrough alone, after
    the host has given the parent; another VM can have it then."""
    device = host.devices[0]
    with pytest.raises(Refused) as refusal:
        with host.guest([*assigned(device, BACKEND, None, MEMORY, **STAGE_1),
                         *TRACE]):
            pass
    told = str(refusal.value)
    assert told.splitlines()[-1] == refused_at_start(device, BACKEND,
                                                     STAGE_1_REFUSAL)
    check_parent_came(told)
    with host.guest(assigned(device, BACKEND, None, MEMORY)) as other:
        assert list(shown(other.monitor)) == [device.address]


def test_parent_at_hotplug(host: Host) -> None:
    """The same later, each time, and the VM goes on without the device,
    which another VM can have."""
    device = host.devices[0]
    with host.guest([*unassigned(BACKEND, None, MEMORY, **STAGE_1),
                     *STOPPED_PORT, *TRACE]) as guest:
        before = guest.open_files()
        told = 0
        for _ in range(2):
            with pytest.raises(ExecuteError) as refusal:
                guest.plug(hot(device, BACKEND))
            assert str(refusal.value) == (f'vfio {device.address}: '
                                          f'{STAGE_1_REFUSAL}')
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
