"""What became of every failed lookup: was it DNSSEC at all? (DESIGN section 1)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from forensics import vocabulary
from forensics.timeline.lookups import NO_RESPONSE, POLICY_EDES, VALIDATION_EDES, Lookups

KINDS: Final = ("validation", "timeout", "refused", "lame", "servfail-other", "policy")

NOTAUTH: Final = 9


def empty() -> dict[str, int]:
    """Give a count of nothing."""
    return dict.fromkeys(KINDS, 0)


def count(
    counts: dict[str, int], rows: Lookups, chosen: NDArray[np.bool_], broken: NDArray[np.bool_]
) -> None:
    """Count the chosen transactions that failed, each under one kind.

    Args:
        counts: added to.
        rows: N transactions.
        chosen: bool (N), which to count.
        broken: bool (N), the name stands under a zone in the time of its incident.
    """
    policy = np.isin(rows.ede, sorted(POLICY_EDES))
    servfail = rows.rcode == vocabulary.SERVFAIL
    validation = servfail & (broken | np.isin(rows.ede, sorted(VALIDATION_EDES))) & ~rows.cd
    refused = np.isin(rows.rcode, (vocabulary.REFUSED, NOTAUTH))
    # An authority that refuses, or answers with nothing at all, does not serve the zone that it
    # was asked about: a lame delegation (RFC 9499 7).
    empty_handed = (rows.rcode == 0) & ~rows.aa & ~rows.ra
    empty_handed &= (rows.answers == 0) & (rows.authorities == 0)
    upstream = ~rows.client_side
    lame = upstream & (refused | empty_handed)
    timeout = rows.query & (rows.rcode == NO_RESPONSE) & ~rows.response
    other = servfail | np.isin(rows.rcode, (1, 4))  # FORMERR, NOTIMP
    left = chosen.copy()
    for kind, mask in (
        ("policy", policy),
        ("validation", validation),
        ("lame", lame),
        ("refused", refused),
        ("timeout", timeout),
        ("servfail-other", other),
    ):
        hit = left & mask
        counts[kind] += int(hit.sum())
        left &= ~hit


def settle(
    client: dict[str, int], upstream: dict[str, int], client_side: int, responses: int
) -> dict[str, int]:
    """Choose what to report.

    Clients' lookups where the capture holds any, with lame delegations seen behind them; else
    what resolvers asked. Without a single response captured, silence says nothing.
    """
    chosen = {**client, "lame": client["lame"] + upstream["lame"]} if client_side else {**upstream}
    if not responses:
        chosen["timeout"] = 0
    return chosen
