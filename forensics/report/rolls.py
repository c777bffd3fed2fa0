"""The steps of a key roll, from the lives of a zone's keys and DS and of their signatures.

A key or DS that was there from the first sighting of its RRset to the last took no step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forensics.report import times
from forensics.report.account import Row
from forensics.report.canvas import cut

Span = tuple[int | None, int | None]


def span_of(key: Row, found: Sequence[Row], names: tuple[str, str]) -> Span:
    """Give the first and last time (ns) of all keys of a key's zone and type; None: not known."""
    own = [row for row in found if (row.get("zone"), row.get("type")) == _rrset(key)]
    firsts = [time for row in own if (time := times.parse(row.get(names[0]))) is not None]
    lasts = [time for row in own if (time := times.parse(row.get(names[1]))) is not None]
    return min(firsts, default=None), max(lasts, default=None)


def _rrset(key: Row) -> tuple[object, object]:
    return key.get("zone"), key.get("type")


def ends(
    key: Row, found: Sequence[Row], names: tuple[str, str], told: tuple[str, str]
) -> Iterator[tuple[int, str]]:
    """Give when a key came and went while others of its RRset were seen: (ns, what happened).

    Args:
        key: a row of `series.keys`.
        found: all of them.
        names: fields of the first and last time.
        told: what to say of each.
    """
    begin, end = span_of(key, found, names)
    first, last = times.parse(key.get(names[0])), times.parse(key.get(names[1]))
    name = f"{key.get('type', 'DNSKEY')} {key.get('tag', '?')}"
    if first is not None and begin is not None and first > begin:
        yield first, f"{name} {told[0]}"
    if last is not None and end is not None and last < end:
        yield last, f"{name} {told[1]}"


def steps(found: Sequence[Row]) -> Iterator[tuple[int, str, str]]:
    """Give the steps of all rolls as marks: (ns, kind, label)."""
    for key in found:
        zone = cut(str(key.get("zone", "?")), 120)
        for time, label in ends(key, found, ("first", "last"), ("first seen", "last seen")):
            yield time, "mark", f"{zone} {label}"
        signed = ("signed_first", "signed_last")
        same = [row for row in found if row.get("role") == key.get("role")]
        for time, label in ends(key, same, signed, ("signs", "last signature seen")):
            yield time, "mark", f"{zone} {label}"
