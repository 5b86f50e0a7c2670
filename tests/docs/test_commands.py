# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that our documents show print what the documents say.

A console block starts QEMU with its '$' line and gives its '(qemu)' lines to
the monitor.  A device of the host becomes the test device, which has the
registers of that host, and another one puts a made folder in the place of the
host's /sys; nothing else is changed.  Who assigned the device is masked, and
so is its name, an address where VFIO did: tests/lab/test_attach.py assigns one.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from examples import MANUAL, TOP, console_examples

QEMU = Path(os.environ.get('BUILD_DIR', TOP / 'build')) / 'qemu-system-x86_64'
DOCUMENTS = (MANUAL, TOP / 'docs/devel/host-iommu-device.rst')
ADDRESS, CAP, ECAP = '0000:01:00.0', 'd2008c40660462', 'f050da'
DEVICE = (f'host-iommu-testdev,aw-bits=39,unit=dmar0,iommu-type=intel-vtd,'
          f'source=sysfs,vtd-cap=0x{CAP},vtd-ecap=0x{ECAP}')


EXAMPLES = [(path.name, block) for path in DOCUMENTS
            for block in console_examples(path)]


@pytest.fixture
def sysfs(tmp_path):
    unit = tmp_path / 'devices/virtual/iommu/dmar0'
    (unit / 'intel-iommu').mkdir(parents=True)
    (unit / 'intel-iommu/cap').write_text(f'{CAP}\n')
    (unit / 'intel-iommu/ecap').write_text(f'{ECAP}\n')
    device = tmp_path / 'bus/pci/devices' / ADDRESS
    for link in (tmp_path / 'class/iommu/dmar0', device / 'iommu'):
        link.parent.mkdir(parents=True)
        link.symlink_to(unit)
    return tmp_path


def masked(line):
    """@line without who assigned the device, and its name."""
    line = re.sub(f'from ({ADDRESS}|gpu0)', 'from DEVICE', line)
    return re.sub(r'legacy-vfio    |test           ', 'BACKEND        ', line)


def run(block, sysfs):
    """What the block's commands print, with the '(qemu)' lines between."""
    command = block[0].removeprefix('$ ').split()
    command = [word.replace(f'vfio-pci,host={ADDRESS}', DEVICE)
               for word in command[1:]]
    asked = [line for line in block if line.startswith('(qemu) ')]
    lines = [line.removeprefix('(qemu) ') for line in asked]
    done = subprocess.run(
        [QEMU, '-device', f'host-iommu-testhost,id=testhost,sysfs={sysfs}',
         *command, '-nodefaults', '-accel', 'qtest', '-display', 'none', '-S',
         '-monitor', 'stdio'], input='\n'.join([*lines, 'quit', '']),
        capture_output=True, text=True, timeout=60, check=True)
    # the monitor echoes what it reads, key by key
    answers = re.split(r'^\(qemu\) .*$', done.stdout.replace('\r', ''),
                       flags=re.M)[1:]
    out = []
    for line, answer in zip(asked, answers):
        out += [line, *answer.strip('\n').splitlines()]
    return out


@pytest.mark.parametrize('path, block', EXAMPLES)
def test_example(path, block, sysfs):
    assert block[0].startswith('$ qemu-system-x86_64 ')
    assert [masked(line) for line in run(block, sysfs)] == \
        [masked(line) for line in block[1:]]


def test_examples_are_found():
    assert {path for path, _ in EXAMPLES} == {path.name for path in DOCUMENTS}
