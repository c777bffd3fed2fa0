"""What trust is made of: anchors, and the signatures over DNSKEY and DS RRsets.

`Trust` gathers the pieces and answers about one of them; `chain` puts them together through time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from forensics.knowledge import (
    Anchor,
    DelegationSigner,
    Note,
    ZoneKeys,
    ancestors,
    is_subdomain,
    referred,
)
from forensics.validation.nearby import UNPROVEN, Event, Run, possible, rows_of
from forensics.validation.policy import Policy
from forensics.validation.published import EVERYWHERE
from forensics.validation.steps import State, Steps
from forensics.vocabulary import TYPE_DNSKEY, Status

_SHA1: Final = 1

_Match = tuple[str, frozenset[DelegationSigner | Anchor], frozenset[int]]


@dataclass(frozen=True)
class Carrier:
    """A signature over a DNSKEY or DS RRset: a piece of the chain.

    Attributes:
        owner, type, signer: of the RRSIG.
        tag, algorithm: of the RRSIG.
        records: the RRset's RDATA.
        verified: indices of the signer's keys that verify it.
        start, end: ns; its validity period under the policy, the end exclusive.
        seen: (place, first, last) in ns; none where no query of the capture asked for it.
        states: gives the verdict at a place through time before validity, of its own signer.
    """

    owner: str
    type: int
    signer: str
    tag: int
    algorithm: int
    records: frozenset[bytes]
    verified: frozenset[int]
    start: int
    end: int
    seen: tuple[tuple[int, int, int], ...]
    states: Callable[[int], Steps[State]]


def read_records(signed_data: bytes, known: dict[bytes, frozenset[bytes]]) -> frozenset[bytes]:
    """Return the RDATA of each record in signed data (RFC 4034 3.1.8.1); empty if malformed.

    Args:
        signed_data: octets.
        known: what was read before, by the octets of the RRset, so that hundreds of signatures
            over one of hundreds of keys hold it once.
    """
    begin = _after_name(signed_data, 18)
    if begin < 0:
        return frozenset()
    rrset = signed_data[begin:]
    found = known.get(rrset)
    if found is None:
        found = known[rrset] = _records(rrset)
    return found


def _records(rrset: bytes) -> frozenset[bytes]:
    found = set()
    position = 0
    while position < len(rrset):
        position = _after_name(rrset, position)
        if position < 0 or position + 10 > len(rrset):
            return frozenset()
        length = int.from_bytes(rrset[position + 8 : position + 10], "big")
        position += 10
        if position + length > len(rrset):
            return frozenset()
        found.add(rrset[position : position + length])
        position += length
    return frozenset(found)


def _after_name(data: bytes, position: int) -> int:
    """Return the offset behind an uncompressed name, -1 if it does not end."""
    while position < len(data):
        length = data[position]
        position += 1 + length
        if length == 0:
            return position
    return -1


@dataclass
class Trust:
    """The pieces of all chains.

    Attributes:
        zones: what is known of keys, by zone.
        policy: what counts as supported.
        low, high: ns, the domain.
        anchors: trust anchors by zone, those left out that no captured key set matches.
        over_keys, over_delegations: carriers by owner.
        notes: what was found about the anchors.
    """

    zones: Mapping[str, ZoneKeys]
    policy: Policy
    low: int
    high: int
    anchors: dict[str, tuple[Anchor, ...]] = field(default_factory=dict)
    over_keys: dict[str, list[Carrier]] = field(default_factory=dict)
    over_delegations: dict[str, list[Carrier]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    _events: dict[tuple[str, int, frozenset[int]], list[Event]] = field(default_factory=dict)
    _matched: dict[_Match, frozenset[int]] = field(default_factory=dict)
    _own: dict[str, frozenset[int]] = field(default_factory=dict)
    _parents: dict[str, str | None] = field(default_factory=dict)
    _delegation_events: dict[str, list[Event]] = field(default_factory=dict)
    _delegated: dict[str, list[Run]] = field(default_factory=dict)

    def trust(self, anchors: Iterable[Anchor]) -> None:
        """Take the anchors that the captured key sets can match; note those that none can."""
        by_zone: dict[str, list[Anchor]] = {}
        for anchor in sorted(anchors):
            by_zone.setdefault(anchor.zone, []).append(anchor)
        for zone, own in sorted(by_zone.items()):
            known = self.zones.get(zone)
            shown = {k for keys in known.key_sets for k in keys} if known else set()
            if (
                known
                and shown
                and not any(known.keys[k].matches(anchor) for k in shown for anchor in own)
            ):
                tags = sorted({known.keys[k].tag for k in shown})
                private = zone == "."
                self.notes.append(
                    Note(
                        "private-root" if private else "anchor-unmatched",
                        zone,
                        sentence=(
                            "The root's captured keys match no trust anchor: it is a private root,"
                            " and nothing below it can be called secure. Give its anchor with"
                            " --trust-anchor."
                            if private
                            else f"The captured keys of {zone} match no trust anchor given for it."
                        ),
                        figures={"tags": tags, "anchors": sorted({a.tag for a in own})},
                    )
                )
            else:
                self.anchors[zone] = tuple(own)

    def add(self, carrier: Carrier) -> None:
        """Take a signature over a DNSKEY or DS RRset, if its signer may sign it at all."""
        if carrier.type == TYPE_DNSKEY:
            if carrier.owner == carrier.signer:
                self.over_keys.setdefault(carrier.owner, []).append(carrier)
        elif carrier.owner != carrier.signer and is_subdomain(carrier.owner, carrier.signer):
            self.over_delegations.setdefault(carrier.owner, []).append(carrier)

    def differs_at(self, zone: str, place: int) -> bool:
        """Whether the place has key set sightings of its own, which may tell another story."""
        if zone not in self._own:
            known = self.zones.get(zone)
            places = set(known.published.place.tolist()) if known else set()
            places.update(known.absent.place.tolist() if known else ())
            carriers = self.over_keys.get(zone, [])
            places.update(seen[0] for carrier in carriers for seen in carrier.seen)
            if self.is_uniform(zone):
                places.clear()
            self._own[zone] = frozenset(places)
        return place in self._own[zone]

    def parent(self, zone: str) -> str | None:
        """Return the zone that delegates to this one: the DS RRset's signer, else a guess."""
        if zone not in self._parents:
            signers = Counter(
                carrier.signer
                for carrier in self.over_delegations.get(zone, ())
                if carrier.verified
            )
            known = [a for a in ancestors(zone) if a in self.zones or a in self.anchors]
            if signers:
                self._parents[zone] = min(signers, key=lambda s: (-signers[s], s))
            else:
                self._parents[zone] = known[0] if known else None
        return self._parents[zone]

    def is_uniform(self, zone: str) -> bool:
        """Whether no server can differ: one key set, one DS set, and no bad signature on it."""
        known = self.zones.get(zone)
        if known is None or not known.key_sets:
            return True
        if len(known.key_sets) > 1 or len(known.delegations) > 1:
            return False
        if len(known.absent) or len(known.undelegated):
            return False
        matched = self.matching(zone, self.trusted(zone, self.low)[1], known.key_sets)
        if not matched or self.trusted(zone, self.low) != self.trusted(zone, self.high):
            return False
        return not any(event.reason for event in self.key_events(zone, EVERYWHERE, matched))

    def trusted(self, zone: str, t: int) -> tuple[bool, tuple[tuple[DelegationSigner, ...], ...]]:
        """Return whether an anchor stands for the zone at t, and the DS sets that may hold."""
        held = tuple(
            DelegationSigner(a.tag, a.algorithm, a.digest_type, a.digest)
            for a in self.anchors.get(zone, ())
            if a.start <= t < a.end
        )
        if held:
            return True, (held,)
        known = self.zones.get(zone)
        return False, known.delegations if known else ()

    def usable(self, delegations: Iterable[DelegationSigner], t: int) -> list[DelegationSigner]:
        """Return the DS records whose algorithm and digest type count at t.

        SHA-1 digests are ignored beside others (RFC 4509 3), if the policy says so.
        """
        found = [
            d
            for d in delegations
            if d.digest_type in self.policy.digests and self.policy.supports(d.algorithm, t)
        ]
        stronger = [d for d in found if d.digest_type != _SHA1]
        return (self.policy.sha1_gives_way and stronger) or found

    def matching(
        self,
        zone: str,
        delegations: Iterable[Iterable[DelegationSigner | Anchor]],
        key_sets: Iterable[frozenset[int]],
    ) -> frozenset[int]:
        """Return the keys of any of the sets that any of the DS records refers to."""
        wanted = frozenset(d for content in delegations for d in content)
        shown = frozenset().union(*key_sets)
        memo = (zone, wanted, shown)
        if memo not in self._matched:
            keys = self.zones[zone].keys
            live = [k for k in sorted(shown) if not keys[k].is_revoked]
            found = referred([keys[k] for k in live], wanted)
            self._matched[memo] = frozenset(live[at] for at in found)
        return self._matched[memo]

    def revoked_anchors(self, zone: str) -> dict[int, int]:
        """Return the keys that revoke a trust anchor, and when each was first seen, ns."""
        known = self.zones.get(zone)
        if known is None or zone not in self.anchors:
            return {}
        found: dict[int, int] = {}
        for index, key in enumerate(known.keys):
            if not key.is_revoked:
                continue
            if not any(key.unrevoked().matches(a) or key.matches(a) for a in self.anchors[zone]):
                continue
            track = known.published
            for first, item in zip(track.first.tolist(), track.item.tolist(), strict=True):
                if index in known.key_sets[item]:
                    found[index] = min(found.get(index, first), first)
        return found

    def is_succeeded(self, zone: str, key_sets: Iterable[frozenset[int]]) -> bool:
        """Whether a key signing key of these sets stood beside an anchor's in another one.

        What the anchor's key signed stood there, whoever showed it: also where the key set itself
        was not read, as no query of the capture asked for it.

        Validators that follow RFC 5011, and operators by hand, may trust it meanwhile: for how
        long it stood there before the capture, and what they hold, no capture tells.
        """
        known = self.zones[zone]
        old = self.matching(zone, [self.anchors[zone]], known.key_sets)
        beside = frozenset().union(*(held for held in known.key_sets if held & old))
        signed = frozenset().union(
            *(one.records for one in self.over_keys.get(zone, ()) if one.verified & old)
        )
        beside |= {k for k, key in enumerate(known.keys) if key.rdata in signed}
        now = frozenset().union(*key_sets) & beside
        return any(known.keys[k].flags & 1 and not known.keys[k].is_revoked for k in now)

    def algorithms(self, zone: str, key_sets: Iterable[frozenset[int]]) -> set[int]:
        """Return the algorithms of the keys in these sets."""
        keys = self.zones[zone].keys
        return {keys[index].algorithm for held in key_sets for index in held}

    def mismatch(
        self,
        zone: str,
        delegations: Iterable[Iterable[DelegationSigner]],
        key_sets: Iterable[frozenset[int]],
    ) -> str:
        """Name why no key of the sets matches any of the DS records: the reason's code.

        The key may be there and revoked (RFC 5011 2.1): with the bit set its digest is another.
        """
        wanted = [d for content in delegations for d in content]
        keys = self.zones[zone].keys
        revoked = [keys[k] for k in frozenset().union(*key_sets) if keys[k].is_revoked]
        forms = [form for key in revoked for form in (key, key.unrevoked())]
        return "key-revoked" if referred(forms, wanted) else "ds-mismatch"

    def key_events(self, zone: str, place: int, matched: frozenset[int]) -> list[Event]:
        """Return when the DNSKEY RRset was shown with a good signature by a matched key, or not.

        It is to blame only where it holds a matched key, and only if it failed by the DS RRset of
        its own time too: with the DS RRset of another time a correct roll looks broken. And only
        at the sightings themselves: between two of one signature others may have stood beside it.
        """
        memo = (zone, place, matched)
        if memo in self._events:
            return self._events[memo]
        keys = self.zones[zone].keys
        events: list[Event] = []
        for carrier in self.over_keys.get(zone, ()):
            shown = {k for k in matched if keys[k].rdata in carrier.records}
            named = {(keys[k].tag, keys[k].algorithm) for k in shown}
            reason = "dnskey-unsigned-by-ds-key" if shown else UNPROVEN
            if not carrier.verified and (carrier.tag, carrier.algorithm) in named:
                reason = "signature-invalid"
            for where, first, last in carrier.seen:
                if place not in {where, EVERYWHERE}:
                    continue
                if carrier.verified & matched:
                    events += _by_validity(carrier, first, last, zone)
                    continue
                for t in {first, last}:
                    good = reason != UNPROVEN and carrier.verified & self.matched_at(zone, t)
                    events.append(Event(t, t, UNPROVEN if good else reason, zone))
        self._events[memo] = sorted(events)
        return self._events[memo]

    def matched_at(self, zone: str, t: int) -> frozenset[int]:
        """Return the keys that some DS RRset which may have been in force at t refers to."""
        known = self.zones[zone]
        anchored, held = self.trusted(zone, t)
        if not anchored:
            if zone not in self._delegated:
                self._delegated[zone] = rows_of(known.delegated)
            items = possible(self._delegated[zone], t, single=False).items
            held = tuple(known.delegations[item] for item in items)
        return self.matching(zone, [self.usable(d, t) for d in held], known.key_sets)

    def delegation_events(self, zone: str) -> list[Event]:
        """Return when the zone's DS RRset was shown with a good signature of its parent, or not."""
        if zone in self._delegation_events:
            return self._delegation_events[zone]
        events: list[Event] = []
        for carrier in self.over_delegations.get(zone, ()):
            for where, first, last in carrier.seen:
                steps = carrier.states(where)
                for index, (start, state) in enumerate(steps):
                    end = steps[index + 1][0] - 1 if index + 1 < len(steps) else self.high
                    begin, end = max(first, start), min(last, end)
                    if begin > end:
                        continue
                    if state.status == Status.BOGUS and not state.timed:
                        events.append(Event(begin, end, state.reason, state.zone))
                    elif state.status in {Status.BOGUS, Status.VALID}:
                        pieces = _by_validity(carrier, begin, end, state.zone)
                        reason = state.reason if state.status == Status.BOGUS else ""
                        events += [p if p.reason else p._replace(reason=reason) for p in pieces]
        self._delegation_events[zone] = sorted(events)
        return self._delegation_events[zone]


def _by_validity(carrier: Carrier, first: int, last: int, zone: str) -> list[Event]:
    """Cut [first, last] where the signature's validity period begins and ends."""
    if carrier.end <= carrier.start:
        return [Event(first, last, "signature-window-invalid", zone)]
    cuts = (
        (first, min(last, carrier.start - 1), "signature-not-yet-valid"),
        (max(first, carrier.start), min(last, carrier.end - 1), ""),
        (max(first, carrier.end), last, "signature-expired"),
    )
    return [Event(low, high, reason, zone) for low, high, reason in cuts if low <= high]
