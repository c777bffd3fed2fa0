"""The resolver view (DESIGN section 4): each response judged by the keys that its resolver held.

What a zone publishes may be right, and refused by a cache that holds its keys of a while ago; or
broken, and accepted by one that holds sound keys still. So data is judged by the key sets that the
resolver is known to have held when it came: valid if one of them accepts it, bogus if every one
refuses it, and indeterminate where none was seen fetched. Faults of the data itself, such as its
time or what it lacks, are the same in every view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from forensics.knowledge import DelegationSigner, labels
from forensics.limits import CHAIN_DEPTH, SECOND
from forensics.validation.bench import Bench
from forensics.validation.holdings import Fetch, Holdings, Received, held, received
from forensics.validation.resolvers import Resolver, find
from forensics.vocabulary import REASONS, TYPE_DNSKEY, TYPE_DS, TYPE_NSEC, TYPE_NSEC3, Status
from forensics.wire.verdicts import VerdictIndex

_AT_ONCE: Final = SECOND
"""How soon after data a resolver fetches keys for it: within one resolution."""

_BY_KEYS: Final = frozenset(
    {
        "ds-mismatch", "dnskey-absent", "dnskey-unobtainable", "dnskey-unsigned-by-ds-key",
        "signature-invalid", "dnskey-missing", "key-revoked", "zone-key-bit-unset",
        "algorithm-incomplete", "none", "dnskey-not-captured", "ds-not-captured",
        "no-trust-anchor",
    }
)  # fmt: skip
"""Reasons that hang on the keys and DS that somebody holds; the rest are the data's own."""


_ORDER: Final = (
    Status.SECURE, Status.VALID, Status.INSECURE, Status.INDETERMINATE, Status.BOGUS,
)  # fmt: skip
"""From the best to the worst: of several signatures, and of several sets held, the best counts."""


class Held(NamedTuple):
    """How one RRset stood in the view of the resolver that received it.

    Attributes:
        received: the RRset.
        status, reason: of vocabulary.
        by: the key set that decided; None: none did.
    """

    received: Received
    status: Status
    reason: str
    by: Fetch | None


class Run(NamedTuple):
    """RRsets in a row, of one resolver, zone and class, that stood alike.

    Attributes:
        resolver, zone, records: whose, and the class of records (vocabulary.RECORD_CLASSES).
        status, reason: how they stood.
        first, last: the first and the last of them.
        rrsets: how many.
        by: the key set that decided.
        tags: key tags of that set.
    """

    resolver: Resolver
    zone: str
    records: str
    status: Status
    reason: str
    first: Received
    last: Received
    rrsets: int
    by: Fetch | None
    tags: tuple[int, ...]


@dataclass(frozen=True)
class ResolverView:
    """What each resolver would have concluded.

    Attributes:
        runs: in order of resolver, zone, class and time.
        is_cut: there was more than limits.HELD_SIGHTINGS.
    """

    runs: tuple[Run, ...] = ()
    is_cut: bool = False


def resolver_view(
    bench: Bench,
    verdicts: Any,
    subjects: Any,
    sightings: Callable[[], Iterator[Any]],
    transactions: Callable[[], Iterator[Any]],
) -> ResolverView:
    """Judge what resolvers received of zones whose keys changed, or of which something is bogus.

    Args:
        bench: the tables laid out.
        verdicts: schemas.VERDICTS of the published view, those of the subjects among them.
        subjects: schemas.SIGNATURES of what is no signature; None: none.
        sightings: gives schemas.SIGHTINGS, those of the subjects among them.
        transactions: gives schemas.TRANSACTIONS.
    """
    zones = _telling(bench, verdicts)
    if not zones:
        return ResolverView()
    resolvers = find(transactions())
    if not resolvers.found:
        return ResolverView()
    found, is_cut = received(bench, subjects, sightings, transactions, resolvers, zones)
    judge = _Judge(bench, _published(VerdictIndex(verdicts), found), held(bench, found))
    told = [judge.of(one) for one in found if one.zone in zones]
    # What a resolver gives out without a fault says nothing of the keys that it holds.
    told = [one for one in told if one.status == Status.BOGUS or not one.received.is_own]
    return ResolverView(tuple(_runs(bench, told, resolvers.found)), is_cut)


def _telling(bench: Bench, verdicts: Any) -> frozenset[str]:
    """Return the zones of which the two views may differ, or in which something is broken."""
    import pyarrow.compute as pc

    bogus = verdicts.filter(pc.equal(verdicts["status"], "bogus"))
    broken = set(bogus["zone"].unique().to_pylist())
    changed = {
        name
        for name, zone in bench.zones.items()
        if len(zone.key_sets) > 1 or len(zone.delegations) > 1
    }
    signers = {group.zone for group in bench.checked.groups}
    return frozenset(broken | (changed & signers))


