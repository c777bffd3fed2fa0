"""What is absent that should be there, and the reverse: events over responses, made to subjects.

Each becomes a subject beside the signatures (see `subjects`), so that the timeline brackets it as
it brackets a bad signature: RRsets without RRSIG by owner and type, proofs of absence by question,
contradicted proofs by the name of their record.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import schemas
from forensics.knowledge import FOREVER, Note, SightingPairs
from forensics.limits import ABSENCE_EVENTS, NSEC3_ITERATIONS, SECOND
from forensics.validation import contradiction
from forensics.validation.absence import Owners, due
from forensics.validation.chain import Chain
from forensics.validation.classify import classify
from forensics.validation.contradiction import Contradiction, Sighted
from forensics.validation.denial import Asked, Denials
from forensics.validation.exchanges import Exchange, Streams, exchanges
from forensics.validation.keyless import Absence, _over_keys, _seen
from forensics.validation.records import SignedRecords
from forensics.validation.steps import at
from forensics.validation.subjects import Subjects
from forensics.vocabulary import (
    STATUSES,
    TYPE_DNSKEY,
    TYPE_NSEC3,
    TYPE_SOA,
    Section,
    SightingFlag,
    Status,
)
from forensics.wire.verdicts import VerdictIndex

_BAD_PROOFS: Final = frozenset({"denial-missing", "denial-invalid"})
_COSTLY: Final = "nsec3-iterations"
_FLAGS: Final = int(
    SightingFlag.AA | SightingFlag.AUTHORITY | SightingFlag.DO | SightingFlag.DO_KNOWN
)


class Subject(NamedTuple):
    """What is judged: `kind` rrset, denial or proof; `detail` tells denials of one name apart.

    `made` is the inception of a proof, s: what is older was another one.
    """

    zone: str
    owner: str
    type: int
    kind: str
    detail: str = ""
    made: int = 0


class Event(NamedTuple):
    """A response in which a subject was bad (`reason`) or good (empty)."""

    subject: Subject
    place: int
    time: int
    capture: int
    frame: int
    transaction: int
    serial: int
    reason: str


@dataclass
class _Events:
    """Events up to a limit, and what was left out, by zone; `costly`: denials not followed."""

    found: list[Event] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    costly: Counter[str] = field(default_factory=Counter)
    unread: int = 0

    def add(self, subject: Subject, seen: Exchange | Sighted, place: int, reason: str) -> None:
        if len(self.found) >= ABSENCE_EVENTS:
            self.skipped[subject.zone] = self.skipped.get(subject.zone, 0) + 1
            return
        self.found.append(
            Event(
                subject, place, seen.time, seen.capture, seen.frame, seen.transaction,
                seen.serial, reason,
            )
        )  # fmt: skip


def judge_absences(
    streams: Streams,
    signatures: Any,
    pairs: SightingPairs,
    good: NDArray[np.int64],
    verdicts: Any,
    chain: Chain,
    first: int,
    absences: Iterable[Absence] = (),
    iterations: int = NSEC3_ITERATIONS,
) -> Subjects:
    """Judge what a run's responses lack, and what they deny.

    Args:
        streams: the long tables.
        signatures: schemas.SIGNATURES.
        pairs: which signature was seen at which place, and when.
        good: numbers of the signatures that some key verifies.
        verdicts: schemas.VERDICTS of the signatures.
        chain: the links of all zones.
        first: number of the first subject.
        absences: DNSKEY and DS queries that were answered without one.
        iterations: of NSEC3 that validators follow.
    """
    zones = frozenset(
        zone
        for zone, known in chain.trust.zones.items()
        if chain.trust.anchors.get(zone) or len(known.delegated)
    )
    records = SignedRecords(signatures)
    events = _Events()
    notes: list[Note] = []
    if zones:
        denials = Denials(records, iterations)
        seen, _ = _seen(streams.sightings, _over_keys(signatures))
        vouched = _Vouched(chain, seen, absences)
        _walk(streams, records, Owners(records, zones), denials, verdicts, chain, vouched, events)
        notes += [
            _limit(zone, f"{count} proofs of absence of {zone} more than are judged were seen.")
            for zone, count in sorted(denials.skipped.items())
        ]
    notes += [_near_miss(zone, count, iterations) for zone, count in sorted(events.costly.items())]
    if events.unread:
        sentence = f"{events.unread} denials more than are looked at were seen."
        notes.append(_limit(".", sentence))
    against, limited = contradiction.contradictions(records, pairs, good)
    _contradict(streams, records, pairs, against, events)
    notes += [
        _limit(zone, f"More names of {zone} were seen than are held against its denials.")
        for zone in limited
    ]
    notes += [
        _limit(zone, f"{count} answers of {zone} that lack a signature or a proof are not told.")
        for zone, count in sorted(events.skipped.items())
    ]
    return _tables(events.found, first, tuple(notes))


def _limit(zone: str, sentence: str) -> Note:
    return Note("limit", zone, sentence=sentence)


def _near_miss(zone: str, count: int, iterations: int) -> Note:
    """Warn of a zone that hashes more than validators follow (RFC 9276 3.2)."""
    sentence = (
        f"{count} denials of {zone} are hashed more than {iterations} times: validators that follow"
        f" no more take what they deny for unsigned, and some refuse it (EDE 27)."
    )
    figures: dict[str, object] = {"denials": count, "followed": iterations, "ede": 27}
    return Note("near-miss", zone, sentence=sentence, figures={"reason": _COSTLY, **figures})


def _walk(
    streams: Streams,
    records: SignedRecords,
    owners: Owners,
    denials: Denials,
    verdicts: Any,
    chain: Chain,
    vouched: _Vouched,
    events: _Events,
) -> None:
    """Go over the responses; a second time for the good answers to what was badly denied."""
    index = VerdictIndex(verdicts)
    bad: set[Subject] = set()
    skipped: Counter[str] = Counter()
    given = (streams, records, owners, denials, index, chain, vouched)
    for one, subject, reason in _judged(*given, skipped):
        if reason == _COSTLY:
            events.costly[subject.zone] += 1
        elif reason:
            bad.add(subject)
            events.add(subject, one, one.place, reason)
    events.unread = skipped["denials"]
    bad = {subject for subject in bad if subject.kind == "denial"}
    if not bad:
        return
    for one, subject, reason in _judged(*given, Counter()):
        if not reason and subject in bad:
            events.add(subject, one, one.place, "")


def _judged(
    streams: Streams,
    records: SignedRecords,
    owners: Owners,
    denials: Denials,
    index: VerdictIndex,
    chain: Chain,
    vouched: _Vouched,
    skipped: Counter[str],
) -> Iterator[tuple[Exchange, Subject, str]]:
    """Give what each response lacks, and each of its proofs with its reason, empty: it holds."""
    for batch in exchanges(streams, owners.names, denials.records.of_type(TYPE_SOA), skipped):
        denials.ration()
        sound = _sound(batch, records, index)
        for one, is_sound in zip(batch, sound, strict=True):
            if any(shown.signature not in records.row for shown in one.signed):
                continue
            kind = classify(one, records)
            lacking = [row for row in due(one, kind, owners) if vouched.holds(row.zone, one)]
            for row in lacking:
                reason = vouched.reason(row.zone, one.time)
                yield one, Subject(row.zone, row.owner, row.type, "rrset"), reason
            if lacking or not is_sound:
                continue
            for asked in denials.asked(one, kind):
                proof = denials.proof(asked)
                if proof is None or proof.below_cut:
                    continue  # a parent that was asked for what its child holds
                fails = proof.reason in _BAD_PROOFS and _in_force(chain, asked.zone, one)
                if proof.holds or fails:
                    yield one, _denied(asked, denials), proof.reason
                if proof.reason == _COSTLY and _in_force(chain, asked.zone, one):
                    yield one, Subject(asked.zone, asked.zone, TYPE_NSEC3, "iterations"), _COSTLY


def _denied(asked: Asked, denials: Denials) -> Subject:
    detail = f"{asked.claim}:{asked.qtype}"
    kind = denials.denier_type(asked.zone)
    return Subject(asked.zone, asked.qname, kind, "denial", detail)


def _in_force(chain: Chain, zone: str, one: Exchange) -> bool:
    """Whether validators then took the zone for signed, and nothing above it was broken."""
    link = at(chain.link(zone, one.place), one.time)
    return link.kind in {"secure", "open"} and chain.in_force(zone, one.time)


class _Vouched:
    """Which zones validators took for signed at an instant: by a DS seen within its TTL before.

    Between two sightings of one DS it may have been withdrawn; and where it was, caches hold it
    for its TTL: a zone that turns insecure keeps its signatures until then (RFC 6781 4.4).

    Args:
        chain: the links of all zones.
        seen: when a DS of each zone was seen, and its TTL (ns, ns), sorted.
        absences: DNSKEY queries that a zone answered without one.
    """

    def __init__(
        self, chain: Chain, seen: Mapping[str, list[tuple[int, int]]], absences: Iterable[Absence]
    ) -> None:
        self._chain = chain
        self._seen = seen
        self._keyless: dict[str, set[int]] = defaultdict(set)
        for row in absences:
            if row.type == TYPE_DNSKEY:
                self._keyless[row.zone].add(row.time)

    def holds(self, zone: str, one: Exchange) -> bool:
        """Whether a signature of the zone was due in a response."""
        trust, known, t = self._chain.trust, self._chain.trust.zones.get(zone), one.time
        if known is None or at(self._chain.link(zone, one.place), t).kind == "broken":
            return False
        if trust.anchors.get(zone):
            return _in_force(self._chain, zone, one)
        parent = trust.parent(zone)
        if parent is None or at(self._chain.link(parent), t).kind not in {"secure", "open"}:
            return False
        own = self._seen.get(zone, [])
        last = bisect_right(own, (t, FOREVER))
        fresh = any(time + ttl > t for time, ttl in own[max(last - _LOOK_BACK, 0) : last])
        return fresh and all(trust.usable(content, t) for content in known.delegations)

    def reason(self, zone: str, t: int) -> str:
        """Name the highest broken link: a zone that lost its keys too has lost more."""
        near = any(abs(time - t) <= _NEAR for time in self._keyless.get(zone, ()))
        return "dnskey-absent" if near else "rrsig-missing"


_LOOK_BACK: Final = 64
"""Sightings of a DS before an instant that are asked whether they reach to it: TTLs differ."""

_NEAR: Final = 300 * SECOND
"""An answer without keys this near to one without signatures is the same state of the zone."""


def _sound(batch: list[Exchange], records: SignedRecords, index: VerdictIndex) -> list[bool]:
    """Tell of each response whether each of its signed RRsets has a good signature."""
    counts = [len(one.signed) for one in batch]
    numbers = np.array([s.signature for one in batch for s in one.signed], np.int64)
    places = np.repeat(np.array([one.place for one in batch], np.int64), counts)
    times = np.repeat(np.array([one.time for one in batch], np.int64), counts)
    status, _, _, _ = index.codes(numbers, places, times)
    fine = np.isin(status, (Status.SECURE, Status.VALID)).tolist()
    found = []
    begin = 0
    for one in batch:
        rrsets: dict[tuple[str, int, int], bool] = {}
        for shown, is_fine in zip(one.signed, fine[begin : begin + len(one.signed)], strict=True):
            row = records.row.get(shown.signature)
            if row is not None:
                key = (records.owner[row], records.type[row], shown.section)
                rrsets[key] = rrsets.get(key, False) or is_fine
        begin += len(one.signed)
        found.append(all(rrsets.values()))
    return found


def _contradict(
    streams: Streams,
    records: SignedRecords,
    pairs: SightingPairs,
    against: list[Contradiction],
    events: _Events,
) -> None:
    """Find the very responses in which a proof contradicted what its server served."""
    if not against:
        return
    wanted = {(row.denial, row.place) for row in against}
    wanted |= {(row.denied, row.place) for row in against}
    seen = _sightings(streams, wanted)
    known = contradiction.versions(records, pairs, {(row.zone, row.place) for row in against})
    done: set[tuple[int, int, Sighted]] = set()
    for row in against:
        for sighted in contradiction.contradicted(
            seen[row.denial, row.place], seen[row.denied, row.place], known[row.zone, row.place]
        ):
            if (row.denial, row.place, sighted) in done:
                continue
            done.add((row.denial, row.place, sighted))
            at_row = records.row[row.denial]
            subject = Subject(
                row.zone,
                records.owner[at_row],
                records.type[at_row],
                "proof",
                made=records.inception[at_row] or 0,
            )
            events.add(subject, sighted, row.place, "denial-contradicted")


def _sightings(
    streams: Streams, wanted: set[tuple[int, int]]
) -> dict[tuple[int, int], list[Sighted]]:
    """Give the sightings of signatures at places, in order of time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: dict[tuple[int, int], list[Sighted]] = defaultdict(list)
    numbers = pa.array(sorted({number for number, _ in wanted}), pa.uint32())
    names = ("signature", "place", "flags", "capture", "frame", "transaction", "serial")
    held = 0
    unfit = int(SightingFlag.UNPAIRED | SightingFlag.TC | SightingFlag.CUT)
    for batch in streams.sightings():
        rows = batch.filter(pc.is_in(batch.column("signature"), value_set=numbers))
        times = rows.column("time").cast(pa.int64()).to_pylist()
        columns = [rows.column(name).to_pylist() for name in names]
        for time, number, place, flags, *rest in zip(times, *columns, strict=True):
            if flags & unfit or not flags & int(SightingFlag.AUTHORITY):
                continue
            if (number, place) in wanted and held < ABSENCE_EVENTS:
                held += 1
                found[number, place].append(Sighted(time, *rest))
    for rows_of in found.values():
        rows_of.sort()
    return found


