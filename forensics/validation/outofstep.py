"""Keys out of step: data that is valid by the key set of now, and bogus for caches of a while ago.

A resolver that fetched the DNSKEY RRset, or the DS RRset, just before it changed holds the old one
until its TTL has run out. Whoever signs by the new one alone before that is refused there, although
every server serves consistent data (RFC 6781 4.1; the mechanism of .nl in 2012 and .nz in 2023).
This is the resolver view of DESIGN section 4, as a statement about caches: none of them was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from forensics.knowledge import NOTHING, is_subdomain
from forensics.limits import BURST, STEP_SIGHTINGS
from forensics.validation.bench import Bench
from forensics.validation.published import HOLD, LACK
from forensics.validation.steps import at
from forensics.vocabulary import SightingFlag, Status

_STRAY: Final = int(SightingFlag.UNPAIRED | SightingFlag.TC | SightingFlag.CUT)


class Old(NamedTuple):
    """A set that some cache may still hold: last served at `last`, with its TTL, both ns."""

    first: int
    last: int
    ttl: int
    keys: frozenset[int]
    """keys of the zone by which caches that hold the set accept signatures"""


@dataclass(frozen=True)
class Suspect:
    """Signatures of one class that caches with an old set would refuse.

    Attributes:
        zone: the signer.
        reason: code in vocabulary.REASONS, for those caches.
        over_keys: the signatures cover the DNSKEY RRset, and the DS RRset is what changed.
        begin: ns, when the new set was first seen.
        olds: the sets before it.
    """

    zone: str
    reason: str
    over_keys: bool
    begin: int
    olds: tuple[Old, ...]

    def holding(self, t: int) -> Old | None:
        """Return the old set that a cache can hold the longest at t; None: none any more."""
        live = [old for old in self.olds if old.first < t < min(old.last, t) + old.ttl]
        return max(live, key=lambda old: (old.last + old.ttl, old.first), default=None)


class Refused(NamedTuple):
    """A sighting of data that caches with an old set would refuse."""

    zone: str
    owner: str
    type: int
    reason: str
    place: int
    time: int
    capture: int
    frame: int
    transaction: int
    begin: int
    until: int
    ttl: int


def refused(bench: Bench, sightings: Callable[[], Iterator[Any]]) -> list[Refused]:
    """Find what caches filled before a change of keys or DS would have refused.

    Args:
        bench: the tables laid out.
        sightings: gives schemas.SIGHTINGS as record batches.
    """
    suspects = {
        number: suspect
        for number in range(len(bench.classes))
        if (suspect := _suspect(bench, number)) is not None
    }
    if not suspects:
        return []
    zones = {suspect.zone for suspect in suspects.values()}
    return _walk(bench, suspects, zones, sightings)


def _suspect(bench: Bench, number: int) -> Suspect | None:
    """Say which old sets a class of signatures would not be accepted by."""
    this = bench.classes[number]
    zone = bench.zones.get(bench.checked.groups[this.group].zone)
    verified = frozenset(bench.checked.key_choices[this.verified])
    if zone is None or not verified or this.problem or zone.by_resolver:
        return None
    if this.over_keys:
        return _by_delegation(bench, zone.zone, verified)
    publication = bench.publication(number)
    codes = publication.codes
    if publication.is_limited or set(codes) != {HOLD, LACK} or publication.is_new_algorithm:
        return None
    begin = publication.first_held
    track = zone.published
    olds = [
        Old(first, last, ttl, zone.key_sets[item])
        for first, last, ttl, item in zip(
            track.first.tolist(), track.last.tolist(), track.ttl.tolist(), track.item.tolist(),
            strict=True,
        )
        if codes[item] == LACK and first < begin
    ]  # fmt: skip
    return Suspect(zone.zone, "dnskey-missing", False, begin, tuple(olds)) if olds else None


def _by_delegation(bench: Bench, name: str, verified: frozenset[int]) -> Suspect | None:
    """The same for signatures over the DNSKEY RRset, by the DS RRsets of the parent."""
    zone, trust = bench.zones[name], bench.trust
    track = zone.delegated
    if len(zone.delegations) < 2 or trust.anchors.get(name):
        return None
    runs = [
        (first, last, ttl, trust.matching(
            name, [trust.usable(zone.delegations[item], first)], zone.key_sets
        ))
        for first, last, ttl, item in zip(
            track.first.tolist(), track.last.tolist(), track.ttl.tolist(), track.item.tolist(),
            strict=True,
        )
        if item != NOTHING
    ]  # fmt: skip
    accepting = [run[0] for run in runs if run[3] & verified]
    if not accepting:
        return None
    begin = min(accepting)
    olds = [Old(*run) for run in runs if not run[3] & verified and run[0] < begin and run[3]]
    if not olds:
        return None
    return Suspect(name, "dnskey-unsigned-by-ds-key", True, begin, tuple(olds))


def _walk(
    bench: Bench,
    suspects: dict[int, Suspect],
    zones: set[str],
    sightings: Callable[[], Iterator[Any]],
) -> list[Refused]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = bench.signatures["signature"].to_numpy().astype(np.int64)
    near = [n for n, c in enumerate(bench.classes) if bench.checked.groups[c.group].zone in zones]
    rows = np.flatnonzero(np.isin(bench.class_of, near))
    class_of = dict(zip(numbers[rows].tolist(), bench.class_of[rows].tolist(), strict=True))
    row_of = dict(zip(numbers[rows].tolist(), rows.tolist(), strict=True))
    owners = dict(zip(rows.tolist(), bench.signatures["owner"].take(rows).to_pylist(), strict=True))
    types = bench.signatures["type"].to_numpy()
    low = min(suspect.begin for suspect in suspects.values()) - BURST
    high = max(old.last + old.ttl for s in suspects.values() for old in s.olds)
    chosen = pa.array(sorted(class_of), pa.uint32())
    found: list[Refused] = []
    columns = ("signature", "capture", "frame", "place", "flags", "transaction", "section")
    for batch in sightings():
        time = batch.column("time").cast(pa.int64())
        mask = pc.and_(pc.greater_equal(time, low), pc.less(time, high))
        mask = pc.and_(mask, pc.is_in(batch.column("signature"), value_set=chosen))
        times = time.filter(mask).to_pylist()
        if not times:
            continue
        chosen_rows = batch.filter(mask)
        values = [chosen_rows.column(name).to_pylist() for name in columns]
        together: dict[tuple[int, int, str, int, int], list[tuple[int, ...]]] = {}
        for row in zip(times, *values, strict=True):
            at_row = row_of[row[1]]
            key = (row[2], row[3], owners[at_row], int(types[at_row]), row[7])
            together.setdefault(key, []).append(row)
        for (_, _, owner, kind, _), group in together.items():
            told = _refused_group(bench, suspects, class_of, owner, kind, group)
            if told is not None and len(found) < STEP_SIGHTINGS:
                found.append(told)
    return found


def _refused_group(
    bench: Bench,
    suspects: dict[int, Suspect],
    class_of: dict[int, int],
    owner: str,
    kind: int,
    group: list[tuple[int, ...]],
) -> Refused | None:
    """Judge one RRset of one response: no signature of it may be one that old caches accept."""
    held: Old | None = None
    suspect: Suspect | None = None
    made: set[int] = set()
    for time, signature, _, _, place, flags, _, _ in group:
        number = class_of[signature]
        this = bench.classes[number]
        made |= set(bench.checked.key_choices[this.verified])
        own = suspects.get(number)
        if own is None or flags & _STRAY or not flags & int(SightingFlag.AUTHORITY):
            continue
        state = at(bench.states(number, place), time)
        if time < own.begin or state.status not in {Status.VALID, Status.SECURE}:
            continue
        suspect, held = own, own.holding(time)
    if suspect is None or held is None or made & held.keys:
        return None
    if not is_subdomain(owner, suspect.zone):
        return None
    time, _, capture, frame, place, _, transaction, _ = group[0]
    # A cache filled just before the new set was seen holds the old one the longest.
    until = max(held.last, min(suspect.begin, time)) + held.ttl
    return Refused(
        suspect.zone, owner, kind, suspect.reason, place, time, capture, frame, transaction,
        suspect.begin, until, held.ttl,
    )  # fmt: skip