def _published(
    index: VerdictIndex, found: Sequence[Received]
) -> dict[Received, tuple[Status, str]]:
    """Return the verdict of the published view on each RRset: of its signatures the best counts."""
    if not found:
        return {}
    counts = np.array([len(one.signatures) for one in found], np.int64)
    numbers = np.array([s for one in found for s in one.signatures], np.int64)
    place = np.repeat(np.array([one.place for one in found], np.int64), counts)
    time = np.repeat(np.array([one.time for one in found], np.int64), counts)
    status, reason, _, _ = index.codes(numbers, place, time)
    rank = np.array([_ORDER.index(Status(code)) for code in range(len(_ORDER))])[status]
    best = {}
    start = 0
    for one, count in zip(found, counts.tolist(), strict=True):
        at = start + int(np.argmin(rank[start : start + count]))
        best[one] = Status(int(status[at])), REASONS[int(reason[at])].code
        start += count
    return best


@dataclass
class _Judge:
    """Judges RRsets by what their resolvers held.

    Attributes:
        bench: the tables laid out.
        published: status and reason of each RRset in the published view.
        holdings: what was fetched.
    """

    bench: Bench
    published: Mapping[Received, tuple[Status, str]]
    holdings: Holdings
    _known: dict[Received, Held] = field(default_factory=dict)
    _accepted: dict[Fetch, tuple[Status, str]] = field(default_factory=dict)

    def of(self, one: Received) -> Held:
        """Judge one RRset."""
        if one not in self._known:
            self._known[one] = self._judged(one)
        return self._known[one]

    def _judged(self, one: Received) -> Held:
        status, reason = self.published[one]
        if one.is_own:
            # What it gives from its cache it checked when that came, by the keys of that time:
            # only a fault of the data itself tells anything of now.
            if status == Status.BOGUS and reason not in _BY_KEYS:
                return Held(one, status, reason, None)
            return Held(one, Status.INDETERMINATE, "dnskey-not-captured", None)
        ours = [r for r in one.rows if r < len(self.bench.class_of)]
        decides = status != Status.INSECURE and reason in _BY_KEYS and bool(ours)
        if not decides:
            return Held(one, status, reason, None)
        if one.type == TYPE_DNSKEY:
            return self._key_set(one, status, reason)
        live = self.holdings.live(one.resolver, one.zone, TYPE_DNSKEY, one.time)
        fetch = self.holdings.coming(one.resolver, one.zone, TYPE_DNSKEY, one.time)
        if live:
            tried = [(*self._by(held_set, one, ours), held_set) for held_set in live]
            best = self._best(tried, status)
            if (
                best[0] == Status.BOGUS
                and fetch is not None
                and fetch.time - one.time <= _AT_ONCE
                and any(fetch.time < held_set.until for held_set in live)
                and self._by(fetch, one, ours)[0] == Status.VALID
            ):
                # It fetched the keys anew at once, before those ran out, and they accept it; and
                # who records may have written two packets in the wrong order.
                return Held(one, Status.INDETERMINATE, "dnskey-not-captured", None)
            return Held(one, *best)
        if fetch is not None:
            found = self._by(fetch, one, ours)
            # What it had held before is not known: it accuses only where the zone's servers do.
            if found[0] != Status.BOGUS or status in {Status.BOGUS, Status.INDETERMINATE}:
                return Held(one, *self._best([(*found, fetch)], status))
        return Held(one, Status.INDETERMINATE, "dnskey-not-captured", None)

    @staticmethod
    def _best(
        tried: list[tuple[Status, str, Fetch]], published: Status
    ) -> tuple[Status, str, Fetch | None]:
        """Return what the kindest of the key sets that may have been held says."""
        status, reason, fetch = min(tried, key=lambda t: _ORDER.index(t[0]))
        if status == Status.VALID and published == Status.SECURE:
            status = Status.SECURE
        return status, reason, fetch

    def _by(self, fetch: Fetch, one: Received, rows: list[int]) -> tuple[Status, str]:
        """Judge an RRset by one key set."""
        status, reason = self._accepts(fetch)
        if status == Status.BOGUS:
            return status, reason
        bench = self.bench
        reason = ""
        for row in rows:
            this = bench.classes[bench.class_of[row]]
            verified = set(bench.checked.key_choices[this.verified])
            if this.problem or this.is_cut:
                return Status.INDETERMINATE, "dnskey-not-captured"
            if not bench.periods.start[row] <= one.time < bench.periods.end[row]:
                continue
            if verified & fetch.keys:
                return Status.VALID, "none"
            group = bench.checked.groups[this.group]
            held_tag = set(group.keys) & fetch.keys
            reason = reason or (
                "signature-invalid" if held_tag and not verified else "dnskey-missing"
            )
        if not reason:
            return Status.INDETERMINATE, "dnskey-not-captured"
        return Status.BOGUS, reason

    def _key_set(self, one: Received, status: Status, reason: str) -> Held:
        """Judge a DNSKEY RRset by the DS RRsets that the resolver held when it came."""
        own = self.holdings.fetches.get((one.resolver, one.owner, TYPE_DNSKEY), ())
        fetch = next((f for f in own if f.received == one), None)
        if fetch is None:
            return Held(one, status, reason, None)
        found, why = self._accepts(fetch)
        if found == Status.INDETERMINATE:
            kept = status if status != Status.BOGUS else Status.INDETERMINATE
            return Held(one, kept, reason if kept == status else "ds-not-captured", None)
        if found == Status.VALID and status == Status.SECURE:
            found = status
        return Held(one, found, why, fetch)

    def _accepts(self, fetch: Fetch) -> tuple[Status, str]:
        """Say whether a resolver accepts a key set by the DS RRsets that it may hold."""
        if fetch not in self._accepted:
            # A zone that vouches for itself in a circle does not get far: all but the anchors
            # are above, and what is asked for again meanwhile is not known.
            self._accepted[fetch] = (Status.INDETERMINATE, "ds-not-captured")
            self._accepted[fetch] = self._accepted_by(fetch)
        return self._accepted[fetch]

    def _accepted_by(self, fetch: Fetch) -> tuple[Status, str]:
        trust, one = self.bench.trust, fetch.received
        zone, t = one.owner, fetch.time
        good: set[int] = set()
        for row in one.rows:
            this = self.bench.classes[self.bench.class_of[row]]
            inside = self.bench.periods.start[row] <= t < self.bench.periods.end[row]
            if not this.problem and inside:
                good |= set(self.bench.checked.key_choices[this.verified])
        if zone not in self.bench.zones or len(labels(zone)) > CHAIN_DEPTH:
            return Status.INDETERMINATE, "ds-not-captured"
        anchored, anchors = trust.trusted(zone, t)
        if anchored:
            return self._vouched(zone, fetch, [list(content) for content in anchors], good)
        kept = self.holdings.live(one.resolver, zone, TYPE_DS, t)
        later = self.holdings.coming(one.resolver, zone, TYPE_DS, t)
        sets = kept or ([later] if later is not None else [])
        if not sets:
            return Status.INDETERMINATE, "ds-not-captured"
        told = []
        for held_ds in sets:
            above = self.of(held_ds.received)
            if above.status == Status.BOGUS:
                told.append((Status.BOGUS, above.reason))
                continue
            content = [_delegation(r) for r in sorted(held_ds.records) if len(r) >= 4]
            told.append(self._vouched(zone, fetch, [content], good))
        best = min(told, key=lambda row: _ORDER.index(row[0]))
        if best[0] == Status.BOGUS and not kept:
            return Status.INDETERMINATE, "ds-not-captured"
        return best

    def _vouched(
        self, zone: str, fetch: Fetch, sets: list[list[DelegationSigner]], good: set[int]
    ) -> tuple[Status, str]:
        """Judge a key set by DS RRsets: a key that one names must have signed it."""
        trust = self.bench.trust
        usable = [trust.usable(content, fetch.time) for content in sets]
        if not any(usable):
            return Status.INDETERMINATE, "ds-not-captured"
        matched = trust.matching(zone, usable, [fetch.keys])
        if matched & good:
            return Status.VALID, "none"
        if not matched:
            return Status.BOGUS, trust.mismatch(zone, usable, [fetch.keys])
        return Status.BOGUS, "dnskey-unsigned-by-ds-key"


