# SPDX-License-Identifier: GPL-2.0-or-later
"""
A libvirtd of our own: nothing of the machine's is read, used or changed.

    with Libvirt() as libvirt:
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
from typing import Dict

HERE = Path(__file__).resolve().parent
PROGRAMS = ('/usr/sbin/libvirtd', '/usr/bin/virsh')
DRIVER = 'usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so'
PATIENCE = 60       # seconds for any one request


class VirshError(Exception):
    """What virsh or libvirtd said when it failed."""


def why_not() -> str:
    """Why there can be no libvirt here, or ''."""
    if all(os.access(path, os.X_OK) for path in PROGRAMS) and \
            any(Path('/').glob(DRIVER)):
        return ''
    return ('libvirt is not installed: apt-get install libvirt-clients '
            'libvirt-daemon libvirt-daemon-driver-qemu')


class Libvirt:
    """The daemon, and virsh to talk to it; use as a context manager."""

    def __init__(self) -> None:
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
                [sys.executable, HERE / 'reaper.py', PROGRAMS[0], '--daemon',
                 '--config', self.folder / 'libvirtd.conf', '--pid-file',
                 self.folder / 'pid'], text=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=errors, **self._as_user())
        try:
            if self._reaper.stdout.readline() != 'ready\n':
                raise VirshError(f'libvirtd did not start\n{self.logs()}')
        except BaseException:
            self.close()
            raise
        return self

    def _as_user(self) -> Dict[str, object]:
        """How subprocess runs a program as the daemon's user."""
        options: Dict[str, object] = {'cwd': self.folder, 'env': {
            'PATH': '/usr/bin:/bin:/usr/sbin', 'LC_ALL': 'C.UTF-8',
            'HOME': str(self.folder),
            'XDG_CACHE_HOME': f'{self.folder}/cache',
            'XDG_CONFIG_HOME': f'{self.folder}/config',
            'XDG_RUNTIME_DIR': f'{self.folder}/run'}}
        if os.getuid() == 0:
            options.update(user=self._user.pw_uid, group=self._user.pw_gid,
                           extra_groups=[])
        return options

    def virsh(self, *arguments: object) -> str:
        """What virsh prints for @arguments; VirshError when it fails."""
        socket = self.folder / 'run/libvirt/libvirt-sock'
        done = subprocess.run(
            [PROGRAMS[1], '-q', '-c', f'qemu+unix:///session?socket={socket}',
             *map(str, arguments)], text=True, stdin=subprocess.DEVNULL,
            capture_output=True, check=False, timeout=PATIENCE,
            **self._as_user())
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
