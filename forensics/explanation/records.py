"""The few responses that one question needs, as values: RRsets, their signatures, who sent them.

`store` makes them out of the tables; everything behind it reads them. Names are in presentation
form, lower case, with the final dot; times are ns since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from forensics.knowledge import is_subdomain
from forensics.vocabulary import TYPE_NS, TYPE_SOA, Section

TYPE_CNAME: Final = 5
TYPE_DNAME: Final = 39
TYPE_RRSIG: Final = 46
TYPE_ANY: Final = 255

NOERROR: Final = 0

_FIXED: Final = 18
"""Octets of RRSIG RDATA before the signer's name (RFC 4034 3.1)."""


@dataclass(frozen=True)
class Signature:
    """One distinct RRSIG with the data that it signs: a row of schemas.SIGNATURES."""

    number: int
    owner: str
    type: int
    signer: str
    tag: int
    algorithm: int
    labels: int
    original_ttl: int
    inception: int
    expiration: int
    problem: str | None
    signed_data: bytes
    octets: bytes

    @cached_property
    def rdatas(self) -> tuple[bytes, ...]:
        """The canonical RDATA of each record of the RRset; empty where the data is malformed."""
        return tuple(rdata for _, rdata in read_records(self.signed_data))

    @cached_property
    def wire_owner(self) -> bytes:
        """The owner's wire form in the signed data; empty where the data is malformed."""
        return next((owner for owner, _ in read_records(self.signed_data)), b"")

    @property
    def version(self) -> tuple[int, int, int, int]:
        """What two signings of one RRset differ in."""
        return self.inception, self.expiration, self.tag, self.algorithm


def read_records(signed_data: bytes) -> list[tuple[bytes, bytes]]:
    """Return (owner, RDATA) of each record in signed data (RFC 4034 3.1.8.1), [] if malformed."""
    found = []
    position = _after_name(signed_data, _FIXED)
    while 0 < position < len(signed_data):
        start = position
        position = _after_name(signed_data, position)
        if position < 0 or position + 10 > len(signed_data):
            return []
        owner = signed_data[start:position]
        length = int.from_bytes(signed_data[position + 8 : position + 10], "big")
        position += 10
        if position + length > len(signed_data):
            return []
        found.append((owner, signed_data[position : position + length]))
        position += length
    return found


def _after_name(data: bytes, position: int) -> int:
    """Return the offset behind an uncompressed name, -1 if it does not end."""
    while position < len(data):
        length = data[position]
        position += 1 + length
        if length == 0:
            return position
    return -1


def name_of(wire: bytes) -> str | None:
    """Return the presentation form of a wire name, None where the octets are no name."""
    import dns.exception
    import dns.name

    try:
        name, used = dns.name.from_wire(wire, 0)
    except dns.exception.DNSException:
        return None
    return name.to_text().lower() if used == len(wire) else None


@dataclass(frozen=True)
class RRset:
    """An RRset in a response; equal to another whatever the section and the TTL.

    Attributes:
        owner: with signatures: as in the signed data (`*.…` where a wildcard was expanded).
        type, section: of the RRset; vocabulary.Section.
        ttl: as received, seconds.
        signatures: those that cover it in its section.
        is_wildcard: the response shows it under another owner than it was signed with.
        rdatas: canonical RDATA; empty where the tables do not hold it (an unsigned RRset).
        target: of CNAME, DNAME and NS without a signature; None: not held.
    """

    owner: str
    type: int
    section: int = field(compare=False)
    ttl: int = field(default=0, compare=False)
    signatures: tuple[Signature, ...] = ()
    is_wildcard: bool = False
    rdatas: tuple[bytes, ...] = ()
    target: str | None = None

    @property
    def points_to(self) -> str | None:
        """The target of a CNAME or DNAME RRset."""
        if self.rdatas:
            return name_of(self.rdatas[0])
        return self.target


@dataclass(frozen=True)
class Response:
    """A transaction with its response and the RRsets of its answer and authority sections.

    Attributes:
        transaction: schemas.TRANSACTIONS.
        time: of the response.
        capture, frame: of the response; frame 0: none was captured.
        client, server, nsid: who asked whom.
        place: the server as evidence is grouped: address, and NSID where one address has several.
        qname, qtype: the question.
        rcode: None: no response was captured.
        flags aa, ra, tc: of the response.
        has_dnssec: query or response said DO, so that signatures were due.
        is_authority: the responder acted as an authority.
        is_doubtful: unsolicited, contested or cut: it never accuses.
        answers, authorities: record counts of the header.
        serial: SOA serial in the response, 0: none.
        held_until: ns, when its TTL runs out in the cache of the resolver asked about; None: it is
            no resolver's view.
        is_partial: its exporter left records out: nothing in it is missing.
        rrsets: of answer and authority.
    """

    transaction: int
    time: int
    capture: int
    frame: int
    client: str
    server: str
    nsid: str | None
    place: str
    qname: str
    qtype: int
    rcode: int | None
    aa: bool
    ra: bool
    tc: bool
    has_dnssec: bool
    is_authority: bool
    is_doubtful: bool
    answers: int
    authorities: int
    serial: int = 0
    held_until: int | None = None
    is_partial: bool = False
    rrsets: tuple[RRset, ...] = field(default=(), compare=False)

    def sets(self, section: Section, kind: int | None = None) -> Sequence[RRset]:
        """Return the RRsets of a section, of one type if given."""
        return self._sets.get((section, kind), ())

    @cached_property
    def _sets(self) -> dict[tuple[int, int | None], list[RRset]]:
        """The RRsets by section and type; by section and None: all of the section."""
        found: dict[tuple[int, int | None], list[RRset]] = {}
        for rrset in self.rrsets:
            found.setdefault((rrset.section, None), []).append(rrset)
            found.setdefault((rrset.section, rrset.type), []).append(rrset)
        return found

    @cached_property
    def classified(self) -> dict[tuple[str, int], Any]:
        """What `answer.classify` has made of it, by question: it is asked at many instants."""
        return {}

    @cached_property
    def content(self) -> tuple[object, ...]:
        """What the response says: equal where two responses say the same."""
        shown = {
            (r.section, r.owner, r.type, r.rdatas, r.target, s.number if s else -1)
            for r in self.rrsets
            for s in (r.signatures or (None,))
        }
        return self.rcode, self.answers > 0, frozenset(shown)

    @property
    def zone_named(self) -> str | None:
        """The zone that the response's own SOA or NS names as its own, None: it names none."""
        for rrset in self.rrsets:
            if rrset.type == TYPE_SOA and rrset.section == Section.AUTHORITY:
                return rrset.owner
        if self.aa:
            for rrset in self.rrsets:
                if rrset.type == TYPE_NS and rrset.section == Section.AUTHORITY:
                    return rrset.owner
        return None


def relabelled(response: Response, name: str, kind: int) -> RRset | None:
    """Return what was asked for by name and type, and is signed as if a wildcard had made it.

    A signature with fewer labels than the owner has is over another owner (RFC 4035 5.3.2); of DS
    and DNSKEY RRsets, which wildcards do not make, only damage looks so.
    """
    if (response.qname, response.qtype) != (name, kind):
        return None
    found = [r for r in response.sets(Section.ANSWER, kind) if r.is_wildcard]
    return next((r for r in found if is_subdomain(name, r.owner.removeprefix("*.") or ".")), None)
