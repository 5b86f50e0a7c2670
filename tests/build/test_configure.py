# SPDX-License-Identifier: GPL-2.0-or-later
"""configure: packages, room, what it leaves, and being run again.

Each case configures a copy of this checkout in a path with spaces, without
.git and without HOME, on a Debian of fakes.
"""

import os
import shutil

import pytest

APT = 'install -y --no-install-recommends -o DPkg::Lock::Timeout=600'


@pytest.fixture
def build(checkout):
    return checkout.path / 'build'


def missing(debian, *names):
    """Make these packages the only ones that are not installed, as long as
    apt-get did not install them."""
    tests = ' '.join(f'*" {name}") ;;' for name in names)
    debian.fake('dpkg-query', f'''
        [ -e "$DEBIAN/installed" ] && printf installed && exit
        case " $*" in {tests} *) printf installed ;; esac''')
    debian.fake('apt-get', '''
        echo "$DEBIAN_FRONTEND" >> "$DEBIAN/frontend"
        [ "$1" != install ] || touch "$DEBIAN/installed"''')


def said(done):
    return done.stdout.splitlines()


def test_help(checkout):
    done = checkout.configure('--help')
    assert done.returncode == 0
    for option in ('--qemu-source=', '--source-cache=', '--build-dir=',
                   '--no-install', ' -- '):
        assert option in done.stdout


def test_unknown_option(checkout):
    done = checkout.configure('--enable-kvm')
    assert done.returncode == 1
    assert said(done) == ['configure: unknown option --enable-kvm (--help '
                          "lists them; QEMU's own follow --)"]


def test_all_there(checkout, qemu, build):
    """It ends well and has asked apt for nothing."""
    done = checkout.configure(f'--qemu-source={qemu}')
    assert done.returncode == 0, done.stdout
    assert said(done)[-1] == ('configure: done; now: make, make demo or '
                              'make check')
    assert (build / 'build.ninja').exists()
    assert checkout.debian.calls('apt-get') == []
    assert {path.name for path in checkout.path.iterdir()} == {
        'configure', 'meson.build', 'Makefile', 'scripts', 'series', 'tests',
        'build'}


def test_missing_packages_and_no_install(checkout, debian, build):
    missing(debian, 'flex', 'git')
    done = checkout.configure('--no-install')
    assert done.returncode == 1
    assert said(done)[-3:] == [
        'configure: packages are missing; this installs them:',
        f'DEBIAN_FRONTEND=noninteractive apt-get {APT} flex git',
        'configure: stopped there, as --no-install says']
    assert debian.calls('apt-get') == []
    assert not (build / 'source.json').exists()


def test_missing_packages_without_root(checkout, debian):
    missing(debian, 'flex')
    debian.fake('id', 'echo 1000')
    done = checkout.configure()
    assert done.returncode == 1
    assert said(done)[-2:] == [
        f'DEBIAN_FRONTEND=noninteractive apt-get {APT} flex',
        'configure: run that line as root, then run this again '
        '(sudo without a password would do it from here)']
    assert debian.calls('apt-get') == []


def test_root_installs(checkout, debian, qemu):
    missing(debian, 'flex', 'git')
    assert checkout.configure(f'--qemu-source={qemu}').returncode == 0
    assert debian.calls('apt-get') == [f'{APT} flex git']
    assert (debian.path / 'frontend').read_text() == 'noninteractive\n'


def test_sudo_installs_and_keeps_the_proxy(checkout, debian, qemu):
    missing(debian, 'flex')
    debian.fake('id', 'echo 1000')
    debian.fake('sudo', 'shift; "$@"')
    done = checkout.configure(f'--qemu-source={qemu}',
                              http_proxy='http://proxy:3128')
    assert done.returncode == 0
    assert debian.calls('apt-get') == [f'{APT} flex']
    assert debian.calls('sudo')[-1] == (
        '-n env http_proxy=http://proxy:3128 DEBIAN_FRONTEND=noninteractive '
        f'apt-get {APT} flex')


