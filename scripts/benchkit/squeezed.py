"""Time a program on a capture as zstd beside decompressing alone and the plain capture, in turn."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchkit.measure import Usage, run, typical

MOST = 1.3
"""What zstd input may take of the sum of `zstd -dc | cat` and the plain run."""

Measure = Callable[[Path], Usage]
"""Runs the program once on a capture."""


@dataclass(frozen=True)
class Squeezed:
    """Medians of the runs, seconds of whole processes.

    Attributes:
        plain: the program on the plain capture.
        squeezed: the program on the same as zstd.
        pipe: `zstd -dc CAPTURE | cat`, with its output thrown away.
        octets: of the capture as zstd.
    """

    plain: float
    squeezed: float
    pipe: float
    octets: int

    @property
    def ratio(self) -> float:
        """The time for zstd over that of decompressing alone and the plain run together."""
        return self.squeezed / (self.pipe + self.plain)


def compare(measure: Measure, plain: Path, work: Path, runs: int) -> Squeezed | None:
    """Run the program in turn on both forms of a capture, and the pipe; None: there is no zstd."""
    if shutil.which("zstd") is None:
        print("bench: zstd is not installed: --zstd is left out", file=sys.stderr)
        return None
    packed = work / f"{plain.name}.zst"
    output, errors = work / "zstd-output", work / "zstd-errors"
    run(["zstd", "-q", "-f", str(plain), "-o", str(packed)], output, errors)
    script = 'zstd -dc "$1" | cat > /dev/null'
    costs: tuple[list[Usage], list[Usage], list[Usage]] = ([], [], [])
    try:
        measure(packed)
        for _ in range(runs):
            costs[0].append(measure(plain))
            costs[1].append(measure(packed))
            costs[2].append(run(["sh", "-c", script, "sh", str(packed)], output, errors))
        octets = packed.stat().st_size
    finally:
        for path in (packed, output, errors):
            path.unlink(missing_ok=True)
    walls = [typical(usages).wall for usages in costs]
    return Squeezed(*walls, octets)


def say(name: str, found: Squeezed) -> None:
    """Print the three times and their ratio."""
    verdict = "within" if found.ratio <= MOST else "beyond"
    print(
        f"{name} of zstd ({found.octets:,} octets): {found.squeezed:.2f} s; zstd -dc | cat "
        f"{found.pipe:.2f} s and plain {found.plain:.2f} s: {found.ratio:.2f}x of their sum, "
        f"{verdict} {MOST}x"
    )
