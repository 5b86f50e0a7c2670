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
from device import Device, dma_testdev, nvme
from guest import Guest, Refused
from host import CONSOLE, COUNTED_QEMU, QEMU, SCALABLE_MODE, Host
from vtd import NESTED, STAGE_1

BACKEND = 'iommufd'
MEMORY = '256M'
HALF = 4 << 20      # bytes; the upper half of each disk is written
TRACE = ('-trace', '*host_iommu_*', '-trace', 'iommufd_backend_map_dma',
         '-trace', 'vtd_inv_desc_wait_sw')
LINUX = f'{CONSOLE} {SCALABLE_MODE}'
STRICT = f'{LINUX} iommu.strict=1'
PAGES = 2 * HALF // 4096        # of a disk


# Calls of the host that no buffer of a guest costs
BINDING = {'MAP', 'UNMAP', 'HWPT_ALLOC', 'DESTROY', 'ATTACH', 'DETACH'}


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
    """A host that nests, with a disk for each path, and a device of two
    functions."""
    with Host(tree, 'stage1', NESTED,
              [*(nvme(path, slot) for slot, path in enumerate(disks, 3)),
               *(dma_testdev(8, function) for function in (0, 1))],
              memory='4G') as machine:
        yield machine


@pytest.fixture(name='strict', scope='module')
def fixture_strict(host: Host) -> Iterator[Guest]:
    """A guest with two of the disks whose Linux takes back each buffer when
    it is done with it, and that more can be plugged into."""
    with host.guest([*stage1(*host.devices[:2]), *ROOT_PORT],
                    kernel=STRICT, program=COUNTED_QEMU) as guest:
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
    before = strict.ioctls()
    for number in range(2):
        check_reads(strict, disks, number)
        check_writes(strict, disks, number)
    assert not (strict.ioctls() - before).keys() & BINDING


def test_one_call_for_a_wait(strict: Guest, disks: List[Path]) -> None:
    """Each wait descriptor costs one call of the host at most, and none
    fails."""
    told, before = len(strict.log()), strict.ioctls()
    check_reads(strict, disks, 0)
    calls = strict.ioctls() - before
    log = strict.log()[told:]
    answers = re.findall(r'host_iommu_invalidate .* \((-?\d+)\)', log)
    assert answers == ['0'] * calls['INVALIDATE']
    assert 0 < calls['INVALIDATE'] <= log.count('vtd_inv_desc_wait_sw')
    print(f"{calls['INVALIDATE']} calls for {PAGES} pages")
    assert calls['INVALIDATE'] * 16 <= PAGES


def test_shadow_maps_each_page(host: Host, disks: List[Path]) -> None:
    """What the same costs without x-flts: two calls for a page."""
    options = unassigned(BACKEND, None, MEMORY, **{'x-scalable-mode': 'on'})
    with host.guest([*options, '-device',
                     vfio_properties(host.devices[3], BACKEND)],
                    kernel=f'{CONSOLE} intel_iommu=on iommu.strict=1',
                    program=COUNTED_QEMU) as guest:
        block_device(guest, 3)
        before = guest.ioctls()
        check_reads(guest, disks, 3)
        calls = guest.ioctls() - before
        print(f"{calls['MAP']} + {calls['UNMAP']} calls for {PAGES} pages")
        assert min(calls['MAP'], calls['UNMAP']) >= PAGES
        assert not calls['INVALIDATE']
        assert bound(guest) == [{'to': 'shadow'}]


def test_lazy(host: Host, disks: List[Path]) -> None:
    """Where Linux takes buffers back later, all at once, the host is
    called less often than there are buffers."""
    with host.guest(stage1(host.devices[3]), program=COUNTED_QEMU,
                    kernel=f'{LINUX} iommu.strict=0') as guest:
        block_device(guest, 3)
        before = guest.ioctls()
        check_reads(guest, disks, 3)
        check_writes(guest, disks, 3)
        calls = guest.ioctls() - before
        print(f"{calls['INVALIDATE']} calls when lazy")
        assert not calls.keys() & BINDING
        assert calls['INVALIDATE'] * 32 <= PAGES
        assert [binding['to'] for binding in bound(guest)] == ['nested']


