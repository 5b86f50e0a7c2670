# SPDX-License-Identifier: GPL-2.0-or-later
"""
A second device in the container of the first, on a host whose IOMMU is
narrower by then. What the kernel tells is changed by narrow.c.

Behind a bridge to conventional PCI, intel-iommu cannot tell devices apart:
so they share an address space, and therefore a container.
"""

from pathlib import Path
from typing import Iterator

import pytest

from assignment import (BACKENDS, hot, plug_refusal, unassigned,
                        vfio_properties)
from buildtree import BuildTree
from device import edu, nvme
from host import NARROWED_QEMU, Host
from monitor import ExecuteError
from view import shown


@pytest.fixture(scope='module')
def host(tree: BuildTree, disk_content: Path) -> Iterator[Host]:
    """A host of 48 bits with two devices."""
    with Host(tree, 'reuse', {'aw-bits': 48},
              [nvme(disk_content, slot=3), edu(slot=4)]) as machine:
        yield machine


@pytest.mark.parametrize('backend', BACKENDS)
def test_ranges_are_read_again(host: Host, backend: str) -> None:
    """A device that narrows its container below the frozen width is
    refused, what is there stays as it was, and it fits once its host
    does."""
    first, second = host.devices
    with host.guest([*unassigned(backend, None, '128M'),
                     '-device', 'pcie-pci-bridge,id=bridge', '-device',
                     f'{vfio_properties(first, backend)},bus=bridge,addr=1'],
                    program=NARROWED_QEMU) as guest:
        before = shown(guest.monitor)
        assert before[first.address]['aw-bits'] == 48
        host.check('touch /run/narrow')
        try:
            with pytest.raises(ExecuteError) as refusal:
                guest.plug({**hot(second, backend), 'bus': 'bridge'})
        finally:
            host.check('rm /run/narrow')
        assert str(refusal.value) == plug_refusal(second, guest=48, host=39)
        assert shown(guest.monitor) == before
        guest.plug({**hot(second, backend), 'bus': 'bridge'})
        assert shown(guest.monitor)[second.address]['aw-bits'] == 48
