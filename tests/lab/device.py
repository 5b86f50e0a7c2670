# SPDX-License-Identifier: GPL-2.0-or-later
"""
PCI devices that a lab host can be declared with.

A declaration only: host.py turns it into options of the QEMU that
emulates the host. Slots 30 (virtio-serial) and 31 (chipset) of
bus 0 are taken.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple


@dataclass(frozen=True)
class Device:
    """A device in @slot of bus 0, made by @driver with @properties.

    It is function 0, or @function of several in that slot; @backing is what
    must precede it on the command line. @assigned are
    the properties that vfio-pci needs where this device is assigned, which
    it is meant to be unless @assignable is False.
    """

    driver: str
    slot: int
    properties: str = ''
    backing: Tuple[str, ...] = ()
    assigned: str = ''
    assignable: bool = True
    function: Optional[int] = None

    @property
    def address(self) -> str:
        """The PCI address by which the host's Linux knows it."""
        return f'0000:00:{self.slot:02x}.{self.function or 0}'

    @property
    def source(self) -> str:
        """How vfio-pci is told which device of the host to assign."""
        return f'host={self.address}'

    def binding(self, driver: str) -> str:
        """What a shell does to take it from its driver and give it to
        @driver."""
        return f'''
            cd /sys/bus/pci/devices/{self.address} || exit
            echo {driver} >driver_override
            ! [ -e driver ] || echo {self.address} >driver/unbind
            echo {self.address} >/sys/bus/pci/drivers/{driver}/bind'''

    @property
    def arguments(self) -> Tuple[str, ...]:
        """The options of QEMU that make it."""
        properties = f',{self.properties}' if self.properties else ''
        if self.function is not None:
            properties = f'.{self.function},multifunction=on{properties}'
        return (*self.backing, '-device',
                f'{self.driver},addr={self.slot:#x}{properties}')


def nvme(content: Path, slot: int, function: Optional[int] = None) -> Device:
    """An NVMe controller with one namespace, the bytes of @content."""
    path = str(content).replace(',', ',,')
    return Device('nvme', slot, f'drive=disk{slot},serial=lab{slot}', (
        '-drive', f'id=disk{slot},if=none,format=raw,file={path}'),
                  function=function)


def e1000e(slot: int, mac: str = '', leads_to: Optional[Path] = None
           ) -> Device:
    """A network card, @mac if that matters, that leads nowhere, or whose
    frames are datagrams from @leads_to.card to the socket @leads_to. Its ROM
    is not in the lab."""
    properties = 'romfile=' + (f',mac={mac}' if mac else '')
    if leads_to is None:
        return Device('e1000e', slot, properties, assigned='rombar=0')
    net = (f'dgram,id=net{slot},local.type=unix,local.path={leads_to}.card,'
           f'remote.type=unix,remote.path={leads_to}')
    return Device('e1000e', slot, f'{properties},netdev=net{slot}',
                  ('-netdev', net), assigned='rombar=0')


def virtio_net(slot: int, leads_to: Path) -> Device:
    """A network card that speaks virtio, to make a vDPA device of (see
    Host.make_vdpa), whose frames are datagrams as those of e1000e."""
    net = (f'dgram,id=net{slot},local.type=unix,local.path={leads_to}.card,'
           f'remote.type=unix,remote.path={leads_to}')
    return Device('virtio-net-pci', slot, 'romfile=,disable-legacy=on,'
                  f'iommu_platform=on,netdev=net{slot}', ('-netdev', net),
                  assignable=False)


def edu(slot: int) -> Device:
    """QEMU's teaching device: registers, a DMA engine, no driver."""
    return Device('edu', slot)


def dma_testdev(slot: int, function: Optional[int] = None) -> Device:
    """A DMA engine that copies at once what its registers say, for
    nesting.c, domain.c and function.c."""
    return Device('dma-testdev', slot, function=function)


def root_port(slot: int, name: str) -> Device:
    """A PCIe root port @name, to hotplug a device into."""
    return Device('pcie-root-port', slot, f'id={name},chassis={slot}',
                  assignable=False)


@dataclass(frozen=True)
class MediatedDevice:
    """A serial card @name, a UUID, that a driver of the host's Linux makes
    up: see Host.make_mediated. No IOMMU of the host is behind it."""

    name: str
    assigned: str = ''

    @property
    def address(self) -> str:
        """By what VFIO names it."""
        return self.name

    @property
    def source(self) -> str:
        """How vfio-pci is told which device of the host to assign."""
        return f'sysfsdev=/sys/bus/mdev/devices/{self.name}'
