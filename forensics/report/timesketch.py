"""Render timeline.jsonl: one event a line, as Timesketch and every log pipeline import it.

Timesketch asks for `message`, `datetime` and `timestamp_desc`; the other fields are ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from forensics.report import times, words
from forensics.report.account import Report, part, rows
from forensics.report.escape import visible

_MOMENTS = (
    ("onset", "last_good", "last good answer before the fault"),
    ("onset", "first_bad", "first bad answer"),
    ("recovery", "last_bad", "last bad answer"),
    ("recovery", "first_good", "first good answer after the fault"),
)
"""The four instants of an incident's brackets."""


def render_timeline(report: Report) -> str:
    """Render every event of the report, and the brackets of each incident, in order of time.

    Texts are made visible (no control characters), and the file is ASCII: what a packet held runs
    in no terminal that shows it.
    """
    lines = [*_incidents(report), *_events(report)]
    lines.sort(key=lambda line: (line["timestamp_ns"], line["timestamp_desc"], line["message"]))
    return "".join(f"{json.dumps(line, ensure_ascii=True)}\n" for line in lines)


def _line(at: Any, what: str, message: str, **more: Any) -> Iterator[dict[str, Any]]:
    """Give the event, or nothing where it has no time."""
    time = times.parse(at)
    if time is None:
        return
    yield {
        "datetime": str(at),
        "timestamp": time // 1_000,
        "timestamp_ns": time,
        "timestamp_desc": visible(what),
        "message": visible(message),
        "data_type": "dns:forensics:event",
        **{
            name: visible(value) if isinstance(value, str) else value
            for name, value in more.items()
            if value is not None
        },
    }


def _incidents(report: Report) -> Iterator[dict[str, Any]]:
    """Tell the brackets of each incident."""
    for row in rows(report.get("incidents")):
        zone, reason = str(row.get("zone", "?")), str(row.get("reason", "?"))
        for bracket, field, told in _MOMENTS:
            yield from _line(
                part(row, bracket).get(field),
                f"incident {words.phrase(field)}",
                f"{zone} {words.phrase(reason)}: {told}",
                zone=zone,
                reason=reason,
                severity=row.get("severity"),
                confidence=row.get("confidence"),
                incident=row.get("id"),
            )
        for mitigation in rows(row.get("mitigations")):
            kind = words.phrase(mitigation.get("kind") or "mitigation")
            whose = mitigation.get("resolver")
            yield from _line(
                mitigation.get("at"),
                "mitigation",
                f"{zone} {kind}" + (f" at resolver {whose}" if whose else ""),
                zone=zone,
                place=whose,
                basis=mitigation.get("basis"),
                capture=mitigation.get("capture"),
                frame=mitigation.get("frame"),
                incident=row.get("id"),
            )


def _events(report: Report) -> Iterator[dict[str, Any]]:
    """Tell the events in the report's own list."""
    for row in rows(report.get("events")):
        yield from _line(
            row.get("at"),
            words.phrase(row.get("kind") or "event"),
            str(row.get("text") or ""),
            zone=row.get("zone"),
            place=row.get("place"),
            capture=row.get("capture"),
            frame=row.get("frame"),
        )
