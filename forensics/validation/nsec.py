"""Proofs by NSEC records (RFC 4035 5.4, RFC 6840 4, RFC 7129 3, RFC 9824)."""

from __future__ import annotations

from collections.abc import Sequence

from forensics.validation.deniers import (
    TYPE_NXNAME,
    Claim,
    Name,
    Nsec,
    Proof,
    below_unsigned,
    common_ancestor,
    is_delegation,
    is_within,
    lacking,
    opposed,
    proven,
    text,
    unfit_above,
    unfit_at,
    unfit_for_referral,
)
from forensics.vocabulary import TYPE_DS


def prove_by_nsec(
    claim: Claim, name: Name, qtype: int, apex: Name, records: Sequence[Nsec], labels: int | None
) -> Proof:
    """Tell whether NSEC records of the zone `apex` prove a claim about a name in it.

    Args:
        claim: what is to be proven.
        name: the asked name, or the delegation of an unsigned referral.
        qtype: the asked type.
        apex: the zone.
        records: at least one.
        labels: labels of the wildcard's parent, from the RRSIG's labels field; None: not known.
    """
    present = [record.at for record in records]
    at = next((record for record in records if record.owner == name), None)
    if at is not None:
        return _at_name(claim, name, qtype, at)
    over = _covering(name, apex, records)
    if over is None:
        used = _beside(name, apex, records)
        return lacking(used, present, f"No NSEC record speaks of {text(name)}")
    if is_within(name, over.owner) and (why := unfit_above(over.types)):
        if is_delegation(over.types) and TYPE_DS not in over.types:
            return below_unsigned(over.at, over.owner)
        return opposed(over, f"The NSEC record covers {text(name)}, but {why}.", above=True)
    if claim is Claim.UNSIGNED_REFERRAL:
        return opposed(over, f"The NSEC record denies that {text(name)} is delegated.")
    if is_within(over.next, name):
        if claim is Claim.NO_DATA:
            sentence = f"{text(name)} has no records, only names below it."
            return proven([over.at], sentence, encloser=name)
        return opposed(over, f"The NSEC record shows that names below {text(name)} exist.")
    encloser = max(common_ancestor(name, over.owner), common_ancestor(name, over.next), key=len)
    if claim is Claim.WILDCARD_ANSWER:
        return _closest(name, over, encloser, labels)
    return _wildcard(claim, name, qtype, apex, records, over, encloser)


def _at_name(claim: Claim, name: Name, qtype: int, at: Nsec) -> Proof:
    """Judge by the NSEC record that the name owns."""
    root = not name
    if claim is Claim.UNSIGNED_REFERRAL:
        why = unfit_for_referral(at.types, root=root)
        sentence = f"The NSEC record at {text(name)} shows a delegation without DS."
    elif claim is Claim.NO_DATA:
        why = unfit_at(at.types, qtype, root=root)
        sentence = f"The NSEC record at {text(name)} does not list the type."
    else:
        nothing = claim is Claim.NAME_ERROR and TYPE_NXNAME in at.types
        why = "" if nothing else "it shows that the name exists"
        sentence = f"The NSEC record at {text(name)} was made to say that the name does not exist."
    if why:
        return opposed(at, f"The NSEC record at {text(name)} is no proof: {why}.", above=True)
    return proven([at.at], sentence, compact=TYPE_NXNAME in at.types)


def _closest(name: Name, over: Nsec, encloser: Name, labels: int | None) -> Proof:
    """Judge whether the wildcard that the answer came from is the closest one."""
    if labels is not None and len(encloser) != labels:
        sentence = f"The NSEC record shows that {text(encloser)} exists, so no wildcard above it"
        return opposed(over, f"{sentence} could answer for {text(name)}.")
    sentence = f"No name closer to {text(name)} than *.{text(encloser)} exists."
    return proven([over.at], sentence, encloser=encloser)


def _wildcard(
    claim: Claim,
    name: Name,
    qtype: int,
    apex: Name,
    records: Sequence[Nsec],
    over: Nsec,
    encloser: Name,
) -> Proof:
    """Judge what the wildcard at the closest encloser adds to a name that does not exist."""
    present = [record.at for record in records]
    wildcard = (*encloser, b"*")
    at = next((record for record in records if record.owner == wildcard), None)
    if claim is Claim.NAME_ERROR:
        if at is not None:
            return opposed(at, f"The wildcard {text(wildcard)} exists and answers for the name.")
        beside = _covering(wildcard, apex, records)
        if beside is None:
            sentence = f"No NSEC record denies the wildcard {text(wildcard)}."
            return lacking([over.at], present, sentence)
        sentence = f"Neither {text(name)} nor {text(wildcard)} exists."
        return proven([over.at, beside.at], sentence, encloser=encloser)
    if at is None:
        sentence = f"{text(name)} does not exist, and no NSEC record shows a wildcard in its place."
        return lacking([over.at], present, sentence)
    if why := unfit_at(at.types, qtype, root=False):
        return opposed(at, f"The NSEC record at {text(wildcard)} is no proof: {why}.")
    sentence = (
        f"The NSEC record at {text(wildcard)}, which stands for the name, lists no such type."
    )
    return proven([over.at, at.at], sentence, encloser=encloser)


def _beside(name: Name, apex: Name, records: Sequence[Nsec]) -> list[int]:
    """List the records that speak of wildcards which could stand for the name."""
    wildcards = [(*name[:length], b"*") for length in range(len(apex), len(name))]
    over = [_covering(wildcard, apex, records) for wildcard in wildcards]
    at = [record for record in records if record.owner in wildcards]
    return [record.at for record in (*at, *over) if record is not None]


def _covering(name: Name, apex: Name, records: Sequence[Nsec]) -> Nsec | None:
    """Find the record in whose gap a name of the zone lies (RFC 4034 4.1.1)."""
    for record in records:
        last = record.next == apex
        if record.owner < name and (last or name < record.next):
            return record
    return None
