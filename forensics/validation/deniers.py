"""What a proof of absence is made of: the claim, NSEC and NSEC3 records, and names in their order.

Inside the proofs a name is a tuple of its labels, the one below the root first. The canonical
order of names (RFC 4034 6.1) is then that of tuples, and an ancestor is a prefix.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from forensics.vocabulary import TYPE_DS, TYPE_NS, TYPE_NSEC, TYPE_NSEC3, TYPE_SOA, Status

TYPE_CNAME: Final = 5
TYPE_DNAME: Final = 39
TYPE_NXNAME: Final = 128
"""The pseudo type by which compact denial says that a name does not exist (RFC 9824 3.4)."""

_SHA1: Final = 1
_SHA1_OCTETS: Final = 20
_NSEC3_OCTETS: Final = 6
"""An NSEC3 RDATA without salt and next name: its fixed fields and both lengths."""
_OPT_OUT: Final = 1
_NAME_OCTETS: Final = 255
_LABEL_OCTETS: Final = 63
_RECORDS: Final = 4_096

Name = tuple[bytes, ...]


class Claim(StrEnum):
    """What a response says does not exist, and so must prove."""

    NAME_ERROR = "name-error"
    """the name, and every wildcard that could stand for it (NXDOMAIN)"""
    NO_DATA = "no-data"
    """RRsets of the asked type at the name, or at the wildcard that stands for it"""
    WILDCARD_ANSWER = "wildcard-answer"
    """names closer to the name than the wildcard that the answer was expanded from"""
    UNSIGNED_REFERRAL = "unsigned-referral"
    """a DS RRset at the delegation: the zone below is unsigned"""


@dataclass(frozen=True, slots=True)
class Denier:
    """One NSEC or NSEC3 record whose signature verified.

    Attributes:
        owner: wire form, lower case, as in the signed data (never expanded from a wildcard).
        type: 47 (NSEC) or 50 (NSEC3).
        rdata: its RDATA, uncompressed.
    """

    owner: bytes
    type: int
    rdata: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether records prove a claim, and how.

    Attributes:
        holds: the claim is proven.
        reason: "" if so, else denial-missing (all records there are part of the proof, and one
            lacks), denial-invalid (they prove something else), nsec3-iterations or limit-reached.
        status: SECURE; INSECURE where only opt-out, the iterations limit or a delegation without
            DS above the name leaves it at that; BOGUS; INDETERMINATE at a limit.
        used: indices of the records that prove it, or as much of it as is proven.
        opt_out: an NSEC3 with opt-out covers the next closer name (RFC 5155 6).
        compact: it is compact denial (RFC 9824): an NSEC made for this name, with NXNAME.
        below_cut: a record shows that the name, or what was asked there, belongs to a child zone:
            the parent was asked for what it does not hold.
        closest_encloser: wire form; None: the proof needs none, or it is not known.
        explanation: one plain sentence.
    """

    holds: bool
    reason: str
    status: Status
    used: tuple[int, ...]
    opt_out: bool = False
    compact: bool = False
    below_cut: bool = False
    closest_encloser: bytes | None = None
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Nsec:
    """An NSEC record (RFC 4034 4.1); `at` is its index among the deniers."""

    at: int
    owner: Name
    next: Name
    types: frozenset[int]


@dataclass(frozen=True, slots=True)
class Nsec3:
    """An NSEC3 record of hash algorithm 1 (RFC 5155 3.1); `at` is its index among the deniers."""

    at: int
    hashed: bytes
    next: bytes
    types: frozenset[int]
    opt_out: bool
    salt: bytes
    iterations: int


