# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/packages: each step asks for its own, and for no service.

The machine is a Debian of fakes, or one without apt.
"""

import re
import subprocess

import pytest

from conftest import TOP

APT = 'install -y --no-install-recommends -o DPkg::Lock::Timeout=600'
TABLE = (TOP / 'scripts/packages').read_text()
LIBVIRT = 'libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu'


def rows(part):
    """The rows of a part of the table, as words."""
    text = TABLE.partition(f'[{part}]\n')[2]
    lines = re.split(r'^(?:\[|EOF)', text, maxsplit=1, flags=re.M)[0]
    return [line.split() for line in lines.splitlines()]


@pytest.fixture
def ask(build, debian):
    """Call it for steps; (status, lines of all that it says)."""
    def run(*steps):
        done = subprocess.run(
            [TOP / 'scripts/packages', '--build-dir', build, *steps],
            env=debian.env(), text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.splitlines()
    return run


def bare(debian):
    """A Debian that has nothing, where apt-get installs what is asked for."""
    debian.fake('dpkg-query', '''
        for package; do :; done
        grep -qsx -- "$package" "$DEBIAN/installed" && printf installed''')
    debian.fake('apt-get', '''
        for word; do echo "$word" >> "$DEBIAN/installed"; done''')


@pytest.mark.parametrize('steps, wanted', [
    (['docs'], ['python3-sphinx', 'python3-sphinx-rtd-theme']),
    (['bench'], ['python3-matplotlib', 'valgrind', 'linux-source-6.12']),
    (['fuzz'], ['clang', 'libclang-rt-dev', 'llvm']),
    (['coverage'], ['ccache', 'python3-pytest', 'gcc', 'gcovr',
                    'linux-source-6.12']),
    (['mingw'], ['gcc-mingw-w64-x86-64']),
    (['unit', 'qtest'], ['ccache', 'python3-pytest']),
    (['series', 'build'], ['ccache', 'python3-pytest', 'shellcheck']),
    (['linux'], ['linux-source-6.12']),
    (['lab-long'], ['ccache', 'python3-pytest', 'iproute2',
                    'linux-source-6.12'])])
def test_a_step_asks_for_its_own(steps, wanted, ask, debian):
    """By the line that is told; called again, for nothing."""
    bare(debian)
    status, said = ask(*steps)
    line = f'{APT} {" ".join(wanted)}'
    assert (status, said) == (0, [
        'packages: packages are missing; this installs them:',
        f'DEBIAN_FRONTEND=noninteractive apt-get {line}'])
    assert ask(*steps) == (0, [])
    assert debian.calls('apt-get') == [line]


def test_unknown_step(ask):
    assert ask('unit', 'dosc') == (
        1, ['packages: nothing is known of a step dosc'])


def test_configure_s_no_install_holds_for_every_step(ask, debian, build):
    bare(debian)
    (build / 'configure.options').write_text("set -- '--no-install' '--'\n")
    status, said = ask('docs')
    assert status == 1
    assert said[-1] == 'packages: stopped there, as --no-install says'
    assert debian.calls('apt-get') == []


def test_without_root(ask, debian):
    bare(debian)
    debian.fake('id', 'echo 1000')
    status, said = ask('docs')
    assert status == 1
    assert said[-1] == (
        'packages: run that line as root, then run make again '
        '(sudo without a password would do it from here)')
    assert debian.calls('apt-get') == []


def test_no_step_installs_a_service():
    installed = {row[0] for row in re.findall(r'^([a-z][\w+.-]*) ', TABLE,
                                              re.M)}
    assert not [name for name in installed if 'libvirt' in name]


def test_every_row_is_whole():
    """Fedora's and Arch's names, and what proves that it is there; Debian
    alone has a source package of QEMU and of Linux."""
    parts = re.findall(r'^\[([\w-]+)\]$', TABLE, re.M)
    assert len(parts) > 5
    for part in parts:
        for row in rows(part):
            if row[1:] == ['-', '-', '-']:
                assert row[0] in ('dpkg-dev', 'linux-source-6.12')
            else:
                assert len(row) == 5 and row[3] in (
                    'tool', 'module', 'python', 'compiler', 'firmware'), row


def test_relative_with_another_linux(ask, debian):
    """It is told what to do about it, before anything is installed."""
    bare(debian)
    debian.fake('apt-cache', '''
        case $2 in linux-source-*) ;; *) echo "Candidate: 1" ;; esac''')
    assert ask('lab') == (1, [
        'packages: the lab wants Linux: fetch a linux-6.12.x.tar.xz from '
        'www.kernel.org and give ./configure --linux-source=TARBALL, or '
        '--debian-mirror=URL'])
    assert ask('make')[0] == 0
    assert 'linux-source' not in debian.calls('apt-get')[0]


def test_linux_that_configure_was_given(ask, debian, build):
    bare(debian)
    (build / 'linux-source').write_text('/linux.tar.xz')
    assert ask('linux') == (0, [])
    assert ask('lab-long')[0] == 0
    assert debian.calls('apt-get') == [f'{APT} ccache python3-pytest '
                                       'iproute2']


# --- the Linux of the selftests

def test_linux_of_the_selftests_is_unpacked(ask, debian, build):
    """From the backports of the mirror that configure was given, once; it is
    not installed."""
    debian.fake('apt-get', '''
        case " $* " in *" download "*) touch linux-source-7.3_1_all.deb ;; esac
        ''')
    debian.fake('dpkg', '''
        [ "$1" != -x ] || { mkdir -p "$3/usr/src"
                            touch "$3/usr/src/linux-source-7.3.tar.xz"; }''')
    (build / 'configure.options').write_text(
        "set -- '--debian-mirror=http://mirror/debian' '--no-install' '--'\n")
    status, said = ask('selftests')
    assert status == 0
    assert said[0] == ("packages: unpacking for the selftests alone, from "
                       "Debian 13's backports: linux-source-7.3")
    pointer = build / 'linux-source-7.3'
    tarball = f'{build}/linux-7.3/usr/src/linux-source-7.3.tar.xz'
    assert pointer.read_text() == tarball
    assert 'http://mirror/debian trixie-backports main' in (
        build / 'apt-backports/sources.list.d/debian.list').read_text()
    downloads = debian.calls('apt-get')
    assert downloads[-1].endswith('linux-source-7.3/trixie-backports')
    assert 'install' not in ' '.join(downloads).split()
    pointer.unlink()        # as configure leaves it
    assert ask('selftests') == (0, [])
    assert pointer.read_text() == tarball
    assert debian.calls('apt-get') == downloads


def test_linux_of_the_selftests_that_configure_was_given(ask, debian, build):
    bare(debian)
    (build / 'linux-source-7.3').write_text('/linux.tar.xz')
    assert ask('selftests')[0] == 0
    assert debian.calls('apt-get') == [f'{APT} ccache python3-pytest '
                                       'uuid-dev']
    assert (build / 'linux-source-7.3').read_text() == '/linux.tar.xz'


def test_linux_of_the_selftests_that_cannot_be_had(ask, debian, build):
    (build / 'configure.options').write_text(
        "set -- '--debian-mirror=http://mirror/debian' '--'\n")
    remedy = ('fetch a linux-7.3.x.tar.xz from www.kernel.org and give '
              './configure --selftests-source=TARBALL')
    status, said = ask('selftests')
    assert status == 1
    assert said[-1] == f'packages: that failed: {remedy}'
    assert not (build / 'linux-source-7.3').exists()
    debian.become_another()
    assert ask('selftests')[1][-1] == (
        f'packages: the selftests want Linux: {remedy}')


# --- where there is no apt

def test_all_there(ask, debian):
    debian.become_another()
    debian.fake('pkg-config', 'exit 0')
    assert ask('make') == (0, [])


def test_the_lab_wants_linux(ask, debian, build):
    debian.become_another()
    assert ask('linux') == (1, [
        'packages: the lab wants Linux: fetch a linux-6.12.x.tar.xz from '
        'www.kernel.org and give ./configure --linux-source=TARBALL'])
    (build / 'linux-source').write_text('/linux.tar.xz')
    assert ask('linux') == (0, [])


def test_what_is_missing_is_named(ask, debian):
    """Each with its package, by which it can be installed at once."""
    debian.become_another()
    debian.hide('flex', 'ninja')
    debian.fake('pkg-config', '[ "$2" != libelf ]')
    status, said = ask('make')
    assert status == 1
    assert said[0] == ('configure: missing, and there is no apt here that '
                       'could install it:')
    assert [line.split() for line in said[1:5]] == [
        ['in', 'Fedora', 'in', 'Arch'], ['flex', 'flex', 'flex'],
        ['pkg-config', 'libelf', 'elfutils-libelf-devel', 'libelf'],
        ['ninja', 'ninja-build', 'ninja']]
    assert said[5:] == [
        'dnf install flex elfutils-libelf-devel ninja-build',
        'pacman -S --needed flex libelf ninja',
        'configure: install what is missing, then run this again']


# --- libvirt

# What apt would install where there is nothing: Debian 12's libssl3 is
# here, and of libglib2.0-0 the newer files of libglib2.0-0t64
PLAN = '''
    case " $* " in
    *" -s "*) echo "Inst libc6 (2.43-7 Debian:testing [amd64])"
              echo "Inst libglib2.0-0 (2.74.6-2 Debian:12/oldstable [amd64])"
              echo "Inst libssl3 (3.0.17-1 Debian:12/oldstable [amd64])"
              echo "Inst libvirt0 (9.0.0-4 Debian:12/oldstable [amd64])"
              echo "Inst libyajl2 [2.0-1] (2.1.0-5 Debian:13/stable [amd64])"
              echo "Conf libvirt0 (9.0.0-4 Debian:12/oldstable [amd64])" ;;
    *" download "*) touch libvirt0.deb ;;
    *" update "*) lists=${2%/apt.conf}
                  cat "$lists"/sources.list.d/* >> "$DEBIAN/sources"
                  touch "$lists/lists/mirror_Sources" ;;
    esac'''
INSTALLED = {'libc6': '2.36-9', 'libglib2.0-0t64': '2.84.4-3',
             'libssl3': '3.0.17-1', 'libvirt0': '11.3.0-3'}
DOWNLOAD = ('download -qq -o APT::Sandbox::User=root '
            'libc6=2.43-7 libvirt0=9.0.0-4 libyajl2=2.1.0-5')


def unpacks(debian):
    """dpkg -x leaves programs of libvirt's, in the places of Debian 12; and
    there is a namespace in which what was unpacked is run."""
    debian.fake('apt-get', PLAN)
    debian.fake('dpkg-query', 'case $4 in\n' + ''.join(
        f'{name}) echo "installed {version}" ;;\n'
        for name, version in INSTALLED.items()) + '*) printf installed\nesac')
    debian.fake('dpkg', '''
        case $1 in
        --compare-versions)
            newest=$(printf '%s\\n' "$2" "$4" | sort -V | tail -n 1)
            [ "$3" = ge ] && [ "$2" = "$newest" ] ;;
        -x) mkdir -p "$3/usr/bin" "$3/usr/sbin" "$3/lib/x86_64-linux-gnu"
            touch "$3/lib/x86_64-linux-gnu/libc.so.6"
            for name in bin/virsh sbin/libvirtd; do
                printf '#!/bin/sh\\n' > "$3/usr/$name"
                chmod +x "$3/usr/$name"
            done ;;
        esac''')
    debian.fake('unshare', '[ "$2" = true ] || exec ".${6#/usr}"')


def test_libvirt_is_unpacked(ask, debian, build):
    """With what it needs that is not installed, or older; nothing is
    installed."""
    unpacks(debian)
    (build / 'libvirt/tree').mkdir(parents=True)
    status, said = ask('libvirt')
    assert (status, said) == (0, [
        f'packages: unpacking for the tests alone, in {build}/libvirt: '
        f'{LIBVIRT}'])
    plan, download = debian.calls('apt-get')
    assert plan.startswith('-s ') and plan.endswith(f'install {LIBVIRT}')
    assert download == DOWNLOAD
    tree = build / 'libvirt/tree'
    assert (tree / 'usr/sbin/libvirtd').exists()
    assert (tree / 'usr/lib/x86_64-linux-gnu/libc.so.6').exists()
    assert (tree / 'lib').resolve() == tree / 'usr/lib'
    assert ask('lab', 'libvirt') == (0, [])
    assert len(debian.calls('apt-get')) == 2


def test_libvirt_whose_libraries_went_is_unpacked_anew(ask, debian, build):
    unpacks(debian)
    (build / 'libvirt/tree').mkdir(parents=True)
    ask('libvirt')
    (build / 'libvirt/tree/usr/bin/virsh').write_text('#!/bin/sh\nexit 127\n')
    status, said = ask('libvirt')
    assert status == 0 and len(said) == 1
    assert len(debian.calls('apt-get')) == 4


def test_libvirt_that_cannot_be_had(ask, debian, build):
    """Old lists are updated once; what is left is to be installed."""
    unpacks(debian)
    debian.fake('apt-get', 'exit 100')
    (build / 'libvirt/tree').mkdir(parents=True)
    status, said = ask('libvirt')
    assert status == 1
    assert said[-1] == (
        'packages: libvirt could not be had; one that is installed does as '
        f'well: apt-get install --no-install-recommends {LIBVIRT}')
    assert 'update' in debian.calls('apt-get')


def test_libvirts_of_several_debians(ask, debian, build):
    """Each once, from its suite of the mirror that configure was given."""
    unpacks(debian)
    (build / 'configure.options').write_text(
        "set -- '--debian-mirror=http://mirror/debian' '--'\n")
    suites = ['bookworm', 'trixie', 'testing']
    trees = [build / f'libvirt-{suite}/tree' for suite in suites]
    status, said = ask('libvirts')
    assert (status, said[::2]) == (0, [
        f'packages: unpacking for the tests alone, in {tree.parent}: '
        f'libvirt of {suite}' for suite, tree in zip(suites, trees)])
    assert all((tree / 'usr/sbin/libvirtd').exists() for tree in trees)
    for suite, tree in zip(suites, trees):
        assert f'-c {tree.parent}/apt/apt.conf {DOWNLOAD}' in debian.calls(
            'apt-get')
    sources = (debian.path / 'sources').read_text()
    assert [suite for suite in suites if sources.count(
        f' http://mirror/debian {suite} main\n') == 2] == suites
    assert ask('libvirts') == (0, [])


def test_libvirts_without_apt(ask, debian, build):
    debian.become_another()
    (build / 'linux-source').write_text('/linux.tar.xz')
    assert ask('libvirts') == (1, ['packages: there is no apt here that could '
                                   "fetch Debian's libvirts"])


def test_steps_of_the_makefile_are_known(ask, debian, build):
    calls = re.findall(r'\$\(call (?:step|check|with),([^$)]+)',
                       (TOP / 'Makefile').read_text())
    assert len(calls) > 10
    unpacks(debian)
    (build / 'linux-source-7.3').write_text('/linux.tar.xz')
    for steps in calls:
        assert ask(*steps.split())[0] == 0, steps
