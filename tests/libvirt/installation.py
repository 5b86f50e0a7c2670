# SPDX-License-Identifier: GPL-2.0-or-later
"""
Where libvirt is: unpacked in the build directory, as scripts/packages does, or
installed on the machine.

What was unpacked is run by in-tree, so that it looks as if it were installed.
"""

import os
import subprocess
from pathlib import Path
from typing import List

IN_TREE = Path(__file__).resolve().parent / 'in-tree'
DRIVERS = ('usr/lib/*/libvirt/connection-driver',
           'usr/lib*/libvirt/connection-driver')
DRIVER = 'libvirt_driver_qemu.so'


class Installation:
    """One libvirt, whose files are below @root; '/' for the machine's."""

    libvirtd = Path('/usr/sbin/libvirtd')
    virsh = Path('/usr/bin/virsh')

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def find(cls, top: Path) -> 'Installation':
        """That which LIBVIRT_TREE names, that of build directory @top, or
        else the machine's."""
        named = os.environ.get('LIBVIRT_TREE')
        unpacked = Path(named) if named else top / 'libvirt/tree'
        return cls(unpacked.resolve() if named or unpacked.exists()
                   else Path('/'))

    @property
    def is_unpacked(self) -> bool:
        """Is it in a build directory?"""
        return self.root != Path('/')

    def file(self, path: Path) -> Path:
        """The file that its programs see as @path: its own, or else the
        machine's."""
        unpacked = self.root / str(path).lstrip('/')
        return unpacked if unpacked.exists() else path

    def drivers(self) -> List[Path]:
        """QEMU's driver, as its programs see it."""
        return [Path('/') / found.relative_to(self.root)
                for pattern in DRIVERS
                for found in self.root.glob(f'{pattern}/{DRIVER}')]

    def why_not(self) -> str:
        """Why no libvirt can be run from here, or ''."""
        if not self.drivers() or not all(
                os.access(self.file(path), os.X_OK)
                for path in (self.libvirtd, self.virsh)):
            return ('there is no libvirt: make check-libvirt or make '
                    'check-libvirts unpacks it')
        if self.is_unpacked:
            tried = subprocess.run(
                self.command(os.getuid(), os.getgid(), 'true'),
                text=True, stdin=subprocess.DEVNULL, capture_output=True,
                check=False)
            if tried.returncode:
                return ('the libvirt that was unpacked wants a mount namespace '
                        f'({tried.stderr.strip()}); one that is installed '
                        'does as well')
        return ''

    def command(self, uid: int, gid: int, *words: object) -> List[str]:
        """How @words are run as a user, by that user or root."""
        text = [str(word) for word in words]
        root = os.getuid() == 0
        become = (['setpriv', f'--reuid={uid}', f'--regid={gid}',
                   '--clear-groups'] if root else
                  ['unshare', f'--map-user={uid}', f'--map-group={gid}'])
        if not self.is_unpacked:
            return [*become, *text] if root and uid else text
        return [str(IN_TREE), str(self.root), *become, *text]