def test_empty_lists_are_updated_first(checkout, debian, qemu):
    missing(debian, 'flex')
    debian.fake('apt-cache', 'echo "Candidate: (none)"')
    assert checkout.configure(f'--qemu-source={qemu}').returncode == 0
    assert debian.calls('apt-get') == ['update', f'{APT} flex']


def test_old_lists_are_updated_after_a_failure(checkout, debian, qemu):
    """What an interrupted dpkg left is repaired on the way."""
    missing(debian, 'flex')
    debian.fake('apt-get', '''
        [ "$1" != install ] || [ -e "$DEBIAN/updated" ] || exit 100
        touch "$DEBIAN/updated"''')
    assert checkout.configure(f'--qemu-source={qemu}').returncode == 0
    assert debian.calls('apt-get') == [f'{APT} flex', 'update', f'{APT} flex']
    assert debian.calls('dpkg')[0] == '--configure -a'


def test_apt_that_fails(checkout, debian):
    missing(debian, 'flex')
    debian.fake('apt-get', 'exit 100')
    done = checkout.configure()
    assert done.returncode == 1
    assert said(done)[-1] == ('configure: apt could not install: flex '
                              '(its reason is above)')


def test_small_disk(checkout, debian, tmp_path):
    build = tmp_path / 'out'
    checkout.have_tools(build)
    debian.fake('df', 'echo head; echo /dev/sda 1 1 1048576 1% /')
    done = checkout.configure(f'--build-dir={build}')
    assert done.returncode == 1
    assert said(done) == [
        f'configure: {build} needs 8 GB, its disk has 1025 MB for it: '
        'make room or use --build-dir']


def test_build_directory_around_the_checkout(checkout):
    done = checkout.configure(f'--build-dir={checkout.path.parent}')
    assert done.returncode == 1
    assert said(done)[-1].startswith(
        'configure: the build directory cannot hold the checkout')


def test_directory_of_something_else(checkout, tmp_path):
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos/mine').touch()
    done = checkout.configure(f'--build-dir={tmp_path}/photos')
    assert done.returncode == 1
    assert said(done) == [f'configure: {tmp_path}/photos is neither empty nor '
                          'a build directory']
    assert os.listdir(tmp_path / 'photos') == ['mine']


def test_bad_source_keeps_the_build_unconfigured(checkout, tmp_path, build):
    done = checkout.configure(f'--qemu-source={tmp_path}')
    assert done.returncode == 1
    assert said(done)[-1] == (f'configure: {tmp_path} is not a QEMU source '
                              'tree')
    assert not (build / 'configured').exists()


def test_options_for_qemu(checkout, qemu, build):
    """Each is a line; the next configure's are all that count."""
    checkout.configure(f'--qemu-source={qemu}', '--', '--enable-vnc',
                       "--extra-cflags=-O0 -DX='y'")
    assert (build / 'qemu-options').read_text() == (
        "--enable-vnc\n--extra-cflags=-O0 -DX='y'\n")
    checkout.configure(f'--qemu-source={qemu}')
    assert (build / 'qemu-options').read_text() == ''


def test_relative_paths(checkout, qemu, tmp_path):
    shutil.move(qemu, checkout.path.parent / 'other')
    checkout.have_tools(checkout.path.parent / 'out')
    done = checkout.configure('--qemu-source=other', '--build-dir=out')
    assert done.returncode == 0, done.stdout
    build = checkout.path.parent / 'out'
    assert (build / 'build.ninja').exists()
    assert not (checkout.path / 'build/configured').exists()
    quoted = str(build).replace("'", "'\\''")
    assert said(done)[-1] == (f'configure: done; now, in {checkout.path}: '
                              f"make BUILD_DIR='{quoted}'")


