# SPDX-License-Identifier: GPL-2.0-or-later
"""
A program in a lab machine that is told what to do, step by step, on its
standard input: nesting.c, domain.c and function.c.

    with Steps(machine, command) as program:
        answer, = program.step('peek', 0)       # OSError when refused
"""

import os
import shlex
from typing import List, Type, TypeVar, Union

from agent import LabError
from guest import Guest
from host import Host

FOLDER = '/run/steps'
PATIENCE = 120              # seconds for a step

Self = TypeVar('Self', bound='Steps')


class Steps:
    """What the shell's @command starts in @machine. One at a time."""

    def __init__(self, machine: Union[Host, Guest], command: str) -> None:
        self._machine = machine
        self._command = command.strip()

    def _check(self, script: str, timeout: float = 300) -> str:
        outcome = self._machine.run(script, timeout)
        if outcome.code:
            raise LabError(f'{self._machine.name}: status {outcome.code} of '
                           f'{script}\n{outcome.text}')
        return outcome.text

    def __enter__(self: Self) -> Self:
        # Both pipes stay open at both ends, so nobody waits in open.
        self._check(f'''
            mkdir -p {FOLDER} && cd {FOLDER} || exit
            rm -f * && mkfifo in out || exit
            {self._command} 0<>in 1<>out 2>errors &
            echo $! >pid''')
        self.answers(1)
        return self

    def begin(self, *lines: str) -> None:
        """Have steps taken; answers() is for what they answer."""
        self._check(f"cd {FOLDER} && kill -0 $(cat pid) && "
                    f"printf '%s\\n' {shlex.join(lines)} >in")

    def answers(self, count: int, patience: int = PATIENCE
                ) -> List[List[int]]:
        """What @count steps answer, each within @patience seconds; all are
        taken, and then OSError tells the first that was refused."""
        # A step that waits for ever would make the machine's agent wait too.
        answers = self._check(f'''
            cd {FOLDER} && i=0 &&
            while [ $((i += 1)) -le {count} ]; do
                read -r -t {patience} answer && echo "$answer" || exit
            done <>out''', 2 * patience).splitlines()
        for answer in answers:
            if not answer.startswith('ok'):
                number = int(answer.split()[1])
                raise OSError(number, os.strerror(number))
        return [[int(word, 0) for word in answer.split()[1:]]
                for answer in answers]

    def steps(self, *lines: str, patience: int = PATIENCE
              ) -> List[List[int]]:
        """Take several steps and return what they answer: see answers()."""
        self.begin(*lines)
        return self.answers(len(lines), patience)

    def step(self, name: str, *numbers: int) -> List[int]:
        """Take the step @name; OSError when it is refused."""
        return self.steps(' '.join([name, *map(hex, numbers)]))[0]

    def errors(self) -> str:
        """What the program has said on standard error."""
        return self._check(f'cat {FOLDER}/errors')

    def __exit__(self, error: Type[BaseException], *_: object) -> None:
        if error is None:
            self._check(f'''
                cd {FOLDER} && pid=$(cat pid) && kill $pid &&
                while kill -0 $pid 2>/dev/null; do usleep 10000; done''')
        else:
            self._machine.run(f'kill -9 $(cat {FOLDER}/pid)')
