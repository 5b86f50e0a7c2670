# SPDX-License-Identifier: GPL-2.0-or-later
"""
A guest whose intel-iommu adopted its width migrates between two QEMUs on one
host: its device is unplugged, Linux reads another disk all the while, and a
device is plugged at the destination.

The other disk is virtio's: QEMU's own NVMe controller does not migrate.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List

import pytest

from assignment import (ROOT_PORT, hot, migration_blocker, unassigned,
                        vfio_properties)
from buildtree import BuildTree
from device import nvme
from guest import Guest
from host import CONSOLE, Host
from monitor import ExecuteError
from view import shown
from vtd import Capabilities, host_address_width, read_capabilities

WIDTH = 39
BACKEND = 'iommufd'
MEMORY = '128M'
CARRY = {'migrate-host-caps': 'on'}

# Each buffer is unmapped when its read is done, so that what is read after
# the migration was mapped after it.
KERNEL = f'{CONSOLE} iommu.strict=1'

# A file of the host, as a disk behind the guest's IOMMU.
DISK = '/run/disk'
DISK_OPTIONS = ('-drive', f'id=disk,if=none,format=raw,file={DISK}',
                '-device', 'virtio-blk-pci,drive=disk,disable-legacy=on,'
                           'iommu_platform=on')

# What the firmware that booted this Linux tells of the IOMMU.
DMAR = 'cat /sys/firmware/acpi/tables/DMAR'

# Linux keeps nothing of a disk that nobody has open: each round reads it.
READ_ON = 'while sha256sum </dev/vda; do :; done >/run/sums 2>&1 &'


@dataclass(frozen=True)
class Moved:
    """A guest that has migrated, where it runs now, and what it was told at
    the source."""

    guest: Guest
    told: Capabilities
    dmar: bytes


def cold(host: Host) -> List[str]:
    """The options that assign the host's device as "cold" in the root port,
    from the start."""
    return ['-device',
            vfio_properties(host.devices[0], BACKEND) + ',id=cold,bus=rp']


def read_sums(guest: Guest, more: int) -> List[str]:
    """All that READ_ON has found, once there are @more checksums than now.
    By the shell itself, since to start a program takes its time."""
    return guest.check(f'''
        count() {{ n=0; while read -r _; do n=$((n + 1)); done </run/sums; }}
        count
        enough=$((n + {more}))
        while [ $n -lt $enough ]; do usleep 500000; count; done
        while read -r line; do echo "$line"; done </run/sums'''
                       ).text.splitlines()


@pytest.fixture(scope='module')
def host(tree: BuildTree, disk_content: Path) -> Iterator[Host]:
    """A host of WIDTH bits with a device, and a file at DISK."""
    with Host(tree, 'migration', {'aw-bits': WIDTH},
              [nvme(disk_content, slot=3)]) as machine:
        machine.check(f'head -c {256 << 10} /dev/urandom >{DISK}')
        yield machine


@pytest.fixture(scope='module')
def disk_sum(host: Host) -> str:
    """The checksum of what is at DISK, as sha256sum tells it."""
    return host.check(f'sha256sum <{DISK}')


@pytest.fixture(scope='module')
def moved(host: Host) -> Iterator[Moved]:
    """A guest that started with the host's device, gave it back, and
    migrated while it read from DISK."""
    options = [*unassigned(BACKEND, None, MEMORY, **CARRY), *ROOT_PORT,
               *DISK_OPTIONS]
    with ExitStack() as stack:
        source = stack.enter_context(
            host.guest([*options, *cold(host)], kernel=KERNEL))
        destination = stack.enter_context(
            host.guest([*options, '-incoming', 'defer'], kernel=KERNEL))
        assert read_capabilities(destination.monitor).width == 48
        source.check(READ_ON)
        source.unplug('cold')
        told = read_capabilities(source.monitor)
        dmar = source.check(DMAR).output
        read_sums(source, more=1)
        source.migrate(destination)
        yield Moved(destination, told, dmar)


def test_adopted_width_blocks(host: Host) -> None:
    """Without migrate-host-caps, a guest that adopted does not migrate, even
    without the device. A reset unplugs it where no Linux does."""
    with host.guest([*unassigned(BACKEND, None, MEMORY), *ROOT_PORT,
                     *cold(host)]) as guest:
        guest.monitor.cmd('device_del', id='cold')
        guest.reset()
        assert shown(guest.monitor) == {}
        with pytest.raises(ExecuteError) as refusal:
            guest.monitor.cmd('migrate', uri='file:/dev/null')
        assert str(refusal.value) == migration_blocker(host.devices[0], WIDTH)


def test_guest_reads_on(moved: Moved, disk_sum: str) -> None:
    """What Linux reads is right before, amid and after the migration, and
    goes through an IOMMU that is strict."""
    # One that the migration may have met half-way, and one begun after it.
    assert set(read_sums(moved.guest, more=2)) == {disk_sum}
    group = '/sys/block/vda/device/../iommu_group'
    assert moved.guest.check(f'cat {group}/type').text == 'DMA'


def test_width_is_carried(moved: Moved) -> None:
    """The registers are what the guest was told at the source."""
    assert moved.told.width == WIDTH
    assert read_capabilities(moved.guest.monitor) == moved.told


def test_device_of_destination_plugs(host: Host, moved: Moved,
                                     disk_content: Path) -> None:
    """A device whose host has the width that was carried can be plugged, and
    Linux reads from it."""
    device = host.devices[0]
    moved.guest.plug(hot(device, BACKEND))
    assert list(shown(moved.guest.monitor)) == [device.address]
    begin = moved.guest.check('until [ -b /dev/nvme0n1 ]; do usleep 100000;'
                              'done; head -c 65536 /dev/nvme0n1').output
    assert begin == disk_content.read_bytes()[:65536]


def test_width_outlives_reset(moved: Moved) -> None:
    """A reset of the destination brings back what was carried, and the ACPI
    table that is built then tells it too."""
    assert host_address_width(moved.dmar) == WIDTH
    moved.guest.reset()
    assert read_capabilities(moved.guest.monitor) == moved.told
    assert moved.guest.check(DMAR).output == moved.dmar
