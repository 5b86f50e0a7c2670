# SPDX-License-Identifier: GPL-2.0-or-later
"""
The private libvirtd itself: it ends with all that it started, and what fails
is told.
"""

from pathlib import Path
from typing import List

import pytest

from buildtree import BuildTree
from conftest import install
from domain import Domain
from installation import Installation
from privatelibvirt import Libvirt, VirshError


def programs_in(folder: Path) -> List[str]:
    """The programs that run with a word of @folder on their command line."""
    found = []
    for path in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            words = path.read_text(errors='replace').split('\0')
        except OSError:
            continue
        if any(str(folder) in word for word in words):
            found.append(Path(words[0]).name)
    return found


@pytest.fixture(name='alone')
def fixture_alone(installation: Installation) -> Libvirt:
    """A libvirtd that is not running yet."""
    return Libvirt(installation)


def test_nothing_outlives_it(alone: Libvirt, tree: BuildTree) -> None:
    """Not the daemon, not a QEMU that still runs, not a file."""
    with alone as libvirt:
        emulator = install(libvirt, tree, tree.qemu.resolve().parent)
        Domain(libvirt, emulator).__enter__()
        assert {'libvirtd', 'qemu-system-x86_64'} <= set(
            programs_in(libvirt.folder))
    assert programs_in(libvirt.folder) == []
    assert not libvirt.folder.exists()


def test_a_command_that_fails(alone: Libvirt) -> None:
    """What virsh says is what is raised."""
    with alone as libvirt:
        with pytest.raises(VirshError, match="failed to get domain 'none'"):
            libvirt.virsh('start', 'none')
