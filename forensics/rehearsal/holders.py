"""What caches can still hold of a zone at an instant: DNSKEY and DS RRsets, and signed answers.

A set is known at its sightings. Its TTL counts from the last one; the set that was seen last counts
as published until the instant, if it is not older than its TTL. What ran out before proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.knowledge import DelegationSigner, Track, ZoneKeys
from forensics.limits import SECOND
from forensics.rehearsal.signing import tried
from forensics.vocabulary import TYPE_CDNSKEY, TYPE_CDS, TYPE_DNSKEY, TYPE_SOA, SightingFlag

_STRAY: Final = int(SightingFlag.UNPAIRED | SightingFlag.TC | SightingFlag.CUT)

_KEY_RRSETS: Final = frozenset({TYPE_DNSKEY, TYPE_CDS, TYPE_CDNSKEY})
"""A DNSKEY RRset is judged by the DS; CDS and CDNSKEY concern the parent, who asks anew."""

SETS: Final = 32
"""Old key sets that are judged, those that caches hold the longest; a roll has two or three."""


@dataclass(frozen=True)
class HeldKeys:
    """A DNSKEY RRset that caches can hold.

    Attributes:
        keys: RDATA.
        last: ns, last sighting.
        until: ns, from which no cache holds it any more.
        is_current: it is the set that was seen last.
        is_fresh: its TTL has not run out at the instant.
    """

    keys: frozenset[bytes]
    last: int
    until: int
    is_current: bool
    is_fresh: bool


@dataclass(frozen=True)
class HeldDelegation:
    """A DS RRset that caches can hold; empty: the parent said that there is none."""

    records: tuple[DelegationSigner, ...]
    last: int
    until: int
    is_current: bool
    is_fresh: bool


@dataclass(frozen=True)
class HeldAnswer:
    """An RRset of recorded answers that caches can hold.

    Attributes:
        owner: as in the signed data, presentation form.
        makers: RDATA of the keys that made its signatures.
        until: ns.
        numbers: schemas.SIGNATURES numbers.
    """

    owner: str
    type: int
    makers: frozenset[bytes]
    until: int
    numbers: tuple[int, ...]


@dataclass
class Held:
    """What caches can hold, and the serial that was served."""

    keys: list[HeldKeys] = field(default_factory=list)
    delegations: list[HeldDelegation] = field(default_factory=list)
    answers: list[HeldAnswer] = field(default_factory=list)
    serial: int | None = None
    serial_seen: int = 0
    soa: tuple[bytes, ...] = ()
    """signature fields of that SOA RRset"""


def held_keys(zone: ZoneKeys, at: int) -> list[HeldKeys]:
    """Return the DNSKEY RRsets seen by `at`, those first that caches hold the longest."""
    found = [
        HeldKeys(
            frozenset(zone.keys[k].rdata for k in zone.key_sets[item]), last, until, now, fresh
        )
        for item, last, until, now, fresh in _sets(zone.published, at)
    ]
    return sorted(found, key=lambda one: (-one.until, sorted(one.keys)))[:SETS]


def held_delegations(zone: ZoneKeys, at: int) -> list[HeldDelegation]:
    """Return the DS RRsets seen by `at`, and NODATA answers for DS as an empty one."""
    shown = set(zone.delegated.place.tolist())
    # A zone's own servers, asked for its DS, have none (RFC 4035 3.1.4.1): the parent's count.
    told = np.array([place in shown for place in zone.undelegated.place.tolist()], np.bool_)
    track = _joined(zone.delegated, zone.undelegated, told)
    found = [
        HeldDelegation(zone.delegations[item] if item >= 0 else (), last, until, now, fresh)
        for item, last, until, now, fresh in _sets(track, at)
    ]
    return sorted(found, key=lambda one: (-one.until, one.records))[:SETS]


def _joined(one: Track, other: Track, chosen: NDArray[np.bool_]) -> Track:
    return Track(
        *(
            np.concatenate([getattr(one, name), getattr(other, name)[chosen]])
            for name in ("place", "first", "last", "ttl", "item")
        )
    )


def _sets(track: Track, at: int) -> Iterator[tuple[int, int, int, bool, bool]]:
    """Give (item, last, until, is current, is fresh) of each distinct set of a track."""
    seen = track.first <= at
    rows = sorted(
        zip(
            track.place[seen].tolist(),
            track.first[seen].tolist(),
            np.minimum(track.last[seen], at).tolist(),
            track.ttl[seen].tolist(),
            track.item[seen].tolist(),
            strict=True,
        )
    )
    last: dict[int, int] = {}
    until: dict[int, int] = {}
    fresh: dict[int, bool] = {}
    current: set[int] = set()
    latest = max((row[2] for row in rows), default=0)
    for index, (place, _, end, ttl, item) in enumerate(rows):
        following = rows[index + 1] if index + 1 < len(rows) else None
        is_last = following is None or following[0] != place
        last[item] = max(last.get(item, end), end)
        is_fresh = end + ttl > at
        if is_last and (is_fresh or end == latest):
            current.add(item)
        # A cache filled just before the next set was seen holds this one the longest.
        known = at if is_last else following[1] if following is not None else end
        until[item] = max(until.get(item, 0), (max(end, known) if is_fresh else end) + ttl)
        fresh[item] = fresh.get(item, False) or is_fresh
    for item, end in last.items():
        yield item, end, until[item], item in current, fresh[item]


def held_answers(
    signatures: Any,
    sightings: Callable[[], Iterator[Any]],
    apex: str,
    keys: Iterable[tuple[int, int, bytes]],
    at: int,
) -> tuple[list[HeldAnswer], int | None, int, tuple[bytes, ...]]:
    """Return the answers that caches can hold at `at`, and the SOA that was served last.

    Args:
        signatures: schemas.SIGNATURES.
        sightings: gives schemas.SIGHTINGS as record batches.
        apex: the zone.
        keys: (tag, algorithm, RDATA) of every key that could have made them.
        at: ns; what was seen later is not looked at.

    Returns:
        answers; serial (None: no SOA was captured), when it was seen (ns), its signature fields.
    """
    import pyarrow.compute as pc

    rows = signatures.filter(pc.equal(signatures["signer"], apex))
    if not rows.num_rows:
        return [], None, 0, ()
    numbers = rows["signature"].to_numpy().astype(np.int64)
    order = np.argsort(numbers)
    last = np.zeros(len(numbers), np.int64)
    ttl = np.zeros(len(numbers), np.int64)
    by = np.zeros(len(numbers), np.int64)
    ending = 0
    for batch in sightings():
        of, time, alive, transaction = _sighted(batch, numbers, order, at)
        if not len(of):
            continue
        ending = max(ending, int(time.max()))
        # In order of time, so that the last one written is the latest.
        sorted_ = np.argsort(time, kind="stable")
        of, time, alive, transaction = (a[sorted_] for a in (of, time, alive, transaction))
        newest = np.zeros(len(numbers), np.int64)
        np.maximum.at(newest, of, time)
        later = newest > last
        by_now = by.copy()
        by_now[of] = transaction
        by = np.where(later, by_now, by)
        last = np.maximum(last, newest)
        np.maximum.at(ttl, of, alive)
    seen = last > 0
    serial = _served_serial(rows, last, seen)
    return _answers(rows, last, ttl, by, ending, keys, at), *serial


def _sighted(
    batch: Any, numbers: NDArray[np.int64], order: NDArray[np.int64], at: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return row of signatures, time, TTL (ns) and transaction of the sightings that count."""
    import pyarrow as pa

    number = batch.column("signature").to_numpy(zero_copy_only=False).astype(np.int64)
    time = batch.column("time").cast(pa.int64()).to_numpy(zero_copy_only=False)
    flags = batch.column("flags").to_numpy(zero_copy_only=False)
    where = np.searchsorted(numbers[order], number)
    where = np.minimum(where, len(numbers) - 1)
    row = order[where]
    mine = (numbers[row] == number) & (time <= at) & ((flags & _STRAY) == 0)
    ttl = batch.column("ttl").to_numpy(zero_copy_only=False).astype(np.int64) * SECOND
    transaction = batch.column("transaction").to_numpy(zero_copy_only=False).astype(np.int64)
    return row[mine], time[mine], ttl[mine], transaction[mine]


