"""Interning: equal octet strings become one small number, in order of first sight.

One interner serves one batch of rows; its numbers are the indices of an Arrow dictionary. Hashes
are public, so an attacker can choose colliding names: equality is always confirmed on the octets,
and a search gives up after `PROBES` steps and appends. The cost is then a repeated value in the
dictionary, never a wrong one and never quadratic time.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics.wire.jit import kernel
from forensics.wire.words import address_hash, le64, lowered, tail

PROBES: Final = 128
"""Slots looked at before a string is appended unsearched; honest data at half load needs a few."""

FIRST_SLOTS: Final = 1 << 12
"""Slots at first: small enough to stay in the cache nearest to the core; they double on demand."""

_SLACK: Final = 16

COUNT, MASK, USED, CAPACITY, ARENA = 0, 1, 2, 3, 4


class Interner(NamedTuple):
    """The arrays of one interner.

    Attributes:
        slots: int32, number of the string in each hash slot, -1: free. Only the first
            `state[MASK] + 1` are in use.
        hashes: uint64, by number.
        starts: int64, offset in `arena` by number; the string ends where the next one starts.
        arena: uint8, the octets of all strings.
        state: int64: count of strings, slot mask, octets used, most strings, most octets.
    """

    slots: NDArray[np.int32]
    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    arena: NDArray[np.uint8]
    state: NDArray[np.int64]


def interner(strings: int, octets: int) -> Interner:
    """Make an interner for at most `strings` strings of `octets` octets together.

    Memory is touched only as it is used.
    """
    slots = FIRST_SLOTS
    while slots < 2 * strings:
        slots *= 2
    made = Interner(
        np.empty(slots, np.int32),
        np.empty(strings, np.uint64),
        np.empty(strings + 1, np.int64),
        np.empty(octets + _SLACK, np.uint8),
        np.zeros(8, np.int64),
    )
    made.state[CAPACITY] = strings
    made.state[ARENA] = octets
    clear(made)
    return made


def clear(used: Interner) -> None:
    """Forget every string."""
    used.slots[:FIRST_SLOTS] = -1
    used.state[COUNT] = 0
    used.state[MASK] = FIRST_SLOTS - 1
    used.state[USED] = 0
    used.starts[0] = 0


@kernel
def _grow(used: Any) -> None:
    """Double the slots in use and sort every string into them anew."""
    mask = 2 * used.state[1] + 1
    used.slots[: mask + 1] = -1
    used.state[1] = mask
    for number in range(used.state[0]):
        slot = np.int64(used.hashes[number] & np.uint64(mask))
        for _ in range(128):
            if used.slots[slot] < 0:
                used.slots[slot] = number
                break
            slot = (slot + 1) & mask


@kernel
def same(kept: Any, at: int, octets: Any, start: int, length: int, lower: bool) -> bool:
    """Compare kept octets with `length` others, those lower-cased if `lower`."""
    done = 0
    while done < length:
        left = length - done
        if start + done + 8 <= len(octets):
            word = le64(octets, start + done)
        else:
            word = tail(octets, start + done, min(left, 7))
            left = min(left, 7)
        if lower:
            word = lowered(word)
        difference = word ^ le64(kept, at + done)
        if left < 8:
            difference &= (np.uint64(1) << np.uint64(8 * left)) - np.uint64(1)
        if difference != np.uint64(0):
            return False
        done += min(left, 8)
    return True


@kernel
def intern(used: Any, hashed: Any, octets: Any, start: int, length: int, lower: bool) -> int:
    """Give the number of a string, a new one if it is new; -1: the interner is full.

    Args:
        used: the interner.
        hashed: uint64, hash of the string (lower-cased if `lower`).
        octets: uint8 array that holds the string at `start`, `length` octets, checked.
        start: see octets.
        length: see octets.
        lower: keep and compare the string in lower case.
    """
    slots, hashes, starts, arena, state = used
    if 2 * state[0] > state[1] and state[1] + 1 < len(slots):
        _grow(used)
    mask = state[1]
    slot = np.int64(hashed & np.uint64(mask))
    free = -1
    for _ in range(128):
        number = slots[slot]
        if number < 0:
            free = slot
            break
        if (
            hashes[number] == hashed
            and starts[number + 1] - starts[number] == length
            and same(arena, starts[number], octets, start, length, lower)
        ):
            return np.int64(number)
        slot = (slot + 1) & mask
    number = state[0]
    at = state[2]
    if number >= state[3] or at + length > state[4]:
        return np.int64(-1)
    done = 0
    while done < length:
        octet = octets[start + done]
        if lower and 65 <= octet <= 90:
            octet += np.uint8(32)
        arena[at + done] = octet
        done += 1
    hashes[number] = hashed
    state[0] = number + 1
    state[2] = at + length
    starts[number + 1] = at + length
    if free >= 0:
        slots[free] = number
    return np.int64(number)


@kernel
def intern_address(used: Any, octets: Any, start: int) -> int:
    """Give the number of an address of 16 octets; -1: the interner is full."""
    slots, hashes, _, arena, state = used
    high = le64(octets, start)
    low = le64(octets, start + 8)
    hashed = address_hash(octets, start)
    mask = state[1]
    slot = np.int64(hashed & np.uint64(mask))
    for _ in range(128):
        number = np.int64(slots[slot])
        if number < 0:
            break
        at = 16 * number
        if hashes[number] == hashed and le64(arena, at) == high and le64(arena, at + 8) == low:
            return number
        slot = (slot + 1) & mask
    return intern(used, hashed, octets, start, 16, False)
