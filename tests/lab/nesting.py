# SPDX-License-Identifier: GPL-2.0-or-later
"""
An iommufd in a lab host, held by the program nesting.c, and first-stage
tables in its memory.

    with Program(host, device) as program:
        ioas, = program.step('ioas')            # OSError when refused
        parent, = program.step('parent', ioas)

Addresses: an IOVA is what the device asks for, a GPA what the first stage
makes of it and the second stage translates, an offset is into the memory.
"""

from typing import Dict

from device import Device
from host import Host
from steps import Steps

PAGE = 0x1000
LARGE_PAGE = 0x200000

# A first-stage paging entry: VT-d specification 9.8. No request of the
# device is a supervisor's, so that every entry has to be a user's.
PRESENT = 1 << 0
WRITABLE = 1 << 1
USER = 1 << 2
ACCESSED = 1 << 5
DIRTY = 1 << 6
LARGE = 1 << 7
ADDRESS = (1 << 48) - PAGE

BASE = 0x1_0000_0000        # the GPA of what nesting.c has for memory
SIZE = 15 << 20             # of it, whatever the skew
EVERY_PAGE = 0, (1 << 64) - 1


class Program(Steps):
    """nesting.c in @host, which has @device and an iommufd of its own; what
    they are made to hold ends with it. One at a time."""

    def __init__(self, host: Host, device: Device) -> None:
        super().__init__(host, f'''
            /lab/nesting /dev/vfio/devices/$(
                ls /sys/bus/pci/devices/{device.address}/vfio-dev)''')


class Memory:
    """The memory of @program by GPA, once the second stage has it.

    It lies @skew bytes off a boundary of 2 MiB: anything but 0 keeps large
    pages out of the second stage."""

    def __init__(self, program: Program, skew: int) -> None:
        self._program = program
        self._skew = skew

    def offset(self, gpa: int) -> int:
        """Where what the second stage has at @gpa is in the memory."""
        assert BASE <= gpa < BASE + SIZE, hex(gpa)
        return gpa - BASE + self._skew

    def peek(self, gpa: int) -> int:
        """The 64 bits at @gpa."""
        return self._program.step('peek', self.offset(gpa))[0]

    def poke(self, words: Dict[int, int]) -> None:
        """Write 64 bits at each GPA, in this order."""
        self._program.steps(*(f'poke {self.offset(gpa):#x} {value:#x}'
                              for gpa, value in words.items()))

    def fill(self, gpa: int, seed: int, length: int = PAGE) -> None:
        """Fill with what no other @seed gives."""
        self._program.step('fill', self.offset(gpa), length, seed)

    def holds(self, gpa: int, seed: int, length: int = PAGE) -> bool:
        """Is every byte there what fill gave it?"""
        return self._program.step('same', self.offset(gpa), length,
                                  seed) == [length]


class FirstStage:
    """First-stage tables of four levels in @memory; the root is at GPA
    @root, and the other tables follow it. They are changed and nothing
    else is done: who caches them is not told."""

    def __init__(self, memory: Memory, root: int) -> None:
        self.root = root
        self._memory = memory
        self._next = root
        self._tables: Dict[int, int] = {}       # by GPA of what points there
        self._entries: Dict[int, int] = {}      # GPA of a leaf, by IOVA
        self._new_table()

    def _new_table(self) -> int:
        self._next += PAGE
        return self._next - PAGE

    def map(self, iova: int, gpa: int, flags: int = WRITABLE,
            size: int = PAGE) -> None:
        """Map the page of @size at @iova to @gpa, with @flags."""
        words = {}
        table = self.root
        for shift in (39, 30) if size == LARGE_PAGE else (39, 30, 21):
            entry = table + (iova >> shift & 0x1ff) * 8
            if entry not in self._tables:
                self._tables[entry] = self._new_table()
                words[entry] = (self._tables[entry] | PRESENT | WRITABLE |
                                USER)
            table = self._tables[entry]
        shift = 21 if size == LARGE_PAGE else 12
        entry = self._entries[iova] = table + (iova >> shift & 0x1ff) * 8
        words[entry] = gpa | PRESENT | USER | flags | (
            LARGE if size == LARGE_PAGE else 0)
        self._memory.poke(words)

    def unmap(self, iova: int) -> None:
        """Unmap what was mapped at @iova."""
        self._memory.poke({self._entries.pop(iova): 0})

    def leaf(self, iova: int) -> int:
        """The entry that maps @iova, as it is now."""
        return self._memory.peek(self._entries[iova])


class Nest:
    """@program's device behind two stages: a parent HWPT whose IOAS has the
    memory, off by @skew, and a nested HWPT on it, attached."""

    def __init__(self, program: Program, skew: int = PAGE) -> None:
        self.program = program
        self.memory = Memory(program, skew)
        self.ioas, = program.step('ioas')
        program.step('map', self.ioas, BASE, skew, SIZE)
        self.parent, = program.step('parent', self.ioas)
        self.first_stage = FirstStage(self.memory, BASE)
        self.hwpt = self.nested(self.first_stage)
        program.step('attach', self.hwpt)

    def nested(self, first_stage: FirstStage) -> int:
        """Another nested HWPT on the parent."""
        return self.program.step('nested', self.parent, first_stage.root,
                                 48)[0]

    def invalidate(self, iova: int, pages: int = 1) -> None:
        """Invalidate what is cached of the nested HWPT from @iova on."""
        self.program.step('invalidate', self.hwpt, iova, pages)

    def copy(self, source: int, sink: int, length: int = PAGE) -> int:
        """Have the device copy from IOVA to IOVA; the answer is one of
        dma-testdev's."""
        return self.program.step('dma', source, sink, length)[0]
