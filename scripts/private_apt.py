#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of a Debian that is not the machine's, nothing installed.

A private apt configuration in a directory of the caller's.  Mirrors, keyring
and every option of them are those of the machine's own Debian entries, only
the suite is another, Debian 13's where none is named; proxy and authentication
come from the machine's apt.conf, which stays in force.  Where the machine's is
another distribution, the user names a mirror.

    private_apt.py APT-DIR [--mirror=URL] [--suite=NAME] unpack DIR PACKAGE...
    private_apt.py APT-DIR [--mirror=URL] [--suite=NAME] update

The first unpacks packages that depend on nothing, the second fetches the lists
for who calls apt-get -c APT-DIR/apt.conf.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

SUITE = 'trixie'
KEYRING = Path('/usr/share/keyrings/debian-archive-keyring.gpg')
TIMEOUT = 30


class AptError(Exception):
    """What apt could not do, in one sentence."""


def own_codename(os_release=Path('/etc/os-release')):
    """The machine's Debian release, or '' where it does not tell, or is not
    Debian's: Ubuntu's suites have mirrors of their own."""
    try:
        text = os_release.read_text()
    except OSError:
        return ''
    if not re.search(r'^ID="?debian"?$', text, re.M):
        return ''
    found = re.search(r'^VERSION_CODENAME="?([\w-]+)', text, re.M)
    return found.group(1) if found else ''


def suite_here(suite, codename, wanted=SUITE):
    """The suite of @wanted that stands for this one, None where none does."""
    names = '|'.join(filter(None, (codename, 'stable', 'oldstable', SUITE)))
    match = re.fullmatch(f'({names})(-updates|-security|/updates)?', suite)
    if not match:
        return None
    if wanted.endswith('-backports'):
        return None if match.group(2) else wanted
    return wanted + (match.group(2) or '').replace('/updates', '-security')


def read_deb822(text, codename, wanted=SUITE):
    """The stanzas of a .sources file that are Debian's, for suite @wanted."""
    text = re.sub(r'^#.*\n?', '', text, flags=re.M)
    for stanza in re.split(r'\n\s*\n', text):
        fields = dict(re.findall(r'^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)',
                                 stanza, re.M))
        fields = {name.lower(): value for name, value in fields.items()}
        if fields.get('enabled', 'yes').strip().lower() in ('no', 'false'):
            continue
        if 'main' not in fields.get('components', '').split():
            continue
        uris = [u for u in fields.get('uris', '').split()
                if not u.startswith('cdrom:')]
        suites = {suite_here(s, codename, wanted)
                  for s in fields.get('suites', '').split()} - {None}
        if not uris or not suites:
            continue
        fields.update({'types': 'deb deb-src', 'components': 'main',
                       'uris': ' '.join(uris),
                       'suites': ' '.join(sorted(suites))})
        yield ''.join(f'{name}: {value}\n' for name, value in fields.items())


def read_one_line(text, codename, wanted=SUITE):
    """The same for the one-line format."""
    for line in text.splitlines():
        match = re.match(r'deb(?:-src)?\s+(\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)',
                         line.split('#')[0].strip())
        if not match or match.group(2).startswith('cdrom:'):
            continue
        options, uri, suite, components = match.groups(default='')
        suite = suite_here(suite, codename, wanted)
        if suite and 'main' in components.split():
            for kind in ('deb', 'deb-src'):
                yield f'{kind} {options}{uri} {suite} main\n'


def read_sources(etc, codename, wanted=SUITE):
    """(one-line text, deb822 text) for suite @wanted from an /etc/apt."""
    one_line, deb822 = [], []
    for path in [etc / 'sources.list',
                 *sorted(etc.glob('sources.list.d/*'))]:
        try:
            text = path.read_text(errors='replace')
        except OSError:
            continue
        if path.suffix == '.list':
            one_line += read_one_line(text, codename, wanted)
        elif path.suffix == '.sources':
            deb822 += read_deb822(text, codename, wanted)
    return ''.join(dict.fromkeys(one_line)), '\n'.join(dict.fromkeys(deb822))


def mirror_sources(mirror, wanted=SUITE):
    """The one-line text for a mirror that the user named."""
    options = f'[signed-by={KEYRING}] ' if KEYRING.exists() else ''
    return ''.join(f'{kind} {options}{mirror} {wanted} main\n'
                   for kind in ('deb', 'deb-src'))


