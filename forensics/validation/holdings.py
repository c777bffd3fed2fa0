"""What each resolver held: the DNSKEY and DS RRsets that it fetched, each until its TTL ran out.

RFC 4035 5.3.3: an RRset lives in a cache no longer than its RRSIG's TTL, the original TTL and the
end of the signature allow. Two sets may be live at once, for nobody sees which of them a cache
kept: both count as held. What ran out and was not seen fetched again is unknown, never missing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics.knowledge import ancestors
from forensics.limits import BURST, HELD_FETCHES, HELD_SIGHTINGS, SECOND
from forensics.validation.bench import Bench
from forensics.validation.resolvers import Resolvers
from forensics.validation.trust import read_records
from forensics.vocabulary import TYPE_DNSKEY, TYPE_DS, SightingFlag

_STRAY: Final = int(SightingFlag.UNPAIRED | SightingFlag.TC | SightingFlag.CUT)
_SIGHTING: Final = ("signature", "transaction", "capture", "frame", "place", "section", "ttl")


class Received(NamedTuple):
    """One RRset of one response that a resolver received, or gave from its cache.

    Attributes:
        resolver: index into Resolvers.found.
        time: ns; capture, frame: of the response.
        place: of its sender.
        rows: of its signatures in schemas.SIGNATURES, or beyond them the subject of an absence.
        signatures: their numbers.
        zone, owner, type: signer and RRset.
        ttl: ns, the least TTL of its signatures as received.
        is_own: the resolver gave it to a client.
    """

    resolver: int
    time: int
    capture: int
    frame: int
    place: int
    rows: tuple[int, ...]
    signatures: tuple[int, ...]
    zone: str
    owner: str
    type: int
    ttl: int
    is_own: bool


class Fetch(NamedTuple):
    """A DNSKEY or DS RRset that a resolver received.

    Attributes:
        time, until: ns; it is held from `time` up to but not including `until`.
        received: the sighting.
        records: RDATA.
        keys: of a DNSKEY RRset: indices of its keys among the zone's.
    """

    time: int
    until: int
    received: Received
    records: frozenset[bytes]
    keys: frozenset[int] = frozenset()


@dataclass
class Holdings:
    """The fetches of all resolvers, by (resolver, zone, type), in order of time."""

    fetches: Mapping[tuple[int, str, int], Sequence[Fetch]] = field(default_factory=dict)

    def live(self, resolver: int, zone: str, kind: int, t: int) -> list[Fetch]:
        """Return the sets that the resolver may hold at t (ns), the latest first."""
        own = self.fetches.get((resolver, zone, kind), ())
        last = bisect_right(own, t, key=lambda fetch: fetch.time)
        near = own[max(last - HELD_FETCHES, 0) : last]
        return [fetch for fetch in reversed(near) if t < fetch.until]

    def coming(self, resolver: int, zone: str, kind: int, t: int) -> Fetch | None:
        """Return the set fetched within a burst after t (ns): a resolver asks for keys last."""
        own = self.fetches.get((resolver, zone, kind), ())
        at = bisect_right(own, t, key=lambda fetch: fetch.time)
        return own[at] if at < len(own) and own[at].time - t <= BURST else None


class Subject(NamedTuple):
    """What the number of a signature, or of an absence, stands for."""

    row: int
    zone: str
    owner: str
    type: int


def received(
    bench: Bench,
    subjects: Any,
    sightings: Callable[[], Iterator[Any]],
    transactions: Callable[[], Iterator[Any]],
    resolvers: Resolvers,
    zones: frozenset[str],
) -> tuple[list[Received], bool]:
    """Gather what resolvers received of some zones and of those above them, in order of time.

    Args:
        bench: the tables laid out.
        subjects: schemas.SIGNATURES of what is no signature (validation.subjects); None: none.
        sightings: gives schemas.SIGHTINGS, those of the subjects among them.
        transactions: gives schemas.TRANSACTIONS.
        resolvers: who asked.
        zones: signers.

    Returns:
        the RRsets; and whether there were more than limits.HELD_SIGHTINGS signatures.
    """
    wanted = zones | {above for zone in zones for above in ancestors(zone)}
    known = _subjects(bench, subjects, wanted)
    rows, is_cut = _sighted(sightings, np.array(sorted(known), np.int64))
    if not len(rows):
        return [], is_cut
    whose, own = _whose(transactions, resolvers, rows[:, 2])
    together: dict[tuple[int, ...], list[int]] = defaultdict(list)
    numbers: dict[tuple[str, str, int], int] = {}
    for index, (_, signature, transaction, *_, section, _) in enumerate(rows.tolist()):
        if whose[index] < 0:
            continue
        what = known[signature]
        rrset = numbers.setdefault(what[1:], len(numbers))
        together[transaction, section, rrset].append(index)
    found = []
    for members in together.values():
        time, _, _, capture, frame, place, _, _ = rows[members[0]].tolist()
        signatures = tuple(sorted({int(rows[m, 1]) for m in members}))
        whats = [known[s] for s in signatures]
        found.append(
            Received(
                int(whose[members[0]]), time, capture, frame, place,
                tuple(w.row for w in whats), signatures, *whats[0][1:],
                min(int(rows[m, 7]) for m in members) * SECOND, bool(own[members[0]]),
            )
        )  # fmt: skip
    return sorted(found), is_cut


def _subjects(bench: Bench, subjects: Any, zones: frozenset[str] | set[str]) -> dict[int, Subject]:
    """Return what the numbers of signatures and subjects of these zones stand for.

    Subjects of the resolver view say what any cache would do, and nothing of this one.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    names = pa.array(sorted(zones), pa.string())
    found: dict[int, Subject] = {}
    for table, offset in ((bench.signatures, 0), (subjects, bench.signatures.num_rows)):
        if table is None or not table.num_rows:
            continue
        mask = pc.is_in(table["signer"].cast(pa.string()), value_set=names)
        if offset:
            told = pc.starts_with(table["signature_id"].cast(pa.string()), "resolver:")
            mask = pc.and_(mask, pc.invert(told))
        rows = np.flatnonzero(mask.to_numpy())
        chosen = table.take(pa.array(rows))
        columns = [chosen[name].to_pylist() for name in ("signature", "signer", "owner", "type")]
        for row, number, zone, owner, kind in zip(rows.tolist(), *columns, strict=True):
            found[number] = Subject(row + offset, zone, owner, kind)
    return found


