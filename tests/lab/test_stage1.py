# SPDX-License-Identifier: GPL-2.0-or-later
"""
Stage-1 passthrough: Linux in a guest drives NVMe devices of a host that
nests, whose IOMMU walks the tables that the guest's Linux makes.
"""

import hashlib
import re
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from assignment import ROOT_PORT, hot, unassigned, vfio_properties
from buildtree import BuildTree
from device import nvme
from guest import Guest
from host import CONSOLE, SCALABLE_MODE, Host
from vtd import NESTED, STAGE_1

BACKEND = 'iommufd'
MEMORY = '256M'
DISKS = 4
TRACE = ('-trace', 'host_iommu_*', '-trace', 'iommufd_backend_*',
         '-trace', 'vtd_inv_desc_wait_sw')
LINUX = f'{CONSOLE} {SCALABLE_MODE}'

# What Linux is told, and what its devices are bound to then.
MODES = {
    'strict': (f'{LINUX} iommu.strict=1', 'nested'),
    'lazy': (f'{LINUX} iommu.strict=0', 'nested'),
    'pt': (f'{LINUX} iommu=pt', 'pass-through'),
    'off': (f'{CONSOLE} intel_iommu=off', 'pass-through'),
}


@pytest.fixture(name='disks', scope='module')
def fixture_disks(tmp_path_factory: pytest.TempPathFactory) -> List[Path]:
    """Disks of unlike content, which the tests change."""
    folder = tmp_path_factory.mktemp('disks')
    disks = [folder / f'disk{i}' for i in range(DISKS)]
    for number, disk in enumerate(disks):
        disk.write_bytes(bytes([number + 1]) * (4 << 20) + bytes(4 << 20))
    return disks


@pytest.fixture(name='host', scope='module')
def fixture_host(tree: BuildTree, disks: List[Path]) -> Iterator[Host]:
    """A host that nests, with a disk for each path."""
    with Host(tree, 'stage1', NESTED,
              [nvme(path, slot) for slot, path in enumerate(disks, 3)],
              memory='4G') as machine:
        yield machine


def stage1(*devices: object) -> List[str]:
    """The options of a guest with @devices, whose caching-mode is left
    open."""
    options = unassigned(BACKEND, None, MEMORY, **{'caching-mode': None},
                         **STAGE_1)
    for device in devices:
        options += ['-device', vfio_properties(device, BACKEND)]
    return options + list(TRACE)


def bound(guest: Guest) -> List[Dict[str, object]]:
    """What each of @guest's devices is bound to."""
    viommu, = guest.monitor.cmd('query-viommu')
    return [device['bound'] for device in viommu['devices']]


def checksum(content: bytes) -> str:
    """As sha256sum has it."""
    return hashlib.sha256(content).hexdigest()


def check_reads(guest: Guest, name: str, disk: Path) -> None:
    """What Linux reads is what is on @disk."""
    read = guest.check(f'dd if=/dev/{name} bs=1M iflag=direct 2>/dev/null | '
                       'sha256sum').text.split()[0]
    assert read == checksum(disk.read_bytes())


def check_writes(guest: Guest, name: str, disk: Path) -> None:
    """What Linux writes is on @disk then, as seen from outside."""
    half = 4 << 20
    written = guest.check(
        f'dd if=/dev/urandom of=/tmp/random bs=1M count=4 2>/dev/null &&'
        f'dd if=/tmp/random of=/dev/{name} bs=1M seek=4 oflag=direct '
        'conv=fsync 2>/dev/null && sha256sum </tmp/random'
    ).text.split()[0]
    assert checksum(disk.read_bytes()[half:]) == written


@pytest.mark.parametrize('mode', MODES)
def test_reads_and_writes(host: Host, disks: List[Path], mode: str) -> None:
    """Bytes go both ways, whatever the guest does with its IOMMU; and
    nothing is mapped for that but its RAM, once."""
    kernel, expected = MODES[mode]
    with host.guest(stage1(host.devices[0]), kernel=kernel) as guest:
        guest.check('true')
        assert [b['to'] for b in bound(guest)] == [expected]
        before = guest.log().count('iommufd_backend_map_dma')
        check_reads(guest, 'nvme0n1', disks[0])
        check_writes(guest, 'nvme0n1', disks[0])
        assert guest.log().count('iommufd_backend_map_dma') == before