def _delegation(rdata: bytes) -> DelegationSigner:
    return DelegationSigner(int.from_bytes(rdata[:2], "big"), rdata[2], rdata[3], rdata[4:])


def _class(kind: int) -> str:
    if kind in {TYPE_DNSKEY, TYPE_DS}:
        return "dnskey" if kind == TYPE_DNSKEY else "ds"
    return "denial" if kind in {TYPE_NSEC, TYPE_NSEC3} else "data"


def _runs(
    bench: Bench, told: list[Held], resolvers: tuple[Resolver, ...]
) -> Iterator[Run]:
    """Join what stood alike in a row."""
    strata: dict[tuple[int, str, str], list[Held]] = {}
    for held_one in told:
        got = held_one.received
        strata.setdefault((got.resolver, got.zone, _class(got.type)), []).append(held_one)
    for (resolver, zone, records), own in sorted(strata.items()):
        current: list[Held] = []
        for one in [*own, None]:
            if current and (one is None or _state(one) != _state(current[0])):
                first, last = current[0], current[-1]
                yield Run(
                    resolvers[resolver], zone, records, first.status, first.reason,
                    first.received, last.received, len(current), first.by, _tags(bench, first.by),
                )  # fmt: skip
                current = []
            if one is not None:
                current.append(one)


def _tags(bench: Bench, by: Fetch | None) -> tuple[int, ...]:
    """Return the key tags of a set."""
    if by is None:
        return ()
    keys = bench.zones[by.received.owner].keys
    return tuple(sorted(keys[number].tag for number in by.keys))


def _state(one: Held) -> tuple[Status, str, int]:
    """What makes a run: of what is refused also by which set."""
    is_refused = one.status == Status.BOGUS and one.by is not None
    return one.status, one.reason, one.by.time if is_refused and one.by is not None else 0