def read(deniers: Sequence[Denier], apex: Name) -> tuple[list[Nsec], list[Nsec3]]:
    """Read the records of one zone; those that are malformed or of other zones say nothing.

    NSEC3 with an unknown hash algorithm or unknown flags must be ignored (RFC 5155 8.1, 8.2).
    """
    plain: list[Nsec] = []
    hashed: list[Nsec3] = []
    for at, denier in enumerate(deniers):
        owner = parse_name(denier.owner)
        if owner is None:
            continue
        if denier.type == TYPE_NSEC and is_within(owner, apex):
            found = _nsec(owner, denier.rdata)
            if found is not None and is_within(found[1], apex):
                plain.append(Nsec(at, *found))
        elif denier.type == TYPE_NSEC3 and owner[:-1] == apex and len(owner) > len(apex):
            other = _nsec3(owner[-1], denier.rdata)
            if other is not None:
                hashed.append(Nsec3(at, *other))
    return plain, hashed


# One record denies many names: each is read once. Bounded, for they come from captures.
@lru_cache(maxsize=_RECORDS)
def _nsec(owner: Name, rdata: bytes) -> tuple[Name, Name, frozenset[int]] | None:
    """Read what Nsec holds behind `at`; None: it is malformed."""
    end = 0
    while end < len(rdata) and rdata[end]:
        end += 1 + rdata[end]
    following = parse_name(rdata[: end + 1].lower())
    types = _types(rdata[end + 1 :])
    return None if following is None or types is None else (owner, following, types)


@lru_cache(maxsize=_RECORDS)
def _nsec3(
    label: bytes, rdata: bytes
) -> tuple[bytes, bytes, frozenset[int], bool, bytes, int] | None:
    """Read what Nsec3 holds behind `at`; None: it is malformed, or nothing to heed."""
    if len(rdata) < _NSEC3_OCTETS:
        return None
    salt_end = 5 + rdata[4]
    if (
        len(rdata) <= salt_end
        or rdata[0] != _SHA1
        or rdata[1] & ~_OPT_OUT
        or rdata[salt_end] != _SHA1_OCTETS
    ):
        return None
    end = salt_end + 1 + _SHA1_OCTETS
    types = _types(rdata[end:])
    try:
        hashed = base64.b32hexdecode(label, casefold=True)
    except binascii.Error:
        return None
    if len(hashed) != _SHA1_OCTETS or len(rdata) < end or types is None:
        return None
    following, salt = rdata[salt_end + 1 : end], rdata[5:salt_end]
    opt_out = bool(rdata[1] & _OPT_OUT)
    return hashed, following, types, opt_out, salt, int.from_bytes(rdata[2:4], "big")


def _types(bitmap: bytes) -> frozenset[int] | None:
    """Return the types of a bitmap (RFC 4034 4.1.2); None: it is malformed."""
    found = []
    at, before = 0, -1
    while at < len(bitmap):
        if at + 2 > len(bitmap):
            return None
        window, length = bitmap[at], bitmap[at + 1]
        block = bitmap[at + 2 : at + 2 + length]
        if window <= before or not 1 <= length <= 32 or len(block) != length:
            return None
        before = window
        found += [
            window << 8 | place << 3 | bit
            for place, octet in enumerate(block)
            for bit in range(8)
            if octet & 0x80 >> bit
        ]
        at += 2 + length
    return frozenset(found)


@lru_cache(maxsize=_RECORDS)
def parse_name(wire: bytes) -> Name | None:
    """Read an uncompressed name in wire form; None: it is not exactly one."""
    labels = []
    at = 0
    while at < len(wire) and wire[at]:
        label = wire[at + 1 : at + 1 + wire[at]]
        if wire[at] > _LABEL_OCTETS or len(label) != wire[at]:
            return None
        labels.append(label)
        at += 1 + len(label)
    if at + 1 != len(wire) or len(wire) > _NAME_OCTETS:
        return None
    return tuple(reversed(labels))


def wire_form(name: Name) -> bytes:
    """Return a name's wire form."""
    return b"".join(bytes((len(label),)) + label for label in reversed(name)) + b"\0"


def is_within(name: Name, ancestor: Name) -> bool:
    """Whether a name is `ancestor` or lies below it."""
    return name[: len(ancestor)] == ancestor


