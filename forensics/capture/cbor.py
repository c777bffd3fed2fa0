"""Kernels that walk CBOR (RFC 8949) within bounds: depth, lengths and counts are all checked.

C-DNS uses maps with small integers as keys, arrays, octet strings and integers. A kernel never
builds a value: it gives integers, and offsets of everything else.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.capture.integers import int64
from forensics.wire.jit import kernel, lean_kernel
from forensics.wire.words import be16, be32

MISSING: Final = -(2**62)
"""In place of a number or an offset: the map has no such key, or a value of another kind."""

UNSIGNED: Final = 0
NEGATIVE: Final = 1
OCTETS: Final = 2
TEXT: Final = 3
ARRAY: Final = 4
MAP: Final = 5
_TAG: Final = 6
_SIMPLE: Final = 7

INDEFINITE: Final = -1
"""In place of a length: the item ends at a break."""
BREAK: Final = -2

MORE: Final = -1
"""The item goes on behind the end of the octets."""
BROKEN: Final = -2
"""No item of a kind that C-DNS may hold."""

_DEEPEST: Final = limits.CBOR_DEPTH


@lean_kernel
def head(octets: Any, at: int, end: int) -> tuple[int, int, int]:
    """Read the head of the item at `at`: (major type, argument, offset behind it).

    The argument is clamped to 2^62, `INDEFINITE` for an item without length, `BREAK` for the
    break. The offset is `MORE` or `BROKEN` where there is no whole head.
    """
    if at >= end:
        return 0, 0, MORE
    first = int64(octets[at])
    major = first >> 5
    short = first & 31
    at += 1
    if short < 24:
        return major, short, at
    if short < 28:
        width = 1 << (short - 24)
        if end - at < width:
            return major, 0, MORE
        if width == 1:
            return major, int64(octets[at]), at + 1
        if width == 2:
            return major, be16(octets, at), at + 2
        value = be32(octets, at)
        if width == 8:
            low = be32(octets, at + 4)
            value = 1 << 62 if value >= 1 << 30 else value << 32 | low
        return major, value, at + width
    if short == 31 and major in (OCTETS, TEXT, ARRAY, MAP):
        return major, INDEFINITE, at
    if short == 31 and major == _SIMPLE:
        return major, BREAK, at
    return major, 0, BROKEN


@kernel
def skip(octets: Any, at: int, end: int) -> int:
    """Offset behind the item at `at`; `MORE` or `BROKEN`."""
    # Items still to come at each depth; negative: until a break.
    left = np.empty(_DEEPEST, np.int64)
    left[0] = 1
    depth = 0
    while True:
        while depth > 0 and left[depth] == 0:
            depth -= 1
        if depth == 0 and left[0] == 0:
            return at
        major, value, behind = head(octets, at, end)
        if behind < 0:
            return behind
        at = behind
        if value == BREAK and major == _SIMPLE:
            if depth == 0 or left[depth] >= 0:
                return BROKEN
            depth -= 1
            continue
        if left[depth] > 0:
            left[depth] -= 1
        if major in (OCTETS, TEXT):
            if value == INDEFINITE:
                # Its pieces are items up to a break.
                if depth + 1 == _DEEPEST:
                    return BROKEN
                depth += 1
                left[depth] = INDEFINITE
            elif value > end - at:
                return MORE
            else:
                at += value
        elif major in (ARRAY, MAP):
            if depth + 1 == _DEEPEST:
                return BROKEN
            depth += 1
            left[depth] = value if value < 0 or major == ARRAY else 2 * min(value, 1 << 60)
        elif major == _TAG and left[depth] >= 0:
            left[depth] += 1


@kernel
def entries(octets: Any, at: int, end: int, nested: int, values: Any) -> int:
    """Read the map at `at` into values[key], int64; return the offset behind it.

    Bit k of `nested` says that key k holds no number: its offset is given. Keys that are negative
    or beyond `values`, and values of the wrong kind, are passed over. Where the map runs beyond
    `end` the result is `MORE`, and what was read stands in `values`, the last one perhaps cut.
    """
    for key in range(len(values)):
        values[key] = MISSING
    major, count, at = head(octets, at, end)
    if at < 0:
        return at
    if major != MAP:
        return BROKEN
    while count != 0:
        major, key, behind = head(octets, at, end)
        if behind < 0:
            return behind
        if major == _SIMPLE and key == BREAK:
            return behind if count < 0 else BROKEN
        if count > 0:
            count -= 1
        known = major == UNSIGNED and key < len(values)
        # A key that is no integer is passed over like one that is unknown.
        start = behind if major <= NEGATIVE else skip(octets, at, end)
        if start < 0:
            return start
        major, value, behind = head(octets, start, end)
        if behind < 0:
            return behind
        plain = major <= NEGATIVE
        if known and plain != (nested >> key & 1 == 1) and major <= MAP:
            if plain:
                values[key] = value if major == UNSIGNED else -1 - value
            else:
                values[key] = start
        at = behind if plain else skip(octets, start, end)
        if at < 0:
            return at
    return at


@kernel
def count_items(octets: Any, at: int, end: int, most: int) -> int:
    """Count the whole items of the array at `at`, at most `most`; -1: it is no array."""
    major, count, at = head(octets, at, end)
    if at < 0 or major != ARRAY:
        return -1
    found = 0
    while found != count and found < most:
        if count < 0 and at < end and octets[at] == 0xFF:
            break
        at = skip(octets, at, end)
        if at < 0:
            break
        found += 1
    return found


@kernel
def items(octets: Any, at: int, end: int, start: Any) -> None:
    """Offsets of the first items of the array at `at`, whose count has been taken."""
    _, _, at = head(octets, at, end)
    for row in range(len(start)):
        start[row] = at
        at = skip(octets, at, end)


@kernel
def rows(octets: Any, at: int, end: int, nested: int, values: Any) -> None:
    """Read the first items of the array at `at`, maps, into values int64 (items, keys)."""
    _, _, at = head(octets, at, end)
    for row in range(len(values)):
        behind = entries(octets, at, end, nested, values[row])
        at = behind if behind >= 0 else skip(octets, at, end)


@kernel
def strings(octets: Any, at: int, end: int, start: Any, length: Any) -> None:
    """Offsets and lengths of the first items of an array of octet strings; -1: no such string."""
    _, _, at = head(octets, at, end)
    for row in range(len(start)):
        major, value, behind = head(octets, at, end)
        good = major == OCTETS and value >= 0
        start[row] = behind if good else 0
        length[row] = value if good else -1
        at = skip(octets, at, end)


@kernel
def lists(octets: Any, at: int, end: int, first: Any, flat: Any) -> int:
    """Read an array of arrays of numbers: list r is flat[first[r]:first[r + 1]].

    Return how many numbers there are; with an empty `flat`, only that.
    """
    _, _, at = head(octets, at, end)
    total = 0
    for row in range(len(first) - 1):
        if len(flat):
            first[row] = total
        major, count, inner = head(octets, at, end)
        if major == ARRAY:
            found = 0
            while found != count:
                kind, value, inner = head(octets, inner, end)
                if inner < 0 or kind != UNSIGNED:
                    break
                if total < len(flat):
                    flat[total] = value
                found += 1
                total += 1
        at = skip(octets, at, end)
    if len(flat):
        first[len(first) - 1] = total
    return total