def _tables(events: Iterable[Event], first: int, notes: tuple[Note, ...]) -> Subjects:
    """Lay the events out as rows of signatures, sightings and verdicts."""
    import pyarrow as pa

    ordered = sorted(events)
    subjects = sorted({event.subject for event in ordered})
    number = {subject: first + at_ for at_, subject in enumerate(subjects)}
    signatures = [
        {
            "signature": number[subject],
            "signature_id": ":".join(
                (
                    subject.kind,
                    subject.owner,
                    str(subject.type),
                    subject.detail or str(subject.made or ""),
                )
            ),
            "owner": subject.owner,
            "type": subject.type,
            "signer": subject.zone,
            "key_tag": 0,
            "algorithm": 0,
            "labels": 0,
            "original_ttl": 0,
            "inception": subject.made,
            "expiration": 0,
            "records": 0,
            "serial": None,
            "signed_data": b"",
            "octets": b"",
            "problem": None,
        }
        for subject in subjects
    ]
    sightings = [
        {
            "signature": number[event.subject],
            "transaction": event.transaction,
            "time": event.time,
            "capture": event.capture,
            "frame": event.frame,
            "place": event.place,
            # No section holds what is absent; a good signature there must not speak for it.
            "section": int(Section.QUESTION),
            "ttl": 0,
            "flags": _FLAGS,
            "serial": event.serial,
        }
        for event in sorted(ordered, key=lambda e: (e.time, e.capture, e.frame, e.subject))
    ]
    verdicts: list[dict[str, Any]] = []
    last: Event | None = None
    for event in ordered:
        key = (event.subject, event.place, event.reason)
        if last is not None and key == (last.subject, last.place, last.reason):
            verdicts[-1]["end"] = event.time + 1
        elif last is None or (event.subject, event.place, event.time) != last[:3]:
            verdicts.append(
                {
                    "signature": number[event.subject],
                    "place": event.place,
                    "view": "published",
                    "start": event.time,
                    "end": event.time + 1,
                    "status": STATUSES[Status.BOGUS if event.reason else Status.VALID],
                    "reason": event.reason or "none",
                    "confidence": "strong",
                    "zone": event.subject.zone,
                    "keys": [],
                    "later": False,
                }
            )
        last = event
    return Subjects(
        pa.Table.from_pylist(signatures, schema=schemas.SIGNATURES),
        pa.Table.from_pylist(sightings, schema=schemas.SIGHTINGS),
        pa.Table.from_pylist(verdicts, schema=schemas.VERDICTS),
        notes,
    )
