"""What is known of each zone's keys: the KEYS table turned into tracks that a judge can ask.

The published view (DESIGN section 4): the sets that authorities served. Where a zone's RRset was
never seen from an authority, the resolvers' answers stand in for it, and say so.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from forensics.knowledge import ALWAYS, FOREVER, NOTHING, DelegationSigner, Key, Track, ZoneKeys
from forensics.limits import SECOND, TRACK_RUNS
from forensics.vocabulary import TYPE_DNSKEY, TYPE_DS

_Run = tuple[int, int, int, int, tuple[bytes, ...]]


def build(
    keys: Any,
    places: Any,
    absences: Iterable[tuple[str, int, int, int]] = (),
    shown: Mapping[tuple[str, int, int], Sequence[int]] = MappingProxyType({}),
) -> dict[str, ZoneKeys]:
    """Return what is known of the keys of each zone.

    Args:
        keys: schemas.KEYS, in any order; supplied keys are rows without place, and with times
            where the user gave any.
        places: schemas.PLACES.
        absences: (zone, type, place, ns) of answers that a zone has no RRset of this type.
        shown: ns, sorted: when such RRsets were seen at other times, by zone, type and place.
    """
    resolvers = {
        number
        for number, role in zip(
            places["place"].to_pylist(), places["role"].to_pylist(), strict=True
        )
        if role == "resolver"
    }
    observed: dict[tuple[str, int, bool], list[_Run]] = defaultdict(list)
    supplied: dict[str, dict[bytes, set[tuple[int, int]]]] = defaultdict(dict)
    for zone, kind, place, first, last, ttl, rdatas in zip(
        keys["zone"].to_pylist(),
        keys["type"].to_pylist(),
        keys["place"].to_pylist(),
        _nanoseconds(keys["first"]),
        _nanoseconds(keys["last"]),
        keys["ttl"].to_pylist(),
        keys["rdatas"].to_pylist(),
        strict=True,
    ):
        if kind not in {TYPE_DNSKEY, TYPE_DS}:
            continue
        content = tuple(sorted({r for r in rdatas or () if len(r) >= 4}))
        if not content:
            continue
        if place is None or first is None or last is None:
            if kind == TYPE_DNSKEY:
                span = (ALWAYS if first is None else first, FOREVER if last is None else last)
                for rdata in content:
                    supplied[zone].setdefault(rdata, set()).add(span)
            continue
        run = (first, max(first, last), place, (ttl or 0) * SECOND, content)
        observed[zone, kind, place in resolvers].append(run)
    missing: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for zone, kind, place, time in absences:
        missing[zone, kind].append((place, time))
    zones = {key[0] for key in observed} | {*supplied} | {key[0] for key in missing}
    return {zone: _zone(zone, observed, supplied, missing, shown) for zone in sorted(zones)}


def _nanoseconds(column: Any) -> list[int | None]:
    import pyarrow as pa

    values: list[int | None] = column.cast(pa.int64()).to_pylist()
    return values


def _zone(
    zone: str,
    observed: dict[tuple[str, int, bool], list[_Run]],
    supplied: dict[str, dict[bytes, set[tuple[int, int]]]],
    missing: dict[tuple[str, int], list[tuple[int, int]]],
    shown: Mapping[tuple[str, int, int], Sequence[int]],
) -> ZoneKeys:
    """Gather one zone: authorities' runs, else the resolvers'."""
    authorities = observed.get((zone, TYPE_DNSKEY, False), [])
    dnskey = authorities or observed.get((zone, TYPE_DNSKEY, True), [])
    by_resolver = bool(dnskey) and not authorities
    ds = observed.get((zone, TYPE_DS, False)) or observed.get((zone, TYPE_DS, True), [])
    dnskey, absent = _parted((zone, TYPE_DNSKEY), dnskey, missing, shown)
    ds, undelegated = _parted((zone, TYPE_DS), ds, missing, shown)
    dnskey, dropped_keys = _within_limit(dnskey)
    ds, dropped_ds = _within_limit(ds)
    absent, dropped_absent = _within_limit(absent)
    undelegated, dropped_undelegated = _within_limit(undelegated)
    given = supplied.get(zone, {})
    # Resolvers' keys are tried too, even where authorities' runs decide what was published.
    seen = {
        rdata
        for by in (False, True)
        for run in _within_limit(observed.get((zone, TYPE_DNSKEY, by), []))[0]
        for rdata in run[4]
    }
    keys = sorted(
        (
            Key(zone, rdata, rdata in given, tuple(sorted(given.get(rdata, ()))))
            for rdata in {*seen, *given}
        ),
        key=lambda key: (key.key_id, key.rdata),
    )
    number = {key.rdata: index for index, key in enumerate(keys)}
    key_contents = sorted({run[4] for run in dnskey})
    ds_contents = sorted({run[4] for run in ds})
    return ZoneKeys(
        zone=zone,
        keys=tuple(keys),
        key_sets=tuple(frozenset(number[r] for r in content) for content in key_contents),
        delegations=tuple(tuple(_delegation(r) for r in content) for content in ds_contents),
        published=_track(dnskey, key_contents),
        delegated=_track(ds, ds_contents),
        by_resolver=by_resolver,
        dropped_from=min(dropped_keys, dropped_ds, dropped_absent, dropped_undelegated),
        absent=_empty_track(absent),
        undelegated=_empty_track(undelegated),
    )


def _parted(
    which: tuple[str, int],
    runs: list[_Run],
    missing: dict[tuple[str, int], list[tuple[int, int]]],
    shown: Mapping[tuple[str, int, int], Sequence[int]],
) -> tuple[list[_Run], list[_Run]]:
    """Join answers without the RRset to runs, and part its own runs where they lie within.

    Args:
        which: zone and type.
        runs: of this RRset.
        missing: (place, ns) of answers without the RRset, by zone and type.
        shown: as in `build`.
    """
    by_place: dict[int, list[int]] = defaultdict(list)
    for place, time in missing.get(which, ()):
        by_place[place].append(time)
    whole: list[_Run] = []
    edges: dict[int, set[int]] = defaultdict(set)
    for run in runs:
        first, last, place = run[:3]
        times = sorted(by_place.get(place, ()))
        inside = times[bisect_right(times, first) : bisect_left(times, last)]
        seen = {first, last}
        if inside:
            seen.update(t for t in shown.get((*which, place), ()) if first < t < last)
        edges[place] |= seen
        begin = first
        ordered = sorted(seen)
        for at, sighted in enumerate(ordered):
            following = ordered[at + 1] if at + 1 < len(ordered) else None
            if following is None or bisect_right(inside, sighted) < bisect_left(inside, following):
                whole.append((begin, sighted, *run[2:]))
                begin = sighted if following is None else following
    empty: list[_Run] = []
    for place, gathered in sorted(by_place.items()):
        times, held = sorted(gathered), sorted(edges[place])
        begin = end = times[0]
        for time in times[1:]:
            # What was shown between two answers without the RRset parts them.
            if bisect_right(held, end) < bisect_left(held, time):
                empty.append((begin, end, place, 0, ()))
                begin = time
            end = time
        empty.append((begin, end, place, 0, ()))
    return whole, empty


def _empty_track(runs: list[_Run]) -> Track:
    """Lay out runs of answers without the RRset; they have the item NOTHING."""
    track = _track(runs, [()])
    return replace(track, item=np.full(len(track), NOTHING, np.int64))


def _within_limit(runs: list[_Run]) -> tuple[list[_Run], int]:
    """Keep the earliest limits.TRACK_RUNS runs; also from when on runs were left out."""
    ordered = sorted(runs)
    if len(ordered) <= TRACK_RUNS:
        return ordered, FOREVER
    return ordered[:TRACK_RUNS], ordered[TRACK_RUNS][0]


def _delegation(rdata: bytes) -> DelegationSigner:
    return DelegationSigner(int.from_bytes(rdata[:2], "big"), rdata[2], rdata[3], rdata[4:])


def _track(runs: list[_Run], contents: list[tuple[bytes, ...]]) -> Track:
    number = {content: index for index, content in enumerate(contents)}
    rows = sorted((first, last, place, number[c], ttl) for first, last, place, ttl, c in runs)
    table = np.array(rows, np.int64).reshape(-1, 5)
    first, last, place, item, ttl = (np.ascontiguousarray(table[:, i]) for i in range(5))
    return Track(place=place, first=first, last=last, ttl=ttl, item=item)