def test_space_in_the_path(checkout, qemu, build):
    """What is built is elsewhere, what is there is kept; also after a clean
    of that place."""
    shutil.rmtree(build)
    for _ in range(2):
        checkout.have_tools(build)
        done = checkout.configure(f'--qemu-source={qemu}')
        assert done.returncode == 0, done.stdout
        place = build.resolve()
        assert said(done)[0] == (
            'configure: QEMU cannot be built in a path with a space or colon: '
            f'{build} is a link to {place}')
        assert ' ' not in str(place)
        assert (place / 'build.ninja').exists()
        assert (place / 'tools/unpacked').exists()
        again = checkout.configure(f'--qemu-source={qemu}')
        assert build.resolve() == place
        assert 'is a link' not in again.stdout
        shutil.rmtree(place)
        build.unlink()


def test_newer_meson_without_network(checkout, debian, qemu, build, tmp_path):
    """It can be put where a source can."""
    (qemu / 'pythondeps.toml').write_text('[meson]\npycotap = { }\n')
    args = [f'--qemu-source={qemu}', f'--source-cache={tmp_path}']
    debian.fake('dpkg', '[ -e "$2" ]')
    done = checkout.configure(*args)
    assert done.returncode == 1
    assert said(done)[-1] in [
        f'configure: QEMU wants a newer {name}: put Debian 13\'s '
        f'{name}_*_all.deb where --source-cache=DIR says'
        for name in ('meson', 'python3-pycotap')]
    for name in ('meson_1.7.0-1', 'python3-pycotap_1.3.1-2'):
        (tmp_path / f'{name}_all.deb').touch()
    done = checkout.configure(*args)
    assert done.returncode == 0, done.stdout
    assert debian.calls('dpkg')[-1] == (
        f'-x {tmp_path}/python3-pycotap_1.3.1-2_all.deb {build}/tools')


# --- again, as make calls it

def test_again_where_nothing_changed(checkout, qemu):
    checkout.configure(f'--qemu-source={qemu}')
    done = checkout.configure('--again')
    assert (done.returncode, done.stdout) == (0, '')


def test_again_where_it_never_ran(checkout, build):
    """It is an ordinary configure then."""
    done = checkout.configure('--again', '--no-install')
    assert 'no QEMU source could be had' in said(done)[-1]


def test_again_after_a_change(checkout, qemu, build):
    """The options are those of the last time, whatever is in them."""
    checkout.configure(f'--qemu-source={qemu}', '--', "--x=it's \"$1\"")
    os.utime(checkout.path / 'configure', (2e9, 2e9))
    done = checkout.configure('--again')
    assert done.returncode == 0, done.stdout
    assert said(done)[-1].startswith('configure: done')
    assert (build / 'qemu-options').read_text() == "--x=it's \"$1\"\n"


def test_again_after_an_interrupted_run(checkout, qemu, build):
    """Whatever is half there is done anew, with the same options."""
    checkout.configure(f'--qemu-source={qemu}')
    (build / 'configured').unlink()
    (build / 'source.json').unlink()
    (build / 'source.new').mkdir()
    (build / 'source.new/half').touch()
    shutil.rmtree(build / 'meson-info')
    (build / 'build.ninja').write_text('rubbish')
    done = checkout.configure('--again')
    assert done.returncode == 0, done.stdout
    assert (build / 'source/VERSION').exists()
    assert not (build / 'source.new').exists()
    assert checkout.configure('--again').stdout == ''


def test_again_after_the_checkout_moved(checkout, qemu, build):
    checkout.configure(f'--qemu-source={qemu}')
    new = checkout.path.parent / 'moved'
    checkout.path.rename(new)
    checkout.path = new
    done = checkout.configure('--again')
    assert done.returncode == 0, done.stdout
    assert str(build) not in (new / 'build/build.ninja').read_text()


# --- another distribution

@pytest.fixture
def elsewhere(debian, qemu):
    """A machine without apt and dpkg, and a QEMU that brings its wheels."""
    debian.become_another()
    debian.fake('pkg-config', 'exit 0')
    (qemu / 'python/wheels').mkdir(parents=True)
    for name in ('meson-1.5.0', 'pycotap-1.3.1'):
        (qemu / f'python/wheels/{name}-py3-none-any.whl').touch()
    (qemu / 'pythondeps.toml').write_text('[meson]\npycotap = { }\n')
    return debian


