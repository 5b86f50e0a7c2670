#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Start a daemon and be the parent of all that it leaves behind:
reaper.py COMMAND...

COMMAND ends with status 0 once its daemon serves; then we say "ready". What
the daemon orphans becomes a child of ours, so it is reaped at once, which
libvirt waits for, and nothing outlives us: on SIGTERM, and when our own
parent dies, all of them are killed.
"""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Iterator

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SIGNALS = {signal.SIGCHLD, signal.SIGTERM}


def children() -> Iterator[int]:
    """The processes whose parent we are."""
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            # what follows the name, which may hold anything
            fields = (folder / 'stat').read_text().rpartition(')')[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            yield int(folder.name)


def reap() -> bool:
    """Forget children that have ended; False when there are none left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def main() -> None:
    """Serve until SIGTERM, or until the daemon and its children ended."""
    parent = os.getppid()
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    started = subprocess.run(sys.argv[1:], check=False)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    if started.returncode == 0 and os.getppid() == parent:
        print('ready', flush=True)
        while reap() and signal.sigwait(SIGNALS) == signal.SIGCHLD:
            pass
    # Who is killed may leave children, which become ours.
    while reap():
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        os.waitpid(-1, 0)


main()
