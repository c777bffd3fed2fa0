"""Kernels that recognise a signature seen before without building what it signs.

Nearly every RRSIG of a capture has been seen before with the same RRset. The octets of the
signature lead to the entry that had them last, and then the message is held against that entry:
the RRSIG, its owner, and every record of the RRset. Equal in all means that building the entry
would give the same one; anything else, and any doubt, is left to `signed.note_signature`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.evidence.arrays import RRSIG_FIXED, STATE_WORK, Gathering, Scratch
from forensics.evidence.interning import mix
from forensics.wire.canonical import same_octets, same_rdata
from forensics.wire.jit import inlined_kernel
from forensics.wire.records import (
    CLASS,
    OWNER,
    RDATA,
    RDLENGTH,
    SECTION,
    TTL,
    TYPE,
    resolve_name,
    same_name,
)
from forensics.wire.words import be16, le64, prefetch

_IN: Final = 1
_RRSIG: Final = 46
_SHORTEST: Final = RRSIG_FIXED + 1 + 16
"""RDATA of an RRSIG with the root as signer and as many octets of signature as are hashed."""
_MOST_RECORDS: Final = 16
"""Records of an RRset that are compared in any order; more are rare, and sorted instead."""
_TTL_LIMIT: Final = 2**31
_LOW: Final = np.uint64(0xFFFF_FFFF)
_HALF: Final = np.uint64(32)
_ZERO: Final = np.uint64(0)


@inlined_kernel
def signature_hash(octets: NDArray[np.uint8], start: int, length: int, held: Gathering) -> Any:
    """Hash the end of an RRSIG's RDATA, its signature, and ask for its slot; 0: too short.

    Collisions that somebody prepares cost the time of building, nothing else.
    """
    if length < _SHORTEST:
        return _ZERO
    end = start + length
    hashed = mix(le64(octets, end - 8) ^ held.signed.key[0]) + le64(octets, end - 16)
    hashed = mix(hashed ^ held.signed.key[1]) & held.signed.mask[0]
    prefetch(held.known, np.int64(hashed & np.uint64(held.known.shape[0] - 1)))
    return hashed | (_LOW + np.uint64(1))


@inlined_kernel
def candidate(hashed: np.uint64, held: Gathering) -> Any:
    """Return where in the arena the entry begins that had this hash last; 0: none."""
    slot = held.known[np.int64(hashed & np.uint64(held.known.shape[0] - 1))]
    return np.int64(slot & _LOW) if slot >> _HALF == hashed >> _HALF else np.int64(0)


@inlined_kernel
def ask_ahead(hashed: np.uint64, held: Gathering) -> None:
    """Ask for the entry of a signature that will soon be looked at."""
    start = candidate(hashed, held)
    if start > 0:
        for line in range(6):
            prefetch(held.signed.arena, start - 1 + 8 * line)


@inlined_kernel
def remember(hashed: np.uint64, number: int, held: Gathering) -> None:
    """Let a signature's hash lead to its entry from now on."""
    start = np.uint64(held.signed.start[number])
    slot = np.int64(hashed & np.uint64(held.known.shape[0] - 1))
    held.known[slot] = ((hashed >> _HALF) << _HALF) | start


@inlined_kernel
def _owner_is(
    octets: NDArray[np.uint8],
    base: int,
    end: int,
    position: int,
    labels: int,
    at: int,
    work: Scratch,
    held: Gathering,
) -> tuple[int, int]:
    """Hold the name at `position` against the owner in the entry at `at`.

    Equal is also a name of which that owner is the source of synthesis by the RRSIG's labels
    (RFC 4035 5.3.2).

    Returns:
        (octets of the entry's owner, 0: it differs; 1: it is the source of synthesis)
    """
    entries = held.signed_octets
    after, size = same_name(octets, base, end, position, entries, at, True)
    if after >= 0:
        return size, 0
    if entries[at] != 1 or entries[at + 1] != 42:
        return 0, 0
    # Count the labels behind the ones that `*` stands for, on the stored side.
    stored = 0
    step: Any = at + 2
    while entries[step] != 0:
        stored += 1
        step += np.int64(entries[step]) + 1
    if stored != labels:
        return 0, 0
    for _ in range(127):
        # Skip the first label, and hold the rest against what follows `*`.
        if position >= end or octets[position] == 0 or octets[position] >= 64:
            return 0, 0
        work.state[STATE_WORK] += 64
        label: Any = np.int64(octets[position])
        position = resolve_name(octets, base, end, position + label + 1)
        if position < 0:
            return 0, 0
        after, size = same_name(octets, base, end, position, entries, at + 2, True)
        if after >= 0:
            return size + 2, 1
    return 0, 0


