# SPDX-License-Identifier: GPL-2.0-or-later
"""
What libvirt finds out about a QEMU before it runs one: which properties
there are. A flag that vanishes, or a property that takes other JSON than it
took, breaks every domain that has the attribute.
"""

import hashlib
import json
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Callable, Dict, Set

import pytest

from buildtree import BuildTree
from domain import Domain
from privatelibvirt import Libvirt

FLAGS = {'intel-iommu', 'intel-iommu.aw-bits', 'intel-iommu.caching-mode',
         'intel-iommu.device-iotlb', 'intel-iommu.eim',
         'intel-iommu.intremap'}


def probed(libvirt: Libvirt, emulator: Path) -> Set[str]:
    """The flags that libvirt keeps of a QEMU after it has probed it."""
    libvirt.virsh('domcapabilities', '--virttype', 'qemu', '--emulatorbin',
                  emulator, '--machine', 'q35')
    name = hashlib.sha256(str(emulator).encode()).hexdigest()
    cached, = (libvirt.folder / 'cache').rglob(f'{name}.xml')
    return {flag.get('name', '')
            for flag in ElementTree.parse(cached).iter('flag')}


def test_versions(libvirt: Libvirt, emulator: Path,
                  record_property: Callable[[str, object], None]) -> None:
    """Which libvirt and which QEMU these tests are about is told."""
    with Domain(libvirt, emulator) as domain:
        qemu = domain.qmp('query-version')['qemu']
    record_property('NOTE', f'libvirt {libvirt.virsh("-v")}, QEMU '
                    '{major}.{minor}.{micro}'.format(**qemu))
    assert qemu['major'] == 10


def test_every_flag_of_intel_iommu(libvirt: Libvirt, emulator: Path) -> None:
    """The probe records what <iommu> needs."""
    assert FLAGS <= probed(libvirt, emulator)


def test_flags_of_the_base(libvirt: Libvirt, emulator: Path,
                           base_emulator: Path) -> None:
    """Nothing that the pristine base offers to libvirt has gone."""
    assert probed(libvirt, base_emulator) <= probed(libvirt, emulator)


def properties(program: Path) -> Dict[str, str]:
    """Name and type of each property of intel-iommu."""
    commands = ('{"execute": "qmp_capabilities"}'
                '{"execute": "device-list-properties",'
                ' "arguments": {"typename": "intel-iommu"}}'
                '{"execute": "quit"}')
    done = subprocess.run(
        [program, '-machine', 'none', '-nodefaults', '-display', 'none',
         '-qmp', 'stdio'], input=commands, text=True, check=True,
        capture_output=True, timeout=60)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    listed = next(answer['return'] for answer in answers
                  if isinstance(answer.get('return'), list))
    return {item['name']: item['type'] for item in listed}


def test_types_of_the_base(tree: BuildTree) -> None:
    """Each of the base's properties is there and has the type it had."""
    if not tree.base_qemu.exists():
        pytest.skip('the pristine base is not built: make base')
    ours = properties(tree.qemu)
    assert {name: ours.get(name) for name in properties(tree.base_qemu)
            } == properties(tree.base_qemu)


def takes(program: Path, name: str, value: object) -> bool:
    """Whether -device in JSON takes @value for intel-iommu's @name."""
    device = json.dumps({'driver': 'intel-iommu', name: value})
    done = subprocess.run(
        [program, '-machine', 'q35,kernel-irqchip=split', '-accel', 'tcg',
         '-nodefaults', '-display', 'none', '-S', '-device', device,
         '-qmp', 'stdio'], text=True, capture_output=True, timeout=60,
        input='{"execute": "qmp_capabilities"}{"execute": "quit"}')
    assert done.returncode == 0 or 'intel-iommu' in done.stderr or \
        name in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize('name, value, taken', [
    ('aw-bits', 39, True),
    ('aw-bits', 48, True),
    ('aw-bits', '48', False),
    ('aw-bits', 38, False),
    ('aw-bits', 49, False),
    ('caching-mode', True, True),
    ('caching-mode', False, True),
    ('caching-mode', 'on', False),
    ('device-iotlb', True, True),
    ('device-iotlb', 'on', False),
    ('intremap', 'on', True),
    ('intremap', 'off', True),
    ('intremap', True, False),
    ('eim', 'on', True),
    ('eim', True, False),
])
def test_json(tree: BuildTree, name: str, value: object,
              taken: bool) -> None:
    """A property takes what it takes in the base, and nothing else."""
    assert takes(tree.qemu, name, value) == taken
    if tree.base_qemu.exists():
        assert takes(tree.base_qemu, name, value) == taken
