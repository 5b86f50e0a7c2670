# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts of four kinds, as sysfs shows them, for scripts/host-iommu-report."""

import importlib.machinery
import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Dict, Optional, Tuple

import pytest

TOP = Path(__file__).resolve().parents[2]
PROGRAM = TOP / 'scripts/host-iommu-report'

# CAP and ECAP of each unit; an AMD one has none
Units = Dict[str, Optional[Tuple[str, str]]]

HOSTS: Dict[str, Units] = {
    # a desktop: the GPU has a unit of its own
    'client': {'dmar0': ('1c0000c40660462', '19e2ff0505e'),
               'dmar1': ('d2008c40660462', 'f050da')},
    'server': {f'dmar{number}': ('8d2078c106f0466', 'f020df')
               for number in (0, 1, 2, 10)},
    # 57 bits, and the first stage that newer kernels use
    'scalable': {'dmar0': ('19ed008c40780c66', '3ef9ea6f050df')},
    'amd': {'ivhd0': None},
}


@dataclass
class Outcome:
    """How the program ended."""

    status: int
    output: str
    errors: str


def make_sysfs(sysfs: Path, units: Units) -> Path:
    """What a host with @units shows in @sysfs."""
    (sysfs / 'class/iommu').mkdir(parents=True)
    for name, registers in units.items():
        unit = sysfs / 'devices/virtual/iommu' / name
        kind = 'amd-iommu' if registers is None else 'intel-iommu'
        (unit / kind).mkdir(parents=True)
        for file, text in zip(('cap', 'ecap'),
                              registers or ('100', '26f77ef22294ada')):
            (unit / kind / file).write_text(f'{text}\n')
        (unit / 'devices/0000:00:02.0').mkdir(parents=True)
        (sysfs / 'class/iommu' / name).symlink_to(unit)
    return sysfs


def run(*arguments: object, program: Path = PROGRAM) -> Outcome:
    """Run the program with @arguments."""
    done = subprocess.run([sys.executable, program, *map(str, arguments)],
                          text=True, capture_output=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


class Hosts:
    """The hosts, each made when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sysfs(self, name: str) -> Path:
        """The sysfs of host @name."""
        path = self._folder / 'sysfs' / name
        return path if path.exists() else make_sysfs(path, HOSTS[name])

    def saved(self, name: str) -> Path:
        """The report of host @name that was saved there."""
        path = self._folder / f'{name}.json'
        text = run('--sysfs', self.sysfs(name), '--json').output
        path.write_text(text)
        return path


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    """The four kinds of host."""
    return Hosts(tmp_path)


@pytest.fixture(scope='session')
def program() -> ModuleType:
    """The program as a module."""
    loader = importlib.machinery.SourceFileLoader('host_iommu_report',
                                                  str(PROGRAM))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module       # where dataclasses look
    loader.exec_module(module)
    return module
