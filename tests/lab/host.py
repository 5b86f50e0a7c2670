# SPDX-License-Identifier: GPL-2.0-or-later
"""
A lab host: an emulated machine with VT-d, and Linux with VFIO in it.

    with Host(tree, 'narrow', {'aw-bits': 39}, [disk]) as host:
        host.run('dmesg')
        with host.guest(['-device', ...]) as guest:
            guest.monitor.cmd('query-status')

The host owns its machine and ends its guests when it ends. What it can do
as an IOMMU is what the properties of intel-iommu say.
"""

import tarfile
import tempfile
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import List, Mapping, Optional, Sequence, Type

from agent import Agent, CommandTimeout, LabError, Outcome
from buildtree import BuildTree
from device import Device, MediatedDevice
from guest import Guest
from machine import Channel, Machine

QEMU = '/lab/qemu-system-x86_64'
BASE_QEMU = '/lab/base/qemu-system-x86_64'
NARROWED_QEMU = '/lab/narrowed-qemu'
COUNTED_QEMU = '/lab/counted-qemu'
FAILING_QEMU = '/lab/failing-qemu'
COUNTERS = '/run/counters'

# Linux tests its timer against the wall clock, and panics on a machine that
# was not run for a moment; the timer works.
CONSOLE = 'console=ttyS0 loglevel=4 panic=-1 no_timer_check'

# A tick that comes whatever happens. Without, a timer that a CPU of the
# host had programmed was seen not to fire, once in some hundred guests,
# and what waited for RCU then waited for ever.
STEADY_TICK = 'nohz=off highres=off'

# Vendor and device of a PCI card that speaks virtio 1.x (its 4.1.2, 5.1)
VIRTIO_NET = '1af4 1041'

# Linux uses scalable mode where it is asked to and the IOMMU has it.
SCALABLE_MODE = 'intel_iommu=on,sm_on'


class Host:
    """A host @name whose intel-iommu has @iommu for properties, with
    @devices on bus 0, @image if not the build directory's, and @kernel for
    its Linux to be told; use as a context manager.

    Once entered it has booted, and its devices are bound to vfio-pci."""

    def __init__(self, tree: BuildTree, name: str,
                 iommu: Mapping[str, object],
                 devices: Sequence[Device] = (),
                 memory: str = '3G', image: Optional[Path] = None,
                 kernel: str = '') -> None:
        properties = {'intremap': 'on', 'caching-mode': 'off', **iommu}
        arguments: List[str] = [
            '-machine', 'q35', '-cpu', 'max', '-smp', '2', '-m', memory,
            '-kernel', str(tree.kernel), '-initrd', str(image or tree.image),
            '-append', f'{CONSOLE} {STEADY_TICK} {SCALABLE_MODE} {kernel}',
            '-device',
            ','.join(['intel-iommu', *(f'{key}={value}' for key, value
                                       in properties.items())])]
        for device in devices:
            arguments += device.arguments
        self.name = name
        self._tree = tree
        self.iommu = properties
        self.machine = Machine(tree, name, arguments)
        self.devices = tuple(devices)
        self._agent: Agent
        self._stack = ExitStack()
        self._guests = 0

    def __enter__(self) -> 'Host':
        for needed in (self._tree.kernel, self._tree.image):
            if not needed.exists():
                raise LabError(f'{needed} is not built: run make')
        with ExitStack() as stack:
            machine = stack.enter_context(self.machine)
            self._agent = Agent(self.name, machine.agent_socket,
                                machine.check_alive)
            stack.callback(self._agent.close)
            if self._tree.counted:
                stack.push(self._fetch_counters)
            self.check('true')
            for device in self.devices:
                if device.assignable:
                    self.bind_vfio(device)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def counts(self) -> bool:
        """Does the QEMU under test count its lines, and leave them if it
        ends by itself?"""
        return self._tree.counted

    def _fetch_counters(self, error: Optional[Type[BaseException]],
                        *_: object) -> None:
        """Keep them, unless the host may be gone."""
        if error:
            return
        archive = self.run(f'mkdir -p {COUNTERS} && tar -c -C {COUNTERS} .')
        self._tree.counters.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=BytesIO(archive.output)) as tar:
            tar.extractall(tempfile.mkdtemp(dir=self._tree.counters))

    def run(self, script: str, timeout: float = 300) -> Outcome:
        """Run @script with sh and wait for its end."""
        try:
            return self._agent.run(script, timeout)
        except CommandTimeout as error:
            raise CommandTimeout(f'{error}\n{self.machine.state()}') from None

    def check(self, script: str, timeout: float = 300) -> str:
        """The output of @script; LabError when it fails."""
        outcome = self.run(script, timeout)
        if outcome.code:
            raise LabError(f'{self.name}: status {outcome.code} of '
                           f'{script}\n{outcome.text}')
        return outcome.text

    def bind_vfio(self, device: Device) -> None:
        """Take @device from its driver and give it to vfio-pci."""
        self.check(device.binding('vfio-pci'))

    def make_mediated(self, device: MediatedDevice) -> None:
        """Have the driver of Linux' sample make @device, bound to VFIO."""
        self.check(f'echo {device.name} >/sys/class/mdev_bus/mtty/'
                   'mdev_supported_types/mtty-1/create')

    def make_vdpa(self, name: str, device: Optional[Device] = None) -> str:
        """Make a vDPA device @name of @device, which vp_vdpa gets to drive,
        or else one that Linux simulates; returns its file for vhost-vdpa."""
        parent = f'pci/{device.address}' if device else 'vdpasim_net'
        if device:
            self.check(f'''
                cd /sys/bus/pci || exit
                echo {device.address} >devices/{device.address}/driver/unbind
                echo {VIRTIO_NET} >drivers/vp-vdpa/new_id 2>/dev/null ||
                echo {device.address} >drivers/vp-vdpa/bind''')
        self.check(f'/lab/vdpa dev add name {name} mgmtdev {parent}')
        file, = self.check(
            f'cd /sys/bus/vdpa/devices/{name} && echo vhost-vdpa-*').split()
        return f'/dev/{file}'

    def plug_channel(self, name: str) -> Channel:
        """A new channel; its device in the host is `port NAME`."""
        return Channel(self.machine, name)

    def guest(self, arguments: Sequence[str], kernel: str = '',
              program: str = QEMU) -> Guest:
        """A guest of this host, not started yet: see guest.py."""
        self._guests += 1
        return Guest(self, f'guest{self._guests}', arguments, kernel,
                     program)
