# SPDX-License-Identifier: GPL-2.0-or-later
"""
What a guest is told about its VT-d unit, as numbers that people compare.

Register fields: Intel VT-d specification 11.4.2 (CAP) and 11.4.3 (ECAP);
ACPI table: 8.1 (DMAR). Widths are in bits.
"""

import re
from dataclasses import dataclass
from typing import Tuple

from monitor import Monitor

REGISTERS = 0xfed90000      # where QEMU puts the only unit of a q35
CAP_OFFSET = 0x08
ECAP_OFFSET = 0x10
DMAR_HAW_OFFSET = 36        # in the ACPI table, its header included


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

    def __str__(self) -> str:
        return f'CAP {self.cap:#x} ECAP {self.ecap:#x}'


def read_capabilities(monitor: Monitor) -> Capabilities:
    """The registers as the CPUs of @monitor's machine read them."""
    values = []
    for offset in (CAP_OFFSET, ECAP_OFFSET):
        printed = monitor.hmp(f'xp /1gx {REGISTERS + offset:#x}')
        match = re.search(r': (0x[0-9a-f]+)', printed)
        assert match, printed
        values.append(int(match.group(1), 16))
    return Capabilities(*values)


def host_address_width(dmar: bytes) -> int:
    """The Host Address Width of ACPI table @dmar; the field is one less."""
    assert dmar[:4] == b'DMAR', dmar[:4]
    return dmar[DMAR_HAW_OFFSET] + 1
