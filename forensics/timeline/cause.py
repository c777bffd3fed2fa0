"""Why: the reason and its phases, the act just before, who signed, and what changed when."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from forensics import limits, vocabulary
from forensics.timeline import parameters
from forensics.timeline.columns import coded, integers, single, truths
from forensics.timeline.evidence import Catalog, Evidence
from forensics.timeline.keysets import (
    TYPE_NAMES,
    Change,
    Key,
    Run,
    changes,
    describe,
    published,
    requests,
)
from forensics.timeline.moments import Moment, rfc3339
from forensics.timeline.onset import Brackets, Stratum
from forensics.timeline.signers import HIDDEN, RECOVERABLE, Failing, recover
from forensics.timeline.strata import Case
from forensics.timeline.survey import TIME_REASONS

KEY_REASONS: Final = frozenset(
    {
        "ds-mismatch", "dnskey-absent", "dnskey-unobtainable", "dnskey-unsigned-by-ds-key",
        "dnskey-missing", "key-revoked", "zone-key-bit-unset", "algorithm-incomplete",
    }
)  # fmt: skip
"""Reasons that a change of keys or DS brings about; the rest comes with new data, or with time."""

FIRST_SHARE: Final = 0.1
"""The reason of an incident is the first that made this share of its bad sightings."""

FAILING: Final = 4_096
"""Failing signatures handed to the recovery of keys, the first in order of digest."""


def reason_of(case: Case, last_bad: Moment) -> tuple[int, list[dict[str, Any]]]:
    """Give the number of an incident's reason, and its phases: each reason from first to last.

    What only caches refused after the last bad answer is no phase.
    """
    spans: dict[int, list[Any]] = {}
    for spell in case.episode.spells:
        held = spans.setdefault(spell.reason, [spell.first, spell.last, 0])
        held[0], held[1] = min(held[0], spell.first), max(held[1], spell.last)
        held[2] += spell.bad
    total = sum(held[2] for held in spans.values())
    ordered = sorted(spans.items(), key=lambda item: (item[1][0], item[0]))
    chosen = next(number for number, held in ordered if held[2] >= FIRST_SHARE * total)
    phases = [
        {
            "from": rfc3339(first.time),
            "to": rfc3339(min(last.time, last_bad.time)),
            "reason": vocabulary.REASONS[number].code,
            "bad": bad,
        }
        for number, (first, last, bad) in ordered
        if first <= last_bad or number == chosen
    ]
    return chosen, phases


def act(
    reason: int,
    case: Case,
    earliest: Stratum,
    brackets: Brackets,
    runs: Sequence[Run],
    catalog: Catalog,
) -> dict[str, Any]:
    """Bracket the act that caused an incident, apart from when it was first seen to fail."""
    code = vocabulary.REASONS[reason].code
    if code == "signature-expired":
        at = int(catalog.expiration[earliest.first_bad.signature]) * limits.SECOND
        return _bracket(at, at, "expiry", "the first of these signatures ran out")
    if code in KEY_REASONS:
        found = [
            change
            for change in changes(runs)
            if change.after.time <= brackets.first_bad.time and change.event != "dnskey-revoked"
        ]
        if found:
            done = [change for change in found if change.before.time <= brackets.first_bad.time]
            change = max(done or found, key=lambda change: (change.after.time, change.before.time))
            what = f"{change.event}: {describe(change.event, change.key)}"
            return _bracket(change.after.time, change.before.time, "keys", what)
    if earliest.state and reason not in TIME_REASONS:
        # Between the last sighting of another version and the first of this one lies the act.
        here = [
            (cell.serial, moment.time)
            for cell in case.cells
            if cell.place == earliest.place and cell.side == earliest.side and cell.serial
            for moment in (cell.first_seen, cell.last_seen)
        ]
        first = min([earliest.first_bad.time, *(at for n, at in here if n == earliest.state)])
        after = max((at for n, at in here if n != earliest.state and at < first), default=None)
        what = f"zone version with SOA serial {earliest.state}"
        return _bracket(after, first, "serial", what)
    after = None if brackets.last_good is None else brackets.last_good.time
    return _bracket(after, brackets.first_bad.time, "onset", "seen by its effect only")


def _bracket(after: int | None, before: int, kind: str, detail: str) -> dict[str, Any]:
    """Give a cause as the report has it."""
    return {
        "after": None if after is None else rfc3339(after),
        "before": rfc3339(before),
        "kind": kind,
        "detail": detail,
    }


@dataclass(frozen=True, slots=True)
class Signing:
    """Who made the bad signatures.

    Attributes:
        signers: rows of the report.
        unpublished: (tag, algorithm, role) of signers that were not published then.
    """

    signers: list[dict[str, Any]]
    unpublished: list[tuple[int, int, str]]


def signing(
    case: Case, brackets: Brackets, evidence: Evidence, catalog: Catalog, keys: Sequence[Key]
) -> Signing:
    """Tell who made the bad signatures of an incident's own signers.

    Args:
        case: the incident.
        brackets: its onset and recovery.
        evidence: for the verdicts, the checks and the signatures.
        catalog: the signatures as arrays.
        keys: the zone's DNSKEYs as published in the time of the incident.
    """
    bad = _bad_signatures(case, brackets, evidence, catalog)
    made = _made_by(evidence, bad)
    ids = {key.key_id: key for key in keys}
    groups: dict[tuple[int, int, str], list[int]] = {}
    failing: list[int] = []
    for signature in bad:
        makers = made.get(signature, set())
        known = sorted(makers & ids.keys())
        tag, algorithm = int(catalog.tag[signature]), int(catalog.algorithm[signature])
        if known or makers:
            maker = known[0] if known else min(makers)
            groups.setdefault((tag, algorithm, maker), []).append(signature)
        else:
            failing.append(signature)
    signers = [
        _signer(tag, algorithm, len(made_here), is_published=maker in ids, key_id=maker)
        for (tag, algorithm, maker), made_here in sorted(groups.items())
    ]
    unpublished = {
        (tag, algorithm, _role(made_here, catalog))
        for (tag, algorithm, maker), made_here in groups.items()
        if maker not in ids
    }
    rows = _failing_rows(evidence, catalog, failing)
    explained: set[int] = set()
    for key in recover(rows, evidence.effort):
        explained.update(key.signatures)
        signer = _signer(key.tag, key.algorithm, len(key.signatures), is_published=False)
        signer["recovered"] = True
        signer["public_key"] = base64.b64encode(key.public_key).decode()
        signer["flags"] = key.flags
        signers.append(signer)
    rest: dict[tuple[int, int], int] = {}
    for signature in failing:
        tag, algorithm = int(catalog.tag[signature]), int(catalog.algorithm[signature])
        unpublished.add((tag, algorithm, _role([signature], catalog)))
        if signature not in explained:
            rest[tag, algorithm] = rest.get((tag, algorithm), 0) + 1
    signers += [
        {
            **_signer(*which, number, is_published=False),
            **({"recoverable": False} if which[1] in HIDDEN else {}),
        }
        for which, number in sorted(rest.items())
    ]
    return Signing(signers, sorted(unpublished))


def _signer(
    tag: int, algorithm: int, signatures: int, *, is_published: bool, key_id: str | None = None
) -> dict[str, Any]:
    """Give a row of `signers`."""
    row: dict[str, Any] = {
        "tag": tag,
        "algorithm": algorithm,
        "published": is_published,
        "signatures": signatures,
        "recovered": False,
    }
    return row if key_id is None else {**row, "key_id": key_id}


def _role(signatures: Sequence[int], catalog: Catalog) -> str:
    """Guess a hidden key's role from what it signs."""
    types = {int(catalog.type[signature]) for signature in signatures}
    return "ksk" if types == {vocabulary.TYPE_DNSKEY} else "zsk"


