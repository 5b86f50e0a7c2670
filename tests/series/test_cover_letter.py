# SPDX-License-Identifier: GPL-2.0-or-later
"""series/*/cover-letter: what and why, and the tests that show it; in that of
host-aware, after questions with their answers."""

import re
from pathlib import Path

import pytest

from test_parts import exists

TOP = Path(__file__).resolve().parents[2]
LETTERS = {group: (TOP / f'series/{group}/cover-letter').read_text()
           for group in (TOP / 'series/series').read_text().split()}


def named_in(text):
    return re.findall(r'^ +(tests/\S+)$', text, flags=re.M)


def parts(group):
    """What and why, then the questions."""
    return re.split(r'^(?=\d+\. )', LETTERS[group], flags=re.M)


def test_the_order_that_the_letters_tell():
    assert list(LETTERS) == ['fixes', 'host-aware', 'nesting']


@pytest.mark.parametrize('group', LETTERS)
def test_what_and_why_in_few_lines(group):
    subject, empty, *lines = [
        line for line in parts(group)[0].rstrip().splitlines()
        if not named_in(line)]
    assert subject and not empty
    # that of fixes lists what is wrong, and who reaches it
    assert len(lines) <= (60 if group == 'fixes' else 30)


@pytest.mark.parametrize('number, word', enumerate((
    'hotplug', 'command line', 'migration', 'legacy', 'machine types',
    'tested'), 1))
def test_question(number, word):
    """Each that reviewers asked has an answer and a test."""
    text = parts('host-aware')[number]
    question, answer, *_ = text.split('\n\n')
    assert question.startswith(f'{number}. ') and '?' in question
    assert word in question
    assert answer.startswith('   ') and not named_in(answer)
    assert named_in(text)


@pytest.mark.parametrize('group', LETTERS)
def test_named_tests_exist(group):
    named = named_in(LETTERS[group])
    assert named
    assert [name for name in named if not exists(TOP, name)] == []


@pytest.mark.parametrize('group', LETTERS)
def test_lines_fit_a_mail(group):
    assert max(map(len, LETTERS[group].splitlines())) <= 78


def test_default_changes_last():
    """So that it can be dropped."""
    assert (TOP / 'series/host-aware/series').read_text().split()[-1] == \
        'vtd-width-auto.patch'
    assert ('The last patch changes the default of aw-bits'
            in LETTERS['host-aware'])