def _sighted(
    sightings: Callable[[], Iterator[Any]], numbers: NDArray[np.int64]
) -> tuple[NDArray[np.int64], bool]:
    """Return (time, signature, transaction, capture, frame, place, section, ttl) of sightings."""
    import pyarrow as pa

    parts: list[NDArray[np.int64]] = []
    count = 0
    for batch in sightings():
        seen = batch.column("signature").to_numpy(zero_copy_only=False).astype(np.int64)
        flags = batch.column("flags").to_numpy(zero_copy_only=False)
        keep = np.isin(seen, numbers) & ((flags & _STRAY) == 0)
        if not keep.any():
            continue
        rows = batch.filter(pa.array(keep))
        times = rows.column("time").cast(pa.int64()).to_numpy(zero_copy_only=False)
        columns = [
            rows.column(name).to_numpy(zero_copy_only=False).astype(np.int64) for name in _SIGHTING
        ]
        parts.append(np.stack([times, *columns], axis=1)[: HELD_SIGHTINGS - count])
        count += len(parts[-1])
        if count >= HELD_SIGHTINGS:
            return np.concatenate(parts), True
    return (np.concatenate(parts) if parts else np.empty((0, 8), np.int64)), False


def _whose(
    transactions: Callable[[], Iterator[Any]], resolvers: Resolvers, wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the resolver of each transaction, -1: none; and whether it was the one who answered.

    A transaction whose query was answered by another one's cache belongs to who asked upstream.
    """
    distinct = np.unique(wanted)
    whose = np.full(len(distinct), -1, np.int64)
    own = np.zeros(len(distinct), np.bool_)
    for batch in transactions():
        numbers = batch.column("transaction").to_numpy(zero_copy_only=False).astype(np.int64)
        at = np.minimum(np.searchsorted(distinct, numbers), len(distinct) - 1)
        hit = distinct[at] == numbers
        if not hit.any():
            continue
        asking, answering = resolvers.asking(batch)[hit], resolvers.answering(batch)[hit]
        whose[at[hit]] = np.where(asking >= 0, asking, answering)
        own[at[hit]] = (asking < 0) & (answering >= 0)
    index = np.searchsorted(distinct, wanted)
    return whose[index], own[index]


def held(bench: Bench, found: Sequence[Received]) -> Holdings:
    """Follow the DNSKEY and DS RRsets among what resolvers received from authorities."""
    fetches: dict[tuple[int, str, int], list[Fetch]] = defaultdict(list)
    original = bench.signatures["original_ttl"].to_numpy().astype(np.int64)
    signed = bench.signatures["signed_data"]
    records: dict[int, frozenset[bytes]] = {}
    rrsets: dict[bytes, frozenset[bytes]] = {}
    for one in found:
        if one.type not in {TYPE_DNSKEY, TYPE_DS} or one.is_own or one.rows[0] >= len(original):
            continue
        row = one.rows[0]
        if row not in records:
            records[row] = read_records(signed[row].as_py(), rrsets)
        keys: frozenset[int] = frozenset()
        if one.type == TYPE_DNSKEY:
            zone = bench.zones.get(one.owner)
            if zone is None:
                continue
            shown = records[row]
            keys = frozenset(n for n, key in enumerate(zone.keys) if key.rdata in shown)
        ends = [
            min(one.ttl, int(original[r]) * SECOND, max(int(bench.periods.end[r]) - one.time, 0))
            for r in one.rows
        ]
        # The signature that lives longest may be the one that the resolver went by.
        until = one.time + max(ends)
        fetches[one.resolver, one.owner, one.type].append(
            Fetch(one.time, until, one, records[row], keys)
        )
    return Holdings({what: sorted(own, key=lambda f: f.time) for what, own in fetches.items()})
