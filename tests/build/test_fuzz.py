# SPDX-License-Identifier: GPL-2.0-or-later
"""What scripts/fuzz makes of a program that ends, or that finds something."""

import pytest

from conftest import load

GOES_ON = """
echo '#2 INITED cov: 17 ft: 9 corp: 1/1b'
echo '#64 NEW    cov: 23 ft: 12 corp: 3/9b'
echo 'stat::number_of_executed_units: 4711'
"""
FINDS = """
for word; do
    case $word in -artifact_prefix=*) found=${word#*=}crash-1 ;; esac
done
echo '#7 NEW    cov: 5 ft: 5 corp: 1/1b'
echo input > "$found"
exit 77
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that fuzzes one target, whose program is this shell script,
    and gives the run and the ledger's lines."""
    fuzz = load('fuzz')
    monkeypatch.setattr(fuzz, 'CORPUS', tmp_path / 'corpus')
    monkeypatch.setattr(fuzz, 'LEDGER', tmp_path / 'ledger')

    def run_script(script):
        fuzzer = fuzz.Fuzzer(tmp_path / 'build')
        fuzzer.program = tmp_path / 'program'
        fuzzer.program.write_text('#!/bin/sh\n' + script)
        fuzzer.program.chmod(0o755)
        one = fuzz.Run(fuzzer, 'host-iommu', 1)
        one.wait()
        fuzz.report([one])
        return one, [line.split() for line in
                     fuzz.LEDGER.read_text().splitlines()]
    return run_script


def test_nothing_found(run):
    one, ledger = run(GOES_ON)
    assert one.good
    assert (one.executions, one.edges) == (4711, 23)
    assert [(line[0], *line[2:]) for line in ledger] == [
        ('host-iommu', '0.00', '23', '0', '0.00')]


def test_how_long_nothing_was_new(run):
    """The 64th of 4711 inputs brought the last edge."""
    one, _ = run(GOES_ON + "echo '#65 REDUCE cov: 23 ft: 12 corp: 3/8b'\n")
    one.hours = 2
    assert one.quiet == 2 * (1 - 64 / 4711)


def test_found(run, capsys):
    one, ledger = run(FINDS)
    assert not one.good
    assert (one.executions, one.edges) == (7, 5)
    assert ledger[0][4] == '1'
    told = capsys.readouterr().out
    assert str(one.found[0]) in told
    assert one.fuzzer.repeat('host-iommu', one.found[0]) in told


def test_ends_without_a_word(run, capsys):
    one, _ = run('exit 3')
    assert not one.good
    assert 'ended with 3' in capsys.readouterr().out


def test_unknown_target(monkeypatch, tmp_path, capsys):
    fuzz = load('fuzz')
    monkeypatch.setattr('sys.argv', ['fuzz', str(tmp_path), '1', 'nothing'])
    with pytest.raises(SystemExit):
        fuzz.main()
    assert 'viommu-qmp' in capsys.readouterr().err
