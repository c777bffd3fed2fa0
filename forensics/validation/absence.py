"""RRsets that came without a signature though one was due: `rrsig-missing` (DESIGN section 4).

Due is one only in a zone whose DS is known to be in force, and only where it is certain that the
RRset belongs to that zone and to no unsigned child that the same server holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from forensics.knowledge import is_subdomain
from forensics.validation.classify import Kind
from forensics.validation.deniers import TYPE_CNAME, TYPE_DNAME
from forensics.validation.exchanges import Bare, Exchange
from forensics.validation.records import SignedRecords
from forensics.vocabulary import (
    TYPE_CDNSKEY,
    TYPE_CDS,
    TYPE_DNSKEY,
    TYPE_DS,
    TYPE_NS,
    TYPE_NSEC,
    TYPE_NSEC3,
    TYPE_SOA,
    Section,
)

_APEX: Final = frozenset({TYPE_SOA, TYPE_DNSKEY, TYPE_CDS, TYPE_CDNSKEY, TYPE_NS})
"""Types that an answer with AA shows only of a zone's apex."""
_OPT: Final = 41
_META: Final = range(128, 256)
_PARENTS: Final = frozenset({TYPE_DS, TYPE_NSEC, TYPE_NSEC3})
"""Types that the parent, too, signs at a zone cut: they tell nothing of the names there."""


class Due(NamedTuple):
    """An RRset that lacks its signature, and the zone that should have signed it."""

    zone: str
    owner: str
    type: int


class Owners:
    """Which zone is known to sign the data at a name, by the signatures of the whole run.

    Args:
        records: the signatures.
        zones: those that may have a DS in force.
    """

    def __init__(self, records: SignedRecords, zones: frozenset[str]) -> None:
        self.zones = zones
        self._records = records
        self._data: dict[str, set[str]] = {}
        self._delegations: dict[str, set[str]] = {}
        for owner, kind, signer in zip(records.owner, records.type, records.signer, strict=True):
            if signer in zones and is_subdomain(owner, signer):
                if kind == TYPE_DS:
                    self._delegations.setdefault(owner, set()).add(signer)
                elif kind not in _PARENTS:
                    self._data.setdefault(owner, set()).add(signer)

    @property
    def names(self) -> frozenset[str]:
        """Every name of which the zone is known."""
        return frozenset({*self.zones, *self._data, *self._delegations})

    def covered(self, signature: int) -> tuple[int, str]:
        """Return the type that a signature covers, and its owner."""
        row = self._records.row[signature]
        return self._records.type[row], self._records.owner[row]

    def zone_of(self, owner: str, kind: int) -> str | None:
        """Return the only zone that ever signed data at a name."""
        found = (self._delegations if kind == TYPE_DS else self._data).get(owner, set())
        return next(iter(found)) if len(found) == 1 else None


def due(one: Exchange, kind: Kind, owners: Owners) -> Iterator[Due]:
    """List the RRsets of a response for which a signature was due and did not come.

    Left out are delegations (NS in the authority section), what DNAME synthesises (RFC 6672 3.4),
    and every RRset whose zone is not certain.
    """
    if kind is Kind.OTHER or not one.bare:
        return
    named = _named(one, owners)
    redirected = _is_redirected(one, owners)
    for bare in one.bare:
        if bare.type == _OPT or bare.type in _META or (bare.type == TYPE_CNAME and redirected):
            continue
        if bare.section == Section.AUTHORITY and (
            one.answers or bare.type not in {TYPE_SOA, TYPE_NSEC, TYPE_NSEC3}
        ):
            continue
        zone = _zone(one, kind, bare, named, owners)
        if zone is not None:
            yield Due(zone, bare.owner, bare.type)


def _zone(
    one: Exchange, kind: Kind, bare: Bare, named: frozenset[str], owners: Owners
) -> str | None:
    """Return the zone that an unsigned RRset surely belongs to."""
    apex = next(iter(named)) if len(named) == 1 else None
    if apex is not None and not (apex in owners.zones and is_subdomain(one.qname, apex)):
        apex = None
    if bare.section == Section.AUTHORITY:
        if apex is None or not is_subdomain(bare.owner, apex):
            return None
        return apex if bare.type != TYPE_SOA or bare.owner == apex else None
    if bare.type in _APEX:
        return bare.owner if bare.owner in owners.zones else None
    known = owners.zone_of(bare.owner, bare.type)
    if known is not None and named and known not in named:
        return None  # the name may have been delegated since
    if known is not None or bare.type in _PARENTS:
        return known
    direct = kind is Kind.POSITIVE and bare.owner == one.qname and apex is not None
    return apex if direct else None


def _named(one: Exchange, owners: Owners) -> frozenset[str]:
    """Return the zones that a response says it is from: by SOA, or by NS beside an answer."""
    kind = TYPE_NS if one.answers else TYPE_SOA
    found = {
        bare.owner for bare in one.bare if bare.section == Section.AUTHORITY and bare.type == kind
    }
    for shown in one.signed:
        covered, owner = owners.covered(shown.signature)
        if shown.section == Section.AUTHORITY and covered == kind:
            found.add(owner)
    return frozenset(found)


def _is_redirected(one: Exchange, owners: Owners) -> bool:
    """Whether a DNAME stands in the answer, signed or not."""
    types = {bare.type for bare in one.bare if bare.section == Section.ANSWER}
    types |= {
        owners.covered(shown.signature)[0]
        for shown in one.signed
        if shown.section == Section.ANSWER
    }
    return TYPE_DNAME in types
