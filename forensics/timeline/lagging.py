"""Servers that stood still while the rest of the zone's servers moved on, their data still valid.

Each answer is right under keys that are published, so nothing fails; but the zone is told in two
versions, and a key that the new version rolls to, or the end of the old signatures, would make it
an outage. In May 2024 one root server served a root zone of days before.

What is compared is the SOA serial (RFC 1982) by server and instance. A secondary that follows a
little later is normal; a finding needs one of two proofs:

- *Longer than its refresh*: it stood still for longer than the SOA's own refresh interval, after
  which it had to ask (RFC 1035 3.3.13, RFC 1996 4.7).
- *Versions missed*: it stood still through several new versions, each of which most of the others
  took up many times faster.

A serial alone tells no line of versions: two operators of one zone may count each in their own way
(RFC 8901). So a server is held only against servers that have shown a version of its own, too. One
address that shows old and new in turn is several machines, and says nothing of any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits, vocabulary
from forensics.timeline.columns import integers, present, single
from forensics.timeline.evidence import Catalog, Evidence, Places
from forensics.timeline.judged import AUTHORITY, Judged
from forensics.timeline.kernels import FIRST_GOOD, FIRST_SEEN, LAST_GOOD
from forensics.timeline.moments import Moment, clock, length, rfc3339
from forensics.timeline.strata import Cells
from forensics.timeline.wording import counted
from forensics.vocabulary import SightingFlag

FLOOR: Final = 30 * limits.SECOND
"""Shorter than this is propagation: notifying and transferring a large zone takes some seconds."""

VERSIONS: Final = 5
"""So many versions missed are more than one lost notification."""

SLOWER: Final = 4
"""So many times slower than the others is clearly not the way of this zone."""

STALE: Final = 3
"""Responses with the old version that it takes after others had a newer one: one may have been
under way, or be replayed."""

_TAIL: Final = 20
"""Octets of serial, refresh, retry, expire and minimum at the end of a SOA's RDATA."""


class Version(NamedTuple):
    """One SOA serial at one place.

    Attributes:
        place: who showed it.
        serial: as served.
        line: the serial unwrapped: greater is newer (RFC 1982 3.2).
        seen: first sighting of any outcome, ns.
        first, last: good sightings; None where none was good.
    """

    place: int
    serial: int
    line: int
    seen: int
    first: Moment | None
    last: Moment | None


class Lag(NamedTuple):
    """A place that stood still.

    Attributes:
        place: which.
        serial: the version that it showed.
        newest: the serial that the others had reached.
        missed: versions that others showed meanwhile.
        since: when the first newer version was seen elsewhere; last: the last sighting of the old.
        after: the first sighting of a newer version at the place; None: not in the capture.
        refresh: of the SOA that it showed, seconds.
        others: places of the zone that moved on.
    """

    place: int
    serial: int
    newest: int
    missed: int
    since: Moment
    last: Moment
    after: Moment | None
    refresh: int
    others: int


