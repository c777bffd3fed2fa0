"""Distinct octet strings, numbered from 0 in order of first appearance, found by hash.

Entries are arrays of 64-bit words whose first word tells the length, so that entries of other
lengths differ in it. The hash only finds candidates: every hit is confirmed word by word, since
attackers choose octets. It is NH (RFC 4418 5.2) under a key drawn per process, so that nobody can
prepare entries that fall into one slot; numbers, and all output, do not depend on the key.
"""

from __future__ import annotations

import os
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics.wire.jit import inlined_kernel

FULL: Final = -1
_LOW: Final = np.uint64(0xFFFF_FFFF)
_HALF: Final = np.uint64(32)
_ZERO: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_MIX: Final = np.uint64(0xFF51_AFD7_ED55_8CCD)
_MIX_SHIFT: Final = np.uint64(33)


class Interned(NamedTuple):
    """The entries so far. All arrays are made once at their limit.

    Zeroed memory that is never touched is never mapped, so the limits cost nothing until they are
    used, and nothing is ever copied to grow.

    Attributes:
        table: uint64, open addressing, a power of two at least twice the limit of entries; high
            half of the hash, then where the entry begins in `arena`; 0: empty.
        arena: uint64, the entries one after the other, each behind a word with its number.
        start: int64, first word of each entry in `arena`, its number's word left out.
        used: int64[2], entries and words of `arena` so far.
        key: uint64, the hash's key, as long as the longest entry.
        mask: uint64[1], bits of the hash that are used; fewer only to test collisions.
    """

    table: NDArray[np.uint64]
    arena: NDArray[np.uint64]
    start: NDArray[np.int64]
    used: NDArray[np.int64]
    key: NDArray[np.uint64]
    mask: NDArray[np.uint64]


def empty(entries: int, octets: int, longest: int, mask: int = 2**64 - 1) -> Interned:
    """Make room for `entries` entries of together `octets` octets, each at most `longest`."""
    if octets // 8 >= 1 << 32:
        raise ValueError("a place in the arena has 32 bits")
    return Interned(
        table=np.zeros(1 << (2 * entries - 1).bit_length(), dtype=np.uint64),
        arena=np.zeros(octets // 8, dtype=np.uint64),
        start=np.zeros(entries, dtype=np.int64),
        used=np.zeros(2, dtype=np.int64),
        key=np.frombuffer(bytearray(os.urandom(longest // 8 * 8 + 8)), dtype=np.uint64),
        mask=np.array([mask], dtype=np.uint64),
    )


@inlined_kernel
def mix(value: np.uint64) -> np.uint64:
    """Spread the bits of a word over all of it (the finalizer of MurmurHash3)."""
    value ^= value >> _MIX_SHIFT
    value *= _MIX
    return value ^ (value >> _MIX_SHIFT)


@inlined_kernel
def intern(words: NDArray[np.uint64], count: int, entries: Interned) -> Any:
    """Return the number of the entry `words[:count]`; add it if it is new.

    It was new if `entries.used[0]` has grown. `FULL`: it is new and there is no room.
    """
    total = _ZERO
    for step in range(count):
        word = words[step]
        salt = entries.key[step]
        total += ((word + salt) & _LOW) * (((word >> _HALF) + (salt >> _HALF)) & _LOW)
    hashed = mix(total) & entries.mask[0]
    slots = np.uint64(entries.table.shape[0] - 1)
    slot = hashed & slots
    while True:
        held = entries.table[np.int64(slot)]
        if held == _ZERO:
            break
        if held >> _HALF == hashed >> _HALF:
            start = np.int64(held & _LOW)
            # The first word tells the length. The rest has no early exit: it nearly always is
            # equal, and so is compared several words at once.
            if entries.arena[start] == words[0]:
                difference = _ZERO
                for step in range(1, count):
                    difference |= entries.arena[start + step] ^ words[step]
                if difference == _ZERO:
                    known: Any = np.int64(entries.arena[start - 1])
                    return known
        slot = (slot + _ONE) & slots
    number: Any = entries.used[0]
    start = entries.used[1] + 1
    if number >= entries.start.shape[0] or start + count > entries.arena.shape[0]:
        return FULL
    entries.arena[start - 1] = np.uint64(number)
    for step in range(count):
        entries.arena[start + step] = words[step]
    entries.start[number] = start
    entries.used[0] = number + 1
    entries.used[1] = start + count
    entries.table[np.int64(slot)] = ((hashed >> _HALF) << _HALF) | np.uint64(start)
    return number