def test_no_driver(host: Host, disks: List[Path]) -> None:
    """A Linux that leaves the IOMMU alone has its device on guest-physical
    memory."""
    with host.guest(stage1(host.devices[3]),
                    kernel=f'{CONSOLE} intel_iommu=off') as guest:
        check_reads(guest, disks, 3)
        check_writes(guest, disks, 3)
        assert bound(guest) == [{'to': 'pass-through'}]


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
    with host.guest(stage1(*host.devices[2:4])) as two:
        assert abs(two.pinned() - alone) < 4 << 10
    assert alone > 250 << 10
    assert abs(strict.pinned() - alone) < 4 << 10


def test_descriptors(host: Host) -> None:
    """A device and an iommufd that come as descriptors, as libvirt passes
    them, are as well known as what QEMU opens."""
    device = host.devices[3]
    host.check(f"""
        cd /sys/bus/pci/devices/{device.address}/vfio-dev && {{
            echo '#!/bin/sh'
            echo "exec 8<>/dev/vfio/devices/$(echo *) 9<>/dev/iommu"
            echo 'exec {QEMU} "$@"'
        }} >/run/opened-qemu && chmod +x /run/opened-qemu""")
    options = unassigned(BACKEND, None, MEMORY, **{'caching-mode': None},
                         **STAGE_1)
    options[options.index('iommufd,id=iommufd0')] += ',fd=9'
    with host.guest([*options, '-device', 'vfio-pci,fd=8,iommufd=iommufd0'],
                    program='/run/opened-qemu') as guest:
        viommu, = guest.monitor.cmd('query-viommu')
        known, = viommu['devices']
        assert known['bound'] == {'to': 'pass-through'}
        assert known['unit'] == 'dmar0'


def bypassed(host: Host, bypasses: int, *devices: Device) -> Guest:
    """A guest with @devices, of which number @bypasses is not behind the
    vIOMMU."""
    # After it, a root port that names no bus would be put on pxb's.
    options = [*stage1(), *ROOT_PORT, '-device',
               'pxb-pcie,id=pxb,bus_nr=128,bypass_iommu=on', '-device',
               'pcie-root-port,id=bypass,bus=pxb,chassis=9']
    for number, device in enumerate(devices):
        bus = 'bypass' if number == bypasses else 'rp'
        options += ['-device',
                    f'{vfio_properties(device, BACKEND)},bus={bus}']
    return host.guest(options, program=COUNTED_QEMU)


@pytest.mark.parametrize('bypasses', [0, 1])
def test_bypass_shares_nothing(host: Host, bypasses: int) -> None:
    """A device that is not behind the vIOMMU never joins what nests, in
    either order: read-only memory is mapped for it, and for no other."""
    with bypassed(host, bypasses, *host.devices[2:4]) as guest:
        assert bound(guest) == [{'to': 'pass-through'}]
        assert guest.ioctls()['IOAS_ALLOC'] == 2
        maps = re.findall(r'map_dma .* ioas=(\d+) .* readonly=(\d) \(0\)',
                          guest.log())
        skipped = re.findall(r'IOAS (\d+) has a nesting', guest.log())
        assert len(set(skipped)) == 1
        assert {ioas for ioas, readonly in maps if readonly == '1'} == (
            {ioas for ioas, _ in maps} - set(skipped)) != set()


def test_functions_of_one_group(host: Host) -> None:
    """Both are on one parent; where one bypasses the vIOMMU the second of
    them is refused, and it is said why."""
    functions = host.devices[4:]
    with host.guest(stage1(*functions), program=COUNTED_QEMU) as guest:
        assert bound(guest) == [{'to': 'pass-through'}] * 2
        calls = guest.ioctls()
        assert (calls['IOAS_ALLOC'], calls['HWPT_ALLOC']) == (1, 1)
    with pytest.raises(Refused) as refusal:
        with bypassed(host, 0, *functions):
            pass
    assert (f'{functions[0].address} is in the same IOMMU group of the host, '
            in str(refusal.value))
    assert '(put both behind the vIOMMU, and ' in str(refusal.value)
