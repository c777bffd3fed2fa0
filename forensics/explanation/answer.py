"""What kind of answer a response is, as a resolver classifies it before it proves anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from forensics.explanation.denial import deniers_of
from forensics.explanation.records import (
    NOERROR,
    TYPE_ANY,
    TYPE_CNAME,
    TYPE_DNAME,
    Response,
    RRset,
)
from forensics.knowledge import is_subdomain, labels
from forensics.vocabulary import NXDOMAIN, TYPE_DS, TYPE_NS, TYPE_SOA, Section

POSITIVE: Final = "positive"
ALIAS: Final = "alias"
NODATA: Final = "nodata"
NAME_ERROR: Final = "name-error"
REFERRAL: Final = "referral"
FAILURE: Final = "failure"


@dataclass(frozen=True)
class Answer:
    """A response classified for a question.

    Attributes:
        kind: positive, alias, nodata, name-error, referral or failure.
        rrsets: that answer it: one for a type, all for ANY, the CNAME or DNAME of an alias.
        target: of an alias; None: it could not be read.
    """

    kind: str
    rrsets: tuple[RRset, ...] = ()
    target: str | None = None


def stands_at(rrset: RRset, name: str) -> bool:
    """Whether an RRset of a response may stand at a name, by its owner or by its wildcard."""
    if not rrset.is_wildcard:
        return rrset.owner == name
    encloser = rrset.owner.removeprefix("*.") or "."
    return name != encloser and is_subdomain(name, encloser)


def classify(response: Response, name: str, kind: int) -> Answer:
    """Classify a response for the question (name, kind), which may not be the one it was asked.

    The name may be the target of an alias in the same response.
    """
    known = response.classified
    if (name, kind) not in known:
        known[name, kind] = _classified(response, name, kind)
    answer: Answer = known[name, kind]
    return answer


def _classified(response: Response, name: str, kind: int) -> Answer:
    if response.tc or response.rcode not in {NOERROR, NXDOMAIN}:
        return Answer(FAILURE)
    at_name = [r for r in response.sets(Section.ANSWER) if stands_at(r, name)]
    if kind == TYPE_ANY and at_name:
        return Answer(POSITIVE, tuple(at_name))
    held = [r for r in at_name if r.type == kind]
    if not held and (response.qname, response.qtype) != (name, kind):
        # Another question's response may hold the RRset beside its answer: DS, NS, SOA.
        beside = response.sets(Section.AUTHORITY, kind)
        held = [r for r in beside if r.signatures and r.owner == name and not r.is_wildcard]
    if held:
        return Answer(POSITIVE, tuple(held[:1]))
    alias = _alias(response, name, kind, at_name)
    if alias is not None:
        return alias
    if response.is_partial:
        return Answer(FAILURE)
    return _without_answer(response, name, kind)


def _alias(response: Response, name: str, kind: int, at_name: list[RRset]) -> Answer | None:
    """Find the DNAME above a name, or the CNAME at it."""
    for rrset in response.sets(Section.ANSWER, TYPE_DNAME):
        if rrset.owner != name and is_subdomain(name, rrset.owner) and kind != TYPE_DNAME:
            return Answer(ALIAS, (rrset,), _substituted(name, rrset))
    if kind not in {TYPE_CNAME, TYPE_DS}:
        for rrset in at_name:
            if rrset.type == TYPE_CNAME:
                return Answer(ALIAS, (rrset,), rrset.points_to)
    return None


def _substituted(name: str, rrset: RRset) -> str | None:
    """Put the DNAME's target in its owner's stead (RFC 6672 2.2)."""
    target = rrset.points_to
    if target is None:
        return None
    kept = labels(name)[: len(labels(name)) - len(labels(rrset.owner))]
    return ".".join(kept) + "." + ("" if target == "." else target)


def _without_answer(response: Response, name: str, kind: int) -> Answer:
    """Classify what holds no RRset for the name."""
    authority = response.sets(Section.AUTHORITY)
    if response.rcode == NXDOMAIN:
        return Answer(NAME_ERROR)
    has_soa = any(r.type == TYPE_SOA for r in authority)
    if has_soa:
        return Answer(NODATA)
    delegates = any(
        r.type in {TYPE_NS, TYPE_DS} and not r.is_wildcard and is_subdomain(name, r.owner)
        for r in authority
    )
    if delegates and not (response.aa and not any(r.type == TYPE_DS for r in authority)):
        return Answer(REFERRAL)
    if response.answers:
        # Something answers that the tables do not hold: a question without DO, or another name.
        same = name == response.qname and kind == response.qtype
        return Answer(POSITIVE if same and not response.has_dnssec else FAILURE)
    if response.aa or response.ra or deniers_of(response):
        return Answer(NODATA)
    return Answer(REFERRAL)
