"""Proofs of absence: the examples of RFC 4035 and RFC 5155 (their zones, B.1 to B.8), and laws."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics import limits
from forensics.validation.nsec3 import nsec3_hash
from forensics.validation.proof import Claim, Denier, Proof, prove
from forensics.vocabulary import Status

NAME_ERROR, NO_DATA = Claim.NAME_ERROR, Claim.NO_DATA
WILDCARD, REFERRAL = Claim.WILDCARD_ANSWER, Claim.UNSIGNED_REFERRAL
SALT = "aabbccdd"


def wire(name: str) -> bytes:
    return dns.name.from_text(name).canonicalize().to_wire()


def number(text: str) -> int:
    return 128 if text == "NXNAME" else int(dns.rdatatype.from_text(text))


def nsec(owner: str, following: str, types: str) -> Denier:
    types = types.replace("NXNAME", "TYPE128")
    rdata = dns.rdata.from_text(dns.rdataclass.IN, "NSEC", f"{following} {types} RRSIG NSEC")
    return Denier(wire(owner), 47, rdata.to_wire())


def nsec3(
    zone: str,
    hashed: str,
    following: str,
    types: str,
    *,
    opt_out: bool = True,
    iterations: int = 12,
    salt: str = SALT,
    algorithm: int = 1,
) -> Denier:
    text = f"{algorithm} {int(opt_out)} {iterations} {salt} {following} {types}"
    rdata = dns.rdata.from_text(dns.rdataclass.IN, "NSEC3", text)
    return Denier(wire(f"{hashed}.{zone}"), 50, rdata.to_wire())


# RFC 4035 appendix A: the NSEC chain of the zone `example.`.
RFC_4035 = {
    owner: nsec(owner, following, types)
    for owner, following, types in (
        ("example.", "a.example.", "NS SOA MX DNSKEY"),
        ("a.example.", "ai.example.", "NS DS"),
        ("ai.example.", "b.example.", "A HINFO AAAA"),
        ("b.example.", "ns1.example.", "NS"),
        ("ns1.example.", "ns2.example.", "A"),
        ("ns2.example.", "*.w.example.", "A"),
        ("*.w.example.", "x.w.example.", "MX"),
        ("x.w.example.", "x.y.w.example.", "MX"),
        ("x.y.w.example.", "xx.example.", "MX"),
        ("xx.example.", "example.", "A HINFO AAAA"),
    )
}

# RFC 5155 appendix A: the NSEC3 chain of its zone `example.`; c.example. is unsigned, opted out.
HASHED = {
    "example.": ("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "MX DNSKEY NS SOA NSEC3PARAM RRSIG"),
    "ns1.example.": ("2t7b4g4vsa5smi47k61mv5bv1a22bojr", "A RRSIG"),
    "x.y.w.example.": ("2vptu5timamqttgl4luu9kg21e0aor3s", "MX RRSIG"),
    "a.example.": ("35mthgpgcu1qg68fab165klnsnk3dpvl", "NS DS RRSIG"),
    "x.w.example.": ("b4um86eghhds6nea196smvmlo4ors995", "MX RRSIG"),
    "ai.example.": ("gjeqe526plbf1g8mklp59enfd789njgi", "A HINFO AAAA RRSIG"),
    "y.w.example.": ("ji6neoaepv8b5o6k4ev33abha8ht9fgc", ""),
    "w.example.": ("k8udemvp1j2f7eg6jebps17vp3n8i58h", ""),
    "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.": (
        "kohar7mbb8dc2ce8a9qvl8hon4k53uhi", "A RRSIG",
    ),
    "ns2.example.": ("q04jkcevqvmu85r014c7dkba38o0ji5r", "A RRSIG"),
    "*.w.example.": ("r53bq7cc2uvmubfu5ocmm6pers9tk9en", "MX RRSIG"),
    "xx.example.": ("t644ebqk9bibcna874givr6joj62mlhv", "A HINFO AAAA RRSIG"),
}  # fmt: skip
RING = sorted(hashed for hashed, _ in HASHED.values())
RFC_5155 = {
    name: nsec3("example.", hashed, RING[(RING.index(hashed) + 1) % len(RING)], types)
    for name, (hashed, types) in HASHED.items()
}

CLOSED = {
    name: nsec3(
        "example.", hashed, RING[(RING.index(hashed) + 1) % len(RING)], types, opt_out=False
    )
    for name, (hashed, types) in HASHED.items()
}
"""The same chain without opt-out."""


class Case(NamedTuple):
    """A published example: the claim, and the owners of the records that its response shows."""

    section: str
    claim: Claim
    name: str
    qtype: str
    shown: tuple[str, ...]
    status: Status
    labels: int | None = None
    encloser: str | None = None
    opt_out: bool = False


PLAIN = (
    Case("B.2", NAME_ERROR, "ml.example.", "A", ("b.example.", "example."), Status.SECURE,
         encloser="example."),
    Case("B.3", NO_DATA, "ns1.example.", "MX", ("ns1.example.",), Status.SECURE),
    Case("B.5", REFERRAL, "b.example.", "DS", ("b.example.",), Status.SECURE),
    Case("B.6", WILDCARD, "a.z.w.example.", "MX", ("x.y.w.example.",), Status.SECURE, labels=2,
         encloser="w.example."),
    Case("B.7", NO_DATA, "a.z.w.example.", "AAAA", ("x.y.w.example.", "*.w.example."),
         Status.SECURE, encloser="w.example."),
)  # fmt: skip
HASHES = (
    Case("B.1", NAME_ERROR, "a.c.x.w.example.", "A",
         ("example.", "x.w.example.", "a.example."), Status.INSECURE, encloser="x.w.example.",
         opt_out=True),
    Case("B.2", NO_DATA, "ns1.example.", "MX", ("ns1.example.",), Status.SECURE),
    Case("B.2.1", NO_DATA, "y.w.example.", "A", ("y.w.example.",), Status.SECURE),
    Case("B.3", REFERRAL, "c.example.", "DS", ("a.example.", "example."), Status.INSECURE,
         encloser="example.", opt_out=True),
    Case("B.4", WILDCARD, "a.z.w.example.", "MX", ("ns2.example.",), Status.INSECURE, labels=2,
         encloser="w.example.", opt_out=True),
    Case("B.5", NO_DATA, "a.z.w.example.", "AAAA",
         ("w.example.", "ns2.example.", "*.w.example."), Status.INSECURE, encloser="w.example.",
         opt_out=True),
)  # fmt: skip
CASES = [
    pytest.param(case, zone, id=f"rfc{rfc}-{case.section}")
    for rfc, zone, cases in ((4035, RFC_4035, PLAIN), (5155, RFC_5155, HASHES))
    for case in cases
]


def said(
    case: Case, records: Iterable[Denier], zone: str = "example.", limit: int | None = None
) -> Proof:
    return prove(
        case.claim, wire(case.name), number(case.qtype), wire(zone), tuple(records),
        labels=case.labels, iterations_limit=limits.NSEC3_ITERATIONS if limit is None else limit,
    )  # fmt: skip


def test_hashes_are_those_of_rfc_5155_appendix_a():
    import base64

    for name, (hashed, _) in HASHED.items():
        mine = nsec3_hash(wire(name), bytes.fromhex(SALT), 12)
        assert base64.b32hexencode(mine).decode().lower() == hashed
        assert dns.dnssec.nsec3_hash(name, SALT, 12, "SHA1").lower() == hashed


@pytest.mark.parametrize(("case", "zone"), CASES)
def test_published_examples_prove_their_claim(case, zone):
    records = [zone[owner] for owner in case.shown]
    proof = said(case, records)
    assert (proof.holds, proof.reason, proof.status) == (True, "", case.status), proof.explanation
    assert sorted(proof.used) == list(range(len(records))), "no example shows a needless record"
    assert proof.opt_out is case.opt_out
    assert not proof.compact
    if case.encloser:
        assert proof.closest_encloser == wire(case.encloser)


@pytest.mark.parametrize(("case", "zone"), CASES)
def test_each_record_of_the_published_examples_is_needed(case, zone):
    if case == HASHES[-1]:
        zone = CLOSED  # with opt-out, two of the three leave room for an unsigned delegation
    for left_out in case.shown:
        records = [zone[owner] for owner in case.shown if owner != left_out]
        proof = said(case, records)
        assert not proof.holds
        assert proof.reason == "denial-missing", proof.explanation
        assert proof.status is Status.BOGUS


@pytest.mark.parametrize(("case", "zone"), CASES)
def test_a_whole_chain_proves_what_its_part_does_whatever_the_order(case, zone):
    some = said(case, zone.values())
    other = said(case, reversed(zone.values()))
    assert some.holds
    assert (some.status, some.opt_out) == (case.status, case.opt_out)
    assert {list(zone.values())[at] for at in some.used} >= {
        list(reversed(zone.values()))[at] for at in other.used
    }


@pytest.mark.parametrize(("case", "zone"), CASES)
def test_every_other_pair_of_records_proves_nothing(case, zone):
    """Only sets that hold the shown records prove it, once no opt-out stands in their stead."""
    if case in HASHES[3:5]:
        pytest.skip("B.3 needs opt-out; B.4 is proven by more than one pair")
    if zone is RFC_5155:
        zone = CLOSED
    needed = {zone[owner] for owner in case.shown}
    for size in (1, 2, 3):
        for records in itertools.combinations(zone.values(), size):
            assert said(case, records).holds == (needed <= set(records))


def test_what_exists_is_never_denied():
    for owner in RFC_4035:
        for zone in (RFC_4035, RFC_5155):
            for claim in (NAME_ERROR, WILDCARD):
                if owner in zone:
                    proof = said(Case("", claim, owner, "A", (), Status.BOGUS), zone.values())
                    assert not proof.holds
                    assert proof.reason == "denial-invalid"


@pytest.mark.parametrize("zone", [RFC_4035, RFC_5155], ids=["nsec", "nsec3"])
def test_rfc_6840_4_4_the_child_cannot_deny_its_ds(zone):
    """RFC 4035 B.8 and RFC 5155 B.6: the record at the apex comes from below the cut."""
    case = Case("", NO_DATA, "example.", "DS", (), Status.BOGUS)
    proof = said(case, [zone["example."]])
    assert (proof.holds, proof.reason) == (False, "denial-invalid")
    assert said(case._replace(claim=REFERRAL), [zone["example."]]).reason == "denial-invalid"
    assert said(case._replace(qtype="TXT"), [zone["example."]]).holds


@pytest.mark.parametrize("zone", [RFC_4035, RFC_5155], ids=["nsec", "nsec3"])
def test_rfc_6840_4_1_the_parent_cannot_deny_below_a_signed_cut(zone):
    at = Case("", NO_DATA, "a.example.", "TXT", (), Status.BOGUS)
    assert said(at, zone.values()).reason == "denial-invalid"
    below = Case("", NAME_ERROR, "b.a.example.", "TXT", (), Status.BOGUS)
    proof = said(below, zone.values())
    assert (proof.holds, proof.reason, proof.status) == (False, "denial-invalid", Status.BOGUS)


def test_below_an_unsigned_cut_nothing_is_bogus():
    proof = said(Case("", NAME_ERROR, "x.b.example.", "A", (), Status.BOGUS), RFC_4035.values())
    assert (proof.holds, proof.reason, proof.status) == (False, "", Status.INSECURE)


def test_the_root_may_deny_its_own_ds():
    root = nsec(".", "aaa.", "NS SOA DNSKEY")
    assert said(Case("", NO_DATA, ".", "DS", (), Status.SECURE), [root], ".").holds


def test_rfc_6840_4_3_a_cname_is_no_absence():
    record = nsec("www.example.", "x.example.", "CNAME")
    proof = said(Case("", NO_DATA, "www.example.", "A", (), Status.BOGUS), [record])
    assert (proof.holds, proof.reason) == (False, "denial-invalid")


def test_rfc_6672_5_3_4_1_a_dname_denies_nothing_below_it():
    record = nsec("d.example.", "x.example.", "DNAME")
    apex = nsec("example.", "d.example.", "NS SOA")
    case = Case("", NAME_ERROR, "www.d.example.", "A", (), Status.BOGUS)
    assert said(case, [apex, record]).reason == "denial-invalid"
    assert said(case._replace(name="e.example."), [apex, record]).holds


def test_a_referral_needs_the_ns_bit():
    case = Case("", REFERRAL, "ns1.example.", "DS", (), Status.BOGUS)
    for zone in (RFC_4035, RFC_5155):
        assert said(case, [zone["ns1.example."]]).reason == "denial-invalid"


def test_a_covered_delegation_without_opt_out_is_contradicted():
    case = Case("", REFERRAL, "c.example.", "DS", (), Status.BOGUS)
    assert said(case, [RFC_4035["b.example."]]).reason == "denial-invalid"
    assert said(case, CLOSED.values()).reason == "denial-invalid"


def test_empty_nonterminals():
    """RFC 4592 2.2.2: y.w.example. exists, for x.y.w.example. does."""
    record = RFC_4035["x.w.example."]
    case = Case("", NO_DATA, "y.w.example.", "A", (), Status.SECURE)
    assert said(case, [record]).holds
    assert said(case._replace(claim=NAME_ERROR), RFC_4035.values()).reason == "denial-invalid"


def test_rfc_9824_compact_denial():
    record = nsec("no.example.", "\\000.no.example.", "NXNAME")
    case = Case("", NO_DATA, "no.example.", "A", (), Status.SECURE)
    proof = said(case, [record])
    assert (proof.holds, proof.compact, proof.status) == (True, True, Status.SECURE)
    assert said(case._replace(claim=NAME_ERROR), [record]).holds, "with the CO flag, NXDOMAIN"
    exists = nsec("no.example.", "\\000.no.example.", "A")
    assert said(case._replace(claim=NAME_ERROR), [exists]).reason == "denial-invalid"


def test_a_closer_wildcard_is_not_passed_over():
    """The answer came from *.example., and the record shows that w.example. exists."""
    case = Case("", WILDCARD, "a.z.w.example.", "MX", (), Status.BOGUS, labels=1)
    assert said(case, [RFC_4035["x.y.w.example."]]).reason == "denial-invalid"
    proof = said(case, RFC_5155.values())
    assert (proof.holds, proof.reason) == (False, "denial-invalid")


def test_rfc_9276_iterations():
    case = Case("", NO_DATA, "ns1.example.", "MX", (), Status.SECURE)
    records = [RFC_5155["ns1.example."]]
    assert said(case, records, limit=12).holds
    proof = said(case, records, limit=11)
    assert (proof.holds, proof.reason) == (False, "nsec3-iterations")
    assert proof.status is Status.INSECURE


def test_rfc_5155_8_unknown_hash_algorithms_and_flags_are_ignored():
    case = Case("", NO_DATA, "ns1.example.", "MX", (), Status.SECURE)
    hashed, types = HASHED["ns1.example."]
    other = nsec3("example.", hashed, RING[2], types, algorithm=2)
    assert said(case, [other]).reason == "denial-invalid"
    known = RFC_5155["ns1.example."]
    flagged = Denier(known.owner, 50, known.rdata[:1] + b"\x03" + known.rdata[2:])
    assert not said(case, [flagged]).holds
    assert said(case, [other, flagged, known]).used == (2,)


def test_several_parameter_sets_in_one_response():
    """A zone between two chains: each record is asked with its own salt and iterations."""
    import base64

    case = Case("", NAME_ERROR, "a.c.x.w.example.", "A", (), Status.INSECURE)
    names = sorted(
        (base64.b32hexencode(nsec3_hash(wire(name), b"", 0)).decode().lower(), types)
        for name, (_, types) in HASHED.items()
    )
    fresh = [
        nsec3("example.", hashed, names[(at + 1) % 12][0], types, iterations=0, salt="-",
              opt_out=False)
        for at, (hashed, types) in enumerate(names)
    ]  # fmt: skip
    assert said(case, fresh).status is Status.SECURE
    shown = [RFC_5155[owner] for owner in ("example.", "x.w.example.", "a.example.")]
    assert said(case, [*fresh[:2], *shown]).holds


def test_records_of_other_zones_say_nothing():
    case = Case("", NO_DATA, "ns1.example.", "MX", (), Status.SECURE)
    assert said(case, [nsec("ns1.example.", "ns2.example.", "A")], "ns1.example.").holds is False
    assert said(case, [nsec("org.", "example.", "A")]).reason == "denial-invalid"
    foreign = nsec3("other.example.", *(HASHED["ns1.example."][0], RING[2], "A RRSIG"))
    assert said(case, [foreign]).reason == "denial-invalid"
    assert said(case, []).reason == "denial-missing"


def test_mixed_case_in_the_next_name_does_not_matter():
    """RFC 6840 5.1: the next name is not lower-cased in the signed data."""
    known = RFC_4035["b.example."]
    shouted = Denier(
        known.owner, 47, known.rdata.replace(b"\x03ns1\x07example", b"\x03NS1\x07EXAMPLE")
    )
    assert shouted != known
    case = PLAIN[0]
    assert said(case, [shouted, RFC_4035["example."]]).holds


def test_rfc_4034_6_1_the_order_of_names_is_that_of_octets():
    """Its published order: a gap covers what stands between its ends, and nothing else."""
    order = ["example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.",
             "z.example.", "\\001.z.example.", "*.z.example.", "\\200.z.example."]  # fmt: skip
    for low, name, high in itertools.product(range(9), range(1, 9), range(1, 9)):
        if low >= high:
            continue
        record = nsec(order[low], order[high], "A")
        case = Case("", WILDCARD, order[name], "A", (), Status.SECURE)
        inside = low < name < high and not wire(order[high]).endswith(wire(order[name]))
        assert said(case, [record]).holds == inside


@given(st.binary(max_size=80), st.binary(max_size=40), st.sampled_from([47, 50]), st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_hostile_records_prove_nothing_and_raise_nothing(rdata, owner, kind, claim):
    record = Denier(owner, kind, rdata)
    for at in (
        record,
        Denier(wire("b.example."), kind, rdata),
        Denier(wire(f"{RING[0]}.example."), kind, rdata),
    ):
        proof = prove(list(Claim)[claim], wire("c.b.example."), 1, wire("example."), [at])
        assert proof.used in ((), (0,))


def test_the_hashes_of_one_proof_are_bounded():
    """Many parameter sets and a name of many labels: limit-reached (CVE-2023-50868)."""
    hashed, types = HASHED["ns1.example."]
    records = [
        nsec3("example.", hashed, RING[2], types, iterations=150, salt=f"{salt:04x}")
        for salt in range(limits.DENIERS)
    ]
    deep = "a." * 120 + "example."
    proof = said(Case("", NAME_ERROR, deep, "A", (), Status.BOGUS), records)
    assert (proof.reason, proof.status) == ("limit-reached", Status.INDETERMINATE)
    proof = said(Case("", NAME_ERROR, "a.example.", "A", (), Status.BOGUS), records * 2)
    assert proof.reason == "limit-reached"


@pytest.mark.parametrize("size", range(8))
def test_records_too_short_for_their_fields_prove_nothing(size) -> None:
    owner = b"\x20" + b"0" * 32 + b"\x02de\0"
    for rdata in (bytes(size), bytes([1, 0, 0, 1, 0, 20, 1, 1])[:size], b"\xd2\x9c"[:size]):
        for kind in (47, 50):
            found = prove(
                Claim.NAME_ERROR, b"\x01a\x02de\0", 1, b"\x02de\0", [Denier(owner, kind, rdata)]
            )
            assert not found.holds
