"""RFC 9077 3: the TTL of an NSEC is the lesser of the SOA's MINIMUM and of the SOA's own TTL.

Authorities of before have MINIMUM alone. A validator takes both: no TTL makes a proof wrong.
"""

from __future__ import annotations

import pytest
from signed_responses import Exchange, Explained, Signer

EXAMPLE = Signer("example.")
KEYS = Exchange("example.", "DNSKEY", EXAMPLE.keys)


@pytest.mark.parametrize(
    ("soa_ttl", "minimum", "nsec_ttl"),
    [(300, 3600, 300), (300, 3600, 3600), (3600, 300, 300)],
    ids=["as RFC 9077 says", "as before", "MINIMUM is the lesser"],
)
def test_3_no_ttl_makes_a_denial_wrong(tmp_path, soa_ttl, minimum, nsec_ttl):
    soa = EXAMPLE.sign("example.", "SOA", f". . 1 7200 3600 1209600 {minimum}", ttl=soa_ttl)
    nsec = EXAMPLE.sign("a.example.", "NSEC", "c.example. A RRSIG NSEC", ttl=nsec_ttl)
    apex = EXAMPLE.sign("example.", "NSEC", "a.example. NS SOA RRSIG NSEC DNSKEY", ttl=nsec_ttl)
    answer = Exchange("b.example.", "A", (), [*soa, *nsec, *apex], rcode=3)
    ask = Explained(tmp_path, [EXAMPLE.anchor], [KEYS, answer])
    assert ask("b.example.", "A") == ("secure", "none")
