# SPDX-License-Identifier: GPL-2.0-or-later
"""
Compiles the lab's own programs.
"""

import subprocess
from pathlib import Path
from typing import List

from artifact import BuildError
from buildtree import BuildTree

# Of a guest's kernel that is a program alone, without what an OS gives it
BARE = ['-m32', '-ffreestanding', '-nostdlib', '-static', '-s', '-mno-sse',
        '-fno-pic', '-fno-stack-protector', '-fcf-protection=none',
        '-fno-asynchronous-unwind-tables', '-Wl,--build-id=none',
        '-Wl,-Ttext=0x100000']


def compiled(sources: List[Path], tree: BuildTree, *options: str) -> bytes:
    """What @sources make with @options: a program, or a shared library,
    that needs libc alone."""
    binary = tree.lab / 'binary.part'
    outcome = subprocess.run(
        ['cc', *options, '-O2', '-Wall', '-Werror',
         '-isystem', str(tree.linux_headers), '-o', str(binary),
         *map(str, sources)], text=True, capture_output=True, check=False)
    if outcome.returncode:
        raise BuildError(f'cc {sources[0]}: {outcome.stderr.strip()}')
    content = binary.read_bytes()
    binary.unlink()
    return content
