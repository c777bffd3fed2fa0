"""The rehearsal: the zone and a recording in, findings with whom they hit out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.knowledge import DelegationSigner, ZoneKeys, key_tag
from forensics.rehearsal import health, steps
from forensics.rehearsal.answers import Answer, Answerer, Kind
from forensics.rehearsal.contents import Contents, Place
from forensics.rehearsal.demand import Demand, Hit, gather, hits, name_of
from forensics.rehearsal.denials import Denials
from forensics.rehearsal.finding import Finding, Findings, Holders, Level, Unjudged
from forensics.rehearsal.holders import Held, held_answers, held_delegations, held_keys
from forensics.rehearsal.signing import Notary
from forensics.validation.deniers import text

_ALL: Final = -1
"""Number of the hits of all refusals together."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Recording:
    """What was recorded, up to the instant of publication.

    Attributes:
        keys: of the zone, as keyring.view builds it; None: nothing of it was seen.
        signatures: schemas.SIGNATURES.
        sightings, transactions: give schemas.SIGHTINGS and TRANSACTIONS as record batches.
    """

    keys: ZoneKeys | None
    signatures: Any
    sightings: Callable[[], Iterator[Any]]
    transactions: Callable[[], Iterator[Any]]


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        zone: the zone.
        at: ns.
        findings: in the order of their weight, each with its hits.
        unjudged: what the recording does not tell.
        demand: what was asked.
        kinds: recorded queries by how they would be answered.
        hit: of all refusals together.
        held: what caches hold.
        is_insecure: no validator holds a DS that counts, so none looks at keys.
    """

    zone: Contents
    at: int
    demand: Demand
    findings: list[tuple[Finding, Hit]] = field(default_factory=list)
    unjudged: list[Unjudged] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    hit: Hit = field(default_factory=Hit)
    held: Held = field(default_factory=Held)
    is_insecure: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether the zone must not be published."""
        return any(finding.level is Level.REFUSE for finding, _ in self.findings)

    @property
    def is_judged(self) -> bool:
        """Whether the DS in force and the keys in caches are known: what decides."""
        lacking = {one.what for one in self.unjudged}
        return "delegation" not in lacking and (self.is_insecure or "cached-keys" not in lacking)


