# SPDX-License-Identifier: GPL-2.0-or-later
"""That every test of the checkout is run by a target."""

import json
import os
from pathlib import Path

from conftest import TOP


def test_each_is_run():
    info = Path(os.environ['BUILD_DIR']) / 'meson-info/intro-tests.json'
    run = {Path(word).name for test in json.loads(info.read_text())
           for word in test['cmd']}
    programs = {path.stem for pattern in ('qtest/*-test.c', 'unit/test-*.c')
                for path in (TOP / 'tests').glob(pattern)}
    scripts = {path.name for path in (TOP / 'tests').glob('*/test_*.py')}
    assert programs and scripts
    assert not (programs | scripts) - run
