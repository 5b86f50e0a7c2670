# SPDX-License-Identifier: GPL-2.0-or-later
"""What scripts/host-iommu-report says of a host is what QEMU makes of the
same sysfs."""

import json
import os
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

import pytest

from conftest import TOP, Hosts

BUILD = Path(os.environ.get('BUILD_DIR') or TOP / 'build')


def viommu(sysfs: Path) -> Optional[Any]:
    """query-viommu of a VM for the host of @sysfs, None if it does not
    start."""
    device = {'driver': 'intel-iommu', 'host-iommu': 'all',
              'x-sysfs': str(sysfs)}
    done = subprocess.run(
        [BUILD / 'qemu-system-x86_64', '-machine', 'q35', '-accel', 'tcg',
         '-nodefaults', '-display', 'none', '-S', '-qmp', 'stdio', '-device',
         json.dumps(device)], text=True, capture_output=True, check=False,
        input='{"execute": "qmp_capabilities"}{"execute": "query-viommu"}'
              '{"execute": "quit"}')
    if done.returncode:
        return None
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return next(answer['return'] for answer in answers
                if answer.get('return'))


@pytest.mark.parametrize('name', ('client', 'server', 'scalable'))
def test_adopts_what_the_report_says(hosts: Hosts, program: ModuleType,
                                     name: str) -> None:
    """The same width, by the same names."""
    sysfs = hosts.sysfs(name)
    table = program.read_table()
    width = program.narrowest([program.read_sysfs(sysfs)], table)
    assert viommu(sysfs)[0]['aw-bits'] == width


def test_neither_knows_the_width_of_another_kind(
        hosts: Hosts, program: ModuleType) -> None:
    """Of AMD's, sysfs does not tell."""
    host = program.read_sysfs(hosts.sysfs('amd'))
    assert program.narrowest([host], program.read_table()) is None
    assert viommu(hosts.sysfs('amd')) is None
