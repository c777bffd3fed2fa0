"""The walk over the transactions: whom each incident hurt, and what became of every lookup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from forensics import vocabulary
from forensics.timeline import lookups, mitigation, quote, registrable, triage
from forensics.timeline.columns import Coded
from forensics.timeline.foresight import Foresight
from forensics.timeline.healing import Healing
from forensics.timeline.lineage import ZoneFinder, child_label, parent
from forensics.timeline.lookups import Lookups
from forensics.timeline.mitigation import Trust
from forensics.timeline.moments import Moment
from forensics.timeline.rates import Rates
from forensics.timeline.series import bin_numbers
from forensics.timeline.sketch import Distinct, hash_values, mix
from forensics.timeline.switched import Answers, Servers
from forensics.timeline.triage import Cases

BIN_KEPT: Final = 2**10
"""Hashes kept per bin of the series to tell retries from new lookups: exact up to 1,024."""

SAMPLE_NAMES: Final = 64
"""Names kept per resolver and extended error as examples, the first in sorted order."""


@dataclass(frozen=True, slots=True)
class Window:
    """A zone and the time in which its incident could hurt, ns, inclusive; and its servers."""

    zone: str
    begin: int
    end: int
    servers: Servers = field(default_factory=Servers)


@dataclass(slots=True)
class Resolver:
    """What one resolver (address and dnstap identity) answered for names of an incident."""

    servfail: int = 0
    answered: int = 0
    ede: dict[int, int] = field(default_factory=dict)
    ede_first: dict[int, Moment] = field(default_factory=dict)
    first_servfail: Moment | None = None
    last_servfail: Moment | None = None


@dataclass(slots=True)
class Impact:
    """Whom an incident hurt, from client-side transactions in its window.

    Attributes:
        transactions, servfail: lookups at or under the zone, and those that failed.
        again: retransmissions beside them.
        distinct: failed lookups that differ in client, name, type or bin of the series.
        signed, unsigned: failed lookups of names in signed zones, and in unsigned ones below.
        names, clients, zones: distinct among the failed; zones, as far as a name tells its zone.
        domains: registrable domains of the failed names, in unsigned zones and in signed ones.
        alive: what stands at the place of a zone, or is a registrable domain, and was answered
            without an error at any time.
        resolvers, trusts: by (address, identity).
        first_failure, last_failure: SERVFAIL responses to clients.
        rates: of failures and queries, before the incident and in it.
        healing: when each resolver answered again.
        upstream: what its servers answered resolvers, where some were good.
        quote: what the first of them said, line by line.
    """

    transactions: int = 0
    servfail: int = 0
    again: int = 0
    signed: int = 0
    unsigned: int = 0
    names: Distinct = field(default_factory=Distinct)
    clients: Distinct = field(default_factory=Distinct)
    zones: Distinct = field(default_factory=Distinct)
    domains: tuple[Distinct, Distinct] = field(default_factory=lambda: (Distinct(), Distinct()))
    alive: Distinct = field(default_factory=Distinct)
    distinct: Distinct = field(default_factory=Distinct)
    resolvers: dict[tuple[str, str], Resolver] = field(default_factory=dict)
    trusts: dict[tuple[str, str], Trust] = field(default_factory=dict)
    first_failure: Moment | None = None
    last_failure: Moment | None = None
    quote: list[str] = field(default_factory=list)
    rates: Rates = field(default_factory=Rates)
    healing: Healing = field(default_factory=Healing)
    upstream: Answers = field(default_factory=Answers)

    @property
    def repeats(self) -> int:
        """Failed lookups that a client repeated within a bin: the rule of `series.lookups`."""
        return max(self.servfail - self.distinct.count(), 0)

    @property
    def retries(self) -> int:
        """What clients asked once more: repeated failed lookups and retransmissions."""
        return self.again + self.repeats

    def zone_count(self, zone: str, below: set[str]) -> int:
        """Count the zones below that failed: those that exist, and those whose data was bad.

        A name that was never answered may not exist at all, so it names no zone. The count is a
        lower bound beyond sketch.KEPT zones.
        """
        import pyarrow as pa

        known = pa.array(sorted({_place_of(name, zone) for name in below}), type=pa.string())
        failed = np.intersect1d(self.zones.hashes, self.alive.hashes)
        return len(np.union1d(failed, hash_values(known)))


    def domain_counts(self) -> dict[str, int]:
        """Count the registrable domains that failed and exist, signed and unsigned apart.

        One with failed names in signed zones and in unsigned ones is signed.
        """
        unsigned, signed = (
            np.intersect1d(held.hashes, self.alive.hashes) for held in self.domains
        )
        return {"signed": len(signed), "unsigned": len(np.setdiff1d(unsigned, signed))}


def _place_of(name: str, zone: str) -> str:
    """Give what names a zone below another: its place below a shallow zone, else itself."""
    return (child_label(name, zone) or name) if is_shallow(zone) else name


def is_shallow(zone: str) -> bool:
    """Whether each label below a zone is taken for a delegation: the root and its children."""
    return zone.count(".") <= 1


@dataclass(slots=True)
class Claim:
    """SERVFAIL with one extended error by one resolver, where no incident explains it."""

    count: int
    first: Moment
    last: Moment
    names: list[str]


@dataclass(slots=True)
class Traffic:
    """What the walk over all transactions found.

    Attributes:
        impacts: one an incident, in their order.
        triage, cases: counts and examples for client-side and other transactions.
        queries, responses: how many were captured.
        client_side: how many lookups were between clients and resolvers.
        bins: bin number to noerror, nxdomain, servfail, other, retransmitted.
        failures: (bin number, rcode kind) to the distinct failed lookups.
        claims: by (resolver, EDE).
    """

    impacts: list[Impact]
    triage: tuple[dict[str, int], dict[str, int]]
    cases: tuple[Cases, Cases] = field(default_factory=lambda: ({}, {}))
    queries: int = 0
    responses: int = 0
    client_side: int = 0
    bins: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    failures: dict[tuple[int, int], Distinct] = field(default_factory=dict)
    claims: dict[tuple[str, int], Claim] = field(default_factory=dict)


class Notebook(Protocol):
    """Takes in what the walk counts (`overtime.OverTime`)."""

    def note_hurt(
        self,
        incident: int,
        rows: Lookups,
        at: NDArray[np.int64],
        failed: NDArray[np.int64],
        signed: NDArray[np.bool_],
    ) -> None:
        """Take in the rows `at` of an incident, those that failed, and which are signed."""
        ...

    def note_triage(self, side: int, kind: str, rows: Lookups, at: NDArray[np.int64]) -> None:
        """Take in failed lookups of one kind, of clients (side 0) or others (1)."""
        ...


def walk(
    batches: Iterator[Any],
    windows: Sequence[Window],
    foreseen: Sequence[Foresight],
    signed: Iterable[str],
    origin: int,
    width: int,
    over: Notebook | None = None,
) -> Traffic:
    """Walk over the transactions once.

    Args:
        batches: of schemas.TRANSACTIONS.
        windows: of the incidents, in their order.
        foreseen: of the same, from a walk before.
        signed: names of the zones known to be signed.
        origin: start of the bins of the series, ns.
        width: of a bin, ns.
        over: is told what is counted, batch by batch.
    """
    impacts = [Impact(healing=one.healing) for one in foreseen]
    traffic = Traffic(impacts, (triage.empty(), triage.empty()))
    finder = ZoneFinder(window.zone for window in windows)
    known = frozenset(signed)
    chains = [frozenset(finder.chain(number)) for number in range(len(finder.zones))]
    for batch in batches:
        if not batch.num_rows:
            continue
        rows = lookups.read(batch)
        traffic.queries += int(rows.query.sum())
        traffic.responses += int(rows.response.sum())
        zone = lookups.zone_numbers(finder, rows.name)
        broken = np.zeros(len(zone), dtype=bool)
        touched = broken.copy()
        for order, (window, impact) in enumerate(zip(windows, traffic.impacts, strict=True)):
            number = finder.number(window.zone)
            below = np.array([*(number in chain for chain in chains), False], dtype=bool)
            inside = below[zone] & (rows.instant >= window.begin) & (rows.instant <= window.end)
            broken |= inside
            broken |= foreseen[order].lingering.late(rows, below[zone])
            # Caches go on refusing for a while after the repair: that is still its doing.
            touched |= below[zone] & (rows.instant >= window.begin)
            impact.rates.note(rows, below[zone], window.begin, window.end)
            begun = below[zone] & rows.client_side & (rows.instant >= window.begin)
            impact.healing.note_answers(rows, begun)
            impact.upstream.note(rows, inside, window.servers)
            at = np.flatnonzero(inside & rows.client_side)
            hurt = _hurt(impact, rows, at, window.zone, known, batch)
            if over is not None:
                over.note_hurt(order, rows, at, *hurt)
            near = np.flatnonzero(below[zone] & rows.client_side & ~rows.again)
            shallow = is_shallow(window.zone)
            mitigation.note(impact.trusts, rows, near, window.zone, window.begin, shallow=shallow)
            failed = at[~rows.again[at] & (rows.rcode[at] == vocabulary.SERVFAIL)]
            step = bin_numbers(rows.begin[failed], origin, width).astype(np.uint64)
            impact.distinct.add(np.unique(mix(_asked(rows, failed), step)))
            _note_alive(impact, rows, below[zone] & (rows.rcode == 0), window.zone, known)
        traffic.client_side += int((rows.client_side & ~rows.again).sum())
        sides = (rows.client_side, ~rows.client_side)
        for number, side in enumerate(sides):
            counts, cases = traffic.triage[number], traffic.cases[number]
            note = None if over is None else partial(over.note_triage, number)
            triage.count(counts, cases, rows, side & ~rows.again, broken, note)
        _bin(traffic, rows, origin, width)
        _claim(traffic, rows, touched)
    return traffic


def _hurt(
    impact: Impact,
    rows: Lookups,
    at: NDArray[np.int64],
    zone: str,
    signed: frozenset[str],
    batch: Any,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Add the rows `at` of a batch to an incident's impact.

    Returns:
        int64 (F), the lookups among them that failed; bool (F), those of names in signed zones.
    """
    impact.again += int(rows.again[at].sum())
    at = at[~rows.again[at]]
    if not len(at):
        return at, np.zeros(0, dtype=bool)
    impact.transactions += len(at)
    failed = at[rows.rcode[at] == vocabulary.SERVFAIL]
    _note_resolvers(impact, rows, at)
    if not len(failed):
        return failed, np.zeros(0, dtype=bool)
    impact.servfail += len(failed)
    order = failed[np.lexsort((rows.where[failed], rows.instant[failed]))]
    first = _moment(rows, order[0])
    if impact.first_failure is None or first < impact.first_failure:
        impact.first_failure = first
        impact.quote = quote.of_lookup(batch, int(order[0]))
    impact.last_failure = _most(impact.last_failure, _moment(rows, order[-1]))
    impact.names.add(hash_values(rows.name.values)[np.unique(rows.name.codes[failed])])
    impact.clients.add(hash_values(rows.client.values)[np.unique(rows.client.codes[failed])])
    codes, counts = np.unique(rows.name.codes[failed], return_counts=True)
    below, signs = [], []
    domains: tuple[set[str], set[str]] = (set(), set())
    for name, count in zip(rows.name.values.take(_indices(codes)).to_pylist(), counts, strict=True):
        cut, is_signed = zone_below(name, zone, signed)
        domain = registrable.domain(name)
        if domain is not None:
            domains[is_signed].add(domain)
        impact.signed += int(count) * is_signed
        impact.unsigned += int(count) * (not is_signed)
        signs.append(is_signed)
        if cut is not None:
            below.append(cut)
    if below:
        import pyarrow as pa

        impact.zones.add(np.unique(hash_values(pa.array(below))))
    for held, told in zip(impact.domains, domains, strict=True):
        held.add(_hashed(told))
    return failed, np.array(signs, dtype=bool)[np.searchsorted(codes, rows.name.codes[failed])]


