# SPDX-License-Identifier: GPL-2.0-or-later
"""
Each call by which QEMU asks the host's VFIO and iommufd fails once, while a
guest binds a device to a domain of its VFIO, maps, unmaps, and gives the device
back.
"""

from typing import Callable, Dict, Iterator, Tuple

import pytest

from assignment import assigned
from buildtree import BuildTree
from device import dma_testdev
from failing import arm, seen, some_failures
from guest import Guest
from host import CONSOLE, FAILING_QEMU, Host
from stage1 import LINUX
from steps import Steps
from vtd import NESTED, STAGE_1

# pytest's record_property: what a run prints beside its cases
Record = Callable[[str, object], None]

# Backend, properties of intel-iommu, and the guest's kernel
CASES: Dict[str, Tuple[str, Dict[str, object], str]] = {
    'legacy': ('legacy', {}, f'{CONSOLE} intel_iommu=on,sm_off'),
    'iommufd': ('iommufd', {}, f'{CONSOLE} intel_iommu=on,sm_off'),
    'stage-1': ('iommufd', dict(STAGE_1), LINUX),
}
IN_GUEST = dma_testdev(0x10)
IOVA, PAGE = 0x4000_1000, 0x1000
DONE = 1                # what dma-testdev answers


@pytest.fixture(name='host', scope='module')
def fixture_host(tree: BuildTree) -> Iterator[Host]:
    """A host that nests, with a device."""
    with Host(tree, 'failing_domain', NESTED, [dma_testdev(3)],
              memory='2G') as machine:
        yield machine


def live(guest: Guest) -> Tuple[bool, bool]:
    """The life of a domain: could the device reach a page while it was
    mapped, and after that?"""
    with Steps(guest, f'/lab/domain {IN_GUEST.address}') as program:
        program.step('map', IOVA, 0, PAGE)
        mapped, = program.step('dma', 0, IOVA, IOVA, 8)
        program.step('unmap', IOVA, PAGE)
        unmapped, = program.step('dma', 0, IOVA, IOVA, 8)
    return mapped == DONE, unmapped == DONE


@pytest.mark.parametrize('case', CASES)
def test_domain(host: Host, case: str, record_property: Record) -> None:
    """The guest lives whatever fails, and its next domain is right; where
    the host walks its tables, what it unmapped is out of reach at once."""
    backend, iommu, kernel = CASES[case]
    options = assigned(host.devices[0], backend, None, **iommu)
    options[-1] += f',addr={IN_GUEST.slot:#x}'
    arm(host)
    with host.guest(options, kernel=kernel, program=FAILING_QEMU) as guest:
        guest.check(IN_GUEST.binding('vfio-pci'))
        assert live(guest) == (True, False)
        arm(host)
        assert live(guest) == (True, False)
        calls = seen(host)
        kept = []
        for failure in some_failures(calls):
            arm(host, failure)
            if live(guest)[1]:
                kept.append(str(failure))
            assert seen(host)[failure.at - 1] == failure.call
            arm(host)
            assert live(guest) == (True, False), failure
        record_property('calls', len(calls))
        record_property('what the host did not take back', kept)
        assert case != 'stage-1' or not kept
