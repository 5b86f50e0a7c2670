# SPDX-License-Identifier: GPL-2.0-or-later
"""
How VFIO attaches a device: what the vIOMMU wants of it, what is told when
the host cannot, and what it leaves as it was.
"""

import re
from pathlib import Path
from typing import Dict, Iterator

import pytest

from assignment import (BACKENDS, NESTED_REFUSAL, STOPPED_PORT, assigned,
                        attach_events, bar_warning, hot, maxmem_warning,
                        memory_refusal, nesting_refusal,
                        plugged_memory_refusal, refused_at_start, start_story,
                        unassigned)
from buildtree import BuildTree
from device import nvme
from examples import MANUAL, console_examples
from guest import Refused
from host import BASE_QEMU, CONSOLE, QEMU, Host
from monitor import ExecuteError
from vtd import NESTED, STAGE_1

LACKS = {
    'off': ('scalable mode', 'first-stage translation',
            'second-stage translation', 'nested translation'),
    'on': ('first-stage translation', 'nested translation'),
}


@pytest.fixture(scope='module', params=('off',), ids=('legacy-mode',))
def host(request: pytest.FixtureRequest, tree: BuildTree,
         disk_content: Path) -> Iterator[Host]:
    """A host of 39 bits, without scalable mode where a test does not ask for
    it."""
    with Host(tree, f'attach-{request.param}',
              {'aw-bits': 39, 'x-scalable-mode': request.param},
              [nvme(disk_content, slot=3)]) as machine:
        yield machine


each_mode = pytest.mark.parametrize(
    'host', ('off', 'on'), ids=('legacy-mode', 'scalable-mode'),
    indirect=True, scope='module')


@each_mode
@pytest.mark.parametrize('backend', BACKENDS)
def test_nesting_parent_is_refused(host: Host, backend: str) -> None:
    """A vIOMMU that wants to nest is told what stands against it."""
    device = host.devices[0]
    lacks = LACKS[str(host.iommu['x-scalable-mode'])]
    with pytest.raises(Refused) as refusal:
        with host.guest(assigned(device, backend, 48, '128M', **STAGE_1)):
            pass
    # What KVM says without /dev/kvm comes before.
    assert str(refusal.value).splitlines()[-1] == refused_at_start(
        device, backend, nesting_refusal(backend, lacks))


@each_mode
@pytest.mark.parametrize('backend', BACKENDS)
def test_nesting_parent_is_refused_at_hotplug(host: Host,
                                              backend: str) -> None:
    """The same later, and the VM goes on without the device."""
    device = host.devices[0]
    lacks = LACKS[str(host.iommu['x-scalable-mode'])]
    with host.guest([*unassigned(backend, 48, '128M', **STAGE_1),
                     *STOPPED_PORT]) as guest:
        assert guest.refusal(hot(device, backend)) == (
            f'vfio {device.address}: '
            f'{nesting_refusal(backend, lacks, running=True)}')


@pytest.mark.parametrize('backend', BACKENDS)
def test_nested_is_refused(host: Host, backend: str) -> None:
    """A vIOMMU that nests itself takes no device; whatever caching-mode is,
    and it is the first thing that is said."""
    device = host.devices[0]
    options: Dict[str, object] = {'caching-mode': None, **NESTED}
    with pytest.raises(Refused) as refusal:
        with host.guest(assigned(device, backend, None, '128M', **options)):
            pass
    assert str(refusal.value).splitlines()[-1] == refused_at_start(
        device, backend, NESTED_REFUSAL)
    with host.guest([*unassigned(backend, None, '128M', **options),
                     *STOPPED_PORT]) as guest:
        assert guest.refusal(hot(device, backend)) == (
            f'vfio {device.address}: {NESTED_REFUSAL}')


@pytest.mark.parametrize('backend', BACKENDS)
def test_memory_beyond_the_host_s_width(host: Host, backend: str) -> None:
    """RAM that the host cannot map is named, and the host's width."""
    device = host.devices[0]
    with pytest.raises(Refused) as refusal:
        with host.guest([
                *assigned(device, backend, None, '600G'),
                '-object', 'memory-backend-ram,id=ram,size=600G,reserve=off',
                '-machine', 'memory-backend=ram']):
            pass
    # Two of the GiB are below 4 GiB.
    assert str(refusal.value).splitlines()[-1] == refused_at_start(
        device, backend, memory_refusal(backend, 'ram', (4 + 598) << 30))


