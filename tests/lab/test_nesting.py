# SPDX-License-Identifier: GPL-2.0-or-later
"""
A host whose emulated IOMMU nests, as a user of Linux' iommufd has it: tables
of the user's are the first stage, the kernel's the second, and a device
moves bytes through both.
"""

import errno
import re
from typing import Dict, Iterator, NamedTuple, Tuple

import pytest

from buildtree import BuildTree
from device import dma_testdev
from host import Host
from nesting import (ACCESSED, BASE, DIRTY, EVERY_PAGE, LARGE_PAGE, PAGE,
                     SIZE, FirstStage, Nest, Program)
from vtd import NESTED, STAGE_1, read_capabilities

DOES_NOT = {
    'second-stage': {'x-scalable-mode': 'on'},
    'first-stage': STAGE_1,
}

# What dma-testdev answers.
DONE, NOT_READ, NOT_WRITTEN = 1, 2, 3

# IOVAs, in one table of the lowest level and in none alike.
SOURCE = 0x1234_5678_9000
SINK = 0x4000_0000

# GPAs of pages; the first stage's tables take less than the first 1 MiB.
ONE, TWO, THREE, FOUR = (BASE + (1 << 20) + 3 * i * PAGE for i in range(4))
OTHER_ROOT = BASE + (512 << 10)
NOWHERE = BASE + SIZE

# Fault reasons, VT-d specification 7.1.3: SFS.2, SSS.2, SGN.6
FIRST_STAGE_NOT_PRESENT = 0x71
SECOND_STAGE_NOT_PERMITTED = 0x79
NOT_WRITABLE = 0x85


@pytest.fixture(name='host', scope='module')
def fixture_host(tree: BuildTree) -> Iterator[Host]:
    """A host that nests."""
    with Host(tree, 'nesting', NESTED, [dma_testdev(slot=3)],
              memory='1G') as machine:
        yield machine


@pytest.fixture(name='program')
def fixture_program(host: Host) -> Iterator[Program]:
    """A user of iommufd that has the host's device and nothing else."""
    with Program(host, host.devices[0]) as program:
        yield program


@pytest.fixture(name='nest')
def fixture_nest(program: Program) -> Nest:
    """The device behind two stages, the first of which is empty."""
    return Nest(program)


def refused(program: Program, *step: object) -> int:
    """The number of the error that a step of @program ends with."""
    with pytest.raises(OSError) as refusal:
        program.step(*step)
    return refusal.value.errno


def test_iommufd_tells_of_nesting(host: Host, program: Program) -> None:
    """The registers that iommufd hands out are the emulated ones, with both
    stages and their nesting in them."""
    cap, ecap = program.step('info')
    seen = read_capabilities(host.machine.monitor)
    assert (cap, ecap) == (seen.cap, seen.ecap)
    assert seen.width == 48
    assert {bit: ecap >> bit & 1 for bit in (26, 43, 46, 47)} == {
        26: 1,      # nested translation
        43: 1,      # scalable mode
        46: 1,      # second stage
        47: 1,      # first stage
    }


@pytest.mark.parametrize('skew', (0, PAGE), ids=('large', 'small'))
def test_dma_through_both_stages(program: Program, skew: int) -> None:
    """Bytes are read from where both stages lead and written to where both
    lead, across pages that are not neighbours; and the first stage's
    entries tell which were used."""
    nest = Nest(program, skew)
    tables = nest.first_stage
    for iova, gpa in ((SOURCE, THREE), (SOURCE + PAGE, ONE),
                      (SINK, FOUR), (SINK + PAGE, TWO)):
        tables.map(iova, gpa)
    nest.memory.fill(THREE, seed=3)
    nest.memory.fill(ONE, seed=1)
    assert nest.copy(SOURCE, SINK, 2 * PAGE) == DONE
    assert nest.memory.holds(FOUR, seed=3)
    assert nest.memory.holds(TWO, seed=1)
    used = ACCESSED | DIRTY
    assert [tables.leaf(iova) & used for iova in (SOURCE, SINK)] == [
        ACCESSED, ACCESSED | DIRTY]


@pytest.mark.parametrize('scope', ((SOURCE, 1), EVERY_PAGE),
                         ids=('page', 'all'))
