"""Steps of a roll that came too early: what caches still held did not fit what servers gave.

A roll is safe if whatever caches hold fits whatever servers give (RFC 6781 4.1, RFC 7583 2). There
are four ways to break that, and each is a step that came too early against one TTL:

- `sign`: signatures by a new key come while caches may hold the DNSKEY RRset without it.
- `withdraw-zsk`: a key goes while caches may hold signatures by it alone.
- `withdraw-ksk`: keys that a DS names go while caches may hold that DS.
- `change-ds`: the DS goes over to keys that cached DNSKEY RRsets do not hold.

*By how much* is what can be proven: the old was last seen at one time and may be held for its TTL
from then on; the new was first seen at another. The true step was no later than it was seen, and
the old was given no earlier than it was seen, so the step was early by at least the difference.

This is what caches *could* see. Whether anyone was hurt is told by incidents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from forensics import limits
from forensics.timeline.keysets import Key, Run
from forensics.timeline.moments import Moment

LATE: Final = 2 * limits.SECOND
"""Servers may be so far apart without any cache at fault, and TTLs count whole seconds."""


class Signed(NamedTuple):
    """Signatures by one key of a zone that verify, at its servers.

    Attributes:
        key: whose.
        over_keys: they cover the DNSKEY RRset.
        first: when the first was seen.
        alone: first and last time that an RRset had none by another key; None: never so.
        together: whether an RRset had one by another key too.
        ttl: seconds, the longest.
    """

    key: Key
    over_keys: bool
    first: Moment
    alone: tuple[Moment, Moment] | None
    together: bool
    ttl: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step that came too early.

    Attributes:
        kind: `sign`, `withdraw-zsk`, `withdraw-ksk` or `change-ds`.
        tag: of the key concerned.
        held: last sighting of what caches may hold.
        ttl: seconds that they may.
        taken: first sighting of what does not fit it.
        early: ns, by how much at least.
    """

    kind: str
    tag: int
    held: Moment
    ttl: int
    taken: Moment
    early: int


class Set(NamedTuple):
    """One DNSKEY or DS RRset of a zone over all its servers; without keys: an answer of none."""

    keys: frozenset[Key]
    first: Moment
    last: Moment
    ttl: int


def sets(runs: Iterable[Run], kind: int) -> list[Set]:
    """Give the distinct sets of one type, in order of first sighting."""
    found: dict[frozenset[Key], Set] = {}
    for run in runs:
        if run.type != kind:
            continue
        keys = frozenset(run.keys)
        held = found.get(keys, Set(keys, run.first, run.last, run.ttl))
        first, last = min(held.first, run.first), max(held.last, run.last)
        found[keys] = Set(keys, first, last, max(held.ttl, run.ttl))
    return sorted(found.values(), key=lambda one: (one.first, sorted(one.keys)))


def early_steps(
    dnskeys: Sequence[Set], delegations: Sequence[Set], signed: Sequence[Signed]
) -> list[Step]:
    """Find the steps of a zone that came too early, the worst of each kind, in order of time.

    Args:
        dnskeys: its DNSKEY RRsets, in order of first sighting.
        delegations: its DS RRsets, likewise.
        signed: what its keys signed.
    """
    found = [
        *_signs(dnskeys, signed),
        *_withdrawn(dnskeys, signed),
        *_keys_gone(dnskeys, delegations),
        *_delegation_changed(dnskeys, delegations),
    ]
    worst: dict[str, Step] = {}
    for step in found:
        if step.early > LATE and (step.kind not in worst or worst[step.kind].early < step.early):
            worst[step.kind] = step
    return sorted(worst.values(), key=lambda step: (step.taken, step.kind))


def _step(kind: str, tag: int, held: Moment, ttl: int, taken: Moment) -> Step:
    """Give a step, with by how much it came before a cache filled at `held` runs out."""
    early = min(held.time, taken.time) + ttl * limits.SECOND - taken.time
    return Step(kind, tag, held, ttl, taken, early)


def _signs(dnskeys: Sequence[Set], signed: Sequence[Signed]) -> list[Step]:
    """A new key signs data alone while caches may hold a DNSKEY RRset without it."""
    found = []
    for one in signed:
        if one.over_keys or one.alone is None or not dnskeys or one.key in dnskeys[0].keys:
            continue
        begin = one.alone[0]
        if not any(one.key in held.keys for held in dnskeys):
            continue  # never published: no roll, but a fault of its own
        found += [
            _step("sign", one.key.tag, held.last, held.ttl, begin)
            for held in dnskeys
            if one.key not in held.keys and held.first.time < begin.time
        ]
    return found


def _withdrawn(dnskeys: Sequence[Set], signed: Sequence[Signed]) -> list[Step]:
    """A key leaves the DNSKEY RRset while caches may hold signatures by it alone."""
    found = []
    for one in signed:
        with_it = [held for held in dnskeys if one.key in held.keys]
        if one.over_keys or one.alone is None or not with_it:
            continue
        last = max(held.last.time for held in with_it)
        found += [
            _step("withdraw-zsk", one.key.tag, one.alone[1], one.ttl, held.first)
            for held in dnskeys
            # As long as servers differ, or where the key comes back, it is not gone.
            if one.key not in held.keys and held.first.time > last - LATE
        ]
    return found


def _named(delegation: Set, dnskeys: Sequence[Set]) -> list[bool]:
    """Tell which sets hold a key by whose tag and algorithm some DS of another set is."""
    named = {(key.tag, key.algorithm) for key in delegation.keys}
    return [any((key.tag, key.algorithm) in named for key in one.keys) for one in dnskeys]


def _keys_gone(dnskeys: Sequence[Set], delegations: Sequence[Set]) -> list[Step]:
    """What a DS names goes from the DNSKEY RRset while caches may hold that DS."""
    found = []
    for held in delegations:
        fits = _named(held, dnskeys)
        fitting = [one.first for fits_it, one in zip(fits, dnskeys, strict=True) if fits_it]
        if not fitting or not held.keys:
            continue
        tag = min(held.keys).tag
        found += [
            _step("withdraw-ksk", tag, held.last, held.ttl, after.first)
            for fits_it, after in zip(fits[1:], dnskeys[1:], strict=True)
            if not fits_it and fitting[0] < after.first and held.first.time < after.first.time
        ]
    return found


def _delegation_changed(dnskeys: Sequence[Set], delegations: Sequence[Set]) -> list[Step]:
    """The DS goes over to keys that cached DNSKEY RRsets do not hold."""
    found = []
    for after in delegations[1:]:
        fits = _named(after, dnskeys)
        found += [
            _step("change-ds", min(after.keys).tag, held.last, held.ttl, after.first)
            for fits_it, held in zip(fits, dnskeys, strict=True)
            if any(fits) and not fits_it and held.first.time < after.first.time
        ]
    return found