class Apt:
    """The private apt, all of whose state is below one directory."""

    def __init__(self, directory, mirror=None, etc=Path('/etc/apt'),
                 suite=SUITE):
        self.directory = Path(directory).resolve()
        self.suite = suite
        parts = self.directory / 'sources.list.d'
        for path in (parts, self.directory / 'lists/partial',
                     self.directory / 'cache/archives/partial'):
            path.mkdir(parents=True, exist_ok=True)
        one_line, deb822 = (
            (mirror_sources(mirror, suite), '') if mirror
            else read_sources(etc, own_codename(), suite))
        if not one_line and not deb822:
            raise AptError(f'{etc} names no Debian mirror; one can be given '
                           'with --debian-mirror=URL')
        (parts / 'debian.list').write_text(one_line)
        (parts / 'debian.sources').write_text(deb822)
        self.configuration = self.directory / 'apt.conf'
        self.configuration.write_text(''.join(
            f'{name} "{value}";\n' for name, value in (
                ('Dir::Etc::sourcelist', '/dev/null'),
                ('Dir::Etc::sourceparts', parts),
                ('Dir::State::lists', self.directory / 'lists'),
                ('Dir::Cache', self.directory / 'cache'),
                ('Dir::Cache::archives', self.directory / 'cache/archives'),
                # root's downloads may lie where user _apt cannot go
                ('APT::Sandbox::User', 'root'),
                ('APT::Update::Post-Invoke-Success', ''),
                ('Acquire::Languages', 'none'),
                ('Acquire::http::Timeout', TIMEOUT),
                ('Acquire::https::Timeout', TIMEOUT))))
        self.updated = False
        self.offline = ''      # why no list could be fetched

    def run(self, tool, *arguments, **options):
        """Run one of apt's tools; its output is returned, or the reason."""
        try:
            done = subprocess.run([tool, '-c', self.configuration,
                                   *arguments], text=True,
                                  env={**os.environ, 'LC_ALL': 'C'},
                                  stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, **options)
        except OSError as error:
            raise AptError(str(error)) from error
        if done.returncode:
            errors = [line[3:] for line in done.stderr.splitlines()
                      if line.startswith('E: ')]
            raise AptError(errors[0] if errors else f'{tool} failed')
        return done.stdout

    def update(self):
        """Fetch the lists; one that fails is no matter if others do not."""
        print(f'  reading the package lists of {self.suite}', flush=True)
        self.updated = True
        self.run('apt-get', 'update', '-q')
        # apt-get calls it success when nothing could be fetched
        if not any(self.directory.glob('lists/*_Sources*')):
            self.offline = ('no package list could be fetched '
                            '(is there a network?)')
            raise AptError(self.offline)

    def attempt(self, action):
        """Do it with the lists at hand, then once more with fresh ones."""
        if self.offline:
            raise AptError(self.offline)
        if self.updated or any(self.directory.glob('lists/*_Sources*')):
            try:
                return action()
            except AptError:
                if self.updated:
                    raise
        try:
            self.update()
        except AptError as reason:
            try:
                return action()
            except AptError:
                raise reason from None
        return action()

    def source_versions(self, package):
        """All versions of a source package in the suite, any order."""
        text = self.attempt(lambda: self.run(
            'apt-cache', 'showsrc', '--only-source', package))
        return sorted(set(re.findall(r'^Version: (\S+)', text, re.M)))

    def fetch_source(self, package, version, directory):
        """Download the files of a source package, checked by apt."""
        directory.mkdir(parents=True, exist_ok=True)
        self.attempt(lambda: self.run(
            'apt-get', 'source', '-q', '--download-only', '--only-source',
            f'{package}={version}', cwd=directory))

    def unpack(self, directory, packages):
        """Unpack architecture-independent packages below a directory."""
        debs = self.directory / 'debs'
        debs.mkdir(exist_ok=True)
        for package in packages:
            for stale in debs.glob(f'{package}_*.deb'):
                stale.unlink()
            self.attempt(lambda: self.run(
                'apt-get', 'download', '-q', f'{package}/{self.suite}',
                cwd=debs))
            deb = next(debs.glob(f'{package}_*.deb'))
            subprocess.run(['dpkg', '-x', deb, directory], check=True)


def main():
    words = sys.argv[1:]
    options = {}
    while len(words) > 1 and (match := re.fullmatch(r'--(mirror|suite)=(.+)',
                                                    words[1])):
        options[match.group(1)] = match.group(2)
        del words[1]
    if words[1:] != ['update'] and (len(words) < 4 or words[1] != 'unpack'):
        sys.exit(__doc__.split('\n\n')[2])
    caller = 'packages' if words[1] == 'update' else 'configure'
    try:
        apt = Apt(words[0], **options)
        if words[1] == 'update':
            apt.update()
        else:
            apt.unpack(words[2], words[3:])
    except AptError as error:
        sys.exit(f'{caller}: {error}')


if __name__ == '__main__':
    main()
