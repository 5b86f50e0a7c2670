# SPDX-License-Identifier: GPL-2.0-or-later
"""
QEMU's options for a guest with an assigned device behind intel-iommu, and
what QEMU says where the host cannot back that.

Texts of errors are compared as a whole, here and nowhere else.
"""

import re
from typing import Dict, List, Optional, Sequence, Union

from device import Device, MediatedDevice, root_port
from host import Host

BACKENDS = ('iommufd', 'legacy')

Assignable = Union[Device, MediatedDevice]

# A PCIe root port of the guest, to plug a device into.
ROOT_PORT = root_port(slot=5, name='rp').arguments

# The same for a guest that does not run. Its hotplug is PCIe's and not
# ACPI's: while the slot has no power, a device goes as soon as it is told.
STOPPED_PORT = (*ROOT_PORT, '-global',
                     'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off')

# Why no device is assigned to an intel-iommu with NESTED.
NESTED_REFUSAL = (
    'intel-iommu does not support assigned devices with x-nested=on: its '
    'nested translation is emulated only (use x-nested=off and x-flts=off)')


def vfio_properties(device: Assignable, backend: str) -> str:
    """The vfio-pci device that assigns @device through @backend."""
    properties = f'vfio-pci,{device.source}'
    if backend == 'iommufd':
        properties += ',iommufd=iommufd0'
    if device.assigned:
        properties += f',{device.assigned}'
    return properties


def unassigned(backend: str, width: Optional[int] = None,
               memory: str = '256M', **more: object) -> List[str]:
    """The options of a guest that can be given a device through @backend,
    behind an intel-iommu that is @width bits wide, or that is left to find
    out where that is None, and has @more properties, less those that are
    None."""
    iommu: Dict[str, object] = {'caching-mode': 'on', **more}
    if width is not None:
        iommu['aw-bits'] = width
    options = [
        # What no guest of ours uses is left out: firmware and Linux take
        # their time to find that nothing is connected.
        '-machine', 'q35,sata=off,smbus=off,i8042=off',
        '-cpu', 'qemu64', '-m', memory, '-device',
        ','.join(['intel-iommu', *(f'{key}={value}'
                                   for key, value in iommu.items()
                                   if value is not None)])]
    if backend == 'iommufd':
        options += ['-object', 'iommufd,id=iommufd0']
    return options


def assigned(device: Assignable, backend: str, width: Optional[int] = None,
             memory: str = '256M', **more: object) -> List[str]:
    """The options of a guest with @device from the start."""
    return [*unassigned(backend, width, memory, **more),
            '-device', vfio_properties(device, backend)]


def hot(device: Assignable, backend: str) -> Dict[str, object]:
    """What device_add needs to assign @device through @backend, as "hot"
    in the root port."""
    key, value = device.source.split('=')
    arguments = {'driver': 'vfio-pci', 'id': 'hot', 'bus': 'rp', key: value}
    if backend == 'iommufd':
        arguments['iommufd'] = 'iommufd0'
    return arguments


def width_refusal(device: Device, backend: str, guest: int,
                  host: int) -> str:
    """What QEMU writes when aw-bits=@guest is given and @host is less."""
    return (f'qemu-system-x86_64: -device {vfio_properties(device, backend)}: '
            f'vfio {device.address}: Failed to set vIOMMU: '
            'host IOMMU dmar0 cannot back intel-iommu: '
            f'address width is {guest} in the guest, {host} on the host '
            f"(use aw-bits={host}, in libvirt aw_bits='{host}', "
            "or leave it out to adopt the host's)")


def busy_refusal(device: Device, backend: str, reason: str) -> str:
    """What device_add answers when another process has the only @device of
    its group, less the numbers in it (see without_numbers)."""
    what = ('error bind device fd=N to iommufd=N' if backend == 'iommufd'
            else "Could not open '/dev/vfio/N'")
    return f'vfio {device.address}: {what}: {reason}'


def without_numbers(text: str) -> str:
    """@text with N for each number of a file descriptor or group."""
    return re.sub(r'(fd=|/dev/vfio/|id=|group |the host, |\()\d+', r'\1N',
                  text)


def plug_refusal(device: Optional[Device], guest: int, host: int) -> str:
    """What device_add answers when the width froze at @guest and @host is
    less. Without a @device, to a host-iommu-testdev, which names no unit."""
    begin = (f'vfio {device.address}: Failed to set vIOMMU: host IOMMU dmar0'
             if device else 'host IOMMU')
    return (f'{begin} cannot back intel-iommu: '
            f'address width is {guest} in the guest, {host} on the host '
            f'(fixed since the VM started: start it with aw-bits={host}, '
            f"in libvirt aw_bits='{host}', or with host-iommu=all)")


def refused_at_start(device: Assignable, backend: str, why: str) -> str:
    """What QEMU writes when it does not start with @device, and says
    @why."""
    return (f'qemu-system-x86_64: -device {vfio_properties(device, backend)}: '
            f'vfio {device.address}: {why}')


NEEDS_PARENT = ('intel-iommu needs a nesting parent, as it has x-flts=on (use '
                'x-flts=off): ')
LEGACY_NESTING_REFUSAL = (
    f"{NEEDS_PARENT}VFIO's legacy backend has no nesting parents")
MEDIATED_NESTING_REFUSAL = (
    f'{NEEDS_PARENT}a mediated device has no page tables of its own to nest '
    'on')


