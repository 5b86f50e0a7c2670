# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/series refresh: edits of QEMU's files flow into their topic."""

from conftest import QEMU, hunk


def hooked():
    return QEMU['hw/x.c'].replace('x3\n', 'x3\n  hook\n')


def test_an_edit_goes_into_the_topic_that_is_named(project):
    before = project.topics()
    project.replace(project.qemu / 'hw/z.c', 'z20', 'edited')
    assert project.ok('refresh', 'default') == 'default.patch: rewritten\n'
    after = project.topics()
    z = QEMU['hw/z.c']
    assert after['default'] == (before['default'] +
                                hunk('hw/z.c', z, z.replace('z20', 'edited')))
    assert {name for name in after if after[name] != before[name]} == {
        'default'}


def test_an_edit_goes_into_the_only_topic_of_its_file(project):
    project.replace(project.qemu / 'hw/y.c', 'y20', 'edited')
    assert project.ok('refresh') == 'default.patch: rewritten\n'
    assert '+  edited' in project.patch('default').read_text()


def test_edits_of_files_with_one_topic_each_go_to_theirs(project):
    x = QEMU['hw/z.c']
    project.topic('zed', [], hunk('hw/z.c', x, x.replace('z9', 'zed')))
    project.order('hooks', 'model', 'default', 'zed')
    project.ok('assemble')
    project.replace(project.qemu / 'hw/z.c', 'z20', 'edited z')
    project.replace(project.qemu / 'hw/y.c', 'y20', 'edited y')
    project.ok('refresh')
    assert '+  edited z' in project.patch('zed').read_text()
    assert '+  edited y' in project.patch('default').read_text()


def test_subject_files_and_message_stay(project):
    head = project.patch('hooks').read_text().partition('\n---\n')[0]
    project.replace(project.qemu / 'hw/z.c', 'z20', 'edited')
    project.ok('refresh', 'hooks')
    assert project.patch('hooks').read_text().partition('\n---\n')[0] == head


def test_the_tree_is_assembled_afterwards(project):
    project.replace(project.qemu / 'hw/y.c', 'y20', 'edited')
    project.ok('refresh')
    assert project.consistent()
    assert project.git('log', '--format=%s').count('topic') == 3


def test_the_tree_is_not_touched(project):
    project.replace(project.qemu / 'hw/y.c', 'y20', 'edited')
    stamps = project.stamps()
    project.ok('refresh')
    assert project.stamps() == stamps


def test_a_file_of_two_topics_asks_for_one_and_names_them(project):
    before = project.topics()
    project.replace(project.qemu / 'hw/x.c', 'x20', 'edited')
    said = project.refused('refresh')
    assert 'hw/x.c' in said and 'hooks' in said and 'model' in said
    assert project.topics() == before
    assert 'edited' in (project.qemu / 'hw/x.c').read_text()


def test_a_file_of_no_topic_asks_for_one_and_names_them(project):
    project.replace(project.qemu / 'hw/z.c', 'z20', 'edited')
    said = project.refused('refresh')
    assert 'hw/z.c' in said and 'hooks' in said and 'default' in said


def test_a_topic_that_is_none_is_refused(project):
    project.replace(project.qemu / 'hw/z.c', 'z20', 'edited')
    assert 'nonesuch' in project.refused('refresh', 'nonesuch')


def test_an_edit_for_an_early_topic_leaves_the_later_one_right(project):
    project.replace(project.qemu / 'hw/x.c', 'x4\n', 'edited\n')
    edited = (project.qemu / 'hw/x.c').read_text()
    stamps = project.stamps()
    project.ok('refresh', 'hooks')
    x, early = QEMU['hw/x.c'], hooked().replace('x4\n', 'edited\n')
    late = early.replace('x35', 'model')
    assert project.patch('hooks').read_text().endswith(
        '---\n' + hunk('hw/x.c', x, early))
    assert project.patch('model').read_text().endswith(
        '---\n' + hunk('hw/x.c', early, late))
    assert project.blob(project.commit('hooks'), 'hw/x.c') == early
    assert (project.qemu / 'hw/x.c').read_text() == edited == late
    assert project.stamps() == stamps
    assert project.consistent()


