"""What the sightings around an instant say: which RRsets were served, and whether well signed."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from forensics.knowledge import NOTHING, Track

Run = tuple[int, int, int, int]
"""first, last and TTL in ns, and the number of the RRset"""

_ABSENT: Final = "dnskey-unsigned-by-ds-key"

UNPROVEN: Final = "?"
"""The reason of an event that shows neither good nor bad."""


class Event(NamedTuple):
    """From `first` to `last` a server showed an RRset with signatures that were `good`, or not."""

    first: int
    last: int
    reason: str
    """empty: good"""
    zone: str


class Possible(NamedTuple):
    """The RRsets that may have been served at an instant, and how well that is known."""

    items: tuple  # type: ignore[type-arg]
    is_known: bool
    """sightings on both sides, or one before within its TTL"""
    is_firm: bool
    """sightings on both sides"""


def rows_of(track: Track) -> list[Run]:
    """Return (first, last, ttl, item) of each run."""
    return list(
        zip(
            track.first.tolist(),
            track.last.tolist(),
            track.ttl.tolist(),
            track.item.tolist(),
            strict=True,
        )
    )


def merged(*tracks: Track) -> Track:
    """Return the runs of several tracks as one."""
    names = ("place", "first", "last", "ttl", "item")
    return Track(*(np.concatenate([getattr(t, name) for t in tracks]) for name in names))


def at_place(track: Track, place: int) -> Track:
    """Return the runs at one place; all runs where it has none of its own."""
    chosen = track.place == place
    if not chosen.any():
        return track
    return Track(
        *(getattr(track, name)[chosen] for name in ("place", "first", "last", "ttl", "item"))
    )


def _around(rows: list[Run], t: int) -> tuple[list[int], list[int], list[int], bool]:
    """Return the items of runs around t, latest before, first after, and whether within TTL."""
    covering = [item for first, last, _, item in rows if first <= t <= last]
    latest = max((last for _, last, _, _ in rows if last < t), default=None)
    soonest = min((first for first, _, _, _ in rows if first > t), default=None)
    before = [row for row in rows if row[1] == latest]
    after = [row for row in rows if row[0] == soonest]
    # What ended before the last of what covers t began is of an earlier time, and what began
    # after the first of it ended of a later one.
    holding = [row for row in rows if row[0] <= t <= row[1]]
    if holding:
        before = [row for row in before if row[1] >= max(held[0] for held in holding)]
        after = [row for row in after if row[0] <= min(held[1] for held in holding)]
    # What is seen later alone says nothing of now: an operator may have changed it in between.
    fresh = any(t - row[1] <= row[2] for row in before)
    return covering, [row[3] for row in before], [row[3] for row in after], fresh


def possible(rows: list[Run], t: int, *, single: bool) -> Possible:
    """Return the RRsets that may have been served at t; `single`: the runs are of one place."""
    covering, before, after, fresh = _around(rows, t)
    if covering and single:
        return Possible(tuple(sorted(set(covering))), is_known=True, is_firm=True)
    firm = bool(covering or (before and after))
    items = tuple(sorted({*covering, *before, *after}))
    return Possible(items, firm or fresh, firm)


def is_held(rows: list[Run], t: int) -> bool:
    """Whether caches hold the RRset at t: it is what was seen last, and its TTL has not run out."""
    latest = max((min(row[1], t) for row in rows if row[0] <= t), default=None)
    if latest is None:
        return False
    last = [row for row in rows if row[0] <= t and min(row[1], t) == latest]
    return all(row[3] != NOTHING and t - latest <= row[2] for row in last)


def current(rows: list[Run], t: int) -> list[int]:
    """Return the RRsets of the latest sightings at or before t, else of the first after."""
    covering, before, after, _ = _around(rows, t)
    return sorted({*covering, *before}) or sorted(set(after))


def outcome(events: list[Event], t: int, ttl: int) -> Event | None:
    """Return what the sightings around t prove: a good event, a bad one, or None.

    Bad is proven where a server shows it at t; else by bad sightings on both sides; else by one
    side alone: before t within the TTL, never after it, for what is bad may be new. Between a good
    one and a bad one nobody knows on which side of the change t lies, nor before the first bad one
    or long after the last: an event that is `UNPROVEN`.
    """
    covering = [e for e in events if e.first <= t <= e.last]
    if covering:
        best = _best(covering)
        return None if best is not None and best.reason == UNPROVEN else best
    latest = max((e.last for e in events if e.last < t), default=None)
    soonest = min((e.first for e in events if e.first > t), default=None)
    before = _best([e for e in events if e.last == latest])
    after = _best([e for e in events if e.first == soonest])
    sides = [side for side in (before, after) if side is not None]
    good = [side for side in sides if not side.reason]
    if good and any(side.reason not in {"", UNPROVEN} for side in sides):
        return good[0]._replace(reason=UNPROVEN)
    if good:
        return good[0]
    if any(side.reason == UNPROVEN for side in sides):
        return None
    if not sides:
        return None
    if before is not None and latest is not None and (after is not None or t - latest <= ttl):
        return before
    return sides[0]._replace(reason=UNPROVEN)


def _best(events: list[Event]) -> Event | None:
    """Return the event that counts of several at once: a good one, an open one, one by a DS key."""
    return min(
        events,
        key=lambda e: (e.reason != "", e.reason != UNPROVEN, e.reason == _ABSENT, e.reason, e.zone),
        default=None,
    )
