"""Subjects of verdicts that are no signatures: what was asked for and came without keys.

They travel to the timeline as rows of the same tables: a row of schemas.SIGNATURES without signed
data, algorithm 0, numbered behind the signatures; a row of schemas.SIGHTINGS for each time; and
verdicts over them. So a zone's answers without keys and its DNSKEY RRsets share one stratum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from forensics import schemas
from forensics.knowledge import Note
from forensics.validation.chain import Chain
from forensics.validation.keyless import Failure, Keyless
from forensics.validation.steps import at
from forensics.vocabulary import STATUSES, TYPE_DNSKEY, Section, SightingFlag, Status


@dataclass(frozen=True)
class Subjects:
    """Rows to append; verdicts are in order of subject, place and start.

    Attributes:
        signatures, sightings, verdicts: of the schemas of these names.
        notes: what the report must say besides.
    """

    signatures: Any
    sightings: Any
    verdicts: Any
    notes: tuple[Note, ...] = ()


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


def judge_keyless(found: Keyless, chain: Chain, first: int) -> Subjects:
    """Judge the answers without keys.

    Args:
        found: what was asked for and not shown.
        chain: the links of all zones.
        first: number of the first subject.
    """
    events = []
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
                status, link.weak, link.zone or row.zone,
            )
        )  # fmt: skip
    blamed = []
    for failure in found.failures:
        told = [
            _Event(
                a.zone, "dnskey-unobtainable", a.place, a.time, a.capture, a.frame, a.transaction,
                Status.BOGUS, failure.weak, a.zone,
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
    return _tables(events, first, tuple(notes))


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


def _tables(events: list[_Event], first: int, notes: tuple[Note, ...]) -> Subjects:
    import pyarrow as pa

    events = sorted(events, key=lambda e: (e.zone, e.place, e.time, e.frame))
    zones = sorted({event.zone for event in events})
    number = {zone: first + index for index, zone in enumerate(zones)}
    signatures = [
        {
            "signature": number[zone],
            "signature_id": f"dnskey:{zone}",
            "owner": zone,
            "type": TYPE_DNSKEY,
            "signer": zone,
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
        for zone in zones
    ]
    flags = int(SightingFlag.AA | SightingFlag.AUTHORITY | SightingFlag.DO_KNOWN)
    sightings = [
        {
            "signature": number[e.zone],
            "transaction": e.transaction,
            "time": e.time,
            "capture": e.capture,
            "frame": e.frame,
            "place": e.place,
            "section": int(Section.ANSWER),
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
            == (number[event.zone], event.place, event.time)
        ):
            continue
        verdicts.append(
            {
                "signature": number[event.zone],
                "place": event.place,
                "view": "published",
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
    return Subjects(
        pa.Table.from_pylist(signatures, schema=schemas.SIGNATURES),
        pa.Table.from_pylist(sightings, schema=schemas.SIGHTINGS),
        pa.Table.from_pylist(verdicts, schema=schemas.VERDICTS),
        notes,
    )
