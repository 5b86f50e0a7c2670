# SPDX-License-Identifier: GPL-2.0-or-later
"""
The failover of QEMU's docs/system/virtio-net-failover.rst behind an
intel-iommu that names its host in advance.

The primary, an assigned network card, is hidden until the guest's driver
asks for it, so it is always plugged after the width froze. It leaves before
a migration, and another comes at the destination: two QEMUs on one host,
with a card each, since a source holds on to its own until it ends.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Iterator, List

import pytest

from assignment import ROOT_PORT, plug_refusal, unassigned, vfio_properties
from buildtree import BuildTree
from device import Device, e1000e
from guest import Guest
from host import CONSOLE, Host
from view import shown
from vtd import Capabilities, read_capabilities

WIDTH = 39
MEMORY = '128M'
NAMED = {'host-iommu': 'all', 'migrate-host-caps': 'on'}

# Source and destination need not assign in the same way.
SOURCE_BACKEND = 'iommufd'
DESTINATION_BACKEND = 'legacy'

# Linux pairs the two by their address. Neither leads anywhere.
MAC = '52:54:00:6f:55:cc'
STANDBY = ('-device', f'virtio-net-pci,id=standby,mac={MAC},failover=on,'
                      'disable-legacy=on,iommu_platform=on,romfile=')

KERNEL = f'{CONSOLE} iommu.strict=1'

# Sets $net to the interface of a card that e1000e drives, once it is the
# primary of the failover interface that is up, and sees a link.
FIND_PRIMARY = '''
    until net=$(echo /sys/bus/pci/drivers/e1000e/*/net/*) &&
          [ -e $net/master ] && [ "$(cat $net/carrier 2>&1)" = 1 ]; do
        usleep 100000
    done'''

# The same for the standby, where it is alone.
FIND_STANDBY = 'net=$(echo /sys/class/net/failover/lower_*)'


@dataclass(frozen=True)
class Moved:
    """A guest that has migrated, where it runs now, and what it was told and
    had sent through its primary at the source."""

    guest: Guest
    told: Capabilities
    sent: int


def options(device: Device, backend: str, **iommu: object) -> List[str]:
    """The options of a guest with a failover pair that has @device for its
    primary, assigned through @backend."""
    return [*unassigned(backend, None, MEMORY, **iommu), *ROOT_PORT, *STANDBY,
            '-device', vfio_properties(device, backend) +
            ',id=primary,bus=rp,failover_pair_id=standby']


def set_up(guest: Guest) -> None:
    """Turn the failover interface on, under a name of ours: it is the one
    with interfaces below it. Its driver has asked for the primary by then."""
    guest.check('''
        until set -- /sys/class/net/*/lower_*/.. && [ -e $1 ]; do
            usleep 100000
        done
        net=${1%/lower_*}
        ip link set ${net##*/} name failover
        ip link set failover up''')


def send(guest: Guest, find: str) -> int:
    """Send frames out of the failover interface until the one below it that
    @find finds has sent one; how many it has sent since it came.

    Neither is counted at once. The primary does so itself, once it has read
    the frame from memory, and Linux asks it every other second."""
    return int(guest.check(f'''{find}
        read -r before <$net/statistics/tx_packets
        now=$before
        while [ $now -le $before ]; do
            arping -D -c 1 -w 1 -I failover 192.0.2.1 >/dev/null
            read -r now <$net/statistics/tx_packets
        done
        echo $now''').text)


@pytest.fixture(scope='module')
def host(tree: BuildTree) -> Iterator[Host]:
    """A host of WIDTH bits with network cards of one address, for source
    and destination, and for a guest that is refused one."""
    with Host(tree, 'failover', {'aw-bits': WIDTH},
              [e1000e(slot, MAC) for slot in (3, 4, 5)]) as machine:
        yield machine


@pytest.fixture(scope='module')
def moved(host: Host) -> Iterator[Moved]:
    """A guest that had the first card for its primary, and migrated to where
    the second is to be."""
    with ExitStack() as stack:
        source = stack.enter_context(host.guest(
            options(host.devices[0], SOURCE_BACKEND, **NAMED),
            kernel=KERNEL))
        assert shown(source.monitor) == {}
        destination = stack.enter_context(host.guest(
            [*options(host.devices[1], DESTINATION_BACKEND, **NAMED),
             '-incoming', 'defer'], kernel=KERNEL))
        assert shown(destination.monitor) == {}
        set_up(source)
        assert list(shown(source.monitor)) == [host.devices[0].address], \
            source.log()
        sent = send(source, FIND_PRIMARY)
        told = read_capabilities(source.monitor)
        source.check('touch /run/before')
        source.migrate(destination)
        yield Moved(destination, told, sent)


def test_primary_fits_the_named_host(moved: Moved) -> None:
    """The primary was plugged, since the width was the host's before it
    came, and it read through both IOMMUs what Linux sent."""
    assert moved.told.width == WIDTH
    assert moved.sent > 0


def test_guest_goes_on(moved: Moved) -> None:
    """It is the same Linux, and it was told the same."""
    moved.guest.check('[ -e /run/before ]')
    assert read_capabilities(moved.guest.monitor) == moved.told


def test_primary_of_destination(host: Host, moved: Moved) -> None:
    """The other card has come in place of the first, and Linux sends
    through it."""
    assert list(shown(moved.guest.monitor)) == [host.devices[1].address], \
        moved.guest.log()
    assert send(moved.guest, FIND_PRIMARY) > 0


def test_host_not_named_refuses(host: Host) -> None:
    """Without host-iommu= the primary is refused by name when the guest asks
    for it, and the guest goes on with the standby alone."""
    device = host.devices[2]
    with host.guest(options(device, SOURCE_BACKEND),
                    kernel=KERNEL) as guest:
        set_up(guest)
        refused = plug_refusal(device, guest=48, host=WIDTH)
        assert refused in guest.log()
        assert shown(guest.monitor) == {}
        assert send(guest, FIND_STANDBY) > 0
