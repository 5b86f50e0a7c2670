# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/series export: mail-ready patches with a cover letter."""

import email
import shutil

from conftest import OURS, QEMU, Project


def mails(project):
    return sorted(path.name for path in project.mails.iterdir())


def header(project, number, name):
    path = next(project.mails.glob(f'{number:04}-*'))
    return email.message_from_string(path.read_text())[name]


def apply(project, where):
    """Applies the mails on a git tree of QEMU that knows no series."""
    shutil.copytree(project.source, where)
    identity = {f'GIT_{who}_{what}': 'a@b'
                for who in ('AUTHOR', 'COMMITTER')
                for what in ('NAME', 'EMAIL')}
    for command in (['init', '-q'], ['add', '-A', '-f'],
                    ['commit', '-q', '-m', 'pristine'],
                    ['am', '-q', *sorted(map(str, project.mails.glob(
                        '000[1-9]-*')))]):
        project.git(*command, cwd=where, **identity)
    return project.git('rev-parse', 'HEAD^{tree}', cwd=where)


def test_one_patch_a_topic_and_a_cover_letter(project):
    said = project.ok('export')
    assert str(project.mails) in said
    assert mails(project) == [
        '0000-cover-letter.patch', '0001-hw-topic-hooks.patch',
        '0002-hw-topic-model.patch', '0003-hw-topic-default.patch']


def test_git_am_on_a_pristine_import_gives_the_tree_built(project, tmp_path):
    (project.top / 'hw/new.c').chmod(0o755)
    project.ok('export')
    assert (apply(project, tmp_path / 'pristine') ==
            project.git('rev-parse', 'HEAD^{tree}'))


def test_each_patch_holds_its_hunks_and_whole_files(project):
    project.ok('export')
    text = next(project.mails.glob('0002-*')).read_text()
    assert '+  model' in text
    assert '+' + OURS['hw/new.c'] in text
    assert '+F: hw/new.c' in text
    assert '+  hook' not in text and '+new header' not in text


def test_subject_and_message_are_the_topics(project):
    project.ok('export')
    assert header(project, 1, 'Subject') == '[PATCH 1/3] hw: topic hooks'
    assert 'Because of it.\n---\n' in next(
        project.mails.glob('0001-*')).read_text()


def test_cover_letter_has_subject_text_and_diffstat(project):
    project.ok('export')
    assert header(project, 0, 'Subject') == '[PATCH 0/3] the subject of all'
    text = (project.mails / '0000-cover-letter.patch').read_text()
    assert '\nWhy all this.\n' in text
    assert '***' not in text
    assert 'include/new.h' in text
    assert '6 files changed' in text


def test_from_is_the_git_identity_of_the_checkout(project):
    project.git('init', '-q', cwd=project.top)
    for name, value in (('name', 'An Exporter'), ('email', 'an@exporter')):
        project.git('config', f'user.{name}', value, cwd=project.top)
    project.env['GIT_AUTHOR_DATE'] = '2025-05-06T07:08:09+0200'
    project.ok('export')
    for number in range(4):
        assert header(project, number, 'From') == 'An Exporter <an@exporter>'
    for number in range(1, 4):
        assert header(project, number, 'Date') == (
            'Tue, 6 May 2025 07:08:09 +0200')


def test_from_is_the_git_identity_of_the_user(project, tmp_path):
    project.write(tmp_path / 'home/.gitconfig',
                  '[user]\nname = A Üser\nemail = a@user\n')
    project.env['HOME'] = str(tmp_path / 'home')
    project.ok('export')
    assert header(project, 1, 'From').endswith('<a@user>')


def test_exporting_does_not_change_what_is_assembled(project):
    head = project.git('rev-parse', 'HEAD')
    project.env.update(GIT_AUTHOR_NAME='A', GIT_AUTHOR_EMAIL='a@b')
    project.ok('export')
    assert project.git('rev-parse', 'HEAD') == head
    assert header(project, 1, 'From') == 'A <a@b>'


def test_from_and_date_are_fixed_without_an_identity(project):
    project.ok('export')
    for number in range(4):
        assert header(project, number, 'From') == (
            'host-aware vIOMMU series <series@localhost>')
    assert header(project, 1, 'Date') == 'Thu, 1 Jan 2026 00:00:00 +0000'


def test_an_identity_that_git_would_guess_is_none(project):
    """As where the machine's name has a domain."""
    project.env['EMAIL'] = 'guessed@machine'
    project.ok('export')
    assert header(project, 1, 'From') == (
        'host-aware vIOMMU series <series@localhost>')


def test_export_twice_is_the_same_without_an_identity(project):
    project.ok('export')
    first = {name: (project.mails / name).read_text()
             for name in mails(project)[1:]}
    project.ok('export')
    assert first == {name: (project.mails / name).read_text()
                     for name in mails(project)[1:]}


def test_patches_of_an_earlier_export_vanish(project):
    project.ok('export')
    project.order('default')
    project.ok('export')
    assert mails(project) == ['0000-cover-letter.patch',
                              '0001-hw-topic-default.patch']


def test_an_edit_of_our_file_is_exported_at_once(project):
    project.replace(project.top / 'hw/new.c', 'new', 'newer')
    project.ok('export')
    assert '+newer code' in next(project.mails.glob('0002-*')).read_text()


def test_export_of_a_release_without_git(tmp_path):
    project = Project(tmp_path / 'release')
    project.create()
    project.ok('export')
    assert len(mails(project)) == 4
    assert (apply(project, tmp_path / 'pristine') ==
            project.git('rev-parse', 'HEAD^{tree}'))


def test_lines_that_end_in_cr_survive_the_mail(fresh, tmp_path):
    fresh.write(fresh.source / 'hw/x.c', QEMU['hw/x.c'])
    fresh.ok('assemble')
    (fresh.top / 'hw/new.c').write_bytes(b'dos\r\nlines\r\n')
    said = fresh.ok('check')
    assert 'not ok' not in said
