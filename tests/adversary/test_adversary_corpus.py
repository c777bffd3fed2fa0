"""The attack captures of `scripts/attack`, small: each ends in a report whose sums agree."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from attackkit import packets  # noqa: E402
from attackkit.makers import ATTACKS, CLIENTS, SERVER, Attack  # noqa: E402
from mutantkit.laws import broken_laws  # noqa: E402

from forensics import pipeline  # noqa: E402
from forensics.options import Options  # noqa: E402


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_an_attack_ends_in_a_report_whose_sums_agree(attack: Attack, tmp_path: Path) -> None:
    path = tmp_path / attack.name
    path.write_bytes(b"".join(attack.make(max(attack.size // 2000, 20))))
    pipeline.analyze([str(path)], tmp_path / "out", Options(), figures=False)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert broken_laws(report, {str(path): path.stat().st_size}, blameless=False) == []


@pytest.mark.parametrize("rest", [b"", b"\0\1", bytes(17), bytes(19), bytes(18) + b"\x3fab"])
def test_a_malformed_rrsig_stops_nothing(rest: bytes, tmp_path: Path) -> None:
    """RDATA too short for an RRSIG (RFC 4034 3.1), or with a signer that breaks off."""
    owner = packets.name(b"www", b"healthy", b"example")
    data = (
        packets.record_of(owner, 1, b"\1\2\3\4"),
        packets.record_of(owner, packets.RRSIG, rest),
    )
    sent = packets.udp(CLIENTS, 4000, SERVER, 53, packets.query(7, owner))
    answer = packets.udp(SERVER, 53, CLIENTS, 4000, packets.response(7, owner, 1, data))
    path = tmp_path / "malformed.pcap"
    path.write_bytes(packets.PCAP_HEADER + packets.record(sent, 0) + packets.record(answer, 1000))
    pipeline.analyze([str(path)], tmp_path / "out", Options(), figures=False)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["counts"]["answered"] == 1
    assert report["counts"]["verdicts"]["secure"] == report["counts"]["verdicts"]["valid"] == 0
    assert [row["severity"] for row in report["incidents"] if row["severity"] != "near-miss"] == []


def test_the_colliding_keys_have_one_tag_by_another_implementation() -> None:
    import dns.dnssec
    import dns.rdata

    for number in (0, 1, 399):
        wire = packets.colliding_key(number, 4711)
        key = dns.rdata.from_wire(1, packets.DNSKEY, wire, 0, len(wire))
        assert dns.dnssec.key_id(key) == 4711
    assert struct.unpack_from(">HBB", wire) == (257, 3, 13)
