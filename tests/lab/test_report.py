# SPDX-License-Identifier: GPL-2.0-or-later
"""
scripts/host-iommu-report against real hosts: what it says of their sysfs is
what QEMU does there.
"""

import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Dict, Iterator

import pytest

from assignment import assigned
from buildtree import BuildTree
from device import e1000e
from host import Host
from vtd import Capabilities, read_capabilities

REPORT = Path(__file__).resolve().parents[2] / 'scripts/host-iommu-report'
WIDTHS = {'client': 39, 'server': 48}


@pytest.fixture(scope='module')
def hosts(tree: BuildTree) -> Iterator[Dict[str, Host]]:
    """Two hosts that a guest may be meant to migrate between."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(
            Host(tree, f'report-{name}', {'aw-bits': width},
                 [e1000e(slot=3)], memory='2G'))
            for name, width in WIDTHS.items()}


def report(*arguments: object) -> str:
    """What the program prints for @arguments."""
    return subprocess.run([sys.executable, REPORT, *map(str, arguments)],
                          text=True, check=True, stdout=subprocess.PIPE
                          ).stdout


def copy_sysfs(host: Host, sysfs: Path) -> Path:
    """The IOMMUs that @host's sysfs shows, in @sysfs."""
    listed = host.check('cd /sys/class/iommu && grep . */*-iommu/*')
    for line in listed.splitlines():
        name, _, text = line.partition(':')
        path = sysfs / 'class/iommu' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{text}\n')
    return sysfs


def told(host: Host, iommu: str) -> Capabilities:
    """What a guest with @host's device behind @iommu is told."""
    options = [iommu if option.startswith('intel-iommu') else option
               for option in assigned(host.devices[0], 'legacy',
                                      memory='128M')]
    with host.guest(options) as guest:
        return read_capabilities(guest.monitor)


@pytest.mark.parametrize('name', WIDTHS)
def test_says_what_is_adopted(hosts: Dict[str, Host], tmp_path: Path,
                              name: str) -> None:
    """The width that it names is the one of a guest that leaves it open."""
    said = report('--sysfs', copy_sysfs(hosts[name], tmp_path))
    width = int(re.search(r'intel-iommu adopts (\d+) bits', said)[1])
    assert width == told(hosts[name], 'intel-iommu').width


def test_what_it_pins_is_good_for_both(hosts: Dict[str, Host],
                                       tmp_path: Path) -> None:
    """A guest with the options for all hosts starts on each, and is told
    the same."""
    saved = []
    for name, host in hosts.items():
        saved.append(tmp_path / f'{name}.json')
        saved[-1].write_text(report(
            '--json', '--sysfs', copy_sysfs(host, tmp_path / name)))
    iommu = re.search(r'-device (intel-iommu\S*)', report(*saved))[1]
    client, server = (told(host, iommu) for host in hosts.values())
    assert client == server
    assert client.width == min(WIDTHS.values())
