# SPDX-License-Identifier: GPL-2.0-or-later
"""
A libvirt domain with an intel-iommu.

    with Domain(libvirt, emulator, {'aw_bits': '39'}) as domain:
        domain.hmp('info iommu')

It is defined and started when the block is entered, paused lest firmware
keeps a processor busy, and gone when the block is left.
"""

import json
from pathlib import Path
from typing import Any, Mapping, Optional, Protocol, Sequence
from xml.sax.saxutils import quoteattr

from privatelibvirt import VirshError

TEMPLATE = '''
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/><apic/><ioapic driver='qemu'/></features>
  <devices>
    <emulator>{emulator}</emulator>
    <memballoon model='none'/>
    <iommu model='intel'>{driver}</iommu>
    {hardware}
  </devices>
  {extra}
</domain>
'''

# No hardware but what every q35 has
BARE = "<controller type='usb' model='none'/>"

# What <qemu:property> calls the types of JSON
TYPES = {bool: 'bool', int: 'unsigned', str: 'string'}


def tag(name: str, attributes: Mapping[str, object]) -> str:
    """An element without content."""
    return ' '.join([f'<{name}', *(f'{key}={quoteattr(str(value))}'
                                   for key, value in attributes.items())]
                    ) + '/>'


def command_line(objects: Sequence[Mapping[str, object]],
                 devices: Sequence[Mapping[str, object]],
                 first: Optional[str]) -> str:
    """The <qemu:commandline> that adds @objects and @devices. In JSON, as
    libvirt's own: others are created before those, so before the
    intel-iommu, as the device @first is."""
    words = ['-device', first] if first else []
    words += [word for option, items in (('-object', objects),
                                         ('-device', devices))
              for item in items for word in (option, json.dumps(item))]
    return '<qemu:commandline>' + ''.join(
        tag('qemu:arg', {'value': word}) for word in words
    ) + '</qemu:commandline>'


def override(properties: Mapping[str, object]) -> str:
    """The <qemu:override> that sets @properties of the intel-iommu."""
    return ('<qemu:override><qemu:device alias="iommu0"><qemu:frontend>' +
            ''.join(tag('qemu:property', {
                'name': name, 'type': TYPES[type(value)],
                'value': str(value).lower() if isinstance(value, bool)
                else value}) for name, value in properties.items()) +
            '</qemu:frontend></qemu:device></qemu:override>')


class Manager(Protocol):
    """What a domain needs of a libvirt."""

    def virsh(self, *arguments: object) -> str:
        """What virsh prints for @arguments; VirshError when it fails."""

    def define(self, xml: str) -> None:
        """Define the domain that @xml describes."""


class Domain:
    """A domain whose <iommu> has @driver for attributes of <driver>, with
    other @hardware and @elements of the domain in XML, and with @objects,
    @devices and a device @first of QEMU's and @properties of the intel-iommu
    that libvirt does not know."""

    def __init__(self, libvirt: Manager, emulator: Path,
                 driver: Mapping[str, str] = {}, *, hardware: str = BARE,
                 elements: str = '',
                 objects: Sequence[Mapping[str, object]] = (),
                 devices: Sequence[Mapping[str, object]] = (),
                 first: Optional[str] = None,
                 properties: Mapping[str, object] = {}) -> None:
        self._libvirt = libvirt
        self.name = 'guest'
        self._xml = TEMPLATE.format(
            name=self.name, emulator=emulator, hardware=hardware,
            driver=tag('driver', driver) if driver else '',
            extra=elements + command_line(objects, devices, first) +
            (override(properties) if properties else ''))

    def __enter__(self) -> 'Domain':
        self._libvirt.define(self._xml)
        try:
            self.virsh('start', '--paused')
        except VirshError:
            self.virsh('undefine')
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.state() != 'shut off':
            self.virsh('destroy')
        self.virsh('undefine')

    def virsh(self, command: str, *arguments: object) -> str:
        """What virsh prints for @command on this domain."""
        return self._libvirt.virsh(command, self.name, *arguments)

    def state(self) -> str:
        """The domain's state, as virsh calls it."""
        return self.virsh('domstate')

    def qmp(self, command: str, **arguments: object) -> Any:
        """The return value of a QMP command; VirshError when it fails."""
        request = json.dumps({'execute': command, 'arguments': arguments})
        return json.loads(self.virsh('qemu-monitor-command', request,
                                     '--return-value'))

    def hmp(self, line: str) -> str:
        """What the human monitor prints for @line."""
        return self.virsh('qemu-monitor-command', line, '--hmp')
