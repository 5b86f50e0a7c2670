# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/series bisect: builds each prefix, runs the tests of each series at
its end, and does nothing again that series/bisected knows to be good."""

import pytest
from conftest import QEMU, hunk

DEVICES = 'configs/devices/x86_64-softmmu/default.mak'
# Stand-ins that write down what they are asked for. They fail where a file of
# the tree wants them to.
QEMU_BUILD = '''#!/bin/sh
cd "$3"
shift 3
echo "build $* options $(grep -c =n configs/devices/*/default.mak)" \\
    >> ../asked
! grep -rq BROKEN hw
'''
RUN_TEST = '''#!/bin/sh
program=${1##*/build/}
echo "test $program base ${QTEST_BASE_BINARY##*/build/base/}" >> \\
    "${QTEST_QEMU_BINARY%/bisect/*}/asked"
[ "$QTEST_QEMU_BINARY" = "${1%/tests/*}/qemu-system-x86_64" ] || exit 1
grep -qs FAILS "${1%/build/*}/$program.c" && echo "not ok 1 - a" && exit 1
echo "ok 1 - a"
'''
LEFT_OUT = 'CONFIG_IOMMUFD, CONFIG_TEST_DEVICES, CONFIG_VTD'


@pytest.fixture
def record(project):
    """The record of a project with scripts, and a test program in each
    series."""
    for name, text in (('qemu-build', QEMU_BUILD), ('run-test', RUN_TEST)):
        project.write(project.top / 'scripts' / name, text)
        (project.top / 'scripts' / name).chmod(0o755)
    project.write(project.build / 'qemu-options', '--enable-it\n')
    project.base({**QEMU, DEVICES: '', 'tests/qtest/old-test.c': 'old\n'},
                 ident='second')
    for path in ('tests/qtest/early-test.c', 'tests/unit/test-late.c',
                 'tests/qtest/helper.c'):
        project.write(project.top / path, 'test\n')
    project.replace(project.patch('hooks'), 'Files:',
                    'Files: tests/qtest/early-test.c tests/qtest/helper.c')
    project.replace(project.patch('model'), 'Files:',
                    'Files: tests/unit/test-late.c')
    with open(project.patch('model'), 'a', encoding='ascii') as patch:
        patch.write(hunk('tests/qtest/old-test.c', 'old\n', 'older\n'))
    return project.top / 'series/bisected'


def asked(project):
    """What the scripts were asked for since the last time."""
    path = project.build / 'asked'
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def known(said):
    return [line[3:].removesuffix(': known to be good')
            for line in said.splitlines() if line.endswith('known to be good')]


ALL = ['early/hooks', 'early, its tests without a base', 'late/model',
       'late/default', 'late, its tests without a base', f'without {LEFT_OUT}']


def test_each_prefix_is_built_and_each_series_tested(project, record):
    said = project.ok('bisect')
    qemu, early = 'build qemu-system-x86_64', 'tests/qtest/early-test'
    late = f'{early} tests/unit/test-late tests/qtest/old-test'
    assert asked(project) == [
        f'{qemu} {early} options 0', f'{qemu} {early} options 0',
        f'test {early} base ',
        *[f'{qemu} {late} options 0'] * 3,
        *(f'test {name} base ' for name in late.split()),
        f'{qemu} tests/qtest/device-introspect-test options 3',
        'test tests/qtest/device-introspect-test base ']
    assert [line[3:] for line in said.splitlines()
            if line.startswith('== ')] == ALL
    assert '6 done now, 0 known to be good' in said


def test_the_record_has_a_line_for_each(project, record):
    project.ok('bisect')
    lines = [line.split('  ') for line in record.read_text().splitlines()
             if not line.startswith('#')]
    assert [what for _, what in lines] == ALL
    assert all(len(tree) == 40 for tree, _ in lines)


def test_what_is_known_is_not_done_again(project, record):
    project.ok('bisect')
    text = record.read_text()
    asked(project)
    said = project.ok('bisect')
    assert known(said) == ALL
    assert '0 done now, 6 known to be good' in said
    assert asked(project) == []
    assert record.read_text() == text


def test_a_changed_topic_and_what_stands_on_it_are_done_again(project,
                                                              record):
    project.ok('bisect')
    project.replace(project.patch('default'), '+  auto', '+  other')
    assert known(project.ok('bisect')) == ALL[:3]
    assert known(project.ok('bisect')) == ALL
    assert len(record.read_text().splitlines()) == 9


@pytest.mark.parametrize('path, again', [
    ('series/early/hooks.patch', False), ('MAINTAINERS', False),
    ('docs/new.rst', False), ('scripts/qemu-build', True),
    ('scripts/run-test', True), ('build/qemu-options', True)])
def test_what_decides(project, record, path, again):
    """A message, docs and MAINTAINERS do not; how it is built does."""
    project.write(project.top / 'docs/new.rst', 'new\n')
    project.replace(project.patch('hooks'), 'Files:', 'Files: docs/new.rst')
    project.ok('bisect')
    old = {'hooks': 'Because', 'MAINT': 'S: ', 'new': 'n', 'qemu-b': '/bin',
           'run': '/bin', 'qemu-o': '--'}
    old = next(text for start, text in old.items()
               if path.rpartition('/')[2].startswith(start))
    project.replace(project.top / path, old, {
        '/bin': '/bin/../bin'}.get(old, old + old))
    assert known(project.ok('bisect')) == ([] if again else ALL)


def test_a_prefix_that_does_not_build_is_named(project, record):
    project.replace(project.patch('model'), '+  model', '+  BROKEN')
    said = project.refused('bisect')
    assert 'late/model: does not build' in said
    assert [line.split('  ')[1] for line in record.read_text().splitlines()
            if not line.startswith('#')] == ALL[:2]
    project.replace(project.patch('model'), '+  BROKEN', '+  model')
    assert known(project.ok('bisect')) == ALL[:2]


def test_a_failing_test_is_named_and_the_others_are_run(project, record):
    project.replace(project.top / 'tests/qtest/early-test.c', 'test', 'FAILS')
    said = project.refused('bisect')
    assert 'not ok 1 - a' in said
    assert 'early, its tests without a base: tests/qtest/early-test failed' \
        in said
    assert 'late/model' not in said
    assert known(project.refused('bisect')) == ALL[:1]


def test_with_a_base_to_compare_with(project, record):
    """It is another test."""
    project.ok('bisect')
    asked(project)
    project.write(project.build / 'base/build/qemu-system-x86_64', '')
    said = project.ok('bisect')
    assert 'early, its tests' not in known(said)
    assert ('test tests/qtest/early-test base build/qemu-system-x86_64'
            in asked(project))


def test_without_left_out_options_the_tree_is_as_it_was(project, record):
    project.ok('bisect')
    assert (project.build / 'bisect' / DEVICES).read_text() == ''


@pytest.mark.parametrize('text', ['', 'nonsense\n', 'x  early/hooks\n'])
def test_a_record_that_is_wrong_costs_time_only(project, record, text):
    project.write(record, text)
    assert known(project.ok('bisect')) == []
    assert known(project.ok('bisect')) == ALL
