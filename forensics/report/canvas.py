"""A sheet with a time axis: the few primitives that the drawings are made of.

Pieces of SVG are joined from our own literals, numbers, and texts that went through `escape.xml`.
Nothing carries a style attribute, so that the page's content security policy can forbid them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from forensics.report import times
from forensics.report.escape import visible, xml

WIDTH: Final = 1080.0
LEFT: Final = 226.0
RIGHT: Final = 22.0
CHARACTER: Final = 6.0
"""Width of an average character of the charts' text, in pixels, on the safe side."""

_STEPS: Final = (
    *(10**power * lead for power in range(9) for lead in (1, 2, 5)),
    *(times.SECOND * lead for lead in (1, 2, 5, 10, 15, 30)),
    *(times.MINUTE * lead for lead in (1, 2, 5, 10, 15, 30)),
    *(times.HOUR * lead for lead in (1, 2, 3, 6, 12)),
    *(times.DAY * lead for lead in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)),
)


class Tick(NamedTuple):
    """A mark of the time axis, with its label and, where the day changes, the date."""

    time: int
    label: str
    date: str


def ticks(start: int, end: int, most: int = 9) -> list[Tick]:
    """Give round instants between two times, at most so many."""
    step = next((step for step in _STEPS if (end - start) // step < most), _STEPS[-1])
    digits = next((d for d in (0, 3, 6, 9) if step % 10 ** (9 - d) == 0), 9)
    marks: list[Tick] = []
    known_day = ""
    time = -(-start // step) * step
    while time <= end and len(marks) <= most:
        day = times.day(time)
        label = day.rsplit(" ", 1)[0] if step >= times.DAY else times.clock(time, digits)
        if digits == 0 and step >= times.MINUTE and step < times.DAY:
            label = label[:5]
        marks.append(Tick(time, label, day if day != known_day else ""))
        known_day = day
        time += step
    return marks


def cut(text: str, pixels: float) -> str:
    """Shorten a text to so many pixels, in its middle: both ends of a name tell names apart."""
    text = visible(text)
    room = max(int(pixels / CHARACTER), 4)
    if len(text) <= room:
        return text
    head = room // 2
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"


def n(value: float) -> str:
    """Write a coordinate: one decimal, the same on every machine."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


class Canvas:
    """The pieces drawn so far, the time scale and the height.

    Args:
        name: part of every id in the drawing, so that several can stand in one page.
        start: time at the left edge of the plot, ns.
        end: time at its right edge, ns.
    """

    def __init__(self, name: str, start: int, end: int) -> None:
        if end <= start:  # a single instant still needs a width
            start, end = start - times.SECOND // 2, end + times.SECOND // 2
        self.name = name
        self.start = start
        self.end = end
        self.y = 0.0
        self.pieces: list[str] = []
        self.behind: list[str] = []

    def x(self, time: int) -> float:
        """Give the place of a time; times outside the window stand at its edge."""
        share = (time - self.start) / (self.end - self.start)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def text(self, x: float, y: float, text: str, kind: str = "", hint: str = "") -> None:
        """Write a text; `hint` is its unabridged form."""
        title = f"<title>{xml(hint)}</title>" if hint else ""
        of = f' class="{kind}"' if kind else ""
        self.pieces.append(f'<text x="{n(x)}" y="{n(y)}"{of}>{title}{xml(text)}</text>')

    def label(self, y: float, text: str, below: str = "") -> None:
        """Write the name of a lane into the left gutter, and a smaller line below it."""
        self.text(LEFT - 14, y, cut(text, LEFT - 24), "end", text)
        if below:
            self.text(LEFT - 14, y + 13, cut(below, (LEFT - 14) * 1.1), "small end", below)

    def heading(self, text: str, note: str = "") -> None:
        """Write the heading of a group of lanes over the full width."""
        self.y += 22
        self.text(0, self.y, text, "strong")
        if note:
            self.text(LEFT, self.y, note, "small")
        self.y += 8

    def box(
        self, left: float, top: float, width: float, height: float, kind: str, hint: str = ""
    ) -> None:
        """Draw a rectangle of at least one and a half pixels."""
        title = f"<title>{xml(hint)}</title>" if hint else ""
        self.pieces.append(
            f'<rect x="{n(left)}" y="{n(top)}" width="{n(max(width, 1.5))}" '
            f'height="{n(height)}" class="{kind}">{title}</rect>'
        )

    def hatched(self, left: float, top: float, width: float, height: float) -> None:
        """Draw a rectangle in the hatching that stands for bad."""
        self.pieces.append(
            f'<rect x="{n(left)}" y="{n(top)}" width="{n(max(width, 1.5))}" '
            f'height="{n(height)}" fill="url(#{self.name}-bad)"/>'
        )

    def bars(self, boxes: Iterable[tuple[float, float, float, float]], kind: str) -> None:
        """Draw many rectangles (left, top, width, height) as one path."""
        path = "".join(
            f"M{n(left)} {n(top)}h{n(width)}v{n(height)}h{n(-width)}z"
            for left, top, width, height in boxes
            if height > 0
        )
        if path:
            fill = f'fill="url(#{self.name}-bad)"' if kind == "hatch" else f'class="{kind}"'
            self.pieces.append(f'<path d="{path}" {fill}/>')

    def line(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """Draw a line through points."""
        path = "L".join(f"{n(x)} {n(y)}" for x, y in points)
        self.pieces.append(f'<path d="M{path}" class="{kind}"/>')

    def dot(self, x: float, y: float, hint: str) -> None:
        """Draw the mark of a good sighting: a ring."""
        self.pieces.append(
            f'<circle cx="{n(x)}" cy="{n(y)}" r="4" class="halo-good">'
            f"<title>{xml(hint)}</title></circle>"
        )

    def diamond(self, x: float, y: float, kind: str, hint: str) -> None:
        """Draw the mark of a bad sighting or of an act: a diamond."""
        self.pieces.append(
            f'<path d="M{n(x)} {n(y - 5)}l5 5l-5 5l-5 -5z" class="{kind}">'
            f"<title>{xml(hint)}</title></path>"
        )

    def svg(self, title: str, description: str, css: str = "") -> str:
        """Close the drawing: with its styles inside for a file, without for the page."""
        height = n(self.y)
        style = f"<style>{css}</style>" if css else ""
        # A file has a paper and a margin of its own; in the page the page has them.
        paper = (
            f'<rect class="paper" x="-20" y="-20" width="{n(WIDTH + 40)}" '
            f'height="{n(self.y + 40)}"/>'
            if css
            else ""
        )
        around = (
            f'width="{n(WIDTH + 40)}" height="{n(self.y + 40)}" '
            f'viewBox="-20 -20 {n(WIDTH + 40)} {n(self.y + 40)}"'
            if css
            else f'viewBox="0 0 {n(WIDTH)} {height}"'
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" {around} role="img" '
            f'data-from="{self.start // 1_000_000}" data-to="{-(-self.end // 1_000_000)}" '
            f'data-left="{n(LEFT)}" data-right="{n(WIDTH - RIGHT)}" data-bottom="{height}" '
            f'aria-labelledby="{self.name}-title {self.name}-desc">'
            f'<title id="{self.name}-title">{xml(title)}</title>'
            f'<desc id="{self.name}-desc">{xml(description)}</desc>{style}'
            f'<defs><pattern id="{self.name}-bad" width="5" height="5" '
            'patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<rect width="5" height="5" class="bad-soft"/>'
            '<rect width="2.5" height="5" class="bad"/></pattern></defs>'
            f"{paper}{''.join(self.behind)}{''.join(self.pieces)}</svg>"
        )
