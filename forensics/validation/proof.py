"""Whether a set of NSEC and NSEC3 records proves what a response claims does not exist.

Pure: records and names in, a `Proof` out; no table, no clock, no cryptography beyond SHA-1. The
records must be rightly signed by the zone; that is for the caller to know. Batch judging and
`explain` both prove with this (RFC 4035 5.4, RFC 5155 8, RFC 6840 4, RFC 7129, RFC 9276, RFC 9824).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from forensics import limits
from forensics.validation.deniers import (
    Claim,
    Denier,
    Proof,
    is_within,
    parse_name,
    read,
    text,
)
from forensics.validation.nsec import prove_by_nsec
from forensics.validation.nsec3 import prove_by_nsec3
from forensics.vocabulary import Status

__all__ = ["Claim", "Denier", "Proof", "prove"]

_ORDER: Final = (Status.SECURE, Status.VALID, Status.INSECURE, Status.INDETERMINATE, Status.BOGUS)


def prove(
    claim: Claim,
    name: bytes,
    qtype: int,
    zone: bytes,
    deniers: Sequence[Denier],
    *,
    labels: int | None = None,
    iterations_limit: int = limits.NSEC3_ITERATIONS,
) -> Proof:
    """Tell whether records prove a claim.

    Args:
        claim: what is to be proven.
        name: wire form, lower case: the asked name, the name that a wildcard answered for, or for
            an unsigned referral the delegation.
        qtype: the asked type; not looked at for a name error or an unsigned referral.
        zone: wire form, lower case: the signer of the records. For a DS the parent.
        deniers: NSEC and NSEC3 records whose signatures verified, in any order.
        labels: for a wildcard answer, the labels field of its RRSIG; None: not known.
        iterations_limit: NSEC3 iterations beyond which the zone counts as insecure (RFC 9276 3.2).
    """
    asked, apex = parse_name(name), parse_name(zone)
    if asked is None or apex is None or not is_within(asked, apex):
        return _unproven(deniers, "The records belong to a zone that the name does not lie in.")
    if len(deniers) > limits.DENIERS:
        sentence = "The response holds more NSEC and NSEC3 records than are followed."
        return Proof(False, "limit-reached", Status.INDETERMINATE, (), explanation=sentence)
    plain, hashed = read(deniers, apex)
    found = []
    if plain:
        found.append(prove_by_nsec(claim, asked, qtype, apex, plain, labels))
    if hashed:
        found.append(
            prove_by_nsec3(claim, asked, qtype, apex, hashed, labels, iterations_limit),
        )
    if not found:
        return _unproven(deniers, f"No NSEC or NSEC3 record of {text(apex)} came along.")
    return min(found, key=lambda proof: (not proof.holds, _ORDER.index(proof.status)))


def _unproven(deniers: Sequence[Denier], sentence: str) -> Proof:
    reason = "denial-invalid" if deniers else "denial-missing"
    return Proof(False, reason, Status.BOGUS, (), explanation=sentence)
