"""Proofs by NSEC3 records (RFC 5155 8, RFC 6840 4, RFC 7129 5, RFC 9276)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

from forensics import limits
from forensics.validation.deniers import (
    TYPE_NXNAME,
    Claim,
    Name,
    Nsec3,
    Proof,
    below_unsigned,
    is_delegation,
    lacking,
    opposed,
    proven,
    text,
    unfit_above,
    unfit_at,
    unfit_for_referral,
    wire_form,
)
from forensics.vocabulary import TYPE_DS, Status


@lru_cache(maxsize=limits.NSEC3_HASHES_KEPT)
def nsec3_hash(name: bytes, salt: bytes, iterations: int) -> bytes:
    """Hash a lower-case name in wire form (RFC 5155 5), SHA-1."""
    digest = hashlib.sha1(name + salt, usedforsecurity=False).digest()
    for _ in range(iterations):
        digest = hashlib.sha1(digest + salt, usedforsecurity=False).digest()
    return digest


class _Exhausted(Exception):
    """The hashes that one proof may cost are spent."""


class _Chain:
    """The NSEC3 records of a response, asked by name; several parameter sets are held apart.

    A zone that changes its parameters may show records of both chains: each says the truth.
    """

    def __init__(self, records: Sequence[Nsec3]) -> None:
        self.records = records
        self._left = limits.NSEC3_HASHES
        self._sets: dict[tuple[bytes, int], list[Nsec3]] = {}
        for record in records:
            self._sets.setdefault((record.salt, record.iterations), []).append(record)

    @property
    def present(self) -> list[int]:
        """Indices of all records."""
        return [record.at for record in self.records]

    def at(self, name: Name) -> Nsec3 | None:
        """Find the record that matches a name."""
        for (salt, iterations), records in self._sets.items():
            hashed = self._hash(name, salt, iterations)
            for record in records:
                if record.hashed == hashed:
                    return record
        return None

    def over(self, name: Name) -> Nsec3 | None:
        """Find the record that covers a name."""
        for (salt, iterations), records in self._sets.items():
            hashed = self._hash(name, salt, iterations)
            for record in records:
                if record.hashed < record.next:
                    inside = record.hashed < hashed < record.next
                else:  # the last of the chain, or the only one
                    inside = hashed != record.hashed and not (record.next <= hashed < record.hashed)
                if inside:
                    return record
        return None

    def _hash(self, name: Name, salt: bytes, iterations: int) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise _Exhausted
        return nsec3_hash(wire_form(name), salt, iterations)


def prove_by_nsec3(
    claim: Claim,
    name: Name,
    qtype: int,
    apex: Name,
    records: Sequence[Nsec3],
    labels: int | None,
    iterations_limit: int,
) -> Proof:
    """Tell whether NSEC3 records of the zone `apex` prove a claim about a name in it.

    Args:
        claim: what is to be proven.
        name: the asked name, or the delegation of an unsigned referral.
        qtype: the asked type.
        apex: the zone.
        records: at least one.
        labels: labels of the wildcard's parent, from the RRSIG's labels field; None: not known.
        iterations_limit: more than these make the zone insecure (RFC 9276 3.2).
    """
    most = max(record.iterations for record in records)
    if most > iterations_limit:
        sentence = f"NSEC3 with {most} iterations is not followed; {iterations_limit} are."
        return Proof(False, "nsec3-iterations", Status.INSECURE, (), explanation=sentence)
    chain = _Chain(records)
    try:
        at = chain.at(name)
        if at is not None:
            return _at_name(claim, name, qtype, at)
        if claim is Claim.WILDCARD_ANSWER and labels is not None:
            return _closer(name, chain, labels)
        return _enclosed(claim, name, qtype, apex, chain)
    except _Exhausted:
        sentence = "The proof asks for more NSEC3 hashes than are computed."
        return Proof(False, "limit-reached", Status.INDETERMINATE, (), explanation=sentence)


def _at_name(claim: Claim, name: Name, qtype: int, at: Nsec3) -> Proof:
    """Judge by the NSEC3 record that matches the name."""
    root = not name
    if claim is Claim.UNSIGNED_REFERRAL:
        why = unfit_for_referral(at.types, root=root)
        sentence = f"The NSEC3 record of {text(name)} shows a delegation without DS."
    elif claim is Claim.NO_DATA:
        why = unfit_at(at.types, qtype, root=root)
        sentence = f"The NSEC3 record of {text(name)} does not list the type."
    else:
        nothing = claim is Claim.NAME_ERROR and TYPE_NXNAME in at.types
        why = "" if nothing else "it shows that the name exists"
        sentence = f"The NSEC3 record of {text(name)} was made to say that it does not exist."
    if why:
        return opposed(at, f"The NSEC3 record of {text(name)} is no proof: {why}.", above=True)
    return proven([at.at], sentence, compact=TYPE_NXNAME in at.types)


def _closer(name: Name, chain: _Chain, labels: int) -> Proof:
    """Judge whether the wildcard that the answer came from is the closest one (RFC 5155 8.8)."""
    closer = name[: labels + 1]
    at = chain.at(closer)
    if at is not None:
        return opposed(at, f"The NSEC3 record shows that {text(closer)} exists.")
    over = chain.over(closer)
    if over is None:
        return lacking([], chain.present, f"No NSEC3 record denies {text(closer)}.")
    sentence = f"{text(closer)} does not exist, so that the wildcard above it answers."
    return proven([over.at], sentence, encloser=name[:labels], opt_out=over.opt_out)


def _enclosed(claim: Claim, name: Name, qtype: int, apex: Name, chain: _Chain) -> Proof:
    """Judge by the closest encloser, the next closer name and the wildcard (RFC 5155 8.3)."""
    encloser, above = name, None
    while above is None and len(encloser) > len(apex):
        encloser = encloser[:-1]
        above = chain.at(encloser)
    if above is None:
        sentence = f"No NSEC3 record shows which ancestor of {text(name)} exists."
        return lacking(_touching(name, apex, chain), chain.present, sentence)
    if why := unfit_above(above.types):
        if is_delegation(above.types) and TYPE_DS not in above.types:
            return below_unsigned(above.at, encloser)
        sentence = f"The NSEC3 record of {text(encloser)} is no proof: {why}."
        return opposed(above, sentence, above=True)
    closer = name[: len(encloser) + 1]
    over = chain.over(closer)
    if over is None:
        used = [above.at, *_touching(name, apex, chain)]
        return lacking(used, chain.present, f"No NSEC3 record denies {text(closer)}.")
    used, open_ = [above.at, over.at], over.opt_out
    if claim is Claim.WILDCARD_ANSWER:
        sentence = f"{text(closer)} does not exist, so that the wildcard above it answers."
        return proven(used, sentence, encloser=encloser, opt_out=open_)
    if claim is Claim.UNSIGNED_REFERRAL:
        if open_:
            sentence = f"{text(closer)} may be an unsigned delegation: opt-out covers it."
            return proven(used, sentence, encloser=encloser, opt_out=True)
        return opposed(over, f"The NSEC3 record denies that {text(name)} is delegated.")
    wildcard = (*encloser, b"*")
    at = chain.at(wildcard)
    if claim is Claim.NAME_ERROR:
        if at is not None:
            return opposed(at, f"The wildcard {text(wildcard)} exists and answers for the name.")
        beside = chain.over(wildcard)
        if beside is None:
            sentence = f"No NSEC3 record denies the wildcard {text(wildcard)}."
            return lacking(used, chain.present, sentence)
        sentence = f"Neither {text(closer)} nor {text(wildcard)} exists."
        return proven([*used, beside.at], sentence, encloser=encloser, opt_out=open_)
    if at is not None:
        if why := unfit_at(at.types, qtype, root=False):
            return opposed(at, f"The NSEC3 record of {text(wildcard)} is no proof: {why}.")
        sentence = f"The NSEC3 record of {text(wildcard)} does not list the type."
        return proven([*used, at.at], sentence, encloser=encloser, opt_out=open_)
    if open_:  # RFC 6840 errata and RFC 7129 5.1: an empty non-terminal above unsigned delegations
        sentence = f"{text(closer)} may lead to unsigned delegations: opt-out covers it."
        return proven(used, sentence, encloser=encloser, opt_out=True)
    sentence = f"{text(closer)} does not exist, and no NSEC3 record shows a wildcard in its place."
    return lacking(used, chain.present, sentence)


def _touching(name: Name, apex: Name, chain: _Chain) -> list[int]:
    """List the records that could be part of the proof, were the closest encloser known."""
    found = []
    for length in range(len(apex), len(name)):
        wildcard = (*name[:length], b"*")
        found += [chain.over(name[: length + 1]), chain.at(wildcard), chain.over(wildcard)]
    return [record.at for record in found if record is not None]
