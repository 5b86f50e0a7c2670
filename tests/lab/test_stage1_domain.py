# SPDX-License-Identifier: GPL-2.0-or-later
"""
Stage-1 passthrough of devices that share one domain of the guest's VFIO:
what they cost in calls of the host, and whether they see what a model sees.
"""

import os
from collections import Counter
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, List, Tuple

import pytest

from assignment import vfio_properties
from buildtree import BuildTree
from device import dma_testdev
from guest import Guest
from host import CONSOLE, COUNTED_QEMU, Host
from stage1 import BACKEND, LINUX, bound, stage1
from steps import Steps
from vtd import NESTED

DEVICES = 8
PAGE = 4096
OPERATIONS = 20000
SEED = int(os.environ.get('LAB_SEED', '16'))

ROUNDS = 100
DOMAINS = 'cat /sys/class/iommu/dmar0/intel-iommu/domains_used'

# pytest's record_property: what a run prints beside its cases
Record = Callable[[str, object], None]

# What dma-testdev answers.
DONE, NOT_READ = 1, 2

# At an odd place, so that the guest's pages are of 4 KiB.
PAGES = 512
IOVA = 0x4000_1000

# Where the first two devices are in the guest.
IN_GUEST = dma_testdev(0x10), dma_testdev(0x11)


@pytest.fixture(name='host', scope='module')
def fixture_host(tree: BuildTree) -> Iterator[Host]:
    """A host that nests, with devices of which each is a group."""
    with Host(tree, 'domain', NESTED,
              [dma_testdev(slot) for slot in range(3, 3 + DEVICES)],
              memory='2G') as machine:
        yield machine


@contextmanager
def two_devices(host: Host, kernel: str) -> Iterator[Guest]:
    """A guest with two of @host's, which belong to its own VFIO."""
    options: List[str] = stage1()
    for device, inside in zip(host.devices, IN_GUEST):
        options += ['-device', f'{vfio_properties(device, BACKEND)},'
                    f'addr={inside.slot:#x}']
    with host.guest(options, kernel=kernel, program=COUNTED_QEMU) as guest:
        for inside in IN_GUEST:
            guest.check(inside.binding('vfio-pci'))
        # Linux turns them off where there is little memory. What is
        # contiguous, VFIO unmaps in one go, with one wait at its end.
        guest.check('echo madvise >/sys/kernel/mm/transparent_hugepage/'
                    'enabled')
        yield guest


@pytest.fixture(name='guest', scope='module')
def fixture_guest(host: Host) -> Iterator[Guest]:
    """A guest in scalable mode."""
    with two_devices(host, LINUX) as guest:
        yield guest


def one_domain(guest: Guest, devices: int) -> Steps:
    """The program domain.c in @guest, whose first @devices it has."""
    return Steps(guest, ' '.join(['/lab/domain', *(
        device.address for device in IN_GUEST[:devices])]))


def answers(host: Host, device: str) -> Tuple[str, List[Dict[str, object]]]:
    """What the program legacy-mode.c says of @device, and what assigned
    ones are bound to then."""
    file = '/run/legacy-mode.log'
    with host.guest([*stage1(), '-kernel', '/lab/legacy-mode', '-serial',
                     f'file:{file}', '-device', f'{device},'
                     f'addr={IN_GUEST[0].slot:#x}']) as guest:
        guest.monitor.cmd('cont')
        host.check(f'until grep -q "^all done" {file}; do usleep 10000; done')
        return host.check(f'cat {file}'), bound(guest)


def test_legacy_mode_without_linux(host: Host) -> None:
    """A guest without an operating system, which sends its invalidations
    by registers: an assigned device answers as an emulated one."""
    said, devices = answers(host, 'dma-testdev')
    assert (said.count(': copied\n'), said.count(': not ')) == (7, 11)
    assert not devices
    assert answers(host, vfio_properties(host.devices[0], BACKEND)) == (
        said, [{'to': 'shadow'}])


