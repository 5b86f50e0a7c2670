# SPDX-License-Identifier: GPL-2.0-or-later
"""
Stage-1 passthrough of two network cards that a guest bridges: what comes in
at one goes out at the other, by tables of the guest's.
"""

import random
import socket
from pathlib import Path
from typing import Callable, Iterator, List, Tuple

import pytest

from buildtree import BuildTree
from device import e1000e
from host import COUNTED_QEMU, Host
from stage1 import BINDING, STRICT, bound, stage1
from vtd import NESTED

FRAMES = 100
LONGEST = 1514              # bytes, with the header
PATIENCE = 120.0            # seconds for a frame
EXPERIMENTAL = b'\x88\xb5'  # an EtherType of nobody's

# Bridges what e1000e drives, and waits until it forwards. Without the
# kernel's IPv4 there is no brctl.
BRIDGE = '''
    until set -- /sys/bus/pci/drivers/e1000e/*/net/* && [ -e $2 ]; do
        usleep 100000
    done
    ip link add bridge type bridge &&
    echo 0 >/sys/class/net/bridge/bridge/forward_delay &&
    ip link set bridge up || exit
    for net in $1 $2; do
        ip link set ${net##*/} master bridge &&
        ip link set ${net##*/} up || exit
    done
    for net in $1 $2; do
        until [ "$(cat $net/brport/state)" = 3 ]; do usleep 100000; done
    done'''

Wire = Tuple[socket.socket, Path]


@pytest.fixture(name='wires', scope='module')
def fixture_wires(tmp_path_factory: pytest.TempPathFactory
                  ) -> Iterator[List[Wire]]:
    """The other end of each card's wire, and its name."""
    folder = tmp_path_factory.mktemp('wires')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        wires = [(one, folder / 'one'), (other, folder / 'other')]
        for end, path in wires:
            end.bind(str(path))
            end.settimeout(PATIENCE)
        yield wires


@pytest.fixture(name='host', scope='module')
def fixture_host(tree: BuildTree, wires: List[Wire]) -> Iterator[Host]:
    """A host that nests, with two cards."""
    with Host(tree, 'bridge', NESTED,
              [e1000e(slot, leads_to=path)
               for slot, (_, path) in enumerate(wires, 3)],
              memory='2G') as machine:
        yield machine


def next_frame(wire: Wire) -> bytes:
    """What comes out of @wire next and is one of ours."""
    while True:
        frame = wire[0].recv(2 * LONGEST)
        if frame[12:14] == EXPERIMENTAL:
            return frame


def test_frames_cross(host: Host, wires: List[Wire],
                      record_property: Callable[[str, object], None]
                      ) -> None:
    """Each frame, of any length, comes out as it went in, both ways; and the
    host maps nothing for it."""
    rng = random.Random(FRAMES)
    names = [b'\x02' + rng.randbytes(5) for _ in wires]
    with host.guest(stage1(*host.devices), kernel=STRICT,
                    program=COUNTED_QEMU) as guest:
        guest.check(BRIDGE)
        assert [binding['to'] for binding in bound(guest)] == ['nested'] * 2
        before = guest.ioctls()
        for number in range(FRAMES):
            way = number % 2
            length = rng.randint(60, LONGEST)
            frame = (names[1 - way] + names[way] + EXPERIMENTAL +
                     rng.randbytes(length - 14))
            end, path = wires[way]
            end.sendto(frame, f'{path}.card')
            assert next_frame(wires[1 - way]) == frame, number
        calls = guest.ioctls() - before
        record_property(f'calls for {FRAMES} frames', dict(calls))
        assert not calls.keys() & BINDING
        assert calls['INVALIDATE']
