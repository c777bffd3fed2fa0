"""Distinct signatures, their sightings and what is wrong with them whatever the key."""

import hashlib
import struct

import dns.dnssec
import dns.name
import dns.rdatatype
import dns.rrset
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from evidence_blocks import START, Sent, make_block
from evidence_wires import (
    AA_RESPONSE,
    ADDITIONAL,
    ANSWER,
    AUTHORITY,
    OWNER,
    QNAME_POINTER,
    RRSIG,
    ZONE,
    message,
    rrsig_rdata,
    signed_data,
    wire,
)
from hypothesis import given
from hypothesis import strategies as st

from forensics import limits, schemas
from forensics.evidence.collector import Evidence
from forensics.vocabulary import MessageFlag, Pairing, SightingFlag

ADDRESS = (ANSWER, QNAME_POINTER, 1, 60, b"\xc0\x00\x02\x01")
ADDRESS_RRSIG = (ANSWER, QNAME_POINTER, RRSIG, 59, rrsig_rdata(1))


def collect(*sent, evidence=None):
    evidence = evidence or Evidence()
    sent = [item if isinstance(item, Sent) else Sent(item) for item in sent]
    return evidence, evidence.collect(*make_block(sent))[0]


def flags_of(sent, **words):
    _, sightings = collect(sent, evidence=Evidence(**words))
    return SightingFlag(sightings["flags"][0].as_py())


