# SPDX-License-Identifier: GPL-2.0-or-later
"""
Two network cards that a guest's Linux bridges, and the other ends of their
wires: what goes in at one comes out at the other.
"""

import random
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Tuple

from guest import Guest

LONGEST = 1514              # bytes of a frame, with the header
PATIENCE = 120.0            # seconds for a frame
EXPERIMENTAL = b'\x88\xb5'  # an EtherType of nobody's

Wire = Tuple[socket.socket, Path]


@contextmanager
def two_wires(folder: Path) -> Iterator[List[Wire]]:
    """The other end of each card's wire, and its name below @folder."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        wires = [(one, folder / 'one'), (other, folder / 'other')]
        for end, path in wires:
            end.bind(str(path))
            end.settimeout(PATIENCE)
        yield wires


def bridge(guest: Guest, driver: str) -> None:
    """Have @guest bridge the two cards of @driver, a folder below /sys/bus,
    and wait until it forwards. Without the kernel's IPv4 there is no brctl.
    """
    guest.check(f'''
        until set -- /sys/bus/{driver}/*/net/* && [ -e $2 ]; do
            usleep 100000
        done
        ip link add bridge type bridge &&
        echo 0 >/sys/class/net/bridge/bridge/forward_delay &&
        ip link set bridge up || exit
        for net in $1 $2; do
            ip link set ${{net##*/}} master bridge &&
            ip link set ${{net##*/}} up || exit
        done
        for net in $1 $2; do
            until [ "$(cat $net/brport/state)" = 3 ]; do usleep 100000; done
        done''')


def next_frame(wire: Wire) -> bytes:
    """What comes out of @wire next and is one of ours."""
    while True:
        frame = wire[0].recv(2 * LONGEST)
        if frame[12:14] == EXPERIMENTAL:
            return frame


def check_crossing(wires: List[Wire], frames: int) -> None:
    """@frames of random length, this way and that, come out as they went
    in."""
    rng = random.Random(frames)
    names = [b'\x02' + rng.randbytes(5) for _ in wires]
    for number in range(frames):
        way = number % 2
        length = rng.randint(60, LONGEST)
        frame = (names[1 - way] + names[way] + EXPERIMENTAL +
                 rng.randbytes(length - 14))
        end, path = wires[way]
        end.sendto(frame, f'{path}.card')
        assert next_frame(wires[1 - way]) == frame, number
