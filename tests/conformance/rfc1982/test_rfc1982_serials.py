"""RFC 1982: serial number arithmetic, as RFC 4034 3.1.5 uses it for the times of signatures."""

from __future__ import annotations

import pytest
from signed_responses import NOW, Exchange, Explained, Signer

EXAMPLE = Signer("example.")
WRAP = 2**32
HALF = 2**31


def told(folder, now: int, inception: int, expiration: int) -> tuple[str, str]:
    """An RRset with a signature of these times (seconds from `now`), at `now`."""
    start = now - NOW
    keys = EXAMPLE.sign(
        "example.", "DNSKEY", EXAMPLE.key.to_text(), times=(start - 99, start + 99_999)
    )
    data = EXAMPLE.sign(
        "www.example.", "A", "192.0.2.1", times=(start + inception, start + expiration)
    )
    exchanges = [Exchange("example.", "DNSKEY", keys), Exchange("www.example.", "A", data)]
    return Explained(folder, [EXAMPLE.anchor], exchanges, now=now)("www.example.", "A")


INSTANTS = {"2026": NOW, "before the wrap": WRAP - 3600}
"""2106-02-07 05:28:16 UTC: there the 32 bits of a packet's own time end too."""


@pytest.mark.parametrize("now", INSTANTS.values(), ids=INSTANTS)
@pytest.mark.parametrize(
    ("inception", "expiration", "expected"),
    [
        (-3600, 86_400, ("secure", "none")),
        (-86_400, -3600, ("bogus", "signature-expired")),
        (3600, 86_400, ("bogus", "signature-not-yet-valid")),
        (-86_400, HALF - 100, ("bogus", "signature-window-invalid")),
        (-HALF // 2, HALF // 2 - 1, ("secure", "none")),
    ],
    ids=["valid", "expired", "early", "longer than half the circle", "nearly half the circle"],
)
def test_3_2_times_compare_on_the_circle(tmp_path, now, inception, expiration, expected):
    """Before the wrap, an expiration of tomorrow is the number 82,799, and later all the same."""
    assert told(tmp_path, now, inception, expiration) == expected