def test_stale_until_invalidated(nest: Nest, scope: Tuple[int, int]) -> None:
    """A page that the first stage maps anew is the old one until it is
    invalidated; to invalidate its neighbour is not enough."""
    nest.first_stage.map(SOURCE, ONE)
    nest.first_stage.map(SINK, FOUR)
    nest.memory.fill(ONE, seed=1)
    nest.memory.fill(TWO, seed=2)

    def source_is(seed: int) -> bool:
        nest.memory.fill(FOUR, seed=4)
        assert nest.copy(SOURCE, SINK) == DONE
        return nest.memory.holds(FOUR, seed)

    assert source_is(seed=1)
    nest.first_stage.map(SOURCE, TWO)
    nest.invalidate(SOURCE + PAGE)
    assert source_is(seed=1)
    nest.invalidate(*scope)
    assert source_is(seed=2)


def test_page_invalidation_of_a_large_leaf(nest: Nest) -> None:
    """The invalidation of any page of a first-stage leaf of 2 MiB is one of
    all that is cached of it, in pages of 4 KiB as the second stage has
    them."""
    source = SOURCE & -LARGE_PAGE
    old, new = BASE + 2 * LARGE_PAGE, BASE + 3 * LARGE_PAGE
    pages = (0, 5 * PAGE, LARGE_PAGE - PAGE)
    nest.first_stage.map(SINK, FOUR)
    for number, page in enumerate(pages):
        nest.memory.fill(old + page, seed=10 + number)
        nest.memory.fill(new + page, seed=20 + number)

    def read() -> Dict[int, int]:
        """Which seed the device reads, by page."""
        seeds = {}
        for number, page in enumerate(pages):
            assert nest.copy(source + page, SINK) == DONE
            seeds[page], = (seed for seed in (10 + number, 20 + number)
                            if nest.memory.holds(FOUR, seed))
        return seeds

    nest.first_stage.map(source, old, size=LARGE_PAGE)
    assert list(read().values()) == [10, 11, 12]
    nest.first_stage.map(source, new, size=LARGE_PAGE)
    assert list(read().values()) == [10, 11, 12]
    nest.invalidate(source + 9 * PAGE)
    assert list(read().values()) == [20, 21, 22]


class Fault(NamedTuple):
    """What the host's kernel logs of a refused request."""

    access: str
    device: str
    iova: int
    reason: int


def fault_of(host: Host, nest: Nest, answer: int) -> Fault:
    """The fault that a copy ends with whose answer is @answer.

    Linux leaves out some where there are many: then there is another."""
    host.check('dmesg -c >/dev/null')
    for _ in range(600):
        assert nest.copy(SOURCE, SINK) == answer
        lines = host.check("dmesg | grep 'fault reason' || usleep 100000")
        if match := re.search(
                r'\[DMA (\w+) NO_PASID\] Request device '
                r'\[([0-9a-f:.]+)\] fault addr (\w+) '
                r'\[fault reason (\w+)\]', lines):
            access, device, iova, reason = match.groups()
            return Fault(access, device, int(iova, 16), int(reason, 16))
        assert not lines, lines
    raise AssertionError('no fault is logged')


def test_unmapped_page_is_refused(host: Host, nest: Nest) -> None:
    """Once it is unmapped in the first stage and invalidated, a page is
    neither read nor written, and the host's log tells so."""
    nest.first_stage.map(SOURCE, ONE)
    nest.first_stage.map(SINK, FOUR)
    nest.memory.fill(ONE, seed=1)
    assert nest.copy(SOURCE, SINK) == DONE
    nest.first_stage.unmap(SINK)
    nest.memory.fill(FOUR, seed=4)
    nest.invalidate(SINK)
    assert fault_of(host, nest, NOT_WRITTEN) == (
        'Write', '00:03.0', SINK, FIRST_STAGE_NOT_PRESENT)
    assert nest.memory.holds(FOUR, seed=4)
    nest.first_stage.unmap(SOURCE)
    nest.invalidate(*EVERY_PAGE)
    assert fault_of(host, nest, NOT_READ) == (
        'Read', '00:03.0', SOURCE, FIRST_STAGE_NOT_PRESENT)


def test_what_either_stage_forbids(host: Host, nest: Nest) -> None:
    """A page that the first stage has as read-only, and one that it has
    where the second stage has nothing."""
    nest.first_stage.map(SOURCE, ONE)
    nest.first_stage.map(SINK, FOUR, flags=0)
    assert fault_of(host, nest, NOT_WRITTEN) == (
        'Write', '00:03.0', SINK, NOT_WRITABLE)
    nest.first_stage.map(SOURCE, NOWHERE)
    nest.invalidate(SOURCE)
    assert fault_of(host, nest, NOT_READ) == (
        'Read', '00:03.0', SOURCE, SECOND_STAGE_NOT_PERMITTED)