@inlined_kernel
def known_signature(
    octets: NDArray[np.uint8],
    base: int,
    end: int,
    first: int,
    count: int,
    record: int,
    work: Scratch,
    held: Gathering,
) -> Any:
    """Recognise the signature of an RRSIG record among `records[first:first + count]`.

    Returns:
        its number; -1: not recognised; -2 minus its number: the owner was expanded from a wildcard
    """
    hashed = work.hashes[record]
    begin = candidate(hashed, held) if hashed != _ZERO else np.int64(0)
    if begin == 0:
        return -1
    entries = held.signed_octets
    header = held.signed.arena[begin]
    size: Any = np.int64(header & _LOW)
    tail: Any = np.int64(header >> _HALF)
    at: Any = 8 * begin + 8
    start = work.records[record, RDATA]
    length = work.records[record, RDLENGTH]
    # An entry with nothing after its first part is a malformed RRSIG.
    if tail == 0 or tail + RRSIG_FIXED >= length:
        return -1
    work.state[STATE_WORK] += count + size + tail
    signature = start + length - tail
    if not same_octets(octets, start, entries, at, RRSIG_FIXED) or not same_octets(
        octets, signature, entries, at + size, tail
    ):
        return -1
    after, signer = same_name(
        octets, base, start + length, start + RRSIG_FIXED, entries, at + RRSIG_FIXED, True
    )
    if after != signature:
        return -1
    stop = at + size
    at += RRSIG_FIXED + signer
    position = resolve_name(octets, base, end, work.records[record, OWNER])
    if position < 0:
        return -1
    labels: Any = np.int64(octets[start + 3])
    name, wildcard = _owner_is(octets, base, end, position, labels, at, work, held)
    if name == 0:
        return -1
    kind = be16(octets, start)
    if kind == _RRSIG:
        return -1
    section = work.records[record, SECTION]
    name_and_head = name + 10
    found = 0
    covered = 0
    seen = 0
    index = 0
    rdata: Any = at
    for other in range(first, first + count):
        if (
            work.records[other, TYPE] != kind
            or work.records[other, SECTION] != section
            or work.records[other, CLASS] != _IN
        ):
            continue
        place = resolve_name(octets, base, end, work.records[other, OWNER])
        if place != position:
            if place < 0:
                continue
            if wildcard:
                return -1
            after, _ = same_name(octets, base, end, place, entries, at, True)
            if after < 0:
                continue
        # Servers rotate the records of an RRset: look where the one before was found, and then
        # from the start.
        held_octets: Any = np.int64(0)
        matched = False
        for _ in range(2 * _MOST_RECORDS):
            if rdata >= stop:
                rdata = at
                index = 0
            if index == _MOST_RECORDS:
                break
            rdata += name_and_head
            held_octets = np.int64(be16(entries, rdata - 2))
            matched = same_rdata(
                octets,
                base,
                kind,
                work.records[other, RDATA],
                work.records[other, RDLENGTH],
                entries,
                rdata,
                held_octets,
            )
            rdata += held_octets
            index += 1
            if matched:
                break
        # The records of an entry differ from each other, so one that is met again is a copy.
        if not matched or seen & (1 << index) != 0:
            return -1
        seen |= 1 << index
        covered += name_and_head + held_octets
        found += 1
    if found == 0 or covered != stop - at:
        return -1
    number = np.int64(held.signed.arena[begin - 1])
    return -2 - number if wildcard else number


@inlined_kernel
def known_keyset(
    octets: NDArray[np.uint8],
    base: int,
    end: int,
    first: int,
    count: int,
    record: int,
    work: Scratch,
) -> tuple[int, int]:
    """Find the recognised signature over the key RRset that begins with this record.

    Returns:
        (its number, TTL of the RRset); (-1, 0): there is none, or the section holds more than one
        RRset of that type; (-2, 0): another record of the RRset went before.
    """
    kind = work.records[record, TYPE]
    section = work.records[record, SECTION]
    position = resolve_name(octets, base, end, work.records[record, OWNER])
    if position < 0:
        return -1, 0
    number: Any = np.int64(-1)
    ttl: Any = np.int64(0)
    before = False
    for other in range(first, first + count):
        if work.records[other, SECTION] != section or work.records[other, CLASS] != _IN:
            continue
        found = work.records[other, TYPE]
        if found == _RRSIG:
            if (
                work.known[other] >= 0
                and be16(octets, work.records[other, RDATA]) == kind
                and resolve_name(octets, base, end, work.records[other, OWNER]) == position
            ):
                number = work.known[other]
        elif found == kind:
            if resolve_name(octets, base, end, work.records[other, OWNER]) != position:
                return -1, 0
            before = before or other < record
            ttl = max(ttl, work.records[other, TTL])
    work.state[STATE_WORK] += count
    if number < 0:
        return -1, 0
    if before:
        return -2, 0
    return number, (ttl if ttl < _TTL_LIMIT else 0)
