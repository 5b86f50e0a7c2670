# SPDX-License-Identifier: GPL-2.0-or-later
"""
Four vCPUs of a hostile guest, storm.c, and a user who plugs anew what they
unplug: no sanitizer of QEMU complains. STORM_QEMU is that QEMU, where it is
not the one under test, and STORM_SECONDS how long each mode is tried. Where
TSan leaves STORM_REPORTS, those count that begin in code of a vIOMMU.
"""

import os
import re
import time
from pathlib import Path
from typing import Callable, Iterator, List, Set

import pytest

from agent import LabError
from buildtree import BuildTree
from machine import Machine
from monitor import ExecuteError
from program import BARE, compiled

HERE = Path(__file__).resolve().parent
QEMU = Path(os.environ['STORM_QEMU']) if 'STORM_QEMU' in os.environ else None
SECONDS = int(os.environ.get('STORM_SECONDS', '10'))
REPORTS = Path(os.environ.get('STORM_REPORTS', '/nowhere'))
PORTS = range(4)
COUNTS = '/4dw 0x1000000'
# A program that stands still for so many looks was overwritten
PATIENCE = 200
OURS = re.compile(r'/(intel_iommu|host[-_]iommu|dma-testdev|viommu)[^/]*\.c:')

SCALABLE = 'x-scalable-mode=on,x-flts=on'
EMULATED = ['dma-testdev', 'dma-testdev,listen=on', 'dma-testdev',
            'dma-testdev']
# a host that nests, with two of its devices in one group
NESTS = ('host-iommu-testdev,iommu-type=intel-vtd,source=iommufd,unit=dmar0,'
         'vtd-cap=0x1000000002f0000,vtd-ecap=0xc80004000004,x-group=')
MODES = {
    'legacy': ('intel-iommu,caching-mode=on,device-iotlb=on', EMULATED),
    'first-stage': (f'intel-iommu,device-iotlb=on,{SCALABLE}',
                    [name.partition(',')[0] for name in EMULATED]),
    'host-nests': (f'intel-iommu,{SCALABLE}',
                   [NESTS + group for group in '1122']),
}


@pytest.fixture(name='program', scope='module')
def fixture_program(tree: BuildTree,
                    tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guest."""
    path = tmp_path_factory.mktemp('storm') / 'storm'
    tree.lab.mkdir(parents=True, exist_ok=True)
    path.write_bytes(compiled([HERE / 'storm.c'], tree, *BARE))
    return path


def arguments(program: Path, viommu: str, devices: List[str]) -> Iterator[str]:
    """The machine that storm.c describes."""
    yield from ('-machine', 'q35', '-cpu', 'max', '-smp', '4', '-m', '256M',
                '-global',
                'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off',
                '-kernel', str(program), '-device', viommu)
    for port in PORTS:
        yield from ('-device', f'pcie-root-port,id=rp{port},chassis={port},'
                               f'addr={4 + port}')
    for port, device in enumerate(devices):
        yield from ('-device', f'{device},id=dev{port},bus=rp{port}')


def storm(machine: Machine, devices: List[str], until: float) -> List[int]:
    """What the program has counted when it does no more, or time is up; of
    what it unplugged, what went."""
    counts: List[int] = []
    looks = gone = 0
    while looks < PATIENCE and time.monotonic() < until:
        try:
            line = machine.monitor.hmp(f'xp {COUNTS}')
            for event in machine.monitor.events():
                name = event.get('data', {}).get('device')
                if event['event'] == 'DEVICE_DELETED' and name:
                    gone += 1
                    device = devices[int(name[-1])]
                    machine.monitor.hmp(f'device_add {device},id={name},'
                                        f'bus=rp{name[-1]}')
            machine.monitor.cmd('query-viommu')
        except (LabError, ExecuteError):
            break
        now = [int(word) for word in line.split()[1:]]
        looks = looks + 1 if now == counts else 0
        counts = now
    return [*counts[:2], gone, *counts[3:]]


def races() -> Set[str]:
    """Reports of TSan, each once, and removed, that have a stack which
    begins in the vIOMMU, the host's description or a test device."""
    found = set()
    for path in REPORTS.parent.glob(f'{REPORTS.name}.*'):
        for report in path.read_text(errors='replace').split('=' * 18):
            tops = re.findall(r'^ +#0 .*', report, re.MULTILINE)
            if any(OURS.search(top) for top in tops):
                found.add(report)
        path.unlink()
    return found


@pytest.mark.parametrize('mode', MODES)
def test_storm(tree: BuildTree, program: Path, mode: str,
               record_property: Callable[[str, object], None]) -> None:
    """QEMU lives on, or ends as the guest's reset has it end."""
    viommu, devices = MODES[mode]
    end = time.monotonic() + SECONDS
    totals = [0, 0, 0, 0]
    runs = 0
    while time.monotonic() < end:
        runs += 1
        with Machine(tree, f'storm-{mode}',
                     list(arguments(program, viommu, devices)),
                     QEMU) as machine:
            counts = storm(machine, devices, end)
            status = machine.quit()
            said = machine.log_tail()
        assert status == 0, said
        totals = [sum(pair) for pair in zip(totals, counts)]
    record_property('NOTE', f'storm {mode}: {runs} VMs, %d steps, %d copies, '
                    '%d unplugs, %d resets of a bus' % tuple(totals))
    assert all(totals), totals
    assert not races()
