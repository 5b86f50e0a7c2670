# SPDX-License-Identifier: GPL-2.0-or-later
"""
A QEMU that was built without iommufd, on a host of 39 bits: the legacy
backend is all that there is, and does all that it does in other builds.
"""

import gzip
import io
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from artifact import shared_libraries, stripped
from assignment import (LEGACY_NESTING_REFUSAL, STOPPED_PORT, assigned, hot,
                        migration_blocker, plug_refusal, refused_at_start, unassigned,
                        vfio_properties, width_refusal)
from buildtree import BuildTree
from cpio import Archive
from device import nvme
from guest import Guest, Refused
from host import CONSOLE, Host
from monitor import ExecuteError
from view import shown, sysfs_unit
from vtd import STAGE_1, read_capabilities

WIDTH = 39
MEMORY = '128M'
PROGRAM = '/lab/without-iommufd/qemu-system-x86_64'
READ_BYTES = 1 << 20


def pack(tree: BuildTree, image: Path) -> None:
    """Write @image, the host's with PROGRAM in it: Linux unpacks one archive
    after the other."""
    program = tree.qemu_without_iommufd
    stream = io.BytesIO()
    archive = Archive(stream)
    archive.file(PROGRAM.lstrip('/'), stripped(program, image.parent))
    for library in shared_libraries(program):
        archive.copy(str(library).lstrip('/'), library)
    archive.close()
    image.write_bytes(tree.image.read_bytes() + gzip.compress(
        stream.getvalue(), compresslevel=1, mtime=0))


@pytest.fixture(scope='module')
def host(tree: BuildTree, disk_contents: Tuple[Path, Path],
         tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host of WIDTH bits that has PROGRAM, and two disks: the first is for
    the guest below."""
    image = tmp_path_factory.mktemp('without-iommufd') / 'initramfs'
    pack(tree, image)
    with Host(tree, 'without-iommufd', {'aw-bits': WIDTH},
              [nvme(path, slot) for slot, path in enumerate(disk_contents, 3)],
              image=image) as machine:
        yield machine


@pytest.fixture(scope='module')
def guest(host: Host) -> Iterator[Guest]:
    """A guest with the host's device from the start, in which Linux boots."""
    with host.guest(assigned(host.devices[0], 'legacy', None, MEMORY),
                    kernel=f'{CONSOLE} iommu.strict=1',
                    program=PROGRAM) as started:
        yield started


def test_width_is_adopted(host: Host, guest: Guest) -> None:
    """The guest is told the host's width, which blocks migration."""
    device = host.devices[0]
    assert read_capabilities(guest.monitor).width == WIDTH
    viommu, = guest.monitor.cmd('query-viommu')
    assert viommu['blocked-reason'] == migration_blocker(device, WIDTH)


def test_host_is_known_from_sysfs(host: Host, guest: Guest) -> None:
    """What the host can do was read there, bit for bit."""
    device = host.devices[0]
    view = shown(guest.monitor)[device.address]
    assert view['source'] == 'sysfs'
    unit = sysfs_unit(host, device)
    assert {key: view[key] for key in unit} == unit


def test_linux_reads(guest: Guest, disk_content: Path) -> None:
    """Linux, which is strict, reads through both IOMMUs what is there."""
    read = guest.check('until [ -b /dev/nvme0n1 ]; do usleep 100000; done;'
                       f'head -c {READ_BYTES} /dev/nvme0n1').output
    assert read == disk_content.read_bytes()[:READ_BYTES]


def test_given_width_is_refused(host: Host) -> None:
    """The same message as in other builds."""
    device = host.devices[1]
    with pytest.raises(Refused) as refusal:
        with host.guest(assigned(device, 'legacy', 48, MEMORY),
                        program=PROGRAM):
            pass
    assert str(refusal.value).splitlines()[-1] == width_refusal(
        device, 'legacy', guest=48, host=WIDTH)


def test_stage_1_is_refused(host: Host) -> None:
    """Nobody is told to use iommufd."""
    device = host.devices[1]
    with pytest.raises(Refused) as refusal:
        with host.guest(assigned(device, 'legacy', None, MEMORY, **STAGE_1),
                        program=PROGRAM):
            pass
    assert str(refusal.value).splitlines()[-1] == refused_at_start(
        device, 'legacy', LEGACY_NESTING_REFUSAL)


def test_plug(host: Host) -> None:
    """A named host takes its device later, and another refuses it."""
    device = host.devices[1]
    with host.guest([*unassigned('legacy', None, MEMORY,
                                 **{'host-iommu': 'all'}), *STOPPED_PORT],
                    program=PROGRAM) as guest:
        guest.plug(hot(device, 'legacy'))
        assert shown(guest.monitor)[device.address]['aw-bits'] == WIDTH
        guest.unplug('hot')
        assert shown(guest.monitor) == {}
    with host.guest([*unassigned('legacy', None, MEMORY), *STOPPED_PORT],
                    program=PROGRAM) as guest:
        with pytest.raises(ExecuteError) as refusal:
            guest.plug(hot(device, 'legacy'))
        assert str(refusal.value) == plug_refusal(device, guest=48,
                                                  host=WIDTH)


def test_iommufd_is_refused(host: Host) -> None:
    """QEMU tells that it has none, as the base does."""
    device = host.devices[1]
    with pytest.raises(Refused) as refusal:
        with host.guest(unassigned('iommufd'), program=PROGRAM):
            pass
    assert str(refusal.value) == \
        'qemu-system-x86_64: invalid object type: iommufd'
    properties = vfio_properties(device, 'iommufd')
    with pytest.raises(Refused) as refusal:
        with host.guest([*unassigned('legacy'), '-device', properties],
                        program=PROGRAM):
            pass
    assert str(refusal.value).splitlines()[-1] == (
        f'qemu-system-x86_64: -device {properties}: '
        "Property 'vfio-pci.iommufd' not found")
