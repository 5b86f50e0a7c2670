# SPDX-License-Identifier: GPL-2.0-or-later
"""
Stage-1 passthrough of two network cards that a guest bridges: what comes in
at one goes out at the other, by tables of the guest's.
"""

from typing import Callable, Iterator, List

import pytest

from bridge import Wire, bridge, check_crossing, two_wires
from buildtree import BuildTree
from device import e1000e
from host import COUNTED_QEMU, Host
from stage1 import BINDING, STRICT, bound, stage1
from vtd import NESTED

FRAMES = 100


@pytest.fixture(name='wires', scope='module')
def fixture_wires(tmp_path_factory: pytest.TempPathFactory
                  ) -> Iterator[List[Wire]]:
    """The other end of each card's wire, and its name."""
    with two_wires(tmp_path_factory.mktemp('wires')) as wires:
        yield wires


@pytest.fixture(name='host', scope='module')
def fixture_host(tree: BuildTree, wires: List[Wire]) -> Iterator[Host]:
    """A host that nests, with two cards."""
    with Host(tree, 'bridge', NESTED,
              [e1000e(slot, leads_to=path)
               for slot, (_, path) in enumerate(wires, 3)],
              memory='2G') as machine:
        yield machine


def test_frames_cross(host: Host, wires: List[Wire],
                      record_property: Callable[[str, object], None]
                      ) -> None:
    """Each frame, of any length, comes out as it went in, both ways; and the
    host maps nothing for it."""
    with host.guest(stage1(*host.devices), kernel=STRICT,
                    program=COUNTED_QEMU) as guest:
        bridge(guest, 'pci/drivers/e1000e')
        assert [binding['to'] for binding in bound(guest)] == ['nested'] * 2
        before = guest.ioctls()
        check_crossing(wires, FRAMES)
        calls = guest.ioctls() - before
        record_property(f'calls for {FRAMES} frames', dict(calls))
        assert not calls.keys() & BINDING
        assert calls['INVALIDATE']
