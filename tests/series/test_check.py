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
            'entries: 6') in project.ok('check').splitlines()


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
    assert 'series/late/forgotten.patch: in no series' in failed(project)


def test_two_topics_of_one_name(project):
    project.write(project.top / 'series/late/hooks.patch',
                  'Subject: hw: again\n\nBecause of it.\n---\n')
    project.write(project.top / 'series/late/series',
                  'model.patch\ndefault.patch\nhooks.patch\n')
    assert 'hooks: the name of 2 topics' in failed(project)


def test_a_file_of_qemus_in_a_topic(project):
    project.replace(project.patch('model'), 'Files: ', 'Files: hw/z.c ')
    project.write(project.top / 'hw/z.c', 'replaced\n')
    assert 'hw/z.c: QEMU has it' in failed(project)


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


def lengthen(project, path, count):
    """Makes the file of ours that `hooks` lands this long, under a path."""
    project.write(project.top / path, 'line\n' * count)
    (project.top / 'include/new.h').unlink()
    for file in (project.patch('hooks'), project.top / 'MAINTAINERS'):
        project.replace(file, 'include/new.h', path)


def explain(project, topic):
    project.replace(project.patch(topic), 'Files:', 'Long: one table\nFiles:')


@pytest.mark.parametrize('path, count, well', [
    ('hw/long.c', 399, True),       # and the one of its hunk
    ('hw/long.c', 400, False),
    ('tests/qtest/long.c', 999, True),
    ('docs/system/long.rst', 999, True),
])
def test_a_topic_of_this_many_lines_of_code(project, path, count, well):
    lengthen(project, path, count)
    if well:
        project.ok('check')
    else:
        said = failed(project)
        assert 'hooks: 401 lines' in said and "'Long:'" in said


def test_a_long_topic_that_says_why(project):
    lengthen(project, 'hw/long.c', 400)
    explain(project, 'hooks')
    project.ok('check')


def test_a_topic_that_says_why_it_is_long_and_is_not(project):
    explain(project, 'default')
    assert 'default: 2 lines' in failed(project)


HEAD = '''/*
 * Old code
 *
 * Copyright (C) 2013 An Author <an@author>
 * Copyright A Company. 2014
 *
 * Authors: A. N. Other <an@other>
 *          Another <a@nother>
 *
 * %s
 */
'''
ONLY = ('This work is licensed under the terms of the GNU GPL, version 2.  See'
        '\n * the COPYING file in the top-level directory.')
LATER = ('the Free Software Foundation; either version 2 of the License, or\n'
         ' * (at your option) any later version.')
SPDX = 'SPDX-License-Identifier: '


def takes_over(project, theirs, ours):
    """hw/new.c with this head took the place of code in hw/z.c, whose head is
    the other."""
    project.base({**QEMU, 'hw/z.c': theirs + QEMU['hw/z.c']}, ident='second')
    project.write(project.top / 'hw/new.c', ours + OURS['hw/new.c'])
    project.write(project.top / 'series/notices', 'hw/new.c hw/z.c\n')


@pytest.mark.parametrize('theirs, ours, well', [
    (LATER, 'GPL-2.0-or-later', True),
    (LATER, 'GPL-2.0-only', True),
    (ONLY, 'GPL-2.0-only', True),
    (ONLY, 'GPL-2.0-or-later', False),
    (SPDX + 'GPL-2.0-or-later', 'GPL-2.0-or-later', True),
    (SPDX + 'GPL-2.0-only', 'GPL-2.0-or-later', False),
    ('Permission is hereby granted', 'GPL-2.0-or-later', False),
])
def test_the_licence_of_what_took_over(project, theirs, ours, well):
    takes_over(project, HEAD % theirs, HEAD % (SPDX + ours))
    if well:
        project.ok('check')
    else:
        assert f'hw/new.c: is {ours}, hw/z.c is ' in failed(project)


@pytest.mark.parametrize('line', [
    'Copyright (C) 2013 An Author <an@author>', 'Copyright A Company. 2014',
    'A. N. Other <an@other>', 'Another <a@nother>'])
def test_a_line_that_what_took_over_lacks(project, line):
    head = HEAD % (SPDX + 'GPL-2.0-or-later')
    takes_over(project, head, head.replace(line, ''))
    assert f"hw/new.c: has not hw/z.c's line {line!r}" in failed(project)


def test_a_line_that_is_below_the_first_comments_is_no_notice(project):
    head = HEAD % (SPDX + 'GPL-2.0-or-later')
    takes_over(project, head, '/* SPDX-License-Identifier: GPL-2.0-or-later */'
               '\n#include "x.h"\n' + head)
    assert 'An Author' in failed(project)


def test_a_hunk_that_takes_a_notice_away(project):
    y = '# Copyright of Somebody\n' + QEMU['hw/y.c']
    project.base({**QEMU, 'hw/y.c': y}, ident='second')
    project.topic('default', [], hunk('hw/y.c', y, QEMU['hw/y.c']))
    assert ("hw/y.c: has not hw/y.c's line 'Copyright of Somebody'"
            in failed(project))


def test_notices_for_a_file_that_is_not_ours(project):
    project.write(project.top / 'series/notices', 'hw/z.c hw/y.c\n')
    assert 'series/notices: hw/z.c is no file of ours' in failed(project)


def test_checkpatch_that_dislikes_a_licence_that_has_to_be(project):
    """QEMU's warns of it, and ends with 0."""
    warn = ("print \"WARNING: Saw acceptable license 'GPL-2.0-only' but\\n\";")
    project.base({**QEMU, 'scripts/checkpatch.pl':
                  warn + QEMU['scripts/checkpatch.pl']}, ident='second')
    project.ok('check')


def test_a_patch_that_creates_a_file(project):
    with open(project.patch('default'), 'a', encoding='ascii') as patch:
        patch.write('diff --git a/hw/made.c b/hw/made.c\n'
                    'new file mode 100644\n--- /dev/null\n+++ b/hw/made.c\n'
                    '@@ -0,0 +1 @@\n+made\n')
    said = failed(project)
    assert 'default' in said and 'hw/made.c' in said


@pytest.mark.parametrize('path', ['hw/new.c', 'hw/other.c'])
def test_a_patch_of_a_file_of_ours_that_is_not_in_it(project, path):
    with open(project.patch('default'), 'a', encoding='ascii') as patch:
        patch.write(hunk(path, OURS[path], 'patched\n'))
    said = project.refused('check')
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
    assert '- git am of the export gives' in project.ok('check')
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
