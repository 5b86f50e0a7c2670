# SPDX-License-Identifier: GPL-2.0-or-later
"""bench: what fails, what is kept, and what is read of callgrind's report."""

import json

import pytest
from counted import instructions
from rows import Bar, Curve, Row, Table, as_json


@pytest.mark.parametrize('reference, value, worse', [
    (100, 100, False), (100, 101, True), (100, 99, False),
    (1000, 1004, False),            # shown as 1.00
    (0, 0, False), (0, 1, True),    # what should not happen at all
    (None, 1000, False),            # what the base cannot do
])
def test_bound(reference: float, value: float, worse: bool) -> None:
    """A ratio is compared as it is shown."""
    assert Row('row', reference, value, 1).is_worse == worse


def test_without_bound() -> None:
    """What has no bound is never worse."""
    assert not Row('row', 1, 1000).is_worse


def test_table() -> None:
    """The table names what is worse, and nothing else."""
    table = Table('costs', 'base', 'ours', bound=1.5)
    table.add('good', 100, 150)
    table.add('bad', 100, 151)
    table.add('new', None, 9)
    _, heads, *rows = table.text().splitlines()
    assert heads.split() == ['base', 'ours', 'ratio', 'at', 'most', '1.5']
    assert [row.split() for row in rows] == [
        ['good', '100', '150', '1.50'],
        ['bad', '100', '151', '1.51', 'WORSE'],
        ['new', '9']]
    assert table.worse() == ['costs: bad']


def test_json() -> None:
    """What is kept survives being written, row for row."""
    table = Table('costs', 'with 1', 'with 200', bound=1.5)
    table.add('row', 3, 4)
    kept = json.loads(json.dumps(as_json(
        [table], [Curve('ours', [(1, 5), (200, 6)])],
        [Bar('stage-1', {'invalidate': 8.0})])))
    assert kept['rows'] == [{
        'table': 'costs', 'row': 'row', 'with 1': 3, 'with 200': 4,
        'ratio': 1.333, 'bound': 1.5, 'worse': False}]
    assert kept['instructions for an invalidation, by other devices'] == {
        'ours': {'1': 5, '200': 6}}
    assert kept['calls of the host per MiB'] == {
        'stage-1': {'invalidate': 8.0}}


def test_instructions() -> None:
    """callgrind's sum is the last column of nothing but its own line."""
    assert instructions('version: 1\ntotals: 1234 5\nsummary: 9') == 1234
    with pytest.raises(RuntimeError):
        instructions('fn=(1) main\n')
