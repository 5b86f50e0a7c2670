# SPDX-License-Identifier: GPL-2.0-or-later
"""The consoles that our documents show."""

import re
from pathlib import Path
from typing import List

TOP = Path(__file__).resolve().parents[2]
MANUAL = TOP / 'docs/system/i386/host-iommu.rst'


def console_examples(document: Path) -> List[List[str]]:
    """The lines of each of @document's consoles, unindented."""
    found = re.findall(r'^\.\. code-block:: console\n\n((?:  .*\n)+)',
                       document.read_text(), re.M)
    return [[line[2:] for line in example.splitlines()] for example in found]
