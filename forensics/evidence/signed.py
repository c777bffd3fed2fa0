"""Kernels that build the data an RRSIG signs and number distinct signatures."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.evidence.arrays import (
    ABSENT,
    ENTRY_HEADER,
    INCOMPLETE,
    LABELS_INVALID,
    LIMIT,
    MALFORMED,
    RRSIG_FIXED,
    SIGNATURE_MALFORMED,
    SIGNER_INVALID,
    SOUND,
    STATE_WORK,
    Gathering,
    Scratch,
)
from forensics.evidence.interning import FULL, intern
from forensics.evidence.known import remember
from forensics.evidence.rrsets import bring_rrset, owner_of, seal
from forensics.wire.canonical import ends_with
from forensics.wire.jit import inlined_kernel
from forensics.wire.moves import copy
from forensics.wire.records import RDATA, RDLENGTH, SECTION, expand_name
from forensics.wire.words import be16

_RRSIG: Final = 46
_IN: Final = 1
_DATA_OCTETS: Final = limits.SIGNED_DATA_OCTETS


@inlined_kernel
def write_signed(
    octets: NDArray[np.uint8],
    start: int,
    signer_octets: int,
    owner: int,
    found: int,
    work: Scratch,
) -> tuple[int, int, int]:
    """Build the data that an RRSIG signs (RFC 4034 3.1.8.1) behind the entry's header.

    RDATA begins at `octets[start]`; its fixed fields and the signer already stand in the entry.

    Returns:
        (octets written, or -1: too many; problem; 1: the owner was expanded from a wildcard)
    """
    out = work.octets
    name = work.name_at[owner, 1]
    name_octets = work.name_at[owner, 2]
    labels: Any = np.int64(octets[start + 3])
    spare = work.name_at[owner, 3] - labels
    wildcard = 0
    problem = SOUND
    if spare < 0:
        problem = LABELS_INVALID
    elif spare > 0:
        # RFC 4035 5.3.2: `*` and the rightmost labels. A leftmost `*` was not counted.
        wildcard = 1
        if work.names[name] == 1 and work.names[name + 1] == 42:
            spare += 1
        for _ in range(spare):
            step: Any = np.int64(work.names[name]) + 1
            name += step
            name_octets -= step
    signer_at = ENTRY_HEADER + RRSIG_FIXED
    if problem == SOUND and not ends_with(
        work.names, name, name_octets, out, signer_at, signer_octets
    ):
        problem = SIGNER_INVALID
    at = signer_at + signer_octets
    limit = ENTRY_HEADER + _DATA_OCTETS
    for place in range(found):
        rdata = work.spans[work.order[place], 0]
        rdata_octets = work.spans[work.order[place], 1]
        if at + 2 + name_octets + 10 + rdata_octets > limit:
            return -1, problem, wildcard
        if wildcard:
            out[at] = 1
            out[at + 1] = 42
            at += 2
        copy(out, at, work.names, name, name_octets)
        at += name_octets
        out[at] = octets[start]
        out[at + 1] = octets[start + 1]
        out[at + 2] = 0
        out[at + 3] = _IN
        for step in range(4):
            out[at + 4 + step] = octets[start + 4 + step]
        out[at + 8] = rdata_octets >> 8
        out[at + 9] = rdata_octets & 255
        at += 10
        copy(out, at, work.rdatas, rdata, rdata_octets)
        at += rdata_octets
    work.state[STATE_WORK] += at
    return at - ENTRY_HEADER, problem, wildcard


@inlined_kernel
def note_signature(
    octets: NDArray[np.uint8],
    base: int,
    end: int,
    first: int,
    count: int,
    record: int,
    work: Scratch,
    held: Gathering,
) -> tuple[int, int]:
    """Number the signature of an RRSIG record among `work.records[first:first + count]`.

    Returns:
        (number, or -1: left out and counted; 1: its owner was expanded from a wildcard)
    """
    start = work.records[record, RDATA]
    length = work.records[record, RDLENGTH]
    owner = owner_of(octets, base, end, record, work)
    if owner < 0:
        held.skipped[MALFORMED] += 1
        return -1, 0
    signer_at = ENTRY_HEADER + RRSIG_FIXED
    signer = -1
    signer_octets = 0
    if length > RRSIG_FIXED:
        copy(work.octets, ENTRY_HEADER, octets, start, RRSIG_FIXED)
        signer, signer_octets = expand_name(
            octets, base, start + length, start + RRSIG_FIXED, work.octets, signer_at, True
        )
    wildcard = 0
    found: Any = np.int64(0)
    if signer < 0 or signer == start + length:
        # No signer, or no signature after it: keep the RDATA as received, then the owner.
        problem = SIGNATURE_MALFORMED
        copy(work.octets, ENTRY_HEADER, octets, start, length)
        size = work.name_at[owner, 2]
        copy(work.octets, ENTRY_HEADER + length, work.names, work.name_at[owner, 1], size)
        owner_at = length
        words = seal(work, length + size, 0)
    else:
        kind = be16(octets, start)
        section = work.records[record, SECTION]
        found = -1 - ABSENT
        # An RRSIG is never signed (RFC 4035 2.2): no validator looks for such a one.
        if kind != _RRSIG:
            found = bring_rrset(octets, base, end, first, count, owner, kind, section, work)
        if found < 0:
            held.skipped[-1 - found] += 1
            return -1, 0
        size, problem, wildcard = write_signed(octets, start, signer_octets, owner, found, work)
        if size < 0:
            held.skipped[INCOMPLETE] += 1
            return -1, 0
        tail = start + length - signer
        copy(work.octets, ENTRY_HEADER + size, octets, signer, tail)
        owner_at = RRSIG_FIXED + signer_octets
        words = seal(work, size, tail)
    before = held.signed.used[0]
    number = intern(work.words, words, held.signed)
    if number == FULL:
        held.skipped[LIMIT] += 1
        return -1, 0
    if number == before:
        held.problem[number] = problem
        held.records[number] = found
        held.owner[number] = owner_at
    if work.hashes[record] != np.uint64(0):
        remember(work.hashes[record], number, held)
    return number, wildcard