# Of PLUGGABLE, on q35.
PLUGGABLE = '128M,slots=1,maxmem=600G'
PLUGGABLE_TOP = 0x9738000000
DIMM_MEMORY = ('-object', 'memory-backend-ram,id=ram0,size=128M')


def dimm(end: int) -> Dict[str, object]:
    """What device_add needs for a DIMM that ends at @end."""
    return {'driver': 'pc-dimm', 'id': 'dimm', 'memdev': 'ram0',
            'addr': end - (128 << 20)}


@pytest.mark.parametrize('backend', BACKENDS)
def test_dimm_beyond_the_host_s_width(host: Host, backend: str) -> None:
    """It is refused in words, and where it fits it is there; that it may
    be refused is said at the start."""
    device = host.devices[0]
    beyond = (1 << 39) + (128 << 20)
    with host.guest([*assigned(device, backend, 39, PLUGGABLE),
                     *DIMM_MEMORY]) as guest:
        assert maxmem_warning(device,
                              PLUGGABLE_TOP) in guest.log().splitlines()
        with pytest.raises(ExecuteError) as refusal:
            guest.plug(dimm(beyond))
        assert str(refusal.value) == plugged_memory_refusal(device, 'dimm',
                                                            beyond)
        guest.plug(dimm(1 << 39))
        assert [each['data']['id'] for each in
                guest.monitor.cmd('query-memory-devices')] == ['dimm']


@pytest.mark.parametrize('backend', BACKENDS)
def test_device_after_a_dimm_beyond(host: Host, backend: str) -> None:
    """Where the DIMM was first, the device is refused."""
    device = host.devices[0]
    beyond = (1 << 39) + (128 << 20)
    with host.guest([*unassigned(backend, 39, PLUGGABLE), *DIMM_MEMORY,
                     *STOPPED_PORT]) as guest:
        guest.plug(dimm(beyond))
        assert guest.refusal(hot(device, backend)) == (
            f'vfio {device.address}: '
            f"{memory_refusal(backend, 'ram0', beyond)}")


def test_bar_beyond_the_host_s_width(host: Host) -> None:
    """A BAR that is RAM is named with its device, and its guest lives: the
    firmware puts one of 4 GiB above all memory that can be plugged."""
    device = host.devices[0]
    with host.guest([
            *assigned(device, 'legacy', 39, '256M,slots=1,maxmem=600G'),
            '-object', 'memory-backend-ram,id=shm,size=4G,share=on,'
            'reserve=off',
            '-device', 'ivshmem-plain,id=shared,memdev=shm'],
                    kernel=CONSOLE) as guest:
        guest.check('true')
        said = [line for line in guest.log().splitlines() if 'Region' in line]
        assert [re.sub(r'ends at 0x[0-9a-f]+', 'ends at N', line)
                for line in said] == [bar_warning('shm', 'ivshmem-plain',
                                                  'shared', 2)]


def test_manual_shows_what_is_printed(host: Host) -> None:
    """The manual's VM with a device of VFIO's, started as it stands there."""
    device = host.devices[0]
    command, *lines = (
        line.replace('0000:01:00.0', device.address)
        for line in next(example for example in console_examples(MANUAL)
                         if 'vfio-pci' in example[0]))
    with host.guest([*command.split()[2:], '-nodefaults']) as guest:
        assert lines == ['(qemu) info viommu',
                         *guest.monitor.hmp('info viommu').splitlines()]


@pytest.mark.parametrize('backend', BACKENDS)
def test_trace_tells_the_story(host: Host, backend: str) -> None:
    """What was wanted, learned, checked, adopted and frozen."""
    device = host.devices[0]
    cap, ecap = host.check('cd /sys/class/iommu/dmar0/intel-iommu &&'
                           'cat cap ecap').split()
    with host.guest([*assigned(device, backend, None, '128M'),
                     '-trace', '*host_iommu*']) as guest:
        assert guest.log().splitlines() == start_story(device, backend, cap,
                                                       ecap)


@each_mode
@pytest.mark.parametrize('backend', BACKENDS)
def test_attaches_as_the_base(host: Host, tree: BuildTree,
                              backend: str) -> None:
    """Without a wish of the vIOMMU's, VFIO does what it always did."""
    if not tree.base_qemu.exists():
        pytest.skip('the pristine base is not built: make base image')
    options = assigned(host.devices[0], backend, 39, '128M')
    ours = attach_events(host, options, QEMU)
    assert len(ours) > 10
    assert ours == attach_events(host, options, BASE_QEMU)
