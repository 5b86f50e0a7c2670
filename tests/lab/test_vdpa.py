# SPDX-License-Identifier: GPL-2.0-or-later
"""
vDPA devices behind intel-iommu: network cards of the host's that speak virtio,
which Linux' vp_vdpa drives behind the host's VT-d, and one that Linux
simulates, which is behind none.
"""

from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional

import pytest

from assignment import STOPPED_PORT, unassigned
from bridge import Wire, bridge, check_crossing, two_wires
from buildtree import BuildTree
from device import virtio_net
from guest import Guest, Refused
from host import CONSOLE, Host
from view import shown, sysfs_unit
from vtd import read_capabilities

MEMORY = '128M'
NIC = ('virtio-net-pci,disable-legacy=on,iommu_platform=on,romfile=,'
       'netdev=vdpa')
FRAMES = 20
HOT: Dict[str, object] = {
    'driver': 'virtio-net-pci', 'id': 'hot', 'bus': 'rp', 'netdev': 'vdpa',
    'iommu_platform': True, 'romfile': ''}


@dataclass(frozen=True)
class Bench:
    """A host, its width, vhost-vdpa's files, and where the cards' wires
    end."""

    host: Host
    width: int
    card: str
    other: str
    simulated: str
    wires: List[Wire]


@pytest.fixture(name='bench', scope='module', params=(39, 48))
def fixture_bench(tree: BuildTree, request: pytest.FixtureRequest,
                  tmp_path_factory: pytest.TempPathFactory
                  ) -> Iterator[Bench]:
    """A host with both, as wide as the parameter says."""
    with two_wires(tmp_path_factory.mktemp('wires')) as wires:
        cards = [virtio_net(slot, leads_to=path)
                 for slot, (_, path) in enumerate(wires, 3)]
        with Host(tree, f'vdpa-{request.param}', {'aw-bits': request.param},
                  cards, memory='2G') as host:
            yield Bench(host, request.param, host.make_vdpa('card', cards[0]),
                        host.make_vdpa('other', cards[1]),
                        host.make_vdpa('simulated'), wires)


def options(file: str, width: Optional[int] = None,
            **iommu: object) -> List[str]:
    """The options of a guest that can have vhost-vdpa's @file for a
    backend."""
    return [*unassigned('legacy', width, MEMORY,
                        **{'caching-mode': None, **iommu}),
            '-netdev', f'vhost-vdpa,id=vdpa,vhostdev={file}']


def with_card(file: str, width: Optional[int] = None) -> List[str]:
    """The options of a guest that has a card with it from the start."""
    return [*options(file, width), '-device', NIC]


def check_told(guest: Guest, width: int) -> None:
    """The guest is told of @width bits, and to tell what it maps."""
    told = read_capabilities(guest.monitor)
    assert (told.width, told.caching_mode) == (width, True)


def refusal(width: int, remedy: str) -> str:
    """Why the card is no device for a guest of 48 bits."""
    return ('vdpa card: host IOMMU dmar0 cannot back intel-iommu: address '
            f'width is 48 in the guest, {width} on the host ({remedy})')


def test_adopts(bench: Bench) -> None:
    """A guest is told of the host's width, and QEMU of the host's unit."""
    with bench.host.guest(with_card(bench.card)) as guest:
        check_told(guest, bench.width)
        assert shown(guest.monitor)['card'] == {
            'name': 'card', 'iommu-type': 'intel-vtd', 'source': 'sysfs',
            'aw-bits': bench.width,
            **sysfs_unit(bench.host, bench.host.devices[0])}


def test_simulated(bench: Bench) -> None:
    """What is behind no IOMMU takes all addresses, and nothing else is
    known of it."""
    with bench.host.guest(with_card(bench.simulated)) as guest:
        check_told(guest, 48)
        assert shown(guest.monitor) == {'simulated': {
            'name': 'simulated', 'iommu-type': 'unknown', 'source': 'none',
            'aw-bits': 64}}


def test_frames_cross(bench: Bench) -> None:
    """A guest that bridges two cards, with the width that was adopted: each
    frame comes out as it went in, both ways."""
    other = ['-netdev', f'vhost-vdpa,id=other,vhostdev={bench.other}',
             '-device', NIC.replace('netdev=vdpa', 'netdev=other')]
    with bench.host.guest([*with_card(bench.card), *other],
                          kernel=f'{CONSOLE} intel_iommu=on') as guest:
        bridge(guest, 'virtio/drivers/virtio_net')
        check_told(guest, bench.width)
        check_crossing(bench.wires, FRAMES)
        assert 'vhost' not in guest.log()


def test_given_width(bench: Bench) -> None:
    """What is given is a contract."""
    if bench.width == 48:
        with bench.host.guest(with_card(bench.card, 48)) as guest:
            check_told(guest, 48)
        return
    with pytest.raises(Refused) as refused:
        with bench.host.guest(with_card(bench.card, 48)):
            pass
    assert str(refused.value).splitlines()[-1] == (
        f'qemu-system-x86_64: -device {NIC}: ' +
        refusal(39, "use aw-bits=39, in libvirt aw_bits='39', or leave it "
                    "out to adopt the host's"))


def test_hotplug(bench: Bench) -> None:
    """A device that comes later fits, each time, or is told why not."""
    with bench.host.guest([*options(bench.card, **{'caching-mode': 'on'}),
                           *STOPPED_PORT]) as guest:
        for _ in range(2):
            if bench.width == 39:
                assert guest.refusal(HOT) == refusal(
                    39, "fixed since the VM started: start it with "
                        "aw-bits=39, in libvirt aw_bits='39', or with "
                        'host-iommu=all')
            else:
                guest.plug(HOT)
                assert list(shown(guest.monitor)) == ['card']
                guest.unplug('hot')
            assert shown(guest.monitor) == {}
