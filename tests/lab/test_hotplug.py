# SPDX-License-Identifier: GPL-2.0-or-later
"""
Devices that come and go behind a PCIe root port of the guest, after the
width of its intel-iommu froze.
"""

import hashlib
import re
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from assignment import (BACKENDS, ROOT_PORT, STOPPED_PORT, assigned, hot,
                        plug_refusal, unassigned, vfio_properties)
from buildtree import BuildTree
from device import edu, nvme
from guest import Guest
from host import CONSOLE, Host
from monitor import ExecuteError
from view import shown
from vtd import read_capabilities

WIDTH = 42
MEMORY = '128M'
ROUNDS = 50


@pytest.fixture(scope='module')
def host(tree: BuildTree, disk_content: Path) -> Iterator[Host]:
    """A host of WIDTH bits with a disk and another device."""
    with Host(tree, 'hotplug', {'aw-bits': WIDTH, 'x-scalable-mode': 'on'},
              [nvme(disk_content, slot=3), edu(slot=4)]) as machine:
        yield machine


def widths(guest: Guest) -> Dict[str, object]:
    """The width of the host of each of @guest's assigned devices."""
    return {name: view['aw-bits']
            for name, view in shown(guest.monitor).items()}


@pytest.mark.parametrize('backend', BACKENDS)
def test_plug_and_unplug(host: Host, backend: str) -> None:
    """A device that fits the width comes, and goes."""
    device = host.devices[0]
    with host.guest([*unassigned(backend, WIDTH, MEMORY),
                     *STOPPED_PORT]) as guest:
        guest.plug(hot(device, backend))
        assert widths(guest) == {device.address: WIDTH}
        guest.unplug('hot')
        assert widths(guest) == {}


@pytest.mark.parametrize('backend', BACKENDS)
def test_narrower_than_frozen_is_refused(host: Host, backend: str) -> None:
    """A device whose host is too narrow is told why, each time it comes,
    and leaves nothing."""
    device = host.devices[0]
    with host.guest([*unassigned(backend, None, MEMORY),
                     *STOPPED_PORT]) as guest:
        before = guest.open_files()
        for _ in range(2):
            with pytest.raises(ExecuteError) as refusal:
                guest.plug(hot(device, backend))
            assert str(refusal.value) == plug_refusal(device, guest=48,
                                                      host=WIDTH)
        assert widths(guest) == {}
        assert guest.open_files() == before


@pytest.mark.parametrize('backend', BACKENDS)
def test_fits_what_another_adopted(host: Host, backend: str) -> None:
    """A device that was there at start makes room for those to come."""
    cold, late = host.devices
    with host.guest([*assigned(cold, backend, None, MEMORY),
                     *STOPPED_PORT]) as guest:
        guest.plug(hot(late, backend))
        assert widths(guest) == {cold.address: WIDTH, late.address: WIDTH}
        assert read_capabilities(guest.monitor).width == WIDTH


@pytest.mark.parametrize('pretended', (39, 48))
@pytest.mark.parametrize('first', ('real', 'testdev'))
def test_real_beside_testdev(host: Host, first: str, pretended: int) -> None:
    """The narrowest host decides, whichever device comes first, and each
    device shows its own."""
    device = host.devices[0]
    real = ['-device', vfio_properties(device, 'iommufd')]
    testdev = ['-device',
               f'host-iommu-testdev,id=testdev,aw-bits={pretended}']
    both = [*real, *testdev] if first == 'real' else [*testdev, *real]
    with host.guest([*unassigned('iommufd', None, MEMORY), *both]) as guest:
        assert widths(guest) == {device.address: WIDTH, 'testdev': pretended}
        assert read_capabilities(guest.monitor).width == min(WIDTH, pretended)


def test_refused_testdev_leaves_real_alone(host: Host) -> None:
    """What comes later and is too narrow changes nothing for the device
    that is there."""
    device = host.devices[0]
    with host.guest([*assigned(device, 'iommufd', None, MEMORY),
                     *STOPPED_PORT]) as guest:
        before = shown(guest.monitor)
        with pytest.raises(ExecuteError) as refusal:
            guest.plug({'driver': 'host-iommu-testdev', 'id': 'hot',
                        'bus': 'rp', 'aw-bits': WIDTH - 1})
        assert str(refusal.value) == plug_refusal(None, guest=WIDTH,
                                                  host=WIDTH - 1)
        assert shown(guest.monitor) == before
        assert read_capabilities(guest.monitor).width == WIDTH


def iommufd_objects(log: str) -> Tuple[List[str], List[str]]:
    """The ids that iommufd gave out in @log, of IOAS and HWPTs, and those
    that it took back, in the order in which that happened."""
    made = re.findall(r'alloc_(?:ioas|hwpt) .*(?:ioas|out_hwpt)=(\d+)', log)
    return made, re.findall(r'free_id .* id=(\d+) \(0\)', log)


@pytest.mark.parametrize('backend', BACKENDS)
def test_rounds_leave_nothing(host: Host, backend: str) -> None:
    """Plugged and unplugged again and again, a device leaves no file
    descriptor, no domain in the host and no IOAS or HWPT in an iommufd that
    another device keeps open: ids are given out again."""
    cold, late = host.devices
    domains = 'cat /sys/class/iommu/dmar0/intel-iommu/domains_used'
    with host.guest([*assigned(cold, backend, None, MEMORY), *STOPPED_PORT,
                     '-trace', 'iommufd_backend_*']) as guest:
        cold_objects, _ = iommufd_objects(guest.log())
        before = guest.open_files(), host.check(domains)
        for _ in range(ROUNDS):
            guest.plug(hot(late, backend))
            guest.unplug('hot')
        assert (guest.open_files(), host.check(domains)) == before
        made, gone = iommufd_objects(guest.log())
    if backend == 'legacy':
        assert made == gone == []
    else:
        # An HWPT goes before the IOAS that it maps.
        ioas, hwpt = made[len(cold_objects):][:2]
        assert made == cold_objects + [ioas, hwpt] * ROUNDS
        assert gone == [hwpt, ioas] * ROUNDS


def read_disk(guest: Guest) -> str:
    """The checksum of what @guest's Linux reads, once it has the disk."""
    return guest.check('until [ -b /dev/nvme0n1 ]; do usleep 100000; done;'
                       'sha256sum </dev/nvme0n1').text.split()[0]


def test_linux_reads_what_is_plugged(host: Host, disk_content: Path) -> None:
    """Linux reads a disk that was there, gives it back, and reads it when
    it comes again; the width that was adopted for it outlives it."""
    disk = host.devices[0]
    content = hashlib.sha256(disk_content.read_bytes()).hexdigest()
    cold = vfio_properties(disk, 'legacy') + ',id=cold,bus=rp'
    with host.guest([*unassigned('legacy'), *ROOT_PORT, '-device', cold],
                    kernel=CONSOLE) as guest:
        assert read_disk(guest) == content
        guest.unplug('cold')
        assert widths(guest) == {}
        guest.plug(hot(disk, 'legacy'))
        assert read_disk(guest) == content
        assert read_capabilities(guest.monitor).width == WIDTH
