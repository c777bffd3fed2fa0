"""RFC 6840: clarifications of DNSSEC; the sections on denials (4.1, 4.3, 4.4), digests and keys."""

from __future__ import annotations

import dns.rrset
import pytest
from signed_responses import Exchange, Explained, Signer

EXAMPLE = Signer("example.")
KEYS = Exchange("example.", "DNSKEY", EXAMPLE.keys)
APEX = EXAMPLE.sign("example.", "NSEC", "a.example. NS SOA RRSIG NSEC DNSKEY")


def explained(folder, *exchanges, **options):
    return Explained(folder, [EXAMPLE.anchor], [KEYS, *exchanges], **options)


def test_4_1_an_ancestors_delegation_denies_nothing_below_the_cut(tmp_path):
    """NS without SOA, and a DS: names below are the child's to deny."""
    cut = EXAMPLE.sign("b.example.", "NSEC", "d.example. NS DS RRSIG NSEC")
    authority = [*EXAMPLE.soa(), *cut, *APEX]
    ask = explained(tmp_path, Exchange("x.b.example.", "A", (), authority, rcode=3))
    assert ask("x.b.example.", "A") == ("bogus", "denial-invalid")


@pytest.mark.parametrize(
    ("types", "expected"),
    [("CNAME", ("bogus", "denial-invalid")), ("TXT", ("secure", "none"))],
)
def test_4_3_a_bitmap_with_cname_is_no_proof_of_no_data(tmp_path, types, expected):
    at = EXAMPLE.sign("b.example.", "NSEC", f"d.example. {types} RRSIG NSEC")
    ask = explained(tmp_path, Exchange("b.example.", "A", (), [*EXAMPLE.soa(), *at]))
    assert ask("b.example.", "A") == expected


@pytest.mark.parametrize(
    ("types", "status"),
    [("NS", "insecure"), ("NS SOA", "secure"), ("NS DS", "bogus"), ("A", "secure")],
)
def test_4_4_an_unsigned_cut_has_ns_and_neither_soa_nor_ds(tmp_path, types, status):
    """The NODATA answer for DS; only NS alone makes the name insecure. SOA: it is the child's."""
    at = EXAMPLE.sign("b.example.", "NSEC", f"d.example. {types} RRSIG NSEC")
    child = dns.rrset.from_text("www.b.example.", 300, "IN", "A", "192.0.2.1")
    ask = explained(
        tmp_path,
        Exchange("b.example.", "DS", (), [*EXAMPLE.soa(), *at]),
        Exchange("www.b.example.", "A", [child]),
    )
    if types == "NS":
        assert ask("www.b.example.", "A") == ("insecure", "none")
    elif types == "NS SOA":
        assert ask("b.example.", "DS") == ("bogus", "denial-invalid")
    else:
        assert ask("b.example.", "DS")[0] == status


def test_5_11_one_valid_path_is_enough(tmp_path):
    """Two algorithms in the anchors, signatures of one: a validator must not insist on both."""
    other = Signer("example.", algorithm=8)
    both = EXAMPLE.sign("example.", "DNSKEY", EXAMPLE.key.to_text(), other.key.to_text())
    exchanges = [
        Exchange("example.", "DNSKEY", both),
        Exchange("www.example.", "A", EXAMPLE.sign("www.example.", "A", "192.0.2.1")),
    ]
    ask = Explained(tmp_path, [EXAMPLE.anchor, other.anchor], exchanges)
    assert ask("www.example.", "A") == ("secure", "none")


def test_5_4_one_bad_signature_beside_a_good_one_does_no_harm(tmp_path):
    """RFC 4035 5.3.3 lets the validator choose; 6840 5.4: any good one will do."""
    good = EXAMPLE.sign("www.example.", "A", "192.0.2.1")
    bad = EXAMPLE.sign("www.example.", "A", "192.0.2.2")
    signatures = good[1].copy()
    signatures.update(bad[1])
    ask = explained(tmp_path, Exchange("www.example.", "A", [good[0], signatures]))
    assert ask("www.example.", "A") == ("secure", "none")
