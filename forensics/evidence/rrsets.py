"""Kernels that find the records of one RRset and put them into canonical order."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.evidence.arrays import (
    ABSENT,
    ENTRY_HEADER,
    INCOMPLETE,
    LIMIT,
    MALFORMED,
    SET_COUNT,
    SET_OWNER,
    SET_SECTION,
    SET_TTL,
    SET_TYPE,
    STATE_NAMES,
    STATE_WORK,
    Scratch,
)
from forensics.wire.canonical import canonical_rdata, count_labels, insert_sorted
from forensics.wire.jit import inlined_kernel
from forensics.wire.records import (
    CLASS,
    NAME,
    OWNER,
    RDATA,
    RDLENGTH,
    SECTION,
    TTL,
    TYPE,
    expand_name,
    resolve_name,
)

_IN: Final = 1
_RECORDS: Final = limits.RRSET_RECORDS
_TTL_LIMIT: Final = 2**31


@inlined_kernel
def owner_of(octets: NDArray[np.uint8], base: int, end: int, record: int, work: Scratch) -> Any:
    """Return the number of the record's owner among the message's names; -1: it is no name."""
    known = work.records[record, NAME]
    if known >= 0:
        return known
    position = resolve_name(octets, base, end, work.records[record, OWNER])
    if position < 0:
        return -1
    names = work.state[STATE_NAMES]
    for number in range(names - 1, -1, -1):
        if work.name_at[number, 0] == position:
            work.records[record, NAME] = number
            return number
    start = work.name_at[names - 1, 1] + work.name_at[names - 1, 2] if names > 0 else 0
    after, length = expand_name(octets, base, end, position, work.names, start, True)
    if after < 0:
        return -1
    work.state[STATE_WORK] += names + length
    found = -1
    for number in range(names - 1, -1, -1):
        if work.name_at[number, 2] == length:
            other = work.name_at[number, 1]
            same = True
            for step in range(length):
                if work.names[other + step] != work.names[start + step]:
                    same = False
                    break
            if same:
                found = number
                break
    if found < 0:
        found = names
        work.name_at[names, 0] = position
        work.name_at[names, 1] = start
        work.name_at[names, 2] = length
        work.name_at[names, 3] = count_labels(work.names, start)
        work.state[STATE_NAMES] = names + 1
    work.records[record, NAME] = found
    return found


@inlined_kernel
def bring_rrset(
    octets: NDArray[np.uint8],
    base: int,
    end: int,
    first: int,
    count: int,
    owner: int,
    kind: int,
    section: int,
    work: Scratch,
) -> Any:
    """Put the RRset of that owner, type and section, class IN, into the scratch memory.

    The message's records are `work.records[first:first + count]`.

    Returns:
        its records, duplicates left out; or -1 minus the reason in SKIPPED.
    """
    state = work.state
    if state[SET_OWNER] == owner and state[SET_TYPE] == kind and state[SET_SECTION] == section:
        return state[SET_COUNT]
    # Typed, since numba compiles what they go into once more for a literal.
    found: Any = np.int64(0)
    at: Any = np.int64(0)
    ttl: Any = np.int64(0)
    state[STATE_WORK] += count
    for record in range(first, first + count):
        if (
            work.records[record, TYPE] != kind
            or work.records[record, SECTION] != section
            or work.records[record, CLASS] != _IN
            or owner_of(octets, base, end, record, work) != owner
        ):
            continue
        if found == _RECORDS:
            found = -1 - LIMIT
            break
        start = work.records[record, RDATA]
        after = canonical_rdata(
            octets, base, kind, start, work.records[record, RDLENGTH], work.rdatas, at
        )
        if after < 0:
            found = -1 - (MALFORMED if after == -1 else INCOMPLETE)
            break
        ttl = max(ttl, work.records[record, TTL])
        state[STATE_WORK] += after - at
        work.spans[found, 0] = at
        work.spans[found, 1] = after - at
        grown = insert_sorted(work.rdatas, work.spans, work.order, found)
        if grown > found:
            at = after
        found = grown
    state[SET_OWNER] = owner
    state[SET_TYPE] = kind
    state[SET_SECTION] = section
    state[SET_COUNT] = found if found != 0 else -1 - ABSENT
    state[SET_TTL] = ttl if ttl < _TTL_LIMIT else 0  # RFC 2181 8
    return state[SET_COUNT]


@inlined_kernel
def seal(work: Scratch, first: int, second: int) -> int:
    """Finish the entry of `first + second` octets: zero its end, set its header; return words."""
    end = ENTRY_HEADER + first + second
    while end & 7:
        work.octets[end] = 0
        end += 1
    work.words[0] = np.uint64(first) | (np.uint64(second) << np.uint64(32))
    return end >> 3
