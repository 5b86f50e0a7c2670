# SPDX-License-Identifier: GPL-2.0-or-later
"""
A device that somebody else on the host has: QEMU says so, and gets it once
it is free.
"""

from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

from assignment import (BACKENDS, STOPPED_PORT, assigned, busy_refusal, hot,
                        unassigned, without_numbers)
from buildtree import BuildTree
from device import Device, nvme
from guest import Guest
from host import Host
from monitor import ExecuteError
from view import shown

MEMORY = '128M'


@pytest.fixture(scope='module')
def host(tree: BuildTree, disk_content: Path) -> Iterator[Host]:
    """A host with one device."""
    with Host(tree, 'busy', {'aw-bits': 48},
              [nvme(disk_content, slot=3)]) as machine:
        yield machine


@contextmanager
def held_group(host: Host, device: Device) -> Iterator[None]:
    """A process of the host has the group of @device open."""
    link = f'/sys/bus/pci/devices/{device.address}/iommu_group'
    pid = host.check(f'exec 7<>/dev/vfio/$(basename $(readlink -f {link}));'
                     'sleep 3600 >/dev/null 2>&1 & echo $!')
    try:
        yield
    finally:
        host.check(f'kill {pid}; while [ -e /proc/{pid}/fd/7 ]; do '
                   'usleep 10000; done', timeout=60)


def check_refused(guest: Guest, device: Device, backend: str,
                  reason: str) -> None:
    """@guest does not get @device, is told why, and is left as it was."""
    before = guest.open_files()
    with pytest.raises(ExecuteError) as refusal:
        guest.plug(hot(device, backend))
    assert without_numbers(str(refusal.value)) == busy_refusal(
        device, backend, reason)
    assert guest.open_files() == before


@pytest.mark.parametrize('backend', BACKENDS)
def test_group_that_a_process_holds(host: Host, backend: str) -> None:
    """Whoever opens the group keeps the device from both backends."""
    device = host.devices[0]
    with host.guest([*unassigned(backend, None, MEMORY),
                     *STOPPED_PORT]) as guest:
        with held_group(host, device):
            check_refused(guest, device, backend, 'Device or resource busy')
        guest.plug(hot(device, backend))
        assert list(shown(guest.monitor)) == [device.address]


@pytest.mark.parametrize('other', BACKENDS)
@pytest.mark.parametrize('backend', BACKENDS)
def test_device_that_another_guest_has(host: Host, backend: str,
                                       other: str) -> None:
    """One guest has a device, whatever backend each of two uses."""
    device = host.devices[0]
    # Linux has this answer to a second user of a device's own file.
    both_own = backend == other == 'iommufd'
    with host.guest([*unassigned(backend, None, MEMORY),
                     *STOPPED_PORT]) as guest:
        with host.guest(assigned(device, other, None, MEMORY)) as owner:
            check_refused(guest, device, backend, 'Invalid argument'
                          if both_own else 'Device or resource busy')
            assert list(shown(owner.monitor)) == [device.address]
        guest.plug(hot(device, backend))
        assert list(shown(guest.monitor)) == [device.address]
