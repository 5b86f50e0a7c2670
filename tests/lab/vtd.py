# SPDX-License-Identifier: GPL-2.0-or-later
"""
What a guest is told about its VT-d unit, as numbers that people compare; and
options that make one.

Register fields: Intel VT-d specification 11.4.2 (CAP), 11.4.3 (ECAP) and
11.4.5 (RTADDR); ACPI table: 8.1 (DMAR). Widths are in bits.
"""

import re
from dataclasses import dataclass, replace
from typing import Tuple

from monitor import Monitor

REGISTERS = 0xfed90000      # where QEMU puts the only unit of a q35
CAP_OFFSET = 0x08
ECAP_OFFSET = 0x10
RTADDR_OFFSET = 0x20
DMAR_HAW_OFFSET = 36        # in the ACPI table, its header included

# Options of a unit that has a first stage, and of one that nests.
STAGE_1 = {'x-scalable-mode': 'on', 'x-flts': 'on'}
NESTED = {**STAGE_1, 'x-nested': 'on'}


@dataclass(frozen=True)
class Capabilities:
    """The two capability registers of a unit."""

    cap: int
    ecap: int

    @property
    def width(self) -> int:
        """The width that MGAW gives; the field itself is one less."""
        return (self.cap >> 16 & 0x3f) + 1

    @property
    def table_widths(self) -> Tuple[int, ...]:
        """The widths of second-stage tables that SAGAW offers."""
        return tuple(width for bit, width in ((1, 39), (2, 48), (3, 57))
                     if self.cap >> 8 & 1 << bit)

    @property
    def caching_mode(self) -> bool:
        """Is the guest to tell of each mapping that it makes (CM)?"""
        return bool(self.cap >> 7 & 1)

    def with_width(self, width: int) -> 'Capabilities':
        """These, with MGAW for @width and nothing else changed."""
        return replace(self, cap=self.cap & ~(0x3f << 16) | width - 1 << 16)

    def __str__(self) -> str:
        return f'CAP {self.cap:#x} ECAP {self.ecap:#x}'


def read_register(monitor: Monitor, offset: int) -> int:
    """The 64 bits at @offset as the CPUs of @monitor's machine read them."""
    printed = monitor.hmp(f'xp /1gx {REGISTERS + offset:#x}')
    match = re.search(r': (0x[0-9a-f]+)', printed)
    assert match, printed
    return int(match.group(1), 16)


def read_capabilities(monitor: Monitor) -> Capabilities:
    """CAP and ECAP of @monitor's machine."""
    return Capabilities(read_register(monitor, CAP_OFFSET),
                        read_register(monitor, ECAP_OFFSET))


def is_in_scalable_mode(monitor: Monitor) -> bool:
    """Did the software of @monitor's machine set up a scalable-mode root
    table? Else it is in legacy mode."""
    mode = read_register(monitor, RTADDR_OFFSET) >> 10 & 3
    assert mode in (0, 1), mode
    return mode == 1


def host_address_width(dmar: bytes) -> int:
    """The Host Address Width of ACPI table @dmar; the field is one less."""
    assert dmar[:4] == b'DMAR', dmar[:4]
    return dmar[DMAR_HAW_OFFSET] + 1
