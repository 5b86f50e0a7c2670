# SPDX-License-Identifier: GPL-2.0-or-later
"""What scripts/host-iommu-report says of a host is what QEMU makes of the
same sysfs."""

import json
import os
import random
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any, Iterator, Optional, Tuple

import pytest

from conftest import TOP, Hosts
from hosts import make_sysfs

BUILD = Path(os.environ.get('BUILD_DIR') or TOP / 'build')
SEED = 15


def answer(sysfs: Path, command: str, *options: str) -> Optional[Any]:
    """The answer to @command of a VM on the host of @sysfs, None if it does
    not start."""
    done = subprocess.run(
        [BUILD / 'qemu-system-x86_64', '-machine', 'q35', '-accel', 'tcg',
         '-nodefaults', '-display', 'none', '-S', '-qmp', 'stdio',
         '-device', f'host-iommu-testhost,sysfs={sysfs}', *options],
        text=True, capture_output=True, check=False,
        input='{"execute": "qmp_capabilities"}' +
              json.dumps({'execute': command}) + '{"execute": "quit"}')
    if done.returncode:
        return None
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return next(answer['return'] for answer in answers
                if answer.get('return'))


def viommu(sysfs: Path) -> Optional[Any]:
    """query-viommu of a VM for the host of @sysfs, None if it does not
    start."""
    return answer(sysfs, 'query-viommu',
                  '-device', 'intel-iommu,host-iommu=all')


@pytest.mark.parametrize('name', ('client', 'server', 'scalable'))
def test_adopts_what_the_report_says(hosts: Hosts, program: ModuleType,
                                     name: str) -> None:
    """The same width, by the same names."""
    sysfs = hosts.sysfs(name)
    width = program.narrowest([program.read_sysfs(sysfs)])
    assert viommu(sysfs)[0]['address-width'] == width


def test_neither_knows_the_width_of_another_kind(
        hosts: Hosts, program: ModuleType) -> None:
    """Of AMD's, sysfs does not tell."""
    host = program.read_sysfs(hosts.sysfs('amd'))
    assert program.narrowest([host]) is None
    assert viommu(hosts.sysfs('amd')) is None


def registers() -> Iterator[Tuple[int, int]]:
    """CAP and ECAP: each bit alone, each bit missing, and at random."""
    full = (1 << 64) - 1
    for bit in range(64):
        yield from ((1 << bit, 0), (0, 1 << bit),
                    (full ^ 1 << bit, full), (full, full ^ 1 << bit))
    chance = random.Random(SEED)
    for _ in range(256):
        yield chance.getrandbits(64), chance.getrandbits(64)


def test_decodes_as_qemu(tmp_path: Path, program: ModuleType) -> None:
    """Each field and the width, of any registers that a unit can have."""
    sysfs = make_sysfs(tmp_path / 'sys', {
        f'dmar{number}': (f'{cap:x}', f'{ecap:x}')
        for number, (cap, ecap) in enumerate(registers())})
    told = answer(sysfs, 'query-host-iommu')
    units = program.read_sysfs(sysfs).units
    assert [unit['name'] for unit in told] == [unit.name for unit in units]
    for unit, qemu in zip(units, told):
        width = unit.width()
        fields = {} if width is None else {'address-width': width}
        fields.update((field.name, unit.value(field))
                      for field in program.FIELDS)
        assert (unit.cap, unit.ecap, unit.value(program.MGAW), width,
                fields) == (
            qemu['cap'], qemu['ecap'], qemu['mgaw'],
            qemu.get('address-width'),
            {field['name']: field['value'] for field in qemu['fields']})
