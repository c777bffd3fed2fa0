"""The canonical form against RFC 4034 6.2, RFC 6840 5.1 and dnspython."""

import random

import dns.dnssec
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from evidence_blocks import Sent, make_block
from evidence_wires import (
    ANSWER,
    AUTHORITY,
    OWNER,
    QNAME,
    QNAME_POINTER,
    RRSIG,
    ZONE,
    ZONE_POINTER,
    message,
    mix_case,
    rrsig_rdata,
    signed_data,
)
from hypothesis import given
from hypothesis import strategies as st

from forensics.evidence.collector import Evidence

MAIL = b"\x04mAil"
"""A label that stands before a compression pointer or before the zone's name."""
FOLDED = b"\x04mail"

# Each type as fields: octets, or a name (None). Layouts by the RFC that defines the type.
LAYOUTS = {
    "NS": (2, [None]),
    "MD": (3, [None]),
    "MF": (4, [None]),
    "CNAME": (5, [None]),
    "SOA": (6, [None, None, bytes(range(20))]),
    "MB": (7, [None]),
    "MG": (8, [None]),
    "MR": (9, [None]),
    "PTR": (12, [None]),
    "MINFO": (14, [None, None]),
    "MX": (15, [b"\x00\x0a", None]),
    "RP": (17, [None, None]),
    "AFSDB": (18, [b"\x00\x01", None]),
    "RT": (21, [b"\x00\x02", None]),
    "SIG": (24, [b"A" * 18, None, b"SIGNATURE"]),
    "PX": (26, [b"\x00\x03", None, None]),
    "NXT": (30, [None, b"\x40\x00ABC"]),
    "SRV": (33, [b"\x00\x01\x00\x02\x01\xbb", None]),
    "NAPTR": (35, [b"\x00\x01\x00\x02\x01U\x07E2U+sip\x03!A!", None]),
    "KX": (36, [b"\x00\x04", None]),
    "A6": (38, [b"\x40" + b"ABCDEFGH", None]),
    "A6 without a name": (38, [b"\x00" + b"ABCDEFGHIJKLMNOP"]),
    "A6 with a name alone": (38, [b"\x80", None]),
    "DNAME": (39, [None]),
}
OPAQUE = {
    "A": (1, b"AZaz"),
    "WKS": (11, b"ABCDEFG"),
    "HINFO": (13, b"\x03CPU\x02OS"),
    "TXT": (16, b"\x05HeLLo"),
    "AAAA": (28, b"ABCDEFGHIJKLMNOP"),
    "DS": (43, b"\x11\x22\x0d\x02" + b"D" * 32),
    "DNSKEY": (48, b"\x01\x00\x03\x0d" + b"K" * 64),
    "NSEC3": (50, b"\x01\x00\x00\x00\x00\x14" + b"H" * 20 + b"\x00\x01\x40"),
    "SVCB": (64, b"\x00\x01\x03FOO\x00"),
    "HTTPS": (65, b"\x00\x01\x03FOO\x00"),
    "LP": (107, b"\x00\x01\x03FOO\x00"),
    "IPSECKEY": (45, b"\x01\x03\x02\x03FOO\x00KEY"),
    "TYPE4711": (4711, b"\x03FOO\xc0\x0cBAR"),
    "empty": (65280, b""),
}


def collect(*wires: bytes) -> tuple[Evidence, object]:
    evidence = Evidence()
    sightings, _ = evidence.collect(*make_block([Sent(item) for item in wires]))
    return evidence, sightings


def one_signed(wire: bytes) -> bytes:
    evidence, _ = collect(wire)
    table = evidence.signatures()
    assert table.num_rows == 1, evidence.skipped
    return table["signed_data"][0].as_py()


def encoded(fields: list[bytes | None], name: bytes) -> bytes:
    return b"".join(name if field is None else field for field in fields)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize(
    "tail", [ZONE_POINTER, b"\x07eXAMPLE\x04TesT\x00"], ids=["packed", "plain"]
)
def test_names_in_rdata_are_expanded_and_lower_cased(name: str, tail: bytes) -> None:
    kind, fields = LAYOUTS[name]
    received = encoded(fields, MAIL + tail)
    expected = encoded(fields, FOLDED + ZONE)
    rrsig = rrsig_rdata(kind, signature=b"SiGnAtUrE")
    got = one_signed(
        message(
            [(ANSWER, QNAME_POINTER, kind, 60, received), (ANSWER, QNAME_POINTER, RRSIG, 60, rrsig)]
        )
    )
    assert got == signed_data(rrsig[:-9], OWNER, kind, 3600, [expected])


@pytest.mark.parametrize("name", LAYOUTS)
def test_dnspython_agrees(name: str) -> None:
    kind, fields = LAYOUTS[name]
    rdata = dns.rdata.from_wire(1, kind, wired := encoded(fields, MAIL + b"\x00"), 0, len(wired))
    if isinstance(rdata, dns.rdata.GenericRdata):
        expected = encoded(fields, FOLDED + b"\x00")
    else:
        expected = rdata.to_digestable(dns.name.root)
        assert expected == encoded(fields, FOLDED + b"\x00")
    rrsig = rrsig_rdata(kind)
    got = one_signed(
        message(
            [(ANSWER, QNAME_POINTER, kind, 60, wired), (ANSWER, QNAME_POINTER, RRSIG, 60, rrsig)]
        )
    )
    assert got.endswith(len(expected).to_bytes(2, "big") + expected)


