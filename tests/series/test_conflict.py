# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/series refresh of an early topic under a later one that touches the
same lines: git's conflict markers, to be solved in BUILD/rebase."""

import pytest
from conftest import QEMU, hunk
from test_recovery import Killer

# What hw/x.c is to be in each topic, where `model` changes the line x35 and
# the edit, which belongs to `hooks`, too.
X = QEMU['hw/x.c']
EARLY = X.replace('x3\n', 'x3\n  hook\n').replace('x35', 'edited')
LATE = EARLY.replace('edited', 'edited model')


def conflict(project):
    """Begins a refresh that waits. Returns what it says."""
    project.replace(project.qemu / 'hw/x.c', 'model', 'edited model')
    return project.refused('refresh', 'hooks')


def there(project):
    return project.build / 'rebase/hw/x.c'


def solve(project, text):
    there(project).write_text(text)
    project.git('add', 'hw/x.c', cwd=project.build / 'rebase')


def solve_all(project):
    """Solves what conflict() left. Returns what the last step says."""
    solve(project, EARLY)
    assert 'model: conflict in hw/x.c' in project.refused(
        'refresh', '--continue')
    solve(project, LATE)
    return project.ok('refresh', '--continue')


def solved(project):
    """Whether both topics and the tree are as solve_all() has them."""
    return (project.patch('hooks').read_text().endswith(
                '---\n' + hunk('hw/x.c', X, EARLY)) and
            project.patch('model').read_text().endswith(
                '---\n' + hunk('hw/x.c', EARLY, LATE)) and
            (project.qemu / 'hw/x.c').read_text() == LATE and
            project.consistent())


def test_markers_and_what_to_do(project):
    before = project.topics()
    said = conflict(project)
    assert 'hooks: conflict in hw/x.c' in said
    for word in (str(project.build / 'rebase'), 'git add', '--continue',
                 '--abort'):
        assert word in said
    text = there(project).read_text()
    assert '<<<<<<<' in text and '  x35\n' in text and 'edited model' in text
    assert project.topics() == before
    assert 'edited model' in (project.qemu / 'hw/x.c').read_text()


def test_it_goes_on_when_they_are_solved(project):
    conflict(project)
    assert solve_all(project) == ('hooks.patch: rewritten\n'
                                  'model.patch: rewritten\n')
    assert solved(project)


def test_nothing_that_was_not_solved_goes_on(project):
    conflict(project)
    before = project.topics()
    assert 'hooks: conflict in hw/x.c' in project.refused(
        'refresh', '--continue')
    assert project.topics() == before
    assert solve_all(project)
    assert solved(project)


def test_what_is_solved_as_the_later_topic_was_changes_that_one_only(project):
    """The edit turns out to be none of the early topic's."""
    conflict(project)
    early = project.patch('hooks').read_text()
    solve(project, X.replace('x3\n', 'x3\n  hook\n'))
    project.ok('refresh', '--continue')
    assert project.patch('hooks').read_text() == early
    # `model` applied as it was: the edit is told of, and still to be had
    assert 'edited' not in (project.qemu / 'hw/x.c').read_text()
    assert project.consistent()
    assert 'edited model' in project.git('show', 'refs/series/edited:hw/x.c')


def test_a_solution_that_is_not_what_was_edited_says_so(project):
    conflict(project)
    solve(project, EARLY)
    project.refused('refresh', '--continue')
    solve(project, LATE.replace('edited model', 'third'))
    said = project.ok('refresh', '--continue')
    assert 'hw/x.c: is not as it was edited' in said
    assert 'third' in (project.qemu / 'hw/x.c').read_text()
    assert project.consistent()


def test_abort_leaves_topics_and_edit(project):
    before = project.topics()
    conflict(project)
    solve(project, EARLY)
    project.refused('refresh', '--continue')
    project.ok('refresh', '--abort')
    assert project.topics() == before
    assert 'edited model' in (project.qemu / 'hw/x.c').read_text()
    assert 'no refresh waits' in project.refused('refresh', '--continue')
    project.ok('refresh', 'model')
    assert '+  edited model' in project.patch('model').read_text()


