# SPDX-License-Identifier: GPL-2.0-or-later
"""
A QMP connection with a timeout, over QEMU's own client.

Used for the QEMU that emulates the host and for those within it.
"""

import asyncio
import socket
import sys
import time
from typing import Any, Dict, List, Optional

from agent import LabError
from buildtree import BuildTree

sys.path.append(str(BuildTree.from_environment().qemu_python))

# pylint: disable=wrong-import-position
from qemu.qmp import ExecuteError, QMPError  # noqa: E402
from qemu.qmp.legacy import QEMUMonitorProtocol  # noqa: E402


class Monitor:
    """QMP over @channel, a connected socket that the monitor owns."""

    def __init__(self, name: str, channel: socket.socket,
                 timeout: float = 120) -> None:
        self._name = name
        self._channel = channel
        self._timeout = timeout
        self._qmp: Optional[QEMUMonitorProtocol] = None

    def connect(self) -> None:
        """Read the greeting and negotiate: QEMU is up when this returns."""
        self._channel.setblocking(False)
        self._qmp = QEMUMonitorProtocol(self._channel, nickname=self._name)
        self._qmp.settimeout(self._timeout)
        try:
            self._qmp.connect()
        except (QMPError, asyncio.TimeoutError, OSError) as error:
            raise LabError(f'{self._name}: no QMP: {error}') from error

    def cmd(self, command: str, **arguments: object) -> Any:
        """The return value of @command; ExecuteError when it fails."""
        assert self._qmp is not None
        try:
            return self._qmp.cmd(command, **arguments)
        except ExecuteError:
            raise
        except (QMPError, asyncio.TimeoutError, OSError) as error:
            raise LabError(f'{self._name}: QMP {command} was not answered: '
                           f'{error!r}') from error

    def wait(self, event: str, **data: object) -> Dict[str, Any]:
        """All that the next @event with @data carries; those before it are
        dropped."""
        assert self._qmp is not None
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                got = self._qmp.pull_event(
                    wait=max(deadline - time.monotonic(), 0.001))
            except (QMPError, asyncio.TimeoutError, OSError) as error:
                raise LabError(f'{self._name}: QMP event {event} {data} did '
                               f'not come: {error!r}') from error
            assert got is not None
            carried = got.get('data', {})
            if got['event'] == event and data.items() <= carried.items():
                return carried

    def events(self) -> List[Dict[str, Any]]:
        """Those that have come since the last time."""
        assert self._qmp is not None
        events = self._qmp.get_events()
        self._qmp.clear_events()
        return events

    def hmp(self, line: str) -> str:
        """What the human monitor prints for @line."""
        return self.cmd('human-monitor-command', **{'command-line': line})

    def close(self) -> None:
        """Close the connection, whether or not QEMU still answers."""
        if self._qmp is not None:
            try:
                self._qmp.close()
            except (QMPError, asyncio.TimeoutError, OSError, EOFError):
                pass
        self._channel.close()
