# SPDX-License-Identifier: GPL-2.0-or-later
"""Every shell script of ours passes shellcheck."""

import subprocess

import pytest

from conftest import TOP

PLACES = ('configure', '.ci/*', 'scripts/*', 'tests/lab/*',
          'tests/libvirt/*')


def is_shell(path):
    with path.open('rb') as file:
        first = file.readline()
    return first.startswith(b'#!') and first.strip().endswith((b'sh', b'bash'))


SCRIPTS = sorted(str(path.relative_to(TOP)) for place in PLACES
                 for path in TOP.glob(place)
                 if path.is_file() and is_shell(path))


@pytest.mark.parametrize('script', SCRIPTS)
def test_shellcheck(script):
    done = subprocess.run(['shellcheck', script], cwd=TOP, text=True,
                          stdout=subprocess.PIPE)
    assert done.returncode == 0, done.stdout
