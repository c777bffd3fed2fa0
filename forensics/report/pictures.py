"""The figures as pictures: each SVG file drawn as a PNG beside it, some of them by a process more.

The library that draws holds the interpreter's lock, so that threads would wait for each other.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from forensics import beside
from forensics.report.files import write_whole
from forensics.report.png import denser

PIXELS: Final = 1.5
"""Pixels of a PNG for each unit of the drawing: sharp on common displays, still fast to make."""

_CODE: Final = "from forensics.report.pictures import serve; serve()"


def draw(figure: Path) -> Path:
    """Draw an SVG file as a PNG beside it; give its path."""
    from vl_convert import svg_to_png

    picture = svg_to_png(figure.read_text(encoding="utf-8"), scale=PIXELS)
    return write_whole(figure.with_suffix(".png"), denser(bytes(picture)))


def draw_all(figures: Sequence[Path]) -> None:
    """Draw SVG files, where there is a processor for it a part of them in a process of its own.

    A picture is the same whoever draws it.
    """
    alone = len(figures) < 2 or not sys.executable or (os.cpu_count() or 1) < 2
    own, others = (list(figures), []) if alone else _halves(figures)
    helper = _started(others)
    try:
        for figure in own:
            draw(figure)
        done = helper is not None and helper.wait() == 0
    finally:
        if helper is not None:
            helper.kill()
            helper.wait()
    if not done:
        for figure in others:
            draw(figure)


def _halves(figures: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Share figures out by their length: the greater half first, as a process has to start first.

    The order in which they are given decides where lengths are equal.
    """
    shares: tuple[list[Path], list[Path]] = ([], [])
    sizes = [0, 0]
    for size, figure in sorted(
        ((figure.stat().st_size, figure) for figure in figures), key=lambda row: -row[0]
    ):
        least = sizes.index(min(sizes))
        sizes[least] += size
        shares[least].append(figure)
    return shares if sizes[0] >= sizes[1] else (shares[1], shares[0])


def _started(figures: Sequence[Path]) -> subprocess.Popen[bytes] | None:
    """Start a process that draws these; None: none is needed, or none can be started."""
    if not figures:
        return None
    try:
        return subprocess.Popen(  # noqa: S603  this very Python
            [*beside.command(_CODE), *(str(figure.resolve()) for figure in figures)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=beside.environment(),
        )
    except OSError:
        return None


def serve() -> None:
    """Draw the files that the command line names: what runs in the process beside."""
    for name in sys.argv[1:]:
        draw(Path(name))
