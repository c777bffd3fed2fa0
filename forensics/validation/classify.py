"""What kind of answer an authority's response is: the first step, before anything is proven."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from forensics.validation.deniers import TYPE_CNAME, TYPE_DNAME
from forensics.validation.exchanges import Exchange
from forensics.validation.records import SignedRecords
from forensics.vocabulary import NXDOMAIN, Section

_RRSIG: Final = 46
_META: Final = range(128, 256)
"""Query types that ask for no RRset of their own (RFC 6895 3.1): ANY, AXFR, IXFR and the like."""


class Kind(StrEnum):
    """The kinds of responses with AA that are told apart (RFC 4035 3.1, RFC 6604)."""

    POSITIVE = "positive"
    ALIAS = "alias"
    """CNAME or DNAME in the answer: more than one name is answered for"""
    WILDCARD = "wildcard"
    """one RRset, expanded from a wildcard"""
    NO_DATA = "no-data"
    NAME_ERROR = "name-error"
    OTHER = "other"
    """ANY, RRSIG, zone transfers: nothing is due in them"""


def classify(one: Exchange, records: SignedRecords) -> Kind:
    """Tell what kind of answer an exchange holds."""
    if one.qtype == _RRSIG or one.qtype in _META:
        return Kind.OTHER
    if not one.answers:
        return Kind.NAME_ERROR if one.rcode == NXDOMAIN else Kind.NO_DATA
    answered = [shown for shown in one.signed if shown.section == Section.ANSWER]
    types = {records.type[records.row[shown.signature]] for shown in answered}
    types |= {bare.type for bare in one.bare if bare.section == Section.ANSWER}
    if one.rcode == NXDOMAIN or types & {TYPE_CNAME, TYPE_DNAME} - {one.qtype}:
        return Kind.ALIAS
    if answered and all(shown.is_wildcard for shown in answered) and types == {one.qtype}:
        return Kind.WILDCARD
    return Kind.POSITIVE
