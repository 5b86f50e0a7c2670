# SPDX-License-Identifier: GPL-2.0-or-later
"""
Each call by which QEMU asks the host's VFIO and iommufd fails once with each
of its errors, while a device is plugged, unplugged or reset, and with one of them at a start.
"""

from collections import Counter
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, List, Tuple

import pytest

from assignment import STOPPED_PORT, assigned, hot
from failing import arm, failures, objects, seen, some_failures
from guest import Guest, Refused
from host import FAILING_QEMU, Host
from monitor import ExecuteError
from view import shown
from vtd import STAGE_1

# pytest's record_property: what a run prints beside its cases
Record = Callable[[str, object], None]

DOMAINS = 'cat /sys/class/iommu/dmar0/intel-iommu/domains_used'

# Backend and properties of intel-iommu
CASES: Dict[str, Tuple[str, Dict[str, object]]] = {
    'legacy': ('legacy', {}),
    'iommufd': ('iommufd', {}),
    'stage-1': ('iommufd', dict(STAGE_1)),
}
HINT = ('Verify all devices in group 4 are bound to vfio-<bus> or pci-stub and '
        'not already in use')
UNMAP = ': vfio_container_dma_unmap('
WITHOUT_KVM = ": KVM VFIO device isn't created yet"
each_case = pytest.mark.parametrize('case', CASES)


def options(host: Host, case: str) -> List[str]:
    """A guest that has a device, which keeps open what they share."""
    backend, iommu = CASES[case]
    return [*assigned(host.devices[3], backend, None, **iommu), *STOPPED_PORT]


@contextmanager
def failing_guest(host: Host, case: str) -> Iterator[Guest]:
    """That guest, of which no call fails yet."""
    arm(host)
    with host.guest(options(host, case), program=FAILING_QEMU) as guest:
        yield guest


def left(host: Host, guest: Guest) -> Tuple[object, ...]:
    """What a device can leave in QEMU and in the host."""
    return guest.open_files(), guest.pinned(), host.check(DOMAINS)


def is_sentence(text: str) -> bool:
    """Is it one line, less what QEMU 10.0 says without KVM, its hints, and
    what it says of an unmap, after which a map fails?"""
    said = [line for line in text.splitlines()
            if not line.endswith(WITHOUT_KVM) and line != HINT and
            UNMAP not in line]
    return len(said) == 1


@each_case
def test_plug(nesting: Host, case: str, record_property: Record) -> None:
    """What fails is told in one sentence, and nothing is left of it."""
    device = hot(nesting.devices[2], CASES[case][0])
    with failing_guest(nesting, case) as guest:
        before = left(nesting, guest)
        arm(nesting)
        guest.plug(device)
        calls = seen(nesting)
        guest.unplug('hot')
        assert left(nesting, guest) == before
        refusals: Counter[str] = Counter()
        for failure in failures(calls):
            arm(nesting, failure)
            try:
                guest.plug(device)
            except ExecuteError as error:
                assert is_sentence(str(error)), failure
                refusals[failure.call.name] += 1
            else:
                guest.unplug('hot')
            assert left(nesting, guest) == before, failure
            made = seen(nesting)
            assert made[failure.at - 1] == failure.call
            assert objects(made) == 0, failure
        record_property('calls', len(calls))
        record_property('refusals', dict(refusals))
        arm(nesting)
        guest.plug(device)
        guest.unplug('hot')


@each_case
def test_unplug(nesting: Host, case: str, record_property: Record) -> None:
    """The device goes whatever fails, and comes again; what the host would
    not take back is all that is left."""
    device = hot(nesting.devices[2], CASES[case][0])
    with failing_guest(nesting, case) as guest:
        guest.plug(device)
        arm(nesting)
        guest.unplug('hot')
        calls = seen(nesting)
        record_property('calls', len(calls))
        for failure in failures(calls):
            files = guest.open_files()
            arm(nesting)
            guest.plug(device)
            plugged = objects(seen(nesting))
            arm(nesting, failure)
            guest.unplug('hot')
            made = seen(nesting)
            assert made[failure.at - 1] == failure.call
            kept = sum(call.name == 'DESTROY' and call.error != 0
                       for call in made)
            assert plugged + objects(made) == kept, failure
            assert guest.open_files() == files, failure
        arm(nesting)
        guest.plug(device)
        guest.unplug('hot')


@each_case
def test_reset(nesting: Host, case: str, record_property: Record) -> None:
    """A reset is one whatever fails, and leaves the device usable."""
    with failing_guest(nesting, case) as guest:
        guest.monitor.cmd('set-action', reboot='reset')
        before = left(nesting, guest)
        arm(nesting)
        guest.reset()
        calls = seen(nesting)
        files = Counter(guest.open_files())
        record_property('calls', len(calls))
        for failure in failures(calls):
            arm(nesting, failure)
            guest.reset()
            assert seen(nesting)[failure.at - 1] == failure.call
            # what a reset sets up may be missing until the next one
            assert not Counter(guest.open_files()) - files, failure
            arm(nesting)
            guest.reset()
            assert left(nesting, guest) == before, failure
        assert len(shown(guest.monitor)) == 1


@each_case
def test_start(nesting: Host, case: str, record_property: Record) -> None:
    """A guest starts, or is refused in one sentence; nothing of QEMU stays,
    and the next one starts."""
    with failing_guest(nesting, case):
        calls = seen(nesting)
    before = nesting.check(DOMAINS).strip()
    refusals: Counter[str] = Counter()
    for failure in some_failures(calls):
        arm(nesting, failure)
        try:
            with nesting.guest(options(nesting, case), program=FAILING_QEMU):
                pass
        except Refused as error:
            assert is_sentence(str(error)), failure
            refusals[failure.call.name] += 1
        assert seen(nesting)[failure.at - 1] == failure.call
        # the host takes a device back once the process is gone
        nesting.check(f'until [ $({DOMAINS}) = {before} ]; do '
                      'usleep 10000; done')
    record_property('calls', len(calls))
    record_property('refusals', dict(refusals))
    with failing_guest(nesting, case) as guest:
        assert len(shown(guest.monitor)) == 1