def _hashed(texts: Iterable[str]) -> NDArray[np.uint64]:
    """Hash some texts, in order of hash and each once."""
    import pyarrow as pa

    return np.unique(hash_values(pa.array(sorted(texts), type=pa.string())))


def zone_below(name: str, zone: str, signed: frozenset[str]) -> tuple[str | None, bool]:
    """Give the zone below `zone` that a name stands in, as far as can be told, and if it is signed.

    Below the root and top-level domains each label is taken for a delegation; elsewhere only a
    zone that was seen signed is known to be one.
    """
    child = child_label(name, zone)
    if child is None:
        return None, True
    above: str | None = name
    while above is not None and above != zone and above not in signed:
        above = parent(above)
    shallow = is_shallow(zone)
    if above is not None and above != zone:
        return child if shallow else above, True
    return (child, False) if shallow else (None, True)


def _note_alive(
    impact: Impact, rows: Lookups, chosen: NDArray[np.bool_], zone: str, signed: frozenset[str]
) -> None:
    """Note what stands where a zone below would, of names that were answered without an error."""
    import re

    import pyarrow as pa
    import pyarrow.compute as pc

    codes = np.unique(rows.name.codes[chosen])
    names = rows.name.values.take(_indices(codes[codes >= 0]))
    if is_shallow(zone):
        tail = "" if zone == "." else re.escape(zone)
        places = pc.replace_substring_regex(names, rf"^.*\.([^.]+\.{tail})$", r"\1")
        # What is registered stands there, but below suffixes of several labels.
        suffixes = [place for place in places.unique().to_pylist() if _is_suffix(place)]
        names = names.filter(pc.is_in(places, value_set=pa.array(suffixes, type=pa.string())))
    else:
        cuts = {zone_below(name, zone, signed)[0] for name in names.to_pylist()}
        places = pa.array(sorted(cut for cut in cuts if cut is not None), type=pa.string())
    impact.alive.add(np.unique(hash_values(places)))
    domains = {registrable.domain(name) for name in names.to_pylist()}
    impact.alive.add(_hashed(name for name in domains if name is not None))


