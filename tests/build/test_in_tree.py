# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/libvirt/in-tree: what was unpacked is seen as if it were installed."""

import subprocess
from pathlib import Path

import pytest

from conftest import TOP


@pytest.fixture
def tree(tmp_path):
    """Has a program, a newer file of the machine's, and modules."""
    usr = tmp_path / 'a tree/usr'
    for name in ('bin/unpacked', 'bin/env', 'lib/any/libvirt/module'):
        (usr / name).parent.mkdir(parents=True, exist_ok=True)
        (usr / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (usr / name).chmod(0o755)
    return usr.parent


def in_tree(tree, *command):
    """(status, output) of a command."""
    done = subprocess.run([TOP / 'tests/libvirt/in-tree', tree, *command],
                          text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode == 125:
        pytest.skip(f'no namespaces here: {done.stderr.strip()}')
    return done.returncode, done.stdout


def test_it_lies_over_the_machine_s(tree):
    """For the command alone, which runs where the caller is."""
    assert in_tree(tree, 'unpacked', 'a b') == (0, 'bin/unpacked a b\n')
    assert in_tree(tree, '/usr/bin/env') == (0, 'bin/env\n')
    assert in_tree(tree, 'pwd') == (0, f'{Path.cwd()}\n')
    assert in_tree(tree, 'sh', '-c', 'exit 3') == (3, '')
    assert not Path('/usr/bin/unpacked').exists()


def test_modules_of_an_installed_libvirt_are_hidden(tree, tmp_path):
    """Another tree stands for the machine."""
    other = tmp_path / 'usr/lib/any/libvirt/other'
    other.parent.mkdir(parents=True)
    other.touch()
    assert in_tree(tmp_path, TOP / 'tests/libvirt/in-tree', tree, 'ls',
                   '/usr/lib/any/libvirt') == (0, 'module\n')


def test_no_tree(tmp_path):
    assert in_tree(tmp_path / 'none', 'true') == (1, '')
