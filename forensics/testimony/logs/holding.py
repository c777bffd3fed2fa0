"""Hold what resolvers logged against the incidents: agreement, mitigations, and when they began.

A log is a claim of its resolver, as an extended error is: shown, and never made a verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from forensics import limits
from forensics.knowledge import is_subdomain
from forensics.testimony.logs.entry import FAILURE, NTA_ADDED, STALE, Entry
from forensics.testimony.logs.reading import Log
from forensics.testimony.responses import AFTERMATH, read_time, time_text

EARLY: Final = 5 * limits.SECOND
"""A log's clock may lag behind the recorder's by so much and still speak of the same failure."""

WORDS: Final = 5
"""Kinds of words that are quoted from a log for one incident."""


MITIGATIONS: Final = {NTA_ADDED: "negative-trust-anchor", STALE: "serve-stale"}
"""What an entry shows its resolver to have done, by its kind."""


@dataclass(slots=True)
class _Held:
    """The failures of one log that one incident explains, or that none does."""

    count: int = 0
    first: int | None = None
    last: int | None = None
    words: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)

    def add(self, time: int | None, entry: Entry) -> None:
        """Count an entry."""
        self.count += 1
        self.words[entry.words] += 1
        if len(self.names) < limits.LOG_NAMES or entry.name in self.names:
            self.names[entry.name] += 1
        if time is not None:
            self.first = time if self.first is None else min(self.first, time)
            self.last = time if self.last is None else max(self.last, time)


def hold(logs: Sequence[Log], incidents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Hold logs against incidents, and add to each incident what they say of it.

    An entry belongs to the deepest incident whose zone holds its name and whose time, a day of
    aftermath included, holds its own; one without a time, to the deepest whose zone holds its name.

    Args:
        logs: as read.
        incidents: rows of report.json; they get `testimony`, and mitigations of basis `log`.

    Returns:
        logs: a row a file; agree, disagree: how many failures an incident explains or none does;
        cases: those that none does, a row a file.
    """
    ordered = sorted(incidents, key=lambda row: -len(str(row["zone"])))
    windows = [
        (
            row,
            read_time(row["onset"]["last_good"], read_time(row["onset"]["first_bad"], 0)) - EARLY,
            read_time(row["recovery"]["first_good"], 2**62 - AFTERMATH) + AFTERMATH,
        )
        for row in ordered
    ]
    told, cases = [], []
    agree = disagree = 0
    for log in logs:
        by_incident: dict[str, _Held] = {}
        alone = _Held()
        for time, entry in log.entries:
            row = _explained(time, entry, windows)
            if entry.kind != FAILURE:
                if row is not None and time is not None and entry.kind in MITIGATIONS:
                    _mitigate(row, log, time, entry.kind)
                continue
            held = alone if row is None else by_incident.setdefault(row["id"], _Held())
            held.add(time, entry)
        for row in incidents:
            if row["id"] in by_incident:
                row.setdefault("testimony", []).append(_row(log, by_incident[row["id"]]))
        agree += sum(held.count for held in by_incident.values())
        disagree += alone.count
        if alone.count:
            cases.append(_case(log, alone))
        told.append(_log_row(log, by_incident, alone))
    for row in incidents:
        row["mitigations"].sort(key=lambda one: (one["at"], one["kind"], one["resolver"] or ""))
    return {"logs": told, "agree": agree, "disagree": disagree, "cases": cases}


def _explained(
    time: int | None, entry: Entry, windows: Sequence[tuple[dict[str, Any], int, int]]
) -> dict[str, Any] | None:
    """Give the incident that an entry speaks of."""
    for row, begin, end in windows:
        if is_subdomain(entry.name, str(row["zone"])) and (time is None or begin <= time <= end):
            return row
    return None


def _mitigate(row: dict[str, Any], log: Log, time: int, entry: str) -> None:
    """Note a negative trust anchor, or stale data served while it lasted; each once a log."""
    kind = MITIGATIONS[entry]
    begun = read_time(row["onset"]["first_bad"], 0) - EARLY
    ended = read_time(row["recovery"]["first_good"], 2**62) + EARLY
    if entry == STALE and not begun <= time <= ended:
        return
    known = any(one["kind"] == kind and one["resolver"] == log.path for one in row["mitigations"])
    if not known:
        row["mitigations"].append(
            {
                "kind": kind,
                "resolver": log.path,
                "at": time_text(time),
                "basis": "log",
            }
        )


def _row(log: Log, held: _Held) -> dict[str, Any]:
    """What a log says of one incident."""
    return {
        "log": log.path,
        "format": log.format,
        "failures": held.count,
        "first": None if held.first is None else time_text(held.first),
        "last": None if held.last is None else time_text(held.last),
        "words": _most(held.words, WORDS),
    }


def _case(log: Log, alone: _Held) -> dict[str, Any]:
    """The failures that no incident explains, as a case of disagreement."""
    return {
        "resolver": log.path,
        "zone": None,
        "kind": "logged-alone",
        "count": alone.count,
        "first": None if alone.first is None else time_text(alone.first),
        "last": None if alone.last is None else time_text(alone.last),
        "ede": {},
        "claim": f"logged a validation failure, most often of {_most(alone.names, 1)[0]['text']}",
        "verdict": "no bad data captured",
        "likely_cause": "what the resolver saw was not captured, or it alone is at fault: its "
        "clock, its limits, old data, or an old trust anchor",
    }


def _log_row(log: Log, by_incident: Mapping[str, _Held], alone: _Held) -> dict[str, Any]:
    """One row of the report's list of logs."""
    times = [time for time, _ in log.entries if time is not None]
    return {
        "path": log.path,
        "format": log.format or None,
        "lines": log.lines,
        "failures": sum(held.count for held in by_incident.values()) + alone.count,
        "untimed": log.untimed,
        "left_out": log.left_out,
        "first": time_text(min(times)) if times else None,
        "last": time_text(max(times)) if times else None,
    }


def _most(counted: Counter[str], number: int) -> list[dict[str, Any]]:
    """The most frequent texts; the same order each time."""
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [{"text": text, "count": count} for text, count in ordered[:number]]