@pytest.mark.parametrize("name", OPAQUE)
def test_rdata_without_known_names_is_left_alone(name: str) -> None:
    kind, rdata = OPAQUE[name]
    rrsig = rrsig_rdata(kind)
    got = one_signed(
        message(
            [(ANSWER, QNAME_POINTER, kind, 60, rdata), (ANSWER, QNAME_POINTER, RRSIG, 60, rrsig)]
        )
    )
    assert got == signed_data(rrsig[:-64], OWNER, kind, 3600, [rdata])


@pytest.mark.parametrize(
    "tail", [ZONE_POINTER, b"\x07eXample\x04test\x00"], ids=["packed", "plain"]
)
def test_next_name_of_nsec_keeps_its_case(tail: bytes) -> None:
    bitmap = b"\x00\x01\x40"
    rrsig = rrsig_rdata(47)
    got = one_signed(
        message(
            [
                (AUTHORITY, QNAME_POINTER, 47, 60, MAIL + tail + bitmap),
                (AUTHORITY, QNAME_POINTER, RRSIG, 60, rrsig),
            ]
        )
    )
    expected = MAIL + b"\x07eXample\x04test\x00" + bitmap
    assert got == signed_data(rrsig[:-64], OWNER, 47, 3600, [expected])


TEXTS = {
    "A": ["192.0.2.9", "192.0.2.10", "10.0.0.1"],
    "MX": ["10 Mail.Example.test.", "5 mx.other.TEST.", "10 a.example.test."],
    "SOA": ["NS1.Example.test. Host.example.TEST. 9 8 7 6 5"],
    "TXT": ['"b"', '"a" "longer"', '"a"'],
    "NS": ["ns2.Example.test.", "NS1.example.test."],
    "DNSKEY": [
        "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+ KkxLbxILfDLUT0rA"
    ],
    "NSEC": ["Next.example.test. A MX RRSIG NSEC"],
    "SRV": ["1 2 443 Srv.Example.test.", "1 2 80 srv.example.test."],
    "CAA": ['0 issue "ca.Example"', '0 iodef "mailto:a@b"'],
    "SVCB": ["1 Foo.example.test. alpn=h2"],
}


@pytest.mark.parametrize("kind", TEXTS)
def test_signed_data_equals_that_of_dnspython(kind: str) -> None:
    rrset = dns.rrset.from_text("WWW.eXample.test.", 60, "IN", kind, *TEXTS[kind])
    rrsig_wire = rrsig_rdata(rrset.rdtype)
    rrsig = dns.rdata.from_wire(1, RRSIG, rrsig_wire, 0, len(rrsig_wire))
    response = dns.message.make_response(dns.message.make_query("WWW.eXample.test.", kind))
    response.answer = [rrset, dns.rrset.from_rdata(rrset.name, 60, rrsig)]
    expected = dns.dnssec._make_rrsig_signature_data(rrset, rrsig, None)
    assert one_signed(response.to_wire()) == expected


addresses = st.lists(st.binary(min_size=0, max_size=9), min_size=1, max_size=12)


@given(addresses, st.randoms(use_true_random=False))
def test_order_duplicates_case_and_compression_change_nothing(
    rdatas: list[bytes], choice: random.Random
) -> None:
    rrsig = rrsig_rdata(4711)
    plain = [(ANSWER, OWNER, 4711, 60, rdata) for rdata in sorted(set(rdatas))]
    expected = signed_data(rrsig[:-64], OWNER, 4711, 3600, rdatas)
    shuffled = [
        (
            ANSWER,
            choice.choice([QNAME_POINTER, mix_case(OWNER, choice), b"\x03wWw" + ZONE_POINTER]),
            4711,
            choice.randrange(2**31),
            rdata,
        )
        for rdata in [*rdatas, *choice.choices(rdatas, k=3)]
    ]
    signer = mix_case(ZONE, choice)
    shuffled.append((ANSWER, QNAME_POINTER, RRSIG, 30, rrsig_rdata(4711, signer=signer)))
    shuffled.append((ANSWER, OWNER, 16, 30, b"\x03abc"))
    shuffled.append((AUTHORITY, OWNER, 4711, 30, b"another section"))
    choice.shuffle(shuffled)
    evidence, sightings = collect(
        message([*plain, (ANSWER, OWNER, RRSIG, 60, rrsig)]),
        message(shuffled, qname=mix_case(QNAME, choice)),
    )
    table = evidence.signatures()
    assert table["signed_data"].to_pylist() == [expected]
    assert table["records"].to_pylist() == [len(set(rdatas))]
    assert sightings["signature"].to_pylist() == [0, 0]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=60, unique=True), st.randoms())
def test_records_sort_as_left_justified_octets(rdatas: list[bytes], choice: random.Random) -> None:
    choice.shuffle(rdatas)
    records = [(ANSWER, QNAME_POINTER, 4711, 60, rdata) for rdata in rdatas]
    rrsig = rrsig_rdata(4711)
    got = one_signed(message([*records, (ANSWER, QNAME_POINTER, RRSIG, 60, rrsig)]))
    assert got == signed_data(rrsig[:-64], OWNER, 4711, 3600, rdatas)
