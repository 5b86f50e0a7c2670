# SPDX-License-Identifier: GPL-2.0-or-later
"""
QEMU's options for a guest with an assigned device behind intel-iommu, and
what QEMU says where the host cannot back that.

Texts of errors are compared as a whole, here and nowhere else.
"""

from typing import Dict, List, Optional

from device import Device

BACKENDS = ('iommufd', 'legacy')


def vfio_arguments(device: Device, backend: str) -> Dict[str, str]:
    """The arguments of device_add that assign @device through @backend."""
    arguments = {'driver': 'vfio-pci', 'host': device.address}
    if backend == 'iommufd':
        arguments['iommufd'] = 'iommufd0'
    return arguments


def vfio_properties(device: Device, backend: str) -> str:
    """The vfio-pci device that assigns @device through @backend, as an
    option of QEMU."""
    driver, *arguments = vfio_arguments(device, backend).items()
    properties = [driver[1], *(f'{key}={value}' for key, value in arguments)]
    if device.assigned:
        properties.append(device.assigned)
    return ','.join(properties)


def unassigned(backend: str, width: Optional[int] = None,
               memory: str = '256M') -> List[str]:
    """The options of a guest that can be given a device through @backend,
    behind an intel-iommu that is @width bits wide, or that is left to find
    out where that is None."""
    iommu: Dict[str, object] = {'caching-mode': 'on'}
    if width is not None:
        iommu['aw-bits'] = width
    options = [
        # What no guest of ours uses is left out: firmware and Linux take
        # their time to find that nothing is connected.
        '-machine', 'q35,sata=off,smbus=off,i8042=off',
        '-cpu', 'qemu64', '-m', memory, '-device',
        ','.join(['intel-iommu', *(f'{key}={value}'
                                   for key, value in iommu.items())])]
    if backend == 'iommufd':
        options += ['-object', 'iommufd,id=iommufd0']
    return options


def assigned(device: Device, backend: str, width: Optional[int] = None,
             memory: str = '256M') -> List[str]:
    """The options of a guest with @device from the start."""
    return [*unassigned(backend, width, memory),
            '-device', vfio_properties(device, backend)]


def width_refusal(device: Device, backend: str, guest: int,
                  host: int) -> str:
    """What QEMU writes when aw-bits=@guest is given and @host is less."""
    return (f'qemu-system-x86_64: -device {vfio_properties(device, backend)}: '
            f'vfio {device.address}: Failed to set vIOMMU: '
            'host IOMMU dmar0 cannot back intel-iommu: '
            f'address width is {guest} in the guest, {host} on the host '
            f"(use aw-bits={host}, in libvirt aw_bits='{host}', "
            "or leave it out to adopt the host's)")
