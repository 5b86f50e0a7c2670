# SPDX-License-Identifier: GPL-2.0-or-later
"""How checks are counted: scripts/check, and TAP from pytest."""

import subprocess

import pytest

from conftest import TOP, load


def tally(result, text):
    """(passed, failed, skipped) for one test of meson's log."""
    counted = load('check').Tally()
    counted.add({'name': 'test', 'result': result, 'stdout': text})
    return counted.passed, len(counted.failed), len(counted.skipped)


@pytest.mark.parametrize('result, text, counts', [
    ('OK', '1..2\nok 1 a\nok 2 b\n', (2, 0, 0)),
    ('FAIL', '1..2\nok 1 a\nnot ok 2 b\n', (1, 1, 0)),
    ('OK', 'ok 1 a\nok 2 b # SKIP no kvm\n1..2\n', (1, 0, 1)),
    # a subtest is summed up by its parent
    ('OK', '    ok 1 a\n    ok 2 b\nok 1 both\n1..1\n', (1, 0, 0)),
    ('OK', '1..0 # SKIP not here\n', (0, 0, 1)),
    # it crashed after, or did not reach, its last case
    ('ERROR', '1..2\nok 1 a\n', (1, 1, 0)),
    ('TIMEOUT', '1..2\nok 1 a\n', (1, 1, 0)),
    ('TIMEOUT', '', (0, 1, 0)),
    ('FAIL', '', (0, 1, 0)),
    ('ERROR', 'Bail out! no program\n', (0, 1, 0)),
    # TAP without a case; meson calls it a skip
    ('SKIP', '', (0, 1, 0)),
    # not TAP
    ('OK', 'all is well\n', (1, 0, 0)),
    ('OK', None, (1, 0, 0)),
])
def test_counts(result, text, counts):
    assert tally(result, text) == counts


def report(capsys, records):
    counted = load('check').Tally()
    for record in records:
        counted.add({'name': 'test', **record})
    status = counted.report()
    return status, capsys.readouterr().out.splitlines()


def test_last_line(capsys):
    assert report(capsys, [{'result': 'OK', 'stdout': 'ok 1 a\n'}]) == (
        0, ['1 passed, 0 failed'])


def test_last_line_with_skips(capsys):
    text = 'ok 1 a\nok 2 b # SKIP no /dev/kvm\n'
    assert report(capsys, [{'result': 'OK', 'stdout': text}]) == (
        0, ['skipped: test: b (no /dev/kvm)',
            '1 passed, 0 failed, 1 skipped'])


def test_notes_are_repeated(capsys):
    text = 'ok 1 a\n# NOTE: with libvirt 9\n# else\n1..1\n'
    assert report(capsys, [{'result': 'OK', 'stdout': text}]) == (
        0, ['note: with libvirt 9', '1 passed, 0 failed'])


def test_last_line_with_failures(capsys):
    assert report(capsys, [{'result': 'FAIL', 'stdout': 'not ok 1 a\n'}]) == (
        1, ['failed: test: a', '0 passed, 1 failed'])


def test_nothing_run_is_a_failure(capsys):
    assert report(capsys, []) == (
        1, ['failed: no check was run', '0 passed, 1 failed'])


def test_the_slowest(capsys):
    lines = report(capsys, [{'result': 'OK', 'stdout': '', 'duration': seconds}
                            for seconds in (0.3, *range(1, 13))])[1]
    assert lines == [*(f'slowest: {seconds:4} s test'
                       for seconds in range(12, 2, -1)),
                     '13 passed, 0 failed']


def test_what_ninja_built(tmp_path):
    """Only that: the log is kept from run to run, and sometimes rewritten."""
    check = load('check')
    assert check.builds(tmp_path) == {}
    log = tmp_path / '.ninja_log'
    log.write_text('# ninja log v5\n5\t2005\t1\tqemu.target\tab\n')
    before = check.builds(tmp_path)
    log.write_text('# ninja log v5\n5\t2005\t1\tqemu.target\tab\n'
                   '7\t4507\t2\tqemu.target\tab\n')
    assert [took for line, took in check.builds(tmp_path).items()
            if line not in before] == [(4.5, 'qemu, built')]


@pytest.mark.parametrize('suites, processors, gigabytes, number', [
    (['unit'], 4, 1, 4),
    (['unit', 'lab'], 4, 1, 1),
    (['unit', 'lab'], 2, 4, 1),
    (['unit', 'lab'], 2, 5, 2),
    (['lab'], 4, 64, 4),
])
def test_what_memory_is_enough_for(suites, processors, gigabytes, number):
    assert load('check').at_a_time(suites, processors,
                                   gigabytes << 30) == number


CASES = '''
import pytest

@pytest.fixture
def broken():
    raise RuntimeError('no fixture')

@pytest.fixture
def torn():
    yield
    raise RuntimeError('no end')

def test_good(): print('not ok 9 noise')
def test_bad(): assert 'left' == 'right'
def test_skipped(): pytest.skip('not here')
def test_without_fixture(broken): pass
def test_teardown(torn): pass
@pytest.mark.parametrize('word', ['a#b'])
def test_word(word): pass
def test_note(record_property): record_property('NOTE', 'so it is')
'''


def test_tap_of_pytest(tmp_path):
    (tmp_path / 'test_cases.py').write_text(CASES)
    done = subprocess.run([TOP / 'scripts/run-pytest',
                           tmp_path / 'test_cases.py'], text=True,
                          stdout=subprocess.PIPE)
    lines = [line for line in done.stdout.splitlines()
             if not line.startswith('#')]
    assert lines == [
        'ok 1 test_good',
        'not ok 2 test_bad',
        'ok 3 test_skipped # SKIP not here',
        'not ok 4 test_without_fixture',
        'ok 5 test_teardown',
        'not ok 6 test_teardown (teardown)',
        'ok 7 test_word[a-b]',
        'ok 8 test_note',
        '1..8']
    assert '\n# NOTE: so it is\n' in done.stdout
    assert "'left' == 'right'" in done.stdout
    assert done.returncode == 1


def test_tap_of_a_file_that_does_not_load(tmp_path):
    (tmp_path / 'test_cases.py').write_text('import no_such_module\n')
    done = subprocess.run([TOP / 'scripts/run-pytest',
                           tmp_path / 'test_cases.py'], text=True,
                          stdout=subprocess.PIPE)
    assert done.stdout.startswith('not ok 1 ')
    assert 'no_such_module' in done.stdout
    assert done.returncode != 0
