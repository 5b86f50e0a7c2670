# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/series: a run that was killed is made good by the next."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import QEMU


@pytest.mark.parametrize('lock', ['index.lock', 'HEAD.lock',
                                  'refs/heads/series.lock',
                                  'refs/tags/base.lock'])
def test_a_stale_lock_of_git(project, lock):
    (project.qemu / '.git' / lock).touch()
    project.replace(project.patch('default'), '+  auto', '+  other')
    project.base({**QEMU, 'hw/z.c': 'patched\n'}, ident='second')
    project.ok('assemble')
    assert project.consistent()


def test_a_stale_lock_when_refreshing(project):
    (project.qemu / '.git/index.lock').touch()
    project.replace(project.qemu / 'hw/y.c', 'y20', 'edited')
    project.ok('refresh')
    assert '+  edited' in project.patch('default').read_text()
    assert project.consistent()


def test_a_first_checkout_that_was_killed(project):
    """HEAD is written last; here some files are not there yet."""
    project.git('update-ref', '-d', 'HEAD')
    (project.qemu / 'hw/x.c').unlink()
    (project.qemu / 'hw/y.c').write_text('half of i')
    (project.qemu / 'hw/new.c').unlink()
    (project.qemu / '.git/index').unlink()
    project.ok('assemble')
    assert project.consistent()
    assert (project.qemu / 'hw/new.c').is_symlink()


def test_a_git_init_that_was_killed(fresh):
    (fresh.qemu / '.git/refs').mkdir(parents=True)
    fresh.ok('assemble')
    assert fresh.consistent()


def test_an_import_that_was_killed(fresh):
    fresh.ok('assemble')
    fresh.git('update-ref', '-d', 'HEAD')
    fresh.git('tag', '-d', 'base')
    shutil.rmtree(fresh.qemu / 'hw')
    fresh.ok('assemble')
    assert fresh.consistent()


def test_a_stamp_that_was_not_written(project):
    (project.qemu / '.git/series-stamp').unlink()
    stamps = project.stamps()
    project.ok('assemble')
    assert project.stamps() == stamps


# A stand-in for git that kills whoever calls it, at the call that is asked
# for: moments from the first step to the last are tried.
GIT = '''#!{python} -IS
import os, sys
with open({count!r}, "a+") as file:
    file.write(".")
    count = file.tell()
if count == {last}:
    os.kill(os.getppid(), 9)
    sys.exit(1)
os.environ["PATH"] = {path!r}
os.execvp("git", ["git", *sys.argv[1:]])
'''


class Killer:
    """Runs a command of the series and kills it at git's nth call."""

    def __init__(self, project, where):
        self.project = project
        self.where = where
        self.count = where / 'count'
        where.mkdir()

    def run(self, call, *args):
        """Returns whether the command came that far."""
        path = os.environ['PATH']
        git = self.where / 'git'
        self.count.unlink(missing_ok=True)
        git.write_text(GIT.format(python=sys.executable,
                                  count=str(self.count), last=call,
                                  path=path))
        git.chmod(0o755)
        self.project.env['PATH'] = f'{self.where}:{path}'
        try:
            done = self.project.run(*args)
        finally:
            self.project.env['PATH'] = path
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode != 0


def test_a_first_run_killed_at_a_call_of_git(fresh, tmp_path):
    killer = Killer(fresh, tmp_path / 'bin')
    call = 1
    while killer.run(call, 'assemble'):
        fresh.ok('assemble')
        assert fresh.consistent(), f'killed at call {call}'
        shutil.rmtree(fresh.qemu)
        call += 11
    assert call > 20


def test_a_later_run_killed_at_a_call_of_git(project, tmp_path):
    """The series changes again, and back, after the kill."""
    killer = Killer(project, tmp_path / 'bin')
    patch = project.patch('default')
    text = patch.read_text()
    call, killed = 1, True
    while killed:
        patch.write_text(text.replace('+  auto', '+  other'))
        project.order('hooks', 'default')
        killed = killer.run(call, 'assemble')
        patch.write_text(text)
        project.order('hooks', 'model', 'default')
        project.ok('assemble')
        assert project.consistent(), f'killed at call {call}'
        call += 5
    assert call > 20


@pytest.mark.parametrize('written', [['hw/y.c'], ['hw/y.c', 'hw/x.c']])
def test_a_run_killed_while_it_wrote_files(project, written):
    """Some are as the killed run was to make them, and the series is
    another one again."""
    old = project.git('rev-parse', 'HEAD')
    texts = {path: (project.qemu / path).read_text() for path in written}
    project.replace(project.patch('default'), '+  auto', '+  other')
    project.replace(project.patch('hooks'), '+  hook', '+  other')
    project.ok('assemble')
    new = project.git('rev-parse', 'HEAD')
    project.git('update-ref', 'refs/series/next', new)
    project.git('update-ref', 'refs/series/made', old)
    project.git('update-ref', 'HEAD', old)
    project.git('read-tree', old)
    for path, text in texts.items():
        (project.qemu / path).write_text(text)
    project.replace(project.patch('default'), '+  other', '+  third')
    project.ok('assemble')
    assert project.consistent()


def test_a_check_that_was_killed_while_it_applied_mails(project):
    tree = project.build / 'mailed'
    project.ok('worktree', 'base', str(tree))
    (project.qemu / '.git/worktrees/mailed/rebase-apply').mkdir()
    (tree / 'hw/x.c').write_text('half of i')
    project.ok('check')


def test_a_worktree_that_was_killed(project):
    base = project.build / 'base'
    base.mkdir()
    (base / 'VERSION').write_text('half of i')
    project.ok('worktree', 'base', str(base))
    assert (base / 'hw/x.c').read_text() == QEMU['hw/x.c']


def test_a_run_that_waits_or_is_interrupted_says_so(fresh):
    fresh.ok('assemble')
    lock = fresh.build / '.series-lock'
    holder = subprocess.Popen(['flock', str(lock), 'sleep', '60'],
                              start_new_session=True)
    try:
        while subprocess.run(['flock', '-n', str(lock), 'true'],
                             check=False).returncode == 0:
            time.sleep(0.01)
        run = subprocess.Popen(fresh.run('--help').args[:-1] + ['assemble'],
                               env=fresh.env, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        waits = run.stdout.readline()
        run.send_signal(signal.SIGINT)
        said = run.communicate(timeout=10)[0]
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
    assert run.returncode == 130
    assert waits == f'series: waiting for another one, which has {lock}\n'
    assert said == 'series: interrupted; the next run goes on\n'
