"""RFC 6672: redirection of names by DNAME."""

from __future__ import annotations

import dns.name
import dns.rdata
import dns.rrset
import pytest
from signed_responses import Exchange, Explained, Signer

EXAMPLE = Signer("example.com.")
OTHER = Signer("example.net.", seed=815)
DNAME = EXAMPLE.sign("bar.example.com.", "DNAME", "bar.example.net.")
CNAME = dns.rrset.from_text("foo.bar.example.com.", 300, "IN", "CNAME", "foo.bar.example.net.")
WRONG = dns.rrset.from_text("foo.bar.example.com.", 300, "IN", "CNAME", "bad.example.net.")
TARGET = OTHER.sign("foo.bar.example.net.", "A", "192.0.2.1")
NSEC = EXAMPLE.sign("bar.example.com.", "NSEC", "dub.example.com. A DNAME RRSIG NSEC")
APEX = EXAMPLE.sign("example.com.", "NSEC", "bar.example.com. NS SOA RRSIG NSEC DNSKEY")
KEYS = [
    Exchange("example.com.", "DNSKEY", EXAMPLE.keys),
    Exchange("example.net.", "DNSKEY", OTHER.keys),
]
TRUSTED = [EXAMPLE.anchor, OTHER.anchor]


def test_5_3_1_the_synthesised_cname_needs_no_signature(tmp_path):
    answer = [*DNAME, CNAME, *TARGET]
    ask = Explained(tmp_path, TRUSTED, [*KEYS, Exchange("foo.bar.example.com.", "A", answer)])
    assert ask("foo.bar.example.com.", "A") == ("secure", "none")


def test_5_3_4_4_a_cname_that_the_dname_does_not_give_is_not_followed(tmp_path):
    """The DNAME is what is signed: the target is made of it, whatever the CNAME says."""
    bad = OTHER.sign("bad.example.net.", "A", "192.0.2.66")
    answer = [*DNAME, WRONG, *bad]
    exchanges = [
        *KEYS,
        Exchange("foo.bar.example.com.", "A", answer),
        Exchange("foo.bar.example.net.", "A", TARGET),
    ]
    told = Explained(tmp_path, TRUSTED, exchanges).told("foo.bar.example.com.", "A")
    assert (told["status"], told["target"]) == ("secure", "foo.bar.example.net.")


def test_a_dname_whose_signature_does_not_verify_is_bogus(tmp_path):
    bent = dns.rrset.from_text("bar.example.com.", 300, "IN", "DNAME", "bar.example.org.")
    cname = dns.rrset.from_text("foo.bar.example.com.", 300, "IN", "CNAME", "foo.bar.example.org.")
    answer = [bent, DNAME[1], cname]
    ask = Explained(tmp_path, TRUSTED, [*KEYS, Exchange("foo.bar.example.com.", "A", answer)])
    assert ask("foo.bar.example.com.", "A") == ("bogus", "signature-invalid")


def test_2_3_the_owner_itself_is_not_redirected(tmp_path):
    here = EXAMPLE.sign("bar.example.com.", "A", "192.0.2.2")
    exchanges = [
        *KEYS,
        Exchange("bar.example.com.", "A", here),
        Exchange("bar.example.com.", "DNAME", DNAME),
    ]
    ask = Explained(tmp_path, TRUSTED, exchanges)
    assert ask("bar.example.com.", "A") == ("secure", "none")
    assert ask("bar.example.com.", "DNAME") == ("secure", "none")


@pytest.mark.parametrize(
    ("section", "name", "expected"),
    [
        ("5.3.4.1", "foo.bar.example.com.", ("bogus", "denial-invalid")),
        ("5.3.4.2", "cee.example.com.", ("secure", "none")),
    ],
)
def test_5_3_4_an_nsec_with_the_dname_bit_denies_nothing_below_it(
    tmp_path, section, name, expected
):
    authority = [*EXAMPLE.soa(), *NSEC, *APEX]
    exchanges = [*KEYS, Exchange(name, "A", (), authority, rcode=3)]
    assert Explained(tmp_path, TRUSTED, exchanges)(name, "A") == expected, section
