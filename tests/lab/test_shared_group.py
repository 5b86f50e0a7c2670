# SPDX-License-Identifier: GPL-2.0-or-later
"""
Two functions of one device, as a GPU and its audio are: one IOMMU group of
the host, which has one address space, and a vIOMMU that gives each of them
its own.
"""

from typing import Iterator

import pytest

from assignment import (BACKENDS, STOPPED_PORT, hot, shared_group_refusal,
                        unassigned, vfio_properties, without_numbers)
from buildtree import BuildTree
from device import dma_testdev
from guest import Guest, Refused
from host import Host
from monitor import ExecuteError
from view import shown

WIDTH = 39
MEMORY = '128M'
BRIDGE = ('-device', 'pcie-pci-bridge,id=bridge')


@pytest.fixture(scope='module')
def host(tree: BuildTree) -> Iterator[Host]:
    """A host with a device of two functions."""
    with Host(tree, 'functions', {'aw-bits': WIDTH},
              [dma_testdev(3, function) for function in (0, 1)]) as machine:
        yield machine


def start(host: Host, backend: str, *places: str) -> Guest:
    """A guest with the functions of the host's device at @places."""
    options = unassigned(backend, None, MEMORY)
    options += BRIDGE
    for device, place in zip(host.devices, places):
        options += ['-device', f'{vfio_properties(device, backend)},{place}']
    return host.guest([*options, *STOPPED_PORT])


@pytest.mark.parametrize('backend', BACKENDS)
def test_each_on_its_own_is_refused(host: Host, backend: str) -> None:
    """Two address spaces: the message says whose they are, and what helps."""
    first, second = host.devices
    with pytest.raises(Refused) as refusal:
        with start(host, backend, 'addr=6.0,multifunction=on', 'addr=6.1'):
            pass
    said = without_numbers(str(refusal.value).splitlines()[-1])
    assert said.endswith(': ' + shared_group_refusal(first, second, backend))


@pytest.mark.parametrize('backend', BACKENDS)
def test_refused_at_hotplug(host: Host, backend: str) -> None:
    """The same later; the VM keeps what it has."""
    first, second = host.devices
    with start(host, backend, 'addr=6.0') as guest:
        before = shown(guest.monitor)
        with pytest.raises(ExecuteError) as refusal:
            guest.plug(hot(second, backend))
        assert without_numbers(str(refusal.value)) == shared_group_refusal(
            first, second, backend)
        assert shown(guest.monitor) == before


@pytest.mark.parametrize('backend', BACKENDS)
def test_behind_one_bridge(host: Host, backend: str) -> None:
    """One requester ID, so one address space: what the message advises."""
    with start(host, backend, 'bus=bridge,addr=1.0,multifunction=on',
               'bus=bridge,addr=1.1') as guest:
        assert sorted(shown(guest.monitor)) == [
            device.address for device in host.devices]
