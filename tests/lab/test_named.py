# SPDX-License-Identifier: GPL-2.0-or-later
"""
A guest that starts without a device and is given one later: intel-iommu's
host-iommu= names the host in advance, and query-host-iommu tells what will
fit before anyone tries.
"""

from pathlib import Path
from typing import Dict, Iterator

import pytest

from assignment import (BACKENDS, STOPPED_PORT, hot, plug_refusal,
                        unassigned)
from buildtree import BuildTree
from device import nvme
from guest import Guest
from host import Host
from monitor import ExecuteError
from view import shown
from vtd import read_capabilities

WIDTH = 39
MEMORY = '128M'


@pytest.fixture(scope='module')
def host(tree: BuildTree, disk_content: Path) -> Iterator[Host]:
    """A host of WIDTH bits."""
    with Host(tree, 'named', {'aw-bits': WIDTH},
              [nvme(disk_content, slot=3)]) as machine:
        yield machine


def foretold(guest: Guest) -> Dict[str, object]:
    """What query-host-iommu says of the host's only unit."""
    unit, = guest.monitor.cmd('query-host-iommu')
    return unit


@pytest.mark.parametrize('name', ('all', 'dmar0', '0000:00:03.0'))
@pytest.mark.parametrize('backend', BACKENDS)
def test_named_host_takes_its_device(host: Host, backend: str,
                                     name: str) -> None:
    """The width is the host's before there is a device, which then fits."""
    device = host.devices[0]
    with host.guest([*unassigned(backend, None, MEMORY,
                                 **{'host-iommu': name}),
                     *STOPPED_PORT]) as guest:
        assert read_capabilities(guest.monitor).width == WIDTH
        unit = foretold(guest)
        assert (unit['name'], unit['address-width'], unit['fits'],
                unit['misfits']) == ('dmar0', WIDTH, True, [])
        guest.plug(hot(device, backend))
        assert shown(guest.monitor)[device.address]['aw-bits'] == WIDTH
        assert read_capabilities(guest.monitor).width == WIDTH


@pytest.mark.parametrize('backend', BACKENDS)
def test_host_not_named_refuses(host: Host, backend: str) -> None:
    """Without it the device is refused, as was foretold."""
    device = host.devices[0]
    with host.guest([*unassigned(backend, None, MEMORY),
                     *STOPPED_PORT]) as guest:
        unit = foretold(guest)
        assert not unit['fits']
        assert unit['misfits'] == [{'name': 'address-width', 'guest': 48,
                                    'host': WIDTH}]
        with pytest.raises(ExecuteError) as refusal:
            guest.plug(hot(device, backend))
        refused = plug_refusal(device, guest=48, host=WIDTH)
        assert str(refusal.value) == refused
        assert refused.endswith(str(unit['reason']))
        assert 'host-iommu=' in refused
