# SPDX-License-Identifier: GPL-2.0-or-later
"""
A mediated device behind intel-iommu: Linux' sample of one, a serial card
that its driver makes up. No IOMMU of the host is behind it, so there is
nothing to adopt or to check, but the guest has to tell what it maps.
"""

from typing import Dict, Iterator

import pytest

from assignment import (BACKENDS, MEDIATED_NESTING_REFUSAL, NESTED_REFUSAL,
                        STOPPED_PORT, assigned, attach_events,
                        caching_mode_refusal, hot, refused_at_start,
                        unassigned)
from buildtree import BuildTree
from device import MediatedDevice
from guest import Guest, Refused
from host import BASE_QEMU, QEMU, Host
from monitor import ExecuteError
from view import shown
from vtd import NESTED, STAGE_1, read_capabilities

MEMORY = '128M'
CARD = MediatedDevice('6c1f0b9e-3a52-4c4e-9d1b-7f60a8f2d155')
LEFT_OPEN: Dict[str, object] = {'caching-mode': None}


@pytest.fixture(scope='module')
def host(tree: BuildTree) -> Iterator[Host]:
    """A host of 39 bits with a mediated device."""
    with Host(tree, 'mdev', {'aw-bits': 39}) as machine:
        machine.make_mediated(CARD)
        yield machine


def is_plugged(guest: Guest) -> bool:
    """Has @guest an assigned device?"""
    return any(child['type'] == 'child<vfio-pci>'
               for name in ('peripheral', 'peripheral-anon')
               for child in guest.monitor.cmd('qom-list',
                                              path=f'/machine/{name}'))


@pytest.mark.parametrize('backend', BACKENDS)
def test_caching_mode_comes_on(host: Host, backend: str) -> None:
    """Left open, caching-mode is on; and the width stays as it is."""
    with host.guest(assigned(CARD, backend, None, MEMORY,
                             **LEFT_OPEN)) as guest:
        assert is_plugged(guest)
        told = read_capabilities(guest.monitor)
        assert (told.caching_mode, told.width) == (True, 48)
        assert shown(guest.monitor) == {}
    with host.guest(unassigned(backend, None, MEMORY, **LEFT_OPEN)) as guest:
        assert not read_capabilities(guest.monitor).caching_mode


@pytest.mark.parametrize('backend', BACKENDS)
def test_attaches_as_the_base(host: Host, tree: BuildTree,
                              backend: str) -> None:
    """VFIO does with it what it always did."""
    if not tree.base_qemu.exists():
        pytest.skip('the pristine base is not built: make base image')
    options = assigned(CARD, backend, 48, MEMORY)
    ours = attach_events(host, options, QEMU)
    assert f'vfio_mdev  ({CARD.name}) is_mdev 1' in ours
    assert ours == attach_events(host, options, BASE_QEMU)


@pytest.mark.parametrize('backend', BACKENDS)
def test_stage_1_is_refused(host: Host, backend: str) -> None:
    """A vIOMMU that wants to nest finds nothing to nest on."""
    with pytest.raises(Refused) as refusal:
        with host.guest(assigned(CARD, backend, 48, MEMORY, **STAGE_1)):
            pass
    # What KVM says without /dev/kvm comes before.
    assert str(refusal.value).splitlines()[-1] == refused_at_start(
        CARD, backend, MEDIATED_NESTING_REFUSAL)


@pytest.mark.parametrize('backend', BACKENDS)
def test_nested_is_refused(host: Host, backend: str) -> None:
    """A vIOMMU that nests itself takes no device, at start and later."""
    options = {**LEFT_OPEN, **NESTED}
    with pytest.raises(Refused) as refusal:
        with host.guest(assigned(CARD, backend, None, MEMORY, **options)):
            pass
    assert str(refusal.value).splitlines()[-1] == refused_at_start(
        CARD, backend, NESTED_REFUSAL)
    with host.guest([*unassigned(backend, None, MEMORY, **options),
                     *STOPPED_PORT]) as guest:
        assert guest.refusal(hot(CARD, backend)) == (
            f'vfio {CARD.name}: {NESTED_REFUSAL}')


@pytest.mark.parametrize('backend', BACKENDS)
def test_caching_mode_off_is_refused(host: Host, backend: str) -> None:
    """Given off, it is not turned on."""
    with pytest.raises(Refused) as refusal:
        with host.guest(assigned(CARD, backend, None, MEMORY,
                                 **{'caching-mode': 'off'})):
            pass
    assert str(refusal.value).splitlines()[-1] == refused_at_start(
        CARD, backend, caching_mode_refusal('', running=False))


@pytest.mark.parametrize('backend', BACKENDS)
def test_plug_and_unplug(host: Host, backend: str) -> None:
    """It can come later where caching-mode is on, and goes; elsewhere it is
    told why not, and leaves nothing."""
    with host.guest([*unassigned(backend, None, MEMORY),
                     *STOPPED_PORT]) as guest:
        guest.plug(hot(CARD, backend))
        assert is_plugged(guest)
        guest.unplug('hot')
        assert not is_plugged(guest)
    with host.guest([*unassigned(backend, None, MEMORY, **LEFT_OPEN),
                     *STOPPED_PORT]) as guest:
        before = guest.open_files()
        with pytest.raises(ExecuteError) as refusal:
            guest.plug(hot(CARD, backend))
        assert str(refusal.value) == caching_mode_refusal(
            f'vfio {CARD.name}: ', running=True)
        assert guest.open_files() == before
