# SPDX-License-Identifier: GPL-2.0-or-later
"""
Fixtures of the lab's tests: `pytest tests/lab`, with BUILD_DIR set.

A host takes some seconds to boot and serves all of a module's cases.
"""

import random
import signal
import sys
from pathlib import Path

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
def disk_content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random bytes, the same in every run."""
    path = tmp_path_factory.mktemp('disk') / 'content'
    path.write_bytes(random.Random(DISK_BYTES).randbytes(DISK_BYTES))
    return path
