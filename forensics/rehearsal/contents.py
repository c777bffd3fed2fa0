"""A signed zone as its servers would hold it: RRsets by name, cuts, empty non-terminals.

Names are tuples of labels, the one below the root first, lower case (as in validation.deniers): the
canonical order of names is that of the tuples, and an ancestor is a prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from forensics.validation.deniers import TYPE_DNAME, Name
from forensics.vocabulary import (
    TYPE_DNSKEY,
    TYPE_DS,
    TYPE_NS,
    TYPE_NSEC,
    TYPE_NSEC3,
    TYPE_SOA,
)

TYPE_RRSIG: Final = 46
TYPE_NSEC3PARAM: Final = 51

_AT_CUT: Final = frozenset({TYPE_DS, TYPE_NSEC})
"""What the parent's zone signs at a delegation (RFC 4035 2.2)."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One RRSIG record (RFC 4034 3.1).

    Attributes:
        tag, algorithm, labels, original_ttl, inception, expiration: its fields; times in seconds.
        signer: the signer's name.
        head: the RDATA without the signature field, the name lower case.
        octets: the signature field.
    """

    tag: int
    algorithm: int
    labels: int
    original_ttl: int
    inception: int
    expiration: int
    signer: Name
    head: bytes
    octets: bytes


@dataclass(frozen=True, slots=True)
class RRset:
    """The records of one type at one name, with their signatures.

    Attributes:
        rdatas: canonical RDATA (RFC 4034 6.2), sorted (6.3), each once.
        ttl: seconds.
    """

    owner: Name
    type: int
    ttl: int
    rdatas: tuple[bytes, ...]
    signatures: tuple[Signature, ...] = ()


Place = tuple[Name, int]
"""Owner and type: where an RRset stands."""


@dataclass
class Contents:
    """A zone's RRsets.

    Attributes:
        apex: the zone's name.
        data: by owner and type; NSEC3 RRsets are apart.
        hashed: the NSEC3 RRsets by owner.
    """

    apex: Name
    data: dict[Name, dict[int, RRset]] = field(default_factory=dict)
    hashed: dict[Name, RRset] = field(default_factory=dict)

    @classmethod
    def of(cls, apex: Name, rrsets: Iterable[RRset]) -> Contents:
        """Sort RRsets into a zone."""
        zone = cls(apex)
        for rrset in rrsets:
            if rrset.type == TYPE_NSEC3:
                zone.hashed[rrset.owner] = rrset
            else:
                zone.data.setdefault(rrset.owner, {})[rrset.type] = rrset
        return zone

    def get(self, owner: Name, kind: int) -> RRset | None:
        """Return an RRset; None: there is none."""
        if kind == TYPE_NSEC3:
            return self.hashed.get(owner)
        return self.data.get(owner, {}).get(kind)

    def types_at(self, owner: Name) -> frozenset[int]:
        """Return the types at a name."""
        return frozenset(self.data.get(owner, ()))

    @property
    def soa(self) -> RRset | None:
        """The SOA RRset."""
        return self.get(self.apex, TYPE_SOA)

    @property
    def serial(self) -> int:
        """The SOA serial; 0 without a SOA."""
        return int.from_bytes(self.soa.rdatas[0][-20:-16], "big") if self.soa else 0

    @property
    def keys(self) -> tuple[bytes, ...]:
        """RDATA of the DNSKEY RRset; empty: there is none."""
        found = self.get(self.apex, TYPE_DNSKEY)
        return found.rdatas if found else ()

    @cached_property
    def closed(self) -> dict[Name, int]:
        """Names below which nothing is authoritative: cuts (NS) and DNAME owners, with the type."""
        found = {}
        for owner, types in self.data.items():
            if TYPE_NS in types and owner != self.apex:
                found[owner] = TYPE_NS
            elif TYPE_DNAME in types:
                found[owner] = TYPE_DNAME
        return found

    def stopped_above(self, name: Name) -> Name | None:
        """Return the topmost cut or DNAME owner that a name lies below; None: there is none."""
        for length in range(len(self.apex), len(name)):
            if name[:length] in self.closed:
                return name[:length]
        return None

    @cached_property
    def nodes(self) -> set[Name]:
        """Every name that exists in the zone: owners that are not occluded, and what is above."""
        found: set[Name] = {self.apex}
        for owner in self.data:
            if self.stopped_above(owner) is not None:
                continue
            for length in range(len(self.apex), len(owner) + 1):
                found.add(owner[:length])
        return found

    @cached_property
    def secured(self) -> set[Name]:
        """Names at or below which the zone holds more than delegations without DS."""
        found: set[Name] = set()
        for owner, types in self.data.items():
            is_plain_cut = self.closed.get(owner) == TYPE_NS and TYPE_DS not in types
            if is_plain_cut or self.stopped_above(owner) is not None:
                continue
            for length in range(len(owner), len(self.apex) - 1, -1):
                if owner[:length] in found:
                    break
                found.add(owner[:length])
        return found

    def encloser(self, name: Name) -> Name:
        """Return the longest existing name that a name is, or lies below."""
        for length in range(len(name), len(self.apex), -1):
            if name[:length] in self.nodes:
                return name[:length]
        return self.apex

    def is_signable(self, owner: Name, kind: int) -> bool:
        """Whether the zone must sign an RRset: authoritative, and no RRSIG itself."""
        if self.closed.get(owner) == TYPE_NS and kind not in _AT_CUT:
            return False
        return self.stopped_above(owner) is None

    def signable(self) -> Iterator[RRset]:
        """Give the RRsets that must be signed, in canonical order of name and type."""
        for owner in sorted(self.data):
            for kind in sorted(self.data[owner]):
                if self.is_signable(owner, kind):
                    yield self.data[owner][kind]
        for owner in sorted(self.hashed):
            yield self.hashed[owner]