def _bad_signatures(
    case: Case, brackets: Brackets, evidence: Evidence, catalog: Catalog
) -> list[int]:
    """Give the distinct signatures that verdicts call bad in the time of the incident, sorted."""
    table = evidence.verdicts
    status, zone, view = (coded(table[name]) for name in ("status", "zone", "view"))
    chosen = np.ones(table.num_rows, dtype=bool)
    for column, word in (
        (status, "bogus"), (zone, case.episode.zone), (view, "published")
    ):  # fmt: skip
        words = np.array([value == word for value in column.values.to_pylist()], dtype=bool)
        chosen &= column.lookup(words, absent=False).astype(bool)
    chosen &= integers(table["start"]) <= brackets.last_bad.time
    chosen &= integers(table["end"]) > brackets.first_bad.time
    found = np.unique(integers(table["signature"])[chosen])
    found = found[found < len(catalog.signer)]
    # Subjects that are no signatures have algorithm 0.
    found = found[(catalog.algorithm[found] != 0) & np.isin(catalog.signer[found], case.signers)]
    return [int(number) for number in found]


def _made_by(evidence: Evidence, signatures: Sequence[int]) -> dict[int, set[str]]:
    """Give the key ids that verify each of some signatures."""
    checks = evidence.checks
    number = integers(checks["signature"])
    chosen = np.flatnonzero(
        truths(checks["verifies"]) & np.isin(number, np.asarray(signatures, dtype=np.int64))
    )
    names = single(checks["key_id"]).take(chosen).to_pylist()
    found: dict[int, set[str]] = {}
    for signature, name in zip(number[chosen].tolist(), names, strict=True):
        found.setdefault(signature, set()).add(name)
    return found


