# SPDX-License-Identifier: GPL-2.0-or-later
"""
libvirt as the manager of a real host: a device that is assigned with
<hostdev>, and through iommufd by what <hostdev> says of it, or by the way that
is left where it has no word for it.
"""

from pathlib import Path
from typing import Iterator

import pytest

from buildtree import BuildTree
from device import e1000e
from libvirthost import LibvirtInHost, libvirt_host
from vtd import read_capabilities

# pylint: disable=wrong-import-order
from domain import BARE, Domain
from installation import Installation
from privatelibvirt import VirshError

QEMU = Path('/lab/qemu-system-x86_64')
CARD = e1000e(slot=3)
CAP_CM = 1 << 7
WIDTH = 39

HOSTDEV = '''
    <hostdev mode='subsystem' type='pci' managed='no'>
      <source><address domain='0' bus='0' slot='3' function='0'/></source>
      <rom enabled='no'/>
    </hostdev>
'''
# libvirt opens the device and the iommufd: for one, or for all of a domain
IOMMUFD = {
    'device': {'hardware': BARE + HOSTDEV.replace(
        '<rom', "<driver iommufd='yes'/><rom")},
    'domain': {'hardware': BARE + HOSTDEV,
               'elements': "<iommufd enabled='yes'/>"},
}
TOO_WIDE = ('host IOMMU dmar0 cannot back intel-iommu: address width is 48 '
            f'in the guest, {WIDTH} on the host (use aw-bits={WIDTH}, in '
            f"libvirt aw_bits='{WIDTH}', or leave it out to adopt the "
            "host's)")


@pytest.fixture(name='libvirt', scope='module')
def fixture_libvirt(tree: BuildTree, tmp_path_factory:
                    pytest.TempPathFactory) -> Iterator[LibvirtInHost]:
    """The libvirt of a host of 39 bits."""
    installation = Installation.find(tree.top)
    reason = installation.why_not()
    if reason:
        pytest.skip(reason)
    with libvirt_host(tree, installation, tmp_path_factory.mktemp('image'), 'libvirt',
                      {'aw-bits': WIDTH}, [CARD]) as (_, libvirt):
        yield libvirt


def test_hostdev_follows_the_host(libvirt: LibvirtInHost) -> None:
    """With the legacy backend, and nothing given in <iommu>."""
    with Domain(libvirt, QEMU, hardware=BARE + HOSTDEV) as domain:
        shown = read_capabilities(domain)
        assert shown.width == WIDTH
        assert shown.cap & CAP_CM


def test_hostdev_that_does_not_fit(libvirt: LibvirtInHost) -> None:
    """virsh shows the whole message, which names the host's unit."""
    with pytest.raises(VirshError) as error:
        with Domain(libvirt, QEMU, {'aw_bits': '48'},
                    hardware=BARE + HOSTDEV):
            pass
    assert TOO_WIDE in str(error.value)


@pytest.mark.parametrize('of', IOMMUFD)
def test_hostdev_with_iommufd(libvirt: LibvirtInHost, of: str) -> None:
    """By file descriptors; it is as well known as what QEMU opens."""
    with Domain(libvirt, QEMU, **IOMMUFD[of]) as domain:
        shown = read_capabilities(domain)
        assert shown.width == WIDTH
        assert shown.cap & CAP_CM
        viommu, = domain.qmp('query-viommu')
        device, = viommu['devices']
        assert {name: device[name] for name in ('unit', 'backend', 'source')
                } == {'unit': 'dmar0', 'backend': 'iommufd-vfio',
                      'source': 'iommufd'}


def test_hostdev_with_iommufd_that_does_not_fit(libvirt: LibvirtInHost
                                                ) -> None:
    """virsh shows the same message, with the device's address."""
    with pytest.raises(VirshError) as error:
        with Domain(libvirt, QEMU, {'aw_bits': '48'}, **IOMMUFD['device']):
            pass
    assert f'vfio {CARD.address}: Failed to set vIOMMU: {TOO_WIDE}' in str(
        error.value)


def test_iommufd_follows_the_host(libvirt: LibvirtInHost) -> None:
    """Through <qemu:commandline>."""
    with Domain(libvirt, QEMU, objects=[{'qom-type': 'iommufd',
                                         'id': 'iommufd0'}],
                devices=[{'driver': 'vfio-pci', 'host': CARD.address,
                          'iommufd': 'iommufd0', 'rombar': 0}]) as domain:
        shown = read_capabilities(domain)
        assert shown.width == WIDTH
        assert shown.cap & CAP_CM