def test_without_apt_it_goes_on_with_a_source(checkout, elsewhere, qemu, build,
                                              tmp_path):
    linux = tmp_path / 'linux-6.12.9.tar.xz'
    linux.touch()
    done = checkout.configure(f'--qemu-source={qemu}',
                              f'--linux-source={linux}')
    assert done.returncode == 0, done.stdout
    assert said(done)[-1].startswith('configure: done')
    assert 'NOTE' not in done.stdout
    assert (build / 'build.ninja').exists()
    assert (build / 'linux-source').read_text() == str(linux)
    assert checkout.configure('--again').stdout == ''


def test_without_apt_and_source_it_stops_with_all_that_is_wanted(
        checkout, elsewhere, build):
    """What is to be fetched and what is to be installed, in one go."""
    elsewhere.hide('flex')
    done = checkout.configure()
    assert done.returncode == 1
    assert said(done)[2] == (
        'configure: without apt there is no Debian package of QEMU: fetch '
        'qemu-10.0.13.tar.xz, or another 10.0.x, from QEMU\'s download page '
        '(www.qemu.org) and give --qemu-source=TARBALL')
    assert said(done)[3].startswith('configure: NOTE: make demo and the lab')
    assert said(done)[-3:] == [
        'dnf install flex', 'pacman -S --needed flex',
        'configure: install what is missing, then run this again']
    assert not (build / 'source.json').exists()


def test_without_apt_an_old_meson_has_to_be_in_the_source(checkout, elsewhere,
                                                          qemu):
    shutil.rmtree(qemu / 'python/wheels')
    (qemu / 'pythondeps.toml').write_text('[meson]\nno-such-module = { }\n')
    elsewhere.fake('sort', 'echo 1.0')
    done = checkout.configure(f'--qemu-source={qemu}')
    assert done.returncode == 1
    assert said(done)[-1] == ('configure: QEMU wants what is neither here nor '
                              'in its source: meson, 1.5 or newer')


@pytest.mark.parametrize('option', ['linux', 'selftests'])
def test_linux_source_that_is_not_there(option, checkout, qemu, tmp_path):
    done = checkout.configure(f'--{option}-source={tmp_path}/no')
    assert done.returncode == 1
    assert said(done)[-1] == f'configure: {tmp_path}/no is not there'


@pytest.mark.parametrize('option, pointer', [
    ('linux', 'linux-source'), ('selftests', 'linux-source-7.3')])
def test_linux_source_is_that_of_the_last_run(option, pointer, checkout, qemu,
                                              build, tmp_path):
    """make calls with it again; a configure without goes back."""
    (tmp_path / 'l.tar').touch()
    args = [f'--qemu-source={qemu}']
    assert checkout.configure(*args, f'--{option}-source={tmp_path}/l.tar'
                              ).returncode == 0
    (build / 'configured').unlink()
    assert checkout.configure('--again').returncode == 0
    assert (build / pointer).read_text() == f'{tmp_path}/l.tar'
    assert checkout.configure(*args).returncode == 0
    assert not (build / pointer).exists()


def test_debian_mirror_gives_linux(checkout, debian, qemu, build):
    """To a relative of Debian: unpacked for the build, from that mirror."""
    debian.fake('apt-get', '''
        case " $* " in *" download "*) touch linux-source-6.12_1_all.deb ;; esac
        ''')
    debian.fake('dpkg', '''
        [ "$1" != -x ] || { mkdir -p "$3/usr/src"
                            touch "$3/usr/src/linux-source-6.12.tar.xz"; }''')
    done = checkout.configure(f'--qemu-source={qemu}',
                              '--debian-mirror=http://mirror/debian')
    assert done.returncode == 0, done.stdout
    tarball = (build / 'linux-source').read_text()
    assert tarball == f'{build}/linux/usr/src/linux-source-6.12.tar.xz'
    assert 'http://mirror/debian trixie main' in (
        build / 'apt/sources.list.d/debian.list').read_text()
