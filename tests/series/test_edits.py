# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/series: an edit made in BUILD/qemu is never lost."""

from conftest import OURS, QEMU


def test_an_edit_through_the_link_is_the_checkouts(project):
    project.replace(project.qemu / 'hw/new.c', 'new', 'newer')
    assert (project.top / 'hw/new.c').read_text() == 'newer code\n'
    project.ok('assemble')
    assert project.blob('HEAD', 'hw/new.c') == 'newer code\n'


def test_an_edit_that_replaced_the_link_is_brought_home(project):
    project.sed(project.qemu / 'hw/new.c', 'new', 'newer')
    assert 'hw/new.c' in project.ok('assemble')
    assert (project.top / 'hw/new.c').read_text() == 'newer code\n'
    assert (project.qemu / 'hw/new.c').is_symlink()
    assert project.consistent()


def test_undoing_an_edit_that_was_brought_home_is_seen(project):
    project.sed(project.qemu / 'hw/new.c', 'new', 'newer')
    project.ok('assemble')
    project.write(project.top / 'hw/new.c', OURS['hw/new.c'])
    project.ok('assemble')
    assert project.consistent()


def test_an_edit_brought_home_keeps_the_executable_bit(project):
    (project.top / 'hw/new.c').chmod(0o755)
    project.ok('assemble')
    project.sed(project.qemu / 'hw/new.c', 'new', 'newer')
    project.ok('assemble')
    assert (project.top / 'hw/new.c').stat().st_mode & 0o111


def test_a_link_that_became_the_same_file_is_a_link_again(project):
    project.sed(project.qemu / 'hw/new.c', 'new', 'new')
    assert project.ok('assemble') == ''
    assert (project.qemu / 'hw/new.c').is_symlink()


def test_the_same_edit_in_both_places_is_one(project):
    project.sed(project.qemu / 'hw/new.c', 'new', 'newer')
    project.replace(project.top / 'hw/new.c', 'new', 'newer')
    project.ok('assemble')
    assert (project.qemu / 'hw/new.c').is_symlink()
    assert project.consistent()


def test_a_checkouts_edit_wins_over_a_link_that_became_a_file(project):
    project.sed(project.qemu / 'hw/new.c', 'new', 'new')
    project.replace(project.top / 'hw/new.c', 'new', 'newer')
    project.ok('assemble')
    assert (project.qemu / 'hw/new.c').read_text() == 'newer code\n'


def test_two_different_edits_of_our_file_are_refused(project):
    project.sed(project.qemu / 'hw/new.c', 'new', 'newer')
    project.replace(project.top / 'hw/new.c', 'new', 'newest')
    assert 'hw/new.c' in project.refused('assemble')
    assert (project.qemu / 'hw/new.c').read_text() == 'newer code\n'
    assert (project.top / 'hw/new.c').read_text() == 'newest code\n'


def test_removing_one_of_two_different_edits_resolves_it(project):
    project.sed(project.qemu / 'hw/new.c', 'new', 'newer')
    project.replace(project.top / 'hw/new.c', 'new', 'newest')
    project.refused('assemble')
    (project.qemu / 'hw/new.c').unlink()
    project.ok('assemble')
    assert (project.qemu / 'hw/new.c').read_text() == 'newest code\n'


def test_a_link_that_was_deleted_comes_back(project):
    (project.qemu / 'hw/new.c').unlink()
    project.ok('assemble')
    assert (project.qemu / 'hw/new.c').is_symlink()
    assert (project.top / 'hw/new.c').read_text() == OURS['hw/new.c']


def test_an_edit_of_our_file_whose_topic_leaves_is_not_lost(project):
    project.sed(project.qemu / 'hw/new.c', 'new', 'newer')
    project.order('hooks', 'default')
    assert 'hw/new.c' in project.refused('assemble')
    assert (project.qemu / 'hw/new.c').read_text() == 'newer code\n'


