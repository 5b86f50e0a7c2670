# SPDX-License-Identifier: GPL-2.0-or-later
"""A tiny QEMU and a tiny checkout with a series on it, for these tests.

There are two series, `early` and `late`.  `hooks` of the early one and `model`
of the late one change hw/x.c at either end, `default` of the late one changes
hw/y.c alone.
"""

import difflib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'scripts/series'


def lines(letter):
    """Forty lines that git takes for no function's name."""
    return ''.join(f'  {letter}{i}\n' for i in range(1, 41))


QEMU = {
    'VERSION': '10.0.13\n',
    'MAINTAINERS': 'Maintainers\n===========\n\nxen\nF: hw/xen/\n\n'
                   'vhost\nF: hw/vhost.c\n',
    'hw/x.c': lines('x'),
    'hw/y.c': lines('y'),
    'hw/z.c': lines('z'),
    'docs/index.rst': lines('d'),
    # reports each line that holds the marker
    'scripts/checkpatch.pl': r'''
my $bad = 0;
for my $file (grep { !/^-/ } @ARGV) {
    open(my $in, '<', $file) or die;
    while (<$in>) { if (/^\+.*UGLY/) { print "WARNING: $file:$.\n"; $bad++ } }
}
exit($bad ? 1 : 0);
''',
}
OURS = {
    'include/new.h': 'new header\n',
    'hw/new.c': 'new code\n',
    'hw/other.c': 'other code\n',
}
MAINTAINERS = '''Our entries.

Host-aware vIOMMU
S: Maintained
F: hw/new.c
F: hw/other.c
F: include/new.h
'''
COVER = 'the subject of %s\n\nWhy %s.\n'
EARLY = ['hooks']


def hunk(path, old, new):
    """The change of a file, as `git diff --abbrev=12` writes it."""
    ids = [hashlib.sha1(b'blob %d\0' % len(text.encode()) + text.encode())
           .hexdigest()[:12] for text in (old, new)]
    return (f'diff --git a/{path} b/{path}\nindex {ids[0]}..{ids[1]} 100644\n'
            + ''.join(difflib.unified_diff(old.splitlines(True),
                                           new.splitlines(True),
                                           f'a/{path}', f'b/{path}')))


