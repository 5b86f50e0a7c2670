# SPDX-License-Identifier: GPL-2.0-or-later
"""
The lab itself: what its other tests trust without looking.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterator

import pytest

from agent import Agent, CommandTimeout, LabError
from buildtree import BuildTree
from device import e1000e, edu, root_port
from guest import Refused
from host import Host

HERE = Path(__file__).resolve().parent


@pytest.fixture(name='host', scope='module')
def fixture_host(tree: BuildTree) -> Iterator[Host]:
    """A host with devices that have no disk behind them."""
    with Host(tree, 'harness', {'aw-bits': 48},
              [e1000e(slot=3), edu(slot=4),
               root_port(slot=5, name='rp')]) as machine:
        yield machine


@pytest.mark.parametrize('code', (0, 3, 255))
def test_exit_status(host: Host, code: int) -> None:
    """A command's exit status comes out."""
    assert host.run(f'exit {code}').code == code


def test_output_is_bytes(host: Host) -> None:
    """Output is passed as it is, standard error and all bytes included."""
    every = ''.join(f'\\{value:03o}' for value in range(256))
    outcome = host.run(f"printf '{every}'; echo on stderr >&2")
    assert outcome.output == bytes(range(256)) + b'on stderr\n'


def test_script_is_passed_as_it_is(host: Host) -> None:
    """Lines, quotes, backslashes and per cent signs reach the shell."""
    assert host.run('echo "a%s\\\\n"\n echo \'b"\' ').text == 'a%s\\n\nb"'


def test_large_output(host: Host) -> None:
    """More than any buffer on the way holds."""
    outcome = host.run('head -c 3000000 /dev/zero')
    assert outcome.output == bytes(3000000)


def test_devices_are_bound_to_vfio(host: Host) -> None:
    """What a host was declared with is ready to be assigned."""
    bound = host.check('cd /sys/bus/pci/drivers/vfio-pci; echo 0000:*')
    assert bound.split() == ['0000:00:03.0', '0000:00:04.0']


def test_device_can_be_hotplugged(host: Host) -> None:
    """Into a root port of the host, while it runs."""
    host.machine.monitor.cmd('device_add', driver='edu', id='late', bus='rp')
    host.check('until [ -e /sys/bus/pci/devices/0000:01:00.0 ]; do '
               'usleep 10000; done', timeout=60)


def test_refused_guest_leaves_nothing(host: Host) -> None:
    """A guest that does not start tells why and leaves no process."""
    with pytest.raises(Refused, match="'no-such-device' is not a valid"):
        with host.guest(['-machine', 'q35', '-device', 'no-such-device']):
            pass
    assert host.run('pidof qemu-system-x86_64').code == 1


def test_guest_ends_with_its_block(host: Host) -> None:
    """So does one whose test fails, and its log is kept."""
    with pytest.raises(ZeroDivisionError):
        with host.guest(['-machine', 'q35', '-m', '64M']) as guest:
            assert guest.monitor.cmd('query-status')['running'] is False
            1 / 0
    assert host.run('pidof qemu-system-x86_64').code == 1
    log = host.machine.logs / (guest.name.split('/')[1] + '.log')
    assert log.exists()


def test_timeout() -> None:
    """A command that does not end is an error that has what it printed,
    and no other command is sent after it."""
    ours, theirs = socket.socketpair()

    def answer() -> None:
        theirs.recv(1 << 16)
        theirs.sendall(b'half an answer')

    threading.Thread(target=answer).start()
    agent = Agent('nobody', ours, lambda ending: None)
    with pytest.raises(CommandTimeout, match='half an answer'):
        agent.run('sleep 9', timeout=0.5)
    with pytest.raises(CommandTimeout, match='not run: true'):
        agent.run('true')
    agent.close()
    theirs.close()


def test_host_that_ends_is_reported(tree: BuildTree) -> None:
    """A command whose host dies under it is an error that says so."""
    with Host(tree, 'ended', {'aw-bits': 39}, memory='512M') as host:
        with pytest.raises(LabError, match='ended ended with status 0'):
            host.run('reboot -f; sleep 60')


@pytest.mark.parametrize('end', (signal.SIGINT, signal.SIGTERM,
                                 signal.SIGKILL))
def test_killed_lab_leaves_no_process(tree: BuildTree,
                                      end: signal.Signals) -> None:
    """Whoever runs the lab may be killed at any time; what is left is, at
    most and where it could not help it, the folder of sockets."""
    script = (f'import sys, signal; sys.path.insert(0, {str(HERE)!r})\n'
              'from host import Host, BuildTree\n'
              'signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n'
              f'with Host(BuildTree.from_environment(), "killed-{end.name}",'
              '{}, memory="512M") as host:\n'
              '    print(host.machine.pid, host.machine.folder, flush=True)\n'
              '    signal.pause()\n')
    with subprocess.Popen(
            [sys.executable, '-c', script], text=True,
            env={**os.environ, 'BUILD_DIR': str(tree.top)},
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as lab:
        pid, folder = lab.stdout.readline().split()
        machine = os.pidfd_open(int(pid))
        lab.send_signal(end)
        lab.wait(timeout=60)
    try:
        # Readable once the process has ended, whoever is to reap it.
        assert select.select([machine], [], [], 60)[0]
    finally:
        os.close(machine)
    if end == signal.SIGKILL:
        os.rmdir(folder)
    assert not Path(folder).exists()
