# SPDX-License-Identifier: GPL-2.0-or-later
"""
Calls of the host's kernel that reading a disk costs a guest in strict mode,
counted in the lab, where Linux with VFIO and iommufd is the host.
"""

import random
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

TOP = Path(__file__).resolve().parent.parent
sys.path.append(str(TOP / 'tests/lab'))

# pylint: disable=wrong-import-position
from assignment import assigned  # noqa: E402
from buildtree import BuildTree  # noqa: E402
from device import nvme  # noqa: E402
from host import BASE_QEMU, CONSOLE, COUNTED_QEMU, Host  # noqa: E402
from stage1 import BACKEND, MEMORY, STRICT, block_device, stage1  # noqa: E402
from vtd import NESTED  # noqa: E402

from rows import Bar, Table  # noqa: E402

MIB = 8
COUNTED_BASE = '/run/counted-base'
NAMES = {'MAP': 'map', 'UNMAP': 'unmap', 'INVALIDATE': 'invalidate'}
LEGACY_STRICT = f'{CONSOLE} intel_iommu=on,sm_off iommu.strict=1'


def read(host: Host, number: int, options: List[str], kernel: str,
         program: str) -> Dict[str, float]:
    """Calls per MiB of a guest that reads disk @number."""
    with host.guest(options, kernel=kernel, program=program) as guest:
        disk = block_device(guest, number)
        before = guest.ioctls()
        guest.check(f'dd if={disk} of=/dev/null bs=1M iflag=direct')
        calls = guest.ioctls() - before
    return {name: calls[call] / MIB for call, name in NAMES.items()
            if calls[call]}


def measure_bars(tree: BuildTree) -> Iterator[Bar]:
    """Yields: the base's, ours where mappings are shadowed, and stage-1."""
    with tempfile.TemporaryDirectory(prefix='bench-disks-') as folder:
        disks = []
        for number in range(3):
            content = Path(folder) / f'disk{number}'
            content.write_bytes(random.Random(number).randbytes(MIB << 20))
            disks.append(nvme(content, number + 3))
        with Host(tree, 'bench', NESTED, disks) as host:
            host.check(f"""
                sed 's|/lab/qemu|/lab/base/qemu|' {COUNTED_QEMU} \\
                    >{COUNTED_BASE} && chmod +x {COUNTED_BASE}""")
            # Which the base wants to be told, and ours finds out
            shadow = {'caching-mode': 'on'}
            cases: Tuple[Tuple[str, List[str], str, str], ...] = (
                ('QEMU 10.0, shadow',
                 assigned(disks[0], BACKEND, None, MEMORY, **shadow),
                 LEGACY_STRICT, COUNTED_BASE),
                ('this series, shadow',
                 assigned(disks[1], BACKEND, None, MEMORY, **shadow),
                 LEGACY_STRICT, COUNTED_QEMU),
                ('this series, stage-1', stage1(disks[2]), STRICT,
                 COUNTED_QEMU))
            for number, (label, options, kernel, program) in enumerate(cases):
                yield Bar(label, read(host, number, options, kernel, program))


def compare(bars: List[Bar]) -> Iterator[Table]:
    """Yields: a table a name of a call."""
    base, shadow, nested = (bar.calls for bar in bars)
    unmaps = Table('calls of the host to unmap, per MiB read', 'base', 'ours',
                   bound=0.125)
    unmaps.add('shadow', base.get('unmap', 0), shadow.get('unmap', 0))
    yield unmaps
    maps = Table('calls of the host to map, per MiB read', 'base', 'ours',
                 bound=1)
    maps.add('shadow', base.get('map', 0), shadow.get('map', 0))
    maps.add('stage-1', 0, nested.get('map', 0) + nested.get('unmap', 0))
    yield maps
    every = Table('calls of the host, per MiB read', 'base', 'ours',
                  bound=1 / 16)
    every.add('stage-1', sum(base.values()), sum(nested.values()))
    yield every