class Serials:
    """The SOA serials of every signed zone, by server and instance, gathered in one walk."""

    def __init__(self, evidence: Evidence, catalog: Catalog) -> None:
        """Lay out which signatures are of a SOA, and its serial."""
        table = evidence.signatures
        self.evidence, self.catalog = evidence, catalog
        self.cells = Cells()
        self.serial = np.full(len(catalog.signer), -1, dtype=np.int64)
        known = present(table["serial"]) & (integers(table["type"]) == vocabulary.TYPE_SOA)
        self.serial[integers(table["signature"])[known]] = integers(table["serial"])[known]

    def note(self, rows: Judged) -> None:
        """Note the SOA sightings of a batch at name servers; strays anyone may have sent."""
        serial = self.serial[rows.signature]
        at = np.flatnonzero((serial >= 0) & (rows.side == AUTHORITY) & ~rows.stray)
        self.cells.add(
            (rows.place[at], self.catalog.signer[rows.signature[at]], serial[at]),
            rows.outcome[at],
            rows.time[at],
            rows.where[at],
            rows.signature[at],
        )

    def zones(self) -> dict[str, list[Version]]:
        """Give the versions of each zone, by place and serial."""
        found: dict[str, list[Version]] = {}
        base: dict[str, int] = {}
        for cell in self.cells.order().tolist():
            place, signer, serial = self.cells.keys[cell].tolist()
            zone = self.catalog.signers[signer]
            start = base.setdefault(zone, serial)
            moments = self.cells.moments[cell]
            version = Version(
                place=place,
                serial=serial,
                line=start + _distance(serial, start),
                seen=int(moments[FIRST_SEEN, 0]),
                first=_moment(moments[FIRST_GOOD]),
                last=_moment(moments[LAST_GOOD]),
            )
            found.setdefault(zone, []).append(version)
        return found

    def refresh(self, signature: int) -> int | None:
        """Give the refresh interval, seconds, of the SOA that a signature is of; None: unknown."""
        row = int(self.catalog.row[signature])
        data = single(self.evidence.signatures["signed_data"])[row].as_py() or b""
        tail = data[-_TAIL:]
        if len(tail) < _TAIL or int.from_bytes(tail[:4]) != int(self.serial[signature]):
            return None  # cut off, or several SOA records
        return int.from_bytes(tail[4:8])

    def stale(self, lags: list[Lag], places: Places) -> list[int]:
        """Count the responses in which each of L places showed its old version when it lagged."""
        seen: list[set[int]] = [set() for _ in lags]
        for batch in self.evidence.sightings() if lags else ():
            signature, place = integers(batch["signature"]), integers(batch["place"])
            at = np.flatnonzero((signature < len(self.serial)) & (place < len(places.same)))
            at = at[self.serial[signature[at]] >= 0]
            paired = (integers(batch["flags"])[at] & int(SightingFlag.UNPAIRED)) == 0
            at = at[paired]
            time, same = integers(batch["time"])[at], places.same[place[at]]
            serial, signer = self.serial[signature[at]], self.catalog.signer[signature[at]]
            where = integers(batch["capture"])[at] << 32 | integers(batch["frame"])[at]
            for lag, held in zip(lags, seen, strict=True):
                chosen = (same == lag.place) & (serial == lag.serial)
                chosen &= signer == self.catalog.signer[lag.last.signature]
                chosen &= (time > lag.since.time) & (time <= lag.last.time)
                held.update(np.unique(where[chosen])[:STALE].tolist())
        return [len(held) for held in seen]


def _distance(serial: int, start: int) -> int:
    """Give how far a serial is after another, negative before it (RFC 1982 3.2)."""
    return (serial - start + 2**31) % 2**32 - 2**31


def _moment(row: NDArray[np.int64]) -> Moment | None:
    """Give a cell's moment, None where it is unset."""
    time, where, signature = row.tolist()
    return None if where < 0 else Moment(time, where >> 32, where & 0xFFFFFFFF, signature)


def lags(versions: list[Version], serials: Serials) -> list[Lag]:
    """Find the places of one zone that stood still, at most one finding a place."""
    by_place: dict[int, list[Version]] = {}
    for version in versions:
        by_place.setdefault(version.place, []).append(version)
    found = []
    for place, mine in sorted(by_place.items()):
        held = {version.line for version in mine}
        fellows = [
            theirs
            for other, theirs in by_place.items()
            if other != place and held & {version.line for version in theirs}
        ]
        lag = _lag(mine, fellows, serials) if fellows else None
        if lag is not None:
            found.append(lag)
    return found


def _lag(mine: list[Version], fellows: list[list[Version]], serials: Serials) -> Lag | None:
    """Hold one place against those of its line of versions."""
    newer_at = {version.line: version.seen for version in mine}
    good = [version for theirs in fellows for version in theirs if version.first is not None]
    # Only the version that it stood on longest is told.
    best: tuple[int, Version, Moment] | None = None
    ahead = _ahead(good)
    for version in mine:
        since = ahead(version.line)
        if version.last is None or since is None:
            continue
        if any(line > version.line and seen < version.last.time for line, seen in newer_at.items()):
            continue  # old and new in turn
        span = version.last.time - since.time
        if span >= FLOOR and (best is None or span > best[0]):
            best = (span, version, since)
    if best is None:
        return None
    span, version, since = best
    assert version.last is not None
    meanwhile = [
        other
        for other in good
        if other.line > version.line and other.first and other.first.time <= version.last.time
    ]
    refresh = serials.refresh(version.last.signature)
    moved = len({other.place for other in meanwhile})
    missed = {other.line for other in meanwhile}
    overdue = refresh is not None and span > refresh * limits.SECOND
    if not overdue and not _left_behind(span, missed, moved, fellows):
        return None
    after = [v.first for v in mine if v.line > version.line and v.first is not None]
    return Lag(
        place=version.place,
        serial=version.serial,
        newest=max(meanwhile, key=lambda other: other.line).serial,
        missed=len(missed),
        since=since,
        last=version.last,
        after=min(after, default=None),
        refresh=-1 if refresh is None else refresh,
        others=moved,
    )


