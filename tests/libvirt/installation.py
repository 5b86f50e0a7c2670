# SPDX-License-Identifier: GPL-2.0-or-later
"""
Where libvirt is: unpacked in the build directory, as scripts/packages does, or
installed on the machine.

What was unpacked runs in a mount namespace of its own, where its data is below
/usr/share, the one place that libvirt takes from nothing else.
"""

import os
import subprocess
from pathlib import Path
from typing import Dict, List

DRIVERS = ('usr/lib/*/libvirt/connection-driver',
           'usr/lib*/libvirt/connection-driver')
DRIVER = 'libvirt_driver_qemu.so'

# sh -c with: the root, where it is to be seen, a command
MOUNTED = ('mount --bind "$0" "$1" && '
           'mount -t overlay overlay -o "lowerdir=$1/usr/share:/usr/share" '
           '/usr/share && shift && exec "$@"')


class Installation:
    """One libvirt, below @root; '/' for the machine's."""

    libvirtd = Path('/usr/sbin/libvirtd')
    virsh = Path('/usr/bin/virsh')

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def find(cls, top: Path) -> 'Installation':
        """That of build directory @top, or else the machine's."""
        unpacked = top / 'libvirt/tree'
        return cls(unpacked.resolve() if unpacked.exists() else Path('/'))

    @property
    def is_unpacked(self) -> bool:
        """Is it in a build directory?"""
        return self.root != Path('/')

    def below(self, path: Path) -> Path:
        """The file that is @path where it is installed."""
        return self.root / str(path).lstrip('/')

    def drivers(self) -> List[Path]:
        """QEMU's driver."""
        return [folder / DRIVER for pattern in DRIVERS
                for folder in self.root.glob(pattern)
                if (folder / DRIVER).exists()]

    def environment(self, root: Path) -> Dict[str, str]:
        """What a program of it wants, where it is seen at @root."""
        if not self.is_unpacked:
            return {}
        driver = root / self.drivers()[0].relative_to(self.root)
        return {'LD_LIBRARY_PATH': str(driver.parents[2]),
                'LIBVIRT_DRIVER_DIR': str(driver.parent)}

    def why_not(self) -> str:
        """Why no libvirt can be run from here, or ''."""
        if not self.drivers() or not all(
                os.access(self.below(path), os.X_OK)
                for path in (self.libvirtd, self.virsh)):
            return 'there is no libvirt: make check-libvirt unpacks one'
        if self.is_unpacked:
            tried = subprocess.run(
                self.command(self.root, os.getuid(), os.getgid(), 'true'),
                text=True, stdin=subprocess.DEVNULL, capture_output=True,
                check=False)
            if tried.returncode:
                return ('the libvirt that was unpacked wants a mount namespace '
                        f'({tried.stderr.strip()}); one that is installed '
                        'does as well')
        return ''

    def command(self, place: Path, uid: int, gid: int,
                *words: object) -> List[str]:
        """How @words are run as a user, by that user or root; what was
        unpacked is seen at @place, a folder."""
        text = [str(word) for word in words]
        root = os.getuid() == 0
        become = (['setpriv', f'--reuid={uid}', f'--regid={gid}',
                   '--clear-groups'] if root else
                  ['unshare', f'--map-user={uid}', f'--map-group={gid}'])
        if not self.is_unpacked:
            return [*become, *text] if root and uid else text
        return ['unshare', '--mount', *([] if root else ['--map-root-user']),
                'sh', '-c', MOUNTED, str(self.root), str(place), *become, *text]

    def installed_name(self, path: Path) -> str:
        """The name, without a leading /, that file @path has where libvirt
        is installed."""
        return str(path.relative_to(self.root) if self.root in path.parents
                   else path).lstrip('/')
