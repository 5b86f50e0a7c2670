# SPDX-License-Identifier: GPL-2.0-or-later
"""
What the sessions of tests that start machines have in common: a conftest.py
imports it.
"""

import signal
import sys

import pytest

from buildtree import BuildTree


def pytest_configure() -> None:
    """End in an orderly way, all that was started included, when meson's time
    is up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@pytest.fixture(scope='session')
def tree() -> BuildTree:
    """The build directory under test."""
    return BuildTree.from_environment()
