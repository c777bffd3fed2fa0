"""The first walk over the sightings: which zones were bad, for which reason, from when to when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits, vocabulary
from forensics.timeline.evidence import Catalog, Evidence, Judge, Places
from forensics.timeline.judged import AUTHORITY, RESOLVER, Judged, judged
from forensics.timeline.kernels import BAD, GOOD
from forensics.timeline.moments import Moment

BIN: Final = 600 * limits.SECOND
"""Bad sightings are gathered in bins of this length; within a bin no pause is seen."""

PAUSE: Final = 6 * 3600 * limits.SECOND
"""A zone that was not bad for longer than this had another incident after it. Serials of large
zones change each hour or more often: flapping between them is one incident."""

WINDOW_OCTETS: Final = 2**26
"""Memory for what is noted of each bin: 64 MiB hold a week of 1,000 bins with 128,000 signers."""

CHANGE_PAUSE: Final = 2 * BIN
"""With another reason than before, a pause of this length is enough."""

TIME_REASONS: Final = frozenset(
    vocabulary.REASON_CODE[name] for name in ("signature-expired", "signature-not-yet-valid")
)
"""Reasons that a wrong clock gives to healthy signatures."""

Key = tuple[int, int, int, int, int, bool, bool]


@dataclass(slots=True)
class Spell:
    """Bad sightings of one zone, reason, side and place within a bin, or several merged.

    `cached`: caches with older keys or DS alone refuse them (`Evidence.caches`).
    """

    zone: str
    reason: int
    side: int
    place: int
    first: Moment
    last: Moment
    bad: int
    weak: int
    cached: bool = False


@dataclass(slots=True)
class Survey:
    """What the first walk found.

    Attributes:
        spells: the bad sightings, in order of zone and time.
        asked: bool (P), places whose queries the capture holds.
        statuses: int64 (5), sightings by vocabulary.Status.
        outside, inside: bool (2 sides, S signers): some signature was seen outside, inside its
            window of validity.
        failing: bool (2 sides, 2, S signers): the same, outside and inside, in those bins of time
            alone in which something was outside: a clock may be set in mid-capture.
        witnessed: whether some signature was seen inside its window in those bins, or in one next
            to them.
        outside_at: places that showed a signature outside its window, by side.
        soft: zones whose data was good although a reason is noted: near misses.
        sightings: how many there were.
    """

    spells: list[Spell]
    asked: NDArray[np.bool_]
    statuses: NDArray[np.int64]
    outside: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    failing: NDArray[np.bool_]
    witnessed: bool = False
    outside_at: tuple[set[int], set[int]] = field(default_factory=lambda: (set(), set()))
    soft: list[Spell] = field(default_factory=list)
    sightings: int = 0


def survey(
    evidence: Evidence,
    judge: Judge,
    catalog: Catalog,
    places: Places,
    *notes: Callable[[Judged], None],
) -> Survey:
    """Walk over all sightings once; each of `notes` is called with each batch on the way."""
    found: dict[Key, list[int]] = {}
    soft: dict[Key, list[int]] = {}
    signers = max(len(catalog.signers), 1)
    result = Survey(
        spells=[],
        asked=np.zeros(len(places.server), dtype=bool),
        statuses=np.zeros(len(vocabulary.STATUSES), dtype=np.int64),
        outside=np.zeros((2, signers), dtype=bool),
        inside=np.zeros((2, signers), dtype=bool),
        failing=np.zeros((2, 2, signers), dtype=bool),
    )
    windows = _Windows(signers)
    cached = _cached(evidence, catalog)
    for rows in judged(evidence, judge, catalog, places):
        result.sightings += len(rows.time)
        for note in notes:
            note(rows)
        result.asked[rows.place[rows.paired]] = True
        result.statuses += np.bincount(rows.status, minlength=len(vocabulary.STATUSES))[:5]
        _note_windows(result, windows, catalog, rows)
        _gather(found, rows, rows.outcome == BAD, cached)
        _gather(soft, rows, (rows.outcome == GOOD) & (rows.reason != 0), cached)
    result.failing = windows.failing()
    result.witnessed = windows.witnessed()
    result.spells = _spells(found, judge, result.asked)
    result.soft = _spells(soft, judge, result.asked)
    return result


class _Windows:
    """Which signers' signatures were seen outside and inside their windows, by bin of time."""

    def __init__(self, signers: int) -> None:
        self.signers = signers
        self.most = max(WINDOW_OCTETS // (signers // 2 + 64), 1)
        self.bins: dict[int, NDArray[np.uint8]] = {}

    def note(
        self, side: int, bins: NDArray[np.int64], signer: NDArray[np.int64], out: NDArray[np.bool_]
    ) -> None:
        """Note N sightings of one side."""
        for number in np.unique(bins).tolist():
            chosen = bins == number
            seen = np.zeros((2, 2, self.signers), dtype=bool)
            seen[side, 0, signer[chosen & out]] = True
            seen[side, 1, signer[chosen & ~out]] = True
            packed = np.packbits(seen, axis=2)
            if number in self.bins:
                self.bins[number] |= packed
            elif len(self.bins) < self.most:
                self.bins[number] = packed

    def failing(self) -> NDArray[np.bool_]:
        """Join the bins in which something was outside: (2 sides, outside and inside, S)."""
        found = np.zeros((2, 2, self.signers), dtype=bool)
        for packed in self.bins.values():
            if packed[:, 0].any():
                found |= np.unpackbits(packed, axis=2, count=self.signers).astype(bool)
        return found

    def witnessed(self) -> bool:
        """Whether something was inside its window in a bin that fails, or next to one."""
        return any(
            (near := self.bins.get(number + step)) is not None and bool(near[:, 1].any())
            for number, packed in self.bins.items()
            if packed[:, 0].any()
            for step in (-1, 0, 1)
        )


def _note_windows(result: Survey, windows: _Windows, catalog: Catalog, rows: Judged) -> None:
    """Note which signers' signatures were seen outside of their own window (RFC 4035 5.3.1)."""
    seconds = rows.time // limits.SECOND
    early = _behind(seconds, catalog.inception[rows.signature])
    late = _behind(catalog.expiration[rows.signature], seconds)
    signer = catalog.signer[rows.signature]
    usable = ~(rows.stray & result.asked[rows.place])
    for side in (AUTHORITY, RESOLVER):
        chosen = usable & (rows.side == side)
        out = early | late
        windows.note(side, rows.time[chosen] // BIN, signer[chosen], out[chosen])
        result.outside[side, signer[chosen & out]] = True
        result.inside[side, signer[chosen & ~(early | late)]] = True
        result.outside_at[side].update(np.unique(rows.place[chosen & (early | late)]).tolist())


def _behind(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell where `first` lies before `second` in serial arithmetic of 32 bits (RFC 1982)."""
    distance = (second - first) & 0xFFFFFFFF
    return (distance > 0) & (distance < 0x80000000)


def _cached(evidence: Evidence, catalog: Catalog) -> NDArray[np.bool_]:
    """Tell which signatures stand for what caches alone refuse."""
    found = np.zeros(len(catalog.signer), dtype=bool)
    found[[number for number in evidence.caches if number < len(found)]] = True
    return found


def _gather(
    found: dict[Key, list[int]],
    rows: Judged,
    mask: NDArray[np.bool_],
    cached: NDArray[np.bool_],
) -> None:
    """Merge the chosen rows by zone, reason, side, place, bin, being stray, and being cached."""
    at = np.flatnonzero(mask & (rows.zone >= 0))
    if not len(at):
        return
    at = at[np.lexsort((rows.signature[at], rows.where[at], rows.time[at]))]
    keys = np.stack(
        [
            rows.zone[at].astype(np.int64),
            rows.reason[at].astype(np.int64),
            rows.side[at],
            rows.place[at],
            rows.time[at] // BIN,
            rows.stray[at].astype(np.int64),
            cached[rows.signature[at]].astype(np.int64),
        ]
    )
    order = np.lexsort(keys[::-1])  # stable: within a key the rows stay in order of time
    keys, at = keys[:, order], at[order]
    starts = np.flatnonzero(np.r_[True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)])
    ends = np.r_[starts[1:], len(at)]
    weak = np.add.reduceat(rows.weak[at].astype(np.int64), starts)
    for start, end, soft in zip(starts.tolist(), ends.tolist(), weak.tolist(), strict=True):
        zone, reason, side, place, bucket, stray, of_caches = keys[:, start].tolist()
        key = (zone, reason, side, place, bucket, bool(stray), bool(of_caches))
        first, last = _moment(rows, at[start]), _moment(rows, at[end - 1])
        held = found.get(key)
        if held is None:
            found[key] = [*first, *last, end - start, soft]
        else:
            held[:4] = min(tuple(held[:4]), first)
            held[4:8] = max(tuple(held[4:8]), last)
            held[8] += end - start
            held[9] += soft


def _moment(rows: Judged, at: int) -> tuple[int, int, int, int]:
    """Give a row's moment."""
    where = int(rows.where[at])
    return int(rows.time[at]), where >> 32, where & 0xFFFFFFFF, int(rows.signature[at])


def _spells(found: dict[Key, list[int]], judge: Judge, asked: NDArray[np.bool_]) -> list[Spell]:
    """Turn what was gathered to spells; strays of places whose queries are held say nothing."""
    spells = [
        Spell(
            judge.zones[zone],
            reason,
            side,
            place,
            Moment(*held[:4]),
            Moment(*held[4:8]),
            bad=held[8],
            weak=held[9],
            cached=of_caches,
        )
        for (zone, reason, side, place, _, stray, of_caches), held in found.items()
        if not (stray and asked[place])
    ]
    return sorted(spells, key=lambda spell: (spell.zone, spell.first, spell.reason, spell.place))


@dataclass(slots=True)
class Episode:
    """One cause as far as time tells: the bad sightings of a zone without a long pause.

    Attributes:
        zone: whose link is broken.
        side: AUTHORITY, or RESOLVER where only resolvers showed it.
        first, last: the outermost bad sightings.
        low, high: the time in which sightings belong to this episode, ns, inclusive.
        spells: what it is made of.
    """

    zone: str
    side: int
    first: Moment
    last: Moment
    low: int
    high: int
    spells: list[Spell]


def episodes(spells: list[Spell]) -> list[Episode]:
    """Cut the spells of each zone into episodes, in order of zone, side and time."""
    groups: dict[tuple[str, int], list[list[Spell]]] = {}
    for spell in sorted(spells, key=lambda spell: (spell.zone, spell.side, spell.first)):
        runs = groups.setdefault((spell.zone, spell.side), [])
        if runs and not _is_apart(runs[-1], spell):
            runs[-1].append(spell)
        else:
            runs.append([spell])
    found = []
    for (zone, side), runs in groups.items():
        ends = [max(spell.last for spell in run) for run in runs]
        for number, run in enumerate(runs):
            low = ends[number - 1].time + 1 if number else -(2**62)
            high = runs[number + 1][0].first.time - 1 if number + 1 < len(runs) else 2**62
            found.append(Episode(zone, side, run[0].first, ends[number], low, high, run))
    return found


def _is_apart(run: list[Spell], spell: Spell) -> bool:
    """Whether a spell is another incident than the run before it."""
    pause = spell.first.time - max(held.last for held in run).time
    same = any(held.reason == spell.reason for held in run)
    return pause > (PAUSE if same else CHANGE_PAUSE)
