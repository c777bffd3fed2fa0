"""RFC 7129 5: why NSEC3 takes up to three records, and that none of them can be spared.

The zone is `example.org.` with `1.example.org.` and a wildcard below it; hashes are dnspython's.
"""

from __future__ import annotations

import base64
from itertools import combinations

import dns.dnssec
import pytest
from signed_responses import Exchange, Explained, Signer

EXAMPLE = Signer("example.org.")
KEYS = Exchange("example.org.", "DNSKEY", EXAMPLE.keys)
NAMES = {
    "example.org.": "NS SOA RRSIG DNSKEY NSEC3PARAM",
    "1.example.org.": "TXT RRSIG",
    "*.1.example.org.": "TXT RRSIG",
    "3.example.org.": "TXT RRSIG",
}


def hashed(name: str) -> bytes:
    return base64.b32hexdecode(dns.dnssec.nsec3_hash(name, "DEAD", 2, "SHA1"))


ORDER = sorted(NAMES, key=hashed)


def denier(at: int) -> tuple:
    """The NSEC3 of one name with its signature, its next name the next hash of the zone."""
    label = base64.b32hexencode(hashed(ORDER[at])).decode().lower()
    following = base64.b32hexencode(hashed(ORDER[(at + 1) % len(ORDER)])).decode().lower()
    text = f"1 0 2 DEAD {following} {NAMES[ORDER[at]]}"
    return tuple(EXAMPLE.sign(f"{label}.example.org.", "NSEC3", text))


def matching(name: str) -> int:
    return ORDER.index(name)


def covering(name: str) -> int:
    before = [at for at, one in enumerate(ORDER) if hashed(one) < hashed(name)]
    return before[-1] if before else len(ORDER) - 1


CASES = {
    "name error": ("x.2.example.org.", "TXT", 3,
                   [matching("example.org."), covering("2.example.org."),
                    covering("*.example.org.")]),
    "no data": ("1.example.org.", "A", 0, [matching("1.example.org.")]),
    "wildcard no data": ("x.1.example.org.", "A", 0,
                         [matching("1.example.org."), covering("x.1.example.org."),
                          matching("*.1.example.org.")]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_all_records_prove_it_and_no_fewer_do(tmp_path, case):
    name, kind, rcode, needed = CASES[case]
    needed = set(needed)
    parts = [one for size in range(len(needed) + 1) for one in combinations(sorted(needed), size)]
    for number, part in enumerate(parts):
        (folder := tmp_path / str(number)).mkdir()
        authority = [*EXAMPLE.soa(), *(rrset for at in part for rrset in denier(at))]
        answer = Exchange(name, kind, (), authority, rcode)
        status, reason = Explained(folder, [EXAMPLE.anchor], [KEYS, answer])(name, kind)
        if len(part) == len(needed):
            assert (status, reason) == ("secure", "none")
        else:
            # What is there may be no part of another proof: then the rest is missing.
            assert status == "bogus"
            assert reason == "denial-missing" or (part and reason == "denial-invalid")
