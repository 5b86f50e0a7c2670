# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/series assemble: the base, a commit a topic, and our files."""

import os
import shutil
import subprocess

from conftest import OURS, QEMU, hunk


def test_base_and_one_commit_a_topic(fresh):
    fresh.ok('assemble')
    assert fresh.git('log', '--reverse', '--format=%s').splitlines() == [
        'QEMU 10.0.13', 'hw: topic hooks', 'hw: topic model',
        'hw: topic default']
    assert fresh.git('rev-parse', 'base') == fresh.commit('10.0.13')


def test_a_commit_carries_its_topics_message(project):
    assert project.git('log', '-1', '--format=%b') == 'Because of it.'


def test_base_commit_is_the_source(project):
    names = project.git('ls-tree', '-r', '--name-only', 'base').splitlines()
    assert sorted(names) == sorted(QEMU)
    assert project.blob('base', 'hw/x.c') == QEMU['hw/x.c']


def test_source_is_imported_whatever_it_ignores(fresh):
    fresh.write(fresh.source / '.gitignore', '*.c\n')
    fresh.ok('assemble')
    assert 'hw/z.c' in fresh.git('ls-tree', '-r', '--name-only', 'base')


def test_tree_is_what_its_commit_says(fresh):
    fresh.ok('assemble')
    assert fresh.consistent()


def test_each_commit_holds_its_topic_and_no_later(project):
    hooks = project.commit('hooks')
    assert 'hook' in project.blob(hooks, 'hw/x.c')
    assert 'model' not in project.blob(hooks, 'hw/x.c')
    names = project.git('ls-tree', '-r', '--name-only', hooks).splitlines()
    assert 'include/new.h' in names
    assert 'hw/new.c' not in names


def test_our_files_are_links_to_the_checkout(project):
    for path in OURS:
        assert (project.qemu / path).is_symlink()
        assert (project.qemu / path).samefile(project.top / path)


def test_same_series_gives_the_same_commits(fresh, assembled):
    fresh.ok('assemble')
    assert (fresh.git('rev-parse', 'HEAD') ==
            assembled.git('rev-parse', 'HEAD'))


def test_second_run_touches_nothing(project):
    stamps, head = project.stamps(), project.git('rev-parse', 'HEAD')
    assert project.ok('assemble') == ''
    assert project.stamps() == stamps
    assert project.git('rev-parse', 'HEAD') == head


def test_second_run_does_nothing_in_git_either(project):
    project.ok('assemble')
    index = (project.qemu / '.git/index').stat()
    project.ok('assemble')
    assert (project.qemu / '.git/index').stat() == index


def test_our_links_are_no_change_to_git(project):
    assert project.git('status', '--porcelain') == ''


def test_only_files_that_differ_are_written(project):
    stamps = project.stamps()
    project.replace(project.patch('default'), '+  auto', '+  other')
    project.ok('assemble')
    changed = {path for path, stamp in project.stamps().items()
               if stamp != stamps[path]}
    assert changed == {'hw/y.c'}
    assert project.consistent()


def test_a_message_alone_changes_no_file(project):
    stamps = project.stamps()
    project.replace(project.patch('hooks'), 'Because', 'For the sake')
    project.ok('assemble')
    assert project.stamps() == stamps
    assert 'For the sake' in project.git('log', '--format=%b')


def test_an_edit_of_our_file_is_in_the_commit(project):
    project.replace(project.top / 'hw/new.c', 'new', 'newer')
    project.ok('assemble')
    assert project.consistent()
    assert project.blob('HEAD', 'hw/new.c') == 'newer code\n'


def test_a_topic_joins(project):
    project.write(project.top / 'hw/more.c', 'more\n')
    project.replace(project.top / 'MAINTAINERS', 'F: hw/other.c',
                    'F: hw/more.c\nF: hw/other.c')
    z = QEMU['hw/z.c']
    project.topic('more', ['hw/more.c'],
                  hunk('hw/z.c', z, z.replace('z9', 'more')))
    project.order('hooks', 'more', 'model', 'default')
    project.ok('assemble')
    assert (project.qemu / 'hw/more.c').is_symlink()
    assert 'more' in (project.qemu / 'hw/z.c').read_text()
    assert project.consistent()