def _failing_rows(evidence: Evidence, catalog: Catalog, failing: Sequence[int]) -> list[Failing]:
    """Fetch the octets of signatures that may reveal a key, at most FAILING, by digest."""
    numbers = [number for number in failing if int(catalog.algorithm[number]) in RECOVERABLE]
    rows = catalog.row[numbers]
    columns = ("signature", "signature_id", "key_tag", "algorithm", "signed_data", "octets")
    ids = single(evidence.signatures["signature_id"]).take(rows).to_pylist()
    order = sorted(range(len(rows)), key=lambda at: ids[at])[:FAILING]
    table = evidence.signatures.select(columns).take(rows[order])
    return [Failing(*row.values()) for row in table.to_pylist()]


def keys_then(keys: Sequence[Key], found: Signing) -> list[dict[str, Any]]:
    """List the zone's keys of that time, then the signers that were not among them."""
    rows = [
        {"tag": key.tag, "algorithm": key.algorithm, "role": key.role, "published": True,
         "flags": key.detail, "key_id": key.key_id}
        for key in keys
    ]  # fmt: skip
    rows += [
        {"tag": tag, "algorithm": algorithm, "role": role, "published": False}
        for tag, algorithm, role in found.unpublished
    ]
    return rows


def dnskeys_then(runs: Sequence[Run], brackets: Brackets) -> list[Key]:
    """Give the DNSKEYs that the zone published while it was bad."""
    times = (brackets.first_bad.time, brackets.last_bad.time)
    return published(runs, *times, vocabulary.TYPE_DNSKEY)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that changed: a row of `history` and of the events."""

    moment: Moment
    event: str
    detail: str
    place: int
    after: Moment | None = None


def happenings(
    case: Case, runs: Sequence[Run], brackets: Brackets, evidence: Evidence, catalog: Catalog
) -> list[Happening]:
    """Tell what changed at the zone: keys, DS, signers, proofs, signatures; in order of time."""
    found = [_happened(change) for change in changes(runs, TYPE_NAMES)]
    found += [
        Happening(moment, "proofs-changed", detail, place, before)
        for moment, before, detail, place in parameters.changes(case.cells, evidence, catalog)
    ]
    found += [
        Happening(moment, event, describe(event, key), place)
        for moment, event, key, place in requests(runs)
    ]
    signers: dict[tuple[int, int], tuple[Moment, int]] = {}
    for cell in case.cells:
        if cell.record_class == vocabulary.RecordClass.DNSKEY:
            continue
        key = (cell.tag, cell.algorithm)
        held = signers.get(key)
        if held is None or cell.first_seen < held[0]:
            signers[key] = (cell.first_seen, cell.place)
    ordered = sorted(signers.items(), key=lambda item: (item[1][0], item[0]))
    found += [
        Happening(
            moment, "signer-changed", f"signatures by key tag {tag}, algorithm {algorithm}", place
        )
        for (tag, algorithm), (moment, place) in ordered[1:]
    ]
    good, bad = brackets.first_good, brackets.last_bad
    signed = catalog.algorithm[bad.signature] != 0
    if (
        good is not None
        and signed
        and catalog.inception[good.signature] > catalog.inception[bad.signature]
    ):
        detail = f"new signatures by key tag {int(catalog.tag[good.signature])} that hold"
        found.append(Happening(good, "resigned", detail, -1, bad))
    return sorted(found, key=lambda row: (row.moment, row.event, row.detail))


def _happened(change: Change) -> Happening:
    """Give a change of keys as a happening."""
    return Happening(
        change.before, change.event, describe(change.event, change.key), change.place, change.after
    )


def history(found: Sequence[Happening], names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Give the report's rows: of a flood, the first and the last limits.HISTORY_ROWS halves."""
    if len(found) > limits.HISTORY_ROWS:
        half = limits.HISTORY_ROWS // 2
        found = [*found[:half], *found[-half:]]
    return [
        {
            "at": rfc3339(row.moment.time),
            "event": row.event,
            "detail": row.detail,
            "after": None if row.after is None else rfc3339(row.after.time),
            "capture": names.get(row.moment.capture, "?"),
            "frame": row.moment.frame,
        }
        for row in found
    ]
