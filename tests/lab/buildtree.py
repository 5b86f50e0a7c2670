# SPDX-License-Identifier: GPL-2.0-or-later
"""
Where the build directory keeps what the lab is made of.

Every other file of the lab asks here and joins no path below the build
directory itself. The lab writes below `lab` and `kernel` alone.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional


@dataclass(frozen=True)
class BuildTree:
    """The layout of one build directory; owns no file in it."""

    top: Path
    counted: bool = False       # what runs in the lab counts its lines

    @classmethod
    def from_environment(cls, top: Optional[Path] = None) -> 'BuildTree':
        """The build directory @top, else named by BUILD_DIR, else `build` of
        the checkout this file stands in; counted where LAB_COUNTED is
        set."""
        checkout = Path(__file__).resolve().parents[2]
        return cls((top or Path(os.environ.get('BUILD_DIR')
                                or checkout / 'build')).absolute(),
                   bool(os.environ.get('LAB_COUNTED')))

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
        return self.top / 'linux-source'

    @property
    def linux_headers(self) -> Path:
        """The kernel's interface, as this QEMU knows it."""
        return self.top / 'qemu' / 'linux-headers'

    @property
    def kernel_work(self) -> Path:
        """Where the kernel is unpacked and built."""
        return self.top / 'kernel'

    @property
    def lab(self) -> Path:
        """What the lab made: kernel, image, logs."""
        return self.top / 'lab'

    @property
    def kernel(self) -> Path:
        """The kernel of host and guest."""
        return self.lab / 'bzImage'

    @property
    def image(self) -> Path:
        """The host's initramfs; the guest's is a file within."""
        return self.lab / ('counted.cpio.gz' if self.counted
                           else 'initramfs.cpio.gz')

    @property
    def logs(self) -> Path:
        """One folder for each host of the last run."""
        return self.lab / 'logs'
