"""What the zone's servers would answer to a question, and which RRsets a validator needs for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from forensics.rehearsal.contents import Contents, Place
from forensics.rehearsal.denials import Denials
from forensics.validation.deniers import (
    TYPE_CNAME,
    TYPE_DNAME,
    Claim,
    Name,
    Proof,
    is_within,
    parse_name,
)
from forensics.vocabulary import TYPE_DS, TYPE_NS, TYPE_SOA, Status

TYPE_ANY: Final = 255

NOT_VALIDATED: Final = frozenset({0, 41, 46, 249, 250, 251, 252, 253, 254})
"""Types that no RRset answers to: RRSIG, OPT, transaction keys and transfers."""

_ALIASES: Final = 11
"""Names that one answer leads through, as many as Unbound follows."""

_BITMAP_FREE: Final = frozenset({TYPE_CNAME, TYPE_ANY})


class Kind(StrEnum):
    """How a question would be answered."""

    POSITIVE = "positive"
    CNAME = "cname"
    DNAME = "dname"
    WILDCARD = "wildcard"
    NO_DATA = "no-data"
    NAME_ERROR = "name-error"
    SIGNED_REFERRAL = "signed-referral"
    UNSIGNED_REFERRAL = "unsigned-referral"
    OUTSIDE = "outside"
    """the zone is not asked, or nobody validates the answer"""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, with what of it is signed.

    Attributes:
        kind: of the name asked for; an alias leads on, and what it leads to counts in `needs`.
        needs: the RRsets whose signatures must stand, each once.
        fault: denial-missing or denial-invalid where the records prove too little; "": none.
        why: a plain sentence to it.
    """

    kind: Kind
    needs: tuple[Place, ...] = ()
    fault: str = ""
    why: str = ""


class Answerer:
    """Answers questions from a zone.

    Args:
        zone: the zone.
        denials: its denial chain.
    """

    def __init__(self, zone: Contents, denials: Denials) -> None:
        self._zone = zone
        self._denials = denials

    def ask(self, name: Name, qtype: int) -> Answer:
        """Answer a question for a name at or below the apex."""
        answer = self._once(name, qtype)
        needs, fault, why = dict.fromkeys(answer.needs), answer.fault, answer.why
        target = self._target(name, qtype, answer)
        seen = {name}
        while target is not None and target not in seen and len(seen) < _ALIASES:
            seen.add(target)
            further = self._once(target, qtype)
            needs |= dict.fromkeys(further.needs)
            fault, why = (fault, why) if fault else (further.fault, further.why)
            target = self._target(target, qtype, further)
        return Answer(answer.kind, tuple(needs), fault, why)

    def _once(self, name: Name, qtype: int) -> Answer:
        """Answer for one name, aliases not followed."""
        zone = self._zone
        if qtype in NOT_VALIDATED or not is_within(name, zone.apex):
            return Answer(Kind.OUTSIDE)
        if qtype == TYPE_DS and name == zone.apex:
            return Answer(Kind.OUTSIDE)  # the parent's to answer (RFC 4035 3.1.4.1)
        stop = zone.stopped_above(name)
        if stop is None and qtype != TYPE_DS and zone.closed.get(name) == TYPE_NS:
            stop = name
        if stop is not None:
            if zone.closed[stop] == TYPE_DNAME:
                return Answer(Kind.DNAME, ((stop, TYPE_DNAME),))
            return self._referral(stop)
        if name in zone.nodes:
            return self._at(name, qtype, Kind.POSITIVE, (), None)
        wildcard = (*zone.encloser(name), b"*")
        if wildcard in zone.nodes:
            proof, places = self._denials.prove(Claim.WILDCARD_ANSWER, name, qtype)
            return self._at(wildcard, qtype, Kind.WILDCARD, places, (name, proof))
        return self._denied(Claim.NAME_ERROR, name, qtype, Kind.NAME_ERROR)

    def _at(
        self,
        owner: Name,
        qtype: int,
        kind: Kind,
        places: tuple[Place, ...],
        expanded: tuple[Name, Proof] | None,
    ) -> Answer:
        """Answer from what stands at a name, or at the wildcard for it (`expanded`)."""
        types = self._zone.types_at(owner)
        if TYPE_CNAME in types and qtype not in _BITMAP_FREE:
            found: tuple[Place, ...] = ((owner, TYPE_CNAME),)
            kind = Kind.CNAME if expanded is None else kind
        elif qtype == TYPE_ANY and types:
            found = tuple((owner, one) for one in sorted(types) if self._signs(owner, one))
        elif qtype in types:
            found = ((owner, qtype),)
        else:
            return self._denied(
                Claim.NO_DATA, owner if expanded is None else expanded[0], qtype, Kind.NO_DATA
            )
        if expanded is None or self._is_tolerable(expanded[1]):
            return Answer(kind, (*found, *places))
        return Answer(kind, (*found, *places), expanded[1].reason, expanded[1].explanation)

    def _signs(self, owner: Name, kind: int) -> bool:
        return self._zone.is_signable(owner, kind)

    def _denied(self, claim: Claim, name: Name, qtype: int, kind: Kind) -> Answer:
        """Answer that something is not there: the SOA, and the proof."""
        proof, places = self._denials.prove(claim, name, qtype)
        needs = ((self._zone.apex, TYPE_SOA), *places)
        if self._is_tolerable(proof):
            return Answer(kind, needs)
        return Answer(kind, needs, proof.reason, proof.explanation)

    def _referral(self, cut: Name) -> Answer:
        """Refer to a delegation: with its DS RRset, or the proof that there is none."""
        if self._zone.get(cut, TYPE_DS) is not None:
            return Answer(Kind.SIGNED_REFERRAL, ((cut, TYPE_DS),))
        proof, places = self._denials.prove(Claim.UNSIGNED_REFERRAL, cut, TYPE_DS)
        if self._is_tolerable(proof):
            return Answer(Kind.UNSIGNED_REFERRAL, places)
        return Answer(Kind.UNSIGNED_REFERRAL, places, proof.reason, proof.explanation)

    @staticmethod
    def _is_tolerable(proof: Proof) -> bool:
        return proof.holds or proof.status in (Status.INSECURE, Status.INDETERMINATE)

    def _target(self, name: Name, qtype: int, answer: Answer) -> Name | None:
        """Return the name of this zone that an alias leads to; None: none, or out of the zone."""
        if answer.kind not in (Kind.CNAME, Kind.DNAME, Kind.WILDCARD) or qtype == TYPE_CNAME:
            return None
        for owner, kind in answer.needs:
            rrset = self._zone.get(owner, kind)
            if kind not in (TYPE_CNAME, TYPE_DNAME) or rrset is None:
                continue
            target = parse_name(rrset.rdatas[0].lower())
            if target is not None and kind == TYPE_DNAME:
                target = (*target, *name[len(owner) :])
            return target if target is not None and is_within(target, self._zone.apex) else None
        return None
