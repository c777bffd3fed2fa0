"""The signed zones of RFC 4035 appendix B and RFC 5155 appendix B: every signature, every response.

Each RRset goes as a response through the evidence stage and through validation/checks, and
dnspython validates the same; then whole responses are explained as a validating resolver would see
them.
"""

from __future__ import annotations

import calendar
import struct
from pathlib import Path
from typing import NamedTuple

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from evidence_blocks import Sent, make_block

from forensics.evidence.collector import Evidence
from forensics.explain import Asker
from forensics.ingest import ingest
from forensics.keyring import anchors
from forensics.knowledge import Key, ZoneKeys
from forensics.options import Options
from forensics.validation.checks import check
from forensics.validation.signature import verify_many

FOLDER = Path(__file__).parent
ZONE = "example."
SIGNED = dns.rdatatype.RRSIG


class Zone(NamedTuple):
    """A published zone.

    Attributes:
        pairs: (RRset, its RRSIG). keys: the DNSKEY RRset.
        when: seconds since 1970, in the middle of its time.
    """

    pairs: list[tuple[dns.rrset.RRset, dns.rrset.RRset]]
    keys: dns.rrset.RRset
    when: int

    def of(self, owner: str, kind: str) -> list[dns.rrset.RRset]:
        """An RRset and its RRSIG RRset."""
        name, number = dns.name.from_text(owner), dns.rdatatype.from_text(kind)
        found = [p for p in self.pairs if p[0].name == name and p[0].rdtype == number]
        return [*found[0]]


def read(rfc: str, when: int) -> Zone:
    text = (FOLDER / rfc / "example.signed").read_text()
    sets: dict[tuple, dns.rrset.RRset] = {}
    signatures: dict[tuple, dns.rrset.RRset] = {}
    for line in text.splitlines():
        if line.startswith(";"):
            continue
        owner, ttl, _, kind, rest = line.split(None, 4)
        one = dns.rrset.from_text(owner, int(ttl), "IN", kind, rest)
        where, key = sets, (one.name, one.rdtype)
        if one.rdtype == SIGNED:
            where, key = signatures, (one.name, one[0].type_covered)
        where.setdefault(key, one).update(one)
    keys = sets[dns.name.from_text(ZONE), dns.rdatatype.DNSKEY]
    return Zone([(sets[k], signatures[k]) for k in sets if k in signatures], keys, when)


ZONES = {
    "rfc4035": read("rfc4035", calendar.timegm((2004, 4, 20, 0, 0, 0))),
    "rfc5155": read("rfc5155", calendar.timegm((2008, 1, 10, 0, 0, 0))),
}
PAIRS = [
    pytest.param(rfc, number, id=f"{rfc}-{pair[0].name}-{dns.rdatatype.to_text(pair[0].rdtype)}")
    for rfc, zone in ZONES.items()
    for number, pair in enumerate(zone.pairs)
]


def test_all_that_the_appendices_sign_is_here() -> None:
    assert {rfc: len(zone.pairs) for rfc, zone in ZONES.items()} == {"rfc4035": 18, "rfc5155": 16}
    tags = {rfc: {dns.dnssec.key_id(k) for k in zone.keys} for rfc, zone in ZONES.items()}
    assert tags == {"rfc4035": {38519, 9465}, "rfc5155": {40430, 12708}}


