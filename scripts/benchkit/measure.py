"""Time a whole process: wall clock, processor time and peak memory."""

import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

KIB = 1_024
"""Octets in the unit of `ru_maxrss` on Linux."""
LOG_TAIL = 2_000
"""Octets of a failed program's output that are shown."""


class ProgramFailed(Exception):
    """A measured program could not be started or ended with a status other than 0."""


@dataclass(frozen=True)
class Usage:
    """What one process cost."""

    wall: float
    """Seconds from start to end."""
    cpu: float
    """Seconds of user and system time, with all children that the process waited for."""
    peak: int
    """Octets of resident memory at the peak, of the largest single process."""


def run(
    command: list[str], output: Path, errors: Path, source: Sequence[str] | None = None
) -> Usage:
    """Run a command with its output in files and return what it cost.

    What the command `source` writes, if there is one, is its standard input. The caller must stay
    small: the kernel counts the memory of the process that forked as the first peak of its child.
    Raises ProgramFailed.
    """
    feeder = None
    entrance: tuple[object, ...] = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    if source is not None:
        feeder = subprocess.Popen(source, stdout=subprocess.PIPE)
        assert feeder.stdout is not None
        entrance = (os.POSIX_SPAWN_DUP2, feeder.stdout.fileno(), 0)
    actions = [
        entrance,
        (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_OPEN, 2, str(errors), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
    ]
    began = time.perf_counter()
    try:
        child = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    except OSError as error:
        raise ProgramFailed(f"{shlex.join(command)}: {error.strerror}") from error
    if feeder is not None and feeder.stdout is not None:
        feeder.stdout.close()
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - began
    if feeder is not None and feeder.wait() != 0:
        raise ProgramFailed(f"{shlex.join(source or ())}: exit status {feeder.returncode}")
    if os.waitstatus_to_exitcode(status) != 0:
        tail = errors.read_bytes()[-LOG_TAIL:].decode(errors="replace")
        code = os.waitstatus_to_exitcode(status)
        raise ProgramFailed(f"{shlex.join(command)}: exit status {code}\n{tail}")
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KIB)


def typical(usages: Sequence[Usage]) -> Usage:
    """Return the median of the times and the largest of the peaks."""
    return Usage(
        median(usage.wall for usage in usages),
        median(usage.cpu for usage in usages),
        max(usage.peak for usage in usages),
    )
