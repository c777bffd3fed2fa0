"""What a response denies, and whether it proves that: its SOA, NSEC and NSEC3 RRsets together.

The proving itself is `validation.proof`; here its records are verified first (RFC 4035 5.4,
RFC 5155 8), because a proof of records that do not verify proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from forensics.explanation.chain import status_of
from forensics.explanation.records import Response, RRset
from forensics.explanation.signer import Signer
from forensics.explanation.signing import Tried
from forensics.explanation.words import said
from forensics.knowledge import wire_name
from forensics.validation.proof import Claim, Denier, prove
from forensics.vocabulary import TYPE_NSEC, TYPE_NSEC3, TYPE_SOA, Section, Status

DENIERS: Final = (TYPE_NSEC, TYPE_NSEC3)


@dataclass(frozen=True)
class Denied:
    """What came of a denial.

    Attributes:
        status: secure where it is proven, else what the proof or its signatures make of it.
        reason: code of vocabulary.REASONS, `none` where it is proven.
        sentence: plain words.
        tried: the signature that decided, None: none did.
        keys: (tag, algorithm) of the keys that made the proof.
        until: ns, when the first of its signatures runs out; None: there is none.
        is_weak: a key of it was only seen published later.
    """

    status: Status
    reason: str
    sentence: str
    tried: Tried | None = None
    keys: tuple[tuple[int, int], ...] = ()
    until: int | None = None
    is_weak: bool = False

    @property
    def is_proven(self) -> bool:
        """Whether the claim holds, be it by opt-out or by a hash that was not computed."""
        return self.reason in {"none", "nsec3-iterations"}


def deniers_of(response: Response) -> list[RRset]:
    """Return the NSEC and NSEC3 RRsets of the authority section."""
    return [r for r in response.sets(Section.AUTHORITY) if r.type in DENIERS and not r.is_wildcard]


def signer_of(response: Response) -> str | None:
    """Return the zone that signs what the authority section denies with; None: nothing signs."""
    for kinds in ((TYPE_SOA,), DENIERS):
        for kind in kinds:
            for rrset in response.sets(Section.AUTHORITY, kind):
                for signature in rrset.signatures:
                    if signature.signer:
                        return signature.signer
    return None


def judge_denial(
    response: Response,
    claims: Sequence[tuple[Claim, str, int, int | None]],
    signer: Signer,
    *,
    with_soa: bool,
) -> Denied:
    """Judge what a response denies.

    Args:
        response: the one.
        claims: (claim, name, type, labels) of which the first that holds is enough.
        signer: the zone that signs it, with its keys.
        with_soa: the SOA must verify too: in negative answers, not in referrals.
    """
    zone = signer.zone
    carriers = deniers_of(response)
    wanted = list(carriers)
    if with_soa:
        wanted = [*response.sets(Section.AUTHORITY, TYPE_SOA), *carriers]
    made: list[Tried] = []
    for rrset in wanted:
        tried = signer.best(rrset, response.time)
        if tried is None:
            sentence = (
                f"A record that the denial of {said(zone)} rests on came without a signature."
            )
            return Denied(Status.BOGUS, "rrsig-missing", sentence)
        if not tried.is_good:
            status = status_of(tried.reason)
            sentence = (
                f"The denial of {said(zone)} is signed with key {tried.signature.tag}, and that"
                f" signature does not stand."
            )
            return Denied(status, tried.reason, sentence, tried)
        made.append(tried)
    proofs = [
        Denier(r.signatures[0].wire_owner, r.type, rdata) for r in carriers for rdata in r.rdatas
    ]
    signed_by = tuple(sorted({(t.signature.tag, t.signature.algorithm) for t in made}))
    until = min((t.end for t in made), default=None)
    found = [
        prove(
            claim,
            wire_name(name),
            kind,
            wire_name(zone),
            proofs,
            labels=labels,
            iterations_limit=signer.checker.policy.iterations,
        )
        for claim, name, kind, labels in claims
    ]
    best = next((p for p in found if p.holds), found[0])
    return Denied(
        best.status,
        best.reason or "none",
        best.explanation,
        None,
        signed_by,
        until,
        any(t.is_weak for t in made),
    )
