# SPDX-License-Identifier: GPL-2.0-or-later
"""
The address width of intel-iommu against real hosts: a device is attached
and nothing runs yet. Every host width, backend and way to give aw-bits.
"""

from pathlib import Path
from typing import Iterator, Optional

import pytest

from assignment import BACKENDS, assigned, width_refusal
from buildtree import BuildTree
from device import nvme
from guest import Refused
from host import BASE_QEMU, Host
from vtd import Capabilities, read_capabilities

MEMORY = '128M'


@pytest.fixture(scope='module', params=(39, 48),
                ids=lambda width: f'host{width}')
def host(request: pytest.FixtureRequest, tree: BuildTree,
         disk_content: Path) -> Iterator[Host]:
    """A host whose IOMMU is 39 or 48 bits wide."""
    with Host(tree, f'width-{request.param}', {'aw-bits': request.param},
              [nvme(disk_content, slot=3)]) as machine:
        yield machine


def attach(host: Host, backend: str, given: Optional[int],
           **options: str) -> Capabilities:
    """What a guest with the host's device is told; Refused may come."""
    arguments = assigned(host.devices[0], backend, given, memory=MEMORY)
    with host.guest(arguments, **options) as guest:
        return read_capabilities(guest.monitor)


@pytest.mark.parametrize('given', (None, 39, 48),
                         ids=('unset', 'aw39', 'aw48'))
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
def test_registers_are_the_base_s(host: Host, tree: BuildTree,
                                  backend: str) -> None:
    """A VM that starts with the base keeps its registers, and one whose
    width was adopted has those of the base given that width."""
    if not tree.base_qemu.exists():
        pytest.skip('the pristine base is not built: make base image')
    width = host.iommu['aw-bits']
    given = None if width == 48 else width
    assert attach(host, backend, None) == attach(
        host, backend, given, program=BASE_QEMU)