@pytest.mark.parametrize(("rfc", "number"), PAIRS)
def test_each_signature_verifies_and_no_other_data_does(rfc: str, number: int) -> None:
    zone = ZONES[rfc]
    rrset, rrsigs = zone.pairs[number]
    (rrsig,) = rrsigs
    dns.dnssec.validate_rrsig(
        rrset, rrsig, {zone.keys.name: zone.keys}, now=zone.when,
        policy=dns.dnssec.allow_all_policy,
    )  # fmt: skip
    query = dns.message.make_query(rrset.name, rrset.rdtype, want_dnssec=True)
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA
    response.answer = [rrset, rrsigs]
    evidence = Evidence()
    evidence.collect(*make_block([Sent(response.to_wire())]))
    (row,) = evidence.signatures().to_pylist()
    assert row["problem"] is None
    assert row["signed_data"] == dns.dnssec._make_rrsig_signature_data(rrset, rrsig)
    known = ZoneKeys(ZONE, keys=tuple(Key(ZONE, key.to_wire()) for key in zone.keys))
    assert check(evidence.signatures(), {ZONE: known}).table["verifies"].to_pylist() == [True]
    (maker,) = [key for key in zone.keys if dns.dnssec.key_id(key) == rrsig.key_tag]
    for at in (0, len(row["signed_data"]) // 2, len(row["signed_data"]) - 1):
        changed = bytearray(row["signed_data"])
        changed[at] ^= 1
        assert verify_many(maker.to_wire(), [(bytes(changed), row["octets"])]) == [False]


# -- whole responses -----------------------------------------------------------------------------


class Case(NamedTuple):
    """One response of appendix B: the question, what it shows, what follows."""

    rfc: str
    section: str
    name: str
    kind: str
    answer: tuple[tuple[str, str], ...]
    authority: tuple[tuple[str, str], ...]
    status: str
    rcode: str = "NOERROR"


APEX, HASH_APEX = ("example.", "NSEC"), ("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.", "NSEC3")
SOA, NS = ("example.", "SOA"), ("example.", "NS")


def hashed(label: str) -> tuple[str, str]:
    return f"{label}.example.", "NSEC3"


CASES = (
    Case("rfc4035", "B.1", "x.w.example.", "MX", (("x.w.example.", "MX"),), (NS,), "secure"),
    Case("rfc4035", "B.2", "ml.example.", "A", (), (SOA, ("b.example.", "NSEC"), APEX), "secure",
         "NXDOMAIN"),
    Case("rfc4035", "B.3", "ns1.example.", "MX", (), (SOA, ("ns1.example.", "NSEC")), "secure"),
    Case("rfc4035", "B.6", "a.z.w.example.", "MX", (("a.z.w.example.", "MX"),),
         (NS, ("x.y.w.example.", "NSEC")), "secure"),
    Case("rfc4035", "B.7", "a.z.w.example.", "AAAA", (),
         (SOA, ("x.y.w.example.", "NSEC"), ("*.w.example.", "NSEC")), "secure"),
    Case("rfc5155", "B.1", "a.c.x.w.example.", "A", (),
         (SOA, HASH_APEX, hashed("b4um86eghhds6nea196smvmlo4ors995"),
          hashed("35mthgpgcu1qg68fab165klnsnk3dpvl")), "insecure", "NXDOMAIN"),
    Case("rfc5155", "B.2", "ns1.example.", "MX", (),
         (SOA, hashed("2t7b4g4vsa5smi47k61mv5bv1a22bojr")), "secure"),
    Case("rfc5155", "B.2.1", "y.w.example.", "A", (),
         (SOA, hashed("ji6neoaepv8b5o6k4ev33abha8ht9fgc")), "secure"),
    Case("rfc5155", "B.4", "a.z.w.example.", "MX", (("a.z.w.example.", "MX"),),
         (NS, hashed("q04jkcevqvmu85r014c7dkba38o0ji5r")), "insecure"),
    Case("rfc5155", "B.5", "a.z.w.example.", "AAAA", (),
         (SOA, hashed("k8udemvp1j2f7eg6jebps17vp3n8i58h"),
          hashed("q04jkcevqvmu85r014c7dkba38o0ji5r"),
          hashed("r53bq7cc2uvmubfu5ocmm6pers9tk9en")), "insecure"),
)  # fmt: skip
"""What covers a next closer name in an NSEC3 with opt-out proves no more than insecure (RFC 5155
9.2): a resolver must not set AD."""


def packet(message: dns.message.Message, *, out: bool, number: int) -> bytes:
    data = message.to_wire()
    ports = (40_000 + number, 53) if out else (53, 40_000 + number)
    hosts = (b"\xc6\x33\x64\x35", b"\xc0\x00\x02\x01")
    ends = hosts if out else hosts[::-1]
    udp = struct.pack(">HHHH", *ports, 8 + len(data), 0) + data
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    return head + b"".join(ends) + udp


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Every response of both appendices captured, and an asker of each."""
    made: dict[str, Asker] = {}
    for rfc, zone in ZONES.items():
        base = tmp_path_factory.mktemp(rfc)
        packets = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)]
        cases = [c for c in CASES if c.rfc == rfc]
        questions = [("example.", "DNSKEY", [zone.of(ZONE, "DNSKEY")], [], 0)]
        questions += [
            (c.name, c.kind, [zone.of(*w) for w in c.answer], [zone.of(*w) for w in c.authority],
             dns.rcode.from_text(c.rcode))
            for c in cases
        ]  # fmt: skip
        for number, (name, kind, answer, authority, rcode) in enumerate(questions):
            query = dns.message.make_query(name, kind, want_dnssec=True, id=number)
            reply = dns.message.make_response(query)
            reply.flags |= dns.flags.AA
            reply.set_rcode(rcode)
            reply.answer = [r for sets in answer for r in sets]
            reply.authority = [r for sets in authority for r in sets]
            for message, out in ((query, True), (reply, False)):
                data = packet(message, out=out, number=number)
                at = struct.pack("<IIII", zone.when + number, 0 if out else 900, *[len(data)] * 2)
                packets.append(at + data)
        file = base / "appendix.pcap"
        file.write_bytes(b"".join(packets))
        result = ingest([str(file)], base / "tables")
        assert not result.errors
        anchor = base / "anchor"
        signer = {k for k in zone.keys if dns.dnssec.key_id(k) in {9465, 12708}}
        anchor.write_text("".join(f"example. IN DNSKEY {key.to_text()}\n" for key in signer))
        made[rfc] = Asker(base / "tables", Options(policy="bind"), anchors.read(anchor))
    return made


@pytest.mark.parametrize("case", CASES, ids=[f"{c.rfc}-{c.section}" for c in CASES])
def test_each_response_is_concluded_as_the_rfc_says(case: Case, asked) -> None:
    zone = ZONES[case.rfc]
    at = (zone.when + len(CASES) + 1) * 10**9
    told = asked[case.rfc].ask(case.name, int(dns.rdatatype.from_text(case.kind)), at)
    assert told["rcode"] == case.rcode
    assert (told["status"], told["reason"]) == (case.status, "none"), told["sentence"]
