# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the modules under test are."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'bench'))