def nesting_refusal(backend: str, lacks: Sequence[str],
                    running: bool = False) -> str:
    """Why no device is assigned through @backend to an intel-iommu with
    x-flts=on, where the host @lacks something; and has no pages of 1 GiB,
    which stay on once the guest is @running."""
    if backend == 'legacy':
        return f'{LEGACY_NESTING_REFUSAL} (the device needs iommufd=)'
    needed = '; '.join(f'{what}: needed, off on the host (use x-flts=off)'
                       for what in lacks)
    if running:
        needed += ('; 1 GiB first-stage pages: on in the guest, off on the '
                   'host (use fs1gp=off)')
    return (f'host IOMMU dmar0 cannot back intel-iommu: {needed}: iommufd '
            'refuses a nesting parent: Failed to allocate hwpt: Operation not '
            'supported')


def caching_mode_refusal(begin: str, running: bool) -> str:
    """Why there is no assigned device, which @begin names, where
    caching-mode is off: since it was given, or since the guest is
    @running."""
    remedy = ("fixed since the VM started: start it with caching-mode=on, in "
              "libvirt caching_mode='on'" if running else
              "use caching-mode=on, in libvirt caching_mode='on', or leave it "
              "out")
    return (f"{begin}an assigned device needs intel-iommu's caching-mode, "
            f'which is off ({remedy})')


def memory_refusal(backend: str, region: str, top: int) -> str:
    """Why no device is assigned to a guest whose RAM, @region, ends at
    @top, on a host of 39 bits."""
    group = ('failed to setup container for group 1: '
             if backend == 'legacy' else '')
    return (f'{group}memory listener initialization failed: Region {region}: '
            f'guest RAM ends at {top:#x} and takes 40 address bits, the host '
            'IOMMU has 39: give the VM less')


def plugged_memory_refusal(device: Device, name: str, top: int) -> str:
    """Why memory @name that ends at @top cannot be plugged beside @device,
    whose host has 39 bits."""
    return (f'memory device {name} ends at {top:#x} and takes 40 address '
            f'bits, the host IOMMU dmar0 behind {device.address} has 39: '
            f'unplug {device.address} first, or plug less memory')


def maxmem_warning(device: Device, top: int) -> str:
    """What QEMU writes where memory up to @top can be plugged, and the host
    of @device has 39 bits."""
    return ('qemu-system-x86_64: warning: memory that can be plugged ends at '
            f'{top:#x} and takes 40 address bits, the host IOMMU dmar0 behind '
            f'{device.address} has 39: what lies beyond cannot be plugged '
            f'while {device.address} is there')


def bar_warning(region: str, driver: str, name: str, bar: int) -> str:
    """What QEMU writes where @region, a BAR of @driver @name, ends at N,
    beyond the 39 bits of the host."""
    return (f'qemu-system-x86_64: warning: Region {region}: BAR {bar} of '
            f'{driver} {name} ends at N and takes 40 address bits, the host '
            'IOMMU has 39: assigned devices cannot reach it (give the '
            "guest's CPU phys-bits=39, so that its firmware places BARs "
            'below)')


def shared_group_refusal(first: Device, second: Device, backend: str) -> str:
    """Why @second is not attached, less the numbers in it (see
    without_numbers), where @first of its group has another address space."""
    answer = ('[iommufd=N] error attach '
              f'{second.address} (N) to id=N: Invalid argument'
              if backend == 'iommufd' else
              'group N used in multiple address spaces')
    return (f'vfio {second.address}: {first.address} is in the same IOMMU '
            'group of the host, N, which has one address space, but the '
            'vIOMMU gives each function its own (put both behind one '
            f'pcie-pci-bridge): {answer}')


def migration_blocker(device: Device, host: int) -> str:
    """Why a guest that adopted @host's width from @device does not
    migrate."""
    return ('intel-iommu adopted what its command line does not say: '
            f'address width is {host}, from {device.address}, host IOMMU '
            f"dmar0 (use aw-bits={host}, in libvirt aw_bits='{host}', or "
            'migrate-host-caps=on)')


def start_story(device: Device, backend: str, cap: str,
                ecap: str) -> List[str]:
    """What -trace '*host_iommu*' tells of a start on a host of 39 bits whose
    sysfs shows @cap and @ecap."""
    source = 'iommufd' if backend == 'iommufd' else 'sysfs'
    return [
        f'vfio_host_iommu_wanted {device.address}: the vIOMMU wants flags 0x0',
        f'host_iommu_learned {device.address}: host IOMMU dmar0 is intel-vtd '
        f'(source {source}), width 39, VT-d cap 0x{cap} ecap 0x{ecap}',
        f'vtd_host_iommu_checked {device.address}: the host can back '
        'intel-iommu (frozen 0)',
        'vtd_host_iommu_adopted address-width: 48 before, 39 now, by '
        f'{device.address} (host IOMMU dmar0)',
        'vtd_host_iommu_frozen width 39, caching-mode 1 from now on']


def attach_events(host: Host, options: List[str], program: str) -> List[str]:
    """What a start of @program with @options traces of VFIO and iommufd, less
    what differs from run to run, and what the base does not trace."""
    with host.guest([*options, '-trace', 'iommufd*', '-trace', 'vfio_*'],
                    program=program) as guest:
        events = re.sub(r'0x[0-9a-f]{9,}|(?<=fd=)\d+|\(\d+\)', 'N',
                        guest.log()).splitlines()
    return [event for event in events
            if not event.startswith('vfio_host_iommu_')]
