"""Subjects of verdicts that are no signatures: what was asked for and came without keys.

They travel to the timeline as rows of the same tables: a row of schemas.SIGNATURES without signed
data, algorithm 0, numbered behind the signatures; a row of schemas.SIGHTINGS for each time; and
verdicts over them. So a zone's answers without keys and its DNSKEY RRsets share one stratum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from forensics import schemas
from forensics.knowledge import Note
from forensics.validation.chain import Chain
from forensics.validation.keyless import Failure, Keyless
from forensics.validation.outofstep import Refused
from forensics.validation.steps import at
from forensics.vocabulary import STATUSES, TYPE_DNSKEY, Section, SightingFlag, Status


@dataclass(frozen=True)
class Subjects:
    """Rows to append; verdicts are in order of subject, place and start.

    Attributes:
        signatures, sightings, verdicts: of the schemas of these names.
        notes: what the report must say besides.
        caches: by subject of the resolver view: `begin` and `until` (ns) and `ttl` (ns): a cache
            filled before `begin` would refuse it until `until`.
    """

    signatures: Any
    sightings: Any
    verdicts: Any
    notes: tuple[Note, ...] = ()
    caches: dict[int, dict[str, int]] = field(default_factory=dict)


def joined(parts: Sequence[Subjects]) -> Subjects:
    """Join subjects whose numbers differ; at least one part."""
    import pyarrow as pa

    sightings = pa.concat_tables([part.sightings for part in parts]).combine_chunks()
    return Subjects(
        pa.concat_tables([part.signatures for part in parts]).combine_chunks(),
        sightings.sort_by(
            [("time", "ascending"), ("capture", "ascending"), ("frame", "ascending")]
        ),
        pa.concat_tables([part.verdicts for part in parts]).combine_chunks(),
        tuple(note for part in parts for note in part.notes),
        {number: held for part in parts for number, held in part.caches.items()},
    )


class _Event(NamedTuple):
    zone: str
    reason: str
    place: int
    time: int
    capture: int
    frame: int
    transaction: int
    status: Status
    weak: bool
    broken: str
    owner: str
    type: int = TYPE_DNSKEY
    view: str = "published"


def judge_subjects(
    found: Keyless, refused: Sequence[Refused], chain: Chain, first: int
) -> Subjects:
    """Judge the answers without keys, and what caches with older keys would refuse.

    Args:
        found: what was asked for and not shown.
        refused: sightings that are bogus in the resolver view alone.
        chain: the links of all zones.
        first: number of the first subject.
    """
    events = [
        _Event(
            r.zone, r.reason, r.place, r.time, r.capture, r.frame, r.transaction,
            Status.BOGUS, False, r.zone, r.owner, r.type, "resolver",
        )
        for r in refused
    ]  # fmt: skip
    for row in found.absences:
        if row.type != TYPE_DNSKEY or row.place < 0:
            continue
        link = at(chain.link(row.zone, row.place), row.time)
        status, reason = Status.INDETERMINATE, "ds-not-captured"
        if link.kind == "broken":
            status, reason = Status.BOGUS, link.reason
        elif link.kind == "insecure":
            status, reason = Status.INSECURE, link.reason
        events.append(
            _Event(
                row.zone, reason, row.place, row.time, row.capture, row.frame, row.transaction,
                status, link.weak, link.zone or row.zone, row.zone,
            )
        )  # fmt: skip
    blamed = []
    for failure in found.failures:
        told = [
            _Event(
                a.zone, "dnskey-unobtainable", a.place, a.time, a.capture, a.frame, a.transaction,
                Status.BOGUS, failure.weak, a.zone, a.zone,
            )
            for a in failure.attempts
            if a.place >= 0 and chain.in_force(a.zone, a.time)
        ]  # fmt: skip
        if told:
            blamed.append(failure)
            events += told
    notes = [_note(zone, [f for f in blamed if f.zone == zone]) for zone in _zones(blamed)]
    if found.is_cut:
        sentence = "There were more queries for keys than are looked at."
        notes.append(Note("limit", ".", sentence=sentence))
    made, number = _tables(events, first, tuple(notes))
    caches: dict[int, dict[str, int]] = {}
    for seen in refused:
        held = caches.setdefault(
            number["resolver", seen.zone, seen.owner, seen.type],
            {"begin": seen.begin, "until": seen.until, "ttl": seen.ttl},
        )
        held["until"] = max(held["until"], seen.until)
    return replace(made, caches=caches)


def _zones(failures: Sequence[Failure]) -> list[str]:
    return sorted({failure.zone for failure in failures})


def _note(zone: str, failures: Sequence[Failure]) -> Note:
    """Say how the attempts to fetch a zone's keys failed: transport, outcome and size."""
    counts: dict[tuple[str, str], list[int]] = {}
    servers = set()
    for failure in failures:
        for attempt in failure.attempts:
            counts.setdefault((attempt.transport, attempt.outcome), []).append(attempt.size)
            servers.add(attempt.server)
    rows = [
        {"transport": transport, "outcome": outcome, "count": len(sizes), "size": max(sizes)}
        for (transport, outcome), sizes in sorted(counts.items())
    ]
    attempts = sum(len(sizes) for sizes in counts.values())
    how = ", ".join(
        f"{r['count']} over {str(r['transport']).upper()}: {r['outcome']}" for r in rows
    )
    return Note(
        "keys-unobtainable",
        zone,
        sentence=(
            f"{attempts} attempts to fetch the keys of {zone} from {len(servers)} servers failed "
            f"one after the other ({how})."
        ),
        figures={"attempts": rows, "servers": sorted(servers)},
    )


