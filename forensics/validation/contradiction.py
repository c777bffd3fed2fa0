"""Rightly signed proofs that deny what the same server serves: `denial-contradicted`.

Two signatures stand against each other: one over an RRset in answers, one over an NSEC or NSEC3
record whose bitmap or gap leaves that RRset out. Zones change, so that both must have been served
at one time: each place showed one of them before and after the other (DESIGN section 4).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics.knowledge import SightingPairs, wire_name
from forensics.limits import CONTRADICTIONS, NSEC3_ITERATIONS
from forensics.validation.deniers import (
    TYPE_CNAME,
    TYPE_NXNAME,
    Name,
    Nsec,
    Nsec3,
    is_within,
    parse_name,
    read,
    unfit_above,
    wire_form,
)
from forensics.validation.nsec3 import nsec3_hash
from forensics.validation.records import SignedRecords
from forensics.vocabulary import TYPE_DS, TYPE_NSEC, TYPE_NSEC3

_SILENT: Final = frozenset({TYPE_DS, TYPE_NSEC, TYPE_NSEC3})
"""Types that contradict nothing: at a zone cut parent and child each have their own."""


class Contradiction(NamedTuple):
    """A proof that one place served at one time with what it denies.

    Attributes:
        denial, denied: signature numbers.
    """

    zone: str
    place: int
    denial: int
    denied: int


_Denied = list[tuple[Name, frozenset[int] | None]]
"""Names that a record denies: types that it leaves them, None: the name as a whole."""


class Sighted(NamedTuple):
    """A sighting of a signature at a place."""

    time: int
    capture: int
    frame: int
    transaction: int
    serial: int


class _Span(NamedTuple):
    first: int
    last: int


@dataclass
class _Zone:
    """Signatures of one zone that verify: what it serves, and what it denies with."""

    positive: list[tuple[Name, int, int]] = field(default_factory=list)
    denials: list[int] = field(default_factory=list)


@dataclass
class _Budget:
    left: int = CONTRADICTIONS


def contradictions(
    records: SignedRecords, pairs: SightingPairs, good: NDArray[np.int64]
) -> tuple[list[Contradiction], list[str]]:
    """Find the proofs that deny what was served beside them.

    Args:
        records: the signatures.
        pairs: which was seen at which place, and when.
        good: numbers of the signatures that some key verifies.

    Returns:
        what was found, in order of zone, signatures and place; zones left out by a limit.
    """
    seen: dict[int, dict[int, _Span]] = defaultdict(dict)
    for number, place, first, last in _rows(pairs):
        held = seen[number].get(place, _Span(first, last))
        seen[number][place] = _Span(min(held.first, first), max(held.last, last))
    zones: dict[str, _Zone] = defaultdict(_Zone)
    for number in good.tolist():
        row = records.row.get(number)
        if row is None or number not in seen:
            continue
        zone, kind = records.signer[row], records.type[row]
        if zone is None:
            continue
        if kind in {TYPE_NSEC, TYPE_NSEC3}:
            zones[zone].denials.append(number)
        elif kind not in _SILENT:
            name = parse_name(wire_name(records.owner[row]))
            if name is not None:
                zones[zone].positive.append((name, kind, number))
    found: list[Contradiction] = []
    limited = []
    budget = _Budget()
    for zone, parts in sorted(zones.items()):
        if not parts.denials or not parts.positive:
            continue
        if not _compare(zone, parts, records, seen, budget, found):
            limited.append(zone)
    return sorted(found), limited


def _compare(
    zone: str,
    held: _Zone,
    records: SignedRecords,
    seen: dict[int, dict[int, _Span]],
    budget: _Budget,
    found: list[Contradiction],
) -> bool:
    """Hold a zone's denials against what it serves; False: a limit left some out."""
    apex = parse_name(wire_name(zone))
    if apex is None:
        return True
    plain: list[tuple[Nsec, int]] = []
    hashed: dict[tuple[bytes, int], list[tuple[Nsec3, int]]] = defaultdict(list)
    for number in sorted(held.denials):
        denier = records.denier(number)
        if denier is None:
            continue
        nsecs, nsec3s = read([denier], apex)
        plain += [(record, number) for record in nsecs if not _is_compact(record)]
        for record in nsec3s:
            if record.iterations <= NSEC3_ITERATIONS:
                hashed[record.salt, record.iterations].append((record, number))
    names = sorted({name for name, _, _ in held.positive})
    served: dict[Name, list[tuple[int, int]]] = defaultdict(list)
    for name, kind, number in held.positive:
        served[name].append((kind, number))
    for nsec, number in plain:
        last = nsec.next == apex
        low = bisect_right(names, nsec.owner)
        high = len(names) if last else bisect_right(names, nsec.next)
        between = [name for name in names[low:high] if last or name < nsec.next]
        budget.left -= len(between) + 1
        if budget.left < 0:
            return False
        denied: _Denied = [(name, None) for name in between if _denies(nsec, name)]
        if nsec.owner in served:
            denied.append((nsec.owner, nsec.types))
        _note(zone, number, denied, served, seen, found)
    for (salt, iterations), chain in sorted(hashed.items()):
        budget.left -= len(names) * (1 + iterations // 16)
        if budget.left < 0:
            return False
        ring = sorted((nsec3_hash(wire_form(name), salt, iterations), name) for name in names)
        digests = [digest for digest, _ in ring]
        for nsec3, number in chain:
            low, high = bisect_right(digests, nsec3.hashed), bisect_left(digests, nsec3.next)
            inside = ring[low:high] if nsec3.hashed < nsec3.next else [*ring[low:], *ring[:high]]
            budget.left -= len(inside) + 1
            if budget.left < 0:
                return False
            denied = [] if nsec3.opt_out else [(name, None) for _, name in inside]
            if low and digests[low - 1] == nsec3.hashed:
                denied.append((ring[low - 1][1], nsec3.types))
            _note(zone, number, denied, served, seen, found)
    return True


def _note(
    zone: str,
    denial: int,
    denied: _Denied,
    served: dict[Name, list[tuple[int, int]]],
    seen: dict[int, dict[int, _Span]],
    found: list[Contradiction],
) -> None:
    """Keep what one place served at one time under no more than one SOA serial."""
    for name, types in denied:
        for kind, number in served[name]:
            if types is not None and (kind in types or TYPE_CNAME in types):
                continue
            for place, mine in sorted(seen[denial].items()):
                its = seen[number].get(place)
                if its is None:
                    continue
                ends = (its.first < t < its.last for t in mine)
                if any(ends) or any(mine.first < t < mine.last for t in its):
                    found.append(Contradiction(zone, place, denial, number))


def contradicted(
    denials: Sequence[Sighted], positives: Sequence[Sighted], versions: Sequence[Version]
) -> list[Sighted]:
    """Choose the sightings of a denial that stand between two of what it denies, or beside one.

    Args:
        denials: of the denial at one place, in order of time.
        positives: of the RRset that it denies, at that place, in order of time.
        versions: the zone's SOA serials at the place, each with its first and last time.

    Returns:
        those under one serial as far as any serial is known there: another one in between means
        that the zone changed, or that instances of one address differ.
    """
    found: set[Sighted] = set()
    for outer, inner in ((positives, denials), (denials, positives)):
        times = [sighted.time for sighted in outer]
        for one in inner:
            after = bisect_right(times, one.time)
            before = bisect_left(times, one.time) - 1
            if before < 0 or after >= len(outer):
                continue
            first, last = outer[before], outer[after]
            known = {v.serial for v in versions if v.first <= last.time and v.last >= first.time}
            known |= {sighted.serial for sighted in (first, one, last) if sighted.serial}
            if len(known) <= 1:
                found.update((one,) if inner is denials else (first, last))
    return sorted(found)


class Version(NamedTuple):
    """An SOA serial of a zone at a place, with its first and last time, ns."""

    first: int
    last: int
    serial: int


def versions(
    records: SignedRecords, pairs: SightingPairs, wanted: set[tuple[str, int]]
) -> dict[tuple[str, int], list[Version]]:
    """List the serials of zones at places, by (zone, place)."""
    found: dict[tuple[str, int], list[Version]] = defaultdict(list)
    zones = {
        number: (records.owner[row], serial)
        for number, row in records.row.items()
        if (serial := records.serial[row]) is not None
    }
    for number, place, first, last in _rows(pairs):
        zone, serial = zones.get(number, ("", None))
        if serial is not None and (zone, place) in wanted:
            found[zone, place].append(Version(first, last, serial))
    return found


def _rows(pairs: SightingPairs) -> Iterator[tuple[int, int, int, int]]:
    columns = (pairs.signature, pairs.place, pairs.first, pairs.last)
    return zip(*(column.tolist() for column in columns), strict=True)


def _is_compact(record: Nsec) -> bool:
    """Whether a record was made for one question: it says nothing of other types (RFC 9824)."""
    made = record.next[: len(record.owner)] == record.owner and record.next[-1:] == (b"\0",)
    return made or TYPE_NXNAME in record.types


def _denies(record: Nsec, name: Name) -> bool:
    """Whether a name in a record's gap is denied by it: not below a zone cut or a DNAME."""
    return not (is_within(name, record.owner) and unfit_above(record.types))
