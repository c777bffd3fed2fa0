"""Kernels for the canonical form of RRsets (RFC 4034 section 6, RFC 6840 5.1).

The data that an RRSIG signs (RFC 4034 3.1.8.1) is the RRSIG's RDATA without the signature, then
each record with owner, type, class, original TTL and canonical RDATA, in canonical order.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.moves import SLACK, copy
from forensics.wire.records import NAME_OCTETS, expand_name, same_name
from forensics.wire.words import le64

# What the RDATA of a type with names is made of: octets before the names (-1: see the kernel),
# names, and what follows them.
NOTHING: Final = 0
SERIALS: Final = 1
ANYTHING: Final = 2

_LAYOUTS: Final = {
    2: (0, 1, NOTHING),  # NS
    3: (0, 1, NOTHING),  # MD
    4: (0, 1, NOTHING),  # MF
    5: (0, 1, NOTHING),  # CNAME
    6: (0, 2, SERIALS),  # SOA
    7: (0, 1, NOTHING),  # MB
    8: (0, 1, NOTHING),  # MG
    9: (0, 1, NOTHING),  # MR
    12: (0, 1, NOTHING),  # PTR
    14: (0, 2, NOTHING),  # MINFO
    15: (2, 1, NOTHING),  # MX
    17: (0, 2, NOTHING),  # RP
    18: (2, 1, NOTHING),  # AFSDB
    21: (2, 1, NOTHING),  # RT
    24: (18, 1, ANYTHING),  # SIG
    26: (2, 2, NOTHING),  # PX
    30: (0, 1, ANYTHING),  # NXT
    33: (6, 1, NOTHING),  # SRV
    35: (-1, 1, NOTHING),  # NAPTR
    36: (2, 1, NOTHING),  # KX
    38: (-1, 1, NOTHING),  # A6
    39: (0, 1, NOTHING),  # DNAME
    46: (18, 1, ANYTHING),  # RRSIG
    47: (0, 1, ANYTHING),  # NSEC: expanded, since some servers compress, but its case is kept
}
"""The types whose names are expanded: RFC 4034 6.2 as amended by RFC 6840 5.1 (which takes NSEC's
next name out of lower-casing; HINFO, listed there, has no names). RDATA of all others is opaque
(RFC 3597 section 7)."""

_LAYOUT_TYPES: Final = 48
_NAPTR: Final = 35
_A6: Final = 38
_NSEC: Final = 47


def _layout_table() -> NDArray[np.int64]:
    """Make the layouts an array, int64[type, (known, before, names, after)]."""
    table = np.zeros((_LAYOUT_TYPES, 4), dtype=np.int64)
    for number, (before, names, after) in _LAYOUTS.items():
        table[number] = (1, before, names, after)
    return table


_LAYOUT: Final = _layout_table()


@inlined_kernel
def canonical_rdata(
    octets: NDArray[np.uint8],
    base: int,
    kind: int,
    start: int,
    length: int,
    out: NDArray[np.uint8],
    at: int,
) -> Any:
    """Write the canonical RDATA of one record of type `kind` to `out[at:]`.

    The RDATA lies in `octets[start:start + length]`, its message begins at `base`. The last
    moves.SLACK octets of `out` stay free of RDATA.

    Returns:
        the position in `out` after it; -1: the RDATA is not what its type demands; -2: `out` has
        no room for it.
    """
    room = out.shape[0] - SLACK
    end = start + length
    if kind >= _LAYOUT_TYPES or _LAYOUT[kind, 0] == 0:
        if at + length > room:
            return -2
        copy(out, at, octets, start, length)
        return at + length
    before = _LAYOUT[kind, 1]
    names = _LAYOUT[kind, 2]
    after = _LAYOUT[kind, 3]
    if kind == _NAPTR:
        # order, preference, then three character-strings (RFC 3403 4.1)
        before = 4
        for _ in range(3):
            if start + before >= end:
                return -1
            before += 1 + np.int64(octets[start + before])
    elif kind == _A6:
        # prefix length, address suffix, and a name unless the prefix is empty (RFC 2874 3.1)
        if length < 1 or octets[start] > 128:
            return -1
        prefix = np.int64(octets[start])
        before = 1 + (128 - prefix + 7) // 8
        names = 1 if prefix > 0 else 0
    if before > length:
        return -1
    if at + length + names * NAME_OCTETS > room:
        return -2
    copy(out, at, octets, start, before)
    position = start + before
    at += before
    for _ in range(names):
        position, written = expand_name(octets, base, end, position, out, at, kind != _NSEC)
        if position < 0:
            return -1
        at += written
    rest = end - position
    if (after == NOTHING and rest != 0) or (after == SERIALS and rest != 20):
        return -1
    copy(out, at, octets, position, rest)
    return at + rest


@lean_kernel
def same_octets(
    octets: NDArray[np.uint8], start: int, other: NDArray[np.uint8], at: int, count: int
) -> bool:
    """Whether `count` octets are equal. The caller has checked both ranges."""
    if count < 8:
        for step in range(count):  # noqa: SIM110, kernels know no generators
            if octets[start + step] != other[at + step]:
                return False
        return True
    # Octets that are looked at nearly always are equal: no early exit.
    step = count - 8
    difference = le64(octets, start + step) ^ le64(other, at + step)
    while step > 0:
        step = max(step - 8, 0)
        difference |= le64(octets, start + step) ^ le64(other, at + step)
    return bool(difference == np.uint64(0))


@lean_kernel
def same_rdata(
    octets: NDArray[np.uint8],
    base: int,
    kind: int,
    start: int,
    length: int,
    other: NDArray[np.uint8],
    at: int,
    count: int,
) -> bool:
    """Whether RDATA has the canonical form `other[at:at + count]`, found without building it.

    The RDATA of type `kind` lies in `octets[start:start + length]`, its message begins at `base`.
    NAPTR and A6 always differ: they are rare, and `canonical_rdata` knows them.
    """
    if kind >= _LAYOUT_TYPES or _LAYOUT[kind, 0] == 0:
        return length == count and same_octets(octets, start, other, at, length)
    before = _LAYOUT[kind, 1]
    after = _LAYOUT[kind, 3]
    if (
        before < 0
        or before > min(length, count)
        or not same_octets(octets, start, other, at, before)
    ):
        return False
    end = start + length
    position: Any = start + before
    done: Any = before
    for _ in range(_LAYOUT[kind, 2]):
        # A canonical form holds whole names, so that its own octets bound what is read of it.
        if done >= count:
            return False
        position, written = same_name(octets, base, end, position, other, at + done, kind != _NSEC)
        if position < 0:
            return False
        done += written
    rest = end - position
    if (after == NOTHING and rest != 0) or (after == SERIALS and rest != 20):
        return False
    return done + rest == count and same_octets(octets, position, other, at + done, rest)


@lean_kernel
def compare_octets(
    buffer: NDArray[np.uint8], left: int, left_length: int, right: int, right_length: int
) -> Any:
    """Order two octet strings of `buffer` left-justified; a missing octet comes before 0.

    RFC 4034 6.3. Returns a number below, equal to or above 0.
    """
    for step in range(min(left_length, right_length)):
        difference: Any = np.int64(buffer[left + step]) - np.int64(buffer[right + step])
        if difference != 0:
            return difference
    return left_length - right_length


@inlined_kernel
def insert_sorted(
    buffer: NDArray[np.uint8], spans: NDArray[np.int64], order: NDArray[np.int64], count: int
) -> int:
    """Insert span number `count` of `spans` (int64[n, (start, length)]) into the sorted `order`.

    `order[:count]` holds spans in canonical order; a duplicate is left out (RFC 4034 6.3). The
    new span must be the number `count`, so that a left-out one is overwritten by the next.

    Returns:
        how many stand in `order` now.
    """
    start = spans[count, 0]
    length = spans[count, 1]
    low = 0
    high = count
    # Servers that sort send the greatest last: then one comparison does.
    if count > 0:
        last = order[count - 1]
        difference = compare_octets(buffer, start, length, spans[last, 0], spans[last, 1])
        if difference == 0:
            return count
        if difference > 0:
            low = count
        else:
            high = count - 1
    while low < high:
        middle = (low + high) // 2
        other = order[middle]
        difference = compare_octets(buffer, start, length, spans[other, 0], spans[other, 1])
        if difference == 0:
            return count
        if difference > 0:
            low = middle + 1
        else:
            high = middle
    for place in range(count, low, -1):
        order[place] = order[place - 1]
    order[low] = count
    return count + 1


@lean_kernel
def count_labels(name: NDArray[np.uint8], start: int) -> int:
    """Count the labels of the wire name at `start` as the Labels field does (RFC 4034 3.1.3).

    Neither the root nor a leftmost `*` counts.
    """
    labels = 0
    position: Any = start
    while name[position] != 0:
        if not (position == start and name[position] == 1 and name[position + 1] == 42):
            labels += 1
        position += np.int64(name[position]) + 1
    return labels


@lean_kernel
def ends_with(
    name: NDArray[np.uint8],
    start: int,
    length: int,
    suffix: NDArray[np.uint8],
    at: int,
    octets: int,
) -> bool:
    """Whether the lower-case wire name `suffix[at:at + octets]` is `name` or an ancestor of it."""
    position: Any = start
    end = start + length
    while end - position > octets:
        position += np.int64(name[position]) + 1
    if end - position != octets:
        return False
    for step in range(octets):  # noqa: SIM110, kernels know no generators
        if name[position + step] != suffix[at + step]:
            return False
    return True
