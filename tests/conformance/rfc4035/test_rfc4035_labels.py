"""RFC 4035 5.3.2: the labels field of an RRSIG decides over which owner the signature is checked.

With one label fewer than the owner has, the RRset is taken for the expansion of a wildcard, and
what was signed under its own name does not verify.
"""

from __future__ import annotations

import dns.rrset
import pytest
from signed_responses import Exchange, Explained, Signer

PARENT, CHILD = Signer("example."), Signer("sec.example.", seed=815)


def relabelled(rrsets: list[dns.rrset.RRset], by: int) -> list[dns.rrset.RRset]:
    """Change the labels field of the signature."""
    rrset, rrsig = rrsets
    made = rrsig[0].replace(labels=rrsig[0].labels + by)
    return [rrset, dns.rrset.from_rdata(rrsig.name, rrsig.ttl, made)]


def told(folder, by: dict[str, int]) -> tuple[str, str]:
    """The answer for www.sec.example. where labels are changed by so many in these RRsets."""
    ds = relabelled(PARENT.sign("sec.example.", "DS", CHILD.ds()), by.get("DS", 0))
    keys = relabelled(CHILD.keys, by.get("DNSKEY", 0))
    data = relabelled(CHILD.sign("www.sec.example.", "A", "192.0.2.1"), by.get("A", 0))
    exchanges = [
        Exchange("example.", "DNSKEY", PARENT.keys),
        Exchange("sec.example.", "DS", ds),
        Exchange("sec.example.", "DNSKEY", keys),
        Exchange("www.sec.example.", "A", data),
    ]
    return Explained(folder, [PARENT.anchor], exchanges)("www.sec.example.", "A")


def test_as_signed_it_is_secure(tmp_path):
    assert told(tmp_path, {}) == ("secure", "none")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("DS", "signature-invalid"), ("DNSKEY", "signer-invalid"), ("A", "signature-invalid")],
)
def test_fewer_labels_make_another_owner_and_the_signature_fails(tmp_path, kind, reason):
    """Of the key set that owner, *.example., does not even lie in the signer's zone."""
    assert told(tmp_path, {kind: -1}) == ("bogus", reason)


@pytest.mark.parametrize("kind", ["DS", "DNSKEY", "A"])
def test_more_labels_than_the_owner_has_are_no_good(tmp_path, kind):
    assert told(tmp_path, {kind: 1}) == ("bogus", "labels-invalid")
