"""The kernel that tells a DNS message on an unexpected port from other UDP traffic.

A header and a question can be met by chance; that every record then fits, and the last one ends
exactly where the message ends, cannot.
"""

from __future__ import annotations

from typing import Any

from forensics.capture.integers import int64
from forensics.wire.jit import lean_kernel
from forensics.wire.words import be16


@lean_kernel
def _skip_name(octets: Any, at: int, end: int, pointers: bool) -> int:
    """Offset behind the name at `at` (RFC 1035 4.1.4), -1: no name. Pointers are not followed."""
    start = at
    while at < end:
        size = int64(octets[at])
        if size == 0:
            return at + 1
        if size >= 0xC0:
            return at + 2 if pointers and at + 2 <= end else -1
        if size > 63:
            return -1
        at += 1 + size
        if at - start > 254:
            return -1
    return -1


@lean_kernel
def plausible(octets: Any, start: int, end: int, whole: bool) -> bool:
    """Whether octets [start, end) are one DNS message (RFC 1035 4.1) with one question.

    `whole`: the message ends at `end`; else the records need only fit as far as they go.
    """
    if start + 17 > end:
        return False
    opcode = (octets[start + 2] >> 3) & 15
    if opcode not in (0, 4, 5) or be16(octets, start + 4) != 1:
        return False
    records = be16(octets, start + 6) + be16(octets, start + 8) + be16(octets, start + 10)
    # A record takes 11 octets at least.
    if whole and records * 11 > end - start:
        return False
    at = _skip_name(octets, start + 12, end, False)
    if at < 0 or at + 4 > end:
        return False
    kind = be16(octets, at)
    known = 0 < kind <= 110 or 249 <= kind <= 262 or 32768 <= kind <= 32769 or kind >= 65280
    if not known or be16(octets, at + 2) not in (1, 3, 4, 254, 255):
        return False
    return records_fit(octets, at + 4, end, records, whole)


@lean_kernel
def records_fit(octets: Any, at: int, end: int, records: int, whole: bool) -> bool:
    """Whether so many records from `at` on end exactly at `end`; unless `whole`, at most there."""
    for _ in range(records):
        at = _skip_name(octets, at, end, True)
        if at < 0 or at + 10 > end:
            return not whole
        at += 10 + be16(octets, at + 8)
        if at > end:
            return not whole
    return at == end or not whole


@lean_kernel
def plausible_without_question(octets: Any, start: int, end: int) -> bool:
    """Whether octets [start, end) are one whole response without a question, with answers.

    So look the further messages of a zone transfer (RFC 5936 2.2.1).
    """
    if start + 12 + 11 > end:
        return False
    opcode = (octets[start + 2] >> 3) & 15
    if opcode != 0 or octets[start + 2] < 128 or be16(octets, start + 4) != 0:
        return False
    records = be16(octets, start + 6) + be16(octets, start + 8) + be16(octets, start + 10)
    if be16(octets, start + 6) == 0 or records * 11 > end - start:
        return False
    return records_fit(octets, start + 12, end, records, True)
