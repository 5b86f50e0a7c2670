# SPDX-License-Identifier: GPL-2.0-or-later
"""
The two pictures, as SVG. The same numbers make the same bytes.
"""

from io import StringIO
from pathlib import Path
from typing import List

import matplotlib

matplotlib.use('svg')
# pylint: disable=wrong-import-position
from matplotlib import pyplot  # noqa: E402

from rows import Bar, Curve  # noqa: E402

# Text stays text, in whatever font the reader has.
pyplot.rcParams.update({
    'svg.hashsalt': 'bench', 'svg.fonttype': 'none', 'font.size': 10,
    'font.family': 'sans-serif', 'axes.spines.top': False,
    'axes.spines.right': False,
})
LICENCE = ('<!--', '  SPDX-License-Identifier: GPL-2.0-or-later', '-->')
COLOURS = ('#b03a2e', '#1f618d', '#9a9a9a', '#117a65')


def save(figure, path: Path) -> None:
    """Write @figure, without the time, as QEMU's repository wants a file."""
    drawn = StringIO()
    figure.tight_layout()
    figure.savefig(drawn, format='svg', metadata={'Date': None})
    pyplot.close(figure)
    head, *lines = drawn.getvalue().splitlines()
    path.write_text(''.join(f'{line.rstrip()}\n'
                            for line in (head, *LICENCE, *lines)))


def plot_invalidations(curves: List[Curve], path: Path) -> None:
    """What one costs, by how many devices have nothing to do with it."""
    figure, axes = pyplot.subplots(figsize=(6, 3.2))
    for curve, colour in zip(curves, COLOURS):
        devices, counts = zip(*curve.points)
        axes.plot(devices, [count / 1000 for count in counts], 'o-',
                  color=colour, markersize=4, label=curve.label)
    axes.set_xlabel('other assigned devices')
    axes.set_ylabel('thousand instructions')
    axes.set_title('One page-selective invalidation')
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    save(figure, path)


def plot_calls(bars: List[Bar], path: Path) -> None:
    """Calls of the host that reading a disk costs, stacked."""
    names = list(dict.fromkeys(name for bar in bars for name in bar.calls))
    figure, axes = pyplot.subplots(figsize=(6, 2.4))
    left = [0.0] * len(bars)
    labels = [bar.label for bar in bars]
    for name, colour in zip(names, COLOURS):
        widths = [bar.calls.get(name, 0) for bar in bars]
        axes.barh(labels, widths, left=left, color=colour, label=name)
        left = [a + b for a, b in zip(left, widths)]
    for at, total in enumerate(left):
        axes.annotate(f'{total:.0f}', (total, at), xytext=(4, 0),
                      textcoords='offset points', va='center')
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel('calls of the host per MiB read')
    axes.set_title('An NVMe disk, read in strict mode')
    axes.legend(frameon=False, loc='lower right')
    save(figure, path)
