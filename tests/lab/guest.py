# SPDX-License-Identifier: GPL-2.0-or-later
"""
A guest of a lab host: a second QEMU, which runs inside the host.

    with host.guest(['-device', ...]) as guest:         # devices only
    with host.guest([...], kernel='quiet') as guest:    # boots Linux
        guest.run('cat /proc/cpuinfo')

Entry starts QEMU and returns when all of its devices are there; a QEMU
that refuses is the exception Refused. The guest owns that QEMU and the two
channels to it, one to its monitor and one to the agent in its Linux.
"""

import secrets
import shlex
import struct
from collections import Counter
from contextlib import ExitStack
from typing import (TYPE_CHECKING, Any, Dict, List, Mapping, Optional,
                    Sequence, Type)

from agent import Agent, CommandTimeout, LabError, Outcome
from machine import AGENT_SLOT
from monitor import ExecuteError, Monitor

if TYPE_CHECKING:
    from host import Host


# Calls of the kernel by their numbers (linux/iommufd.h, linux/vfio.h)
IOCTLS = {
    0x77: 'ATTACH', 0x78: 'DETACH', 0x80: 'DESTROY', 0x81: 'IOAS_ALLOC',
    0x85: 'MAP', 0x86: 'UNMAP', 0x89: 'HWPT_ALLOC', 0x8d: 'INVALIDATE',
}


# Disks with what the guest's Linux is started from.
KEXEC = [word for file in ('bzImage', 'guest.cpio.gz')
         for word in ('-drive', f'file=/lab/{file},format=raw,readonly=on,'
                                'if=virtio')]

# Linux panics where it is told to, and its end is a triple fault.
PANIC = 'unknown_nmi_panic reboot=triple'


class Refused(Exception):
    """QEMU did not start: all that it wrote on standard error."""


