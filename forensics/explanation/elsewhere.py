"""What other responses prove of a name that was only asked for without signatures.

Who asks without DO is given no proof. A validating resolver would have asked for it, and been given
the NSEC records that the zone's servers showed others: a record that covers the name is as good a
proof there (RFC 8198 5.1). It can only prove; what is not proven so is left open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from forensics.explanation.records import Response, RRset
from forensics.knowledge import ancestors, is_subdomain, wire_name
from forensics.vocabulary import TYPE_NSEC, Section


class Chain(Protocol):
    """What is asked of the tables."""

    def nsec_owners(self, zone: str) -> list[str]:
        """Return the owners of the NSEC records that a zone has signed."""

    def nsec_at(self, zone: str, owner: str, at: int) -> Response | None:
        """Return the response that showed an owner's NSEC last before `at` (ns), or first after."""


Order = tuple[bytes, ...]


def order_of(name: str) -> Order:
    """Return what sorts names in canonical order (RFC 4034 6.1)."""
    parts: list[bytes] = []
    wire = wire_name(name)
    at = 0
    while at < len(wire) and wire[at]:
        parts.append(wire[at + 1 : at + 1 + wire[at]].lower())
        at += 1 + wire[at]
    return tuple(reversed(parts))


def borrowed(
    response: Response, name: str, zone: str, chain: Chain, at: int
) -> tuple[Response, tuple[Response, ...]] | None:
    """Give a denial the NSEC RRsets that other responses show of what it denies.

    Args:
        response: the denial, without signatures.
        name: what it denies.
        zone: that it lies in.
        chain: the tables.
        at: ns.

    Returns:
        the response with those RRsets in its authority section, and the responses that showed
        them; None where there are none.
    """
    owners = sorted((order_of(owner), owner) for owner in chain.nsec_owners(zone))
    if not owners:
        return None
    found: dict[str, tuple[RRset, Response]] = {}
    covering = _shown(owners, name, zone, chain, at)
    if covering is None:
        return None
    found[covering[0].owner] = covering
    for wildcard in _wildcards(name, covering[0], zone):
        more = _shown(owners, wildcard, zone, chain, at)
        if more is not None:
            found.setdefault(more[0].owner, more)
    rrsets = tuple(replace(rrset, section=int(Section.AUTHORITY)) for rrset, _ in found.values())
    kept = tuple(r for r in response.rrsets if r.section != Section.AUTHORITY)
    made = replace(response, rrsets=(*kept, *rrsets), has_dnssec=True)
    return made, tuple(shown for _, shown in found.values())


def _shown(
    owners: Sequence[tuple[Order, str]], name: str, zone: str, chain: Chain, at: int
) -> tuple[RRset, Response] | None:
    """Return the NSEC RRset at a name or before it, with the response that showed it."""
    wanted = order_of(name)
    before = [owner for order, owner in owners if order <= wanted]
    if not before:
        return None
    response = chain.nsec_at(zone, before[-1], at)
    if response is None:
        return None
    return next(
        (
            (rrset, response)
            for rrset in response.rrsets
            if rrset.type == TYPE_NSEC
            and rrset.owner == before[-1]
            and rrset.signatures
            and not rrset.is_wildcard
        ),
        None,
    )


def _wildcards(name: str, covering: RRset, zone: str) -> list[str]:
    """Return the wildcard that would have answered, by the closest encloser that a record shows."""
    if covering.owner == name:
        return []
    following = _name(covering.rdatas[0]) if covering.rdatas else ""
    for above in ancestors(name):
        if not is_subdomain(above, zone):
            break
        if any(is_subdomain(shown, above) for shown in (covering.owner, following) if shown):
            return ["*." + ("" if above == "." else above)]
    return []


def _name(rdata: bytes) -> str:
    """Read the next name of an NSEC record; empty if it is none."""
    import dns.exception
    import dns.name

    try:
        return dns.name.from_wire(rdata, 0)[0].to_text().lower()
    except dns.exception.DNSException:
        return ""
