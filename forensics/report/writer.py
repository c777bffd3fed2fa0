"""Write a report into a folder: each file whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from forensics.report.charts import FIGURES
from forensics.report.files import write_whole
from forensics.report.html import render_html
from forensics.report.json import text_of
from forensics.report.markdown import render_markdown
from forensics.report.pictures import draw_all
from forensics.report.timesketch import render_timeline

Writer = Callable[[dict[str, Any], tuple[str, ...]], str]


def _as_json(report: dict[str, Any], _: tuple[str, ...]) -> str:
    """Give report.json."""
    return text_of(report)


def _as_html(report: dict[str, Any], _: tuple[str, ...]) -> str:
    """Give report.html."""
    return render_html(report)


def _as_timeline(report: dict[str, Any], _: tuple[str, ...]) -> str:
    """Give timeline.jsonl."""
    return render_timeline(report)


WRITERS: Final[tuple[tuple[str, Writer], ...]] = (
    ("report.json", _as_json),
    ("report.html", _as_html),
    ("report.md", render_markdown),
    ("timeline.jsonl", _as_timeline),
)
"""Each file of a report, and what gives its text from the report and the names of its figures."""


def write_report(report: dict[str, Any], folder: Path, *, figures: bool = True) -> list[Path]:
    """Write all files of the report, and give their paths in the order written.

    Args:
        report: the contents of report.json.
        folder: made if it is missing; files of other names in it are left alone.
        figures: draw `figures/*.svg` and `figures/*.png` as well, for report.md.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[str] = []
    written = []
    if figures:
        for name, paths in _draw(report, folder / "figures"):
            drawn.append(name)
            written += paths
    for name, writer in WRITERS:
        written.append(write_whole(folder / name, writer(report, tuple(drawn)).encode()))
    return written


def _draw(report: dict[str, Any], beside: Path) -> list[tuple[str, list[Path]]]:
    """Draw the figures that the report has something for; give their names and files."""
    found: list[tuple[str, list[Path]]] = []
    for name, _, draw in FIGURES:
        drawing, picture = (beside / f"{name}.{ending}" for ending in ("svg", "png"))
        svg = draw(report, standalone=True)
        if svg:
            beside.mkdir(exist_ok=True)
            found.append((name, [write_whole(drawing, svg.encode()), picture]))
        else:
            # A figure of an earlier report must not stand in for one that is not.
            drawing.unlink(missing_ok=True)
            picture.unlink(missing_ok=True)
    draw_all([files[0] for _, files in found])
    return found