def test_an_edit_that_was_not_refreshed_is_not_overwritten(project):
    project.replace(project.qemu / 'hw/y.c', 'y20', 'edited')
    text = (project.qemu / 'hw/y.c').read_text()
    head, stamps = project.git('rev-parse', 'HEAD'), project.stamps()
    project.replace(project.patch('default'), '+  auto', '+  other')
    said = project.refused('assemble')
    assert 'hw/y.c' in said
    assert 'scripts/series refresh' in said
    assert 'checkout hw/y.c' in said
    assert (project.qemu / 'hw/y.c').read_text() == text
    assert project.stamps() == stamps
    assert project.git('rev-parse', 'HEAD') == head


def test_a_deleted_file_of_qemu_is_not_taken_for_another_failure(project):
    (project.qemu / 'hw/y.c').unlink()
    project.replace(project.patch('default'), '+  auto', '+  other')
    project.ok('assemble')
    assert project.consistent()


def test_all_is_refused_when_one_file_is(project):
    project.replace(project.qemu / 'hw/y.c', 'y20', 'edited')
    project.order('hooks')
    stamps = project.stamps()
    project.refused('assemble')
    assert project.stamps() == stamps


def test_an_edit_in_a_file_that_does_not_change_survives(project):
    project.replace(project.qemu / 'hw/z.c', 'z20', 'edited')
    project.replace(project.qemu / 'hw/x.c', 'x20', 'edited')
    project.replace(project.patch('default'), '+  auto', '+  other')
    project.ok('assemble')
    assert 'edited' in (project.qemu / 'hw/z.c').read_text()
    assert 'edited' in (project.qemu / 'hw/x.c').read_text()
    assert 'other' in (project.qemu / 'hw/y.c').read_text()


def test_an_edit_that_the_base_changes_too_is_refused(project):
    project.replace(project.qemu / 'hw/z.c', 'z20', 'edited')
    project.base({**QEMU, 'hw/z.c': 'patched\n'}, ident='second')
    assert 'hw/z.c' in project.refused('assemble')
    assert 'edited' in (project.qemu / 'hw/z.c').read_text()


def test_a_file_that_is_already_as_the_series_wants_it_is_no_edit(project):
    project.replace(project.qemu / 'hw/y.c', 'auto', 'other')
    stamps = project.stamps()
    project.replace(project.patch('default'), '+  auto', '+  other')
    project.ok('assemble')
    assert project.consistent()
    assert project.stamps() == stamps


def test_dropping_the_edit_as_the_refusal_says_resolves_it(project):
    project.replace(project.qemu / 'hw/y.c', 'y20', 'edited')
    project.replace(project.patch('default'), '+  auto', '+  other')
    project.refused('assemble')
    project.git('checkout', 'hw/y.c')
    project.ok('assemble')
    assert project.consistent()


def test_an_edit_that_was_committed_is_not_overwritten(project):
    project.replace(project.qemu / 'hw/y.c', 'y20', 'edited')
    project.git('-c', 'user.name=A', '-c', 'user.email=a@b', 'commit', '-q',
                '-m', 'mine', 'hw/y.c')
    assert 'refs/series/made' in project.refused('assemble')
    assert 'edited' in (project.qemu / 'hw/y.c').read_text()


def test_a_committed_edit_can_be_refreshed_as_the_refusal_says(project):
    project.replace(project.qemu / 'hw/y.c', 'y20', 'edited')
    project.git('-c', 'user.name=A', '-c', 'user.email=a@b', 'commit', '-q',
                '-m', 'mine', 'hw/y.c')
    project.git('reset', '-q', 'refs/series/made')
    project.ok('refresh', 'default')
    assert '+  edited' in project.patch('default').read_text()
    assert project.consistent()


def test_a_new_file_of_the_series_does_not_overwrite_one_there(project):
    project.write(project.qemu / 'hw/more.c', 'written there\n')
    project.write(project.top / 'hw/more.c', 'written here\n')
    project.topic('more', ['hw/more.c'], '')
    project.order('hooks', 'model', 'default', 'more')
    assert 'hw/more.c' in project.refused('assemble')
    assert (project.qemu / 'hw/more.c').read_text() == 'written there\n'
