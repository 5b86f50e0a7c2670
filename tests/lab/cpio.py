# SPDX-License-Identifier: GPL-2.0-or-later
"""
Write a cpio archive in the "newc" format that Linux takes as initramfs.

Written from here, and not by cpio(1), so that entries belong to root and
links and devices need neither root nor a folder to collect them in.
The format: Documentation/driver-api/early-userspace/buffer-format.rst
in the Linux source. Used by build-image.
"""

import os
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Set


class Archive:
    """An archive being written to @stream, which the caller owns."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._inode = 0
        self._folders: Set[str] = set()

    def _entry(self, name: str, mode: int, content: bytes = b'',
               device: int = 0) -> None:
        self._inode += 1
        encoded = name.encode() + b'\0'
        fields = (self._inode, mode, 0, 0, 1, 0, len(content), 0, 0,
                  os.major(device), os.minor(device), len(encoded), 0)
        header = b'070701' + b''.join(b'%08X' % field for field in fields)
        for part in (header + encoded, content):
            self._stream.write(part + bytes(-len(part) % 4))

    def folder(self, name: str) -> None:
        """Add folder @name and those above it, once."""
        parents = [str(parent) for parent in PurePosixPath(name).parents]
        for path in [*reversed(parents[:-1]), name]:
            if path not in self._folders:
                self._folders.add(path)
                self._entry(path, stat.S_IFDIR | 0o755)

    def file(self, name: str, content: bytes, mode: int = 0o755) -> None:
        """Add file @name."""
        self.folder(str(PurePosixPath(name).parent))
        self._entry(name, stat.S_IFREG | mode, content)

    def copy(self, name: str, source: Path) -> None:
        """Add @source, followed if it is a link, as @name."""
        self.file(name, source.read_bytes())

    def link(self, name: str, target: str) -> None:
        """Add @name, a symbolic link to @target."""
        self.folder(str(PurePosixPath(name).parent))
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, name: str, major: int, minor: int) -> None:
        """Add the character device @name."""
        self.folder(str(PurePosixPath(name).parent))
        self._entry(name, stat.S_IFCHR | 0o600,
                    device=os.makedev(major, minor))

    def close(self) -> None:
        """Write the trailer; the stream stays open."""
        self._entry('TRAILER!!!', 0)
