# SPDX-License-Identifier: GPL-2.0-or-later
"""
The QEMU that make check-full builds, with what a desktop's VMs use, in a
domain that uses it. It listens on sockets in libvirt's folder alone.
"""

from pathlib import Path

from domain import Domain
from privatelibvirt import Libvirt
from test_domain import NARROW
from vtd import read_capabilities

DESKTOP = '''
    <controller type='usb' model='qemu-xhci'/>
    <input type='tablet' bus='usb'/>
    <redirdev bus='usb' type='spicevmc'/>
    <interface type='user'><model type='e1000e'/></interface>
    <graphics type='vnc'><listen type='socket'/></graphics>
    <graphics type='spice'><listen type='socket'/></graphics>
    <video><model type='qxl'/></video>
    <sound model='ich9'/>
'''


def test_a_desktop(libvirt: Libvirt, full_emulator: Path) -> None:
    """VNC, SPICE, USB redirection, user networking and sound are there, and
    the intel-iommu follows its device as in the lean build."""
    with Domain(libvirt, full_emulator, hardware=DESKTOP,
                devices=[NARROW]) as domain:
        assert domain.qmp('query-vnc')['enabled']
        assert domain.qmp('query-spice')['enabled']
        assert 'type=user' in domain.hmp('info network')
        devices = domain.hmp('info qtree')
        for name in ('usb-redir', 'usb-tablet', 'qxl-vga', 'ich9-intel-hda'):
            assert f'dev: {name}, ' in devices
        assert read_capabilities(domain).width == 39
        domain.virsh('reset')
        assert read_capabilities(domain).width == 39
