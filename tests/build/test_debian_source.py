# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/debian-source: a source package that dpkg-source takes."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import TOP

BUILD = Path(os.environ.get('BUILD_DIR') or TOP / 'build')
GROUPS = (TOP / 'series/series').read_text().split()
TOPICS = [(group, topic) for group in GROUPS
          for topic in (TOP / f'series/{group}/series').read_text().split()]


def debian_source(build):
    return subprocess.run([TOP / 'scripts/debian-source', '--build-dir',
                           build], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)


@pytest.fixture(scope='module')
def package():
    """The package of this checkout, a .dsc."""
    origin = json.loads((BUILD / 'source.json').read_text())
    if 'dsc' not in origin:
        pytest.skip('the base is no Debian package, or an earlier configure '
                    f'unpacked it: {origin["origin"]}')
    done = debian_source(BUILD)
    assert done.returncode == 0, done.stdout
    return Path(done.stdout.splitlines()[-1])


def field(package, name):
    return re.search(rf'^{name}: (.*)', package.read_text(), re.M).group(1)


def test_unpacked_it_is_what_is_built(package, tmp_path):
    """Debian's patches and ours, applied by dpkg-source, give the tree that
    QEMU is built from."""
    tree = tmp_path / 'tree'
    subprocess.run(['dpkg-source', '--no-copy', '-x', package, tree],
                   check=True, stdout=subprocess.DEVNULL)
    git = ['git', '--git-dir', BUILD / 'qemu/.git', '--work-tree', tree]
    env = {**os.environ, 'GIT_INDEX_FILE': str(tmp_path / 'index')}
    subprocess.run([*git, 'read-tree', 'HEAD'], check=True, env=env)
    subprocess.run([*git, 'update-index', '-q', '--refresh'], env=env,
                   stdout=subprocess.DEVNULL)
    differs = subprocess.run([*git, 'diff-files', '--name-status'], env=env,
                             text=True, stdout=subprocess.PIPE)
    assert differs.stdout == ''
    others = subprocess.run([*git, 'ls-files', '--others', '--directory',
                             '--no-empty-directory'],
                            env=env, text=True, stdout=subprocess.PIPE)
    assert set(others.stdout.split()) == {'.pc/', 'debian/'}


def test_series_follows_debian_s_patches(package):
    listed = subprocess.run(
        ['tar', '-xOf', next(package.parent.glob('*.debian.tar.xz')),
         'debian/patches/series'], text=True, check=True,
        stdout=subprocess.PIPE).stdout.split()
    ours = [name for name in listed if name.startswith('viommu/')]
    assert [name.split('/')[1] for name in ours] == [
        group for group, _ in TOPICS]
    assert listed[-len(ours):] == sorted(
        ours, key=lambda name: (GROUPS.index(name.split('/')[1]), name))
    assert len(listed) > len(ours)


def test_changelog_tells_each_patch(package, tmp_path):
    """An entry that dpkg reads without a warning."""
    subprocess.run(['tar', '-xf', next(package.parent.glob('*.debian.tar.xz')),
                    '-C', tmp_path, 'debian/changelog'], check=True)
    done = subprocess.run(['dpkg-parsechangelog', '-l',
                           tmp_path / 'debian/changelog'], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.stderr == ''
    assert f'Version: {field(package, "Version")}\n' in done.stdout
    assert done.stdout.count('\n     - ') == len(TOPICS)


def test_version_is_between_debian_s(package):
    """An update of Debian's replaces it, so that no fix is missed."""
    ours = field(package, 'Version')
    theirs = ours.removesuffix('+viommu1')
    later = re.sub(r'\d+$', lambda number: str(int(number[0]) + 1), theirs)
    for earlier, after in ((theirs, ours), (ours, later)):
        assert subprocess.run(['dpkg', '--compare-versions', earlier, 'lt',
                               after]).returncode == 0


def test_base_that_is_no_package(tmp_path):
    (tmp_path / 'source.json').write_text(
        '{"version": "10.0.2", "origin": "copy of a tree", "id": "0"}')
    done = debian_source(tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith(
        'debian-source: the base is no Debian package')


def test_package_that_is_gone(tmp_path):
    (tmp_path / 'source.json').write_text(json.dumps(
        {'version': '10.0.2', 'origin': 'Debian', 'dsc': '/none/q.dsc'}))
    done = debian_source(tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith(
        'debian-source: /none/q.dsc, which the base was made from, is gone')


# --- what would not build

@pytest.fixture
def microvm(tmp_path):
    """Run debian-microvm for a base that is a package, or is not; the words
    that it gives a qemu-build that fails."""
    scripts, build = tmp_path / 'scripts', tmp_path / 'out'
    for path in (scripts, build, tmp_path / 'debian'):
        path.mkdir()
    shutil.copy(TOP / 'scripts/debian-microvm', scripts)
    (scripts / 'qemu-build').write_text('#!/bin/sh\necho "$*"\nexit 1\n')
    (scripts / 'qemu-build').chmod(0o755)
    (tmp_path / 'debian/microvm-devices.mak').write_text('CONFIG_MICROVM=y\n')
    (tmp_path / 'qemu_1.dsc').touch()
    subprocess.run(['tar', '-cJf', tmp_path / 'qemu_1.debian.tar.xz', '-C',
                    tmp_path, 'debian'], check=True)

    def run(**facts):
        (build / 'source.json').write_text(json.dumps(
            {'version': '10.0.2', **facts}, indent=1))
        return subprocess.run([scripts / 'debian-microvm', build], text=True,
                              stdout=subprocess.PIPE)
    return run


def test_smallest_qemu_of_the_packages_has_to_build(microvm, tmp_path):
    """With Debian's choice of devices, which has none that is assigned."""
    done = microvm(id='0', dsc=str(tmp_path / 'qemu_1.dsc'))
    assert done.returncode == 1
    assert ('--with --without-default-devices '
            '--with --with-devices-x86_64=../../../../microvm ') in done.stdout
    assert done.stdout.endswith(f'{tmp_path}/out/qemu qemu-system-x86_64\n')
    assert (tmp_path / 'out/microvm.mak').read_text() == 'CONFIG_MICROVM=y\n'


def test_base_that_is_no_package_has_no_smallest_qemu(microvm):
    """debian-source says what is wrong with it."""
    done = microvm(id='0')
    assert (done.returncode, done.stdout) == (0, '')
