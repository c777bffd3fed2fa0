"""RFC 9824: compact denial of existence; the responses of section 3."""

from __future__ import annotations

import pytest
from signed_responses import Exchange, Explained, Signer

EXAMPLE = Signer("example.com.")
KEYS = Exchange("example.com.", "DNSKEY", EXAMPLE.keys)


def asked(folder, types: str, kind: str, rcode: int = 0) -> tuple[str, str]:
    """One NSEC at the name itself, its next name the immediate lexical successor (section 3.1)."""
    name = "x.example.com."
    nsec = EXAMPLE.sign(name, "NSEC", f"\\000.{name} {types}")
    answer = Exchange(name, kind, (), [*EXAMPLE.soa(), *nsec], rcode=rcode)
    return Explained(folder, [EXAMPLE.anchor], [KEYS, answer])(name, kind)


@pytest.mark.parametrize("rcode", [0, 3], ids=["NOERROR", "NXDOMAIN restored"])
def test_3_1_a_name_that_does_not_exist_has_the_nxname_bit(tmp_path, rcode):
    """Section 5 gives the signature-aware response code back: the same proof under NXDOMAIN."""
    assert asked(tmp_path, "RRSIG NSEC TYPE128", "A", rcode) == ("secure", "none")


def test_3_2_a_name_without_the_type_lists_those_that_it_has(tmp_path):
    assert asked(tmp_path, "A RRSIG NSEC", "AAAA") == ("secure", "none")


def test_3_2_a_bitmap_that_lists_the_type_denies_nothing(tmp_path):
    assert asked(tmp_path, "A RRSIG NSEC", "A") == ("bogus", "denial-invalid")


def test_3_3_an_empty_non_terminal_lists_nothing_of_its_own(tmp_path):
    assert asked(tmp_path, "RRSIG NSEC", "A") == ("secure", "none")


def test_a_name_error_needs_the_nxname_bit(tmp_path):
    """Without it the NSEC at the name says that the name exists."""
    assert asked(tmp_path, "RRSIG NSEC", "A", rcode=3) == ("bogus", "denial-invalid")