class Project:
    """A checkout at @top with its build directory, both of these tests."""

    def __init__(self, top):
        self.top = top
        self.build = top / 'build'
        self.source = self.build / 'source'
        self.qemu = self.build / 'qemu'
        self.mails = self.build / 'series'
        self.env = {'PATH': os.environ['PATH'], 'LANG': 'C.UTF-8',
                    'GIT_CONFIG_NOSYSTEM': '1',
                    'GIT_CEILING_DIRECTORIES': str(top.parent)}

    # What stands in it

    def create(self):
        self.base(QEMU)
        for path, text in {
                **OURS, 'MAINTAINERS': MAINTAINERS, 'series/notices': '# why\n',
                'series/series': 'early\nlate\n',
                **{f'series/{group}/cover-letter': COVER % (group, group)
                   for group in ('early', 'late')}}.items():
            self.write(self.top / path, text)
        x, y = QEMU['hw/x.c'], QEMU['hw/y.c']
        hooked = x.replace('x3\n', 'x3\n  hook\n')
        self.topic('hooks', ['include/new.h'], hunk('hw/x.c', x, hooked))
        self.topic('model', ['hw/new.c', 'hw/other.c'],
                   hunk('hw/x.c', hooked, hooked.replace('x35', 'model')))
        self.topic('default', [], hunk('hw/y.c', y, y.replace('y7', 'auto')))
        self.order('hooks', 'model', 'default')

    @staticmethod
    def write(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def base(self, files, ident='first'):
        """Puts a QEMU of these files into BUILD/source."""
        shutil.rmtree(self.source, ignore_errors=True)
        for path, text in files.items():
            self.write(self.source / path, text)
        self.write(self.build / 'source.json', json.dumps(
            {'version': files['VERSION'].strip(), 'id': ident}))

    def patch(self, name):
        group = 'early' if name in EARLY else 'late'
        return self.top / f'series/{group}/{name}.patch'

    def topic(self, name, files, hunks, message='Because of it.'):
        self.write(self.patch(name),
                   f'Subject: hw: topic {name}\n'
                   f'Files: {" ".join(files)}\n\n{message}\n---\n{hunks}')

    def order(self, *names):
        for group in ('early', 'late'):
            self.write(self.top / f'series/{group}/series', ''.join(
                f'{name}.patch\n' for name in names
                if self.patch(name).parent.name == group))

    def topics(self):
        return {path.stem: path.read_text()
                for path in self.top.glob('series/*/*.patch')}

    def replace(self, path, old, new):
        """An edit in place, as an editor makes it."""
        text = path.read_text()
        assert old in text, path
        path.write_text(text.replace(old, new))

    def sed(self, path, old, new):
        """An edit that puts a new file in the place, as sed -i makes it."""
        text = path.read_text()
        assert old in text, path
        path.unlink()
        path.write_text(text.replace(old, new))

    # What is done to it

    def run(self, *args):
        return subprocess.run(
            [sys.executable, '-S', str(SCRIPT), '--checkout', str(self.top),
             '--build-dir', str(self.build), *args], env=self.env,
            cwd=self.top, capture_output=True, text=True, check=False,
            timeout=60)

    def ok(self, *args):
        """Runs a command that succeeds. Returns what it says."""
        done = self.run(*args)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def refused(self, *args):
        """Runs a command that fails. Returns what it says."""
        done = self.run(*args)
        assert done.returncode == 1, done.stdout + done.stderr
        assert 'Traceback' not in done.stderr
        return done.stdout + done.stderr

    def git(self, *args, cwd=None, **env):
        """What git says in BUILD/qemu."""
        done = subprocess.run(
            ['git', *args], cwd=cwd or self.qemu, env={**self.env, **env},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def commit(self, name):
        """The commit of a topic; 'base' is the base's."""
        commits = self.git('log', '--format=%H %s', 'HEAD').splitlines()
        return next(line.split()[0] for line in commits
                    if line.split()[-1] == name)

    def archive(self, commit):
        """What each file of a commit holds."""
        done = subprocess.run(['git', 'archive', commit], cwd=self.qemu,
                              env=self.env, capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            return {member.name: tar.extractfile(member).read().decode()
                    for member in tar if member.isfile()}

    def blob(self, commit, path):
        return self.archive(commit)[path]

    def tree(self):
        """What each file of BUILD/qemu holds; our links are followed."""
        return {str(path.relative_to(self.qemu)): path.read_text()
                for path in self.qemu.rglob('*')
                if path.is_file()
                and '.git' not in path.relative_to(self.qemu).parts}

    def stamps(self):
        """When each file of BUILD/qemu was written."""
        return {path: (self.qemu / path).stat().st_mtime_ns
                for path in self.tree()}

    def consistent(self):
        """Whether BUILD/qemu holds what its commit says, and no more."""
        return self.tree() == self.archive('HEAD')


@pytest.fixture
def fresh(tmp_path):
    """A project in which nothing has been assembled."""
    project = Project(tmp_path / 'a checkout')
    project.create()
    return project


@pytest.fixture(scope='session')
def assembled(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp('assembled') / 'a checkout')
    project.create()
    project.ok('assemble')
    # few files, for it is copied often
    project.git('repack', '-adq')
    shutil.rmtree(project.qemu / '.git/hooks')
    yield project
    shutil.rmtree(project.top)


@pytest.fixture(autouse=True)
def clean(tmp_path):
    """Leaves nothing behind."""
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture
def project(assembled, tmp_path):
    """A project whose series is assembled."""
    copy = Project(tmp_path / 'a checkout')
    shutil.copytree(assembled.top, copy.top, symlinks=True)
    return copy
