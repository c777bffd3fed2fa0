"""RFC 9276 3.2: NSEC3 with more iterations than a validator follows makes the answer insecure."""

from __future__ import annotations

import base64

import dns.dnssec
import pytest
from signed_responses import Exchange, Explained, Signer

EXAMPLE = Signer("example.")
KEYS = Exchange("example.", "DNSKEY", EXAMPLE.keys)


def hashed(name: str, iterations: int) -> int:
    text = dns.dnssec.nsec3_hash(name, "ab", iterations, "SHA1")
    return int.from_bytes(base64.b32hexdecode(text), "big")


def denier(name: str, iterations: int, *, at: bool) -> list:
    """The NSEC3 at a name, or one that closely covers it."""
    place = hashed(name, iterations)
    first, last = (place, place + 1) if at else (place - 1, place + 1)
    owner, following = (
        base64.b32hexencode(n.to_bytes(20, "big")).decode().lower() for n in (first, last)
    )
    types = "NS SOA RRSIG DNSKEY NSEC3PARAM" if at else "A RRSIG"
    text = f"1 0 {iterations} ab {following} {types}"
    return EXAMPLE.sign(f"{owner}.example.", "NSEC3", text)


def told(folder, iterations: int, policy: str) -> tuple[str, str]:
    authority = [
        *EXAMPLE.soa(),
        *denier("example.", iterations, at=True),
        *denier("nx.example.", iterations, at=False),
        *denier("*.example.", iterations, at=False),
    ]
    answer = Exchange("nx.example.", "A", (), authority, rcode=3)
    return Explained(folder, [EXAMPLE.anchor], [KEYS, answer], policy)("nx.example.", "A")


LIMITS = {"strict": 150, "unbound": 150, "bind": 50, "knot": 50, "powerdns": 50}
"""What the programs follow: RFC 9276 appendix A asks for insecure above a limit that may fall."""


@pytest.mark.parametrize("policy", LIMITS)
def test_3_2_at_the_limit_the_proof_counts_and_above_it_is_not_followed(tmp_path, policy):
    for number, over in enumerate((0, 1)):
        (folder := tmp_path / str(number)).mkdir()
        expected = ("insecure", "nsec3-iterations") if over else ("secure", "none")
        assert told(folder, LIMITS[policy] + over, policy) == expected


def test_3_1_no_iterations_and_a_salt_are_sound(tmp_path):
    assert told(tmp_path, 0, "strict") == ("secure", "none")
