# SPDX-License-Identifier: GPL-2.0-or-later
"""
Fixtures of the lab's tests: `pytest tests/lab`, with BUILD_DIR set.

A host takes some seconds to boot and serves all of a module's cases.
"""

import random
import sys
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'docs')]

# pylint: disable=wrong-import-position
from buildtree import BuildTree  # noqa: E402
from device import dma_testdev, nvme  # noqa: E402
from host import Host  # noqa: E402
from session import pytest_configure, tree  # noqa: E402,F401
from stage1 import HALF  # noqa: E402
from vtd import NESTED  # noqa: E402

DISK_BYTES = 8 << 20


@pytest.fixture(scope='session')
def disk_contents(tmp_path_factory: pytest.TempPathFactory
                  ) -> Tuple[Path, Path]:
    """Two files of random bytes, unlike, and the same in every run."""
    folder = tmp_path_factory.mktemp('disk')
    paths = folder / 'content', folder / 'other'
    for seed, path in enumerate(paths, start=DISK_BYTES):
        path.write_bytes(random.Random(seed).randbytes(DISK_BYTES))
    return paths


@pytest.fixture(scope='session')
def disk_content(disk_contents: Tuple[Path, Path]) -> Path:
    """The first of the two."""
    return disk_contents[0]


@pytest.fixture(name='disks', scope='module')
def fixture_disks(tmp_path_factory: pytest.TempPathFactory) -> List[Path]:
    """Four disks of unlike content, which the tests change."""
    folder = tmp_path_factory.mktemp('disks')
    disks = [folder / f'disk{i}' for i in range(4)]
    for number, disk in enumerate(disks, 1):
        disk.write_bytes(bytes([number]) * HALF + bytes(HALF))
    return disks


@pytest.fixture(name='nesting', scope='module')
def fixture_nesting(request: pytest.FixtureRequest, tree: BuildTree,
                    disks: List[Path]) -> Iterator[Host]:
    """A host that nests, with a disk for each path, and a device of two
    functions."""
    with Host(tree, Path(request.path).stem.removeprefix('test_'), NESTED,
              [*(nvme(path, slot) for slot, path in enumerate(disks, 3)),
               *(dma_testdev(8, function) for function in (0, 1))],
              memory='4G') as machine:
        yield machine
