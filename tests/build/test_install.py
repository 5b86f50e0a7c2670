# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/install: a QEMU that runs from where it was put."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from conftest import TOP

BUILD = Path(os.environ.get('BUILD_DIR') or TOP / 'build')


def install(prefix, destdir=''):
    return subprocess.run(
        [TOP / 'scripts/install', '--build-dir', BUILD, prefix], text=True,
        env={'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8',
             'DESTDIR': str(destdir)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """A DESTDIR that QEMU was installed in, with prefix /opt/q."""
    destdir = tmp_path_factory.mktemp('destdir')
    done = install('/opt/q', destdir)
    assert done.returncode == 0, done.stdout
    return destdir


def test_nothing_is_left_beside_it(installed):
    assert [path.name for path in installed.iterdir()] == ['opt']
    assert {path.name for path in (installed / 'opt/q').iterdir()} == {
        'bin', 'share'}


@pytest.mark.parametrize('place', ['opt/q', 'moved'])
def test_runs_with_its_firmware(installed, place):
    """Also when it has been moved since."""
    if not (installed / place).exists():
        (installed / 'opt/q').rename(installed / place)
    program = installed / place / 'bin/qemu-system-x86_64'
    done = subprocess.run(
        [program, '-machine', 'q35', '-accel', 'tcg', '-nodefaults',
         '-display', 'none', '-S', '-device', 'intel-iommu', '-qmp', 'stdio'],
        input='{"execute": "qmp_capabilities"}{"execute": "quit"}', text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, '')


def test_reports_what_the_host_can_do(installed):
    """By a program of its own, which needs no checkout."""
    report, = installed.rglob('bin/host-iommu-report')
    done = subprocess.run([report, '--json'], stdout=subprocess.PIPE)
    assert json.loads(done.stdout)['format'] == 1


def test_firmware_that_is_there_stays(tmp_path):
    mine = tmp_path / 'share/qemu/bios-256k.bin'
    mine.parent.mkdir(parents=True)
    mine.write_text('mine')
    assert install(tmp_path).returncode == 0
    assert mine.read_text() == 'mine' and not mine.is_symlink()


def test_twice_is_as_once(tmp_path):
    assert install(tmp_path).returncode == 0
    first = sorted(map(str, tmp_path.rglob('*')))
    assert install(tmp_path).returncode == 0
    assert sorted(map(str, tmp_path.rglob('*'))) == first


def test_relative_prefix(tmp_path):
    done = install('opt/q', tmp_path)
    assert done.returncode == 2
    assert done.stdout == ('install: the prefix is not an absolute path: '
                           'opt/q\n')
    assert list(tmp_path.iterdir()) == []
