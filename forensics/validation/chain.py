"""The chain of trust through time: from an anchor over DS and DNSKEY RRsets down to each zone.

For each zone, and for each of its servers where one differs, a step function of time says whether
the link to the zone is secure in evidence, broken, insecure, or open (not in the capture). What
breaks at an ancestor is inherited with the ancestor's name, so that all below it counts as its
impact (RFC 4035 5.2, RFC 6840 5.11, DESIGN section 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from forensics.knowledge import NOTHING, DelegationSigner, ZoneKeys
from forensics.limits import CHAIN_DEPTH
from forensics.validation.nearby import (
    UNPROVEN,
    Event,
    Possible,
    Run,
    at_place,
    current,
    is_held,
    merged,
    outcome,
    possible,
    rows_of,
)
from forensics.validation.published import EVERYWHERE, Budget
from forensics.validation.steps import Steps, at, evaluate, starts
from forensics.validation.trust import Trust


class Link(NamedTuple):
    """How a zone is tied to a trust anchor at an instant.

    Attributes:
        kind: secure, open (no more is known), broken, insecure, or limit.
        reason: code in vocabulary.REASONS.
        weak: whether the confidence is weak.
        zone: whose link is broken.
    """

    kind: str
    reason: str = "none"
    weak: bool = False
    zone: str = ""


OPEN: Final = Link("open")
SECURE: Final = Link("secure")


@dataclass
class Chain:
    """The links of all zones, worked out on demand.

    Attributes:
        trust: the pieces.
        budgets: what each zone may cost.
    """

    trust: Trust
    budgets: Mapping[str, Budget]
    _links: dict[tuple[str, int], Steps[Link]] = field(default_factory=dict)

    def link(self, zone: str, place: int = EVERYWHERE) -> Steps[Link]:
        """Return the zone's link through time, as its server at `place` shows it."""
        if place != EVERYWHERE and not self.trust.differs_at(zone, place):
            place = EVERYWHERE
        key = (zone, place)
        if key not in self._links:
            self._links[key] = self._link(zone, place)
        return self._links[key]

    def in_force(self, zone: str, t: int) -> bool:
        """Whether a usable DS of the zone, or an anchor, is known to be in force at t."""
        known, trust = self.trust.zones.get(zone), self.trust
        if known is None:
            return False
        anchored, held = trust.trusted(zone, t)
        if not anchored:
            parent = trust.parent(zone)
            if parent is not None and at(self.link(parent), t).kind not in {"secure", "open"}:
                return False
            rows = rows_of(merged(known.delegated, known.undelegated))
            items = possible(rows, t, single=False)
            is_certain = items.is_known and NOTHING not in items.items
            held = tuple(known.delegations[i] for i in items.items if i != NOTHING)
            if not held or not (is_certain or is_held(rows, t)):
                return False
        return all(trust.usable(content, t) for content in held)

    def depth(self, zone: str) -> int:
        """Return how many zones lie above this one in its chain, as far as they are known."""
        count, above = 0, self.trust.parent(zone)
        while above is not None:  # a parent is a proper ancestor, so this ends
            count, above = count + 1, self.trust.parent(above)
        return count

    def _link(self, zone: str, place: int) -> Steps[Link]:
        known = self.trust.zones.get(zone)
        own_anchors = self.trust.anchors.get(zone, ())
        carriers = self.trust.over_delegations.get(zone, [])
        if known is None or self.depth(zone) > CHAIN_DEPTH:
            return ((self.trust.low, OPEN),)
        if not own_anchors and not len(known.delegated):
            return self._limited(known, ((self.trust.low, OPEN),))
        parent = self.trust.parent(zone)
        above: Steps[Link] = ((self.trust.low, OPEN),)
        if parent is not None:
            above = self.link(parent)
        published = merged(known.published, known.absent)
        delegated = merged(known.delegated, known.undelegated)
        seen = sum(len(c.seen) for c in (*self.trust.over_keys.get(zone, ()), *carriers))
        if not self._spend(zone, len(published) + len(delegated) + seen):
            return self._exhausted(zone)
        delegation_events = self.trust.delegation_events(zone)
        if place != EVERYWHERE:
            published = at_place(published, place)
        cuts = set(starts(above))
        cuts.update(a for anchor in own_anchors for a in (anchor.start, anchor.end))
        cuts.update(self.trust.policy.retired.values())
        ttls = [0, 0]
        plain = self._is_plain(zone, delegation_events)
        for which, track in enumerate(() if plain else (published, delegated)):
            for row in rows_of(track):
                cuts.update((row[0], row[1] + 1, row[0] - row[2], row[1] + row[2] + 1))
                ttls[which] = max(ttls[which], row[2])
        for carrier in (*self.trust.over_keys.get(zone, ()), *carriers):
            cuts.update((carrier.start, carrier.end))
            for _, first, last in () if plain else carrier.seen:
                cuts.update((first, last + 1, *(last + ttl + 1 for ttl in ttls)))
        cuts = {cut for cut in cuts if self.trust.low < cut <= self.trust.high}
        if not self._spend(
            zone, (len(cuts) + 1) * (len(published) + len(delegated) + 2 * seen + 1)
        ):
            return self._exhausted(zone)
        instant = _Instant(
            self.trust,
            known,
            place,
            parent,
            above,
            rows_of(published),
            rows_of(delegated),
            delegation_events,
            *ttls,
        )
        return self._limited(known, evaluate(cuts, self.trust.low, self.trust.high, instant.link))

    def _spend(self, zone: str, cost: int) -> bool:
        return zone not in self.budgets or self.budgets[zone].spend(cost)

    def _exhausted(self, zone: str) -> Steps[Link]:
        return ((self.trust.low, Link("limit", "limit-reached", False, zone)),)

    def _is_plain(self, zone: str, delegation_events: list[Event]) -> bool:
        """Whether sightings cannot change the link: one key set, one DS set, all well signed."""
        trust = self.trust
        return (
            bool(trust.zones[zone].key_sets)
            and trust.is_uniform(zone)
            and not any(event.reason for event in delegation_events)
            and all(
                trust.usable(content, t)
                for t in (trust.low, trust.high)
                for content in trust.trusted(zone, t)[1]
            )
        )

    def _limited(self, known: ZoneKeys, steps: Steps[Link]) -> Steps[Link]:
        """From the first key set left out on, nothing is claimed."""
        if known.dropped_from > self.trust.high:
            return steps
        cut = max(known.dropped_from, self.trust.low)
        kept = tuple(row for row in steps if row[0] < cut)
        return (*kept, (cut, Link("limit", "limit-reached", False, known.zone)))


