"""The tables laid out for judging: classes of signatures, their sightings and their verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.knowledge import SightingPairs, ZoneKeys, ancestors
from forensics.validation.chain import Chain, Link
from forensics.validation.checks import Checked, encode, key_ids
from forensics.validation.intervals import Spans
from forensics.validation.policy import Policy
from forensics.validation.published import EVERYWHERE, Budget, Publication, sighted
from forensics.validation.signature import well_formed
from forensics.validation.steps import State, Steps, combine, join
from forensics.validation.trust import Carrier, Trust, read_records
from forensics.validation.validity import validity
from forensics.vocabulary import TYPE_DNSKEY, TYPE_DS, TYPE_SOA, Status

_PROBLEMS: Final = ("", "signature-malformed", "signer-invalid", "labels-invalid")


@dataclass(frozen=True)
class SignatureClass:
    """What signatures share that have one verdict at each place and time, validity apart.

    Attributes:
        group: index into Checked.groups.
        verified: index into Checked.key_choices.
        over_keys: they cover a DNSKEY RRset, which a revoked key must sign (RFC 5011 2.1).
        problem: code in vocabulary.REASONS of what is wrong with the record itself; empty: none.
        is_cut: a limit left keys untried.
    """

    group: int
    verified: int
    over_keys: bool
    problem: str
    is_cut: bool


@dataclass
class Bench:
    """The tables laid out for judging."""

    signatures: Any
    checked: Checked
    zones: Mapping[str, ZoneKeys]
    pairs: SightingPairs
    row: NDArray[np.int64]
    policy: Policy
    low: int
    high: int
    caches: frozenset[int] = frozenset()
    budgets: dict[str, Budget] = field(default_factory=dict)
    _steps: dict[tuple[int, int], Steps[State]] = field(default_factory=dict)
    _publications: dict[int, Publication] = field(default_factory=dict)
    _sighted: dict[str, dict[int, list[int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The middle sighting: one packet with a clock from 1970 must not move the century.
        self.near = int(np.sort(self.pairs.first)[len(self.pairs) // 2])
        self.periods = validity(self.signatures, self.near, self.policy)
        self.classes, self.class_of = self._classify()
        for name in {g.zone for g in self.checked.groups} | set(self.zones):
            self.budgets[name] = Budget()
        self._index_sightings()
        self.trust = Trust(self.zones, self.policy, self.low, self.high)
        self.chain = Chain(self.trust, self.budgets)
        self._add_carriers()

    def _classify(self) -> tuple[list[SignatureClass], NDArray[np.int64]]:
        """Number the classes and give each signature's."""
        kind = self.signatures["type"].to_numpy().astype(np.int64)
        problem = self._problems(kind)
        parts = (
            self.checked.group.astype(np.int64),
            self.checked.verified.astype(np.int64),
            (kind == TYPE_DNSKEY).astype(np.int64),
            problem,
            self.checked.cut.astype(np.int64),
        )
        packed = np.zeros(len(kind), np.int64)
        for part, size in zip(parts, (2**31, len(self.checked.key_choices), 2, 4, 2), strict=True):
            packed = packed * size + part
        _, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
        classes = [
            SignatureClass(group, verified, bool(over), _PROBLEMS[wrong], bool(cut))
            for group, verified, over, wrong, cut in zip(
                *(part[first].tolist() for part in parts), strict=True
            )
        ]
        return classes, inverse.astype(np.int64)

    def _problems(self, kind: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what is wrong with each record itself, as index into `_PROBLEMS`."""
        words, code = encode(self.signatures["problem"].fill_null(""))
        known = np.array([_PROBLEMS.index(w) if w in _PROBLEMS else 1 for w in words], np.int64)
        problem = known[code]
        names = _shared_codes(self.signatures["owner"], self.signatures["signer"])
        same = names[0] == names[1]
        # RFC 4035 2.2, 5.3.1: the parent signs a DS, the zone itself its DNSKEY and SOA.
        wrong = ((kind == TYPE_DS) & same) | (np.isin(kind, (TYPE_DNSKEY, TYPE_SOA)) & ~same)
        problem = np.where((problem == 0) & wrong, 2, problem)
        lengths = _lengths(self.signatures["octets"])
        pairs, inverse = np.unique(
            np.stack([self.signatures["algorithm"].to_numpy().astype(np.int64), lengths]),
            axis=1,
            return_inverse=True,
        )
        fits = np.array([well_formed(a, n) for a, n in pairs.T.tolist()], np.bool_)
        return np.where((problem == 0) & ~fits[inverse.reshape(-1)], 1, problem)

    def _index_sightings(self) -> None:
        """Sort the sighting instants by class and place."""
        of = self.class_of[self.row]
        order = np.lexsort((self.pairs.place, of))
        self._of, self._place = of[order], self.pairs.place[order]
        self._first, self._last = self.pairs.first[order], self.pairs.last[order]
        edge = np.ones(len(order), np.bool_)
        edge[1:] = (self._of[1:] != self._of[:-1]) | (self._place[1:] != self._place[:-1])
        begin = np.flatnonzero(edge)
        end = np.append(begin[1:], len(order))
        self.cells = list(zip(self._of[begin].tolist(), self._place[begin].tolist(), strict=True))
        self._cell = {
            cell: (low, high)
            for cell, low, high in zip(self.cells, begin.tolist(), end.tolist(), strict=True)
        }
        number = np.empty(len(order), np.int64)
        number[order] = np.cumsum(edge) - 1
        self.cell_of_pair = number

    def _add_carriers(self) -> None:
        """Give the chain the signatures over DNSKEY and DS RRsets."""
        kind = self.signatures["type"].to_numpy()
        chosen = np.flatnonzero(np.isin(kind, (TYPE_DNSKEY, TYPE_DS)))
        order = np.argsort(self.row, kind="stable")
        rows = self.row[order]
        begin = np.searchsorted(rows, chosen, side="left")
        end = np.searchsorted(rows, chosen, side="right")
        owners = self.signatures["owner"].take(chosen).to_pylist()
        signed = self.signatures["signed_data"]
        rrsets: dict[bytes, frozenset[bytes]] = {}
        for index, row in enumerate(chosen.tolist()):
            seen = order[begin[index] : end[index]]
            this = self.classes[self.class_of[row]]
            group = self.checked.groups[this.group]
            # What a key did sign over key sets counts wherever it was seen: nobody can forge it.
            proves = this.verified and kind[row] == TYPE_DNSKEY
            if this.problem or not (len(seen) or proves):
                continue
            self.trust.add(
                Carrier(
                    owner=owners[index],
                    type=int(kind[row]),
                    signer=group.zone,
                    tag=group.tag,
                    algorithm=group.algorithm,
                    records=read_records(signed[row].as_py(), rrsets),
                    verified=frozenset(self.checked.key_choices[this.verified]),
                    start=int(self.periods.start[row]),
                    end=int(
                        self.periods.start[row]
                        if self.periods.is_void[row]
                        else self.periods.end[row]
                    ),
                    seen=tuple(
                        zip(
                            self.pairs.place[seen].tolist(),
                            self.pairs.first[seen].tolist(),
                            self.pairs.last[seen].tolist(),
                            strict=True,
                        )
                    ),
                    states=partial(self.states, int(self.class_of[row])),
                )
            )

    def publication(self, number: int) -> Publication:
        """Return a class's publication."""
        if number not in self._publications:
            this = self.classes[number]
            group = self.checked.groups[this.group]
            zone = self.zones.get(group.zone) or ZoneKeys(group.zone)
            tried = frozenset(group.keys)
            verified = frozenset(self.checked.key_choices[this.verified])
            if group.zone not in self._sighted:
                self._sighted[group.zone] = sighted(zone)
            budget = self.budgets[group.zone]
            malformed = this.problem == "signature-malformed"
            unfit = {}
            for key in tried:
                if not zone.keys[key].is_zone_key:
                    unfit[key] = "zone-key-bit-unset"
                elif zone.keys[key].is_revoked and not this.over_keys:
                    unfit[key] = "key-revoked"
            # A malformed signature verifies with no key, and that says nothing of the keys.
            self._publications[number] = Publication(
                zone=zone,
                verified=tried if malformed else verified,
                tried=tried,
                unfit=unfit,
                low=self.low,
                high=self.high,
                budget=budget,
                sighted=self._sighted[group.zone],
                caches=self.caches,
                is_limited=not budget.spend(len(zone.published) + len(zone.key_sets)),
            )
        return self._publications[number]

    def states(self, number: int, place: int) -> Steps[State]:
        """Return a class's verdict at a place through time, chain and validity apart."""
        this = self.classes[number]
        group = self.checked.groups[this.group]
        if group.algorithm not in self.policy.algorithms:
            state = State(
                Status.INDETERMINATE, "algorithm-unsupported", False, group.zone, timed=False
            )
            return ((self.low, state),)
        publication = self.publication(number)
        if place != EVERYWHERE and not publication.differs_at(place):
            place = EVERYWHERE
        if (number, place) not in self._steps:
            low, high = self._cell.get((number, place), (0, 0))
            seen = np.unique(np.concatenate([self._first[low:high], self._last[low:high]]))
            steps = publication.steps(place, seen.tolist())
            self._steps[number, place] = join(
                (start, _adjusted(state, this, self._blamed(this))) for start, state in steps
            )
        return self._steps[number, place]

    def _blamed(self, this: SignatureClass) -> str:
        """Return the zone that a broken record is told of.

        Who signs in the name of something that is no zone is the zone above it.
        """
        name = self.checked.groups[this.group].zone
        if this.problem != "signer-invalid" or name in self.zones:
            return name
        return next((above for above in ancestors(name) if above in self.zones), name)

    def spans(self) -> Spans:
        """Lay out which steps hold for which signature at which place, from when to when."""
        variants: list[Steps[State]] = []
        variant_of: dict[tuple[int, int], int] = {}
        cell_variant = np.empty(len(self.cells), np.int64)
        cell_default = np.empty(len(self.cells), np.bool_)
        joined: dict[tuple[int, int], Steps[State]] = {}
        for index, (number, place) in enumerate(self.cells):
            zone = self.checked.groups[self.classes[number].group].zone
            own = self.publication(number).differs_at(place) or self.trust.differs_at(zone, place)
            default = self._joined(joined, number, zone, EVERYWHERE)
            steps = self._joined(joined, number, zone, place) if own else default
            cell_default[index] = steps == default
            key = (number, EVERYWHERE if steps == default else place)
            if key not in variant_of:
                variant_of[key] = len(variants)
                variants.append(steps)
            cell_variant[index] = variant_of[key]
        pair_default = cell_default[self.cell_of_pair]
        place = np.where(pair_default, EVERYWHERE, self.pairs.place)
        order = np.lexsort((place, self.pairs.signature))
        row, place = self.row[order], place[order]
        edge = np.ones(len(order), np.bool_)
        edge[1:] = (row[1:] != row[:-1]) | (place[1:] != place[:-1])
        begin = np.flatnonzero(edge)
        return Spans(
            row=row[begin],
            place=place[begin],
            variant=cell_variant[self.cell_of_pair[order[begin]]],
            first=np.minimum.reduceat(self.pairs.first[order], begin),
            last=np.maximum.reduceat(self.pairs.last[order], begin),
            variants=variants,
            periods=self.periods,
            keys=[self._named(number) for number in range(len(self.classes))],
            class_of=self.class_of,
        )

    def _joined(
        self, memo: dict[tuple[int, int], Steps[State]], number: int, zone: str, place: int
    ) -> Steps[State]:
        """Return the verdict with the chain's part in it."""
        key = (number, place)
        if key not in memo:
            over_keys = self.classes[number].over_keys
            memo[key] = combine(
                self.states(number, place),
                self.chain.link(zone, place),
                _with_warning if over_keys else _with,
            )
        return memo[key]

    def _named(self, number: int) -> list[str]:
        """Return the key_ids that a class's verdicts name: those that verified, else the tried."""
        this = self.classes[number]
        group = self.checked.groups[this.group]
        keys = self.checked.key_choices[this.verified] or group.keys
        return key_ids(self.zones.get(group.zone), keys)


def _with(state: State, link: Link) -> State:
    """Let the chain above speak first: the highest broken link."""
    if link.kind == "broken":
        return State(Status.BOGUS, link.reason, link.weak, link.zone, timed=False)
    if link.kind == "insecure":
        return State(Status.INSECURE, link.reason, link.weak, link.zone, timed=False)
    if link.kind == "limit":
        return State(Status.INDETERMINATE, link.reason, link.weak, link.zone, timed=False)
    if link.kind == "secure" and state.status == Status.VALID:
        return state._replace(status=Status.SECURE)
    return state


def _with_warning(state: State, link: Link) -> State:
    """The same for DNSKEY RRsets, which carry what is out of the safe path."""
    found = _with(state, link)
    if link.kind == "secure" and found.status == Status.SECURE:
        return found._replace(reason=link.reason)
    return found


def _adjusted(state: State, this: SignatureClass, zone: str) -> State:
    """Put in what is wrong with the record itself, and what a limit left open."""
    if this.is_cut and not this.verified and state.status in {Status.BOGUS, Status.INDETERMINATE}:
        return State(Status.INDETERMINATE, "limit-reached", False, state.zone)
    if this.problem and state.reason in {"none", "dnskey-not-captured"}:
        return State(Status.BOGUS, this.problem, False, zone)
    return state


def _shared_codes(first: Any, second: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the texts of two columns alike."""
    import pyarrow as pa

    both = pa.concat_arrays(
        [
            c.cast(pa.string()).combine_chunks() if isinstance(c, pa.ChunkedArray) else c
            for c in (first, second)
        ]
    )
    _, codes = encode(pa.chunked_array([both]))
    return codes[: len(first)], codes[len(first) :]


def _lengths(column: Any) -> NDArray[np.int64]:
    import pyarrow.compute as pc

    lengths: NDArray[np.int64] = pc.binary_length(column).to_numpy().astype(np.int64)
    return lengths