def _is_suffix(name: str) -> bool:
    """Whether nothing can be registered at a name, only below it."""
    return registrable.domain(name) is None


def _note_resolvers(impact: Impact, rows: Lookups, at: NDArray[np.int64]) -> None:
    """Count what each resolver answered."""
    at = at[rows.response[at]]
    if not len(at):
        return
    keys = np.stack([rows.server.codes[at], rows.identity.codes[at], rows.rcode[at], rows.ede[at]])
    found, inverse, counts = np.unique(keys, axis=1, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    for number, (server, identity, rcode, ede) in enumerate(found.T.tolist()):
        name = "" if identity < 0 else rows.identity.values[identity].as_py()
        key = (rows.server.values[server].as_py() if server >= 0 else "?", name)
        resolver = impact.resolvers.setdefault(key, Resolver())
        mine = at[inverse == number]
        mine = mine[np.lexsort((rows.where[mine], rows.instant[mine]))]
        if ede >= 0:
            resolver.ede[ede] = resolver.ede.get(ede, 0) + int(counts[number])
            first = _least(resolver.ede_first.get(ede), _moment(rows, mine[0]))
            resolver.ede_first[ede] = first
        if rcode == vocabulary.SERVFAIL:
            resolver.servfail += int(counts[number])
            resolver.first_servfail = _least(resolver.first_servfail, _moment(rows, mine[0]))
            resolver.last_servfail = _most(resolver.last_servfail, _moment(rows, mine[-1]))
        elif rcode in {0, vocabulary.NXDOMAIN}:
            resolver.answered += int(counts[number])


def _bin(traffic: Traffic, rows: Lookups, origin: int, width: int) -> None:
    """Add the client-side rows to the series."""
    at = np.flatnonzero(rows.client_side)
    if not len(at):
        return
    kind = np.full(len(at), 3, dtype=np.int64)
    kind[rows.rcode[at] == 0] = 0
    kind[rows.rcode[at] == vocabulary.NXDOMAIN] = 1
    kind[rows.rcode[at] == vocabulary.SERVFAIL] = 2
    kind[rows.again[at]] = 4
    number = bin_numbers(rows.begin[at], origin, width)
    base = int(number.min())
    flat = np.bincount((number - base) * 5 + kind)
    sums = np.append(flat, np.zeros(-len(flat) % 5, dtype=np.int64)).reshape(-1, 5)
    for step in np.flatnonzero(sums.any(axis=1)).tolist():
        held = traffic.bins.setdefault(base + step, np.zeros(5, dtype=np.int64))
        held += sums[step]
    failed = np.flatnonzero((kind == 2) | (kind == 3))
    if not len(failed):
        return
    hashes = _asked(rows, at[failed])
    cell = number[failed] * 5 + kind[failed]
    order = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.r_[True, cell[order][1:] != cell[order][:-1]])
    for part in np.split(order, starts[1:]):
        step, what = divmod(int(cell[part[0]]), 5)
        held_hashes = traffic.failures.setdefault((step, what), Distinct(BIN_KEPT))
        held_hashes.add(np.unique(hashes[part]))


