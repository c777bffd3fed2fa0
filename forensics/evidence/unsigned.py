"""The kernel that lists the RRsets of a response for which no RRSIG came along."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.evidence.arrays import (
    LIMIT,
    MALFORMED,
    STATE_WORK,
    Gathering,
    Messages,
    Scratch,
)
from forensics.evidence.rrsets import owner_of
from forensics.vocabulary import Section
from forensics.wire.intern import Interner, intern, interner
from forensics.wire.jit import inlined_kernel
from forensics.wire.records import (
    CLASS,
    HEADER_OCTETS,
    OWNER,
    RDATA,
    RDLENGTH,
    SECTION,
    TTL,
    TYPE,
    expand_name,
    resolve_name,
    same_name,
)
from forensics.wire.words import be16, name_hash

_IN: Final = 1
_NS: Final = 2
_CNAME: Final = 5
_DNAME: Final = 39
_RRSIG: Final = 46
_ADDITIONAL: Final = int(Section.ADDITIONAL)
_WORK: Final = limits.MESSAGE_WORK
_MOST: Final = 65_535

NO_NAME: Final = -1
"""In `UnsignedRows.owner`: the question's name; in `target`: none."""


class UnsignedRows(NamedTuple):
    """The unsigned RRsets of a block, columns of schema UNSIGNED; names by their numbers."""

    transaction: NDArray[np.uint64]
    time: NDArray[np.int64]
    frame: NDArray[np.uint32]
    capture: NDArray[np.uint16]
    place: NDArray[np.uint32]
    section: NDArray[np.uint8]
    type: NDArray[np.uint16]
    owner: NDArray[np.int32]
    target: NDArray[np.int32]
    records: NDArray[np.uint16]
    ttl: NDArray[np.uint32]
    flags: NDArray[np.uint16]
    serial: NDArray[np.uint32]


def rows(count: int) -> UnsignedRows:
    """Make room for `count` rows; memory is touched only as it is used."""
    kinds: dict[str, Any] = {
        "transaction": np.uint64,
        "time": np.int64,
        "capture": np.uint16,
        "section": np.uint8,
        "type": np.uint16,
        "owner": np.int32,
        "target": np.int32,
        "records": np.uint16,
        "flags": np.uint16,
    }
    return UnsignedRows(
        **{name: np.empty(count, kinds.get(name, np.uint32)) for name in UnsignedRows._fields}
    )


def names() -> Interner:
    """Make room for the distinct owners and targets of a block."""
    return interner(limits.UNSIGNED_NAMES, limits.UNSIGNED_NAME_OCTETS)


@inlined_kernel
def _place(octets: NDArray[np.uint8], base: int, owner: int) -> Any:
    """Return where a listed record's owner leads, one pointer followed: equal is the same name."""
    octet: Any = np.int64(octets[owner])
    return base + (be16(octets, owner) & 0x3FFF) if octet >= 192 else np.int64(owner)


@inlined_kernel
def _signed_run(octets: NDArray[np.uint8], base: int, stop: int, record: int, work: Scratch) -> Any:
    """Return the RRSIG that stands right behind the RRset that begins here; -1: none does.

    So nearly every server writes them. No name is looked at, and only records of one RRset are
    passed over.
    """
    kind = work.records[record, TYPE]
    section = work.records[record, SECTION]
    place = _place(octets, base, work.records[record, OWNER])
    other: Any = np.int64(record + 1)
    while other < stop:
        if (
            work.records[other, SECTION] != section
            or work.records[other, CLASS] != _IN
            or _place(octets, base, work.records[other, OWNER]) != place
        ):
            return -1
        found = work.records[other, TYPE]
        if found == _RRSIG:
            whole = work.records[other, RDLENGTH] >= 2
            return other if whole and be16(octets, work.records[other, RDATA]) == kind else -1
        if found != kind:
            return -1
        other += 1
    return -1


@inlined_kernel
def _is_covered(
    octets: NDArray[np.uint8],
    base: int,
    end: int,
    first: int,
    found: int,
    record: int,
    position: int,
    work: Scratch,
) -> bool:
    """Whether an RRSIG in the record's section covers its RRset, whatever it is worth."""
    kind = work.records[record, TYPE]
    section = work.records[record, SECTION]
    elsewhere = False
    work.state[STATE_WORK] += found
    for other in range(first, first + found):
        if (
            work.records[other, TYPE] == _RRSIG
            and work.records[other, SECTION] == section
            and work.records[other, RDLENGTH] >= 2
            and be16(octets, work.records[other, RDATA]) == kind
            and work.records[other, CLASS] == _IN
        ):
            if resolve_name(octets, base, end, work.records[other, OWNER]) == position:
                return True
            elsewhere = True
    if not elsewhere:
        return False
    # The name may be written out in two places, or in letters of another case.
    owner = owner_of(octets, base, end, record, work)
    work.state[STATE_WORK] += found
    for other in range(first, first + found):
        if (
            work.records[other, TYPE] == _RRSIG
            and work.records[other, SECTION] == section
            and work.records[other, RDLENGTH] >= 2
            and be16(octets, work.records[other, RDATA]) == kind
            and work.records[other, CLASS] == _IN
            and owner_of(octets, base, end, other, work) == owner
        ):
            return True
    return False


