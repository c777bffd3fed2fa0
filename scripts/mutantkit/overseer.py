"""Watches over one worker: ends it when a mutant hangs or takes too much, and starts another.

A signal cannot stop what is inside a kernel or waits for a lock, so the clock is kept here,
outside.
"""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from forensics.limits import RESIDENT_OCTETS

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 10.0
"""Processor time that a mutant may take: on a busy machine the clock says nothing."""
WAITING = 60.0
"""Clock time in which it must have got some processor time: what waits for a lock gets none."""
WARMING = 1800.0
"""Clock time of the first mutant of a process, which may compile all kernels."""
MEMORY = RESIDENT_OCTETS
"""Resident memory that a process may need."""

Told = Callable[[dict[str, Any]], None]


class Overseer:
    """Runs mutants of these numbers in a process, and in another one when it dies.

    Args:
        words: the command line of a worker, to which the numbers are added.
        told: is called with what came of each mutant.
    """

    def __init__(self, words: Sequence[str], told: Told) -> None:
        self._words = list(words)
        self._told = told
        self._suspect: int | None = None

    def run(self, numbers: Sequence[int]) -> None:
        """Run them all."""
        left = list(numbers)
        while left:
            left = self._process(left)

    def _process(self, numbers: list[int]) -> list[int]:
        """Run a worker until its end, or until it dies; give the numbers that are left."""
        at, ended = 0, ""
        with subprocess.Popen(
            [*self._words, *_ranges(numbers)], stdout=subprocess.PIPE, bufsize=0
        ) as process:
            for told in _lines(process):
                if "peak" not in told:
                    continue
                at += 1
                if told["peak"] > MEMORY:
                    told["faults"].append(f"took {told['peak'] >> 20} MiB")
                    ended = "large"
                self._told(told)
                if ended:
                    break
            if process.poll() is None:
                ended = ended or "hung"
                process.kill()
            status = process.wait()
        left = numbers[at:]
        if ended == "large" or not left:
            return left
        if ended == "hung" and self._suspect != left[0]:
            # It may have waited for a kernel to be compiled: a new process warms up with it first.
            self._suspect = left[0]
            return left
        fault = f"the process ended with {status}"
        if ended == "hung":
            fault = f"took longer than {SECONDS:g} s"
        self._told({"number": left[0], "faults": [fault]})
        return left[1:]


def _ranges(numbers: Sequence[int]) -> list[str]:
    """Write ascending numbers short: 3-7 9."""
    words: list[list[int]] = []
    for number in numbers:
        if words and words[-1][1] == number - 1:
            words[-1][1] = number
        else:
            words.append([number, number])
    return [f"{first}-{last}" for first, last in words]


def _lines(process: "subprocess.Popen[bytes]") -> Iterator[dict[str, Any]]:
    """What a worker says; ends when it has ended, or has been silent for too long."""
    assert process.stdout is not None
    pending = b""
    phase, since, spent = "warming", time.monotonic(), 0.0
    moved, seen = since, spent
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not ready.select(0.5):
                now, used = time.monotonic(), _processor_time(process.pid)
                if used > seen:
                    moved, seen = now, used
                if now - moved < WAITING and (
                    now - since < WARMING if phase == "warming" else used - spent < SECONDS
                ):
                    continue
                return
            octets = os.read(process.stdout.fileno(), 1 << 16)
            if not octets:
                process.wait()
                return
            *lines, pending = (pending + octets).split(b"\n")
            for line in lines:
                if not line.startswith(b"{"):
                    continue
                told = json.loads(line)
                phase = "begun" if "begun" in told else "warming"
                since, spent = time.monotonic(), _processor_time(process.pid)
                moved, seen = since, spent
                yield told


def _processor_time(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def worker(*, shared: bool, seed: int) -> list[str]:
    """The command line of a worker."""
    words = [sys.executable, str(ROOT / "scripts" / "mutants"), "--seed", str(seed)]
    return [*words, *(["--shared"] if shared else []), "--worker"]