def test_memory_is_pinned_once(host: Host, record_property: Record
                               ) -> None:
    """However many devices there are, RAM is in one IOAS and one parent,
    and is pinned once."""
    pinned = {}
    for devices in 1, 4, DEVICES:
        with host.guest(stage1(*host.devices[:devices]),
                        program=COUNTED_QEMU) as guest:
            assert bound(guest) == [{'to': 'pass-through'}] * devices
            calls, pinned[devices] = guest.ioctls(), guest.pinned()
            assert (calls['IOAS_ALLOC'], calls['HWPT_ALLOC']) == (1, 1)
    record_property('KiB pinned, by devices', pinned)
    assert 250 << 10 < max(pinned.values()) < 264 << 10
    assert max(pinned.values()) - min(pinned.values()) < 1 << 10


@pytest.mark.parametrize('devices', [1, 2])
def test_one_call_for_an_unmap(guest: Guest, devices: int,
                               record_property: Record) -> None:
    """What takes back 512 pages is one call of the host, for two devices
    as for one; a map is none. All of the devices see the same."""
    some = [(device, IOVA + page * PAGE) for device in range(devices)
            for page in (0, 1, PAGES // 2, PAGES - 1)]
    with one_domain(guest, devices) as program:
        now = bound(guest)[:devices]
        assert [binding['to'] for binding in now] == ['nested'] * devices
        assert len({binding['hwpt'] for binding in now}) == 1
        before = guest.ioctls()
        program.step('map', IOVA, 0, PAGES * PAGE)
        assert guest.ioctls() == before
        for device, iova in some:
            assert program.step('dma', device, iova, IOVA, 8) == [DONE]
        told = len(guest.log())
        program.step('unmap', IOVA, PAGES * PAGE)
        calls = guest.ioctls() - before
        waits = guest.log()[told:].count('vtd_inv_desc_wait_sw')
        record_property(f'calls to unmap {PAGES} pages', dict(calls))
        record_property('wait descriptors', waits)
        assert calls == {'INVALIDATE': 1} and waits == 1
        for device, iova in some:
            assert program.step('dma', device, iova, IOVA, 8) == [NOT_READ]


def test_a_hundred_domains(host: Host, guest: Guest,
                           record_property: Record) -> None:
    """A domain that comes, is used and goes, again and again, leaves
    nothing in QEMU and nothing in the host."""
    def there() -> List[object]:
        return [guest.open_files(), guest.pinned(), host.check(DOMAINS)]

    def live() -> None:
        with one_domain(guest, 1) as program:
            program.step('map', IOVA, 0, PAGE)
            assert program.step('dma', 0, IOVA, IOVA, 8) == [DONE]
            program.step('unmap', IOVA, PAGE)
            assert program.step('dma', 0, IOVA, IOVA, 8) == [NOT_READ]

    live()
    before, resident = there(), guest.resident()
    for _ in range(ROUNDS):
        live()
    assert there() == before
    slope = (guest.resident() - resident) / ROUNDS
    record_property('KiB that QEMU grows by a round', round(slope, 2))
    assert slope < 1


def random_operations(guest: Guest, operations: int,
                      record_property: Record) -> Counter[str]:
    """The calls of the host for @operations of two devices that copy what
    the guest maps, for reading alone too, and fail where it does not, or does
    no longer: operation for operation as in a model."""
    with one_domain(guest, len(IN_GUEST)) as program:
        before = guest.ioctls()
        (right, denied), = program.steps(
            f'random {SEED:#x} {operations:#x}', patience=1200)
        calls = guest.ioctls() - before
        record_property(f'operations, with seed {SEED}', right)
        record_property('copies that failed as they had to', denied)
        record_property('calls', dict(calls))
        assert right == operations, program.errors()
        assert denied > operations // 20
        return calls


def test_like_a_model(guest: Guest, record_property: Record) -> None:
    """By tables of a first stage, which cost invalidations alone."""
    calls = random_operations(guest, OPERATIONS, record_property)
    assert calls.keys() == {'INVALIDATE'}


def test_legacy_mode_like_a_model(host: Host, record_property: Record
                                  ) -> None:
    """By shadows of what the guest maps in legacy mode."""
    with two_devices(host, f'{CONSOLE} intel_iommu=on,sm_off') as guest:
        calls = random_operations(guest, OPERATIONS // 10, record_property)
        assert bound(guest) == [{'to': 'shadow'}] * 2
        assert calls.keys() == {'MAP', 'UNMAP'}
