# SPDX-License-Identifier: GPL-2.0-or-later
"""series/cover-letter: what and why, then questions with an answer and the
tests that show it."""

import re
from pathlib import Path

import pytest

from test_readme import exists

TOP = Path(__file__).resolve().parents[2]
LETTER = (TOP / 'series/cover-letter').read_text()
WHAT_AND_WHY, *QUESTIONS = re.split(r'^(?=\d+\. )', LETTER, flags=re.M)


def named_in(text):
    return re.findall(r'^ +(tests/\S+)$', text, flags=re.M)


def test_what_and_why_in_thirty_lines():
    subject, empty, *lines = WHAT_AND_WHY.rstrip().splitlines()
    assert subject and not empty
    assert len(lines) <= 30


@pytest.mark.parametrize('number, word', enumerate((
    'hotplug', 'command line', 'migration', 'legacy', 'machine types',
    'tested'), 1))
def test_question(number, word):
    """Each that reviewers asked has an answer and a test."""
    text = QUESTIONS[number - 1]
    question, answer, *_ = text.split('\n\n')
    assert question.startswith(f'{number}. ') and '?' in question
    assert word in question
    assert answer.startswith('   ') and not named_in(answer)
    assert named_in(text)


@pytest.mark.parametrize('name', named_in(LETTER))
def test_named_test_exists(name):
    assert exists(TOP, name)


def test_lines_fit_a_mail():
    assert max(map(len, LETTER.splitlines())) <= 78


def test_default_changes_last():
    """So that it can be dropped."""
    assert (TOP / 'series/series').read_text().split()[-1] == \
        'vtd-width-auto.patch'
    assert 'The last patch changes the default of aw-bits' in LETTER
