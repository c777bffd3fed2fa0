"""A response that was damaged on the way accuses nobody: its UDP checksum tells (RFC 768)."""

from __future__ import annotations

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import CookedLinux, Dot1Q, Ether
from scapy.utils import wrpcap

from forensics.capture import checksums
from forensics.explain import explain
from forensics.options import Options
from forensics.report.explained import render_explained

NOW = 1_770_000_000
ZONE = dns.name.from_text("example.")
PRIVATE = ec.derive_private_key(4711, ec.SECP256R1())
KEY = dns.dnssec.make_dnskey(PRIVATE.public_key(), 13, flags=257)


def is_wrong(octets: bytes, link: int) -> bool:
    piece = checksums.read(octets, link)
    return piece is not None and checksums.is_wrong([piece])


def signed(owner: str, kind: str, *texts: str) -> list[dns.rrset.RRset]:
    rrset = dns.rrset.from_text(owner, 300, "IN", kind, *texts)
    rrsig = dns.dnssec.sign(rrset, PRIVATE, ZONE, KEY, inception=NOW - 99, expiration=NOW + 9999)
    return [rrset, dns.rrset.from_rdata(owner, 300, rrsig)]


def exchange(owner: str, kind: str, answer: list[dns.rrset.RRset], number: int) -> list:
    query = dns.message.make_query(owner, kind, want_dnssec=True, id=number)
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    reply.answer = answer
    ends = {"src": "192.0.2.1", "dst": "192.0.2.53"}
    made = [
        Ether() / IP(**ends) / UDP(sport=4000 + number, dport=53) / query.to_wire(),
        Ether() / IP(src=ends["dst"], dst=ends["src"])
        / UDP(sport=53, dport=4000 + number) / reply.to_wire(),
    ]  # fmt: skip
    made = [Ether(bytes(packet)) for packet in made]  # checksums are in it now
    for at, packet in enumerate(made):
        packet.time = NOW + number + at / 10
    return made


def bent(packet, checksum: str):
    """Turn one bit of the response's last signature; set the checksum so."""
    octets = bytearray(bytes(packet[UDP].payload))
    octets[octets.rindex(b"\0\0\x29") - 2] ^= 1  # before the OPT record
    other = packet.copy()
    other[UDP].payload = type(other[UDP].payload)(bytes(octets))
    if checksum == "right":
        del other[UDP].chksum
    elif checksum == "absent":
        other[UDP].chksum = 0
    elif checksum == "left to the card":
        udp = bytes(other[UDP])
        words = bytes.fromhex("c0000235c0000201") + bytes([0, 17]) + len(udp).to_bytes(2, "big")
        total = sum(int.from_bytes(words[at : at + 2], "big") for at in range(0, 12, 2))
        other[UDP].chksum = (total & 0xFFFF) + (total >> 16)
    other = Ether(bytes(other))
    other.time = packet.time
    return other


def told_of(folder, checksum: str | None) -> dict:
    keys = exchange("example.", "DNSKEY", signed("example.", "DNSKEY", KEY.to_text()), 1)
    query, reply = exchange("www.example.", "A", signed("www.example.", "A", "192.0.2.80"), 2)
    if checksum is not None:
        reply = bent(reply, checksum)
    file, anchor = folder / "one.pcap", folder / "anchor"
    wrpcap(str(file), [*keys, query, reply])
    anchor.write_text(f"example. IN DNSKEY {KEY.to_text()}\n")
    options = Options(trust_anchors=(str(anchor),))
    told, errors = explain([str(file)], "www.example", "A", (NOW + 60) * 10**9, options)
    assert not errors
    return told


def test_a_sound_response_is_secure(tmp_path):
    assert told_of(tmp_path, None)["status"] == "secure"


def test_a_damaged_response_accuses_nobody_and_is_told_of(tmp_path):
    told = told_of(tmp_path, "wrong")
    assert told["status"] == "indeterminate", told["sentence"]
    assert told["damaged"] == [{"capture": str(tmp_path / "one.pcap"), "frame": 4}]
    assert "wrong UDP checksum" in " ".join(render_explained(told).split())


@pytest.mark.parametrize("checksum", ["right", "absent", "left to the card"])
def test_a_bad_signature_in_a_packet_that_may_be_whole_is_bogus(tmp_path, checksum):
    told = told_of(tmp_path, checksum)
    assert (told["status"], told["reason"]) == ("bogus", "signature-invalid")
    assert told["damaged"] == []


@pytest.mark.parametrize("size", [12, 13, 512])
@pytest.mark.parametrize(
    ("head", "link"),
    [
        (lambda: Ether() / IP(src="192.0.2.1", dst="192.0.2.2"), 1),
        (lambda: Ether() / Dot1Q(vlan=7) / IP(src="192.0.2.1", dst="192.0.2.2"), 1),
        (lambda: Ether() / IPv6(src="2001:db8::1", dst="2001:db8::2"), 1),
        (lambda: IP(src="192.0.2.1", dst="192.0.2.2"), 101),
        (lambda: IPv6(src="2001:db8::1", dst="2001:db8::2"), 101),
        (lambda: CookedLinux(proto=0x800) / IP(src="192.0.2.1", dst="192.0.2.2"), 113),
    ],
)
def test_checksums_are_those_of_scapy(head, link, size):
    octets = bytes(head() / UDP(sport=53, dport=5353) / bytes(range(256))[:size].ljust(size, b"x"))
    assert not is_wrong(octets, link)
    for at in (len(octets) - 1, len(octets) - size, len(octets) - size - 8):
        changed = bytearray(octets)
        changed[at] ^= 4
        assert is_wrong(bytes(changed), link)
    assert not any(is_wrong(octets[:end], link) for end in range(len(octets)))


@pytest.mark.parametrize(
    "head",
    [
        lambda: IP(src="192.0.2.1", dst="192.0.2.2"),
        lambda: IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=7),
    ],
)
def test_fragments_are_judged_together(head):
    whole = head() / UDP(sport=53, dport=5353) / bytes(range(250))
    cut = fragment6 if IPv6 in whole else fragment
    parts = [bytes(one) for one in cut(whole, 120)]
    pieces = [checksums.read(one, 101) for one in parts]
    assert len(pieces) > 2
    assert not checksums.is_wrong(pieces)
    assert not checksums.is_wrong(pieces[::-1])
    last = pieces[-1]._replace(octets=pieces[-1].octets[:-1] + b"!")
    assert checksums.is_wrong([*pieces[:-1], last])
    assert not checksums.is_wrong([*pieces[:-2], last]), "one is missing"
    assert not checksums.is_wrong(pieces[:-1])
    assert not any(checksums.is_wrong([one]) for one in pieces)


def test_what_is_not_udp_is_not_judged():
    assert not is_wrong(bytes(IP(src="192.0.2.1", dst="192.0.2.2") / (b"y" * 64)), 101)
    assert not is_wrong(b"", 101)
    assert not is_wrong(bytes(range(64)), 147)
