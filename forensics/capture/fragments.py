"""Kernels that put IP fragments together: IPv4 (RFC 791 3.2) and IPv6 (RFC 8200 4.5).

Of octets that come twice the first ones count; where the second ones differ, the message is marked
as disputed and accuses nobody: receivers drop such datagrams (RFC 5722). A datagram that stays
incomplete for `limits.FRAGMENT_TIMEOUT` still shows the header and the question of its message if
its first piece was captured. A datagram put together is written behind the window as one packet,
its fragment fields cleared, and read like any other.
"""

from __future__ import annotations

from typing import Any, Final

from forensics import limits
from forensics.capture import outcome
from forensics.capture.held import (
    CAPTURE,
    FIRST,
    FIRST_FRAME,
    LAST,
    NEXT,
    OFFSET,
    OWN,
    PACKETS,
    PATIENT,
    RECORDS,
    TIME,
    crowded,
    differ,
    drop_first,
    enter,
    fetch_octets,
    find,
    free_pages,
    leave,
    new_record,
    octet,
    slot_of,
    store,
    touch,
    wait,
)
from forensics.capture.integers import int64
from forensics.capture.losses import Reason
from forensics.capture.outcome import addresses, claim, decide, note
from forensics.wire.jit import lean_kernel
from forensics.wire.words import be16, be32

# Columns of `Held.table` for datagrams.
TOTAL: Final = OWN
"""Octets of the whole payload, by the last piece; -1: not seen."""
UNITS: Final = OWN + 1
"""Units of eight octets that have come."""
STATE: Final = OWN + 2
HEADER: Final = OWN + 3
"""Octets of the IP header of the first piece, which stand in the page behind the payload; 0: none.
"""
CUT_AT: Final = OWN + 4
"""Octets of the payload before the first one that was not captured."""
BEGAN: Final = OWN + 5
FRAME_ONE: Final = OWN + 6
OFFSET_ONE: Final = OWN + 7
CAPTURE_ONE: Final = OWN + 8
"""Time, frame, offset and capture of the first piece."""
DIFFERING: Final = OWN + 9
"""Octets that came twice and differed."""

OPEN: Final = 0
COMPLETE: Final = 1
IGNORED: Final = 2
"""The first piece shows that it is no DNS."""

_PAYLOAD_MOST: Final = 65_535
_BITS: Final = 65_536
"""Where the bits of the units stand among the octets of an entry: behind the longest payload."""
_BIT_OCTETS: Final = 1024
SCRATCH: Final = 8 + _BIT_OCTETS
"""Octets of the array `scratch`: zeros, but for its first one."""
_HEADER_AT: Final = _BITS + _BIT_OCTETS
_HEADER_MOST: Final = 1024
_TWICE: Final = limits.DUPLICATE_WINDOW
_CAPTURES_MOST: Final = 8
_COPY: Final = outcome.COPY
_OTHER: Final = outcome.OTHER
_CARRIED: Final = outcome.CARRIED
_FRAMING: Final = outcome.FRAMING
_MALFORMED: Final = int(Reason.FRAGMENT_MALFORMED)
_OVERLAP: Final = int(Reason.FRAGMENT_OVERLAP)
_LIMIT: Final = int(Reason.FRAGMENT_LIMIT)
_PACKET_CUT: Final = int(Reason.PACKET_CUT)

NOTHING: Final = -1
"""`add_piece`: no packet is complete."""


@lean_kernel
def piece_of(octets: Any, at: int, end: int, wire_end: int) -> tuple[int, int, int, int, int, int]:
    """Read where the fragment with the IP header at `at` belongs.

    Return (identification, protocol, offset of its payload in the datagram, 1 if more follow,
    offset of its payload in `octets`, octets of it on the wire); a negative identification is -1 -
    a code of `losses.Reason`. The caller has checked that `link.transport` can read the header.
    """
    if octets[at] >> 4 == 4:
        header = int64(octets[at] & 15) * 4
        total = be16(octets, at + 2)
        if total == 0:
            total = wire_end - at
        word = be16(octets, at + 6)
        data = at + header
        return (
            be16(octets, at + 4),
            int64(octets[at + 9]),
            (word & 0x1FFF) * 8,
            (word >> 13) & 1,
            data,
            at + total - data,
        )
    length = be16(octets, at + 4)
    stop = at + 40 + length if length else wire_end
    protocol = int64(octets[at + 6])
    here = at + 40
    while protocol in (0, 43, 51, 60, 135, 139, 140) and here + 8 <= end:
        protocol_here = protocol
        protocol = int64(octets[here])
        if protocol_here == 51:
            here += (int64(octets[here + 1]) + 2) * 4
        else:
            here += (int64(octets[here + 1]) + 1) * 8
    if protocol != 44 or here + 8 > end:
        return -1 - _PACKET_CUT, 0, 0, 0, 0, 0
    word = be16(octets, here + 2)
    data = here + 8
    return (
        be32(octets, here + 4),
        int64(octets[here]),
        word & 0xFFF8,
        word & 1,
        data,
        stop - data,
    )


