# SPDX-License-Identifier: GPL-2.0-or-later
"""Later topics that change files of ours: these land without the change."""

from conftest import OURS, QEMU, hunk

NEW = OURS['include/new.h']
EARLIER = 'new header, earlier\n'


def changed(project):
    """A project whose topic `default` makes of include/new.h what it is."""
    y = QEMU['hw/y.c']
    project.topic('default', [], hunk('hw/y.c', y, y.replace('y7', 'auto')) +
                  hunk('include/new.h', EARLIER, NEW))
    return project


def test_each_commit_has_the_file_as_it_was(project):
    changed(project).ok('assemble')
    assert project.blob(project.commit('hooks'), 'include/new.h') == EARLIER
    assert project.blob(project.commit('model'), 'include/new.h') == EARLIER
    assert project.blob(project.commit('default'), 'include/new.h') == NEW
    assert project.consistent()


def test_all_checks_pass(project):
    changed(project).ok('check')


def test_a_refresh_keeps_the_hunks(project):
    changed(project).ok('assemble')
    project.replace(project.qemu / 'hw/y.c', 'y30', 'edited')
    project.ok('refresh')
    patch = project.patch('default').read_text()
    assert 'edited' in patch
    assert hunk('include/new.h', EARLIER, NEW) in patch
    assert project.consistent()


def test_hunks_that_are_not_in_the_file(project):
    changed(project)
    project.write(project.top / 'include/new.h', 'another header\n')
    said = project.refused('assemble')
    assert 'default.patch' in said and 'include/new.h' in said


def test_hunks_before_the_file_lands(project):
    y = QEMU['hw/y.c']
    project.topic('hooks', [], hunk('include/new.h', EARLIER, NEW))
    project.topic('default', ['include/new.h'],
                  hunk('hw/y.c', y, y.replace('y7', 'auto')))
    assert 'hooks.patch' in project.refused('check')
