# SPDX-License-Identifier: GPL-2.0-or-later
"""
Stage-1 passthrough of functions that are one IOMMU group of the host, as a GPU
and its audio are: in one slot of the guest, whose Linux has one group of them
too.
"""

from pathlib import Path
from typing import Iterator, List

import pytest

from assignment import ROOT_PORT, hot, unassigned, vfio_properties
from buildtree import BuildTree
from device import Device, dma_testdev, nvme
from guest import Guest
from host import COUNTED_QEMU, Host
from stage1 import (BACKEND, LINUX, MEMORY, STRICT, bound, check_reads,
                    check_writes, stage1)
from steps import Steps
from vtd import NESTED, STAGE_1

SLOT = 0x10                 # of the guest's
DISK, ENGINE = (dma_testdev(SLOT, function) for function in (0, 1))
ADMIN_QUEUE = 0x28          # NVMe's register ASQ

# What dma-testdev answers.
DONE, NOT_READ, NOT_WRITTEN = 1, 2, 3


@pytest.fixture(name='host', scope='module')
def fixture_host(tree: BuildTree, disks: List[Path]) -> Iterator[Host]:
    """A host that nests, with a disk and an engine in one slot, in another
    too, and two engines in a third."""
    with Host(tree, 'group', NESTED,
              [nvme(disks[0], 3, 0), dma_testdev(3, 1),
               nvme(disks[1], 4, 0), dma_testdev(4, 1),
               dma_testdev(5, 0), dma_testdev(5, 1)],
              memory='2G') as machine:
        yield machine


def in_one_slot(functions: List[Device]) -> List[str]:
    """Options of a guest with @functions in SLOT."""
    options = stage1()
    for number, device in enumerate(functions):
        options += ['-device', f'{vfio_properties(device, BACKEND)},'
                    f'addr={SLOT:#x}.{number},multifunction=on']
    return [*options, *ROOT_PORT]


@pytest.fixture(name='guest', scope='module')
def fixture_guest(host: Host) -> Iterator[Guest]:
    """A guest whose Linux drives the disk, and nothing drives the engine."""
    with host.guest(in_one_slot(list(host.devices[:2])), kernel=STRICT,
                    program=COUNTED_QEMU) as guest:
        guest.check('true')
        yield guest


def function(guest: Guest) -> Steps:
    """The program function.c in @guest."""
    return Steps(guest, f'/lab/function {ENGINE.address} {DISK.address}')


def unused(program: Steps) -> int:
    """The IOVA of memory that Linux has mapped for the disk, and that
    nobody uses: the rest of the page of a queue of 2 KiB."""
    return program.step('register', ADMIN_QUEUE)[0] + 0x800


def copy_meanwhile(guest: Guest, disks: List[Path], number: int) -> None:
    """Disk @number is read and written while the engine is busy."""
    with function(guest) as program:
        iova = unused(program)
        assert program.step('check', iova) == [DONE]
        program.begin(f'busy {iova:#x}')
        check_reads(guest, disks, number)
        check_writes(guest, disks, number)
        program.begin(f'check {iova:#x}')
        (done, wrong), last = program.answers(2)
        assert done > 100 and not wrong and last == [DONE]


def test_one_set_of_tables(guest: Guest, disks: List[Path]) -> None:
    """Both functions are bound to what Linux has for their group, and what
    is mapped for neither is out of reach."""
    copy_meanwhile(guest, disks, 0)
    first, second = bound(guest)
    assert first == second and first['to'] == 'nested'
    with function(guest) as program:
        assert program.step('check', 0x1000) in ([NOT_READ], [NOT_WRITTEN])
    assert 'different tables' not in guest.log()


def test_driver_comes_again(guest: Guest, disks: List[Path]) -> None:
    """Linux takes the driver from the disk, and gives it back."""
    guest.check(f'''
        cd /sys/bus/pci/devices/{DISK.address} || exit
        echo {DISK.address} >driver/unbind
        echo {DISK.address} >/sys/bus/pci/drivers/nvme/bind
        until set -- nvme/nvme*/nvme*n1 && [ -e $1 ]; do usleep 100000
        done''')
    copy_meanwhile(guest, disks, 0)
    first, second = bound(guest)
    assert first == second and first['to'] == 'nested'


def test_another_slot_is_refused(host: Host, disks: List[Path]) -> None:
    """A function does not join where the other's tables are in force, and
    the other goes on."""
    disk, engine = host.devices[2:4]
    with host.guest(in_one_slot([disk]), kernel=STRICT) as guest:
        check_reads(guest, disks, 1)
        said = guest.refusal(hot(engine, BACKEND))
        assert f'{disk.address} is in the same IOMMU group of the host' in said
        assert 'plug both before the guest uses either' in said
        check_reads(guest, disks, 1)
        check_writes(guest, disks, 1)


def test_slot_is_filled(host: Host, disks: List[Path]) -> None:
    """Both come into a slot of a guest that translates, function 0 last."""
    options = unassigned(BACKEND, None, MEMORY, **STAGE_1)
    with host.guest([*options, *ROOT_PORT], kernel=STRICT) as guest:
        guest.check('true')
        for number in 1, 0:
            guest.plug({**hot(host.devices[2 + number], BACKEND),
                        'id': f'hot{number}', 'addr': f'0.{number}',
                        'multifunction': True})
        guest.check('while ! grep -q "^lab4 *$" /sys/class/nvme/*/serial; '
                    'do usleep 100000; done')
        check_reads(guest, disks, 1)
        check_writes(guest, disks, 1)
        first, second = bound(guest)
        assert first == second and first['to'] == 'nested'


def test_pass_through(host: Host, disks: List[Path]) -> None:
    """With iommu=pt the group is on guest-physical memory."""
    with host.guest(in_one_slot(list(host.devices[2:4])),
                    kernel=f'{LINUX} iommu=pt') as guest:
        copy_meanwhile(guest, disks, 1)
        assert bound(guest) == [{'to': 'pass-through'}] * 2


def test_guest_s_vfio(host: Host) -> None:
    """A program of the guest's has both functions, and gives them back."""
    with host.guest(in_one_slot(list(host.devices[4:])),
                    kernel=LINUX) as guest:
        for _ in range(2):
            for device in DISK, ENGINE:
                guest.check(device.binding('vfio-pci'))
            with Steps(guest, f'/lab/domain {DISK.address} {ENGINE.address}'
                       ) as program:
                program.step('map', 0x100000, 0, 0x4000)
                for number in 0, 1:
                    assert program.step('dma', number, 0x100000, 0x102000,
                                        8) == [DONE]
                program.step('unmap', 0x100000, 0x4000)
                for number in 0, 1:
                    assert program.step('dma', number, 0x100000, 0x102000,
                                        8) == [NOT_READ]
            for device in DISK, ENGINE:
                guest.check(f'echo {device.address} >'
                            '/sys/bus/pci/drivers/vfio-pci/unbind')
