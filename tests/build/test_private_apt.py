# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/private_apt.py: which of the machine's sources are Debian's."""

import pytest

from private_apt import (Apt, AptError, own_codename, read_deb822,
                         read_one_line, read_sources, suite_here)

KEY = '/usr/share/keyrings/debian-archive-keyring.gpg'


@pytest.mark.parametrize('suite, wanted', [
    ('bookworm', 'trixie'), ('bookworm-updates', 'trixie-updates'),
    ('bookworm-security', 'trixie-security'), ('oldstable', 'trixie'),
    ('stable-security', 'trixie-security'), ('trixie', 'trixie'),
    ('bookworm/updates', 'trixie-security'),
    ('bookworm-backports', None), ('nodistro', None), ('sid', None),
    ('llvm-toolchain-bookworm', None), ('bookworm-pgdg', None)])
def test_suite(suite, wanted):
    assert suite_here(suite, 'bookworm') == wanted


@pytest.mark.parametrize('suite, wanted', [
    ('bookworm', 'trixie-backports'), ('stable', 'trixie-backports'),
    ('bookworm-updates', None), ('bookworm-security', None),
    ('bookworm-backports', None), ('sid', None)])
def test_suite_with_backports(suite, wanted):
    """They are where the release is, whose own may not be named."""
    assert suite_here(suite, 'bookworm', 'trixie-backports') == wanted


def test_another_suite(tmp_path):
    """Stands for the same of the machine's; apt is told by one file."""
    assert suite_here('bookworm-updates', 'bookworm', 'testing') == (
        'testing-updates')
    (tmp_path / 'sources.list').write_text(
        'deb http://mirror/debian stable main\n')
    apt = Apt(tmp_path / 'apt', etc=tmp_path, suite='testing')
    parts = tmp_path / 'apt/sources.list.d'
    assert (parts / 'debian.list').read_text() == (
        'deb http://mirror/debian testing main\n'
        'deb-src http://mirror/debian testing main\n')
    text = apt.configuration.read_text()
    assert f'Dir::Etc::sourceparts "{parts}";\n' in text


def test_deb822():
    text = (f'# Comment\nTypes: deb\nURIs: http://mirror/debian\n'
            f'Suites: bookworm bookworm-updates bookworm-backports\n'
            f'# another\nComponents: main contrib\nSigned-By: {KEY}\n')
    assert list(read_deb822(text, 'bookworm')) == [
        'types: deb deb-src\nuris: http://mirror/debian\n'
        'suites: trixie trixie-updates\ncomponents: main\n'
        f'signed-by: {KEY}\n']


def test_deb822_with_a_key_inside():
    text = ('Types: deb\nURIs: http://mirror/debian\nSuites: bookworm\n'
            'Components: main\nSigned-By:\n -----BEGIN PGP-----\n .\n abc\n')
    stanza, = read_deb822(text, 'bookworm')
    assert stanza.endswith('signed-by: \n -----BEGIN PGP-----\n .\n abc\n')


@pytest.mark.parametrize('line', [
    'Enabled: no', 'Components: stable', 'Suites: nodistro',
    'URIs: cdrom:[Debian]/'])
def test_deb822_that_is_not_wanted(line):
    fields = {'Types': 'deb', 'URIs': 'http://mirror/debian',
              'Suites': 'bookworm', 'Components': 'main'}
    name, value = line.split(': ')
    fields[name] = value
    text = ''.join(f'{name}: {value}\n' for name, value in fields.items())
    assert not list(read_deb822(text, 'bookworm'))


def test_one_line():
    text = ('# deb http://commented/debian bookworm main\n'
            f'deb [arch=amd64 signed-by={KEY}] http://mirror/debian bookworm '
            'main contrib # why\n'
            'deb http://other bookworm stable\n'
            'deb cdrom:[Debian]/ bookworm main\n'
            'deb http://mirror/security bookworm-security main\n')
    options = f'[arch=amd64 signed-by={KEY}] '
    assert list(read_one_line(text, 'bookworm')) == [
        f'deb {options}http://mirror/debian trixie main\n',
        f'deb-src {options}http://mirror/debian trixie main\n',
        'deb http://mirror/security trixie-security main\n',
        'deb-src http://mirror/security trixie-security main\n']


def test_sources_of_a_machine(tmp_path):
    """Files that apt would not read are not read; doubles are one."""
    parts = tmp_path / 'sources.list.d'
    parts.mkdir()
    line = 'deb http://mirror/debian trixie main\n'
    (tmp_path / 'sources.list').write_text(line)
    (parts / 'a.list').write_text(line)
    (parts / 'b.list.disabled').write_text('deb http://off trixie main\n')
    (parts / 'c.sources').write_text(
        'Types: deb\nURIs: http://c\nSuites: trixie\nComponents: main\n')
    one_line, deb822 = read_sources(tmp_path, 'trixie')
    assert one_line == line + line.replace('deb ', 'deb-src ')
    assert deb822 == ('types: deb deb-src\nuris: http://c\n'
                      'suites: trixie\ncomponents: main\n')


@pytest.mark.parametrize('text, codename', [
    ('ID=debian\nVERSION_CODENAME=bookworm\n', 'bookworm'),
    ('ID="debian"\nVERSION_CODENAME="trixie"\n', 'trixie'),
    ('ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n', ''),
    ('ID=fedora\n', '')])
def test_codename(text, codename, tmp_path):
    """What looks like Debian's suite is another's on a relative."""
    (tmp_path / 'os-release').write_text(text)
    assert own_codename(tmp_path / 'os-release') == codename
    assert own_codename(tmp_path / 'none') == ''


def test_a_relative_of_debian(tmp_path):
    """Its own mirrors are not Debian's; the one that the user names is."""
    (tmp_path / 'sources.list').write_text(
        'deb http://archive/ubuntu noble main\n')
    with pytest.raises(AptError, match='--debian-mirror=URL'):
        Apt(tmp_path / 'apt', etc=tmp_path)
    Apt(tmp_path / 'apt', 'http://mirror/debian', etc=tmp_path)
    parts = tmp_path / 'apt/sources.list.d'
    lines = (parts / 'debian.list').read_text().splitlines()
    assert [line.split()[0] for line in lines] == ['deb', 'deb-src']
    assert all(line.endswith(' http://mirror/debian trixie main')
               for line in lines)
    assert (parts / 'debian.sources').read_text() == ''
