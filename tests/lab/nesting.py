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

import os
import shlex
from typing import Dict, List, Type

from device import Device
from host import Host

FOLDER = '/run/nesting'
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


class Program:
    """nesting.c in @host, which has @device and an iommufd of its own; what
    they are made to hold ends with it. One at a time."""

    def __init__(self, host: Host, device: Device) -> None:
        self._host = host
        self._device = device

    def __enter__(self) -> 'Program':
        # Both pipes stay open at both ends, so nobody waits in open.
        self._host.check(f'''
            mkdir -p {FOLDER} && cd {FOLDER} && rm -f * && mkfifo in out &&
            name=$(ls /sys/bus/pci/devices/{self._device.address}/vfio-dev)
            /lab/nesting /dev/vfio/devices/$name 0<>in 1<>out 2>errors &
            echo $! >pid''')
        self._answers(1)
        return self

    def _answers(self, count: int) -> List[List[int]]:
        # A step that waits for ever would make the host's agent wait too.
        answers = self._host.check(f'''
            cd {FOLDER} && i=0 &&
            while [ $((i += 1)) -le {count} ]; do
                read -r -t 120 answer && echo "$answer" || exit
            done <>out''').splitlines()
        for answer in answers:
            if not answer.startswith('ok'):
                number = int(answer.split()[1])
                raise OSError(number, os.strerror(number))
        return [[int(word, 0) for word in answer.split()[1:]]
                for answer in answers]

    def steps(self, *lines: str) -> List[List[int]]:
        """Take several steps and return what each answers; all are taken,
        and then OSError tells the first that was refused."""
        self._host.check(f"cd {FOLDER} && kill -0 $(cat pid) && "
                         f"printf '%s\\n' {shlex.join(lines)} >in")
        return self._answers(len(lines))

    def step(self, name: str, *numbers: int) -> List[int]:
        """Take the step @name of nesting.c; OSError when it is refused."""
        return self.steps(' '.join([name, *map(hex, numbers)]))[0]

    def __exit__(self, error: Type[BaseException], *_: object) -> None:
        if error is None:
            self._host.check(f'''
                cd {FOLDER} && pid=$(cat pid) && kill $pid &&
                while kill -0 $pid 2>/dev/null; do usleep 10000; done''')
        else:
            self._host.run(f'kill -9 $(cat {FOLDER}/pid)')


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