@pytest.mark.parametrize('option', ['--continue', '--abort'])
def test_where_none_waits(project, option):
    assert 'no refresh waits' in project.refused('refresh', option)


def test_another_refresh_has_to_wait(project):
    conflict(project)
    said = project.refused('refresh', 'model')
    assert '--continue' in said and '--abort' in said
    solve_all(project)
    assert solved(project)


def test_an_edit_while_it_waits_is_not_lost(project):
    conflict(project)
    project.replace(project.qemu / 'hw/y.c', 'y20', 'meanwhile')
    solve_all(project)
    assert '+  meanwhile' not in project.patch('default').read_text()
    assert 'meanwhile' in (project.qemu / 'hw/y.c').read_text()
    project.ok('refresh')
    assert '+  meanwhile' in project.patch('default').read_text()


def test_an_edit_of_the_same_file_while_it_waits_is_not_lost(project):
    conflict(project)
    project.replace(project.qemu / 'hw/x.c', 'x20', 'meanwhile')
    solve_all(project)
    text = (project.qemu / 'hw/x.c').read_text()
    assert 'meanwhile' in text and 'edited model' in text
    project.ok('refresh', 'hooks')
    assert '+  meanwhile' in project.patch('hooks').read_text()
    assert project.consistent()


def test_make_while_it_waits(project):
    conflict(project)
    project.replace(project.top / 'hw/new.c', 'new', 'newer')
    project.ok('assemble')
    solve_all(project)
    assert solved(project)


def test_a_series_that_changed_while_it_waits(project):
    conflict(project)
    solve(project, EARLY)
    project.replace(project.patch('default'), '+  auto', '+  other')
    before = project.topics()
    said = project.refused('refresh', '--continue')
    assert 'series/' in said and '--abort' in said
    assert project.topics() == before
    project.replace(project.patch('default'), '+  other', '+  auto')
    solve_all(project)
    assert solved(project)


def test_a_solution_that_was_changed_after_git_add(project):
    conflict(project)
    solve(project, EARLY.replace('edited', 'half'))
    there(project).write_text(EARLY)
    project.refused('refresh', '--continue')
    solve(project, LATE)
    project.ok('refresh', '--continue')
    assert solved(project)


def test_a_refresh_that_was_killed_at_a_call_of_git(project, tmp_path):
    """Done again, or finished by whatever runs next, it is what it would have
    been."""
    killer = Killer(project, tmp_path / 'bin')
    topics = {path: path.read_text()
              for path in project.top.glob('series/*/*.patch')}
    edited = hunk('hw/x.c', X, X.replace('x3\n', 'x3\n  hook\n')
                  .replace('x4\n', 'edited\n'))
    call, killed = 1, True
    while killed:
        project.replace(project.qemu / 'hw/x.c', 'x4\n', 'edited\n')
        killed = killer.run(call, 'refresh', 'hooks')
        project.ok('assemble')
        assert 'edited' in (project.qemu / 'hw/x.c').read_text()
        project.ok('refresh', 'hooks')
        assert project.patch('hooks').read_text().endswith('---\n' + edited)
        assert project.consistent(), f'killed at call {call}'
        for path, text in topics.items():
            path.write_text(text)
        project.ok('assemble')
        call += 17
    assert call > 20


def test_a_refresh_that_was_killed_while_it_went_on(project, tmp_path):
    killer = Killer(project, tmp_path / 'bin')
    topics = {path: path.read_text()
              for path in project.top.glob('series/*/*.patch')}
    call, killed = 1, True
    while killed:
        conflict(project)
        solve(project, EARLY)
        project.refused('refresh', '--continue')
        solve(project, LATE)
        killed = killer.run(call, 'refresh', '--continue')
        assert 'edited model' in (project.qemu / 'hw/x.c').read_text()
        project.run('refresh', '--continue')
        assert solved(project), f'killed at call {call}'
        for path, text in topics.items():
            path.write_text(text)
        project.ok('assemble')
        call += 17
    assert call > 20
