# SPDX-License-Identifier: GPL-2.0-or-later
"""
What is known of the host behind an assigned device: as QEMU shows it in QOM,
and as the host's own Linux shows it in sysfs.
"""

from typing import Dict, List

from device import Device
from host import Host
from monitor import Monitor

UNITS = '/sys/devices/virtual/iommu'    # a folder for each unit of a host


def shown(monitor: Monitor) -> Dict[str, Dict[str, object]]:
    """The properties of each host-iommu-device of @monitor's machine, but
    its QOM type, by the name of its device."""
    views = {}
    for container in ('/machine/peripheral', '/machine/peripheral-anon'):
        for device in _children(monitor, container):
            path = f'{container}/{device}'
            if 'host-iommu-device' in _children(monitor, path):
                view = _properties(monitor, f'{path}/host-iommu-device')
                views[str(view['name'])] = view
    return views


def _children(monitor: Monitor, path: str) -> List[str]:
    return [prop['name'] for prop in monitor.cmd('qom-list', path=path)
            if prop['type'].startswith('child<')]


def _properties(monitor: Monitor, path: str) -> Dict[str, object]:
    return {prop['name']: monitor.cmd('qom-get', path=path,
                                      property=prop['name'])
            for prop in monitor.cmd('qom-list', path=path)
            if prop['name'] != 'type'}


def sysfs_unit(host: Host, device: Device) -> Dict[str, object]:
    """The unit of @host that translates for @device, as properties."""
    folder = f'/sys/bus/pci/devices/{device.address}/iommu'
    unit, cap, ecap = host.check(
        f'basename $(readlink -f {folder}) && '
        f'cat {folder}/intel-iommu/cap {folder}/intel-iommu/ecap').split()
    return {'unit': unit, 'vtd-cap': int(cap, 16), 'vtd-ecap': int(ecap, 16)}
