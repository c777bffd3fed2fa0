"""Which frame shows what an incident says of a time: claims in the Markdown file carry it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from forensics.report import times
from forensics.report.account import Report, Row, part, rows
from forensics.report.escape import code

_BRACKETS = ("last_good", "first_bad", "last_bad", "first_good")


class Citations:
    """The frames of one incident by their times.

    Args:
        report: for its events, and whether a frame's capture must be named.
        incident: the one.
    """

    def __init__(self, report: Report, incident: Row) -> None:
        self._several = len(rows(report.get("captures"))) > 1
        self._frames: dict[str, tuple[int, str]] = {}
        for time, row in _sightings(report, incident):
            frame = row.get("frame")
            if isinstance(time, str) and isinstance(frame, int) and frame > 0:
                self._frames.setdefault(time, (frame, str(row.get("capture", "?"))))

    def frame(self, time: Any) -> str:
        """Give ` (frame 7)` in Markdown; nothing where no frame is known of that time."""
        found = self._frames.get(time) if isinstance(time, str) else None
        if found is None:
            return ""
        frame, capture = found
        return f" (frame {frame} of {code(capture)})" if self._several else f" (frame {frame})"

    def stamp(self, time: Any) -> str:
        """Give a time with its frame."""
        return f"{times.stamp(time)}{self.frame(time)}"

    def pair(self, before: tuple[str, Any], after: tuple[str, Any]) -> str:
        """Name the frames of both ends of a bracket: `; last good: frame 7, first bad: frame 9`."""
        told = [
            f"{name}: {found.strip(' ()')}"
            for name, time in (before, after)
            if (found := self.frame(time))
        ]
        return f"; {', '.join(told)}" if told else ""


def _sightings(report: Report, incident: Row) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Give (time, what names its capture and frame) of all that an incident cites."""
    for row in rows(incident.get("evidence")):
        yield row.get("time"), row
    for stratum in rows(incident.get("strata")):
        for name in _BRACKETS:
            held = part(stratum, name)
            yield held.get("time"), held
    for row in (*rows(incident.get("history")), *rows(incident.get("mitigations"))):
        yield row.get("at"), row
    for row in rows(report.get("events")):
        if row.get("zone") == incident.get("zone"):
            yield row.get("at"), row
