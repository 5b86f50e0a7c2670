# SPDX-License-Identifier: GPL-2.0-or-later
"""
Artifacts: files that are slow to make, made once and kept.

An artifact carries a digest of what it was made from. It is made again
when the digest differs, under another name that is renamed at the end, so
that an interruption at any moment leaves either the old file or the new.

Used by build-kernel, build-image, and tests with an image of their own.
"""

import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence, Tuple

from buildtree import BuildTree

PR_SET_PDEATHSIG = 1


class BuildError(Exception):
    """One sentence that says why an artifact cannot be made."""


def die_with_parent(signum: int = signal.SIGTERM) -> Callable[[], None]:
    """What a child runs before exec, so that none outlives its parent."""
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signum)


def digest(*inputs: object) -> str:
    """Digest of @inputs: the content of Paths, the text of all else."""
    total = hashlib.sha256()
    for item in inputs:
        if isinstance(item, Path):
            with item.open('rb') as stream:
                part = hashlib.sha256()
                while chunk := stream.read(1 << 20):
                    part.update(chunk)
            total.update(part.digest())
        else:
            total.update(hashlib.sha256(str(item).encode()).digest())
    return total.hexdigest()


def fingerprint(path: Path) -> str:
    """Size and time of @path: for files too large to read each time."""
    status = path.stat()
    return f'{path} {status.st_size} {status.st_mtime_ns}'


def stamp_of(path: Path) -> Path:
    """The file that holds the digest of artifact @path."""
    return path.with_name(path.name + '.stamp')


def is_current(path: Path, stamp: str) -> bool:
    """Was @path made from inputs whose digest is @stamp?"""
    return path.exists() and stamp_of(path).exists() \
        and stamp_of(path).read_text() == stamp


@contextmanager
def replacing(path: Path, stamp: str) -> Iterator[Path]:
    """Yield a name to write; when the block ends well it becomes @path.

    The old stamp goes first and the new one comes last: a stamp never
    stands beside a file that it does not describe.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + '.part')
    draft.unlink(missing_ok=True)
    yield draft
    stamp_of(path).unlink(missing_ok=True)
    draft.replace(path)
    stamp_draft = path.with_name(path.name + '.stamp.part')
    stamp_draft.write_text(stamp)
    stamp_draft.replace(stamp_of(path))


@contextmanager
def sole_builder(folder: Path) -> Iterator[None]:
    """Hold @folder's lock; a second builder waits for the first."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """Tell the user what goes on."""
    print(f'  LAB     {text}', flush=True)


def run_step(what: str, command: Sequence[object], cwd: Path, log: Path,
             every: int = 0) -> None:
    """Run @command in @cwd with its output in @log, or raise BuildError.

    With @every, say how many lines it has written each @every lines.
    """
    lines = 0
    start = time.monotonic()
    with log.open('a') as stream, subprocess.Popen(
            [str(word) for word in command], cwd=cwd, text=True,
            errors='replace', stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent()) as child:
        try:
            for line in child.stdout:
                stream.write(line)
                lines += 1
                if every and lines % every == 0:
                    say(f'{what}: {lines} steps, '
                        f'{time.monotonic() - start:.0f} s')
        except BaseException:
            child.terminate()
            raise
    if child.returncode:
        with log.open(errors='replace') as stream:
            tail = stream.readlines()[-15:]
        sys.stderr.write(''.join(tail))
        raise BuildError(f'{what} failed; the whole output is in {log}')


def main(build: Callable[[BuildTree], None]) -> None:
    """Run @build on the directory named in argv, and its Linux; one sentence
    on errors."""
    if len(sys.argv) not in (2, 3):
        sys.exit(f'usage: {Path(sys.argv[0]).name} BUILD-DIRECTORY [LINUX]')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        build(BuildTree.from_environment(*sys.argv[2:],
                                         top=Path(sys.argv[1])))
    except (BuildError, OSError) as error:
        sys.exit(f'{Path(sys.argv[0]).name}: {error}')
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def find_program(name: str) -> Optional[Path]:
    """Where program @name is, an administrator's included."""
    places = os.environ.get('PATH', os.defpath) + ':/usr/sbin:/sbin'
    found = shutil.which(name, path=places)
    return Path(found) if found else None


def program_file(name: str, package: str) -> Path:
    """Where program @name is; BuildError names Debian's @package."""
    found = find_program(name)
    if not found:
        raise BuildError(f'{name} is missing: install package {package}')
    return found


def shared_libraries(binary: Path, run: Sequence[str] = ()
                     ) -> Tuple[Path, ...]:
    """Paths of the libraries that the loader gives @binary, where a command
    is run by @run."""
    found = []
    output = subprocess.run([*run, 'ldd', str(binary)], text=True,
                            check=False, capture_output=True)
    if output.returncode:
        raise BuildError(f'ldd {binary}: {output.stderr.strip()}')
    for line in output.stdout.splitlines():
        if 'not found' in line:
            raise BuildError(f'{binary} needs {line.strip()}')
        found += [Path(word) for word in line.split()
                  if word.startswith('/')]
    return tuple(found)


def stripped(binary: Path, folder: Path) -> bytes:
    """The content of @binary without debug information, made in @folder:
    nine tenths of what the host would have to load."""
    copy = folder / 'stripped.part'
    outcome = subprocess.run(['strip', '-o', str(copy), str(binary)],
                             text=True, capture_output=True, check=False)
    if outcome.returncode:
        raise BuildError(f'strip {binary}: {outcome.stderr.strip()}')
    content = copy.read_bytes()
    copy.unlink()
    return content
