# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/parts.md, the table of where each part of the design is: all that it names
exists.

A row is `| part | file | function | test |`, names in backticks, '-' where
there is none yet.  A change of a file of QEMU's is series/TOPIC.patch; a test
is tests/DIR/FILE.py::NAME or tests/qtest/FILE.c:/PATH.
"""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SECTION = 'Where each part of the design is'
CELLS = ('part', 'file', 'function', 'test')


def rows(readme):
    """The table's rows, each a list of its cells."""
    text = re.split(rf'^#+ +{SECTION}$', readme, flags=re.M)[1:]
    assert text, f'docs/parts.md has no section {SECTION!r}'
    table = [[cell.strip() for cell in line.strip().strip('|').split('|')]
             for line in re.split(r'^#+ ', text[0], flags=re.M)[0].splitlines()
             if line.startswith('|')]
    assert table and tuple(table[0]) == CELLS, f'no table {CELLS}'
    assert table[2:], 'the table has no rows'
    return table[2:]


def exists(top, test):
    """Whether this test is in the checkout at @top."""
    path, _, name = test.partition(':')
    if not (top / path).is_file():
        return False
    text = (top / path).read_text()
    if name.startswith(':'):
        return bool(re.search(rf'^ *def {re.escape(name[1:])}\(', text,
                              re.M))
    # The program may put its prefix before what the file says.
    parts = name.split('/')
    return any('/'.join(parts[i:]) + '"' in text for i in range(len(parts)))


def complaints(top, readme):
    """What the table names and the checkout at @top has not."""
    wrong = []
    for row in rows(readme):
        if len(row) != len(CELLS):
            wrong.append(f'{row[0]}: {len(row)} cells, not {len(CELLS)}')
            continue
        names = {}
        for cell, text in zip(CELLS[1:], row[1:]):
            names[cell] = re.findall('`([^`]+)`', text)
            if not names[cell] and text != '-':
                wrong.append(f'{row[0]}: {cell}: no name in {text!r}')
        wrong += [f'{row[0]}: no file {name}' for name in names['file']
                  if not (top / name).is_file()]
        text = '\n'.join((top / name).read_text() for name in names['file']
                         if (top / name).is_file())
        wrong += [f'{row[0]}: no {name} in {", ".join(names["file"])}'
                  for name in names['function']
                  if not re.search(rf'(?<!\w){re.escape(name.rstrip("()"))}'
                                   r'(?!\w)', text)]
        wrong += [f'{row[0]}: no test {name}' for name in names['test']
                  if not exists(top, name)]
    return wrong


def test_all_that_it_names_exists():
    readme = TOP / 'docs/parts.md'
    assert readme.is_file(), 'no docs/parts.md'
    wrong = complaints(TOP, readme.read_text())
    assert not wrong, '\n'.join(wrong)


FILES = {
    'hw/a.c': 'int adopt_width(void)\n',
    'series/hooks.patch': '+    adopt_hook();\n',
    'tests/lab/test_a.py': 'def test_plug(lab):\n',
    'tests/qtest/a-test.c': 'qtest_add_func("/host/width", f);\n'
                            'g_strdup_printf("%s/reset", prefix);\n',
}


@pytest.mark.parametrize('row, wrong', [
    ('| width | `hw/a.c` | `adopt_width` | - |', None),
    ('| width | `hw/a.c` | `adopt_width()` | - |', None),
    ('| width | - | - | - |', None),
    ('| width | `hw/a.c`, `series/hooks.patch` | `adopt_width`, `adopt_hook`'
     ' | `tests/lab/test_a.py::test_plug` |', None),
    ('| width | `hw/a.c` | - | `tests/qtest/a-test.c:/host/width` |', None),
    ('| width | `hw/a.c` | - | `tests/qtest/a-test.c:/x86/host/width` |',
     None),
    ('| width | `hw/a.c` | - | `tests/qtest/a-test.c:/host/reset` |', None),
    ('| width | `hw/b.c` | - | - |', 'no file hw/b.c'),
    ('| width | `hw` | - | - |', 'no file hw'),
    ('| width | `hw/a.c` | `adopt` | - |', 'no adopt in hw/a.c'),
    ('| width | `hw/a.c` | `adopt_hook` | - |', 'no adopt_hook in hw/a.c'),
    ('| width | - | `adopt_width` | - |', 'no adopt_width in '),
    ('| width | hw/a.c | - | - |', "file: no name in 'hw/a.c'"),
    ('| width | `hw/a.c` | - |', '3 cells, not 4'),
    ('| width | - | - | `tests/lab/test_a.py::test_plu` |',
     'no test tests/lab/test_a.py::test_plu'),
    ('| width | - | - | `tests/lab/test_b.py::test_plug` |',
     'no test tests/lab/test_b.py::test_plug'),
    ('| width | - | - | `tests/qtest/a-test.c:/host/wid` |',
     'no test tests/qtest/a-test.c:/host/wid'),
])
def test_a_row(tmp_path, row, wrong):
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    readme = (f'# A\n\n| x |\n\n## {SECTION}\n\nIn words.\n\n'
              '| part | file | function | test |\n|---|---|---|---|\n'
              f'{row}\n\n## Next\n\n| other | `hw/none.c` | - | - |\n')
    assert complaints(tmp_path, readme) == (
        [f'width: {wrong}'] if wrong else [])


@pytest.mark.parametrize('readme', [
    '# A\n', f'# {SECTION}\n', f'# {SECTION}\n\n| a | b |\n|---|---|\n',
    f'# {SECTION}\n\n| part | file | function | test |\n|---|---|---|---|\n',
])
def test_no_table_is_a_failure(tmp_path, readme):
    with pytest.raises(AssertionError):
        complaints(tmp_path, readme)
