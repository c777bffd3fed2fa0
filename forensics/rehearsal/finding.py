"""What a rehearsal finds: values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from forensics.rehearsal.contents import Place


class Level(StrEnum):
    """What a finding means for publication."""

    REFUSE = "refuse"
    """validators would refuse answers, or the zone would not reach its servers"""
    WARNING = "warning"
    """valid, but out of the safe path"""


class Holders(StrEnum):
    """Who is hit."""

    EVERYONE = "everyone"
    """every validating resolver"""
    CACHED_KEYS = "cached-keys"
    """resolvers that hold a DNSKEY RRset published before"""
    CACHED_DELEGATION = "cached-ds"
    """resolvers that hold a DS RRset published before"""
    CACHED_DATA = "cached-data"
    """those who get older answers out of a cache, and ask for the keys anew"""
    SECONDARIES = "secondaries"
    """name servers that transfer the zone"""


@dataclass(frozen=True)
class Finding:
    """One fault, and from when until when.

    Attributes:
        reason: code in vocabulary.REASONS, or one of `REASONS` here.
        start: ns since 1970.
        until: ns; None: until something is done about it.
        places: the RRsets that are refused.
        is_all: the whole zone is, whatever is asked.
        faults: codes of denials that prove too little; hit are the questions that need them.
        numbers: schemas.SIGNATURES numbers; hit are the questions that they answered.
        keys: RDATA of the keys it is about.
        sentence: one plain sentence.
    """

    reason: str
    level: Level
    holders: Holders
    sentence: str
    start: int
    until: int | None = None
    places: frozenset[Place] = frozenset()
    is_all: bool = False
    faults: frozenset[str] = frozenset()
    numbers: tuple[int, ...] = ()
    keys: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Unjudged:
    """What the recording does not tell, and what to record so that it does."""

    what: str
    sentence: str
    needed: str


@dataclass
class Findings:
    """All that was found, in the order in which it was looked for."""

    found: list[Finding] = field(default_factory=list)
    unjudged: list[Unjudged] = field(default_factory=list)


REASONS: Final = {
    "serial-not-increased": "RFC 1982 3.2",
    "signature-expiring": "RFC 6781 4.4.2",
    "key-tag-collision": "RFC 4034 B",
    "denial-contradicted": "RFC 4035 5.4",
    "chain-broken": "RFC 4034 4.1.1, RFC 5155 7.1",
    "dnskey-withdrawn": "RFC 6781 4.1.1",
    "nsec3-parameters": "RFC 5155 4",
}
"""Reasons that only a rehearsal has, or means otherwise, with where they stand."""
