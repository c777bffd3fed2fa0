"""What each resolver held: rows that the page and the Markdown file show alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from forensics.report import words
from forensics.report.account import Report, Row, part, rows

SHOWN: Final = 24
"""Rows shown of one zone; report.json has all."""

RECORDS: Final = {
    "dnskey": "key set (DNSKEY)",
    "ds": "DS",
    "denial": "denials",
    "data": "data",
}


class Held(NamedTuple):
    """What one resolver would have concluded of one class of records, by what it held.

    Attributes:
        resolver, zone, records: of whom, of which zone, which records.
        last_good, first_bad, last_bad, first_good: RFC 3339 text, None: not seen.
        why: reasons in words.
        refused, judged: how many RRsets it would have refused, of so many.
        keys: tags of the key set that decided at the first refusal, with where it was received.
        fetched, until: when that was received, and when it had run out; None: it held none.
        frame, capture: of what was received.
    """

    resolver: str
    zone: str
    records: str
    last_good: Any
    first_bad: Any
    last_bad: Any
    first_good: Any
    why: str
    refused: int
    judged: int
    keys: str
    fetched: Any
    until: Any
    frame: Any
    capture: str


def held(report: Report, zone: Any) -> tuple[Sequence[Held], int]:
    """Give the rows of one zone, at most `SHOWN`, and how many more there are."""
    return _told([row for row in rows(report.get("resolver_views")) if row.get("zone") == zone])


def elsewhere(report: Report) -> tuple[Sequence[Held], int]:
    """Give the rows of the zones of which no incident tells, at most `SHOWN`, and how many more."""
    known = {incident.get("zone") for incident in rows(report.get("incidents"))}
    found = [row for row in rows(report.get("resolver_views")) if row.get("zone") not in known]
    return _told(found)


def _told(found: Sequence[Row]) -> tuple[Sequence[Held], int]:
    return [_row(row) for row in found[:SHOWN]], max(len(found) - SHOWN, 0)


def _row(row: Row) -> Held:
    counts = {name: count for name, count in part(row, "counts").items() if isinstance(count, int)}
    by: Row = {}
    for run in rows(row.get("runs")):
        if run.get("status") == "bogus":
            by = part(run, "held")
            break
    return Held(
        resolver=str(row.get("resolver", "?")),
        zone=str(row.get("zone", "?")),
        records=RECORDS.get(str(row.get("records")), str(row.get("records", "?"))),
        last_good=row.get("last_good"),
        first_bad=row.get("first_bad"),
        last_bad=row.get("last_bad"),
        first_good=row.get("first_good"),
        why=", ".join(words.phrase(reason) for reason in part(row, "reasons")),
        refused=counts.get("bogus", 0),
        judged=sum(counts.values()),
        keys=", ".join(map(str, by.get("keys") or ())),
        fetched=by.get("fetched"),
        until=by.get("until"),
        frame=by.get("frame"),
        capture=str(by.get("capture") or ""),
    )