@pytest.mark.parametrize("algorithm", ["RSASHA256", "ECDSAP256SHA256", "ED25519"])
def test_real_signatures_verify_over_the_signed_data(algorithm) -> None:
    private = {
        "RSASHA256": lambda: rsa.generate_private_key(65537, 1024),
        "ECDSAP256SHA256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ED25519": ed25519.Ed25519PrivateKey.generate,
    }[algorithm]()
    zone = dns.name.from_text("Example.test.")
    public = private.public_key()
    dnskey = dns.dnssec.make_dnskey(public, algorithm)
    rrset = dns.rrset.from_text("*.Example.test.", 300, "IN", "MX", "10 B.example.test.", "5 A.")
    rrsig = dns.dnssec.sign(rrset, private, zone, dnskey, inception=START // 10**9, lifetime=3600)
    response = dns.message.make_response(dns.message.make_query("x.Y.example.test.", "MX"))
    owner = dns.name.from_text("x.Y.example.test.")
    expanded = dns.rrset.from_rdata_list(owner, 77, list(rrset))
    response.answer = [expanded, dns.rrset.from_rdata(owner, 77, rrsig)]
    evidence, sightings = collect(response.to_wire())
    row = evidence.signatures().to_pylist()[0]
    data, signature = row["signed_data"], row["octets"]

    def verify(octets):
        if algorithm == "RSASHA256":
            public.verify(signature, octets, padding.PKCS1v15(), hashes.SHA256())
        elif algorithm == "ED25519":
            public.verify(signature, octets)
        else:
            parts = [int.from_bytes(signature[half : half + 32], "big") for half in (0, 32)]
            encoded = utils.encode_dss_signature(*parts)
            public.verify(encoded, octets, ec.ECDSA(hashes.SHA256()))

    verify(data)
    with pytest.raises(InvalidSignature):
        verify(data[:-1] + bytes([data[-1] ^ 1]))
    assert signature == rrsig.signature
    assert row["key_tag"] == dns.dnssec.key_id(dnskey) == rrsig.key_tag
    assert (row["owner"], row["signer"]) == ("*.example.test.", "example.test.")
    assert (row["type"], row["algorithm"], row["labels"]) == (15, int(rrsig.algorithm), 2)
    assert (row["original_ttl"], row["records"], row["problem"]) == (300, 2, None)
    assert (row["inception"], row["expiration"]) == (rrsig.inception, rrsig.expiration)
    assert SightingFlag(sightings["flags"][0].as_py()) & SightingFlag.WILDCARD
    assert sightings["ttl"].to_pylist() == [77]


def test_every_name_of_a_wildcard_has_the_same_signature() -> None:
    rrsig = rrsig_rdata(1, labels=2)
    sent = []
    for name in ("a.example.test.", "b.c.example.test.", "*.example.test.", "x.*.example.test."):
        owner = wire(name)
        sent.append(
            message(
                [(ANSWER, owner, 1, 60, b"\x01\x02\x03\x04"), (ANSWER, owner, RRSIG, 60, rrsig)]
            )
        )
    evidence, sightings = collect(*sent)
    table = evidence.signatures()
    assert sightings["signature"].to_pylist() == [0, 0, 0, 0]
    expanded = [bool(flags & SightingFlag.WILDCARD) for flags in sightings["flags"].to_pylist()]
    assert expanded == [True, True, False, True]
    expected = signed_data(rrsig[:-64], wire("*.example.test."), 1, 3600, [b"\x01\x02\x03\x04"])
    assert table["signed_data"].to_pylist() == [expected]
    assert table["problem"].to_pylist() == [None]


def test_signature_id_is_a_digest_of_both_parts() -> None:
    evidence, _ = collect(message([ADDRESS, ADDRESS_RRSIG]))
    row = evidence.signatures().to_pylist()[0]
    rrsig = rrsig_rdata(1)
    data = signed_data(rrsig[:-64], OWNER, 1, 3600, [ADDRESS[4]])
    independent = hashlib.sha256(struct.pack("!I", len(data)) + data + b"s" * 64).hexdigest()
    assert row["signature_id"] == independent


def test_octets_moved_from_data_to_signature_make_another_signature() -> None:
    rdatas = [b"\x00", b"\x01"]
    first = rrsig_rdata(4711, signature=b"s" * 64)
    tail = OWNER + struct.pack("!HHIH", 4711, 1, 3600, 1) + b"\x01"
    second = rrsig_rdata(4711, signature=tail + b"s" * 64)
    records = [(ANSWER, QNAME_POINTER, 4711, 60, rdata) for rdata in rdatas]
    evidence, _ = collect(
        message([*records, (ANSWER, QNAME_POINTER, RRSIG, 60, first)]),
        message([records[0], (ANSWER, QNAME_POINTER, RRSIG, 60, second)]),
    )
    rows = evidence.signatures().to_pylist()
    both = [row["signed_data"] + row["octets"] for row in rows]
    assert both[0] == both[1]
    assert rows[0]["signature_id"] != rows[1]["signature_id"]


@pytest.mark.parametrize(
    ("rdata", "problem"),
    [
        (rrsig_rdata(1, labels=4), "labels-invalid"),
        (rrsig_rdata(1, labels=3), None),
        (rrsig_rdata(1, signer=wire("other.test.")), "signer-invalid"),
        (rrsig_rdata(1, signer=wire("ample.test.")), "signer-invalid"),
        (rrsig_rdata(1, signer=wire("a.www.example.test.")), "signer-invalid"),
        (rrsig_rdata(1, signer=wire("www.example.test.")), None),
        (rrsig_rdata(1, signer=b"\x00"), None),
        # The wildcard that is meant lies above the signer.
        (rrsig_rdata(1, labels=1), "signer-invalid"),
        (rrsig_rdata(1, signature=b""), "signature-malformed"),
        (rrsig_rdata(1)[:18], "signature-malformed"),
        (rrsig_rdata(1)[:24], "signature-malformed"),
        (rrsig_rdata(1)[:5], "signature-malformed"),
        (b"", "signature-malformed"),
        (rrsig_rdata(1, signer=b"\x40" + ZONE), "signature-malformed"),
        (rrsig_rdata(1, signer=b"\xc0\xff"), "signature-malformed"),
    ],
)
def test_problems_that_no_key_can_mend(rdata, problem) -> None:
    evidence, sightings = collect(message([ADDRESS, (ANSWER, QNAME_POINTER, RRSIG, 60, rdata)]))
    row = evidence.signatures().to_pylist()[0]
    assert row["problem"] == problem
    assert sightings.num_rows == 1
    if problem == "signature-malformed":
        assert row["signed_data"] == rdata + OWNER
        assert (row["owner"], row["signer"], row["octets"]) == ("www.example.test.", None, b"")


def test_a_literal_wildcard_does_not_count_its_star() -> None:
    owner = wire("*.example.test.")
    sent = [
        message(
            [
                (ANSWER, owner, 1, 60, b"\x01\x02\x03\x04"),
                (ANSWER, owner, RRSIG, 60, rrsig_rdata(1, labels=labels)),
            ]
        )
        for labels in (2, 3)
    ]
    evidence, _ = collect(*sent)
    assert evidence.signatures()["problem"].to_pylist() == [None, "labels-invalid"]


def test_an_rrset_is_of_one_section_class_and_owner() -> None:
    def record(section, owner, number):
        return (section, owner, 1, 60, bytes([192, 0, 2, number]))

    records = [
        record(ANSWER, QNAME_POINTER, 1),
        record(AUTHORITY, QNAME_POINTER, 2),
        record(ADDITIONAL, QNAME_POINTER, 3),
        record(ANSWER, wire("other.example.test."), 4),
    ]
    for section in (ANSWER, AUTHORITY, ADDITIONAL):
        records.append((section, QNAME_POINTER, RRSIG, section, rrsig_rdata(1)))
    evidence, sightings = collect(message(records))
    datas = evidence.signatures()["signed_data"].to_pylist()
    assert [data[-1] for data in datas] == [1, 2, 3]
    assert sightings["section"].to_pylist() == [1, 2, 3]
    assert sightings["ttl"].to_pylist() == [1, 2, 3]


def test_two_signatures_of_one_rrset() -> None:
    rrsigs = [rrsig_rdata(1, tag=tag) for tag in (1, 2)]
    records = [(ANSWER, QNAME_POINTER, RRSIG, 60, rdata) for rdata in rrsigs]
    evidence, sightings = collect(message([records[0], ADDRESS, records[1]]))
    assert evidence.signatures()["key_tag"].to_pylist() == [1, 2]
    assert sightings.num_rows == 2


def test_a_signature_without_its_rrset_is_counted() -> None:
    evidence, sightings = collect(
        message([ADDRESS_RRSIG], qtype=46),
        message([ADDRESS, (ANSWER, QNAME_POINTER, RRSIG, 60, rrsig_rdata(RRSIG))]),
    )
    assert sightings.num_rows == 0
    assert evidence.skipped["rrset-absent"] == 2


@pytest.mark.parametrize(
    "words",
    [{"flags": 0x0400}, {"flags": 0xAC00}, {"qtype": 252}, {"qtype": 251}, {"qclass": 3}],
    ids=["query", "update", "axfr", "ixfr", "chaos"],
)
def test_only_ordinary_responses_are_read(words) -> None:
    evidence, sightings = collect(message([ADDRESS, ADDRESS_RRSIG], **words))
    assert sightings.num_rows == 0
    assert evidence.signatures().num_rows == 0


@pytest.mark.parametrize("flag", [MessageFlag.FRAGMENT, MessageFlag.DUPLICATE])
def test_fragments_and_copies_are_not_read(flag) -> None:
    _, sightings = collect(Sent(message([ADDRESS, ADDRESS_RRSIG]), flags=flag))
    assert sightings.num_rows == 0


def test_a_cut_message_gives_its_whole_sections() -> None:
    records = [
        ADDRESS,
        ADDRESS_RRSIG,
        (AUTHORITY, QNAME_POINTER, 2, 60, ZONE),
        (AUTHORITY, QNAME_POINTER, RRSIG, 60, rrsig_rdata(2)),
        (AUTHORITY, QNAME_POINTER, 2, 60, wire("another.name.test.")),
    ]
    evidence, sightings = collect(Sent(message(records), cut=3))
    assert evidence.signatures()["type"].to_pylist() == [1]
    assert SightingFlag(sightings["flags"][0].as_py()) & SightingFlag.CUT
    assert evidence.skipped["rrset-incomplete"] == 1


def test_a_message_sent_broken_is_not_read() -> None:
    broken = message([ADDRESS, ADDRESS_RRSIG, (AUTHORITY, QNAME_POINTER, 2, 60, ZONE)])[:-3]
    evidence, sightings = collect(broken)
    assert sightings.num_rows == 0
    assert evidence.skipped["malformed"] == 1


def test_rdata_that_its_type_forbids_has_no_canonical_form() -> None:
    records = [
        (ANSWER, QNAME_POINTER, 15, 60, b"\x00\x0a" + ZONE + b"more"),
        (ANSWER, QNAME_POINTER, RRSIG, 60, rrsig_rdata(15)),
    ]
    evidence, sightings = collect(message(records))
    assert sightings.num_rows == 0
    assert evidence.skipped["malformed"] == 1


AA, RA, RD, TC = 0x0400, 0x0080, 0x0100, 0x0200


@pytest.mark.parametrize(
    ("header", "kind", "authority"),
    [
        (AA, 0, True),
        (AA | RD, 0, True),
        (AA | RA | RD, 0, False),
        (AA | RA, 0, True),  # no resolver's client asks without RD
        (RA | RD, 0, False),
        (0, 0, False),
        (RA, 2, True),  # AUTH_RESPONSE
        (AA | RA | RD, 4, True),  # RESOLVER_RESPONSE
        (0, 4, True),
        (RA | RD, 4, False),
        (RA | RD, 6, False),  # CLIENT_RESPONSE
        (RA | RD, 8, False),  # FORWARDER_RESPONSE
    ],
)
def test_who_acts_as_an_authority(header, kind, authority) -> None:
    sent = Sent(message([ADDRESS, ADDRESS_RRSIG], flags=0x8000 | header), kind=kind)
    assert bool(flags_of(sent) & SightingFlag.AUTHORITY) is authority


def test_a_referral_has_neither_aa_nor_ra() -> None:
    records = [(AUTHORITY, *ADDRESS[1:]), (AUTHORITY, *ADDRESS_RRSIG[1:])]
    assert flags_of(Sent(message(records, flags=0x8000))) & SightingFlag.AUTHORITY
    assert not flags_of(Sent(message(records, flags=0x8180))) & SightingFlag.AUTHORITY


def test_the_users_word_on_roles_overrules() -> None:
    recursive = Sent(message([ADDRESS, ADDRESS_RRSIG], flags=0x8180), source="192.0.2.53")
    authority = Sent(message([ADDRESS, ADDRESS_RRSIG]), source="192.0.2.53")
    named = frozenset({"192.0.2.53", "2001:db8::1"})
    assert flags_of(recursive, servers=named) & SightingFlag.AUTHORITY
    assert not flags_of(authority, resolvers=named) & SightingFlag.AUTHORITY
    other = frozenset({"192.0.2.54"})
    assert not flags_of(recursive, servers=other) & SightingFlag.AUTHORITY


@given(st.integers(0, 0xFFFF), st.sampled_from(list(Pairing)), st.sampled_from([None, True, False]))
def test_flags_say_what_the_response_said(header, state, do) -> None:
    header = (header | 0x8000) & 0x87FF
    found = flags_of(Sent(message([ADDRESS, ADDRESS_RRSIG], flags=header), state=state, do=do))
    bits = [(0x0400, "AA"), (0x0080, "RA"), (0x0010, "CD"), (0x0020, "AD"), (0x0200, "TC")]
    for bit, name in bits:
        assert bool(header & bit) == bool(found & SightingFlag[name])
    assert bool(found & SightingFlag.DO) is bool(do)
    assert bool(found & SightingFlag.DO_KNOWN) is (do is not None)
    unpaired = state in (Pairing.UNSOLICITED, Pairing.DUPLICATE)
    assert bool(found & SightingFlag.UNPAIRED) is unpaired
    assert not found & (SightingFlag.WILDCARD | SightingFlag.CUT)


def test_soa_serials_stand_in_both_tables() -> None:
    soa = b"\x00\x00" + struct.pack("!5I", 2026010101, 1, 2, 3, 4)
    records = [
        (AUTHORITY, QNAME_POINTER, 6, 60, soa),
        (AUTHORITY, QNAME_POINTER, RRSIG, 60, rrsig_rdata(6)),
    ]
    evidence, sightings = collect(message([ADDRESS, ADDRESS_RRSIG, *records]))
    assert evidence.signatures()["serial"].to_pylist() == [None, 2026010101]
    assert sightings["serial"].to_pylist() == [2026010101] * 2


def test_tables_have_the_schemas_of_the_contract() -> None:
    evidence, sightings = collect(message([ADDRESS, ADDRESS_RRSIG]))
    assert sightings.schema.equals(schemas.SIGHTINGS)
    assert evidence.signatures().schema.equals(schemas.SIGNATURES)
    assert evidence.key_runs().schema.equals(schemas.KEYS)
    empty = Evidence()
    assert empty.signatures().schema.equals(schemas.SIGNATURES)
    assert empty.key_runs().schema.equals(schemas.KEYS)
    assert [rows.num_rows for rows in empty.collect(*make_block([Sent(message([]))]))] == [0, 0]


def many(count):
    return [
        message([ADDRESS, (ANSWER, QNAME_POINTER, RRSIG, 60, rrsig_rdata(1, tag=tag))])
        for tag in range(count)
    ]


@pytest.mark.parametrize("mask", [0, 3, 0xFFFF_FFFF << 32])
def test_signatures_with_one_hash_stay_apart(mask) -> None:
    weak = Evidence(hash_mask=mask)
    _, first = collect(*many(50), evidence=weak)
    _, again = collect(*reversed(many(50)), evidence=weak)
    assert first["signature"].to_pylist() == list(range(50))
    assert again["signature"].to_pylist() == list(reversed(range(50)))
    assert weak.signatures()["key_tag"].to_pylist() == list(range(50))


def test_signatures_beyond_the_limit_are_counted(monkeypatch) -> None:
    monkeypatch.setattr(limits, "SIGNATURES", 10)
    evidence, sightings = collect(*many(25))
    _, known = collect(*many(12), evidence=evidence)
    assert sightings["signature"].to_pylist() == list(range(10))
    assert known["signature"].to_pylist() == list(range(10))
    assert evidence.skipped["limit-reached"] == 17
    monkeypatch.setattr(limits, "SIGNED_ARENA_OCTETS", 1000)
    evidence, sightings = collect(*many(10))
    assert 0 < sightings.num_rows < 8
    assert evidence.skipped["limit-reached"] == 10 - sightings.num_rows


def test_an_rrset_too_large_is_counted() -> None:
    def rrset(count):
        records = [
            (ANSWER, QNAME_POINTER, 1, 60, struct.pack("!I", number)) for number in range(count)
        ]
        return message([*records, ADDRESS_RRSIG])

    evidence, sightings = collect(rrset(limits.RRSET_RECORDS), rrset(limits.RRSET_RECORDS + 1))
    assert evidence.signatures()["records"].to_pylist() == [limits.RRSET_RECORDS]
    assert evidence.skipped["limit-reached"] == 1
    assert sightings.num_rows == 1


def test_signed_data_longer_than_a_message_is_counted() -> None:
    long = b"".join(b"\x3f" + bytes([65 + part]) * 63 for part in range(3)) + b"\x01x\x00"
    records = [
        (ANSWER, QNAME_POINTER, 15, 60, struct.pack("!H", number) + b"\xc0\x0c")
        for number in range(400)
    ]
    wired = message(
        [*records, (ANSWER, QNAME_POINTER, RRSIG, 60, rrsig_rdata(15, signer=b"\x00"))],
        qname=long,
        qtype=15,
    )
    evidence, sightings = collect(wired)
    assert sightings.num_rows == 0
    assert evidence.skipped["rrset-incomplete"] == 1


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.data())
def test_borders_between_blocks_change_nothing(tags, data) -> None:
    wires = [
        message([ADDRESS, (ANSWER, QNAME_POINTER, RRSIG, 60, rrsig_rdata(1, tag=tag))], flags=flags)
        for tag, flags in ((tag, AA_RESPONSE) for tag in tags)
    ]
    sent = [Sent(item) for item in wires]
    whole = Evidence()
    expected = whole.collect(*make_block(sent))[0].to_pylist()
    cut = data.draw(st.integers(0, len(sent)))
    parts = Evidence()
    rows = []
    for first, part in ((0, sent[:cut]), (cut, sent[cut:])):
        if part:
            rows += parts.collect(*make_block(part, first=first))[0].to_pylist()
    assert rows == expected
    assert parts.signatures().equals(whole.signatures())