@lean_kernel
def settle_pieces(
    held: Any, row: int, reason: int, spared: int, taken: int, around: int, out: Any
) -> None:
    """Note what became of the pieces of a datagram, and let go of their records.

    `spared`: number of the capture in which one piece is counted elsewhere; -1: none is. `taken`:
    octets of the pieces that are in a message, `around`: of its headers; what is left shares the
    pieces' fate.
    """
    table = held.table
    records = held.records
    while table[row, FIRST] >= 0:
        record = table[row, FIRST]
        capture = records[record, CAPTURE]
        packets = records[record, PACKETS]
        octets = records[record, TIME]
        offset = records[record, OFFSET]
        frame = records[record, FIRST_FRAME]
        if capture == spared:
            packets -= 1
            spared = -1
        inside = min(octets, taken)
        headers = min(octets - inside, around)
        taken -= inside
        around -= headers
        octets -= inside + headers
        if inside:
            note(out, capture, _CARRIED, 0, inside, offset, frame)
        if reason == _CARRIED or packets == 0:
            headers += octets
            octets = int64(0)
        if headers:
            note(out, capture, _FRAMING, 0, headers, offset, frame)
        if packets or octets:
            note(out, capture, reason, packets, octets, offset, frame)
        drop_first(held, row)


@lean_kernel
def ignore(held: Any, row: int, out: Any) -> None:
    """Let go of a datagram that is no DNS, but for the memory that it is none."""
    settle_pieces(held, row, _OTHER, -1, 0, 0, out)
    free_pages(held, row, 0)
    held.table[row, STATE] = IGNORED


@lean_kernel
def _contribute(held: Any, row: int, size: int, frame: int, offset: int, capture: int) -> None:
    """Count a piece among those of its capture. The column TIME holds their octets here."""
    records = held.records
    record = held.table[row, FIRST]
    last = int64(-1)
    while record >= 0 and records[record, CAPTURE] != capture:
        last = record
        record = records[record, NEXT]
    if record < 0 and held.table[row, RECORDS] < _CAPTURES_MOST:
        record = new_record(held, last, row)
        records[record, CAPTURE] = capture
        records[record, PACKETS] = 0
        records[record, TIME] = 0
        records[record, FIRST_FRAME] = frame
        records[record, OFFSET] = offset
    elif record < 0:
        record = last
    records[record, PACKETS] += 1
    records[record, TIME] += size


@lean_kernel
def _has_unit(held: Any, row: int, unit: int) -> bool:
    return bool((octet(held, row, _BITS + (unit >> 3)) >> (unit & 7)) & 1)


@lean_kernel
def _mark_unit(held: Any, row: int, unit: int, scratch: Any) -> None:
    scratch[0] = octet(held, row, _BITS + (unit >> 3)) | (1 << (unit & 7))
    store(held, row, _BITS + (unit >> 3), scratch, 0, 1)


@lean_kernel
def _units_from_start(held: Any, row: int, most: int) -> int:
    """Units without a gap from the first one on, at most `most`."""
    unit = 0
    while unit < most and _has_unit(held, row, unit):
        unit += 1
    return unit


@lean_kernel
def _cover(
    held: Any, row: int, place: int, size: int, captured: int, octets: Any, data: int, scratch: Any
) -> int:
    """Take the octets of a piece that have not come before; return how many units are new."""
    table = held.table
    fresh = 0
    unit = place >> 3
    last = (place + size + 7) >> 3
    while unit < last:
        known = _has_unit(held, row, unit)
        first = unit
        while unit < last and _has_unit(held, row, unit) == known:
            if not known:
                _mark_unit(held, row, unit, scratch)
            unit += 1
        begin = max(first * 8, place)
        count = min(unit * 8, place + captured) - begin
        if count <= 0:
            fresh += 0 if known else unit - first
            continue
        if known:
            seen = min(begin + count, table[row, CUT_AT]) - begin
            if table[row, TOTAL] >= 0:
                seen = min(seen, table[row, TOTAL] - begin)
            if seen > 0:
                table[row, DIFFERING] += differ(
                    held, row, begin, octets, data + begin - place, seen
                )
        else:
            fresh += unit - first
            store(held, row, begin, octets, data + begin - place, count)
    return fresh


@lean_kernel
def build(held: Any, row: int, octets: Any, out: Any, size: int) -> tuple[int, int]:
    """Write the first `size` octets of a datagram as one packet behind the window.

    Return where it begins and ends. The lengths in its header become 0: 'to the packet's end'.
    """
    table = held.table
    at = out.state[outcome.ROOM]
    header = table[row, HEADER]
    fetch_octets(held, row, _HEADER_AT, header, octets, at)
    fetch_octets(held, row, 0, size, octets, at + header)
    if octets[at] >> 4 == 4:
        octets[at + 2] = 0
        octets[at + 3] = 0
        octets[at + 6] = 0
        octets[at + 7] = 0
    else:
        octets[at + 4] = 0
        octets[at + 5] = 0
        # The fragment header is the last of what is repeated in each piece.
        octets[at + header - 6] = 0
        octets[at + header - 5] = 0
    out.state[outcome.ROOM] += header + size
    return at, at + header + size