def rehearse(
    zone: Contents,
    recording: Recording,
    at: int,
    *,
    given: Sequence[DelegationSigner] | None = None,
    lasting: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Hold a zone that is about to be published against recorded demand and what caches hold.

    Args:
        zone: as `zonefile.read_zone` gives it.
        recording: what was captured.
        at: ns since 1970, when it is published.
        given: DS records that will be in force; None: those that were seen last.
        lasting: ns, signatures that end before are refused.
        progress: told how many RRsets are verified.
    """
    name = text(zone.apex)
    past = recording.keys or ZoneKeys(name)
    held = Held(held_keys(past, at), held_delegations(past, at))
    known = {*zone.keys, *(key for one in held.keys for key in one.keys)}
    told = (lambda done, total: progress("verifying", done, total)) if progress else None
    notary = Notary(zone, known, told)
    by_tag = [(key_tag(key), key[3], key) for key in sorted(known) if len(key) > 4]
    held.answers, held.serial, held.serial_seen, held.soa = held_answers(
        recording.signatures, recording.sightings, name, by_tag, at
    )
    denials = Denials(zone)
    found = Findings()
    _sort(found, steps.delegation(zone, notary, held, given, at))
    _sort(found, health.faults(zone, denials, notary, at, lasting))
    _sort(found, steps.cached_keys(zone, notary, held, at))
    _sort(found, steps.cached_answers(zone, held, at))
    _sort(found, steps.serial(zone, held, at))
    insecure = steps.is_insecure(held, given, at)
    if insecure:
        found.found = [_of_insecure(one) for one in found.found]
    wanted = _transactions(found.found, recording, at)
    demand, of = gather(recording.transactions, name, at, _sorted(wanted))
    if not demand.queries:
        found.unjudged.append(
            Unjudged(
                "demand",
                f"No query for names of {name} was recorded, so whom a fault would hit is not "
                "known.",
                "Record the zone's servers, or a resolver that asks them.",
            )
        )
    outcome = Outcome(zone, at, demand, unjudged=found.unjudged, held=held, is_insecure=insecure)
    answers = _answered(zone, denials, demand, outcome.kinds)
    if not insecure:
        _add_denials(zone, found, answers, at)
    marks = {
        number: _mark(finding, answers, wanted, of) for number, finding in enumerate(found.found)
    }
    refused = [n for n, one in enumerate(found.found) if one.level is Level.REFUSE]
    marks[_ALL] = np.zeros(len(answers), np.bool_)
    for number in refused:
        if found.found[number].holders is not Holders.SECONDARIES:
            marks[_ALL] |= marks[number]
    hit = hits(recording.transactions, name, at, demand, marks)
    outcome.hit = hit[_ALL]
    outcome.findings = sorted(
        ((finding, hit[number]) for number, finding in enumerate(found.found)),
        key=lambda pair: (
            pair[0].level is not Level.REFUSE,
            list(Holders).index(pair[0].holders),
            -pair[1].queries,
            pair[0].reason,
            pair[0].sentence,
        ),
    )
    return outcome


def _sort(found: Findings, given: Iterator[Finding | Unjudged]) -> None:
    for one in given:
        if isinstance(one, Finding):
            found.found.append(one)
        else:
            found.unjudged.append(one)


def _of_insecure(finding: Finding) -> Finding:
    """Turn a refusal into a warning: without a DS nobody validates."""
    if finding.level is not Level.REFUSE or finding.holders is Holders.SECONDARIES:
        return finding
    sentence = f"{finding.sentence} No DS is in force, so no validator refuses it."
    return replace(finding, level=Level.WARNING, sentence=sentence)


def _transactions(found: Sequence[Finding], recording: Recording, at: int) -> dict[int, set[int]]:
    """Find the transactions that brought signatures which findings are about, by signature."""
    import pyarrow as pa

    numbers = np.array(sorted({n for one in found for n in one.numbers}), np.int64)
    brought: dict[int, set[int]] = {}
    if not len(numbers):
        return brought
    for batch in recording.sightings():
        number = batch.column("signature").to_numpy(zero_copy_only=False).astype(np.int64)
        time = batch.column("time").cast(pa.int64()).to_numpy(zero_copy_only=False)
        mine = np.isin(number, numbers) & (time <= at)
        which = batch.column("transaction").to_numpy(zero_copy_only=False)[mine]
        for signature, transaction in zip(number[mine].tolist(), which.tolist(), strict=True):
            brought.setdefault(signature, set()).add(transaction)
    return brought


def _sorted(brought: dict[int, set[int]]) -> NDArray[np.int64]:
    return np.array(sorted({t for found in brought.values() for t in found}), np.int64)


def _answered(
    zone: Contents, denials: Denials, demand: Demand, kinds: Counter[str]
) -> list[Answer]:
    """Answer each recorded question from the zone."""
    answerer = Answerer(zone, denials)
    answers = []
    for (name, kind), number in demand.numbers.items():
        labels = name_of(name)
        answer = Answer(Kind.OUTSIDE) if labels is None else answerer.ask(labels, kind)
        kinds[answer.kind] += int(demand.counts[number])
        answers.append(answer)
    return answers


def _add_denials(zone: Contents, found: Findings, answers: Sequence[Answer], at: int) -> None:
    """Add findings for proofs that prove too little where no fault of the chain explains them."""
    if not zone.keys or any(finding.faults for finding in found.found):
        return  # a zone without keys is unsigned: what that means is the DS's to say
    for fault in sorted({answer.fault for answer in answers} - {""}):
        first = next(answer for answer in answers if answer.fault == fault)
        found.found.append(
            Finding(
                fault,
                Level.REFUSE,
                Holders.EVERYONE,
                f"Not every denial would be proven: {first.why}",
                at,
                faults=frozenset({fault}),
            )
        )


def _mark(
    finding: Finding,
    answers: Sequence[Answer],
    brought: dict[int, set[int]],
    of: dict[int, set[int]],
) -> NDArray[np.bool_]:
    """Return which questions a finding hits."""
    if finding.is_all:
        return np.array([answer.kind is not Kind.OUTSIDE for answer in answers], np.bool_)
    mark = np.zeros(len(answers), np.bool_)
    for signature in finding.numbers:
        for transaction in brought.get(signature, ()):
            mark[list(of.get(transaction, ()))] = True
    places: frozenset[Place] = finding.places
    if finding.faults:
        near = np.array(
            [a.fault in finding.faults and not places.isdisjoint(a.needs) for a in answers],
            np.bool_,
        )
        if not near.any():
            near = np.array([a.fault in finding.faults for a in answers], np.bool_)
        return mark | near
    if places:
        mark |= np.array([not places.isdisjoint(answer.needs) for answer in answers], np.bool_)
    return mark
