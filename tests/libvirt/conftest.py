# SPDX-License-Identifier: GPL-2.0-or-later
"""
Fixtures of the tests under libvirt: `pytest tests/libvirt`, with BUILD_DIR
set. One libvirtd and one installed QEMU serve all of a module's cases.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path[:0] = [str(HERE), str(TOP / 'tests/lab'), str(TOP / 'tests/report')]

# pylint: disable=wrong-import-position
from buildtree import BuildTree  # noqa: E402
from installation import Installation  # noqa: E402
from privatelibvirt import Libvirt  # noqa: E402
from session import pytest_configure, tree  # noqa: E402,F401


@pytest.fixture(scope='session')
def installation(tree: BuildTree) -> Installation:
    """The libvirt that is there."""
    found = Installation.find(tree.top)
    reason = found.why_not()
    if reason:
        pytest.skip(reason)
    return found


@pytest.fixture(scope='session')
def libvirt(installation: Installation) -> Iterator[Libvirt]:
    """A libvirtd of our own, fresh: it has probed no QEMU yet."""
    with Libvirt(installation) as daemon:
        yield daemon


def install(libvirt: Libvirt, tree: BuildTree, build: Path) -> Path:
    """Install the QEMU of folder @build where libvirt's user can run it,
    whoever may enter the build directory. Returns the program."""
    prefix = libvirt.folder / 'prefix'
    subprocess.run([TOP / 'scripts/install', '--build-dir', tree.top, '--in',
                    build, prefix], check=True,
                   env={key: value for key, value in os.environ.items()
                        if key != 'DESTDIR'})
    return prefix / 'bin/qemu-system-x86_64'


@pytest.fixture(scope='session')
def emulator(libvirt: Libvirt, tree: BuildTree) -> Path:
    """The QEMU under test."""
    return install(libvirt, tree, tree.qemu.resolve().parent)


@pytest.fixture(scope='session')
def full_emulator(libvirt: Libvirt, tree: BuildTree) -> Path:
    """The QEMU with all that a desktop's VMs use."""
    if not (tree.top / 'full/qemu-system-x86_64').exists():
        pytest.skip('it is not built: make check-full')
    return install(libvirt, tree, tree.top / 'full')


@pytest.fixture(scope='session')
def base_emulator(libvirt: Libvirt, tree: BuildTree) -> Path:
    """The program of the pristine base, to be probed."""
    if not tree.base_qemu.exists():
        pytest.skip('the pristine base is not built: make base')
    return Path(shutil.copy(tree.base_qemu, libvirt.folder / 'base'))
