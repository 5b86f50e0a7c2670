# SPDX-License-Identifier: GPL-2.0-or-later
"""
A libvirtd of our own: nothing of the machine's is read, used or changed.

    with Libvirt(Installation.find(build)) as libvirt:
        libvirt.virsh('list', '--all')

It is a session instance, which libvirt has for users but not for root, so
for root it runs as nobody. It owns a private folder, and reaper.py, which
ends the daemon and its QEMUs when the block or this process ends.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List

from installation import Installation

HERE = Path(__file__).resolve().parent
PATIENCE = 60       # seconds for any one request


class VirshError(Exception):
    """What virsh or libvirtd said when it failed."""


class Libvirt:
    """The daemon, and virsh to talk to it; use as a context manager."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._user = (pwd.getpwnam('nobody') if os.getuid() == 0
                      else pwd.getpwuid(os.getuid()))
        self._reaper: subprocess.Popen
        self.folder = Path()

    def __enter__(self) -> 'Libvirt':
        # Short: the path of a socket has 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix='libvirt-', dir='/tmp'))
        for name in ('config', 'config/libvirt', 'cache', 'run'):
            (self.folder / name).mkdir()
        # There is no virtlogd.
        (self.folder / 'config/libvirt/qemu.conf').write_text(
            'stdio_handler = "file"\n')
        (self.folder / 'libvirtd.conf').write_text(
            f'log_outputs = "3:file:{self.folder}/libvirtd.log"\n')
        for path in (self.folder, *self.folder.rglob('*')):
            os.chown(path, self._user.pw_uid, self._user.pw_gid)
        with (self.folder / 'errors').open('wb') as errors:
            self._reaper = subprocess.Popen(
                self._command(sys.executable, HERE / 'reaper.py',
                              self._installation.libvirtd,
                              '--daemon',
                              '--config', self.folder / 'libvirtd.conf',
                              '--pid-file', self.folder / 'pid'),
                text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=errors, **self._surroundings())
        try:
            if self._reaper.stdout.readline() != 'ready\n':
                raise VirshError(f'libvirtd did not start\n{self.logs()}')
        except BaseException:
            self.close()
            raise
        return self

    def _command(self, *words: object) -> List[str]:
        """How @words are run as the daemon's user."""
        return self._installation.command(
            self._user.pw_uid, self._user.pw_gid, *words)

    def _surroundings(self) -> Dict[str, object]:
        """Where, and in which environment, subprocess runs a program."""
        return {'cwd': self.folder, 'env': {
            'PATH': '/usr/bin:/bin:/usr/sbin', 'LC_ALL': 'C.UTF-8',
            'HOME': str(self.folder),
            'XDG_CACHE_HOME': f'{self.folder}/cache',
            'XDG_CONFIG_HOME': f'{self.folder}/config',
            'XDG_RUNTIME_DIR': f'{self.folder}/run'}}

    def virsh(self, *arguments: object) -> str:
        """What virsh prints for @arguments; VirshError when it fails."""
        socket = self.folder / 'run/libvirt/libvirt-sock'
        done = subprocess.run(
            self._command(self._installation.virsh, '-q', '-c',
                          f'qemu+unix:///session?socket={socket}', *arguments),
            text=True, stdin=subprocess.DEVNULL, capture_output=True,
            check=False, timeout=PATIENCE, **self._surroundings())
        if done.returncode:
            raise VirshError(done.stderr.strip())
        # the human monitor ends its lines as a terminal wants them
        return done.stdout.replace('\r\n', '\n').strip()

    def define(self, xml: str) -> None:
        """Define the domain that @xml describes."""
        path = self.folder / 'domain.xml'
        path.write_text(xml)
        self.virsh('define', '--validate', path)

    def logs(self) -> str:
        """What the daemon and its QEMUs said."""
        return '\n'.join(
            f'--- {path.name}\n{path.read_text(errors="replace")}'
            for path in [self.folder / 'errors', self.folder / 'libvirtd.log',
                         *self.folder.glob('cache/libvirt/qemu/log/*.log')]
            if path.exists())

    def close(self) -> None:
        """End the daemon and its QEMUs, at once."""
        self._reaper.terminate()
        self._reaper.wait()
        self._reaper.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(self, *_: object) -> None:
        self.close()
