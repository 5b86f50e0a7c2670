# SPDX-License-Identifier: GPL-2.0-or-later
"""
A lab host that libvirt manages: the libvirtd that the tests have, in system
mode, with the QEMU under test.

    with libvirt_host(tree, installation, folder, 'name', {...},
                      [e1000e(3)]) as (host, libvirt):
        libvirt.virsh('list')

It has an image of its own, twice the size of the others' and only for it:
Linux unpacks one archive after the other.
"""

import gzip
import io
import os
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Mapping, Sequence, Tuple

from artifact import shared_libraries
from buildtree import BuildTree
from cpio import Archive
from device import Device
from host import Host

sys.path.append(str(Path(__file__).resolve().parents[1] / 'libvirt'))

# pylint: disable=wrong-import-position
from installation import Installation  # noqa: E402
from privatelibvirt import VirshError  # noqa: E402

SCHEMAS = Path('/usr/share/libvirt')

# There is one user, and nothing to confine a guest with.
FILES = {
    # the two that libvirt looks for before it reads its configuration
    'etc/passwd': 'root:x:0:0:root:/:/bin/sh\n'
                  'libvirt-qemu:x:64055:64055::/:/bin/sh\n',
    'etc/group': 'root:x:0:\nlibvirt-qemu:x:64055:\nkvm:x:64056:\n',
    'etc/libvirt/qemu.conf': 'user = "root"\ngroup = "root"\n'
                             'security_driver = "none"\nnamespaces = []\n'
                             'cgroup_controllers = []\nremember_owner = 0\n'
                             'stdio_handler = "file"\n',
    'etc/libvirt/libvirtd.conf': 'auth_unix_rw = "none"\n'
                                 'unix_sock_group = "root"\n'
                                 'log_outputs = "3:file:/run/libvirtd.log"\n',
}


def pack(tree: BuildTree, libvirt: Installation, image: Path) -> None:
    """Write @image, the host's with @libvirt in it."""
    programs = [libvirt.libvirtd, libvirt.virsh, *libvirt.drivers()]
    run = libvirt.command(os.getuid(), os.getgid())
    schemas = libvirt.file(SCHEMAS)
    files = {*programs, *(SCHEMAS / path.relative_to(schemas)
                          for pattern in ('cpu_map/*', 'schemas/*')
                          for path in schemas.glob(pattern)),
             *(library for program in programs
               for library in shared_libraries(program, run))}
    stream = io.BytesIO()
    archive = Archive(stream)
    for path in sorted(files):
        archive.copy(str(path).lstrip('/'), libvirt.file(path))
    for name, text in FILES.items():
        archive.file(name, text.encode())
    archive.folder('var/log')
    archive.link('var/run', '/run')
    # where the QEMU in /lab looks, as it does when it is installed
    archive.link('share/qemu', '/lab/firmware')
    archive.close()
    image.write_bytes(tree.image.read_bytes() + gzip.compress(
        stream.getvalue(), compresslevel=1, mtime=0))


class LibvirtInHost:
    """virsh in @host, as a domain of tests/libvirt wants it."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def virsh(self, *arguments: object) -> str:
        """What virsh prints for @arguments; VirshError when it fails."""
        outcome = self._host.run(shlex.join(
            [str(Installation.virsh), '-q', *map(str, arguments)]))
        if outcome.code:
            raise VirshError(outcome.text)
        return outcome.text.replace('\r\n', '\n').strip()

    def define(self, xml: str) -> None:
        """Define the domain that @xml describes."""
        self._host.check(f'printf %s {shlex.quote(xml)} >/run/domain.xml')
        self.virsh('define', '--validate', '/run/domain.xml')


@contextmanager
def libvirt_host(tree: BuildTree, installation: Installation,
                 folder: Path, name: str,
                 iommu: Mapping[str, object], devices: Sequence[Device]
                 ) -> Iterator[Tuple[Host, LibvirtInHost]]:
    """A host whose libvirtd is running; @folder is for its image."""
    image = folder / 'initramfs'
    pack(tree, installation, image)
    with Host(tree, name, iommu, devices, memory='2G',
              image=image) as host:
        host.check(f'mkdir -p /dev/shm && {installation.libvirtd} --daemon')
        yield host, LibvirtInHost(host)
