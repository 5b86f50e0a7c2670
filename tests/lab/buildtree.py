# SPDX-License-Identifier: GPL-2.0-or-later
"""
Where the build directory keeps what the lab is made of.

Every other file of the lab asks here and joins no path below the build
directory itself. The lab writes below `lab` and `kernel` alone, or below
`lab-7.3` and `kernel-7.3` where that is its Linux.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

LINUX = '6.12'
LINUX_OF_SELFTESTS = '7.3'


@dataclass(frozen=True)
class BuildTree:
    """The layout of one build directory; owns no file in it. Linux, in host
    and guest, is of version @linux."""

    top: Path
    linux: str = LINUX
    counted: bool = False       # what runs in the lab counts its lines

    @classmethod
    def from_environment(cls, linux: str = LINUX,
                         top: Optional[Path] = None) -> 'BuildTree':
        """The build directory @top, else named by BUILD_DIR, else `build` of
        the checkout this file stands in; counted where LAB_COUNTED is
        set."""
        checkout = Path(__file__).resolve().parents[2]
        return cls((top or Path(os.environ.get('BUILD_DIR')
                                or checkout / 'build')).absolute(), linux,
                   bool(os.environ.get('LAB_COUNTED')))

    def _of_linux(self, name: str) -> Path:
        """What each Linux has its own of."""
        return self.top / (name if self.linux == LINUX
                           else f'{name}-{self.linux}')

    @property
    def qemu(self) -> Path:
        """The QEMU under test."""
        return self.top / 'qemu-system-x86_64'

    @property
    def inner_qemu(self) -> Path:
        """The same, as the image has it."""
        return (self.top / 'counted' / 'qemu-system-x86_64' if self.counted
                else self.qemu)

    @property
    def counters(self) -> Path:
        """What the counted QEMU left, a folder for each host."""
        return self.top / 'counted' / 'counters'

    @property
    def base_qemu(self) -> Path:
        """The pristine base's QEMU; there once `make base` has run."""
        return self.top / 'base' / 'build' / 'qemu-system-x86_64'

    @property
    def qemu_without_iommufd(self) -> Path:
        """The QEMU under test, built without iommufd."""
        return (self.top / 'qemu' / 'without-iommufd'
                / 'qemu-system-x86_64')

    @property
    def qemu_python(self) -> Path:
        """QEMU's own Python packages (qemu.qmp)."""
        return self.top / 'qemu' / 'python'

    @property
    def pc_bios(self) -> Path:
        """The source's firmware; Debian's source has none."""
        return self.top / 'source' / 'pc-bios'

    @property
    def linux_source(self) -> Path:
        """Names the tarball of Linux that configure was given; there when
        it was."""
        return self._of_linux('linux-source')

    @property
    def linux_headers(self) -> Path:
        """The kernel's interface, as this QEMU knows it."""
        return self.top / 'qemu' / 'linux-headers'

    @property
    def kernel_work(self) -> Path:
        """Where the kernel is unpacked and built."""
        return self._of_linux('kernel')

    @property
    def lab(self) -> Path:
        """What the lab made: kernel, image, logs."""
        return self._of_linux('lab')

    @property
    def kernel(self) -> Path:
        """The kernel of host and guest."""
        return self.lab / 'bzImage'

    @property
    def selftests(self) -> Path:
        """A folder with the selftests of that kernel; there where it has
        any."""
        return self.lab / 'selftests'

    @property
    def image(self) -> Path:
        """The host's initramfs; the guest's is a file within."""
        return self.lab / ('counted.cpio.gz' if self.counted
                           else 'initramfs.cpio.gz')

    @property
    def logs(self) -> Path:
        """One folder for each host of the last run."""
        return self.lab / 'logs'
