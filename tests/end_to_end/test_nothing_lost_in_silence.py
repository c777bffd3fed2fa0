"""What a stage behind the readers leaves out stands in the losses too, counted, with a reason."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dns.message
import dns.rrset
import pytest
import rewrite

from forensics import limits, vocabulary
from forensics.evidence.collector import Evidence

DE = Path(__file__).resolve().parents[2] / "captures" / "de-2026"
SIGNATURE = "A 13 2 60 20270101000000 20260101000000 1 example. AAAA"


def response_with(records: list[str]) -> bytes:
    """An Ethernet frame from port 53 with a response that holds the records."""
    query = dns.message.make_query("www.example.", "A", want_dnssec=True, id=7)
    response = dns.message.make_response(query)
    response.flags |= 0x0400
    for record in records:
        response.answer.append(dns.rrset.from_text("www.example.", 60, "IN", *record.split(" ", 1)))
    payload = response.to_wire()
    udp = (53).to_bytes(2) + (4000).to_bytes(2) + (8 + len(payload)).to_bytes(2) + bytes(2)
    ip = bytes([0x45, 0]) + (28 + len(payload)).to_bytes(2) + bytes([0, 9, 0, 0, 64, 17, 0, 0])
    return bytes(12) + b"\x08\x00" + ip + bytes([192, 0, 2, 1, 192, 0, 2, 2]) + udp + payload


def told(report: dict, reason: str) -> int:
    """How many the report says were left out for a reason, in ledger and finding alike."""
    rows = [row for row in report["losses"] if row["reason"] == reason]
    found = [f["reasons"].get(reason) for f in report["findings"] if f["kind"] == "not-read"]
    assert [row["count"] for row in rows] == [count for count in found if count]
    return sum(row["count"] for row in rows)


def test_a_signature_without_its_rrset_is_told(run, tmp_path) -> None:
    header, records = rewrite.load(DE / "capture.pcap.zst")
    record = records[0]._replace(data=response_with([f"RRSIG {SIGNATURE}"]))
    record = record._replace(length=len(record.data))
    report = run(rewrite.store(tmp_path / "alone.pcap", header, [record]))
    assert report["counts"]["messages"] == 1
    assert told(report, "rrset-absent") == 1


def test_messages_outside_the_asked_times_are_told(run) -> None:
    everything = run(DE / "capture.pcap.zst")["counts"]["transactions"]
    middle = datetime(2026, 11, 24, 15, 23, tzinfo=UTC)
    report = run(DE / "capture.pcap.zst", start=int(middle.timestamp()) * limits.SECOND)
    rows = report["counts"]
    seen = 2 * rows["answered"] + rows["unanswered"] + rows["unsolicited"]
    assert 0 < rows["transactions"] < everything
    assert seen + told(report, "outside-times") == rows["messages"]


@pytest.mark.parametrize("reason", sorted(Evidence().skipped))
def test_every_reason_of_the_evidence_stage_has_words(reason) -> None:
    assert reason in vocabulary.NOT_READ
