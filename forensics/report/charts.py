"""The drawings: lanes over one time axis, made here and the same in page, file and print."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from forensics.report import keylane, lanes, times
from forensics.report.account import Report, gravest_first, part, rows, window
from forensics.report.canvas import LEFT, RIGHT, WIDTH, Canvas, ticks
from forensics.report.palette import CHART_CSS, LIGHT, fixed

Lane = Callable[[Canvas, Report], bool]


def timeline(report: Report, *, standalone: bool = False) -> str:
    """Draw everything over time: lookups, verdicts, servers, keys, acts. Empty without data."""
    parts = (
        lanes.acts, lanes.lookups, lanes.verdicts, lanes.zones, lanes.servers, keylane.keys,
    )  # fmt: skip
    return _draw(report, "timeline", "What happened, over time", parts, standalone)


def lookups(report: Report, *, standalone: bool = False) -> str:
    """Draw the lookups answered and failed over time."""
    title = "Lookups answered and failed over time"
    return _draw(report, "lookups", title, (lanes.lookups,), standalone)


def verdicts(report: Report, *, standalone: bool = False) -> str:
    """Draw the judged sightings by status over time."""
    title = "Verdicts over time"
    return _draw(report, "verdicts", title, (lanes.verdicts,), standalone)


def servers(report: Report, *, standalone: bool = False) -> str:
    """Draw each server's good and bad sightings with its brackets."""
    title = "Good and bad sightings by server"
    return _draw(report, "servers", title, (lanes.zones, lanes.servers), standalone)


def keys(report: Report, *, standalone: bool = False) -> str:
    """Draw the life of each key and DS as it was seen."""
    title = "Keys and delegation signers as seen"
    return _draw(report, "keys", title, (lanes.acts, keylane.keys), standalone)


FIGURES: Final = (
    ("timeline", "What happened, over time", timeline),
    ("lookups", "Lookups answered and failed over time", lookups),
    ("verdicts", "Verdicts over time", verdicts),
    ("servers", "Good and bad sightings by server", servers),
    ("keys", "Keys and delegation signers as seen", keys),
)
"""Name of the file, caption, drawing."""


def _draw(report: Report, name: str, title: str, parts: tuple[Lane, ...], standalone: bool) -> str:
    """Put the lanes below each other, and the time axis under them."""
    covered = _extent(report)
    if covered is None:
        return ""
    canvas = Canvas(name, *covered)
    _legend(canvas)
    top = canvas.y
    drawn = [lane(canvas, report) for lane in parts]
    if not any(drawn):
        return ""
    _axis(canvas, top)
    _bands(canvas, report, top)
    css = fixed(CHART_CSS, LIGHT) if standalone else ""
    return canvas.svg(title, f"{title}. {times.span(*covered)}. {_described(report)}", css)


def _described(report: Report) -> str:
    """Describe the drawing for those who do not see it."""
    incidents = gravest_first(report)
    if not incidents:
        return "No incident."
    texts = []
    for incident in incidents[: lanes.INCIDENTS_DRAWN]:
        onset, recovery = part(incident, "onset"), part(incident, "recovery")
        ended = times.stamp(recovery.get("first_good"))
        texts.append(
            f"{incident.get('zone', '?')} bad from {times.stamp(onset.get('first_bad'))} UTC"
            + (", no recovery seen." if ended == times.NONE else f", good again {ended} UTC.")
        )
    return " ".join(texts)


def _extent(report: Report) -> tuple[int, int] | None:
    """Give the time that the drawing covers: the report's window, else what is in it."""
    covered = window(report)
    if covered is not None:
        return covered
    known = []
    for incident in rows(report.get("incidents")):
        for bracket in (part(incident, "onset"), part(incident, "recovery")):
            known += [time for text in bracket.values() if (time := times.parse(text)) is not None]
    return (min(known), max(known)) if known else None


def _legend(canvas: Canvas) -> None:
    """Explain the signs, once, at the top right."""
    canvas.y = 14
    x = LEFT
    canvas.box(x, 5, 16, 9, "good")
    canvas.text(x + 21, 14, "good, answered")
    canvas.hatched(x + 118, 5, 16, 9)
    canvas.text(x + 139, 14, "bad, failed")
    canvas.dot(x + 222, 9.5, "good sighting")
    canvas.text(x + 232, 14, "last / first good")
    canvas.diamond(x + 336, 9.5, "bad", "bad sighting")
    canvas.text(x + 346, 14, "first / last bad")
    canvas.diamond(x + 446, 9.5, "mark", "act")
    canvas.text(x + 456, 14, "what was done")
    canvas.text(WIDTH - RIGHT, 14, "all times UTC", "small end")
    canvas.y = 24


def _axis(canvas: Canvas, top: float) -> None:
    """Draw the time axis under the lanes, with the grid behind them."""
    bottom = canvas.y + 8
    for tick in ticks(canvas.start, canvas.end):
        x = canvas.x(tick.time)
        canvas.behind.append(f'<path d="M{x:.1f} {top:.1f}V{bottom:.1f}" class="grid"/>')
        canvas.text(x, bottom + 16, tick.label, "middle")
        if tick.date:
            canvas.text(x, bottom + 30, f"{tick.date}, UTC", "small middle")
    canvas.line(((LEFT, bottom), (WIDTH - RIGHT, bottom)), "axis")
    canvas.y = bottom + 38


def _bands(canvas: Canvas, report: Report, top: float) -> None:
    """Tint the time in which the gravest incident is certain, behind all lanes."""
    bottom = canvas.y - 38
    for incident in gravest_first(report)[:1]:
        onset, recovery = part(incident, "onset"), part(incident, "recovery")
        start = times.parse(onset.get("first_bad"))
        end = times.parse(recovery.get("last_bad"))
        if start is None:
            continue
        left = canvas.x(start)
        right = canvas.x(canvas.end if end is None else end)
        canvas.behind.insert(
            0,
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(right - left, 1.5):.1f}" '
            f'height="{bottom - top:.1f}" class="bad-soft" opacity="0.45"/>',
        )
