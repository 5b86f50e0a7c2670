# SPDX-License-Identifier: GPL-2.0-or-later
"""Small stand-ins for a QEMU source, a checkout and a Debian.

For the tests of configure and of what it calls: they run no real apt, use no
network and build nothing.
"""

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'scripts'))


def load(name):
    """One of our scripts as a module."""
    loader = importlib.machinery.SourceFileLoader(
        name.replace('-', '_'), str(TOP / 'scripts' / name))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def make_qemu(path, version='10.0.13'):
    """What passes for a QEMU source tree of that version."""
    (path / 'hw/i386').mkdir(parents=True)
    (path / 'VERSION').write_text(version + '\n')
    (path / 'hw/i386/intel_iommu.c').write_text('/* VT-d */\n')
    (path / 'pythondeps.toml').write_text('[meson]\n')
    return path


@pytest.fixture
def build(tmp_path):
    """A build directory, empty."""
    path = tmp_path / 'build'
    path.mkdir()
    return path


@pytest.fixture
def qemu(tmp_path):
    return make_qemu(tmp_path / 'qemu')


class Debian:
    """A PATH on which everything that would touch the machine is a fake.

    Each fake writes its arguments to a log and then does what its body, in
    sh, says.
    """

    def __init__(self, path):
        self.path = path
        self.log = path / 'log'
        self.machine = '/usr/bin:/bin'
        path.mkdir()
        self.fake('dpkg-query', 'printf installed')
        self.fake('apt-get', 'exit 100')
        self.fake('apt-cache', 'echo Candidate: 1')
        self.fake('dpkg', 'exit 0')
        self.fake('sudo', 'exit 1')
        self.fake('id', 'echo 0')

    def fake(self, name, body):
        script = self.path / name
        script.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.log}"\n'
                          f'{body}\n')
        script.chmod(0o755)

    def become_another(self):
        """Not a Debian any more: neither apt nor dpkg is on the PATH."""
        self.hide('apt*', 'dpkg*')

    def hide(self, *patterns):
        """Take programs off the PATH, fakes and the machine's."""
        visible = self.path / 'machine'
        for place in self.machine.split(':'):
            for program in Path(place).iterdir():
                if not any(program.match(pattern) for pattern in patterns):
                    visible.mkdir(exist_ok=True)
                    link = visible / program.name
                    if not link.is_symlink():
                        link.symlink_to(program)
        for pattern in patterns:
            for program in (*visible.glob(pattern), *self.path.glob(pattern)):
                program.unlink()
        self.machine = str(visible)

    def calls(self, name):
        """The arguments of each call of a fake so far."""
        if not self.log.exists():
            return []
        return [line[len(name) + 1:] for line in
                self.log.read_text().splitlines()
                if line.startswith(name + ' ')]

    def env(self):
        """Without HOME, which nothing here may want."""
        return {'PATH': f'{self.path}:{self.machine}', 'LC_ALL': 'C.UTF-8',
                'DEBIAN': str(self.path)}


@pytest.fixture
def debian(tmp_path):
    return Debian(tmp_path / 'fake')


class Checkout:
    """A copy of this checkout, as from a release tarball: without .git."""

    def __init__(self, path, debian):
        self.path = path
        self.debian = debian
        for name in ('configure', 'meson.build', 'Makefile'):
            path.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, path)
        for name in ('scripts', 'series', 'tests'):
            shutil.copytree(TOP / name, path / name, ignore=shutil.
                            ignore_patterns('__pycache__'))
        self.have_tools(path / 'build')

    @staticmethod
    def have_tools(build):
        """A build directory where what Debian 12 takes from 13 has been
        unpacked."""
        (build / 'tools').mkdir(parents=True)
        (build / 'configure.options').write_text('set -- --\n')
        (build / 'tools/unpacked').write_text('meson\n')

    def configure(self, *arguments, **env):
        return subprocess.run([self.path / 'configure', *arguments],
                              cwd=self.path.parent, text=True,
                              env={**self.debian.env(),
                                   'TMPDIR': str(self.debian.path.parent),
                                   **env},
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)


@pytest.fixture
def checkout(tmp_path, debian):
    return Checkout(tmp_path / "a user's/check out", debian)


def tree_of(path):
    """All files below a path, with their content."""
    return {str(file.relative_to(path)): file.read_text()
            for file in path.rglob('*') if file.is_file()}


def git(path, *arguments):
    """git, as nobody in particular."""
    subprocess.run(['git', '-C', path, '-c', 'user.name=test',
                    '-c', 'user.email=test@localhost', *arguments],
                   check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, 'GIT_CONFIG_GLOBAL': '/dev/null'})
