# SPDX-License-Identifier: GPL-2.0-or-later
"""
The machine that a host is emulated on: one QEMU of ours and its channels.

Owns the QEMU child, a private folder for its sockets, and the folder of
logs. Knows nothing of what runs inside; host.py does.

The accelerator is always TCG, even where there is KVM: it is there for
every user, and what it shows is the same everywhere.
"""

import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from agent import LabError
from artifact import die_with_parent
from buildtree import BuildTree
from monitor import Monitor


AGENT_SLOT = 30     # of bus 0, where host and guest have virtio-serial


class Channel:
    """A virtio-serial port plugged into a running machine, and our end of
    it. Every QEMU inside gets fresh ones, so that no byte meant for one
    ever reaches the next."""

    def __init__(self, machine: 'Machine', name: str) -> None:
        self._machine = machine
        self.name = name
        path = machine.folder / name
        machine.monitor.cmd(
            'chardev-add', id=name,
            backend={'type': 'socket', 'data': {
                'server': True, 'wait': False,
                'addr': {'type': 'unix', 'data': {'path': str(path)}}}})
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        machine.monitor.cmd('device_add', driver='virtserialport',
                            id=f'port-{name}', chardev=name, name=name)

    def unplug(self) -> None:
        """Take the port away; the socket belongs to who talks over it.

        The chardev, in use until QEMU has released the port some time
        later, stays: no other has its name."""
        self._machine.monitor.cmd('device_del', id=f'port-{self.name}')


class Machine:
    """A QEMU, if not @program the one under test, with @arguments; use as a
    context manager.

    Its console and errors are in @logs, kept until the next run.
    """

    def __init__(self, tree: BuildTree, name: str,
                 arguments: Sequence[str],
                 program: Optional[Path] = None) -> None:
        self._program = program or tree.qemu
        self._arguments = list(arguments)
        self.name = name
        self.logs = tree.logs / name
        self.folder = Path()
        self._process: Optional[subprocess.Popen] = None
        self._sockets: Dict[str, socket.socket] = {}
        self._monitor: Optional[Monitor] = None

    @property
    def monitor(self) -> Monitor:
        """QMP of this QEMU."""
        if self._monitor is None:
            raise LabError(f'{self.name} is not running')
        return self._monitor

    @property
    def agent_socket(self) -> socket.socket:
        """The end of the port "agent" that is ours."""
        return self._sockets['agent']

    @property
    def pid(self) -> int:
        """Process id of this QEMU."""
        assert self._process is not None
        return self._process.pid

    def _serve(self, name: str) -> str:
        """Options of a chardev @name whose other end is ours.

        A socket pair, so that it is connected before QEMU starts."""
        ours, theirs = socket.socketpair()
        self._sockets[name] = ours
        self._sockets[f'{name} in QEMU'] = theirs
        return f'socket,id={name},fd={theirs.fileno()}'

    def _command(self) -> List[str]:
        console = str(self.logs / 'console.log').replace(',', ',,')
        return [str(self._program), '-nodefaults', '-no-user-config',
                '-no-reboot', '-display', 'none', '-nic', 'none',
                '-accel', 'tcg,thread=multi',
                '-chardev', self._serve('qmp'),
                '-mon', 'chardev=qmp,mode=control',
                '-chardev', f'file,id=console,path={console}',
                '-serial', 'chardev:console',
                '-device',
                f'virtio-serial-pci,max_ports=31,addr={AGENT_SLOT:#x}',
                '-chardev', self._serve('agent'),
                '-device', 'virtserialport,chardev=agent,name=agent',
                *self._arguments]

    def __enter__(self) -> 'Machine':
        if not self._program.exists():
            raise LabError(f'{self._program} is not built: run make')
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)
        # Not below the build directory: a socket's path has 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix='lab-', dir='/tmp'))
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> None:
        command = self._command()
        (self.logs / 'command').write_text('\n'.join(command) + '\n')
        with (self.logs / 'qemu.log').open('wb') as errors:
            # A session of its own: Ctrl-C is for us, and we end it.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors,
                stderr=errors, start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
                pass_fds=[end.fileno() for name, end in self._sockets.items()
                          if name.endswith(' in QEMU')])
        for name in list(self._sockets):
            if name.endswith(' in QEMU'):
                self._sockets.pop(name).close()
        self._monitor = Monitor(self.name, self._sockets.pop('qmp'))
        try:
            self._monitor.connect()
        except LabError:
            self.check_alive(ending=True)
            raise

    def check_alive(self, ending: bool = False) -> None:
        """Raise LabError, with what QEMU and the console said last, when
        this QEMU is gone; wait for its end when it is @ending."""
        assert self._process is not None
        if ending:
            self._process.wait()
        if self._process.poll() is not None:
            raise LabError(f'{self.name} ended with status '
                           f'{self._process.returncode}\n{self.log_tail()}')

    def log_tail(self) -> str:
        """The end of what this QEMU and its console said."""
        return '\n'.join(
            f'--- {path}\n' + '\n'.join(
                path.read_text(errors='replace').splitlines()[-20:])
            for path in (self.logs / 'qemu.log', self.logs / 'console.log')
            if path.exists())

    def state(self) -> str:
        """What is known of a machine that does not answer."""
        try:
            registers = self.monitor.hmp('info registers -a')
        except LabError as error:
            registers = str(error)
        return f'{registers}\n{self.log_tail()}'

    def quit(self) -> int:
        """Have this QEMU end, unless it has; returns its status."""
        assert self._process is not None
        try:
            self.monitor.cmd('quit')
        except LabError:
            pass
        return self._process.wait()

    def close(self) -> None:
        """End this QEMU, at once: nothing in it is worth keeping."""
        if self._process is not None:
            if self._process.poll() is not None:
                # The next run overwrites what it said.
                print(f'{self.name} ended with status '
                      f'{self._process.returncode}\n{self.log_tail()}')
            self._process.kill()
            self._process.wait()
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        for end in self._sockets.values():
            end.close()
        self._sockets.clear()
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(self, *_: object) -> None:
        self.close()