@inlined_kernel
def _number(octets: NDArray[np.uint8], start: int, length: int, kept: Interner) -> Any:
    """Number a lower-case wire name; -1: no room."""
    return intern(
        kept.slots,
        kept.hashes,
        kept.starts,
        kept.arena,
        kept.state,
        name_hash(octets, start, length),
        octets,
        start,
        length,
        False,
    )


@inlined_kernel
def note_unsigned(
    messages: Messages,
    message: int,
    base: int,
    end: int,
    first: int,
    found: int,
    broken: int,
    flags: int,
    work: Scratch,
    held: Gathering,
    count: int,
    rows: UnsignedRows,
    kept: Interner,
) -> Any:
    """Add a row for each RRset in whole sections of answer and authority without RRSIG.

    Args:
        messages: the block.
        message: number of the response in it.
        base: where it begins.
        end: where it ends.
        first: its first record in `work.records`.
        found: its records.
        broken: the first section that is not whole.
        flags: SightingFlag bits of the response.
        work: memory; `rdatas` is written over.
        held: for what is skipped.
        count: rows so far.
        rows: where they go.
        kept: the names so far.

    Returns:
        rows written so far.
    """
    octets = messages.octets
    signed = messages.signatures[message] > 0
    asked = base + HEADER_OCTETS
    begin = count
    last_type: Any = np.int64(-1)
    last_position: Any = np.int64(-1)
    last_section: Any = np.int64(-1)
    last_row: Any = np.int64(-1)
    following: Any = np.int64(first)
    stop = first + found
    while following < stop:
        record = following
        following = record + 1
        kind = work.records[record, TYPE]
        section = work.records[record, SECTION]
        if section >= _ADDITIONAL or section >= broken:
            break
        if kind == _RRSIG or work.records[record, CLASS] != _IN:
            continue
        if work.state[STATE_WORK] > _WORK:
            held.skipped[LIMIT] += 1
            break
        if signed:
            signature = _signed_run(octets, base, stop, record, work)
            if signature >= 0:
                following = signature + 1
                last_type = np.int64(-1)
                continue
        position = resolve_name(octets, base, end, work.records[record, OWNER])
        if position < 0:
            held.skipped[MALFORMED] += 1
            continue
        if kind == last_type and position == last_position and section == last_section:
            if last_row >= 0 and rows.records[last_row] < _MOST:
                rows.records[last_row] += 1
            continue
        last_type, last_position, last_section = kind, position, section
        last_row = np.int64(-1)
        if signed and _is_covered(octets, base, end, first, found, record, position, work):
            continue
        owner: Any = np.int64(NO_NAME)
        if position != asked:
            name = owner_of(octets, base, end, record, work)
            if name < 0:
                held.skipped[MALFORMED] += 1
                continue
            start = work.name_at[name, 1]
            after, _ = same_name(octets, base, end, asked, work.names, start, True)
            if after < 0:
                owner = _number(work.names, start, work.name_at[name, 2], kept)
                if owner < 0:
                    held.skipped[LIMIT] += 1
                    continue
        work.state[STATE_WORK] += count - begin
        for row in range(begin, count):
            if rows.type[row] == kind and rows.section[row] == section and rows.owner[row] == owner:
                last_row = np.int64(row)
                break
        if last_row >= 0:
            if rows.records[last_row] < _MOST:
                rows.records[last_row] += 1
            continue
        if count >= rows.type.shape[0]:
            held.skipped[LIMIT] += 1
            break
        target: Any = np.int64(NO_NAME)
        if kind in (_NS, _CNAME, _DNAME):
            data = work.records[record, RDATA]
            after, length = expand_name(
                octets, base, data + work.records[record, RDLENGTH], data, work.rdatas, 0, True
            )
            if after >= 0:
                target = _number(work.rdatas, 0, length, kept)
                if target < 0:
                    held.skipped[LIMIT] += 1
        rows.transaction[count] = messages.transaction[message]
        rows.time[count] = messages.time[message]
        rows.frame[count] = messages.frame[message]
        rows.capture[count] = messages.capture[message]
        rows.place[count] = messages.place[message]
        rows.section[count] = section
        rows.type[count] = kind
        rows.owner[count] = owner
        rows.target[count] = target
        rows.records[count] = 1
        ttl = work.records[record, TTL]
        rows.ttl[count] = ttl if ttl < 2**31 else 0  # RFC 2181 8
        rows.flags[count] = flags
        rows.serial[count] = messages.serial[message]
        last_row = np.int64(count)
        count += 1
    return count