def _ahead(good: Iterable[Version]) -> Callable[[int], Moment | None]:
    """Give a function from a line number to the first good sighting of anything newer, or None."""
    ordered = sorted(good, key=lambda version: version.line)
    lines = np.array([version.line for version in ordered], dtype=np.int64)
    firsts: list[Moment] = []
    for version in reversed(ordered):
        assert version.first is not None
        firsts.append(min(version.first, firsts[-1]) if firsts else version.first)
    firsts.reverse()

    def ahead(line: int) -> Moment | None:
        at = int(np.searchsorted(lines, line, side="right"))
        return firsts[at] if at < len(firsts) else None

    return ahead


def _left_behind(span: int, missed: set[int], moved: int, fellows: list[list[Version]]) -> bool:
    """Whether the others show what is normal for this zone, and this is many times slower."""
    if len(missed) < VERSIONS or moved < 2 or 2 * moved <= len(fellows):
        return False
    # How long the second of the others took for each version after the first had it.
    for line in missed:
        arrivals = sorted(
            min(first)
            for theirs in fellows
            if (first := [v.first.time for v in theirs if v.line >= line and v.first is not None])
        )
        if len(arrivals) < 2:
            continue  # the last version may not have been asked for elsewhere
        if (arrivals[1] - arrivals[0]) * SLOWER > span:
            return False
    return True


def findings(serials: Serials, bad: set[str], places: Places) -> list[dict[str, Any]]:
    """Tell the zones of which a server stood still while all of its data was valid.

    Args:
        serials: after the walk.
        bad: zones that an incident is told of: there divergence is part of the incident.
        places: the responders.
    """
    if serials.cells.omitted:
        # A version that found no room may be the one that shows a server to have moved on.
        text = "Too many SOA serials for this version: no server was judged to lag behind."
        return [{"kind": "omitted", "count": serials.cells.omitted, "sentence": text}]
    behind = [
        (zone, lag)
        for zone, versions in sorted(serials.zones().items())
        if zone not in bad
        for lag in lags(versions, serials)
    ]
    counts = serials.stale([lag for _, lag in behind], places)
    held: dict[str, list[Lag]] = {}
    for (zone, lag), count in zip(behind, counts, strict=True):
        if count >= STALE:
            held.setdefault(zone, []).append(lag)
    return [_finding(zone, mine, places) for zone, mine in held.items()]


def _finding(zone: str, behind: list[Lag], places: Places) -> dict[str, Any]:
    """Give the finding of one zone."""
    worst = max(behind, key=lambda lag: (lag.last.time - lag.since.time, -lag.place))
    ends = [lag.after for lag in behind]
    known = [end for end in ends if end is not None]
    rows = [
        {
            "address": places.server[lag.place],
            "nsid": places.nsid[lag.place],
            "serial": lag.serial,
            "newest": lag.newest,
            "missed": lag.missed,
            "refresh": None if lag.refresh < 0 else lag.refresh,
            "from": rfc3339(lag.since.time),
            "to": rfc3339(lag.last.time),
            "frame": lag.last.frame,
        }
        for lag in behind
    ]
    named = "the root zone" if zone == "." else zone
    others = max(lag.others for lag in behind)
    allowed = worst.refresh * limits.SECOND
    sentence = (
        f"{places.server[worst.place]} went on serving an old version of {named} (serial "
        f"{worst.serial}) for {length(worst.last.time - worst.since.time)} after "
        f"{counted(others, 'other server')} had a newer one, until {clock(worst.last.time)}; it "
        f"missed {counted(worst.missed, 'version')}. "
        + (
            f"Its refresh interval of {length(allowed)} had passed. "
            if 0 <= allowed < worst.last.time - worst.since.time
            else ""
        )
        + "All of its data was valid all the same."
    )
    return {
        "kind": "near-miss",
        "zone": zone,
        "severity": "near-miss",
        "patterns": [
            {
                "kind": "server-divergence",
                "figures": {"behind": len(behind), "moved_on": others, "missed": worst.missed},
            }
        ],
        "servers": rows,
        "onset": {
            "last_good": None,
            "first_bad": rfc3339(min(lag.since for lag in behind).time),
        },
        "recovery": {
            "last_bad": rfc3339(max(lag.last for lag in behind).time),
            "first_good": rfc3339(max(known).time) if len(known) == len(ends) else None,
        },
        "sentence": sentence,
    }
