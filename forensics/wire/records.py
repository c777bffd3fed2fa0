"""Kernels that walk the resource records of a DNS message and expand its names (RFC 1035 4.1).

A message lies in `octets[base:end]`; every position is an index of `octets`. All of these stay
inside that range whatever the octets say, and do bounded work: a name has at most 255 octets, a
compression pointer leads strictly backwards, and at most `POINTERS` of them make one name.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.wire.jit import lean_kernel
from forensics.wire.moves import SLACK, put64
from forensics.wire.words import be16, le64, lowered

HEADER_OCTETS: Final = 12
NAME_OCTETS: Final = 255
"""Longest name on the wire, root label included (RFC 1035 2.3.4)."""
MESSAGE_OCTETS: Final = 65_535
"""Longest message (RFC 1035 4.2.2)."""
POINTERS: Final = 128
"""Compression pointers followed for one name: it has at most 127 labels, and honest encoders
write one pointer. More is a chain of pointers made to cost time."""
RECORD_MINIMUM: Final = 11
"""Octets of the shortest record: root owner, type, class, TTL, RDLENGTH."""
MESSAGE_RECORDS: Final = MESSAGE_OCTETS // RECORD_MINIMUM + 1
"""Records that fit into one message."""

# Columns of a table of records: int64[MESSAGE_RECORDS, RECORD_COLUMNS], one cache line a row.
OWNER: Final = 0
TYPE: Final = 1
CLASS: Final = 2
TTL: Final = 3
RDATA: Final = 4
RDLENGTH: Final = 5
SECTION: Final = 6
NAME: Final = 7
RECORD_COLUMNS: Final = 8

_16_BITS: Final = np.uint64(0xFFFF)
_EVEN: Final = np.uint64(0x00FF00FF00FF00FF)


@lean_kernel
def skip_name(octets: NDArray[np.uint8], position: int, end: int) -> int:
    """Return the position after the name that starts at `position`; -1: it leaves the message.

    Only the octets in place are looked at: a pointer ends the name and is not followed.
    """
    while position < end:
        length: Any = np.int64(octets[position])
        if length == 0:
            return position + 1
        if length >= 192:
            return position + 2 if position + 2 <= end else -1
        if length >= 64:
            return -1
        position += length + 1
    return -1


@lean_kernel
def resolve_name(octets: NDArray[np.uint8], base: int, end: int, position: int) -> int:
    """Follow leading compression pointers to the name's first label; -1: there is none.

    Two names with the same result are the same name.
    """
    for _ in range(POINTERS):
        if position >= end:
            return -1
        if octets[position] < 192:
            return position
        if position + 2 > end:
            return -1
        target = base + (be16(octets, position) & 0x3FFF)
        if target >= position or target < base + HEADER_OCTETS:
            return -1
        position = target
    return -1


@lean_kernel
def expand_name(
    octets: NDArray[np.uint8],
    base: int,
    end: int,
    position: int,
    out: NDArray[np.uint8],
    at: int,
    lower: bool,
) -> tuple[int, int]:
    """Write the name at `position`, without compression, to `out[at:]`; lower-case it if asked.

    `out` has room for 255 octets and moves.SLACK from `at` on. The name's own octets end before
    `end`; its pointers may lead to anywhere behind the header and before the name (RFC 1035 4.1.4).

    Returns:
        (position after the name's own octets, octets written); (-1, 0) if it is no name.
    """
    after = -1
    lowest = position
    written = 0
    hops = 0
    limit = end
    while True:
        if position >= limit:
            return -1, 0
        length: Any = np.int64(octets[position])
        if length >= 192:
            if position + 2 > limit:
                return -1, 0
            target = base + (be16(octets, position) & 0x3FFF)
            if after < 0:
                after = position + 2
            hops += 1
            if target >= lowest or target < base + HEADER_OCTETS or hops > POINTERS:
                return -1, 0
            lowest = target
            position = target
            continue
        if length >= 64 or written + length + 1 > NAME_OCTETS or position + length + 1 > limit:
            return -1, 0
        if length == 0:
            out[at + written] = 0
            return (position + 1 if after < 0 else after), written + 1
        # A length octet is below 64 and so never an upper-case letter: one loop for all.
        step = 0
        if position + length + 1 + SLACK <= octets.shape[0]:
            while step <= length:
                word = le64(octets, position + step)
                put64(out, at + written + step, lowered(word) if lower else word)
                step += 8
        while step <= length:
            octet: Any = np.int64(octets[position + step])
            if lower and 65 <= octet <= 90:
                octet += 32
            out[at + written + step] = octet
            step += 1
        written += length + 1
        position += length + 1


@lean_kernel
def same_name(
    octets: NDArray[np.uint8],
    base: int,
    end: int,
    position: int,
    other: NDArray[np.uint8],
    at: int,
    lower: bool,
) -> tuple[int, int]:
    """Hold the name at `position` against the valid, uncompressed one at `other[at:]`.

    With `lower` the name is lower-cased first, as `expand_name` would; the other one is then in
    lower case. What is no name to `expand_name` equals nothing.

    Returns:
        (position after the name's own octets, octets of the other); (-1, 0) if they differ.
    """
    after = -1
    lowest = position
    hops = 0
    step = at
    while True:
        if position >= end:
            return -1, 0
        length: Any = np.int64(octets[position])
        if length >= 192:
            if position + 2 > end:
                return -1, 0
            target = base + (be16(octets, position) & 0x3FFF)
            if after < 0:
                after = position + 2
            hops += 1
            if target >= lowest or target < base + HEADER_OCTETS or hops > POINTERS:
                return -1, 0
            lowest = target
            position = target
            continue
        # The other one's length octets are below 64, and its end is known.
        if np.int64(other[step]) != length or position + length + 1 > end:
            return -1, 0
        if length == 0:
            return (position + 1 if after < 0 else after), step - at + 1
        rest = length + 1
        position += rest
        step += rest
        if position + 8 <= octets.shape[0] and step + 8 <= other.shape[0]:
            while rest > 0:
                word = le64(octets, position - rest)
                if lower:
                    word = lowered(word)
                word ^= le64(other, step - rest)
                if rest < 8:
                    word <<= np.uint64(64 - 8 * rest)
                if word != np.uint64(0):
                    return -1, 0
                rest -= 8
        else:
            for back in range(rest, 0, -1):
                octet: Any = np.int64(octets[position - back])
                if lower and 65 <= octet <= 90:
                    octet += 32
                if octet != np.int64(other[step - back]):
                    return -1, 0


@lean_kernel
def walk_records(
    octets: NDArray[np.uint8], base: int, end: int, records: NDArray[np.int64], first: int
) -> tuple[int, int]:
    """List the records of the message in `octets[base:end]` in `records[first:]`, in order.

    Sections get their numbers of vocabulary.Section. NAME is set to -1, for the caller's use.

    Returns:
        (records listed, first section that could not be walked to its end; 4: all could).
    """
    if end - base < HEADER_OCTETS:
        return 0, 0
    position = base + HEADER_OCTETS
    for _ in range(be16(octets, base + 4)):
        position = skip_name(octets, position, end)
        if position < 0 or position + 4 > end:
            return 0, 0
        position += 4
    row = first
    for section in range(1, 4):
        for _ in range(be16(octets, base + 4 + 2 * section)):
            # Nearly every owner is a pointer: no call for these.
            if position + 2 <= end and octets[position] >= 192:
                fixed: Any = position + 2
            else:
                fixed = skip_name(octets, position, end)
            if fixed < 0 or fixed + 10 > end or row >= records.shape[0]:
                return row - first, section
            # Type, class, TTL and length in two reads, each octet swapped with its neighbour.
            head = le64(octets, fixed)
            tail = le64(octets, fixed + 2) >> np.uint64(48)
            head = ((head & _EVEN) << np.uint64(8)) | ((head >> np.uint64(8)) & _EVEN)
            length = np.int64(((tail & np.uint64(255)) << np.uint64(8)) | (tail >> np.uint64(8)))
            after = fixed + 10 + length
            if after > end:
                return row - first, section
            records[row, OWNER] = position
            records[row, TYPE] = np.int64(head & _16_BITS)
            records[row, CLASS] = np.int64((head >> np.uint64(16)) & _16_BITS)
            records[row, TTL] = np.int64(
                ((head >> np.uint64(16)) & (_16_BITS << np.uint64(16))) | (head >> np.uint64(48))
            )
            records[row, RDATA] = fixed + 10
            records[row, RDLENGTH] = length
            records[row, SECTION] = section
            records[row, NAME] = -1
            row += 1
            position = after
    return row - first, 4
