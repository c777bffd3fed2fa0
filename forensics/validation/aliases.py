"""The names that an authority's answer leads through by CNAME and DNAME (RFC 6604, RFC 6672)."""

from __future__ import annotations

from typing import NamedTuple

from forensics.knowledge import is_subdomain, labels
from forensics.limits import ALIASES
from forensics.validation.deniers import TYPE_CNAME, TYPE_DNAME
from forensics.validation.exchanges import Exchange, Shown
from forensics.validation.records import SignedRecords
from forensics.vocabulary import Section


class Expansion(NamedTuple):
    """A name that a wildcard's RRset answered for, and the signature over that."""

    name: str
    signature: int


class Followed(NamedTuple):
    """Where an answer leads.

    Attributes:
        target: the last name.
        expanded: the wildcards on the way, and at its end.
        is_answered: an RRset of the asked type stands at the last name.
    """

    target: str
    expanded: tuple[Expansion, ...]
    is_answered: bool


def follow(one: Exchange, records: SignedRecords) -> Followed | None:
    """Follow the signed aliases of an answer; None: it is not certain where they lead."""
    name = one.qname
    expanded: list[Expansion] = []
    for _ in range(ALIASES):
        here = _standing_at(name, one, records)
        if len(here) > 1 or _bare(one, one.qtype, name):
            return None
        if here:
            (shown,) = here
            if shown.is_wildcard:
                expanded.append(Expansion(name, shown.signature))
            if records.type[records.row[shown.signature]] == one.qtype:
                return Followed(name, tuple(expanded), True)
            target = records.target(shown.signature)
        else:
            dname = _dname_above(name, one, records)
            if dname is None:
                if _bare(one, TYPE_CNAME, name):
                    return None  # what an unsigned CNAME points to is not held
                return Followed(name, tuple(expanded), False)
            target = _substituted(name, dname, records)
        if target is None:
            return None
        name = target
    return None


def _standing_at(name: str, one: Exchange, records: SignedRecords) -> list[Shown]:
    """Return the RRset of the asked type at a name, else the CNAME there; one signature of each."""
    for kind in (one.qtype, TYPE_CNAME):
        found: dict[str, Shown] = {}
        for shown in one.signed:
            row = records.row[shown.signature]
            if shown.section != Section.ANSWER or records.type[row] != kind:
                continue
            owner = records.owner[row]
            encloser = owner.removeprefix("*.") or "."
            expands = shown.is_wildcard and name != encloser and is_subdomain(name, encloser)
            if expands or (owner == name and not shown.is_wildcard):
                found.setdefault(owner, shown)
        if found:
            return list(found.values())
    return []


def _dname_above(name: str, one: Exchange, records: SignedRecords) -> int | None:
    for shown in one.signed:
        row = records.row[shown.signature]
        if (
            shown.section == Section.ANSWER
            and records.type[row] == TYPE_DNAME
            and name != records.owner[row]
            and is_subdomain(name, records.owner[row])
        ):
            return shown.signature
    return None


def _substituted(name: str, dname: int, records: SignedRecords) -> str | None:
    """Put a DNAME's target in its owner's stead (RFC 6672 2.2)."""
    target = records.target(dname)
    if target is None:
        return None
    kept = labels(name)[: len(labels(name)) - len(labels(records.owner[records.row[dname]]))]
    return ".".join(kept) + "." + ("" if target == "." else target)


def _bare(one: Exchange, kind: int, name: str) -> bool:
    return any(
        bare.section == Section.ANSWER and bare.type == kind and bare.owner == name
        for bare in one.bare
    )
