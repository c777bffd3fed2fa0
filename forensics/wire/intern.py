"""Interning: equal octet strings become one small number, in order of first sight.

One interner serves one batch of rows; its numbers are the indices of an Arrow dictionary. Hashes
are public, so an attacker can choose colliding names: equality is always confirmed on the octets,
and a search gives up after `PROBES` steps and appends. The cost is then a repeated value in the
dictionary, never a wrong one and never quadratic time.

What costs time is not the comparing but waiting for memory, so a search touches two cache lines:
the slot, and the string, which carries its own number and length.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics.wire.jit import lean_kernel
from forensics.wire.words import le64, lowered, prefetch, some

PROBES: Final = 128
"""Slots looked at before a string is appended unsearched; honest data at half load needs a few."""

FIRST_SLOTS: Final = 1 << 12
"""Slots at first: small enough to stay in the cache nearest to the core; they double on demand."""

HEAD: Final = 8
"""Octets before each string in the arena: its number, then its length, four each, least first."""

COUNT, MASK, USED, CAPACITY, ARENA = 0, 1, 2, 3, 4
_LOW: Final = 0xFFFFFFFF


class Interner(NamedTuple):
    """The arrays of one interner.

    Attributes:
        slots: int64, upper half of the hash << 32 | offset of the string's head in the arena;
            -1: free. Only the first `state[MASK] + 1` are in use.
        hashes: uint64, by number.
        starts: int64, offset in `arena` of the string's first octet, by number.
        arena: uint8, head and octets of all strings.
        state: int64: count of strings, slot mask, octets used, most strings, most octets.
    """

    slots: NDArray[np.int64]
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
    octets += HEAD * strings
    made = Interner(
        np.empty(slots, np.int64),
        np.empty(strings, np.uint64),
        np.empty(strings, np.int64),
        np.empty(octets + HEAD, np.uint8),
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


def lengths(used: Interner) -> NDArray[np.int64]:
    """The octets of every string, int64, by number."""
    count = int(used.state[COUNT])
    ends = np.empty(count, np.int64)
    if count:
        ends[:-1] = used.starts[1:count] - HEAD
        ends[-1] = used.state[USED]
    return ends - used.starts[:count]


@lean_kernel
def _grow(slots: Any, hashes: Any, starts: Any, state: Any) -> None:
    """Double the slots in use and sort every string into them anew."""
    mask = 2 * state[1] + 1
    slots[: mask + 1] = -1
    state[1] = mask
    for number in range(state[0]):
        hashed = hashes[number]
        slot = np.int64(hashed & np.uint64(mask))
        for _ in range(PROBES):
            if slots[slot] < 0:
                slots[slot] = (np.int64(hashed >> np.uint64(33)) << 32) | (starts[number] - HEAD)
                break
            slot = (slot + 1) & mask


@lean_kernel
def same(kept: Any, at: Any, octets: Any, start: Any, length: Any, lower: Any) -> Any:
    """Compare kept octets with `length` others, those lower-cased if `lower`."""
    for done in range(0, length, 8):
        count = min(length - done, 8)
        word = some(octets, start + done, count)
        if lower:
            word = lowered(word)
        if word != some(kept, at + done, count):
            return False
    return True


@lean_kernel
def find(
    slots: Any,
    arena: Any,
    mask: Any,
    hashed: Any,
    octets: Any,
    start: Any,
    length: Any,
    lower: Any,
) -> Any:
    """Give the number of a string that is kept, -1: not there. See `intern`."""
    slot = np.int64(hashed & np.uint64(mask))
    tag = np.int64(hashed >> np.uint64(33))
    for _ in range(PROBES):
        held = slots[slot]
        if held < 0:
            break
        if (held >> 32) == tag:
            at = held & _LOW
            head = le64(arena, at)
            if np.int64(head >> np.uint64(32)) == length and same(
                arena, at + HEAD, octets, start, length, lower
            ):
                return np.int64(head & np.uint64(_LOW))
        slot = (slot + 1) & mask
    return np.int64(-1)


@lean_kernel
def append(
    slots: Any,
    hashes: Any,
    starts: Any,
    arena: Any,
    state: Any,
    hashed: Any,
    octets: Any,
    start: Any,
    length: Any,
    lower: Any,
) -> Any:
    """Keep a new string; give its number, -1: the interner is full. See `intern`."""
    number = state[0]
    at = state[2]
    end = at + HEAD + length
    if number >= state[3] or end > state[4]:
        return np.int64(-1)
    if 2 * number > state[1] and state[1] + 1 < len(slots):
        _grow(slots, hashes, starts, state)
    mask = state[1]
    slot = np.int64(hashed & np.uint64(mask))
    for _ in range(PROBES):
        if slots[slot] < 0:
            slots[slot] = (np.int64(hashed >> np.uint64(33)) << 32) | at
            break
        slot = (slot + 1) & mask
    for octet in range(4):
        arena[at + octet] = (number >> (8 * octet)) & 255
        arena[at + 4 + octet] = (length >> (8 * octet)) & 255
    for done in range(length):
        octet = octets[start + done]
        if lower and 65 <= octet <= 90:
            octet += np.uint8(32)
        arena[at + HEAD + done] = octet
    hashes[number] = hashed
    starts[number] = at + HEAD
    state[0] = number + 1
    state[2] = end
    return number


@lean_kernel
def intern(
    slots: Any,
    hashes: Any,
    starts: Any,
    arena: Any,
    state: Any,
    hashed: Any,
    octets: Any,
    start: Any,
    length: Any,
    lower: Any,
) -> Any:
    """Give the number of a string, a new one if it is new; -1: the interner is full.

    The arrays of the interner come one by one: a tuple of arrays would be copied at each call.

    Args:
        slots: see `Interner`, and so the next four.
        hashes: see slots.
        starts: see slots.
        arena: see slots.
        state: see slots.
        hashed: uint64, hash of the string (lower-cased if `lower`).
        octets: uint8 array that holds the string at `start`, `length` octets, checked.
        start: see octets.
        length: see octets.
        lower: keep and compare the string in lower case.
    """
    number = find(slots, arena, state[1], hashed, octets, start, length, lower)
    if number < 0:
        number = append(slots, hashes, starts, arena, state, hashed, octets, start, length, lower)
    return number


@lean_kernel
def prefetch_slot(slots: Any, mask: Any, hashed: Any) -> None:
    """Ask for the slot where a search for `hashed` will start."""
    prefetch(slots, np.int64(hashed & np.uint64(mask)))


@lean_kernel
def prefetch_string(slots: Any, arena: Any, mask: Any, hashed: Any) -> None:
    """Ask for the string that a search for `hashed` will probably find."""
    held = slots[np.int64(hashed & np.uint64(mask))]
    if held >= 0:
        prefetch(arena, held & _LOW)
