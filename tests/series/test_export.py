# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/series export: mail-ready patches, a folder with a cover letter for
each series."""

import email
import shutil

from conftest import OURS, QEMU, Project, hunk


def mails(project):
    return sorted(str(path.relative_to(project.mails))
                  for path in project.mails.glob('*/*'))


def mail(project, topic):
    return next(project.mails.glob(f'*/*-{topic}*')).read_text()


def header(project, topic, name):
    return email.message_from_string(mail(project, topic))[name]


def apply(project, where, *groups):
    """Applies the mails on a git tree of QEMU that knows no series."""
    shutil.copytree(project.source, where)
    identity = {f'GIT_{who}_{what}': 'a@b'
                for who in ('AUTHOR', 'COMMITTER')
                for what in ('NAME', 'EMAIL')}
    for command in (['init', '-q'], ['add', '-A', '-f'],
                    ['commit', '-q', '-m', 'pristine'],
                    *(['am', '-q', *sorted(map(str, project.mails.glob(
                        f'{group}/000[1-9]-*')))] for group in groups)):
        project.git(*command, cwd=where, **identity)
    return project.git('rev-parse', 'HEAD^{tree}', cwd=where)


def test_one_patch_a_topic_and_a_cover_letter(project):
    said = project.ok('export')
    assert str(project.mails / 'early') in said
    assert mails(project) == [
        'early/0000-cover-letter.patch', 'early/0001-hw-topic-hooks.patch',
        'late/0000-cover-letter.patch', 'late/0001-hw-topic-model.patch',
        'late/0002-hw-topic-default.patch']


def test_git_am_on_a_pristine_import_gives_the_tree_built(project, tmp_path):
    (project.top / 'hw/new.c').chmod(0o755)
    project.ok('export')
    assert (apply(project, tmp_path / 'pristine', 'early', 'late') ==
            project.git('rev-parse', 'HEAD^{tree}'))


def test_the_first_series_applies_alone(project, tmp_path):
    project.ok('export')
    assert (apply(project, tmp_path / 'pristine', 'early') ==
            project.git('rev-parse', f'{project.commit("hooks")}^{{tree}}'))


def test_each_patch_holds_its_hunks_and_whole_files(project):
    project.ok('export')
    text = mail(project, 'hw-topic-model')
    assert '+  model' in text
    assert '+' + OURS['hw/new.c'] in text
    assert '+F: hw/new.c' in text
    assert '+  hook' not in text and '+new header' not in text


def test_subject_and_message_are_the_topics(project):
    project.ok('export')
    assert header(project, 'hw-topic-hooks', 'Subject') == (
        '[PATCH 1/1] hw: topic hooks')
    assert header(project, 'hw-topic-default', 'Subject') == (
        '[PATCH 2/2] hw: topic default')
    assert 'Because of it.\n---\n' in mail(project, 'hw-topic-hooks')


def test_cover_letter_has_subject_text_and_diffstat(project):
    project.ok('export')
    for group, topics, changed in (('early', 1, 3), ('late', 2, 5)):
        text = (project.mails / group / '0000-cover-letter.patch').read_text()
        assert (f'Subject: [PATCH 0/{topics}] the subject of {group}\n'
                in text)
        assert f'\nWhy {group}.\n' in text
        assert '***' not in text
        assert ('include/new.h' in text) == (group == 'early')
        assert f'{changed} files changed' in text


def test_a_series_without_a_topic_is_none(project):
    project.order('model', 'default')
    x = QEMU['hw/x.c']
    project.topic('model', ['hw/new.c', 'hw/other.c'],
                  hunk('hw/x.c', x, x.replace('x35', 'model')))
    project.ok('export')
    assert [name for name in mails(project) if 'cover' in name] == [
        'late/0000-cover-letter.patch']


def test_from_is_the_git_identity_of_the_checkout(project):
    project.git('init', '-q', cwd=project.top)
    for name, value in (('name', 'An Exporter'), ('email', 'an@exporter')):
        project.git('config', f'user.{name}', value, cwd=project.top)
    project.env['GIT_AUTHOR_DATE'] = '2025-05-06T07:08:09+0200'
    project.ok('export')
    for name in mails(project):
        text = (project.mails / name).read_text()
        assert '\nFrom: An Exporter <an@exporter>\n' in text
        assert 'cover' in name or (
            '\nDate: Tue, 6 May 2025 07:08:09 +0200\n' in text)


def test_from_is_the_git_identity_of_the_user(project, tmp_path):
    project.write(tmp_path / 'home/.gitconfig',
                  '[user]\nname = A Üser\nemail = a@user\n')
    project.env['HOME'] = str(tmp_path / 'home')
    project.ok('export')
    assert header(project, 'hw-topic-hooks', 'From').endswith('<a@user>')


def test_exporting_does_not_change_what_is_assembled(project):
    head = project.git('rev-parse', 'HEAD')
    project.env.update(GIT_AUTHOR_NAME='A', GIT_AUTHOR_EMAIL='a@b')
    project.ok('export')
    assert project.git('rev-parse', 'HEAD') == head
    assert header(project, 'hw-topic-hooks', 'From') == 'A <a@b>'


def test_from_and_date_are_fixed_without_an_identity(project):
    project.ok('export')
    for name in mails(project):
        assert ('\nFrom: host-aware vIOMMU series <series@localhost>\n'
                in (project.mails / name).read_text())
    assert header(project, 'hw-topic-hooks', 'Date') == 'Thu, 1 Jan 2026 00:00:00 +0000'


def test_an_identity_that_git_would_guess_is_none(project):
    """As where the machine's name has a domain."""
    project.env['EMAIL'] = 'guessed@machine'
    project.ok('export')
    assert header(project, 'hw-topic-hooks', 'From') == (
        'host-aware vIOMMU series <series@localhost>')


def test_export_twice_is_the_same_without_an_identity(project):
    project.ok('export')
    first = {name: (project.mails / name).read_text()
             for name in mails(project) if 'cover' not in name}
    project.ok('export')
    assert first == {name: (project.mails / name).read_text()
                     for name in mails(project) if 'cover' not in name}


def test_patches_of_an_earlier_export_vanish(project):
    project.ok('export')
    project.order('default')
    project.ok('export')
    assert mails(project) == ['late/0000-cover-letter.patch',
                              'late/0001-hw-topic-default.patch']


def test_an_edit_of_our_file_is_exported_at_once(project):
    project.replace(project.top / 'hw/new.c', 'new', 'newer')
    project.ok('export')
    assert '+newer code' in mail(project, 'hw-topic-model')


def test_export_of_a_release_without_git(tmp_path):
    project = Project(tmp_path / 'release')
    project.create()
    project.ok('export')
    assert len(mails(project)) == 5
    assert (apply(project, tmp_path / 'pristine', 'early', 'late') ==
            project.git('rev-parse', 'HEAD^{tree}'))


def test_lines_that_end_in_cr_survive_the_mail(fresh, tmp_path):
    fresh.write(fresh.source / 'hw/x.c', QEMU['hw/x.c'])
    fresh.ok('assemble')
    (fresh.top / 'hw/new.c').write_bytes(b'dos\r\nlines\r\n')
    said = fresh.ok('check')
    assert 'not ok' not in said
