"""RFC 9905 2: SHA-1 signatures count as unsupported, from the day that the RFC stands."""

from __future__ import annotations

import calendar

import pytest
from signed_responses import NOW, Exchange, Explained, Signer

BEFORE, AFTER = calendar.timegm((2025, 11, 30, 12, 0, 0)), calendar.timegm((2025, 12, 1, 12, 0, 0))


@pytest.mark.parametrize("algorithm", [5, 7])
@pytest.mark.parametrize(
    ("policy", "now", "status"),
    [
        ("strict", BEFORE, "secure"),
        ("strict", AFTER, "insecure"),
        ("unbound", AFTER, "secure"),
        ("bind", AFTER, "secure"),
        ("knot", AFTER, "secure"),
        ("powerdns", AFTER, "secure"),
    ],
)
def test_2_a_zone_of_sha1_alone(tmp_path, algorithm, policy, now, status):
    zone, start = Signer("example.", algorithm), now - NOW
    times = (start - 99, start + 99_999)
    keys = zone.sign("example.", "DNSKEY", zone.key.to_text(), times=times)
    data = zone.sign("www.example.", "A", "192.0.2.1", times=times)
    exchanges = [Exchange("example.", "DNSKEY", keys), Exchange("www.example.", "A", data)]
    told = Explained(tmp_path, [zone.anchor], exchanges, policy, now=now).told("www.example.", "A")
    assert told["status"] == status
    if status == "insecure":
        assert told["reason"] == "algorithm-unsupported"
