# SPDX-License-Identifier: GPL-2.0-or-later
"""What scripts/coverage makes of counted lines and of reasons."""

import pytest

from conftest import TOP, load

SOURCE = """\
int a(int x)
{
    if (x) {
        one();
        two();
    }
    return 0;
}

int b(void)
{
    return 1;
}
""".splitlines()
RUN = dict.fromkeys((1, 3, 4, 5, 7, 10, 12), 1)


def judge(counts, reasons=''):
    """(exit status is 0, percent, what has no reason) of SOURCE."""
    coverage = load('coverage')
    reasons = coverage.read_reasons(reasons)
    file = coverage.File('hw/a.c', SOURCE, counts, reasons)
    return (coverage.report([file], reasons), round(file.percent),
            file.untold)


def reason(line):
    return f'hw/a.c: {line}\n    Nobody can.\n'


def test_all_run():
    assert judge(RUN) == (True, 100, [])


def test_never_built():
    assert judge({}) == (False, 0, [])


def test_neighbours_are_one_stretch():
    counts = {**RUN, 4: 0, 5: 0}
    assert judge(counts) == (False, 71, ['4-5: one();'])
    assert judge(counts, reason('one();')) == (True, 71, [])


def test_a_function_is_a_stretch_of_its_own():
    counts = {**RUN, 7: 0, 10: 0, 12: 0}
    assert judge(counts, reason('return 0;')) == (False, 57,
                                                  ['10-12: int b(void)'])
    assert judge(counts, reason('return 0;') + reason('int b(void)')) == (
        True, 57, [])


def test_a_whole_file():
    counts = dict.fromkeys(RUN, 0)
    assert judge(counts, 'hw/*.c: *\n    Runs elsewhere.\n') == (True, 0, [])


@pytest.mark.parametrize('line', ['*', 'one();', 'three();'])
def test_stale(line):
    good, _, untold = judge(RUN, reason(line))
    assert not good and not untold


@pytest.mark.parametrize('text', [
    'hw/a.c: one();\n', 'hw/a.c one();\n    Why.\n',
    'hw/a.c: one();\nhw/a.c: two();\n    Why.\n',
])
def test_not_reasons(text):
    with pytest.raises(SystemExit):
        load('coverage').read_reasons(text)


def test_ours_can_be_read():
    coverage = load('coverage')
    assert coverage.read_reasons((TOP / coverage.REASONS).read_text())


@pytest.mark.parametrize('hosts', [0, 1, 3])
def test_what_hosts_of_the_lab_left(tmp_path, hosts):
    build, out = tmp_path / 'build', tmp_path / 'out'
    left = [build / f'counters/{host}/its/path/a.p' for host in range(hosts)]
    for folder in (build / 'a.p', out, *left):
        folder.mkdir(parents=True)
    (build / 'a.p/hw_a.c.gcno').touch()
    for number, folder in enumerate(left):
        (folder / 'hw_a.c.gcda').write_text(str(number))
    coverage = load('coverage')
    assert not coverage.collect(build, 'hw/b.c', out)
    assert coverage.collect(build, 'hw/a.c', out)
    assert all((place / 'hw_a.c.gcno').exists() for place in out.iterdir())
    assert len(list(out.iterdir())) == max(hosts, 1)
    assert sorted(data.read_text() for data in out.rglob('*.gcda')) == [
        str(number) for number in range(hosts)]