def test_a_topics_hunks_and_files_go_with_it(project):
    project.order('hooks', 'default')
    project.ok('assemble')
    assert not os.path.lexists(project.qemu / 'hw/new.c')
    assert 'model' not in (project.qemu / 'hw/x.c').read_text()
    assert (project.top / 'hw/new.c').read_text() == OURS['hw/new.c']


def test_a_topic_that_does_not_apply_is_named(project):
    head, stamps = project.git('rev-parse', 'HEAD'), project.stamps()
    project.replace(project.patch('model'), '-  x35', '-  unknown')
    assert 'model.patch' in project.refused('assemble')
    assert project.git('rev-parse', 'HEAD') == head
    assert project.stamps() == stamps


def test_a_file_that_is_not_there_is_named(project):
    (project.top / 'hw/new.c').unlink()
    assert 'hw/new.c' in project.refused('assemble')


def test_a_file_that_is_no_topic_is_named(project):
    project.write(project.patch('model'), 'diff --git a/hw/x.c b/hw/x.c\n')
    assert 'model.patch' in project.refused('assemble')


def test_without_source_it_says_what_to_run(fresh):
    (fresh.build / 'source.json').unlink()
    assert './configure' in fresh.refused('assemble')


def test_maintainers_names_what_has_landed(project):
    def entries(commit):
        return [line for line in
                project.blob(commit, 'MAINTAINERS').splitlines()
                if line.startswith('F: ')]
    theirs = ['F: hw/xen/', 'F: hw/vhost.c']
    assert entries('base') == theirs
    assert entries(project.commit('hooks')) == [
        'F: hw/xen/', 'F: include/new.h', 'F: hw/vhost.c']
    assert entries(project.commit('model')) == [
        'F: hw/xen/', 'F: hw/new.c', 'F: hw/other.c', 'F: include/new.h',
        'F: hw/vhost.c']


def test_our_section_is_a_section_of_qemus_maintainers(project):
    assert project.blob('HEAD', 'MAINTAINERS') == (
        'Maintainers\n===========\n\nxen\nF: hw/xen/\n\n'
        'Host-aware vIOMMU\nS: Maintained\n'
        'F: hw/new.c\nF: hw/other.c\nF: include/new.h\n\n'
        'vhost\nF: hw/vhost.c\n')


def test_a_section_of_which_nothing_landed_is_left_out(project):
    with open(project.top / 'MAINTAINERS', 'a', encoding='ascii') as file:
        file.write('\nAnother\nF: hw/not-landed.c\n')
    project.ok('assemble')
    assert 'Another' not in project.blob('HEAD', 'MAINTAINERS')


def test_a_base_without_the_anchor_of_our_sections_is_refused(fresh):
    fresh.base({**QEMU, 'MAINTAINERS': 'xen\nF: hw/xen/\n'})
    assert 'vhost' in fresh.refused('assemble')


def test_executable_bit_of_our_file_is_kept(fresh):
    (fresh.top / 'hw/new.c').chmod(0o755)
    fresh.ok('assemble')
    listed = fresh.git('ls-tree', 'HEAD', 'hw/')
    assert [line.split()[0] for line in listed.splitlines()
            if line.endswith('/new.c')] == ['100755']
    assert listed.count('100755') == 1


def test_executable_bit_that_is_set_later_is_kept(project):
    (project.top / 'hw/new.c').chmod(0o755)
    project.ok('assemble')
    assert '100755' in project.git('ls-tree', 'HEAD', 'hw/new.c')


def test_another_base_is_imported_and_the_series_reapplied(project):
    newer = {**QEMU, 'VERSION': '10.0.14\n', 'hw/fix.c': 'fix\n',
             'hw/x.c': QEMU['hw/x.c'].replace('x20', 'fixed')}
    del newer['hw/z.c']
    project.base(newer, ident='second')
    assert '10.0.14' in project.ok('assemble')
    assert project.git('log', '-1', '--format=%s', 'base') == 'QEMU 10.0.14'
    assert project.git('rev-list', '--count', 'HEAD') == '4'
    text = (project.qemu / 'hw/x.c').read_text()
    assert 'fixed' in text and 'hook' in text and 'model' in text
    assert (project.qemu / 'hw/fix.c').is_file()
    assert not (project.qemu / 'hw/z.c').exists()
    assert project.consistent()