def test_second_stage_changes(host: Host, nest: Nest) -> None:
    """What is mapped anew in the IOAS is seen at once: the kernel itself
    invalidates what nests on it."""
    nest.first_stage.map(SOURCE, ONE)
    nest.first_stage.map(SINK, FOUR)
    nest.memory.fill(ONE, seed=1)
    nest.memory.fill(TWO, seed=2)
    assert nest.copy(SOURCE, SINK) == DONE
    assert nest.memory.holds(FOUR, seed=1)

    # The IOAS lets go of what was mapped as one as a whole only.
    nest.program.step('unmap', nest.ioas, BASE, SIZE)
    assert nest.copy(SOURCE, SINK) == NOT_READ
    hole = ONE, ONE + PAGE
    for start, end in ((BASE, hole[0]), (hole[1], BASE + SIZE)):
        nest.program.step('map', nest.ioas, start, nest.memory.offset(start),
                          end - start)
    fault = fault_of(host, nest, NOT_READ)
    assert fault == ('Read', '00:03.0', SOURCE, SECOND_STAGE_NOT_PERMITTED)
    nest.program.step('map', nest.ioas, ONE, nest.memory.offset(TWO), PAGE)
    assert nest.copy(SOURCE, SINK) == DONE
    assert nest.memory.holds(FOUR, seed=2)


def test_replaced_while_attached(nest: Nest) -> None:
    """Another nested HWPT takes the place of the attached one, and then it
    the other's, each time with its own tables; what was cached of one is
    not used for the other."""
    other_tables = FirstStage(nest.memory, OTHER_ROOT)
    other = nest.nested(other_tables)
    for tables, gpa in ((nest.first_stage, ONE), (other_tables, TWO)):
        tables.map(SOURCE, gpa)
        tables.map(SINK, FOUR)
    nest.memory.fill(ONE, seed=1)
    nest.memory.fill(TWO, seed=2)
    for hwpt, seed in ((nest.hwpt, 1), (other, 2), (nest.hwpt, 1)):
        nest.program.step('attach', hwpt)
        assert nest.copy(SOURCE, SINK) == DONE
        assert nest.memory.holds(FOUR, seed)

    # One that has gone and come back with other tables is a third.
    nest.program.step('destroy', other)
    other_tables.map(SOURCE, THREE)
    nest.memory.fill(THREE, seed=3)
    nest.program.step('attach', nest.nested(other_tables))
    assert nest.copy(SOURCE, SINK) == DONE
    assert nest.memory.holds(FOUR, seed=3)


def test_in_use_is_not_destroyed(nest: Nest) -> None:
    """What the device or another HWPT is on stays until it is let go of,
    and then all of it goes."""
    for used in (nest.hwpt, nest.parent, nest.ioas):
        assert refused(nest.program, 'destroy', used) == errno.EBUSY
    nest.program.step('detach')
    assert refused(nest.program, 'destroy', nest.parent) == errno.EBUSY
    for freed in (nest.hwpt, nest.parent, nest.ioas):
        nest.program.step('destroy', freed)
        assert refused(nest.program, 'destroy', freed) == errno.ENOENT


def test_wrong_nesting_is_refused(nest: Nest) -> None:
    """On an HWPT that is no parent, and on one that is nested itself."""
    plain, = nest.program.step('plain', nest.ioas)
    for parent in (plain, nest.hwpt):
        assert refused(nest.program, 'nested', parent, BASE,
                       48) == errno.EINVAL


@pytest.mark.parametrize('properties', DOES_NOT.values(), ids=DOES_NOT)
def test_host_that_does_not_nest(tree: BuildTree,
                                 properties: Dict[str, str]) -> None:
    """With x-nested off there is no parent, and nothing to nest on."""
    with Host(tree, 'nesting-off', {**properties}, [dma_testdev(slot=3)],
              memory='1G') as host, \
            Program(host, host.devices[0]) as program:
        assert not program.step('info')[1] >> 26 & 1
        ioas, = program.step('ioas')
        assert refused(program, 'parent', ioas) == errno.EOPNOTSUPP
        plain, = program.step('plain', ioas)
        assert refused(program, 'nested', plain, BASE, 48) == errno.EINVAL
