# SPDX-License-Identifier: GPL-2.0-or-later
"""
Stage-1 passthrough: Linux in a guest drives NVMe devices of a host that
nests, whose IOMMU walks the tables that the guest's Linux makes.
"""

import re
from pathlib import Path
from typing import Iterator, List

import pytest

from assignment import ROOT_PORT, hot, unassigned, vfio_properties
from device import Device
from guest import Guest, Refused
from host import CONSOLE, COUNTED_QEMU, QEMU, Host
from stage1 import (BACKEND, BINDING, MEMORY, PAGES, STRICT, bound,
                    check_reads, check_writes, stage1)
from vtd import STAGE_1


@pytest.fixture(name='strict', scope='module')
def fixture_strict(nesting: Host) -> Iterator[Guest]:
    """A guest with two of the disks whose Linux takes back each buffer when
    it is done with it, and that more can be plugged into."""
    with nesting.guest([*stage1(*nesting.devices[:2]), *ROOT_PORT],
                    kernel=STRICT, program=COUNTED_QEMU) as guest:
        guest.check('true')
        yield guest


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


def test_hotplug_while_the_guest_translates(nesting: Host, strict: Guest,
                                            disks: List[Path]) -> None:
    """A device that comes into a running guest is read and written, and
    goes; QEMU is as it was then."""
    files, pinned = strict.open_files(), strict.pinned()
    strict.plug(hot(nesting.devices[2], BACKEND))
    strict.check('while ! grep -q "^lab5 *$" /sys/class/nvme/*/serial; '
                 'do usleep 100000; done')
    check_reads(strict, disks, 2)
    check_writes(strict, disks, 2)
    strict.unplug('hot')
    assert strict.open_files() == files
    assert strict.pinned() == pinned


def test_legacy_mode_is_shadowed(nesting: Host, disks: List[Path]) -> None:
    """Where the guest does not use scalable mode, what it maps is mapped in
    the host, read-only buffers too."""
    with nesting.guest(stage1(nesting.devices[3]), kernel=(
            f'{CONSOLE} intel_iommu=on,sm_off iommu.strict=1'),
                       program=COUNTED_QEMU) as guest:
        check_reads(guest, disks, 3)
        check_writes(guest, disks, 3)
        assert bound(guest) == [{'to': 'shadow'}]
        calls = guest.ioctls()
        assert calls['MAP'] >= PAGES
        assert not calls['INVALIDATE']


def test_descriptors(nesting: Host) -> None:
    """A device and an iommufd that come as descriptors, as libvirt passes
    them, are as well known as what QEMU opens."""
    device = nesting.devices[3]
    nesting.check(f"""
        cd /sys/bus/pci/devices/{device.address}/vfio-dev && {{
            echo '#!/bin/sh'
            echo "exec 8<>/dev/vfio/devices/$(echo *) 9<>/dev/iommu"
            echo 'exec {QEMU} "$@"'
        }} >/run/opened-qemu && chmod +x /run/opened-qemu""")
    options = unassigned(BACKEND, None, MEMORY, **{'caching-mode': None},
                         **STAGE_1)
    options[options.index('iommufd,id=iommufd0')] += ',fd=9'
    with nesting.guest([*options, '-device', 'vfio-pci,fd=8,iommufd=iommufd0'],
                    program='/run/opened-qemu') as guest:
        viommu, = guest.monitor.cmd('query-viommu')
        known, = viommu['devices']
        assert known['bound'] == {'to': 'pass-through'}
        assert known['unit'] == 'dmar0'


def bypassed(nesting: Host, bypasses: int, *devices: Device) -> Guest:
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
    return nesting.guest(options, program=COUNTED_QEMU)


@pytest.mark.parametrize('bypasses', [0, 1])
def test_bypass_shares_nothing(nesting: Host, bypasses: int) -> None:
    """A device that is not behind the vIOMMU never joins what nests, in
    either order: read-only memory is mapped for it, and for no other."""
    with bypassed(nesting, bypasses, *nesting.devices[2:4]) as guest:
        assert bound(guest) == [{'to': 'pass-through'}]
        assert guest.ioctls()['IOAS_ALLOC'] == 2
        maps = re.findall(r'map_dma .* ioas=(\d+) .* readonly=(\d) \(0\)',
                          guest.log())
        skipped = re.findall(r'IOAS (\d+) has a nesting', guest.log())
        assert len(set(skipped)) == 1
        assert {ioas for ioas, readonly in maps if readonly == '1'} == (
            {ioas for ioas, _ in maps} - set(skipped)) != set()


def test_functions_of_one_group(nesting: Host) -> None:
    """Both are on one parent; where one bypasses the vIOMMU the second of
    them is refused, and it is said why."""
    functions = nesting.devices[4:]
    with nesting.guest(stage1(*functions), program=COUNTED_QEMU) as guest:
        assert bound(guest) == [{'to': 'pass-through'}] * 2
        calls = guest.ioctls()
        assert (calls['IOAS_ALLOC'], calls['HWPT_ALLOC']) == (1, 1)
    with pytest.raises(Refused) as refusal:
        with bypassed(nesting, 0, *functions):
            pass
    assert (f'{functions[0].address} is in the same IOMMU group of the host, '
            in str(refusal.value))
    assert '(put both behind the vIOMMU, and ' in str(refusal.value)