def _asked(rows: Lookups, at: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Give a hash of who asked what: client, name and type."""
    return mix(_of(rows.client, at), _of(rows.name, at), rows.qtype[at].astype("u8"))


def _of(column: Coded, at: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Give the hashes of the texts of some rows, 0 for null."""
    table = hash_values(column.values)
    codes = column.codes[at]
    if not len(table):
        return np.zeros(len(at), dtype=np.uint64)
    return np.where(codes >= 0, table[np.maximum(codes, 0)], np.uint64(0))


def _claim(traffic: Traffic, rows: Lookups, broken: NDArray[np.bool_]) -> None:
    """Note what resolvers say of validation where no incident explains it."""
    claims = np.isin(rows.ede, sorted(lookups.VALIDATION_EDES)) & ~broken & rows.client_side
    at = np.flatnonzero(claims & (rows.rcode == vocabulary.SERVFAIL) & ~rows.again)
    if not len(at):
        return
    at = at[np.lexsort((rows.where[at], rows.instant[at]))]
    for server, ede in sorted(set(zip(rows.server.codes[at], rows.ede[at], strict=True))):
        mine = at[(rows.server.codes[at] == server) & (rows.ede[at] == ede)]
        names = rows.name.values.take(_indices(np.unique(rows.name.codes[mine]))).to_pylist()
        address = rows.server.values[int(server)].as_py() if server >= 0 else "?"
        key = (address, int(ede))
        first, last = _moment(rows, mine[0]), _moment(rows, mine[-1])
        held = traffic.claims.get(key)
        if held is None:
            held = traffic.claims[key] = Claim(0, first, last, [])
        held.count += len(mine)
        held.first, held.last = min(held.first, first), max(held.last, last)
        held.names = sorted({*held.names, *(name for name in names if name)})[:SAMPLE_NAMES]


def _indices(codes: NDArray[np.int64]) -> Any:
    """Give codes as an Arrow array to take by; -1 becomes null."""
    import pyarrow as pa

    return pa.array(codes, mask=codes < 0)


def _moment(rows: Lookups, at: int) -> Moment:
    """Give the moment of a row's response."""
    where = int(rows.where[at])
    return Moment(int(rows.instant[at]), where >> 32, where & 0xFFFFFFFF)


def _least(held: Moment | None, moment: Moment) -> Moment:
    """Give the earlier one."""
    return moment if held is None else min(held, moment)


def _most(held: Moment | None, moment: Moment) -> Moment:
    """Give the later one."""
    return moment if held is None else max(held, moment)
