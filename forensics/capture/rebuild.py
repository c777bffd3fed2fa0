"""Kernels that write DNS messages out of the query/response items of a C-DNS block.

Source: RFC 8618, section 7. An item is a query with its response, or either; its parts are numbers
of entries in the tables of its block. Names and RDATA are stored without compression, so a message
written of them may be longer than it was on the wire.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from forensics import limits
from forensics.capture.cbor import MISSING, OCTETS, entries, head
from forensics.capture.integers import int64
from forensics.capture.losses import Reason
from forensics.vocabulary import MessageFlag, Transport
from forensics.wire.jit import inlined_kernel, kernel
from forensics.wire.moves import SLACK, copy
from forensics.wire.words import be16

ITEM_KEYS: Final = 13
SIGNATURE_KEYS: Final = 17
NESTED_OF_ITEM: Final = 1 << 10 | 1 << 11 | 1 << 12
"""Keys of an item whose values are maps: processing data, and the two sets of sections."""
NESTED_OF_MALFORMED: Final = 1 << 3
"""The key of malformed message data whose value is the payload."""

BASE_SECONDS, BASE_TICKS, TICKS, HINTS, TTLS, FIRST_FRAME, BUDGET = range(7)
"""Places in `facts`: earliest time, ticks in a second, hints of what was stored for items, whether
RRs were stored with TTL and RDATA, number of the first item, octets that may still be written."""
FACTS: Final = 7

_OMITTED: Final = int(Reason.EXPORTER_OMITTED)
_INCOMPLETE: Final = int(Reason.ITEM_INCOMPLETE)
_NO_TIME: Final = int(Reason.NO_TIMESTAMP)
_SHORT: Final = int(Reason.MESSAGE_SHORT)
_LIMIT: Final = int(Reason.CBOR_LIMIT)
_PARTIAL: Final = int(MessageFlag.PARTIAL | MessageFlag.CUT)
_UNKNOWN_TRANSPORT: Final = 15
_TRANSPORTS: Final = np.array(
    [Transport.UDP, Transport.TCP, Transport.DOT, Transport.UDP, Transport.DOH], np.uint8
)
_TYPES: Final = np.array([9, 5, 3, 1, 7, 11, 13], np.uint8)
"""The dnstap type of the query by qr-type: stub, client, resolver, authoritative, forwarder …"""
_SPACE: Final = 2 * limits.MESSAGE_OCTETS + SLACK
_OPT: Final = 41
_IN: Final = 1


class Tables(NamedTuple):
    """The tables of one block over the octets of the window; rows of int64."""

    address: Any
    address_length: Any
    classtypes: Any
    name: Any
    name_length: Any
    signatures: Any
    lists: Any
    listed: Any
    records: Any
    types: Any
    """uint8 (65536): the types that the exporter kept"""


class Columns(NamedTuple):
    """The columns of `MessageBlock` that are written, over the octets `out`."""

    out: Any
    start: Any
    captured: Any
    length: Any
    time: Any
    frame: Any
    source: Any
    destination: Any
    source_port: Any
    destination_port: Any
    transport: Any
    kind: Any
    other_time: Any
    flags: Any


@inlined_kernel
def _put16(out: Any, at: int, value: int) -> int:
    out[at] = (value >> 8) & 255
    out[at + 1] = value & 255
    return at + 2


@inlined_kernel
def _put32(out: Any, at: int, value: int) -> int:
    return _put16(out, _put16(out, at, value >> 16), value)


@inlined_kernel
def _copy(octets: Any, start: int, size: int, out: Any, at: int) -> int:
    copy(out, at, octets, start, size)
    return at + size


@inlined_kernel
def _instant(facts: Any, offset: int) -> int:
    """Time in ns of `offset` ticks after the earliest time of the block; 0: none."""
    ticks = facts[TICKS]
    if offset == MISSING or abs(offset) > 1 << 60 or facts[BASE_SECONDS] == MISSING:
        return 0
    total = facts[BASE_TICKS] + offset
    second = facts[BASE_SECONDS] + total // ticks
    if not 0 <= second < 9_223_372_036:
        return 0
    return int64(second * limits.SECOND + (total % ticks) * limits.SECOND // ticks)


@inlined_kernel
def _put_address(octets: Any, tables: Any, index: int, six: bool, target: Any, row: int) -> None:
    """Write an address, of which a prefix may be stored, as 16 octets; zeros where there is none.

    Args:
        octets: the window.
        tables: of the block.
        index: number in the table of addresses.
        six: it is IPv6 if its length does not tell.
        target: uint8 (rows, 16), of which `row` is written.
        row: the row.
    """
    for place in range(16):
        target[row, place] = 0
    if not 0 <= index < len(tables.address):
        return
    size = tables.address_length[index]
    start = tables.address[index]
    if size > 16 or size <= 0:
        return
    if size > 4 or (six and size > 0):
        for place in range(size):
            target[row, place] = octets[start + place]
        return
    target[row, 10] = 255
    target[row, 11] = 255
    for place in range(size):
        target[row, 12 + place] = octets[start + place]


@inlined_kernel
def _put_name(octets: Any, tables: Any, index: int, asked: int, out: Any, at: int, end: int) -> int:
    """Write a name; one equal to the question's as a pointer. Return the offset behind; -1: none.

    The name must be whole, uncompressed and of at most 255 octets (RFC 1035 3.1).
    """
    if index == asked and index >= 0:
        return _put16(out, at, 0xC00C) if at + 2 <= end else -1
    if not 0 <= index < len(tables.name):
        return -1
    size = tables.name_length[index]
    start = tables.name[index]
    if size > 255 or at + size > end:
        return -1
    place = 0
    while place < size:
        label = int64(octets[start + place])
        if label == 0:
            if place + 1 == size:
                return _copy(octets, start, size, out, at)
            return -1
        if label > 63:
            return -1
        place += 1 + label
    return -1


@inlined_kernel
def _put_records(
    octets: Any, tables: Any, chosen: int, asked: int, out: Any, at: int, end: int
) -> tuple[int, int, bool, bool]:
    """Write the RRs of list `chosen`: (offset behind, how many, all of them, an OPT among them)."""
    written = 0
    has_opt = False
    if not 0 <= chosen < len(tables.lists) - 1:
        return at, 0, False, False
    for place in range(tables.lists[chosen], tables.lists[chosen + 1]):
        number = tables.listed[place]
        if not 0 <= number < len(tables.records):
            return at, written, False, has_opt
        owner = tables.records[number, 0]
        kind = tables.records[number, 1]
        ttl = tables.records[number, 2]
        rdata = tables.records[number, 3]
        if ttl < 0 or not (
            0 <= kind < len(tables.classtypes) and 0 <= rdata < len(tables.name_length)
        ):
            return at, written, False, has_opt
        size = tables.name_length[rdata]
        behind = _put_name(octets, tables, owner, asked, out, at, end)
        if behind < 0 or size < 0 or size > 65535 or behind + 10 + size > end:
            return at, written, False, has_opt
        at = _put16(out, behind, tables.classtypes[kind, 0])
        at = _put16(out, at, tables.classtypes[kind, 1])
        at = _put32(out, at, ttl)
        at = _put16(out, at, size)
        at = _copy(octets, tables.name[rdata], size, out, at)
        has_opt = has_opt or tables.classtypes[kind, 0] == _OPT
        written += 1
    return at, written, True, has_opt


@inlined_kernel
def _put_opt(
    octets: Any,
    tables: Any,
    out: Any,
    at: int,
    end: int,
    payload: int,
    extended: int,
    dnssec_ok: bool,
    options: int,
) -> tuple[int, bool]:
    """Write an OPT (RFC 6891 6.1.2) of what is known: (offset behind it, its options are there)."""
    size = 0
    whole = 0 <= options < len(tables.name_length) and tables.name_length[options] >= 0
    if whole:
        size = tables.name_length[options]
        if size > 65535 or at + 11 + size > end:
            size = 0
            whole = False
    out[at] = 0
    at = _put16(out, at + 1, _OPT)
    at = _put16(out, at, payload)
    at = _put16(out, at, extended)
    at = _put16(out, at, 0x8000 if dnssec_ok else 0)
    at = _put16(out, at, size)
    if size:
        at = _copy(octets, tables.name[options], size, out, at)
    return at, whole


@inlined_kernel
def _put_message(
    octets: Any,
    tables: Any,
    facts: Any,
    item: Any,
    signature: Any,
    sections: Any,
    response: bool,
    out: Any,
    base: int,
) -> tuple[int, bool]:
    """Write the query or the response of an item at `base`: (offset behind it, all of it is known).

    Args:
        octets: the window.
        tables: of the block.
        facts: what is the same for the items of the block.
        item: int64 (13), the item.
        signature: int64 (17), what it shares with others.
        sections: int64 (4), the lists of its sections.
        response: the response, else the query.
        out: there is room for the longest message.
        base: where it begins.
    """
    end = base + limits.MESSAGE_OCTETS - 512
    state = signature[4]
    bits = signature[6] >> (8 if response else 0)
    rcode = signature[16] if response else max(signature[7], 0)
    opcode = max(signature[5], 0) & 15
    header = opcode << 11 | rcode & 15 | (0x8000 if response else 0)
    # The flags from CD to AA have the same order in both formats; DO follows in that of queries.
    for bit in range(7):
        header |= (bits >> bit & 1) << (bit + 4)
    whole = True
    _put16(out, base, item[3] & 0xFFFF if item[3] >= 0 else 0)
    _put16(out, base + 2, header)
    for word in range(4):
        _put16(out, base + 4 + 2 * word, 0)
    at = base + 12
    asked = int64(-1)
    if state >> (5 if response else 4) & 1 == 0:
        behind = _put_name(octets, tables, item[7], -1, out, at, end)
        kind = signature[8]
        if behind >= 0 and 0 <= kind < len(tables.classtypes):
            qtype = tables.classtypes[kind, 0]
            _put16(out, behind, qtype)
            at = _put16(out, behind + 2, tables.classtypes[kind, 1])
            _put16(out, base + 4, 1)
            asked = item[7]
            # RRs of a type that is not kept are missing without a trace.
            if 0 <= qtype < 249 and tables.types[qtype] == 0:
                whole = False
        else:
            whole = False
    if sections[0] >= 0 or (not response and signature[9] > 1):
        whole = False  # further questions: nobody asks more than one
    has_opt = False
    for section in range(1, 4):
        if sections[section] >= 0:
            at, written, good, found = _put_records(
                octets, tables, sections[section], asked, out, at, end
            )
            _put16(out, base + 4 + 2 * section, written)
            whole = whole and good
            has_opt = has_opt or found
        elif facts[HINTS] >> (section + (14 if response else 11)) & 1 == 0 and response:
            whole = False
    if state >> (3 if response else 2) & 1 == 1 and not has_opt:
        options = MISSING if response else signature[15]
        payload = 0 if response else max(signature[14], 0)
        version = 0 if response else max(signature[13], 0) & 255
        extended = (rcode >> 4 & 255) << 8 | version
        dnssec_ok = bits >> 9 & 1 == 1 if response else bits >> 7 & 1 == 1
        at, good = _put_opt(
            octets, tables, out, at, end + 512, payload, extended, dnssec_ok, options
        )
        _put16(out, base + 10, be16(out, base + 10) + 1)
        whole = whole and (good or not response)
    return at, whole


@inlined_kernel
def _lose(tally: Any, reason: int, count: int, size: int, offset: int, frame: int) -> None:
    tally[reason, 0] += count
    tally[reason, 1] += size
    if tally[reason, 2] < 0:
        tally[reason, 2] = offset
        tally[reason, 3] = frame


@inlined_kernel
def _put_row(columns: Any, row: int, base: int, at: int, size: int, whole: bool) -> int:
    """Fill the columns that tell where the message is; return the offset behind it."""
    held = at - base
    length = min(size, 65535) if size > 0 else held
    # What the wire form had more than this one is no loss: it was less compressed, or it ended in
    # octets that say nothing.
    while whole and at - base < length:
        columns.out[at] = 0
        at += 1
    columns.start[row] = base
    columns.captured[row] = at - base
    columns.length[row] = length
    columns.flags[row] = 0 if whole else _PARTIAL
    return at


@kernel
def rebuild(
    octets: Any, offset: int, end: int, facts: Any, tables: Any, values: Any, first: int,
    columns: Any, tally: Any,
) -> tuple[int, int, int]:  # fmt: skip
    """Write the messages of items from number `first` on: (rows, items done, octets written).

    Stops before an item for which there might be no room. In: octets (window) up to `end`, offset
    of the items in it, values int64 (items, 13). tally int64 (reasons, 4): losses as count,
    octets, and offset and frame of the first.
    """
    sections = np.empty(4, np.int64)
    row = 0
    at = 0
    number = first
    while number < len(values):
        if row + 2 > len(columns.start) or at + _SPACE > len(columns.out):
            break
        if facts[BUDGET] < 0:
            left = len(values) - number
            _lose(tally, _LIMIT, left, 0, offset, facts[FIRST_FRAME] + number)
            number = len(values)
            break
        item = values[number]
        frame = facts[FIRST_FRAME] + number
        number += 1
        chosen = item[4]
        if not 0 <= chosen < len(tables.signatures):
            _lose(tally, _INCOMPLETE, 1, 0, offset, frame)
            continue
        signature = tables.signatures[chosen]
        state = signature[4]
        if state < 0 or state & 3 == 0 or signature[6] < 0:
            _lose(tally, _INCOMPLETE, 1, 0, offset, frame)
            continue
        has_query = state & 1 == 1
        has_response = state & 2 == 2
        if has_response and signature[16] < 0:
            # Without its RCODE a response would look like NOERROR, and left out like a timeout.
            _lose(tally, _INCOMPLETE, 1, 0, offset, frame)
            continue
        transport = max(signature[2], 0)
        six = transport & 1 == 1
        carrier = transport >> 1 & 15
        first_time = _instant(facts, item[0])
        if first_time == 0:
            first_time = _instant(facts, 0)
            _lose(tally, _NO_TIME, 1, 0, offset, frame)
        family = signature[3]
        for response in range(2):
            if not (has_response if response else has_query):
                continue
            key = 12 if response else 11
            for section in range(4):
                sections[section] = MISSING
            if item[key] != MISSING:
                entries(octets, item[key], end, 0, sections)
            base = at
            at, whole = _put_message(
                octets, tables, facts, item, signature, sections, response == 1, columns.out, base
            )
            size = item[9] if response else item[8]
            at = _put_row(columns, row, base, at, size, whole)
            if not whole:
                _lose(tally, _OMITTED, 1, 0, offset, frame)
            columns.frame[row] = frame
            columns.transport[row] = _TRANSPORTS[carrier] if carrier < len(_TRANSPORTS) else 0
            columns.kind[row] = _TYPES[family] + response if 0 <= family < len(_TYPES) else 0
            columns.other_time[row] = 0
            columns.time[row] = first_time
            client_port = item[2] & 0xFFFF if item[2] >= 0 else 0
            server_port = signature[1] & 0xFFFF if signature[1] >= 0 else 0
            if response:
                if has_query:
                    if item[6] != MISSING and item[0] != MISSING and abs(item[6]) < 1 << 60:
                        late = _instant(facts, item[0] + item[6])
                        columns.time[row] = late if late > 0 else first_time
                    if columns.kind[row] > 0:
                        columns.other_time[row] = first_time
                _put_address(octets, tables, signature[0], six, columns.source, row)
                _put_address(octets, tables, item[1], six, columns.destination, row)
                columns.source_port[row] = server_port
                columns.destination_port[row] = client_port
            else:
                _put_address(octets, tables, item[1], six, columns.source, row)
                _put_address(octets, tables, signature[0], six, columns.destination, row)
                columns.source_port[row] = client_port
                columns.destination_port[row] = server_port
            facts[BUDGET] -= at - base
            row += 1
    return row, number - first, at


@kernel
def malformed(
    octets: Any, offset: int, end: int, facts: Any, tables: Any, values: Any, data: Any, first: int,
    columns: Any, tally: Any,
) -> tuple[int, int, int]:  # fmt: skip
    """Hand on the payloads of malformed messages (RFC 8618 7.5.3) as `rebuild` does items.

    values int64 (messages, 4), data int64 (entries of their table, 4).
    """
    row = 0
    at = 0
    number = first
    while number < len(values):
        if row + 1 > len(columns.start) or at + limits.MESSAGE_OCTETS + SLACK > len(columns.out):
            break
        frame = facts[FIRST_FRAME] + number
        message = values[number]
        number += 1
        chosen = message[3]
        size = int64(-1)
        payload = int64(0)
        if 0 <= chosen < len(data) and data[chosen, 3] != MISSING:
            major, size, payload = head(octets, data[chosen, 3], end)
            if major != OCTETS or payload < 0:
                size = int64(-1)
        if size < 0 or facts[BUDGET] < 0:
            _lose(tally, _INCOMPLETE if size < 0 else _LIMIT, 1, 0, offset, frame)
            continue
        if size < 12 or size > 65535:
            _lose(tally, _SHORT, 1, 0, offset, frame)
            continue
        base = at
        at = _copy(octets, payload, size, columns.out, at)
        _put_row(columns, row, base, at, size, True)
        transport = max(data[chosen, 2], 0)
        six = transport & 1 == 1
        carrier = transport >> 1 & 15
        columns.frame[row] = frame
        columns.transport[row] = _TRANSPORTS[carrier] if carrier < len(_TRANSPORTS) else 0
        columns.kind[row] = 0
        columns.other_time[row] = 0
        time = _instant(facts, message[0])
        if time == 0:
            time = _instant(facts, 0)
            _lose(tally, _NO_TIME, 1, 0, offset, frame)
        columns.time[row] = time
        client_port = message[2] & 0xFFFF if message[2] >= 0 else 0
        server_port = data[chosen, 1] & 0xFFFF if data[chosen, 1] >= 0 else 0
        if octets[payload + 2] & 0x80:
            _put_address(octets, tables, data[chosen, 0], six, columns.source, row)
            _put_address(octets, tables, message[1], six, columns.destination, row)
            columns.source_port[row] = server_port
            columns.destination_port[row] = client_port
        else:
            _put_address(octets, tables, message[1], six, columns.source, row)
            _put_address(octets, tables, data[chosen, 0], six, columns.destination, row)
            columns.source_port[row] = client_port
            columns.destination_port[row] = server_port
        facts[BUDGET] -= size
        row += 1
    return row, number - first, at
