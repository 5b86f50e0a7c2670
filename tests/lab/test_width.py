# SPDX-License-Identifier: GPL-2.0-or-later
"""
intel-iommu against real hosts: a device is attached and nothing runs yet.
Every width of host, backend and way to give aw-bits.
"""

from pathlib import Path
from typing import Iterator, Optional

import pytest

from assignment import BACKENDS, assigned, unassigned, width_refusal
from buildtree import BuildTree
from device import nvme
from guest import Refused
from host import BASE_QEMU, Host
from view import shown, sysfs_unit
from vtd import Capabilities, is_in_scalable_mode, read_capabilities

MEMORY = '128M'


@pytest.fixture(scope='module',
                params=((39, 'off'), (42, 'on'), (47, 'off'), (48, 'on')),
                ids=lambda kind: 'host{}-scalable-{}'.format(*kind))
def host(request: pytest.FixtureRequest, tree: BuildTree,
         disk_content: Path) -> Iterator[Host]:
    """A host by the width of its IOMMU and whether that has scalable
    mode."""
    width, scalable = request.param
    with Host(tree, f'width-{width}-scalable-{scalable}',
              {'aw-bits': width, 'x-scalable-mode': scalable},
              [nvme(disk_content, slot=3)]) as machine:
        yield machine


def attach(host: Host, backend: str, given: Optional[int]) -> Capabilities:
    """What a guest with the host's device is told; Refused may come."""
    with host.guest(assigned(host.devices[0], backend, given,
                             memory=MEMORY)) as guest:
        return read_capabilities(guest.monitor)


@pytest.fixture(name='base', scope='module')
def fixture_base(host: Host, tree: BuildTree) -> Iterator[Capabilities]:
    """What the base, which knows 39 and 48 bits, tells a guest that is to
    be as wide as the host."""
    if not tree.base_qemu.exists():
        pytest.skip('the pristine base is not built: make base image')
    width = host.iommu['aw-bits']
    with host.guest(unassigned('legacy', 39 if width == 39 else 48, MEMORY),
                    program=BASE_QEMU) as guest:
        yield read_capabilities(guest.monitor).with_width(width)


def test_host_uses_what_it_has(host: Host) -> None:
    """The host's Linux is in scalable mode where its IOMMU has that."""
    assert is_in_scalable_mode(host.machine.monitor) == (
        host.iommu['x-scalable-mode'] == 'on')


@pytest.mark.parametrize('given', (None, 39, 42, 48),
                         ids=('unset', 'aw39', 'aw42', 'aw48'))
@pytest.mark.parametrize('backend', BACKENDS)
def test_attach(host: Host, backend: str, given: Optional[int]) -> None:
    """A width that fits is in force, one left out follows the host, and
    one given that is too wide is refused with the reason."""
    if given and given > host.iommu['aw-bits']:
        with pytest.raises(Refused) as refusal:
            attach(host, backend, given)
        assert str(refusal.value) == width_refusal(
            host.devices[0], backend, guest=given,
            host=host.iommu['aw-bits'])
    else:
        width = given or host.iommu['aw-bits']
        capabilities = attach(host, backend, given)
        assert capabilities.width == width
        assert capabilities.table_widths == ((39,) if width == 39
                                             else (39, 48))


@pytest.mark.parametrize('backend', BACKENDS)
def test_registers_are_the_base_s(host: Host, base: Capabilities,
                                  backend: str) -> None:
    """Where the width follows the host nothing but MGAW differs from the
    base's registers, and on a host of 39 or 48 bits not even that."""
    assert attach(host, backend, None) == base


@pytest.mark.parametrize('backend', BACKENDS)
def test_view_is_the_host_s(host: Host, backend: str) -> None:
    """QOM shows the registers that the host's sysfs shows, bit for bit,
    the width that the host lets a device use, and where both are from."""
    device = host.devices[0]
    expected = {'name': device.address, 'iommu-type': 'intel-vtd',
                'aw-bits': host.iommu['aw-bits'],
                **sysfs_unit(host, device)}
    if backend == 'iommufd':
        # No dirty tracking, no PASIDs: the emulated host has neither.
        expected.update({'source': 'iommufd', 'hw-caps': 0})
    else:
        expected['source'] = 'sysfs'
    with host.guest(assigned(device, backend, memory=MEMORY)) as guest:
        assert shown(guest.monitor) == {device.address: expected}
