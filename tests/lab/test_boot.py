# SPDX-License-Identifier: GPL-2.0-or-later
"""
Linux in a guest drives a host's NVMe device through two IOMMUs, behind an
intel-iommu that adopted its width. A guest for each backend.
"""

import hashlib
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Dict, Iterator, Tuple

import pytest

from assignment import BACKENDS, assigned
from buildtree import BuildTree
from device import nvme
from guest import Guest
from host import CONSOLE, Host
from vtd import Capabilities, host_address_width, read_capabilities

WIDTH = 39

# Each buffer is unmapped, in both IOMMUs, when its read is done, and lies
# as high as the guest's IOMMU can address, not below 4 GiB.
KERNEL = f'{CONSOLE} iommu.strict=1 iommu.forcedac=1'


@pytest.fixture(name='guests', scope='module')
def fixture_guests(tree: BuildTree, disk_contents: Tuple[Path, Path]
                   ) -> Iterator[Dict[str, Guest]]:
    """Guests by backend, each with a disk; they boot side by side."""
    disks = [nvme(path, slot) for slot, path in enumerate(disk_contents, 3)]
    with ExitStack() as stack:
        host = stack.enter_context(
            Host(tree, 'boot', {'aw-bits': WIDTH}, disks))
        yield {backend: stack.enter_context(host.guest(
            [*assigned(disk, backend), '-trace', 'vfio_iommu_map_notify'],
            kernel=KERNEL)) for backend, disk in zip(BACKENDS, disks)}


@pytest.fixture(params=BACKENDS)
def guest(request: pytest.FixtureRequest,
          guests: Dict[str, Guest]) -> Guest:
    """The guest of one backend."""
    return guests[request.param]


@pytest.fixture
def checksums(guests: Dict[str, Guest], disk_contents: Tuple[Path, Path]
              ) -> Dict[Guest, str]:
    """The checksum of what is on each guest's disk."""
    return {guest: hashlib.sha256(path.read_bytes()).hexdigest()
            for guest, path in zip(guests.values(), disk_contents)}


def read_disk(guest: Guest) -> str:
    """The checksum of what @guest's Linux reads."""
    return guest.check('sha256sum </dev/nvme0n1').text.split()[0]


def test_all_tell_one_width(guest: Guest) -> None:
    """CAP as Linux and as QEMU read it and ACPI's DMAR table agree that the
    unit is as wide as the host's."""
    unit = '/sys/class/iommu/dmar0/intel-iommu'
    words = guest.check(f'cat {unit}/cap {unit}/ecap').text.split()
    seen = Capabilities(*(int(word, 16) for word in words))
    assert seen.width == WIDTH
    assert seen == read_capabilities(guest.monitor)
    dmar = guest.check('cat /sys/firmware/acpi/tables/DMAR').output
    assert host_address_width(dmar) == WIDTH


def test_read_nvme_through_two_iommus(guest: Guest,
                                      checksums: Dict[Guest, str]) -> None:
    """What Linux reads is what is on the disk."""
    assert read_disk(guest) == checksums[guest]


def test_whole_width_is_used(guest: Guest) -> None:
    """Linux, which is strict, maps up to the top of the adopted width and
    no higher."""
    group = '/sys/class/nvme/nvme0/device/iommu_group'
    assert guest.check(f'cat {group}/type').text == 'DMA'
    tops = re.findall('iommu MAP @ 0x[0-9a-f]+ - 0x([0-9a-f]+)', guest.log())
    assert max(int(top, 16) for top in tops).bit_length() == WIDTH


def test_read_again_after_reset(checksums: Dict[Guest, str]) -> None:
    """A reset ends one Linux and starts the next, which is told the same
    and reads the same. Both guests boot side by side again."""
    told = {guest: read_capabilities(guest.monitor) for guest in checksums}
    for guest in checksums:
        guest.check('touch /run/before')
        guest.reset()
    for guest in checksums:
        assert guest.run('[ -e /run/before ]').code == 1
    assert {guest: read_disk(guest) for guest in checksums} == checksums
    assert {guest: read_capabilities(guest.monitor)
            for guest in checksums} == told
