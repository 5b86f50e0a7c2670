# SPDX-License-Identifier: GPL-2.0-or-later
"""
What a guest's ways to use its IOMMU cost in calls of the host, with stage-1
passthrough and without.
"""

from pathlib import Path
from typing import List

from assignment import unassigned, vfio_properties
from guest import KEXEC
from host import CONSOLE, COUNTED_QEMU, Host
from stage1 import (BACKEND, BINDING, LINUX, MEMORY, PAGES, STRICT,
                    block_device, bound, check_reads, check_writes, stage1)


def test_shadow_maps_each_page(nesting: Host, disks: List[Path]) -> None:
    """What the same costs without x-flts: a call for each page that comes,
    and one for what goes at once."""
    options = unassigned(BACKEND, None, MEMORY, **{'x-scalable-mode': 'on'})
    with nesting.guest([*options, '-device',
                     vfio_properties(nesting.devices[3], BACKEND)],
                    kernel=f'{CONSOLE} intel_iommu=on iommu.strict=1',
                    program=COUNTED_QEMU) as guest:
        block_device(guest, 3)
        before = guest.ioctls()
        check_reads(guest, disks, 3)
        calls = guest.ioctls() - before
        print(f"{calls['MAP']} + {calls['UNMAP']} calls for {PAGES} pages")
        assert calls['MAP'] >= PAGES
        assert 0 < calls['UNMAP'] * 8 <= PAGES
        assert not calls['INVALIDATE']
        assert bound(guest) == [{'to': 'shadow'}]


def test_lazy(nesting: Host, disks: List[Path]) -> None:
    """Where Linux takes buffers back later, all at once, the host is
    called less often than there are buffers."""
    with nesting.guest(stage1(nesting.devices[3]), program=COUNTED_QEMU,
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


def test_pass_through(nesting: Host, disks: List[Path]) -> None:
    """With iommu=pt the device is left on guest-physical memory."""
    with nesting.guest(stage1(nesting.devices[3]),
                    kernel=f'{LINUX} iommu=pt') as guest:
        check_reads(guest, disks, 3)
        check_writes(guest, disks, 3)
        assert bound(guest) == [{'to': 'pass-through'}]
        assert 'host_iommu_invalidate' not in guest.log()


def test_no_driver(nesting: Host, disks: List[Path]) -> None:
    """A Linux that leaves the IOMMU alone has its device on guest-physical
    memory."""
    with nesting.guest(stage1(nesting.devices[3]),
                    kernel=f'{CONSOLE} intel_iommu=off') as guest:
        check_reads(guest, disks, 3)
        check_writes(guest, disks, 3)
        assert bound(guest) == [{'to': 'pass-through'}]


def test_kexec_changes_mode(nesting: Host, disks: List[Path]) -> None:
    """A Linux that takes over where another was, with no reset in between,
    in another mode or in the same, reads and writes its disk."""
    legacy = f'{CONSOLE} intel_iommu=on,sm_off iommu.strict=1'
    with nesting.guest([*stage1(nesting.devices[3]), *KEXEC],
                       kernel=STRICT) as guest:
        check_reads(guest, disks, 3)
        for kernel, to in ((STRICT, 'nested'), (legacy, 'shadow'),
                           (legacy, 'shadow'), (STRICT, 'nested')):
            guest.kexec(kernel)
            check_reads(guest, disks, 3)
            check_writes(guest, disks, 3)
            assert [binding['to'] for binding in bound(guest)] == [to]


def test_legacy_mode_after_reset(nesting: Host, disks: List[Path]) -> None:
    """A guest in legacy mode leaves nothing of what was shadowed for it."""
    with nesting.guest(stage1(nesting.devices[3]), kernel=(
            f'{CONSOLE} intel_iommu=on,sm_off iommu.strict=1')) as guest:
        check_reads(guest, disks, 3)
        files = guest.open_files()
        guest.reset()
        check_reads(guest, disks, 3)
        assert bound(guest) == [{'to': 'shadow'}]
        assert guest.open_files() == files
