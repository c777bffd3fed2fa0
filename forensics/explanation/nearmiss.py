"""What stands, but out of the safe path: caches may refuse it, or soon will (RFC 6781 4.1, 4.4.2).

Warnings change no status: they say what lies within a TTL of a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from forensics.explanation.chain import Link
from forensics.explanation.keys import key_rrset, keys_of
from forensics.explanation.records import Response
from forensics.limits import SECOND
from forensics.vocabulary import TYPE_DNSKEY, Section, Status

_GOOD = frozenset({Status.SECURE, Status.VALID})


def warnings(
    links: Sequence[Link],
    at: int,
    told_by: Callable[[str, int], list[Response]],
    rfc3339: Callable[[int], str],
) -> list[dict[str, Any]]:
    """Find the near misses of a chain that stands.

    Args:
        links: of the chain.
        at: ns, the instant.
        told_by: gives the captured responses that tell of an RRset, in order of time.
        rfc3339: writes ns since 1970.
    """
    found = []
    for link in links:
        if link.status not in _GOOD:
            continue
        for one in (_ends_soon(link, at, rfc3339), _out_of_step(link, at, told_by, rfc3339)):
            if one is not None and one not in found:
                found.append(one)
    return found


def _ends_soon(link: Link, at: int, rfc3339: Callable[[int], str]) -> dict[str, Any] | None:
    """Whether the signature ends before the RRset has run out in a cache that fetched it then."""
    if link.until is None or link.until <= at or not link.cited:
        return None
    response = link.cited[0].response
    ttls = [
        rrset.ttl
        for section in (Section.ANSWER, Section.AUTHORITY)
        for rrset in response.sets(section, link.type)
        if rrset.signatures
    ]
    ttl = max(ttls, default=0) * SECOND
    if link.until - at > ttl:
        return None
    return {
        "kind": "signature-ends-within-ttl",
        "zone": link.signer or link.zone,
        "name": link.name,
        "until": rfc3339(link.until),
        "sentence": (
            f"The signature ends in {(link.until - at) // SECOND} s, before the TTL of"
            f" {ttl // SECOND} s: the zone ought to have signed anew."
        ),
    }


def _out_of_step(
    link: Link,
    at: int,
    told_by: Callable[[str, int], list[Response]],
    rfc3339: Callable[[int], str],
) -> dict[str, Any] | None:
    """Whether caches may hold a key set still that lacks the key of a signature."""
    if link.kind not in {"rrset", "alias", "denial", "ds"} or len(link.keys) != 1:
        return None
    zone, (wanted,) = link.signer or link.zone, link.keys
    if link.kind == "ds" and link.status != Status.SECURE:
        return None
    lacking: list[tuple[int, Response]] = []
    holding = False
    for response in told_by(zone, TYPE_DNSKEY):
        rrset = key_rrset(response, zone)
        if rrset is None or response.time > at or response.is_doubtful:
            continue
        keys = keys_of(zone, rrset.rdatas)
        if wanted in {(key.tag, key.algorithm) for key in keys}:
            holding = True
        elif response.is_authority and response.time + rrset.ttl * SECOND > at:
            lacking.append((response.time + rrset.ttl * SECOND, response))
    if not holding or not lacking:
        return None
    until, response = max(lacking, key=lambda row: (row[0], row[1].transaction))
    return {
        "kind": "keys-out-of-step",
        "zone": zone,
        "name": link.name,
        "until": rfc3339(until),
        "sentence": (
            f"A cache that fetched the keys at {rfc3339(response.time)[:19]}Z (frame"
            f" {response.frame}) lacks key {wanted[0]} and refuses this until"
            f" {rfc3339(until)[:19]}Z; one that fetched them later accepts it."
        ),
    }
