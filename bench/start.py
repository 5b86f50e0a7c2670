# SPDX-License-Identifier: GPL-2.0-or-later
"""
Instructions for a start with many devices, until the machine is done, and for
one device that is plugged while others are there.
"""

from counted import CountedQEMU, functions
from invalidations import LISTENERS, SHADOW
from rows import Table

FEW, SOME, MANY = 8, 64, 200
GROWTH = 1.05           # of what the last ones add by what the first do


def count(binary, listener, devices):
    """Instructions until the machine is done."""
    _, device, options, _ = listener
    with CountedQEMU(binary, options, functions(device, devices),
                     cut_after='qdev_machine_creation_done') as qemu:
        qemu.cut()
    return qemu.counts[0]


def typed(value):
    """What QEMU's command line calls @value, as its monitor does."""
    return {'on': True, 'off': False}.get(
        value, int(value) if value.isdigit() else value)


def count_plugged(binary, listener):
    """Instructions to plug the first device, and the last of many."""
    _, device, options, _ = listener
    driver, *properties = device.split(',')
    ports = functions('pcie-root-port,id=port%d,chassis=%d', MANY)
    with CountedQEMU(binary, options,
                     [port.replace('%d', str(i))
                      for i, port in enumerate(ports)],
                     'qmp_device_add') as qemu:
        for i in range(MANY):
            if i in (1, MANY - 1):
                qemu.cut()
            qemu.monitor(
                'device_add', driver=driver, bus=f'port{i}',
                **{name: typed(value) for name, value in (
                    word.split('=') for word in properties)})
        qemu.cut()
    return qemu.counts[0], qemu.counts[2]


def measure(builds):
    """Yields: the tables of starts, of growth, and of plugging."""
    starts = Table('instructions for a start with devices, in thousands',
                   'base', 'ours', bound=1.01)
    growth = Table('what one device adds to that',
                   f'{FEW} to {SOME}', f'{SOME} to {MANY}', bound=GROWTH)
    plugs = Table('instructions to plug a device, in thousands', 'first',
                  f'{MANY}th', bound=GROWTH)
    for listener in LISTENERS:
        name = listener[0]
        few, some, many = (count(builds.ours, listener, devices) / 1000
                           for devices in (FEW, SOME, MANY))
        if listener is SHADOW:
            starts.add(f'{SOME} devices, {name}', count(
                builds.base_with_testdev, listener, SOME) / 1000, some)
        growth.add(name, (some - few) / (SOME - FEW),
                   (many - some) / (MANY - SOME))
        plugs.add(name, *(plugged / 1000 for plugged in count_plugged(
            builds.ours, listener)))
    yield starts
    yield growth
    yield plugs
