# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/qemu-source: which source is taken, and what bad input gets."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from conftest import TOP, git, load, make_qemu, tree_of

TESTED = load('qemu-source').TESTED


@pytest.fixture
def get(build, debian):
    """Run the script; (status, last line of all that it says)."""
    def run(*arguments):
        done = subprocess.run(
            ['/usr/bin/python3', TOP / 'scripts/qemu-source',
             f'--build-dir={build}', *arguments], env=debian.env(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, (done.stdout.splitlines() or [''])[-1]
    return run


def facts(build):
    return json.loads((build / 'source.json').read_text())


def tarball(qemu, path):
    subprocess.run(['tar', '-cJf', path, '-C', qemu.parent, qemu.name],
                   check=True)
    return path


@pytest.mark.parametrize('version', ['9.2.0', '11.0.0', '10.1.0', '10.0.92'])
def test_other_version(version, tmp_path, get, build):
    tree = make_qemu(tmp_path / 'other', version)
    status, said = get(f'--qemu-source={tree}')
    if version == '10.0.92':
        assert status == 0
        return
    assert status == 1
    assert said == (f'configure: {tree} is QEMU {version}; '
                    'this series is for QEMU 10.0.x')
    assert not (build / 'source.json').exists()


def test_directory_that_is_not_qemu(tmp_path, get):
    assert get(f'--qemu-source={tmp_path}') == (
        1, f'configure: {tmp_path} is not a QEMU source tree')


def test_source_that_is_not_there(tmp_path, get):
    assert get(f'--qemu-source={tmp_path}/no') == (
        1, f'configure: {tmp_path}/no is not there')


def test_directory(qemu, get, build):
    """Everything but git's and a build directory's files is copied."""
    (qemu / 'build').mkdir()
    (qemu / 'build/build.ninja').touch()
    (qemu / 'link').symlink_to('VERSION')
    assert get(f'--qemu-source={qemu}')[0] == 0
    assert sorted(tree_of(build / 'source')) == [
        'VERSION', 'hw/i386/intel_iommu.c', 'link', 'pythondeps.toml']
    assert (build / 'source/link').is_symlink()
    assert facts(build)['version'] == '10.0.13'


def test_git_checkout(qemu, get, build):
    """Tracked files as they are now, and subprojects, which git ignores."""
    git(qemu, 'init', '-q')
    git(qemu, 'add', '.')
    git(qemu, 'commit', '-q', '-m', 'all')
    (qemu / 'VERSION').write_text('10.0.14\n')
    (qemu / 'untracked').touch()
    (qemu / 'pythondeps.toml').unlink()
    (qemu / 'subprojects/keycodemapdb').mkdir(parents=True)
    (qemu / 'subprojects/keycodemapdb/meson.build').touch()
    assert get(f'--qemu-source={qemu}')[0] == 0
    assert sorted(tree_of(build / 'source')) == [
        'VERSION', 'hw/i386/intel_iommu.c',
        'subprojects/keycodemapdb/meson.build']
    assert facts(build)['version'] == '10.0.14'


def test_same_source_again_changes_nothing(qemu, get, build):
    get(f'--qemu-source={qemu}')
    before = (build / 'source/VERSION').stat().st_ino
    assert get(f'--qemu-source={qemu}') == (0, '')
    assert (build / 'source/VERSION').stat().st_ino == before


def test_changed_source_is_taken_anew(qemu, get, build):
    get(f'--qemu-source={qemu}')
    first = facts(build)['id']
    (qemu / 'VERSION').write_text('10.0.15\n')
    assert get(f'--qemu-source={qemu}')[0] == 0
    assert facts(build)['version'] == '10.0.15'
    assert facts(build)['id'] != first
    assert (build / 'source/VERSION').read_text() == '10.0.15\n'


def test_tarball(qemu, tmp_path, get, build):
    """One of a release that is not known is taken as it is."""
    (qemu / 'VERSION').write_text('10.0.2\n')
    assert get(f'--qemu-source={tarball(qemu, tmp_path / "q.tar.xz")}')[0] == 0
    assert tree_of(build / 'source') == tree_of(qemu)


def test_tarball_that_is_not_the_release(qemu, tmp_path, get, build):
    path = tarball(qemu, tmp_path / 'q.tar.xz')
    assert get(f'--qemu-source={path}') == (
        1, f'configure: {path} is not what QEMU released as 10.0.13: fetch it '
        'again; where it is meant to differ, unpack it and give the folder')
    assert not (build / 'source.json').exists()
    assert get(f'--qemu-source={qemu}')[0] == 0


def test_release_is_known_by_what_debian_has_of_it(qemu, tmp_path, build,
                                                   monkeypatch):
    """QEMU's own tarball has firmware and wheels as well; what differs where
    both have it is seen."""
    module = load('qemu-source')
    (qemu / 'link').symlink_to('VERSION')
    monkeypatch.setitem(module.RELEASED, '10.0.13', module.released_id(qemu))
    for name in ('pc-bios/bios.bin', 'python/wheels/meson.whl', 'roms/Makefile',
                 'subprojects/dtc.wrap'):
        (qemu / name).parent.mkdir(parents=True)
        (qemu / name).touch()
    path = tarball(qemu, tmp_path / 'q.tar.xz')
    module.use_tarball(module.Target(build), path)
    assert tree_of(build / 'source') == tree_of(qemu)
    (qemu / 'hw/i386/intel_iommu.c').write_text('/* VT-D */\n')
    with pytest.raises(module.SourceError, match='is not what QEMU released'):
        module.use_tarball(module.Target(build),
                           tarball(qemu, tmp_path / 'other.tar.xz'))


def test_truncated_tarball(qemu, tmp_path, get, build):
    """It is refused, and a source that was there before stays."""
    get(f'--qemu-source={qemu}')
    (qemu / 'large').write_bytes(os.urandom(1 << 20))
    path = tarball(qemu, tmp_path / 'q.tar.xz')
    os.truncate(path, path.stat().st_size // 2)
    status, said = get(f'--qemu-source={path}')
    assert status == 1
    assert said.startswith(f'configure: {path} is damaged, incomplete or no '
                           'tarball (')
    assert 'unexpected end' in said.lower()
    assert facts(build)['version'] == '10.0.13'


def test_other_tarball(tmp_path, get):
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/README').touch()
    path = tarball(tmp_path / 'other', tmp_path / 'other.tar.xz')
    assert get(f'--qemu-source={path}') == (
        1, f'configure: {path} is not a QEMU source tree')


def make_package(qemu, cache):
    """A Debian source package of the tested version, with a patch."""
    cache.mkdir()
    work = cache / 'work'
    version = TESTED.split(':')[1]
    orig = cache / f'qemu_{version.rsplit("-", 1)[0]}.orig.tar.xz'
    subprocess.run(['tar', '-cJf', orig, '-C', qemu.parent, qemu.name],
                   check=True)
    subprocess.run(['cp', '-r', qemu, work], check=True)
    (work / 'debian/source').mkdir(parents=True)
    (work / 'debian/source/format').write_text('3.0 (quilt)\n')
    (work / 'debian/control').write_text(
        'Source: qemu\nMaintainer: Nobody <nobody@localhost>\n'
        '\nPackage: qemu\nArchitecture: any\nDescription: none\n')
    (work / 'debian/changelog').write_text(
        f'qemu ({TESTED}) trixie; urgency=low\n\n  * None.\n\n'
        ' -- Nobody <nobody@localhost>  Thu, 01 Jan 2026 00:00:00 +0000\n')
    (work / 'debian/patches').mkdir()
    (work / 'debian/patches/series').write_text('one.patch\n')
    (work / 'debian/patches/one.patch').write_text(
        '--- a/pythondeps.toml\n+++ b/pythondeps.toml\n'
        '@@ -1 +1 @@\n-[meson]\n+[patched]\n')
    subprocess.run(['dpkg-source', '-b', work], cwd=cache, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cache / f'qemu_{version}.dsc'


def test_cache_without_network(qemu, tmp_path, get, build):
    dsc = make_package(qemu, tmp_path / 'cache')
    status, said = get(f'--source-cache={dsc.parent}')
    assert status == 0
    assert said == ('configure: the base is QEMU 10.0.13: '
                    f'Debian {TESTED} (cache)')
    assert tree_of(build / 'source')['pythondeps.toml'] == '[patched]\n'
    assert not (build / 'source/debian').exists()
    assert get(f'--source-cache={dsc.parent}') == (0, '')


def test_damaged_cache(qemu, tmp_path, get, build):
    dsc = make_package(qemu, tmp_path / 'cache')
    orig = next(dsc.parent.glob('*.orig.tar.xz'))
    orig.write_bytes(orig.read_bytes()[:-1] + b'x')
    status, said = get(f'--source-cache={dsc.parent}')
    assert status == 1
    assert 'no QEMU source could be had' in said
    assert not (build / 'source.json').exists()


def test_no_network_and_no_cache(get):
    assert get() == (
        1, 'configure: no QEMU source could be had: put '
        f'qemu_{TESTED.split(":")[1]}.dsc and the files that it names into a '
        'directory and give --source-cache=DIR, or give a QEMU 10.0.x with '
        '--qemu-source=DIR|TARBALL')


def test_newest_of_the_series():
    versions = ['1:10.0.9+ds-0+deb13u1', '1:10.0.13+ds-0+deb13u1',
                '1:11.0.1+ds-1', '1:10.0.13+ds-0+deb13u2', '1:9.2.4+ds-1']
    assert load('qemu-source').newest(versions) == '1:10.0.13+ds-0+deb13u2'
    assert load('qemu-source').newest(['1:11.0.1+ds-1']) == ''


def test_full_disk(qemu, build, monkeypatch):
    module = load('qemu-source')

    def full(*_, **__):
        raise OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setattr(module.shutil, 'copy2', full)
    monkeypatch.setattr(sys, 'argv', ['qemu-source', f'--build-dir={build}',
                                      f'--qemu-source={qemu}'])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == (f'configure: the disk that holds {build} is '
                                  'full; make room and run this again')


def test_disk_that_a_tool_filled(qemu, tmp_path, build, monkeypatch):
    """tar says nothing that could be relied on; the room left does."""
    module = load('qemu-source')
    path = tarball(qemu, tmp_path / 'q.tar.xz')
    path.write_bytes(path.read_bytes()[:-40])
    monkeypatch.setattr(module.shutil, 'disk_usage',
                        lambda _: SimpleNamespace(free=4096))
    monkeypatch.setattr(sys, 'argv', ['qemu-source', f'--build-dir={build}',
                                      f'--qemu-source={path}'])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert 'is full' in stopped.value.code


@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGTERM])
def test_interrupted(how, qemu, tmp_path, get, build, debian):
    """Nothing stays half done or running, and the next run succeeds."""
    debian.fake('tar', f'echo $$ > {tmp_path}/pid; exec sleep 60')
    (qemu / 'VERSION').write_text('10.0.2\n')
    path = tarball(qemu, tmp_path / 'q.tar.xz')
    running = subprocess.Popen(
        ['/usr/bin/python3', TOP / 'scripts/qemu-source',
         f'--build-dir={build}', f'--qemu-source={path}'], env=debian.env())
    pid = tmp_path / 'pid'
    while not (pid.exists() and pid.read_text()):
        time.sleep(0.01)
    running.send_signal(how)
    assert running.wait(10) == 128 + how
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert not (build / 'source.json').exists()
    (debian.path / 'tar').unlink()
    assert get(f'--qemu-source={path}')[0] == 0
    assert tree_of(build / 'source') == tree_of(qemu)
