# SPDX-License-Identifier: GPL-2.0-or-later
"""
Linux drives its own devices behind an emulated IOMMU that nests, and behind
one that does not: what x-nested=on adds is not in the way. Disks are
copied, and frames go in at one network card and out at another.
"""

import hashlib
import random
import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from buildtree import BuildTree
from device import Device, nvme
from host import Host
from vtd import STAGE_1, is_in_scalable_mode, read_capabilities

FRAMES = 200
PATIENCE = 120.0        # seconds for a frame to come
NESTING = 1 << 26       # in ECAP

# What the kernel calls the two ways to invalidate: at each unmap, and all
# at once some time later.
MODES = {'iommu.strict=1': 'DMA', 'iommu.strict=0': 'DMA-FQ'}


class Wire:
    """The other end of a network card, in @folder: frames as datagrams."""

    def __init__(self, folder: Path, name: str) -> None:
        self._ours = folder / f'{name}-ours'
        self._card = folder / f'{name}-card'
        self._name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._ours))
        self._socket.settimeout(PATIENCE)

    def card(self, slot: int) -> Device:
        """The card, in @slot, which the host's Linux has for itself."""
        # Its ROM is not in the lab, and cannot be there twice.
        return Device('e1000e', slot, f'romfile=,netdev={self._name}', (
            '-netdev', f'dgram,id={self._name},local.type=unix,'
                       f'local.path={self._card},remote.type=unix,'
                       f'remote.path={self._ours}'), assignable=False)

    def send(self, frame: bytes) -> None:
        """Have the card receive @frame."""
        self._socket.sendto(frame, str(self._card))

    def receive(self) -> bytes:
        """The next frame that the card has sent."""
        return self._socket.recv(1 << 16)

    def close(self) -> None:
        """Unplug it."""
        self._socket.close()


@pytest.fixture(name='wires')
def fixture_wires() -> Iterator[Tuple[Wire, Wire]]:
    """What the two network cards of a host are connected to."""
    # Not below tmp_path: a socket's path has 107 bytes.
    with tempfile.TemporaryDirectory(prefix='lab-', dir='/tmp') as folder:
        wires = Wire(Path(folder), 'a'), Wire(Path(folder), 'b')
        yield wires
        for wire in wires:
            wire.close()


@pytest.fixture(name='blank')
def fixture_blank(tmp_path: Path, disk_content: Path) -> Path:
    """A file for a disk that is written, as large as the one with
    content."""
    path = tmp_path / 'blank'
    path.write_bytes(bytes(disk_content.stat().st_size))
    return path


@pytest.fixture(name='host', params=[
    (nested, strict) for nested in ('on', 'off') for strict in MODES],
    ids=lambda mode: f'nested-{mode[0]}-{MODES[mode[1]]}')
def fixture_host(request: pytest.FixtureRequest, tree: BuildTree,
                 disk_content: Path, blank: Path,
                 wires: Tuple[Wire, Wire]) -> Iterator[Host]:
    """A host with two disks and two network cards, whose first stage is
    what Linux translates with, in one of its modes."""
    nested, strict = request.param
    disks = [replace(nvme(path, slot), assignable=False)
             for slot, path in enumerate((disk_content, blank), 3)]
    cards = [wire.card(slot) for slot, wire in enumerate(wires, 5)]
    with Host(tree, f'nested-linux-{nested}-{MODES[strict]}',
              {**STAGE_1, 'x-nested': nested},
              [*disks, *cards], memory='1G', kernel=strict) as machine:
        assert is_in_scalable_mode(machine.machine.monitor)
        ecap = read_capabilities(machine.machine.monitor).ecap
        assert bool(ecap & NESTING) == (nested == 'on')
        folders = ' '.join(f'/sys/bus/pci/devices/{device.address}/'
                           'iommu_group/type' for device in [*disks, *cards])
        assert machine.check(f'cat {folders}').split() == 4 * [MODES[strict]]
        yield machine


def bridge_cards(host: Host) -> None:
    """Have @host's Linux, which knows no IP, pass frames between its two
    cards."""
    host.check('''
        cd /sys/class/net && ip link add br0 type bridge &&
        echo 0 >br0/bridge/forward_delay || exit
        for card in eth0 eth1; do
            ip link set $card master br0 || exit
        done
        for name in br0 eth0 eth1; do
            echo 0x1003 >$name/flags || exit        # IFF_UP and what it had
        done
        for port in br0/brif/*; do
            until [ $(cat $port/state) = 3 ]; do    # BR_STATE_FORWARDING
                usleep 10000
            done
        done''', timeout=60)


def disk_of(host: Host, slot: int) -> str:
    """What @host's Linux calls the disk in @slot."""
    return host.check(f'cd /sys/bus/pci/devices/0000:00:{slot:02x}.0/nvme/ && '
                      'cd nvme*/nvme*n1 && echo /dev/${PWD##*/}')


def random_frames() -> List[bytes]:
    """Frames of all sizes between two machines that are not there."""
    source = random.Random(FRAMES)
    return [bytes.fromhex('0200000000b1 0200000000a1 88b5') +
            source.randbytes(source.randint(46, 1500))
            for _ in range(FRAMES)]


def test_disks_and_network_cards(host: Host, disk_content: Path, blank: Path,
                                 wires: Tuple[Wire, Wire]) -> None:
    """What is read of a disk is what is on it, and gets to another as it
    is; what comes in at a network card goes out at the other."""
    content = disk_content.read_bytes()
    source, sink = disk_of(host, slot=3), disk_of(host, slot=4)
    assert host.check(f'sha256sum <{source}').split()[0] == \
        hashlib.sha256(content).hexdigest()
    host.check(f'cat {source} >{sink} && sync')
    assert blank.read_bytes() == content

    bridge_cards(host)
    for sender, receiver in (wires, wires[::-1]):
        for frame in random_frames():
            sender.send(frame)
            assert receiver.receive() == frame
    assert host.run('dmesg | grep DMAR.*fault').text == ''
