# SPDX-License-Identifier: GPL-2.0-or-later
"""The field that docs/devel/host-iommu-device.rst adds to the table of what a
host can limit compiles, with the lines and at the places that are shown."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
QEMU = Path(os.environ.get('BUILD_DIR', TOP / 'build')) / 'qemu'
TABLE = 'hw/i386/intel_iommu_host_caps.c'


def shown():
    """For each file of the example: (the line before, the lines added)."""
    text = (TOP / 'docs/devel/host-iommu-device.rst').read_text()
    edits = {}
    for line in re.findall(r'^  ((?:---|@@|\+).*)$', text, re.M):
        if line.startswith('--- '):
            place = edits.setdefault(line[4:], [])
        elif line.startswith('@@ '):
            place.append((line[3:], []))
        else:
            place[-1][1].append(line[1:])
    return edits


def edited(path, edits):
    lines = (QEMU / path).read_text().splitlines()
    for before, added in edits:
        assert lines.count(before) == 1, f'{path}: {before}'
        place = lines.index(before) + 1
        lines[place:place] = added
    return '\n'.join(lines) + '\n'


def compile_table(tmp_path):
    """Compiles the table with the edited files in the place of theirs."""
    commands = json.loads((QEMU / 'build/compile_commands.json').read_text())
    entry, = [entry for entry in commands if entry['file'].endswith(TABLE)]
    words = shlex.split(entry['command'])
    words[words.index('-o') + 1] = str(tmp_path / 'table.o')
    words[words.index(entry['file'])] = str(tmp_path / TABLE)
    for option in ('-MF', '-MQ'):
        words[words.index(option) + 1] = str(tmp_path / 'table.d')
    words[1:1] = ['-iquote', str(tmp_path / 'include'),
                  '-iquote', str(QEMU / 'hw/i386')]
    return subprocess.run(words, cwd=entry['directory'], text=True,
                          capture_output=True, check=False)


def test_as_shown(tmp_path):
    edits = shown()
    assert TABLE in edits and len(edits) == 2
    for path in edits:
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(edited(path, edits[path]))
    done = compile_table(tmp_path)
    assert not done.returncode, done.stderr
    assert b'page requests' in (tmp_path / 'table.o').read_bytes()


def test_a_row_without_its_bits_does_not_compile(tmp_path):
    """The edited header is the one that is taken."""
    edits = shown()
    (tmp_path / TABLE).parent.mkdir(parents=True)
    (tmp_path / TABLE).write_text(edited(TABLE, edits[TABLE]))
    assert 'PRS' in compile_table(tmp_path).stderr
