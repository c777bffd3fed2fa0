"""What lets the page's tables follow its time brush: counts by bin, as attributes of their cells.

An attribute is `data-over="bin,count,bin,count"`; of distinct things `data-distinct="bin,number"`.
A cell gets one only where its counts add up to what it says of the whole time, so that the page
cannot contradict itself. Nothing but digits and commas is ever in them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from forensics.report import times
from forensics.report.account import Report, Row, part, rows

_DISTINCT = ("names", "clients")


class Following:
    """The attributes of a report's cells; empty strings where its series hold nothing."""

    def __init__(self, report: Report) -> None:
        self._series = part(report, "series")
        self._over = part(self._series, "over")
        seconds = self._over.get("seconds")
        start = times.parse(self._series.get("start"))
        self.step = seconds if isinstance(seconds, int | float) and seconds > 0 else 0
        self.start = start if start is not None and self.step else None
        self._impact = {row.get("incident"): row for row in rows(self._over.get("impact"))}
        self._resolvers = {
            (row.get("incident"), row.get("address"), row.get("identity")): row
            for row in rows(self._over.get("resolvers"))
        }
        self._servers: dict[tuple[Any, ...], dict[str, dict[int, int]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(int))
        )
        for row in rows(self._series.get("sightings")) if self.start is not None else ():
            key = (row.get("zone"), row.get("server"), row.get("nsid"))
            for name in ("good", "bad"):
                self._add(self._servers[key][name], row, name)

    def _add(self, sums: dict[int, int], row: Row, name: str) -> None:
        """Add a count of a row with a time to the bin that it lies in."""
        time, count = times.parse(row.get("at")), row.get(name)
        if time is not None and self.start is not None and isinstance(count, int) and count:
            sums[int((time - self.start) // int(self.step * times.SECOND))] += count

    def scale(self) -> str:
        """Give start (ms since 1970) and length (ms) of a bin for the script."""
        if self.start is None:
            return ""
        return f' data-start="{self.start / 1e6:.6f}" data-step="{self.step * 1e3:.6f}"'

    def triage(self, kind: str, total: Any) -> str:
        """Follow failed lookups of one kind."""
        return self._attribute(part(self._over, "triage").get(kind), total)

    def verdict(self, status: str, total: Any) -> str:
        """Follow judged sightings of one status."""
        sums: dict[int, int] = defaultdict(int)
        for row in rows(self._series.get("verdicts")):
            self._add(sums, row, status)
        return self._attribute(_flat(sums), total)

    def impact(self, incident: Any, name: str, total: Any) -> str:
        """Follow one figure of whom an incident hurt."""
        counts: Any = self._impact.get(incident, {}).get(name)
        if name not in _DISTINCT:
            return self._attribute(counts, total)
        if self.start is None or not _is_pairs(counts) or len(set(counts[1::2])) != total:
            return ""
        return f' data-distinct="{_joined(counts)}"'

    def resolver(self, incident: Any, row: Row, name: str, total: Any) -> str:
        """Follow what a resolver told its clients: `servfail`, `answered` or the code of an EDE."""
        key = (incident, row.get("address"), row.get("identity"))
        held: Row = self._resolvers.get(key, {})
        known = held if name in {"servfail", "answered"} else part(held, "ede")
        return self._attribute(known.get(name), total)

    def server(self, zone: Any, row: Row, name: str) -> str:
        """Follow the good or bad sightings of a server."""
        sums = self._servers.get((zone, row.get("address"), row.get("nsid")))
        return self._attribute(_flat(sums[name]), row.get(name)) if sums else ""

    def cell(self, found: Iterable[Row]) -> str:
        """Follow a cell of the matrix, made of these rows of the series."""
        held = list(found)
        told = []
        for name in ("good", "bad"):
            counts = [row.get(f"{name}_over") for row in held]
            if self.start is None or not all(map(_is_pairs, counts)):
                return ""
            told.append(f' data-{name}="{_joined(n for one in counts for n in one or ())}"')
        return "".join(told)

    def _attribute(self, counts: Any, total: Any) -> str:
        """Give the attribute, if the counts add up to the total."""
        if self.start is None or not _is_pairs(counts) or sum(counts[1::2]) != total:
            return ""
        return f' data-over="{_joined(counts)}"'


def _is_pairs(counts: Any) -> TypeGuard[list[int]]:
    """Tell whether it is a list of pairs of numbers."""
    return (
        isinstance(counts, list)
        and len(counts) % 2 == 0
        and all(type(number) is int and number >= 0 for number in counts)
    )


def _flat(sums: Mapping[int, int]) -> list[int]:
    """Give bin and count in turn."""
    return [number for pair in sorted(sums.items()) for number in pair]


def _joined(numbers: Iterable[int]) -> str:
    """Write numbers with commas between them."""
    return ",".join(map(str, numbers))
