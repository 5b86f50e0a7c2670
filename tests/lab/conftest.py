# SPDX-License-Identifier: GPL-2.0-or-later
"""
Fixtures of the lab's tests: `pytest tests/lab`, with BUILD_DIR set.

A host takes some seconds to boot and serves all of a module's cases.
"""

import random
import signal
import sys
from pathlib import Path
from typing import Tuple

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from buildtree import BuildTree  # noqa: E402

DISK_BYTES = 8 << 20


def pytest_configure() -> None:
    """End in an orderly way, machines included, when meson's time is up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@pytest.fixture(scope='session')
def tree() -> BuildTree:
    """The build directory under test."""
    return BuildTree.from_environment()


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