def test_a_base_of_the_same_version_and_other_content_is_imported(project):
    project.base({**QEMU, 'hw/z.c': 'patched\n'}, ident='second')
    project.ok('assemble')
    assert (project.qemu / 'hw/z.c').read_text() == 'patched\n'


def test_another_base_writes_only_files_that_differ(project):
    stamps = project.stamps()
    project.base({**QEMU, 'hw/z.c': 'patched\n'}, ident='second')
    project.ok('assemble')
    assert {path for path, stamp in project.stamps().items()
            if stamp != stamps[path]} == {'hw/z.c'}


def test_links_follow_a_checkout_that_moved(project, tmp_path):
    build = tmp_path / 'a build'
    shutil.move(project.build, build)
    shutil.move(project.top, tmp_path / 'moved')
    project.top, project.build = tmp_path / 'moved', build
    project.qemu = build / 'qemu'
    project.ok('assemble')
    for path in OURS:
        assert (project.qemu / path).samefile(project.top / path)
    assert project.consistent()


def test_worktrees_work_after_the_checkout_moved(project, tmp_path):
    project.ok('worktree', 'base', str(project.build / 'base'))
    shutil.move(project.top, tmp_path / 'moved')
    project.top = tmp_path / 'moved'
    project.build = project.top / 'build'
    project.ok('worktree', 'base', str(project.build / 'base'))
    assert project.git('rev-parse', 'HEAD', cwd=project.build / 'base')


def test_worktree_is_the_pristine_base(project):
    base = project.build / 'base'
    project.ok('worktree', 'base', str(base))
    assert (base / 'hw/x.c').read_text() == QEMU['hw/x.c']
    assert not (base / 'hw/new.c').exists()


def test_worktree_that_is_there_is_kept(project):
    base = project.build / 'base'
    project.ok('worktree', 'base', str(base))
    (base / 'build').mkdir()
    stamp = (base / 'hw/x.c').stat().st_mtime_ns
    project.ok('worktree', 'base', str(base))
    assert (base / 'build').is_dir()
    assert (base / 'hw/x.c').stat().st_mtime_ns == stamp


def test_checkout_without_git(fresh):
    assert not (fresh.top / '.git').exists()
    fresh.ok('assemble')
    assert fresh.consistent()


def test_build_directory_in_a_checkout_with_git(fresh):
    fresh.git('init', '-q', cwd=fresh.top)
    fresh.ok('assemble')
    assert fresh.git('rev-list', '--count', 'HEAD') == '4'
    assert not fresh.git('for-each-ref', cwd=fresh.top)


def test_the_users_git_configuration_does_not_matter(fresh, tmp_path,
                                                     assembled):
    fresh.write(tmp_path / '.gitconfig',
                '[user]\nname = Someone\nemail = some@one\n'
                '[core]\nautocrlf = true\n[commit]\ngpgsign = true\n'
                '[diff]\nnoprefix = true\n[core]\nabbrev = 5\n')
    fresh.env['HOME'] = str(tmp_path)
    fresh.ok('assemble')
    assert (fresh.git('rev-parse', 'HEAD') ==
            assembled.git('rev-parse', 'HEAD'))


def test_two_at_once_wait_for_each_other(fresh):
    command = fresh.run('assemble').args
    fresh.replace(fresh.patch('default'), '+  auto', '+  other')
    runs = [subprocess.Popen(command, env=fresh.env, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
            for _ in range(3)]
    waits = (f'series: waiting for another one, which has '
             f'{fresh.build / ".series-lock"}\n')
    for run in runs:
        assert run.communicate()[0] in ('', waits)
        assert run.returncode == 0
    assert fresh.consistent()
