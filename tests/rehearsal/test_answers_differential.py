"""What the zone would answer, against what NSD answered in the recordings, one by one."""

from __future__ import annotations

import io
from pathlib import Path

import dns.exception
import dns.message
import dns.rdatatype
import pytest
import zstandard

from forensics.rehearsal.answers import Answerer, Kind
from forensics.rehearsal.denials import Denials
from forensics.rehearsal.zonefile import read_zone
from forensics.validation.deniers import Name

RECORDED = Path(__file__).resolve().parent / "recorded"
HEADERS = 14 + 20 + 8
APEX = (b"test", b"reg")
SHOWN_BESIDE = {(APEX, dns.rdatatype.NS)}
"""NSD adds the NS RRset to positive answers."""


def responses(capture: str):
    """Yield the DNS responses of a recording (Ethernet, IPv4, UDP, whole)."""
    from scapy.utils import RawPcapReader

    packed = (RECORDED / "captures" / f"{capture}.pcap.zst").read_bytes()
    for packet, _ in RawPcapReader(io.BytesIO(zstandard.ZstdDecompressor().decompress(packed))):
        message = dns.message.from_wire(packet[HEADERS:])
        if message.flags & dns.flags.QR:
            yield message


def name(found) -> Name:
    return tuple(reversed(found.canonicalize().labels[:-1]))


@pytest.mark.parametrize(
    ("capture", "zone"),
    [("old", "old"), ("nsec3", "nsec3"), ("nsec3-opt-out", "nsec3-opt-out")],
)
def test_needed_rrsets_are_those_that_the_server_signed(capture, zone):
    contents = read_zone(RECORDED / "zones" / f"{zone}.zone")
    answerer = Answerer(contents, Denials(contents))
    kinds = set()
    compared = 0
    for message in responses(capture):
        question = message.question[0]
        answer = answerer.ask(name(question.name), int(question.rdtype))
        if answer.kind is Kind.OUTSIDE or not message.ednsflags & dns.flags.DO:
            continue
        kinds.add(answer.kind)
        compared += 1
        sent = {
            (name(rrset.name), int(rrset.covers))
            for section in (message.answer, message.authority)
            for rrset in section
            if rrset.rdtype == dns.rdatatype.RRSIG
        }
        # A wildcard's RRset is sent under the asked name.
        needed = {
            (name(question.name) if owner[-1:] == (b"*",) and kind not in (47, 50) else owner, kind)
            for owner, kind in answer.needs
        }
        assert not answer.fault
        assert needed <= sent, question
        assert sent - needed <= SHOWN_BESIDE, question
        is_denied = answer.kind in (Kind.NO_DATA, Kind.NAME_ERROR)
        assert is_denied == any(rrset.rdtype == dns.rdatatype.SOA for rrset in message.authority), (
            question
        )
        assert (message.rcode() == 3) == (answer.kind is Kind.NAME_ERROR), question
    assert compared > 40
    assert kinds == {
        Kind.POSITIVE,
        Kind.CNAME,
        Kind.DNAME,
        Kind.WILDCARD,
        Kind.NO_DATA,
        Kind.NAME_ERROR,
        Kind.SIGNED_REFERRAL,
        Kind.UNSIGNED_REFERRAL,
    }