def _served_serial(
    rows: Any, last: NDArray[np.int64], seen: NDArray[np.bool_]
) -> tuple[int | None, int, tuple[bytes, ...]]:
    """Return the newest serial (RFC 1982) of those seen, when, and its signature fields."""
    kind = rows["type"].to_numpy()
    chosen = np.flatnonzero((kind == TYPE_SOA) & seen)
    serials = rows["serial"].to_pylist()
    found = [(serials[row], int(last[row]), row) for row in chosen.tolist()]
    found = [one for one in found if one[0] is not None]
    if not found:
        return None, 0, ()
    serial, time, _ = max(found, key=lambda one: one[1])
    for other, when, _ in found:
        ahead = (other - serial) & 0xFFFFFFFF
        # A secondary that lags may have answered last; long-gone serials of a reset do not count.
        if 0 < ahead < 2**31 and time - when < 3600 * SECOND:
            serial, time = other, when
    octets = rows["octets"]
    return serial, time, tuple(octets[row].as_py() for other, _, row in found if other == serial)


def _answers(
    rows: Any,
    last: NDArray[np.int64],
    ttl: NDArray[np.int64],
    by: NDArray[np.int64],
    ending: int,
    keys: Iterable[tuple[int, int, bytes]],
    at: int,
) -> list[HeldAnswer]:
    """Group the signatures that caches can hold by the RRset they came with; say who made them."""
    alive = np.flatnonzero((last > 0) & (np.minimum(last, at) + ttl > at))
    if not len(alive):
        return []
    columns = ("owner", "type", "key_tag", "algorithm", "signed_data", "octets", "signature")
    values = rows.take(alive)
    table = [values[name].to_pylist() for name in columns]
    newest: dict[tuple[str, int], int] = {}
    for owner, kind, time in zip(
        rows["owner"].to_pylist(), rows["type"].to_pylist(), last.tolist(), strict=True
    ):
        newest[owner, kind] = max(newest.get((owner, kind), 0), time)
    of_tag: dict[tuple[int, int], list[bytes]] = {}
    for tag, algorithm, rdata in keys:
        of_tag.setdefault((tag, algorithm), []).append(rdata)
    batches: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for _, _, tag, algorithm, data, octets, _ in zip(*table, strict=True):
        for rdata in of_tag.get((tag, algorithm), ()):
            batches.setdefault(rdata, []).append((data, octets))
    proven = tried(batches)
    groups: dict[tuple[str, int, int], list[tuple[frozenset[bytes], int, int]]] = {}
    for row, (owner, kind, tag, algorithm, data, octets, number) in zip(
        alive.tolist(), zip(*table, strict=True), strict=True
    ):
        if kind in _KEY_RRSETS:
            continue
        makers = frozenset(
            rdata for rdata in of_tag.get((tag, algorithm), ()) if (data, octets) in proven[rdata]
        )
        served = last[row] == newest[owner, kind] and last[row] + ttl[row] >= ending
        until = (at if served else int(last[row])) + int(ttl[row])
        groups.setdefault((owner, kind, int(by[row])), []).append((makers, until, number))
    return [
        HeldAnswer(
            owner,
            kind,
            frozenset().union(*(makers for makers, _, _ in group)),
            max(until for _, until, _ in group),
            tuple(sorted(number for _, _, number in group)),
        )
        for (owner, kind, _), group in sorted(groups.items())
    ]