class Guest:
    """QEMU @program with @arguments in @host; with @kernel, the kernel's
    command line, Linux boots in it, and otherwise its CPUs stand still.

    @arguments say what the machine is, in terms of the host's devices and
    files; monitor, agent and console are added here.
    """

    def __init__(self, host: 'Host', name: str, arguments: Sequence[str],
                 kernel: str, program: str) -> None:
        self._host = host
        self._arguments = list(arguments)
        self._kernel = kernel
        self._program = program
        self._folder = f'/run/{name}'
        self._stack = ExitStack()
        self._agent: Agent
        self.name = f'{host.name}/{name}'
        self.monitor: Monitor

    def _command(self) -> List[str]:
        command = [
            self._program, '-L', '/lab/firmware', '-nodefaults',
            '-no-user-config', '-no-reboot', '-display', 'none',
            '-nic', 'none', '-accel', 'tcg',
            '-daemonize', '-pidfile', f'{self._folder}/pid',
            # Standard error goes on into this file after -daemonize.
            '-D', f'{self._folder}/qemu.log',
            '-chardev', 'pipe,id=qmp,path=@QMP@',
            '-mon', 'chardev=qmp,mode=control', *self._arguments]
        if not self._kernel:
            return command + ['-S']
        return command + [
            '-kernel', '/lab/bzImage', '-initrd', '/lab/guest.cpio.gz',
            '-append', self._kernel,
            '-chardev', f'file,id=console,path={self._folder}/console.log',
            '-serial', 'chardev:console',
            '-device', f'virtio-serial-pci,addr={AGENT_SLOT:#x}',
            '-chardev', 'pipe,id=agent,path=@AGENT@',
            '-device', 'virtserialport,chardev=agent,name=agent']

    def __enter__(self) -> 'Guest':
        label = self._folder.rsplit('/', 1)[1]
        with ExitStack() as stack:
            channels = {}
            for purpose in ('qmp', 'agent') if self._kernel else ('qmp',):
                channel = self._host.plug_channel(f'{label}-{purpose}')
                channels[purpose] = channel
                stack.callback(channel.unplug)
            stack.push(self._end)
            self.monitor = Monitor(self.name, channels['qmp'].socket)
            stack.callback(self.monitor.close)
            if self._kernel:
                self._agent = Agent(self.name, channels['agent'].socket,
                                    self.check_alive)
                stack.callback(self._agent.close)
            self._start([channel.name for channel in channels.values()])
            self.monitor.connect()
            self._stack = stack.pop_all()
        return self

    def _start(self, ports: Sequence[str]) -> None:
        command = shlex.join(self._command())
        for port in ports:
            purpose = port.rsplit('-', 1)[1].upper()
            command = command.replace(f'@{purpose}@', f'"$(port {port})"')
        outcome = self._host.run(
            f'mkdir -p {self._folder} && cd {self._folder} &&'
            f'{command} >start.log 2>&1; status=$?;'
            'cat start.log qemu.log; exit $status')
        if outcome.code:
            raise Refused(outcome.text)

    def check_alive(self, _ending: bool = False) -> None:
        """Raise LabError, with what QEMU and the console said last, when
        this QEMU is gone."""
        if self._host.run(f'kill -0 $(cat {self._folder}/pid)').code:
            raise LabError(f'{self.name} ended\n{self.log_tail()}')

    def log_tail(self) -> str:
        """The end of what this QEMU and its console said."""
        return self._host.run(
            f'cd {self._folder}; tail -n 20 qemu.log console.log').text

    def open_files(self) -> List[str]:
        """What this QEMU's file descriptors lead to, one each, sorted."""
        return sorted(self._host.check(
            f'cd /proc/$(cat {self._folder}/pid)/fd && '
            'for file in *; do readlink $file; done').split('\n'))

    def kill(self) -> None:
        """End this QEMU with SIGKILL, and wait until it is gone."""
        self._host.check(f'''
            pid=$(cat {self._folder}/pid) && kill -9 $pid &&
            while kill -0 $pid 2>/dev/null; do usleep 10000; done''')

    def _memory(self, name: str) -> int:
        return int(self._host.check(
            f"awk '/^{name}:/ {{ print $2 }}' "
            f'/proc/$(cat {self._folder}/pid)/status'))

    def pinned(self) -> int:
        """How many KiB of this QEMU the host's kernel has pinned, so that
        devices can reach them."""
        return self._memory('VmPin')

    def resident(self) -> int:
        """How many KiB this QEMU has in memory, the guest's RAM included."""
        return self._memory('RssAnon')

    def ioctls(self) -> Counter[str]:
        """How often this QEMU, COUNTED_QEMU, has called VFIO and iommufd in
        the host's kernel."""
        dump = self._host.check(f'od -An -v -tx1 {self._folder}/ioctls')
        counts = struct.unpack('<256Q', bytes.fromhex(''.join(dump.split())))
        return Counter({IOCTLS.get(number, str(number)): count
                        for number, count in enumerate(counts) if count})

    def log(self) -> str:
        """What this QEMU has written on standard error since it started,
        and what it has traced."""
        return self._host.check(f'cat {self._folder}/qemu.log')

    def plug(self, arguments: Mapping[str, object]) -> None:
        """Plug a device; ExecuteError says why it is refused."""
        self.monitor.cmd('device_add', **arguments)

    def refusal(self, arguments: Mapping[str, object]) -> str:
        """Why a device is not plugged, of which no file stays open."""
        before = self.open_files()
        try:
            self.plug(arguments)
        except ExecuteError as error:
            assert self.open_files() == before
            return str(error)
        raise LabError(f'{self.name}: was plugged: {arguments}')

    def unplug(self, name: str) -> None:
        """Unplug the device with id @name and wait until it is gone."""
        self.monitor.cmd('device_del', id=name)
        self._wait('DEVICE_DELETED', device=name)

    def _wait(self, event: str, **data: object) -> Dict[str, Any]:
        """Wait for @event; where it does not come, LabError says so, or
        that this QEMU is gone."""
        try:
            return self.monitor.wait(event, **data)
        except LabError:
            self.check_alive()
            raise

    def reset(self) -> None:
        """Reset this machine; the next command waits for its new Linux."""
        self.monitor.cmd('set-action', reboot='reset')
        self.monitor.cmd('system_reset')
        self._wait('RESET', guest=False)

    def _await_linux(self, sign: str) -> None:
        """Wait until @sign, a command in the host, tells of a new Linux."""
        if self._host.run(f'''
                i=0; until {sign}; do
                    [ $((i += 1)) -lt 2000 ] && usleep 100000 || exit 1
                done''').code:
            raise LabError(f'{self.name}: no other Linux came\n'
                           f'{self.log_tail()}')

    def crash(self) -> None:
        """Have Linux, which was told PANIC, panic and its machine reset
        itself, with no device shut down; the next command is for the new
        Linux. It can take more than one reset."""
        opened = f"grep -c '^agent: ' {self._folder}/console.log"
        before = int(self._host.check(opened))
        self.monitor.cmd('set-action', reboot='reset')
        self.monitor.cmd('inject-nmi')
        self._await_linux(f'[ $({opened}) != {before} ]')

    def kexec(self, kernel: str) -> None:
        """Start Linux anew, with @kernel for its command line, from the
        disks of KEXEC, without a reset of the machine; the next command is
        for it."""
        mark = f'kexec={secrets.token_hex(8)}'
        self.check('cat /dev/vda >/tmp/kernel && cat /dev/vdb >/tmp/initrd')
        self._agent.leave('/lab/kexec /tmp/kernel /tmp/initrd '
                          f'"{kernel} loglevel=6 {mark}"')
        self._await_linux(f'grep -q {mark} {self._folder}/console.log')

    def migrate(self, destination: 'Guest') -> None:
        """Migrate, while the guest runs, to a @destination that waits with
        `-incoming defer`. LabError when that fails. No command is underway:
        the next one is for the destination's agent, which is the same
        process of the same Linux."""
        stream = f'unix:{destination._folder}/stream'
        for guest in (destination, self):
            guest.monitor.cmd('migrate-set-capabilities', capabilities=[
                {'capability': name, 'state': True}
                for name in ('events', 'return-path')])
        destination.monitor.cmd('migrate-incoming', uri=stream,
                                **{'exit-on-error': False})
        self.monitor.cmd('migrate', uri=stream)
        for guest in (self, destination):
            while (status := guest._wait('MIGRATION')['status']) != \
                    'completed':
                if status == 'failed':
                    raise LabError(f'{guest.name}: migration failed\n'
                                   f'{destination.log_tail()}')

    def run(self, script: str, timeout: float = 600) -> Outcome:
        """Run @script with the guest's sh and wait for its end."""
        try:
            return self._agent.run(script, timeout)
        except CommandTimeout as error:
            registers = self.monitor.hmp('info registers -a')
            raise CommandTimeout(
                f'{error}\n{registers}\n{self.log_tail()}') from None

    def check(self, script: str, timeout: float = 600) -> Outcome:
        """The outcome of @script; LabError when it fails."""
        outcome = self.run(script, timeout)
        if outcome.code:
            raise LabError(f'{self.name}: status {outcome.code} of '
                           f'{script}\n{outcome.text}\n{self.log_tail()}')
        return outcome

    def _end(self, error: Optional[Type[BaseException]], *_: object) -> None:
        """End QEMU and fetch its logs. Where there was an @error already,
        the host may be gone too, and that is not what to tell."""
        try:
            logs = self._host.run(f'''
                cd {self._folder} || exit
                if pid=$(cat pid 2>/dev/null); then
                    kill -{'TERM' if self._host.counts else 'KILL'} $pid
                    while kill -0 $pid 2>/dev/null; do usleep 10000; done
                fi 2>/dev/null
                tail -n +1 start.log qemu.log console.log 2>/dev/null''')
        except LabError:
            if error is None:
                raise
            return
        name = self.name.rsplit('/', 1)[1]
        (self._host.machine.logs / f'{name}.log').write_bytes(logs.output)

    def __exit__(self, *_: object) -> None:
        self._stack.close()