@dataclass
class _Instant:
    """One zone at one place: what `Chain._link` needs at each instant.

    A DNSKEY RRset that was seen bad is so within its own TTL, whatever that of the DS.
    """

    trust: Trust
    known: ZoneKeys
    place: int
    parent: str | None
    above: Steps[Link]
    published: list[Run]
    delegated: list[Run]
    delegation_events: list[Event]
    key_ttl: int
    delegation_ttl: int

    def link(self, t: int) -> Link:
        """Judge one instant: the highest broken link first."""
        trust, zone = self.trust, self.known.zone
        anchored, held = trust.trusted(zone, t)
        single = self.place != EVERYWHERE
        keys = possible(self.published, t, single=single)
        if anchored:
            delegations = Possible(held, is_known=True, is_firm=True)
            upper = SECURE
        else:
            if not self.delegated:
                return OPEN  # an anchor that does not hold now, and no DS
            upper = at(self.above, t)
            if upper.kind in {"broken", "insecure", "limit"}:
                return upper
            bad = outcome(self.delegation_events, t, self.delegation_ttl)
            if bad is not None and bad.reason == UNPROVEN:
                return OPEN
            if bad is not None and bad.reason:
                return Link("broken", bad.reason, False, bad.zone)
            items = possible(self.delegated, t, single=False)
            shown_sets = [i for i in items.items if i != NOTHING]
            if not shown_sets:
                return OPEN  # the parent answers that there is no DS
            # Where the parent may have had none, no DS is known to be in force.
            certain = items.is_known and len(shown_sets) == len(items.items)
            sets = tuple(self.known.delegations[i] for i in shown_sets)
            delegations = Possible(sets, certain, items.is_firm)
        usable = [trust.usable(d, t) for d in delegations.items]
        if delegations.is_known and usable and not any(usable):
            by_digest = any(
                trust.policy.supports(d.algorithm, t) for s in delegations.items for d in s
            )
            reason = "ds-digest-unsupported" if by_digest else "algorithm-unsupported"
            return Link("insecure", reason, False, zone)
        key_sets = [self.known.key_sets[i] for i in keys.items if i != NOTHING]
        certain = keys.is_known and delegations.is_known and all(usable)
        weak = self.known.by_resolver or (not single and not keys.is_firm)
        if not key_sets:
            # Whatever the parent shows later: caches hold the DS that was seen within its TTL.
            held_now = anchored or certain or is_held(self.delegated, t)
            if keys.items and keys.is_known and all(usable) and held_now:
                return Link("broken", "dnskey-absent", weak, zone)
            return OPEN
        matched = trust.matching(zone, usable, key_sets)
        if not matched:
            if not certain:
                return OPEN
            if anchored and trust.matching(zone, [trust.anchors[zone]], key_sets):
                return OPEN  # an anchor out of its dates: a question of clocks, not an outage
            if anchored and (trust.revoked_anchors(zone) or trust.is_succeeded(zone, key_sets)):
                return OPEN  # RFC 5011: validators have taken its successor meanwhile
            reason = trust.mismatch(zone, usable, key_sets)
            if reason == "ds-mismatch" and self._rolled(t, usable, key_sets):
                reason = "algorithm-incomplete"
            return Link("broken", reason, weak, zone)
        signing = trust.matching(zone, usable, self.known.key_sets)
        shown = outcome(trust.key_events(zone, self.place, signing), t, self.key_ttl)
        if shown is not None and shown.reason == UNPROVEN:
            return OPEN
        if shown is not None and shown.reason:
            return Link("broken", shown.reason, False, zone)
        if not self._is_secure(t, upper, anchored, held):
            return OPEN
        announced = {d.algorithm for content in usable for d in content}
        if certain and not anchored and announced - trust.algorithms(zone, key_sets):
            # One valid path is enough for validators (RFC 6840 5.11): out of the safe path only.
            return Link("secure", "algorithm-incomplete", False, zone)
        return SECURE

    def _rolled(
        self,
        t: int,
        delegations: Sequence[Sequence[DelegationSigner]],
        key_sets: Sequence[frozenset[int]],
    ) -> bool:
        """Whether an algorithm roll withdrew the keys that the DS still announces (RFC 6781 4.1.4).

        The keys published now are all of other algorithms than the DS, and one of them stood
        beside a key that the DS refers to before.
        """
        trust, zone = self.trust, self.known.zone
        announced = {d.algorithm for content in delegations for d in content}
        if announced & trust.algorithms(zone, key_sets):
            return False
        now = frozenset().union(*key_sets)
        before = [
            self.known.key_sets[item]
            for first, _, _, item in self.published
            if first < t and item != NOTHING
        ]
        return any(held & now and trust.matching(zone, delegations, [held]) for held in before)

    def _is_secure(
        self,
        t: int,
        upper: Link,
        anchored: bool,
        held: Sequence[tuple[DelegationSigner, ...]],
    ) -> bool:
        """Whether the latest evidence at or before t, else the first after, makes the trust."""
        trust, zone = self.trust, self.known.zone
        if upper.kind != "secure":
            return False
        if not anchored:
            signed = {
                c.records
                for c in trust.over_delegations.get(zone, ())
                if c.signer == self.parent and c.verified and c.start <= t < c.end
            }
            held = tuple(
                self.known.delegations[i]
                for i in current(self.delegated, t)
                if i != NOTHING and _octets(self.known.delegations[i]) in signed
            )
        usable = [trust.usable(d, t) for d in held]
        for item in current(self.published, t):
            if item == NOTHING:
                continue
            key_set = self.known.key_sets[item]
            matched = trust.matching(zone, usable, [key_set])
            records = frozenset(self.known.keys[k].rdata for k in key_set)
            if any(
                c.verified & matched and c.start <= t < c.end and c.records == records
                for c in trust.over_keys.get(zone, ())
            ):
                return True
        return False


def _octets(delegations: tuple[DelegationSigner, ...]) -> frozenset[bytes]:
    return frozenset(
        d.tag.to_bytes(2, "big") + bytes([d.algorithm, d.digest_type]) + d.digest
        for d in delegations
    )