def test_lines_added_early_move_the_later_hunks(project):
    project.replace(project.qemu / 'hw/x.c', 'x5\n', 'x5\n  one\n  two\n')
    project.ok('refresh', 'hooks')
    early = hooked().replace('x5\n', 'x5\n  one\n  two\n')
    assert project.patch('model').read_text().endswith(
        '---\n' + hunk('hw/x.c', early, early.replace('x35', 'model')))


def test_an_edit_for_a_late_topic_leaves_the_early_one_alone(project):
    early = project.patch('hooks').read_text()
    project.replace(project.qemu / 'hw/x.c', 'x4\n', 'edited\n')
    project.ok('refresh', 'model')
    assert project.patch('hooks').read_text() == early
    assert '+  edited' in project.patch('model').read_text()
    assert project.consistent()


def test_taking_a_hunk_back_takes_it_from_the_topic(project):
    project.replace(project.qemu / 'hw/x.c', '  hook\n', '')
    project.ok('refresh', 'hooks')
    assert project.patch('hooks').read_text().endswith('Because of it.\n---\n')
    assert project.consistent()


def test_a_new_file_is_refused_with_advice(project):
    before = project.topics()
    project.write(project.qemu / 'hw/more.c', 'more\n')
    said = project.refused('refresh', 'hooks')
    assert 'hw/more.c' in said
    assert 'checkout' in said and 'Files' in said
    assert (project.qemu / 'hw/more.c').read_text() == 'more\n'
    assert project.topics() == before


def test_nothing_edited_rewrites_nothing(project):
    before, stamps = project.topics(), project.stamps()
    written = {path: path.stat().st_mtime_ns
               for path in (project.top / 'series').iterdir()}
    assert project.ok('refresh') == ''
    assert project.ok('refresh', 'hooks') == ''
    assert project.topics() == before
    assert project.stamps() == stamps
    assert {path: path.stat().st_mtime_ns
            for path in (project.top / 'series').iterdir()} == written


def test_touching_a_file_is_no_edit(project):
    (project.qemu / 'hw/x.c').touch()
    assert project.ok('refresh') == ''


def test_an_edit_of_our_file_is_no_edit_of_qemus(project):
    before = project.topics()
    project.replace(project.qemu / 'hw/new.c', 'new', 'newer')
    assert project.ok('refresh') == ''
    assert project.topics() == before
    assert project.blob('HEAD', 'hw/new.c') == 'newer code\n'


def test_an_edit_of_maintainers_is_refused(project):
    project.replace(project.qemu / 'MAINTAINERS', 'xen', 'Xen')
    said = project.refused('refresh', 'hooks')
    assert 'MAINTAINERS' in said and 'checkout' in said
    assert 'Xen' in (project.qemu / 'MAINTAINERS').read_text()


def test_a_deleted_file_of_qemu_is_refused_by_name(project):
    (project.qemu / 'hw/z.c').unlink()
    assert 'hw/z.c' in project.refused('refresh', 'hooks')


def test_an_edit_of_a_file_that_its_topic_changed_meanwhile(project):
    project.replace(project.qemu / 'hw/y.c', 'y20', 'edited')
    project.replace(project.patch('default'), '+  auto', '+  other')
    project.ok('refresh', 'default')
    y = QEMU['hw/y.c']
    assert project.patch('default').read_text().endswith('---\n' + hunk(
        'hw/y.c', y, y.replace('y7', 'other').replace('y20', 'edited')))
    assert project.consistent()


def test_an_edit_beside_commits_of_ones_own_is_refused(project):
    project.replace(project.qemu / 'hw/y.c', 'y20', 'edited')
    project.git('-c', 'user.name=A', '-c', 'user.email=a@b', 'commit', '-q',
                '-m', 'mine', 'hw/y.c')
    project.replace(project.qemu / 'hw/y.c', 'y30', 'again')
    before = project.topics()
    assert 'commits of yours' in project.refused('refresh', 'default')
    assert project.topics() == before
    text = (project.qemu / 'hw/y.c').read_text()
    assert 'edited' in text and 'again' in text
