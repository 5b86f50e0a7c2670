# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/series check: every failure names its culprit."""

import pytest
from conftest import OURS, QEMU, hunk


def failed(project):
    """The lines of TAP that say not ok, with their comments."""
    done = project.run('check')
    assert done.returncode == 1, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert said[0] == 'TAP version 13', done.stderr
    return '\n'.join(line for i, line in enumerate(said)
                     if line.startswith(('not ok', '# '))
                     and not line.startswith("# QEMU's own files"))


def test_a_series_that_is_well_passes(project):
    said = project.ok('check').splitlines()
    assert said[0] == 'TAP version 13'
    count = int(said[1].split('..')[1])
    assert count == len([line for line in said if line.startswith('ok ')])
    assert not [line for line in said if line.startswith('not ok')]


def test_check_assembles_first(fresh):
    fresh.ok('check')
    assert fresh.consistent()


def test_it_counts_the_lines_changed_in_qemus_own_files(project):
    assert ("# QEMU's own files: 3 lines added, 2 removed; MAINTAINERS "
            'entries: 6; replaced files: 1 added, 40 removed'
            ) in project.ok('check').splitlines()


def test_a_topic_that_does_not_apply(project):
    project.replace(project.patch('model'), '-  x35', '-  unknown')
    said = project.refused('check')
    assert 'model.patch' in said
    assert 'hw/x.c' in said
    assert 'hooks.patch' not in said


def test_a_topic_that_applies_with_fuzz_alone(project):
    project.replace(project.patch('model'), '   x34', '   unknown')
    assert 'model.patch' in project.refused('check')


def test_a_file_of_ours_in_no_topic(project):
    project.write(project.top / 'include/deep/lost.h', 'lost\n')
    assert 'include/deep/lost.h: in no topic' in failed(project)


def test_a_file_of_ours_in_two_topics(project):
    project.replace(project.patch('model'), 'Files: ',
                    'Files: include/new.h ')
    assert 'include/new.h: in hooks and model' in failed(project)


def test_a_topic_that_is_not_in_the_order(project):
    project.topic('forgotten', [], '')
    assert 'forgotten.patch' in failed(project)


def test_a_replaced_file_that_the_base_changed(project):
    project.base({**QEMU, 'hw/old.c': 'a fix\n'}, ident='second')
    assert 'hw/old.c' in project.refused('check')


def test_a_file_of_qemu_in_a_topic_and_not_recorded_as_replaced(project):
    project.write(project.top / 'series/replaced', '')
    said = failed(project)
    assert 'hw/old.c' in said and 'series/replaced' in said


def test_a_file_without_maintainers_entry(project):
    project.replace(project.top / 'MAINTAINERS', 'F: hw/new.c\n', '')
    assert 'hw/new.c: no F: line' in failed(project)


def test_a_maintainers_entry_for_a_file_that_nobody_lands(project):
    project.replace(project.top / 'MAINTAINERS', 'F: hw/new.c\n',
                    'F: hw/new.c\nF: hw/newer.c\n')
    assert 'hw/newer.c' in failed(project)


@pytest.mark.parametrize('lines, well', [(1, True), (15, True), (16, False)])
def test_a_message_of_this_many_lines(project, lines, well):
    project.topic('default', [], project.patch('default').read_text()
                  .partition('\n---\n')[2], message='line\n' * lines)
    if well:
        project.ok('check')
    else:
        assert 'default.patch' in failed(project)


def test_an_empty_message(project):
    project.topic('default', [], project.patch('default').read_text()
                  .partition('\n---\n')[2], message='\n')
    assert 'default.patch' in failed(project)


def test_a_patch_that_creates_a_file(project):
    with open(project.patch('default'), 'a', encoding='ascii') as patch:
        patch.write('diff --git a/hw/made.c b/hw/made.c\n'
                    'new file mode 100644\n--- /dev/null\n+++ b/hw/made.c\n'
                    '@@ -0,0 +1 @@\n+made\n')
    said = failed(project)
    assert 'default' in said and 'hw/made.c' in said


@pytest.mark.parametrize('path', ['hw/new.c', 'hw/old.c'])
def test_a_patch_of_a_file_of_ours(project, path):
    with open(project.patch('default'), 'a', encoding='ascii') as patch:
        patch.write(hunk(path, OURS[path], 'patched\n'))
    said = failed(project)
    assert 'default' in said and path in said


def test_checkpatch_on_a_hunk(project):
    project.replace(project.patch('default'), '+  auto', '+  UGLY')
    said = failed(project)
    assert 'WARNING' in said and 'topic-default.patch' in said


def test_checkpatch_on_a_file_of_ours(project):
    project.replace(project.top / 'include/new.h', 'new', 'UGLY')
    said = failed(project)
    assert 'WARNING' in said and 'topic-hooks.patch' in said


def test_checkpatch_that_only_warns(project):
    """The real one ends with 0 when there are warnings alone."""
    checkpatch = QEMU['scripts/checkpatch.pl'].replace('? 1 : 0', '? 0 : 0')
    project.base({**QEMU, 'scripts/checkpatch.pl': checkpatch}, ident='2')
    project.replace(project.patch('default'), '+  auto', '+  UGLY')
    assert 'topic-default.patch' in failed(project)


def test_every_failure_is_told_at_once(project):
    project.replace(project.patch('default'), '+  auto', '+  UGLY')
    project.write(project.top / 'include/lost.h', 'lost\n')
    said = failed(project)
    assert 'UGLY' not in said
    assert 'WARNING' in said and 'include/lost.h' in said


def test_mailed_patches_give_the_tree_that_is_built(project):
    assert 'ok 7 - git am of the export gives' in project.ok('check')
    assert not (project.build / 'mailed').exists()


def test_a_topic_that_git_am_cannot_take_is_found(project):
    """A diff in the message ends up among the hunks of the mail."""
    project.topic('default', [], project.patch('default').read_text()
                  .partition('\n---\n')[2],
                  message='As in\n\n' + hunk('hw/z.c', QEMU['hw/z.c'], 'z\n'))
    assert 'git am' in failed(project)


def test_compiled_python_is_no_file_of_ours(project):
    project.write(project.top / 'tests/qtest/__pycache__/x.pyc', '')
    project.ok('check')
