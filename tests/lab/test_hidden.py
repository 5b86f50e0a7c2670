# SPDX-License-Identifier: GPL-2.0-or-later
"""
What QEMU knows of a host that hides the folders of its IOMMUs, as the
sandbox of a management layer does.
"""

from pathlib import Path
from typing import Dict, Iterator, Tuple

import pytest

from assignment import (BACKENDS, STOPPED_PORT, assigned, hot, unassigned)
from buildtree import BuildTree
from device import nvme
from host import Host
from view import UNITS, shown, sysfs_unit
from vtd import read_capabilities

WIDTH = 47
MEMORY = '128M'

View = Dict[str, Dict[str, object]]


@pytest.fixture(scope='module')
def hidden(tree: BuildTree, disk_content: Path
           ) -> Iterator[Tuple[Host, Dict[str, View]]]:
    """A host of WIDTH bits whose units are hidden by a mount, and what is
    known of it, by backend: the link to the unit's folder is still there,
    what it leads to is not."""
    device = nvme(disk_content, slot=3)
    with Host(tree, 'hidden', {'aw-bits': WIDTH}, [device]) as host:
        unit = sysfs_unit(host, device)
        host.check(f'mount -t tmpfs none {UNITS}')
        assert host.run(f'cat {UNITS}/*/intel-iommu/cap').code
        always = {'name': device.address, 'unit': unit['unit'],
                  'aw-bits': WIDTH}
        yield host, {
            'iommufd': {device.address: {
                **always, **unit, 'iommu-type': 'intel-vtd',
                'source': 'iommufd', 'hw-caps': 0}},
            'legacy': {device.address: {
                **always, 'iommu-type': 'unknown', 'source': 'none'}}}


@pytest.mark.parametrize('backend', BACKENDS)
def test_hidden_unit_at_start(hidden: Tuple[Host, Dict[str, View]],
                              backend: str) -> None:
    """The legacy backend knows no registers and iommufd does; the width
    follows the host with both."""
    host, known = hidden
    with host.guest(assigned(host.devices[0], backend, None,
                             MEMORY)) as guest:
        assert shown(guest.monitor) == known[backend]
        assert read_capabilities(guest.monitor).width == WIDTH


@pytest.mark.parametrize('backend', BACKENDS)
def test_hidden_unit_plugs(hidden: Tuple[Host, Dict[str, View]],
                           backend: str) -> None:
    """A device behind a hidden unit can be plugged."""
    host, known = hidden
    with host.guest([*unassigned(backend, WIDTH, MEMORY),
                     *STOPPED_PORT]) as guest:
        guest.plug(hot(host.devices[0], backend))
        assert shown(guest.monitor) == known[backend]
