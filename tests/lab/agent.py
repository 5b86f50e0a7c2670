# SPDX-License-Identifier: GPL-2.0-or-later
"""
Run commands in a lab machine, host or guest.

The other end is the shell loop in init. A request is one line, a token
and a shell script in the escapes of printf's %b. The answer is what the
script prints, and then the token, its exit status and a newline. The token
is random, so that no output can look like an end.
"""

import re
import secrets
import socket
import time
from dataclasses import dataclass
from typing import Callable


class LabError(Exception):
    """The lab itself failed: the message says which machine and why."""


class CommandTimeout(LabError):
    """A command did not end in time; its machine answers no other."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    output: bytes

    @property
    def text(self) -> str:
        """The output, standard error included, less the last newline."""
        return self.output.decode(errors='replace').rstrip('\n')


class Agent:
    """Commands over @channel, a connected socket that the agent owns.

    @check_alive raises LabError when the machine is gone. It is asked
    while an answer is awaited, because a port of a machine that has died
    within another one does not read as ended; and it is asked with True
    when the channel has ended, so the machine is about to.
    """

    PATIENCE = 5.0      # seconds without a byte before check_alive is asked

    def __init__(self, name: str, channel: socket.socket,
                 check_alive: Callable[[bool], None]) -> None:
        self._name = name
        self._channel = channel
        self._check_alive = check_alive
        self._stuck = False

    def run(self, script: str, timeout: float = 300) -> Outcome:
        """Run @script with sh; CommandTimeout after @timeout seconds."""
        if self._stuck:
            raise CommandTimeout(f'{self._name}: an earlier command still '
                                 f'runs, not run: {script}')
        deadline = time.monotonic() + timeout
        token = secrets.token_hex(8)
        received = bytearray()
        self._stuck = True
        try:
            self._send(token, script, timeout)
            while not (end := re.search(token.encode() + rb' (\d+)\n$',
                                        received[-64:])):
                received += self._receive(deadline)
        except TimeoutError:
            raise CommandTimeout(
                f'{self._name}: no end within {timeout:.0f} s: {script}\n'
                f'{received.decode(errors="replace")}') from None
        self._stuck = False
        return Outcome(int(end[1]), bytes(received[:-len(end[0])]))

    def leave(self, script: str) -> None:
        """Run @script with sh, which ends this system before it can answer;
        the next command is for the system that comes."""
        self._send('-', script, self.PATIENCE)

    def _send(self, token: str, script: str, timeout: float) -> None:
        escaped = script.replace('\\', r'\\').replace('\n', r'\n')
        self._channel.settimeout(timeout)
        try:
            self._channel.sendall(f'{token} {escaped}\n'.encode())
        except ConnectionError:
            self._check_alive(True)
            raise LabError(f'{self._name}: its agent hung up') from None

    def _receive(self, deadline: float) -> bytes:
        """Some bytes, none when patience ended; TimeoutError when @deadline
        has passed."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._channel.settimeout(min(left, self.PATIENCE))
        try:
            data = self._channel.recv(1 << 16)
        except TimeoutError:
            self._check_alive(False)
            return b''
        except ConnectionError:
            data = b''
        if not data:
            self._check_alive(True)
            raise LabError(f'{self._name}: its agent hung up')
        return data

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()