@lean_kernel
def beginning(held: Any, row: int) -> int:
    """Octets of a datagram that are there without a gap from its first one on."""
    most = units_of(held.table[row, TOTAL])
    whole = _units_from_start(held, row, most) * 8
    if held.table[row, TOTAL] >= 0:
        whole = min(whole, held.table[row, TOTAL])
    return int64(min(whole, held.table[row, CUT_AT]))


@lean_kernel
def units_of(total: int) -> int:
    """Units of eight octets of a datagram of so many octets; -1: of the longest."""
    return (total + 7) >> 3 if total >= 0 else 8192


@lean_kernel
def add_piece(
    held: Any,
    octets: Any,
    at: int,
    end: int,
    wire_end: int,
    now: int,
    frame: int,
    offset: int,
    out: Any,
    scratch: Any,
) -> int:
    """Put a fragment to its datagram; return the entry, 0: the piece has met its fate already.

    The fate of a piece of an open datagram is noted when that one is settled.
    """
    table = held.table
    capture = out.state[outcome.PRESENT]
    size = end - at
    number, protocol, place, more, data, length = piece_of(octets, at, end, wire_end)
    if number < 0:
        decide(out, -1 - number, 1, size, offset, frame)
        return 0
    if length <= 0 or (more and length & 7) or place + length > _PAYLOAD_MOST:
        decide(out, _MALFORMED, 1, size, offset, frame)
        return 0
    a, b, c, d = addresses(octets, at)
    rest = number | (protocol << 32) | (int64(octets[at] >> 4) << 40)
    slot = slot_of(held, a, b, c, d, rest)
    row = find(held, slot, a, b, c, d, rest)
    if row and table[row, STATE] == COMPLETE:
        if abs(now - table[row, LAST]) <= _TWICE:
            decide(out, _COPY, 1, size, offset, frame)
            return 0
        leave(held, row)
        row = 0
    if row and table[row, STATE] == IGNORED:
        decide(out, _OTHER, 1, size, offset, frame)
        return 0
    if not row:
        oldest = crowded(held, slot)
        if oldest:
            settle_pieces(held, oldest, _LIMIT, -1, 0, 0, out)
            leave(held, oldest)
        row = enter(held, slot, a, b, c, d, rest, now)
        table[row, TOTAL] = -1
        table[row, CUT_AT] = _BITS
        store(held, row, _BITS, scratch, 8, _BIT_OCTETS)
        wait(held, row, PATIENT, now)
    touch(table, row, now)
    captured = min(max(min(end, data + length) - data, 0), length)
    fresh = _cover(held, row, place, length, captured, octets, data, scratch)
    if captured < length and fresh:
        table[row, CUT_AT] = min(table[row, CUT_AT], place + captured)
    if place == 0 and table[row, HEADER] == 0 and data - at <= _HEADER_MOST:
        table[row, HEADER] = data - at
        store(held, row, _HEADER_AT, octets, at, data - at)
        table[row, BEGAN] = now
        table[row, FRAME_ONE] = frame
        table[row, OFFSET_ONE] = offset
        table[row, CAPTURE_ONE] = capture
    total = table[row, TOTAL]
    if total >= 0 and (place + length > total or (not more and place + length < total)):
        table[row, DIFFERING] += 1
    elif not more:
        table[row, TOTAL] = place + length
    if not fresh:
        decide(out, _COPY, 1, size, offset, frame)
        return 0
    table[row, UNITS] += fresh
    _contribute(held, row, claim(out, size), frame, offset, capture)
    return row


@lean_kernel
def is_complete(held: Any, row: int) -> bool:
    """Whether every octet of a datagram has come, on the wire at least."""
    table = held.table
    if table[row, TOTAL] < 0 or table[row, HEADER] == 0:
        return False
    units = units_of(table[row, TOTAL])
    return table[row, UNITS] >= units and _units_from_start(held, row, units) == units


@lean_kernel
def close(held: Any, row: int, now: int) -> None:
    """Let go of a settled datagram, but for the memory that its pieces came."""
    free_pages(held, row, 0)
    held.table[row, STATE] = COMPLETE
    held.table[row, LAST] = now


@lean_kernel
def note_overlap(held: Any, row: int, out: Any) -> bool:
    """Note it if pieces of a datagram contradicted each other; return whether they did."""
    table = held.table
    if table[row, DIFFERING] == 0:
        return False
    note(
        out,
        table[row, CAPTURE_ONE],
        _OVERLAP,
        1,
        table[row, DIFFERING],
        table[row, OFFSET_ONE],
        table[row, FRAME_ONE],
    )
    return True
