# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the tests of scripts/host-iommu-report."""

import importlib.machinery
import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from hosts import HOSTS, make_sysfs

TOP = Path(__file__).resolve().parents[2]
PROGRAM = TOP / 'scripts/host-iommu-report'


@dataclass
class Outcome:
    """How the program ended."""

    status: int
    output: str
    errors: str


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
