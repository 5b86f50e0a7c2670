# SPDX-License-Identifier: GPL-2.0-or-later
"""
Domains with <iommu model='intel'>: what <driver> gives is in force, what it
leaves out follows the devices, and libvirt shows what QEMU has to say.

The devices are QEMU's that stand for assigned ones, through
<qemu:commandline>.
"""

from pathlib import Path
from typing import Dict, Optional

import pytest

from domain import Domain
from hosts import HOSTS, make_sysfs
from privatelibvirt import Libvirt, VirshError
from vtd import read_capabilities

CAP_CM = 1 << 7
ECAP_DT = 1 << 2
ECAP_IR = 1 << 3
ECAP_EIM = 1 << 4

# A device whose host has 39 bits
NARROW = {'driver': 'host-iommu-testdev', 'id': 'dev0', 'aw-bits': 39,
          'iommu-type': 'intel-vtd', 'source': 'sysfs', 'unit': 'dmar1',
          'vtd-cap': 0x1c0000c40660462, 'vtd-ecap': 0x7e3ff0501e,
          'x-migratable': True}


@pytest.mark.parametrize('caching_mode', (None, 'on', 'off'))
@pytest.mark.parametrize('aw_bits', (None, '39', '48'))
def test_width_and_caching_mode(libvirt: Libvirt, emulator: Path,
                                aw_bits: Optional[str],
                                caching_mode: Optional[str]) -> None:
    """What is given is what the guest is told, also after a reset; what is
    left out is as it ever was, for there is no device."""
    given = {'aw_bits': aw_bits, 'caching_mode': caching_mode}
    driver = {name: value for name, value in given.items() if value}
    with Domain(libvirt, emulator, driver) as domain:
        shown = read_capabilities(domain)
        assert shown.width == int(aw_bits or 48)
        assert bool(shown.cap & CAP_CM) == (caching_mode == 'on')
        domain.virsh('reset')
        assert read_capabilities(domain) == shown


@pytest.mark.parametrize('driver, bits', [
    ({'intremap': 'on'}, ECAP_IR),
    ({'intremap': 'off'}, 0),
    ({'intremap': 'on', 'eim': 'on'}, ECAP_IR | ECAP_EIM),
    ({'intremap': 'on', 'iotlb': 'on'}, ECAP_IR | ECAP_DT),
    ({'intremap': 'on', 'iotlb': 'off'}, ECAP_IR),
], ids=lambda value: '-'.join(f'{name}_{given}' for name, given
                              in value.items())
   if isinstance(value, dict) else '')
def test_other_attributes(libvirt: Libvirt, emulator: Path,
                          driver: Dict[str, str], bits: int) -> None:
    """Each sets its bits of ECAP, and no other's."""
    with Domain(libvirt, emulator, driver) as domain:
        ecap = read_capabilities(domain).ecap
        assert ecap & (ECAP_IR | ECAP_DT | (
            ECAP_EIM if 'eim' in driver else 0)) == bits


def test_left_open_it_follows_the_device(libvirt: Libvirt,
                                         emulator: Path) -> None:
    """An <iommu> without <driver> adopts the host's width and turns
    caching-mode on; a reset changes neither."""
    with Domain(libvirt, emulator, devices=[NARROW]) as domain:
        adopted = read_capabilities(domain)
        assert adopted.width == 39
        assert adopted.cap & CAP_CM
        domain.virsh('reset')
        assert read_capabilities(domain) == adopted


def test_pinned_it_is_what_was_adopted(libvirt: Libvirt,
                                       emulator: Path) -> None:
    """<driver> with the adopted values makes the same guest."""
    with Domain(libvirt, emulator, devices=[NARROW]) as domain:
        adopted = read_capabilities(domain)
    with Domain(libvirt, emulator, {'caching_mode': 'on', 'aw_bits': '39'},
                devices=[NARROW]) as domain:
        assert read_capabilities(domain) == adopted


def refusal(libvirt: Libvirt, emulator: Path, driver: Dict[str, str]) -> str:
    """What virsh says of a domain with a device that does not start."""
    with pytest.raises(VirshError) as error:
        with Domain(libvirt, emulator, driver, devices=[NARROW]):
            pass
    return str(error.value)


def test_a_width_that_does_not_fit(libvirt: Libvirt, emulator: Path) -> None:
    """virsh shows the whole message, in libvirt's words too."""
    assert ('host IOMMU dmar1 cannot back intel-iommu: address width is 48 '
            "in the guest, 39 on the host (use aw-bits=39, in libvirt "
            "aw_bits='39', or leave it out to adopt the host's)"
            ) in refusal(libvirt, emulator, {'aw_bits': '48'})


