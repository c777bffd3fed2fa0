"""Whether a signature's key was published at an instant, as far as the key sets seen can say.

The rules of DESIGN section 4 (what is known of keys at time t), for one class of signatures: those
of one signer, tag and algorithm that the same keys verify. All its members share one function of
time at each place; only their own validity periods differ.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from forensics.knowledge import ALWAYS, FOREVER, ZoneKeys
from forensics.limits import BURST, JUDGE_WORK
from forensics.validation.steps import State, Steps, evaluate, join
from forensics.vocabulary import Status

LACK: Final = 0
"""the key set holds no key that verifies the signature, nor, if none is known, one with its tag"""
TAG: Final = 1
"""no known key verifies the signature, and the key set holds one with its tag and algorithm"""
UNFIT: Final = 2
"""the key set holds a key that verifies, but revoked or without the Zone Key bit"""
HOLD: Final = 3
"""the key set holds a key that verifies and may be used"""

EVERYWHERE: Final = -1
"""The place that stands for all places without key set sightings of their own."""


class Segment(NamedTuple):
    """Sightings at one place, in a row, of key sets that say the same of the class."""

    first: int
    last: int
    code: int
    ttl: int
    """of the segment's last run, ns"""


class Showing(NamedTuple):
    """A segment that speaks for the key, and how far it may have been so around it.

    From `after` (the last sighting before it that said otherwise) to `before` (the first that says
    otherwise again), both exclusive.
    """

    place: int
    first: int
    last: int
    code: int
    after: int
    before: int
    ttl: int
    """of the segment's last run, ns"""

    def tells(self, t: int) -> bool:
        """Whether it speaks for the instant t, between sightings that say otherwise.

        A tag alone is weak ground: another key that was never captured may bear it too. It holds
        at its sightings and within the TTL after them.
        """
        if not self.after < t < self.before:
            return False
        return self.code != TAG or self.first - BURST <= t <= self.last + self.ttl


class Window(NamedTuple):
    """Where to look for other places' key sets that hold the key, at an instant t.

    From `begin` to `end`, inclusive; with `moves` these are counted from t. With `proves`, nothing
    shown there proves the key missing.
    """

    begin: int
    end: int
    proves: bool
    moves: bool = False

    def at(self, t: int) -> tuple[int, int]:
        """Return the window's ends at the instant t."""
        return (t + self.begin, t + self.end) if self.moves else (self.begin, self.end)


_INSTANT: Final = 4
"""Comparisons that judging one instant at one place costs as much as."""


@dataclass
class Budget:
    """Work left for one zone (limits.JUDGE_WORK), spent in a fixed order."""

    left: int = JUDGE_WORK

    def spend(self, cost: int) -> bool:
        """Take `cost` off; False once there is not enough left."""
        self.left -= cost
        return self.left >= 0


def sighted(zone: ZoneKeys) -> dict[int, list[int]]:
    """Return the instants at each place of which the runs tell that the key set was seen."""
    track = zone.published
    found: dict[int, set[int]] = {}
    for place, first, last in zip(
        track.place.tolist(), track.first.tolist(), track.last.tolist(), strict=True
    ):
        found.setdefault(place, set()).update((first, last))
    return {place: sorted(times) for place, times in found.items()}


