# SPDX-License-Identifier: GPL-2.0-or-later
"""
Calls of VFIO and iommufd that fail in turn: what fail.c is told, and what it
saw. One FAILING_QEMU in a host at a time.
"""

import os
import struct
from dataclasses import dataclass
from errno import (E2BIG, EBUSY, EINVAL, ENODEV, ENOENT, ENOMEM, ENOTTY,
                   EOPNOTSUPP, EOVERFLOW)
from typing import Iterator, List, Optional, Tuple

from guest import IOCTLS
from host import Host

FILE = '/run/failure'
HEADER = struct.Struct('<3Q')   # the call that fails, its errno, calls made

# What linux/iommufd.h says of every call ("General ioctl format"), and what
# calls of VFIO answer (vfio_main.c, group.c, device_cdev.c of Linux)
IOMMUFD_ERRORS = (ENOTTY, E2BIG, EOPNOTSUPP, EINVAL, ENOENT, ENOMEM,
                  EOVERFLOW)
VFIO_ERRORS = (ENOTTY, EINVAL, ENOMEM, ENODEV, EBUSY)
IOMMUFD_FIRST = 0x80        # its calls have numbers from here


@dataclass(frozen=True)
class Call:
    """A call of the kernel, and the errno that came of it, or 0."""

    number: int
    error: int

    @property
    def name(self) -> str:
        """What the kernel calls it, if that is known here."""
        return IOCTLS.get(self.number, hex(self.number))


@dataclass(frozen=True)
class Failure:
    """Call number @at of an operation, from 1, fails as @call."""

    at: int
    call: Call

    def __str__(self) -> str:
        return (f'call {self.at}, {self.call.name}: '
                f'{os.strerror(self.call.error)}')


def arm(host: Host, failure: Optional[Failure] = None) -> None:
    """Have a call from now on fail, or none; those before are forgotten."""
    octal = ''.join(f'\\{byte:03o}' for byte in HEADER.pack(
        failure.at if failure else 0, failure.call.error if failure else 0, 0))
    host.check(f"printf '{octal}' | dd of={FILE} conv=notrunc 2>/dev/null")


def seen(host: Host) -> List[Call]:
    """The calls since the last arm()."""
    dump = host.check(f"""
        set -- $(od -An -tu8 -j16 -N8 {FILE})
        od -An -v -tx1 -N$(({HEADER.size} + $1 * 2)) {FILE}""")
    content = bytes.fromhex(''.join(dump.split()))
    return [Call(*pair) for pair in struct.iter_unpack(
        '<BB', content[HEADER.size:])]


def errors(call: Call) -> Tuple[int, ...]:
    """What @call can fail with."""
    return IOMMUFD_ERRORS if call.number >= IOMMUFD_FIRST else VFIO_ERRORS


def failures(calls: List[Call]) -> Iterator[Failure]:
    """Yields: each of @calls with each error that it can have."""
    for at, call in enumerate(calls, 1):
        for error in errors(call):
            yield Failure(at, Call(call.number, error))


def some_failures(calls: List[Call]) -> Iterator[Failure]:
    """Yields: each of @calls with one of these, another from call to call,
    for operations that take their time."""
    for at, call in enumerate(calls, 1):
        yield Failure(at, Call(call.number,
                               errors(call)[at % len(errors(call))]))


def objects(calls: List[Call]) -> int:
    """How many objects of iommufd there are more after @calls."""
    done = [call.name for call in calls if not call.error]
    return (done.count('IOAS_ALLOC') + done.count('HWPT_ALLOC') -
            done.count('DESTROY'))