def test_caching_mode_off(libvirt: Libvirt, emulator: Path) -> None:
    """virsh shows the whole message, in libvirt's words too."""
    assert ("an assigned device needs intel-iommu's caching-mode, which is "
            "off (use caching-mode=on, in libvirt caching_mode='on', or "
            'leave it out)'
            ) in refusal(libvirt, emulator, {'caching_mode': 'off'})


def test_a_property_of_qemu_s(libvirt: Libvirt, emulator: Path) -> None:
    """<qemu:override> reaches what <driver> has no attribute for."""
    with Domain(libvirt, emulator,
                properties={'snoop-control': True}) as domain:
        assert read_capabilities(domain).ecap & 1 << 7


def registers_over_save(libvirt: Libvirt, domain: Domain) -> None:
    """Save and restore @domain, and compare what the guest is told."""
    before = read_capabilities(domain)
    image = libvirt.folder / 'saved'
    domain.virsh('save', image)
    assert domain.state() == 'shut off'
    libvirt.virsh('restore', image, '--paused')
    assert read_capabilities(domain) == before


@pytest.mark.parametrize('driver', ({}, {'aw_bits': '39'}),
                         ids=('open', 'aw_bits_39'))
def test_save_without_a_device(libvirt: Libvirt, emulator: Path,
                               driver: Dict[str, str]) -> None:
    """Nothing is adopted, so nothing is lost."""
    with Domain(libvirt, emulator, driver) as domain:
        registers_over_save(libvirt, domain)


def test_save_of_what_was_pinned(libvirt: Libvirt, emulator: Path) -> None:
    """With a device whose host's values are given, neither."""
    with Domain(libvirt, emulator, {'caching_mode': 'on', 'aw_bits': '39'},
                devices=[NARROW]) as domain:
        registers_over_save(libvirt, domain)


def test_save_of_what_was_adopted(libvirt: Libvirt, emulator: Path) -> None:
    """It is refused with a reason that says how to pin it, and the domain
    goes on as it was."""
    with Domain(libvirt, emulator, devices=[NARROW]) as domain:
        before = read_capabilities(domain)
        with pytest.raises(VirshError) as error:
            domain.virsh('save', libvirt.folder / 'refused')
        assert ('intel-iommu adopted what its command line does not say: '
                'address width is 39, from dev0, host IOMMU dmar1 (use '
                "aw-bits=39, in libvirt aw_bits='39', or "
                'migrate-host-caps=on)') in str(error.value)
        assert domain.state() == 'paused'
        assert read_capabilities(domain) == before


def test_save_of_what_is_carried(libvirt: Libvirt, emulator: Path) -> None:
    """<qemu:override> opts in to carry what was adopted."""
    with Domain(libvirt, emulator, devices=[NARROW],
                properties={'migrate-host-caps': True}) as domain:
        registers_over_save(libvirt, domain)


def test_what_libvirt_can_ask(libvirt: Libvirt, emulator: Path) -> None:
    """query-viommu and info viommu tell what was adopted, and from where."""
    with Domain(libvirt, emulator, devices=[NARROW]) as domain:
        viommu, = domain.qmp('query-viommu')
        assert (viommu['address-width'], viommu['mgaw']) == (39, 39)
        assert viommu['qom-path'] == '/machine/peripheral/iommu0'
        width, = [field for field in viommu['fields']
                  if field.get('origin') == 'adopted']
        assert width['adopted'] == {
            'from': 'device', 'before': 48, 'name': 'dev0', 'unit': 'dmar1',
            'qom-path': '/machine/peripheral/dev0'}
        assert ('address-width is 39 in the guest, adopted from dev0 behind '
                'dmar1 (48 before)') in domain.hmp('info viommu')


@pytest.mark.parametrize('name, width', [('client', 39), ('server', 48),
                                         ('scalable', 47)])
def test_a_host_that_is_named(libvirt: Libvirt, emulator: Path, name: str,
                              width: int) -> None:
    """<qemu:override> names the hosts of a domain that gets its devices
    later."""
    sysfs = make_sysfs(libvirt.folder / f'sysfs-{name}', HOSTS[name])
    with Domain(libvirt, emulator, properties={'host-iommu': 'all'},
                first=f'host-iommu-testhost,sysfs={sysfs}') as domain:
        shown = read_capabilities(domain)
        assert shown.width == width
        assert shown.cap & CAP_CM
        domain.virsh('reset')
        assert read_capabilities(domain) == shown
