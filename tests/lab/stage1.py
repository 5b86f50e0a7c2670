# SPDX-License-Identifier: GPL-2.0-or-later
"""
Stage-1 passthrough of NVMe devices: a guest's options, and how its Linux reads
and writes them.
"""

import hashlib
from pathlib import Path
from typing import Dict, List

from assignment import unassigned, vfio_properties
from device import Device
from guest import Guest
from host import CONSOLE, SCALABLE_MODE
from vtd import STAGE_1

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
