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
from device import Device, nvme
from guest import Guest
from host import CONSOLE, SCALABLE_MODE, Host
from vtd import NESTED, STAGE_1

BACKEND = 'iommufd'
MEMORY = '256M'
HALF = 4 << 20      # bytes; the upper half of each disk is written
TRACE = ('-trace', 'host_iommu_*', '-trace', 'iommufd_backend_map_dma',
         '-trace', 'vtd_inv_desc_wait_sw')
LINUX = f'{CONSOLE} {SCALABLE_MODE}'


@pytest.fixture(name='disks', scope='module')
def fixture_disks(tmp_path_factory: pytest.TempPathFactory) -> List[Path]:
    """Four disks of unlike content, which the tests change."""
    folder = tmp_path_factory.mktemp('disks')
    disks = [folder / f'disk{i}' for i in range(4)]
    for number, disk in enumerate(disks, 1):
        disk.write_bytes(bytes([number]) * HALF + bytes(HALF))
    return disks


@pytest.fixture(name='host', scope='module')
def fixture_host(tree: BuildTree, disks: List[Path]) -> Iterator[Host]:
    """A host that nests, with a disk for each path."""
    with Host(tree, 'stage1', NESTED,
              [nvme(path, slot) for slot, path in enumerate(disks, 3)],
              memory='4G') as machine:
        yield machine


@pytest.fixture(name='strict', scope='module')
def fixture_strict(host: Host) -> Iterator[Guest]:
    """A guest with two of the disks whose Linux takes back each buffer when
    it is done with it, and that more can be plugged into."""
    with host.guest([*stage1(*host.devices[:2]), *ROOT_PORT],
                    kernel=f'{LINUX} iommu.strict=1') as guest:
        guest.check('true')
        yield guest


def stage1(*devices: Device) -> List[str]:
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


def block_device(guest: Guest, number: int) -> str:
    """Linux' name of the host's disk @number."""
    name = guest.check(f'cd /sys/class/nvme && grep -l "^lab{number + 3} *$" '
                       '*/serial').text.split('/')[0]
    return f'/dev/{name}n1'


def check_reads(guest: Guest, disks: List[Path], number: int) -> None:
    """What Linux reads of disk @number is what is on it."""
    read = guest.check(f'dd if={block_device(guest, number)} bs=1M '
                       'iflag=direct 2>/dev/null | sha256sum').text.split()[0]
    assert read == hashlib.sha256(disks[number].read_bytes()).hexdigest()


def check_writes(guest: Guest, disks: List[Path], number: int) -> None:
    """What Linux writes is on disk @number then, as seen from outside."""
    written = guest.check(
        'dd if=/dev/urandom of=/tmp/random bs=1M count=4 2>/dev/null &&'
        f'dd if=/tmp/random of={block_device(guest, number)} bs=1M seek=4 '
        'oflag=direct conv=fsync 2>/dev/null && sha256sum </tmp/random'
    ).text.split()[0]
    content = disks[number].read_bytes()[HALF:]
    assert hashlib.sha256(content).hexdigest() == written


def test_reads_and_writes(strict: Guest, disks: List[Path]) -> None:
    """Bytes go both ways, of two disks by tables of their own, and nothing
    is mapped in the host for it."""
    now = bound(strict)
    assert [binding['to'] for binding in now] == ['nested', 'nested']
    assert now[0]['hwpt'] != now[1]['hwpt']
    before = strict.log().count('iommufd_backend_map_dma')
    for number in range(2):
        check_reads(strict, disks, number)
        check_writes(strict, disks, number)
    assert strict.log().count('iommufd_backend_map_dma') == before


def test_one_call_for_a_wait(strict: Guest, disks: List[Path]) -> None:
    """Each wait descriptor costs one call of the host at most, and none
    fails."""
    told = len(strict.log())
    check_reads(strict, disks, 0)
    log = strict.log()[told:]
    calls = re.findall(r'host_iommu_invalidate .* \((-?\d+)\)', log)
    assert 0 < len(calls) <= log.count('vtd_inv_desc_wait_sw')
    assert set(calls) == {'0'}


def test_hotplug_while_the_guest_translates(host: Host, strict: Guest,
                                            disks: List[Path]) -> None:
    """A device that comes into a running guest is read and written, goes,
    and comes again; QEMU is as it was then."""
    files, pinned = strict.open_files(), strict.pinned()
    for _ in range(2):
        strict.plug(hot(host.devices[2], BACKEND))
        strict.check('while ! grep -q "^lab5 *$" /sys/class/nvme/*/serial; '
                     'do usleep 100000; done')
        check_reads(strict, disks, 2)
        check_writes(strict, disks, 2)
        strict.unplug('hot')
        assert strict.open_files() == files
        assert strict.pinned() == pinned


def test_reboot(strict: Guest, disks: List[Path]) -> None:
    """A reset ends one Linux and starts the next, which reads the same; of
    the first one's tables none is left in the host."""
    files = strict.open_files()
    strict.reset()
    check_reads(strict, disks, 0)
    assert strict.open_files() == files
    log = strict.log()
    assert (len(re.findall(r'host_iommu_alloc_tables .* \(0\)$', log, re.M)) -
            log.count('host_iommu_free_tables')) == 2


def test_pass_through(host: Host, disks: List[Path]) -> None:
    """With iommu=pt the device is left on guest-physical memory."""
    with host.guest(stage1(host.devices[3]),
                    kernel=f'{LINUX} iommu=pt') as guest:
        check_reads(guest, disks, 3)
        check_writes(guest, disks, 3)
        assert bound(guest) == [{'to': 'pass-through'}]
        assert 'host_iommu_invalidate' not in guest.log()


def test_legacy_mode_is_blocked(host: Host) -> None:
    """Where the guest does not use scalable mode its disk fails, and
    query-viommu and a line on stderr say why."""
    with host.guest(stage1(host.devices[3]), kernel=(
            f'{CONSOLE} intel_iommu=on,sm_off nvme_core.admin_timeout=2'
            )) as guest:
        guest.check('true')
        assert bound(guest) == [{
            'to': 'blocked',
            'reason': "the guest uses VT-d's legacy mode, whose second-stage "
                      'tables the host cannot walk'}]
        assert (f'{host.devices[3].address}: its DMA is blocked: the guest '
                "uses VT-d's legacy mode") in guest.log()


def test_memory_is_pinned_once(host: Host, strict: Guest) -> None:
    """More devices cost no more memory."""
    with host.guest(stage1(host.devices[2])) as one:
        alone = one.pinned()
    with host.guest(stage1(*host.devices[2:])) as two:
        assert abs(two.pinned() - alone) < 4 << 10
    assert alone > 250 << 10
    assert abs(strict.pinned() - alone) < 4 << 10
