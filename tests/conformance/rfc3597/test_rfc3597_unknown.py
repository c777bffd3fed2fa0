"""RFC 3597: types that nobody knows; their data is compared and signed octet by octet (6, 7)."""

from __future__ import annotations

import dns.dnssec
import dns.rdata
import dns.rrset
import pytest
from signed_responses import NOW, Exchange, Explained, Signer

EXAMPLE = Signer("example.")
KEYS = Exchange("example.", "DNSKEY", EXAMPLE.keys)

DATA = {
    "empty": "\\# 0",
    "octets": "\\# 4 DEADBEEF",
    "a name in capitals stays so": "\\# 13 0357575707455841" + "4D504C4500",
    "what looks like a pointer": "\\# 2 C00C",
}


@pytest.mark.parametrize("text", DATA.values(), ids=DATA)
@pytest.mark.parametrize("kind", ["TYPE65280", "TYPE731"])
def test_7_unknown_data_is_signed_as_it_is(tmp_path, kind, text):
    rrset, rrsig = EXAMPLE.sign("odd.example.", kind, text)
    keys = EXAMPLE.keys[0]
    dns.dnssec.validate(rrset, rrsig, {EXAMPLE.zone: keys}, now=NOW)
    ask = Explained(
        tmp_path, [EXAMPLE.anchor], [KEYS, Exchange("odd.example.", kind, [rrset, rrsig])]
    )
    assert ask("odd.example.", kind) == ("secure", "none")


def test_7_other_letters_are_other_data(tmp_path):
    _, rrsig = EXAMPLE.sign("odd.example.", "TYPE65280", "\\# 2 0141")
    other = dns.rrset.from_text("odd.example.", 300, "IN", "TYPE65280", "\\# 2 0161")
    answer = Exchange("odd.example.", "TYPE65280", [other, rrsig])
    ask = Explained(tmp_path, [EXAMPLE.anchor], [KEYS, answer])
    assert ask("odd.example.", "TYPE65280") == ("bogus", "signature-invalid")


def test_6_several_records_are_ordered_by_their_octets(tmp_path):
    texts = ["\\# 2 FF00", "\\# 1 FF", "\\# 3 000000", "\\# 0", "\\# 1 00"]
    rrset, rrsig = EXAMPLE.sign("odd.example.", "TYPE65280", *texts)
    for number, shown in enumerate((texts, texts[::-1])):
        (folder := tmp_path / str(number)).mkdir()
        mixed = dns.rrset.from_text("ODD.example.", 300, "IN", "TYPE65280", *shown)
        answer = Exchange("odd.example.", "TYPE65280", [mixed, rrsig])
        ask = Explained(folder, [EXAMPLE.anchor], [KEYS, answer])
        assert ask("odd.example.", "TYPE65280") == ("secure", "none")
    assert len(rrset) == len(texts)