def common_ancestor(name: Name, other: Name) -> Name:
    """Return the longest name that both are, or lie below."""
    length = 0
    for mine, its in zip(name, other, strict=False):
        if mine != its:
            break
        length += 1
    return name[:length]


@lru_cache(maxsize=_RECORDS)
def text(name: Name) -> str:
    """Return the presentation form (RFC 1035 5.1), unusual octets escaped, for a sentence."""
    labels = [
        "".join(
            f"\\{octet:03d}"
            if octet <= 0x20 or octet >= 0x7F
            else ("\\" if octet in b'."\\;()@$' else "") + chr(octet)
            for octet in label
        )
        for label in reversed(name)
    ]
    return ".".join(labels) + "."


def is_delegation(types: frozenset[int]) -> bool:
    """Whether a bitmap is the parent's at a zone cut: NS and no SOA (RFC 6840 4.1)."""
    return TYPE_NS in types and TYPE_SOA not in types


def unfit_above(types: frozenset[int]) -> str:
    """Say why a record at an ancestor of a name must not deny the name; "": it may.

    RFC 6840 4.1: the parent's record at a zone cut; RFC 6672 5.3.4.1: one at a DNAME.
    """
    if is_delegation(types):
        return "a zone cut lies above it"
    if TYPE_DNAME in types:
        return "a DNAME above it redirects it"
    return ""


def unfit_at(types: frozenset[int], qtype: int, *, root: bool) -> str:
    """Say why a record at a name does not deny a type there; "": it does (RFC 6840 4.1, 4.3, 4.4).

    `root`: the name is the root, whose own zone alone could hold its DS.
    """
    if qtype in types:
        return "the type exists there"
    if TYPE_CNAME in types:
        return "a CNAME stands there"
    if qtype == TYPE_DS:
        return "it comes from below the zone cut" if TYPE_SOA in types and not root else ""
    return "it comes from above the zone cut" if is_delegation(types) else ""


def unfit_for_referral(types: frozenset[int], *, root: bool) -> str:
    """Say why a record at a zone cut does not make it unsigned; "": it does (RFC 6840 4.4)."""
    if TYPE_NS not in types:
        return "there is no delegation"
    return unfit_at(types, TYPE_DS, root=root)


def proven(
    used: Sequence[int],
    explanation: str,
    *,
    encloser: Name | None = None,
    opt_out: bool = False,
    compact: bool = False,
) -> Proof:
    """Return the proof of a claim that holds."""
    return Proof(
        holds=True,
        reason="",
        status=Status.INSECURE if opt_out else Status.SECURE,
        used=tuple(dict.fromkeys(used)),
        opt_out=opt_out,
        compact=compact,
        closest_encloser=None if encloser is None else wire_form(encloser),
        explanation=explanation,
    )


def lacking(used: Sequence[int], present: Sequence[int], explanation: str) -> Proof:
    """Return a failure: missing if all records present are used, else they prove other things."""
    reason = "denial-missing" if set(present) <= set(used) else "denial-invalid"
    return Proof(False, reason, Status.BOGUS, tuple(dict.fromkeys(used)), explanation=explanation)


def opposed(record: Nsec | Nsec3, explanation: str, *, above: bool = False) -> Proof:
    """Return a failure: one record says the opposite, or may not be used for this.

    `above`: the record is at the name or above it, and so tells of a zone cut there.
    """
    return Proof(
        holds=False,
        reason="denial-invalid",
        status=Status.BOGUS,
        used=(record.at,),
        below_cut=above and is_delegation(record.types),
        explanation=explanation,
    )


def below_unsigned(record: int, cut: Name) -> Proof:
    """Return that a name lies below a delegation without DS: nothing there can be bogus."""
    sentence = f"The name lies below {text(cut)}, an unsigned delegation."
    return Proof(False, "", Status.INSECURE, (record,), below_cut=True, explanation=sentence)
