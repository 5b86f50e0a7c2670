# SPDX-License-Identifier: GPL-2.0-or-later
"""
Stage-1 passthrough through what a guest and its QEMU live through: devices
that come and go, resets, crashes, snapshots, and a violent end.
"""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Callable, List

import pytest

from assignment import ROOT_PORT, hot, unassigned
from guest import PANIC, Guest
from host import COUNTED_QEMU, Host
from monitor import ExecuteError, Monitor
from stage1 import (BACKEND, MEMORY, STRICT, TRACE, block_device, bound,
                    check_reads, check_writes, stage1)
from vtd import STAGE_1

ROUNDS = 100
BOOTS = 10
DOMAINS = 'cat /sys/class/iommu/dmar0/intel-iommu/domains_used'
MIGRATION_BLOCKED = 'VFIO migration is not supported in kernel'


def objects(calls: Counter[str]) -> int:
    """How many objects of iommufd are there after @calls."""
    return calls['IOAS_ALLOC'] + calls['HWPT_ALLOC'] - calls['DESTROY']


def keep_reading(guest: Guest, number: int) -> None:
    """Have disk @number read until the guest ends; it is being read when
    this returns."""
    disk = block_device(guest, number)
    sectors = f'read -r ios merged {{}} rest </sys/block/{disk[5:]}/stat'
    guest.check(f'''
        {sectors.format('before')}
        (while dd if={disk} of=/dev/null bs=256K iflag=direct; do :; done) \
            >/dev/null 2>&1 &
        while {sectors.format('now')}; [ $now = $before ]; do :; done''')


def test_rounds_leave_nothing(nesting: Host, disks: List[Path]) -> None:
    """A disk that comes into a guest that translates, is read, and goes,
    again and again, leaves nothing in QEMU and nothing in the host."""
    with nesting.guest([*stage1(nesting.devices[0]), *ROOT_PORT],
                       kernel=STRICT, program=COUNTED_QEMU) as guest:
        check_reads(guest, disks, 0)

        def there() -> List[object]:
            return [guest.open_files(), guest.pinned(),
                    objects(guest.ioctls()), nesting.check(DOMAINS)]

        before = there()
        for _ in range(ROUNDS):
            guest.plug(hot(nesting.devices[2], BACKEND))
            guest.check('while ! grep -q "^lab5 *$" '
                        '/sys/class/nvme/*/serial; do usleep 100000; done')
            disk = block_device(guest, 2)
            read = guest.check(f'dd if={disk} bs=64K count=1 iflag=direct '
                               '2>/dev/null | sha256sum').text.split()[0]
            assert read == hashlib.sha256(
                disks[2].read_bytes()[:64 << 10]).hexdigest()
            assert [binding['to'] for binding in bound(guest)] == [
                'nested', 'nested']
            guest.unplug('hot')
            assert there() == before


@pytest.mark.parametrize('end', [Guest.reset, Guest.crash])
def test_boots(nesting: Host, disks: List[Path],
               end: Callable[[Guest], None]) -> None:
    """A machine that is reset under DMA, or whose Linux crashes under it,
    boots again, ten times; and nothing of the one before is left."""
    with nesting.guest(stage1(nesting.devices[0]), kernel=f'{STRICT} {PANIC}',
                       program=COUNTED_QEMU) as guest:
        check_reads(guest, disks, 0)
        before = (guest.open_files(), guest.pinned(),
                  objects(guest.ioctls()), nesting.check(DOMAINS))
        for _ in range(BOOTS):
            keep_reading(guest, 0)
            end(guest)
            check_reads(guest, disks, 0)
            assert [binding['to'] for binding in bound(guest)] == ['nested']
            assert (guest.open_files(), guest.pinned(),
                    objects(guest.ioctls()),
                    nesting.check(DOMAINS)) == before
        check_writes(guest, disks, 0)


def test_killed_under_dma(nesting: Host, disks: List[Path]) -> None:
    """Where QEMU is killed while its disk is read, the host has the disk
    back, and so has the next guest."""
    disk = nesting.devices[1]
    domains = nesting.check(DOMAINS)
    with nesting.guest(stage1(disk), kernel=STRICT) as guest:
        keep_reading(guest, 1)
        assert [binding['to'] for binding in bound(guest)] == ['nested']
        guest.kill()
    assert nesting.check(DOMAINS) == domains
    read = nesting.check(disk.binding('nvme') + '''
        until set -- /sys/bus/pci/devices/%s/nvme/nvme*/nvme*n1 && [ -e $1 ]
        do usleep 10000; done
        dd if=/dev/${1##*/} bs=1M iflag=direct 2>/dev/null | sha256sum
        ''' % disk.address).split()[0]
    assert read == hashlib.sha256(disks[1].read_bytes()).hexdigest()
    nesting.bind_vfio(disk)
    with nesting.guest(stage1(disk), kernel=STRICT) as guest:
        check_reads(guest, disks, 1)
        check_writes(guest, disks, 1)


def run_job(monitor: Monitor, **options: object) -> None:
    """Make what blockdev-create makes of @options."""
    monitor.cmd('blockdev-create', **{'job-id': 'job', 'options': options})
    monitor.wait('JOB_STATUS_CHANGE', id='job', status='concluded')
    monitor.cmd('job-dismiss', id='job')


def add_snapshots(monitor: Monitor, path: str) -> None:
    """Give @monitor's machine a place for snapshots, @path in its host."""
    run_job(monitor, driver='file', filename=path, size=0)
    monitor.cmd('blockdev-add', **{'node-name': 'file', 'driver': 'file',
                                   'filename': path})
    run_job(monitor, driver='qcow2', file='file', size=1 << 20)
    monitor.cmd('blockdev-add', **{'node-name': 'snapshots',
                                   'driver': 'qcow2', 'file': 'file'})


def test_snapshot_before_the_device(nesting: Host,
                                    disks: List[Path]) -> None:
    """A snapshot that was made before a disk was plugged, and is loaded
    while the disk is in use, leaves it out of reach of what it had; the next
    Linux reads it. There is none while it is plugged."""
    options = unassigned(BACKEND, None, MEMORY, **STAGE_1)
    with nesting.guest([*options, *ROOT_PORT, *TRACE],
                       kernel=STRICT) as guest:
        guest.check('true')
        add_snapshots(guest.monitor, '/run/snapshots')
        assert guest.monitor.hmp('savevm before') == ''
        guest.plug(hot(nesting.devices[2], BACKEND))
        guest.check('while ! grep -q "^lab5 *$" /sys/class/nvme/*/serial; '
                    'do usleep 100000; done')
        check_reads(guest, disks, 2)
        assert [binding['to'] for binding in bound(guest)] == ['nested']
        assert MIGRATION_BLOCKED in guest.monitor.hmp('savevm after')
        keep_reading(guest, 2)
        assert guest.monitor.hmp('loadvm before') == ''
        assert bound(guest)[0]['to'] in ('blocked', 'pass-through')
        guest.check('true')
        guest.reset()
        check_reads(guest, disks, 2)
        check_writes(guest, disks, 2)


def test_does_not_migrate(nesting: Host) -> None:
    """Migration is blocked, and the reason names the device."""
    device = nesting.devices[3]
    with nesting.guest(stage1(device)) as guest:
        with pytest.raises(ExecuteError) as refusal:
            guest.monitor.cmd('migrate', uri='file:/run/stream')
        assert f'{device.address}: {MIGRATION_BLOCKED}' in str(refusal.value)