def test_one_call_for_a_wait(host: Host, disks: List[Path]) -> None:
    """Each wait descriptor of a strict guest costs one call at most."""
    kernel, _ = MODES['strict']
    with host.guest(stage1(host.devices[0]), kernel=kernel) as guest:
        told = len(guest.log())
        check_reads(guest, 'nvme0n1', disks[0])
        log = guest.log()[told:]
        calls = log.count('host_iommu_invalidate')
        waits = log.count('vtd_inv_desc_wait_sw')
        assert 0 < calls <= waits
        assert not re.search(r'\((-\d+)\)$', log, re.M)


def test_memory_is_pinned_once(host: Host, disks: List[Path]) -> None:
    """Four devices cost no more memory than one."""
    pinned = []
    for count in (1, DISKS):
        with host.guest(stage1(*host.devices[:count])) as guest:
            pinned.append(guest.pinned())
    assert pinned[0] > 250 << 10
    assert pinned[1] - pinned[0] < 16 << 10


def test_many_devices(host: Host, disks: List[Path]) -> None:
    """Each of four disks is read and written, each by tables of its own."""
    with host.guest(stage1(*host.devices), kernel=MODES['strict'][0]) as guest:
        guest.check('true')
        now = bound(guest)
        assert [b['to'] for b in now] == ['nested'] * DISKS
        assert len({b['hwpt'] for b in now}) == DISKS
        names = dict(line.split() for line in guest.check(
            'cd /sys/class/nvme; for n in *; do '
            'echo $(cat $n/serial) $n; done').text.splitlines())
        for slot, disk in enumerate(disks, 3):
            check_reads(guest, f'{names[f"lab{slot}"]}n1', disk)
            check_writes(guest, f'{names[f"lab{slot}"]}n1', disk)


def test_legacy_mode_is_blocked(host: Host) -> None:
    """A guest that does not use scalable mode is told of no disk, and
    query-viommu and a line on stderr say why."""
    with host.guest(stage1(host.devices[0]), kernel=(
            f'{CONSOLE} intel_iommu=on,sm_off nvme_core.io_timeout=2 '
            'nvme_core.admin_timeout=2')) as guest:
        guest.check('true')
        binding, = bound(guest)
        assert binding == {
            'to': 'blocked',
            'reason': "the guest uses VT-d's legacy mode, whose second-stage "
                      'tables the host cannot walk'}
        assert (f'warning: {host.devices[0].address}: its DMA is blocked: '
                "the guest uses VT-d's legacy mode") in guest.log()


def test_reboot(host: Host, disks: List[Path]) -> None:
    """A reset ends one Linux and starts the next, which reads the same;
    nothing is left in the host."""
    with host.guest(stage1(host.devices[0]),
                    kernel=MODES['strict'][0]) as guest:
        files = guest.open_files()
        for _ in range(2):
            check_reads(guest, 'nvme0n1', disks[0])
            guest.reset()
        check_reads(guest, 'nvme0n1', disks[0])
        assert guest.open_files() == files
        log = guest.log()
        allocated = re.findall('host_iommu_alloc_tables .* id (\\d+) ', log)
        freed = re.findall('host_iommu_free_tables .* id (\\d+)', log)
        assert len(allocated) - len(freed) == 1


def test_hotplug_while_the_guest_translates(host: Host,
                                            disks: List[Path]) -> None:
    """A device that comes into a running guest is read and written, goes,
    and comes again; QEMU is as it was then."""
    with host.guest([*stage1(host.devices[0]), *ROOT_PORT],
                    kernel=MODES['strict'][0]) as guest:
        files, pinned = guest.open_files(), guest.pinned()
        for _ in range(2):
            guest.plug(hot(host.devices[1], BACKEND))
            guest.check('while ! [ -e /dev/nvme1n1 ]; do usleep 100000; done')
            check_reads(guest, 'nvme1n1', disks[1])
            check_writes(guest, 'nvme1n1', disks[1])
            guest.unplug('hot')
            assert guest.open_files() == files
            assert guest.pinned() == pinned
        check_reads(guest, 'nvme0n1', disks[0])