_Subject = tuple[str, str, str, int]
"""View, zone, owner and type: what makes a subject."""


def _subject(event: _Event) -> _Subject:
    return event.view, event.zone, event.owner, event.type


def _tables(
    events: list[_Event], first: int, notes: tuple[Note, ...]
) -> tuple[Subjects, dict[_Subject, int]]:
    import pyarrow as pa

    events = sorted(events, key=lambda e: (_subject(e), e.place, e.time, e.frame))
    subjects = sorted({_subject(event) for event in events})
    number = {subject: first + index for index, subject in enumerate(subjects)}
    signatures = [
        {
            "signature": number[subject],
            "signature_id": ":".join(map(str, subject)),
            "owner": subject[2],
            "type": subject[3],
            "signer": subject[1],
            "key_tag": 0,
            "algorithm": 0,
            "labels": 0,
            "original_ttl": 0,
            "inception": 0,
            "expiration": 0,
            "records": 0,
            "serial": None,
            "signed_data": b"",
            "octets": b"",
            "problem": None,
        }
        for subject in subjects
    ]
    flags = int(SightingFlag.AA | SightingFlag.AUTHORITY | SightingFlag.DO_KNOWN)
    sightings = [
        {
            "signature": number[_subject(e)],
            "transaction": e.transaction,
            "time": e.time,
            "capture": e.capture,
            "frame": e.frame,
            "place": e.place,
            # Apart from the response's own RRsets, which are good: none saves the other.
            "section": int(Section.ADDITIONAL if e.view == "resolver" else Section.ANSWER),
            "ttl": 0,
            "flags": flags,
            "serial": 0,
        }
        for e in sorted(events, key=lambda e: (e.time, e.capture, e.frame))
    ]
    verdicts: list[dict[str, Any]] = []
    for event in events:
        if verdicts and (
            (verdicts[-1]["signature"], verdicts[-1]["place"], verdicts[-1]["start"])
            == (number[_subject(event)], event.place, event.time)
        ):
            continue
        verdicts.append(
            {
                "signature": number[_subject(event)],
                "place": event.place,
                "view": event.view,
                "start": event.time,
                "end": event.time + 1,
                "status": STATUSES[event.status],
                "reason": event.reason,
                "confidence": "weak" if event.weak else "strong",
                "zone": event.broken,
                "keys": [],
                "later": False,
            }
        )
    made = Subjects(
        pa.Table.from_pylist(signatures, schema=schemas.SIGNATURES),
        pa.Table.from_pylist(sightings, schema=schemas.SIGHTINGS),
        pa.Table.from_pylist(verdicts, schema=schemas.VERDICTS),
        notes,
    )
    return made, number