@dataclass(frozen=True)
class Publication:
    """The publication of one class's keys through time.

    Attributes:
        zone: what is known of the signer's keys.
        verified: indices of the keys that verify the class's signatures.
        tried: indices of the keys with its tag and algorithm.
        unfit: what makes a verifying key unfit: its reason, by key index.
        low, high: ns, the domain.
        budget: what the zone may cost.
        sighted: ns, the instants at each place of which the runs tell that the key set was seen.
        caches: places of resolvers.
        is_limited: the zone has cost enough already; nothing is claimed.
    """

    zone: ZoneKeys
    verified: frozenset[int]
    tried: frozenset[int]
    unfit: dict[int, str]
    low: int
    high: int
    budget: Budget
    sighted: dict[int, list[int]]
    caches: frozenset[int] = frozenset()
    is_limited: bool = False

    @cached_property
    def codes(self) -> tuple[int, ...]:
        """What each of the zone's key sets says of the class."""
        return tuple(self._code(keys) for keys in self.zone.key_sets)

    def _code(self, keys: frozenset[int]) -> int:
        held = keys & self.verified
        if held - self.unfit.keys():
            return HOLD
        if held:
            return UNFIT
        return TAG if not self.verified and keys & self.tried else LACK

    @cached_property
    def segments(self) -> dict[int, list[Segment]]:
        """The segments by place, in order of time."""
        track = self.zone.published
        found: dict[int, list[Segment]] = {}
        for place, first, last, ttl, item in zip(
            track.place.tolist(),
            track.first.tolist(),
            track.last.tolist(),
            track.ttl.tolist(),
            track.item.tolist(),
            strict=True,
        ):
            own = found.setdefault(place, [])
            code = self.codes[item]
            if own and own[-1].code == code:
                own[-1] = Segment(own[-1].first, max(last, own[-1].last), code, ttl)
            else:
                # Runs of one place follow each other; where a table says otherwise, cut.
                start = max(first, own[-1].last + 1) if own else first
                own.append(Segment(start, max(start, last), code, ttl))
        return found

    @cached_property
    def showings(self) -> list[Showing]:
        """Every segment that is not LACK, at all places."""
        found = []
        for place, own in sorted(self.segments.items()):
            for index, segment in enumerate(own):
                if segment.code != LACK:
                    after = own[index - 1].last if index else ALWAYS
                    before = own[index + 1].first if index + 1 < len(own) else FOREVER
                    found.append(Showing(place, *segment[:3], after, before, segment.ttl))
        return found

    @cached_property
    def first_held(self) -> int:
        """When a key set that holds the key was first seen anywhere; FOREVER: never."""
        if self.is_steady:
            return int(self.zone.published.first.min())
        return min((s.first for s in self.showings if s.code == HOLD), default=FOREVER)

    @cached_property
    def is_steady(self) -> bool:
        """Whether every key set ever seen holds the key: then all places agree at all times."""
        return not self.is_limited and bool(self.codes) and set(self.codes) == {HOLD}

    @cached_property
    def is_new_algorithm(self) -> bool:
        """Whether the key sets without the key have no key of its algorithm either.

        So an algorithm roll begins: the signatures come before the keys (RFC 6781 4.1.4), beside
        those of the algorithm before. That a key lacked then says nothing of later.
        """
        algorithms = {self.zone.keys[k].algorithm for k in self.tried}
        return bool(algorithms) and all(
            self.zone.keys[k].algorithm not in algorithms
            for keys, code in zip(self.zone.key_sets, self.codes, strict=True)
            if code == LACK
            for k in keys
        )

    def differs_at(self, place: int) -> bool:
        """Whether the place has key set sightings that may tell another story than all together."""
        return not (self.is_limited or self.is_steady) and place in self.segments

    def steps(self, place: int, seen: Sequence[int] = ()) -> Steps[State]:
        """Return the verdict at `place` through time, before validity periods.

        Args:
            place: a place, or EVERYWHERE.
            seen: ns, sorted: instants at which signatures of the class were seen there; what was
                once proven missing stays so for them.
        """
        if self.is_limited:
            return ((self.low, self._limit()),)
        if self.is_steady:
            return evaluate(
                (self.first_held - BURST,), self.low, self.high, lambda t: self._valid(t, False)
            )
        own = self.segments.get(place, [])
        cuts: set[int] = set()
        for instant in self.sighted.get(place, ()):
            cuts.update((instant, instant + 1))
        for segment in own:
            cuts.update((segment.first - BURST, segment.last + BURST + 1))
            if segment.code == TAG:
                cuts.add(segment.last + segment.ttl + 1)
        cuts.add(self.first_held - BURST)
        if not self.budget.spend(_INSTANT * len(cuts)):
            return ((self.low, self._limit()),)
        alone = evaluate(cuts, self.low, self.high, lambda t: self._alone(place, own, t))
        rows: list[tuple[int, State]] = []
        for index, (start, answer) in enumerate(alone):
            end = alone[index + 1][0] if index + 1 < len(alone) else self.high + 1
            if isinstance(answer, State):
                rows.append((start, answer))
            else:
                rows.extend(self._asked(place, own, answer, start, end - 1))
        steps = self._kept_proven(own, join(rows), seen)
        return self._aged(steps) if place in self.caches else steps

    def _aged(self, steps: Steps[State]) -> Steps[State]:
        """Take back that a resolver's answer lacks a key which had been published before.

        The answer may be as old as the key: fetched and checked when both were there, and kept
        beyond its TTL since (RFC 8767). A key that nobody published before stays missing.
        """
        old = State(Status.INDETERMINATE, "dnskey-not-captured", False, self.zone.zone)
        lacks = {self._missing(), self._missing(weak=True)}
        return join(
            (start, old if state in lacks and start > self.first_held else state)
            for start, state in steps
        )

    def _alone(self, place: int, own: list[Segment], t: int) -> State | Window:
        """Judge one instant by the place's own key sets; a window where others have a say."""
        index = bisect_right(own, t, key=lambda s: s.first) - 1
        before = own[index] if index >= 0 else None
        after = own[index + 1] if index + 1 < len(own) else None
        if before is not None and t <= before.last:
            if before.code != LACK:
                return self._shown(before.code, t, weak=False)
            return Window(*self._bracket(place, t), proves=True)
        distances = []
        if before is not None:
            distances.append((t - before.last, before))
        if after is not None:
            distances.append((after.first - t, after))
        near = {side.code for distance, side in distances if distance <= BURST}
        if near == {LACK} and not self._is_limbo(t, before, after):
            # The key set of the same burst of exchanges lacks it.
            return Window(-BURST, BURST, proves=True, moves=True)
        best = max((side.code for _, side in distances), default=LACK)
        if best == TAG:
            # Another key with this tag, never captured, may have come or gone: the key set counts
            # within its TTL, and in the burst of exchanges that it was fetched in.
            held = before is not None and before.code == TAG and t - before.last <= before.ttl
            if held or (after is not None and after.code == TAG and after.first - t <= BURST):
                return self._shown(TAG, t, weak=False)
        elif best != LACK:
            return self._shown(best, t, weak=any(side.code != best for _, side in distances))
        return Window(ALWAYS, FOREVER, proves=False)

    def _is_limbo(self, t: int, before: Segment | None, after: Segment | None) -> bool:
        """Whether the key may have come or gone between the sightings around t.

        So it may where the place shows it on the other side, and where the next key set that any
        place shows holds it: a zone that is loaded anew gets its keys and signatures at once.
        """
        if before is not None and after is not None:
            return before.code != after.code
        if after is not None:
            return False
        later = [s for own in self.segments.values() for s in own if s.last > t]
        soonest = min((max(s.first, t) for s in later), default=None)
        return any(s.code == HOLD for s in later if max(s.first, t) == soonest)

    def _asked(
        self, place: int, own: list[Segment], window: Window, low: int, high: int
    ) -> Steps[State]:
        """Judge [low, high] at the place by what the other places showed within the window."""
        others = [
            s for s in self.showings if s.place != place and s.after < high and s.before > low
        ]
        cuts = {self.first_held - BURST}
        for key in self.verified | self.tried:
            for first, last in self.zone.keys[key].spans:
                cuts.update((first, last + 1))
        for showing in others:
            cuts.update((showing.after + 1, showing.before))
            if window.moves or showing.code == TAG:
                cuts.update((showing.first - BURST, showing.last + BURST + 1))
            if showing.code == TAG:
                cuts.add(showing.last + showing.ttl + 1)
        agreeing = not own and bool(others)
        if agreeing:
            for segments in self.segments.values():
                cuts.update(segment.first for segment in segments)
        cuts = {cut for cut in cuts if low < cut <= high}
        cost = (len(cuts) + 1) * (len(others) + (len(self.segments) if agreeing else 0) + 1)
        if not self.budget.spend(cost):
            return ((low, self._limit()),)

        def judge(t: int) -> State:
            begin, end = window.at(t)
            code = max(
                (s.code for s in others if s.first <= end and s.last >= begin and s.tells(t)),
                default=LACK,
            )
            if window.proves:
                return self._shown(code, t, weak=True) if code != LACK else self._missing()
            if code != LACK:
                weak = code != HOLD or bool(own) or not self._agreed(t)
                return self._shown(code, t, weak=weak)
            return self._supplied(t)

        return evaluate(cuts, low, high, judge)

    def _bracket(self, place: int, t: int) -> tuple[int, int]:
        """Return the sightings at the place next to t on either side."""
        times = self.sighted[place]
        low = times[max(bisect_right(times, t) - 1, 0)]
        return low, times[min(bisect_left(times, t), len(times) - 1)]

    def _agreed(self, t: int) -> bool:
        """Whether all places' nearest earlier, else next, key sets hold the key."""
        for segments in self.segments.values():
            index = max(bisect_right(segments, t, key=lambda s: s.first) - 1, 0)
            if segments[index].code != HOLD:
                return False
        return True

    def _shown(self, code: int, t: int, *, weak: bool) -> State:
        if code == HOLD:
            return self._valid(t, weak)
        if code == UNFIT:
            reason = min(self.unfit[k] for k in self.verified if k in self.unfit)
            return State(Status.BOGUS, reason, weak, self.zone.zone)
        return State(Status.BOGUS, "signature-invalid", weak, self.zone.zone, timed=False)

    def _valid(self, t: int, weak: bool) -> State:
        later = t < self.first_held - BURST
        return State(Status.VALID, "none", weak, self.zone.zone, later)

    def _missing(self, *, weak: bool = False) -> State:
        return State(Status.BOGUS, "dnskey-missing", weak, self.zone.zone, timed=False)

    def _limit(self) -> State:
        return State(Status.INDETERMINATE, "limit-reached", False, self.zone.zone)

    def _supplied(self, t: int) -> State:
        """Judge by the user's keys what no key set seen can decide."""
        given = {k for k in self.verified | self.tried if self.zone.keys[k].is_supplied_at(t)}
        if given & self.verified - self.unfit.keys():
            return State(Status.VALID, "none", True, self.zone.zone)
        if given & self.tried and not self.verified:
            return self._shown(TAG, 0, weak=True)
        return State(Status.INDETERMINATE, "dnskey-not-captured", False, self.zone.zone)

    def _kept_proven(
        self, own: list[Segment], steps: Steps[State], seen: Sequence[int]
    ) -> Steps[State]:
        """Let what was proven missing last until a key set seen holds the key."""
        missing = self._missing()
        rows: list[tuple[int, State]] = []
        proven_until = ALWAYS
        for index, (start, state) in enumerate(steps):
            end = steps[index + 1][0] if index + 1 < len(steps) else self.high + 1
            if state == missing:
                rows.append((start, state))
                at = bisect_left(seen, start)
                if at < len(seen) and seen[at] < end:
                    held = (s.first for s in self.showings if s.code == HOLD)
                    proven_until = min((h for h in held if h > seen[at]), default=FOREVER)
                continue
            until = min(end, proven_until)
            if until <= start or state.status not in {Status.VALID, Status.INDETERMINATE}:
                rows.append((start, state))
                continue
            lacking = [s for s in own if s.code == LACK and s.first <= start]
            fresh = max((s.last + s.ttl + 1 for s in lacking), default=ALWAYS)
            if start < fresh:
                rows.append((start, missing))
            if fresh < until:
                later = state if self.is_new_algorithm else self._missing(weak=True)
                rows.append((max(start, fresh), later))
            if until < end:
                rows.append((until, state))
        return join(rows)
