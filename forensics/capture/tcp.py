"""Kernels that put TCP segments (RFC 9293 3.1) into streams.

Of octets that come twice the first ones count, as for a receiver that has read them already; where
the second ones differ, the message is marked as disputed and accuses nobody. A gap is waited for
until the other side acknowledges what lies behind it (the capture lacks it for good), until the
connection ends, or `limits.STREAM_TIMEOUT`. Connections need no SYN: see streams.py.
"""

from __future__ import annotations

from typing import Any, Final

from forensics import limits
from forensics.capture import outcome
from forensics.capture.held import (
    ARRIVED,
    BEGINS,
    CAPTURE,
    FIRST,
    FIRST_FRAME,
    FRAME,
    HASTY,
    HIGH,
    LAST,
    LOW,
    NEXT,
    OFFSET,
    ORDINAL,
    PACKETS,
    PASSED_FOR,
    PATIENT,
    REACH,
    RECORDS,
    STORED,
    TAKEN,
    TIME,
    USED,
    WAITING,
    WAITS,
    WEIGHS,
    crowded,
    differ,
    enter,
    find,
    leave,
    new_record,
    slot_of,
    store,
    touch,
    wait,
)
from forensics.capture.integers import int64
from forensics.capture.losses import Reason
from forensics.capture.outcome import addresses, claim, decide, hand_on, note
from forensics.capture.streams import (
    ACKED,
    ACKED_GAPS,
    ALL_GAPS,
    BASE,
    DISPUTED,
    ENDS,
    LOST,
    NO_GAP,
    ORIGIN,
    SEEN,
    START,
    SURE,
    SYNC,
    TOP,
    TRANSFER,
    WHY,
    ahead,
    is_message,
    note_transfer,
    pump,
    settle,
)
from forensics.vocabulary import Transport
from forensics.wire.jit import lean_kernel
from forensics.wire.words import be16, be32

_MASK: Final = 0xFFFFFFFF
_HOLE: Final = 2
_HEADER: Final = 12
_TCP: Final = int(Transport.TCP)
_FIN: Final = 1
_SYN: Final = 2
_RST: Final = 4
_ACK: Final = 16
_CARRIED: Final = outcome.CARRIED
_COPY: Final = outcome.COPY
_OTHER: Final = outcome.OTHER
_PACKET_CUT: Final = int(Reason.PACKET_CUT)
_MALFORMED: Final = int(Reason.TCP_MALFORMED)
_OVERLAP: Final = int(Reason.TCP_OVERLAP)
_LIMIT: Final = int(Reason.STREAM_LIMIT)
_INCOMPLETE: Final = int(Reason.TCP_INCOMPLETE)
_BEHIND: Final = limits.TCP_BEHIND
_IDLE: Final = limits.TCP_IDLE
_BACK: Final = limits.QUERY_TIMEOUT
_RECORDS_MOST: Final = limits.TCP_STREAM_RECORDS


@lean_kernel
def give_up(held: Any, row: int, octets: Any, out: Any) -> None:
    """Hand on what can be handed on of a stream, and let go of all that it holds."""
    pump(held, row, ALL_GAPS, octets, out)
    while held.table[row, FIRST] >= 0:
        settle(held, row, _LIMIT, out)
    wait(held, row, 0, 0)


@lean_kernel
def await_rest(held: Any, row: int, now: int) -> None:
    """Let a stream that holds octets wait, if its first gap is acknowledged only shortly."""
    table = held.table
    if table[row, FIRST] < 0:
        wait(held, row, 0, 0)
        return
    if table[row, WAITS] != HASTY:
        wait(held, row, PATIENT, now)


@lean_kernel
def _hasten(held: Any, row: int, acknowledged: int, now: int) -> None:
    """Note what the other side has; a gap before it will never be filled."""
    table = held.table
    records = held.records
    if table[row, WAITS] == HASTY:
        return
    record = table[row, FIRST]
    if record < 0:
        return
    gap = ahead(records[record, LOW], table[row, BASE]) > 0
    while not gap:
        following = records[record, NEXT]
        if following < 0:
            return
        gap = records[following, LOW] != records[record, HIGH]
        record = following
    if ahead(acknowledged, records[record, LOW]) >= 0:
        table[row, ACKED] = acknowledged
        wait(held, row, HASTY, now)


@lean_kernel
def _end_soon(held: Any, row: int, now: int) -> None:
    """Nothing more is to come of a stream, but packets may have been captured out of order."""
    table = held.table
    if table[row, FIRST] >= 0:
        table[row, ACKED] = -1
        wait(held, row, HASTY, now)


@lean_kernel
def due(held: Any, row: int, octets: Any, out: Any, now: int) -> None:
    """A stream has waited long enough."""
    table = held.table
    if table[row, WAITS] == HASTY and table[row, ACKED] >= 0:
        pump(held, row, ACKED_GAPS, octets, out)
        wait(held, row, 0, 0)
        await_rest(held, row, now)
    else:
        give_up(held, row, octets, out)


@lean_kernel
def _begin(table: Any, row: int, number: int, sync: int, start: int) -> None:
    """Let a stream that holds nothing begin at a sequence number."""
    table[row, BASE] = number
    table[row, TOP] = number
    table[row, ORIGIN] = 0
    table[row, SYNC] = sync
    table[row, START] = start
    table[row, SEEN] = number
    table[row, ENDS] = -1
    table[row, DISPUTED] = -1
    table[row, TRANSFER] = -1
    table[row, WHY] = _INCOMPLETE


@lean_kernel
def _remember_start(starts: Any, slot: int, a: int, c: int, ports: int, number: int) -> None:
    """Remember where a stream starts, until its first octets come: cheap, as SYNs come in floods.

    `starts` int64 (n, 4), one place a hash, the latest wins.
    """
    place = slot % len(starts)
    starts[place, 0] = a
    starts[place, 1] = c
    starts[place, 2] = ports
    starts[place, 3] = number


@lean_kernel
def _known_start(starts: Any, slot: int, a: int, c: int, ports: int, number: int) -> int:
    """Where the stream of an octet with this number starts; -1: not known."""
    place = slot % len(starts)
    if starts[place, 0] == a and starts[place, 1] == c and starts[place, 2] == ports:
        start = int64(starts[place, 3])
        # One before it is a probe that the other side is alive (RFC 1122 4.2.3.6).
        if -1 <= ahead(number, start) <= REACH:
            return start
    return -1


@lean_kernel
def segment(
    held: Any,
    starts: Any,
    octets: Any,
    at: int,
    here: int,
    end: int,
    stop: int,
    now: int,
    frame: int,
    offset: int,
    out: Any,
) -> None:
    """Put a segment into its stream, and hand on the messages that it completes.

    In: octets uint8, IP header at `at`, TCP header at `here`, captured up to `end`, on the wire up
    to `stop`; time, frame, and offset in the file. The caller has seen to it that an entry, pages
    and records for the longest segment are left, and rows.
    """
    table = held.table
    if here + 14 > end:
        decide(out, _PACKET_CUT, 1, end - at, offset, frame)
        return
    header = int64(octets[here + 12] >> 4) * 4
    if header < 20 or here + header > stop:
        decide(out, _MALFORMED, 1, end - at, offset, frame)
        return
    flags = int64(octets[here + 13])
    data = here + header
    size = stop - data
    captured = max(min(end, stop) - data, 0)
    number = be32(octets, here + 4)
    a, b, c, d = addresses(octets, at)
    source = be16(octets, here)
    destination = be16(octets, here + 2)
    ports = source | (destination << 16)
    slot = slot_of(held, a, b, c, d, ports)
    row = find(held, slot, a, b, c, d, ports)
    if held.state[WAITING] and flags & (_ACK | _RST):
        other_ports = destination | (source << 16)
        other = find(held, slot_of(held, c, d, a, b, other_ports), c, d, a, b, other_ports)
        if other and flags & _RST:
            _end_soon(held, other, now)
        elif other:
            _hasten(held, other, be32(octets, here + 8), now)
    if flags & _SYN:
        number = (number + 1) & _MASK
        _remember_start(starts, slot, a ^ b, c ^ d, ports, number)
        if row and table[row, START] != number:
            give_up(held, row, octets, out)
            _begin(table, row, number, SURE, number)
    if size <= 0:
        decide(out, _OTHER, 1, 0, offset, frame)
        if row:
            if flags & _FIN:
                table[row, ENDS] = number
            if flags & (_RST | _FIN):
                _finish(held, row, flags, now)
        return
    if not row:
        oldest = crowded(held, slot)
        if oldest:
            give_up(held, oldest, octets, out)
            leave(held, oldest)
        row = enter(held, slot, a, b, c, d, ports, now)
        start = _known_start(starts, slot, a ^ b, c ^ d, ports, number)
        if start >= 0:
            _begin(table, row, start, SURE, start)
        else:
            _begin(table, row, number, LOST, -1)
    low = ahead(number, table[row, BASE])
    idle = now - table[row, LAST]
    far = low + size <= -_BEHIND or low >= REACH
    apart = low > 0 or low + size < 0
    if far or (apart and (idle > _IDLE or idle < -_BACK)):
        # Another connection with the same ports, or so much lost that nothing is known any more.
        give_up(held, row, octets, out)
        _begin(table, row, number, LOST, -1)
        low = 0
    touch(table, row, now)
    if low + size <= 0:
        fate = _COPY
        if ahead((number + size) & _MASK, table[row, TOP]) > 0:
            # The rest of a message that was handed on without it.
            table[row, TOP] = (number + size) & _MASK
            fate = _CARRIED
        elif table[row, START] < 0 and ahead(number, table[row, SEEN]) < 0:
            table[row, SEEN] = number
            fate = _INCOMPLETE
            if captured == size and _whole_messages(octets, data, data + size):
                _straight(held, row, octets, data, size, now, frame, out)
                table[row, BASE] = (table[row, BASE] - size) & _MASK
                fate = _CARRIED
        decide(out, fate, 1, captured, offset, frame)
        return
    if low < 0:
        decide(out, _COPY, 0, min(captured, -low), offset, frame)
        data -= low
        size += low
        captured = max(captured + low, 0)
        low = 0
    used = 0
    if table[row, FIRST] < 0 and low == 0 and table[row, SYNC] == SURE:
        used = _straight(held, row, octets, data, captured, now, frame, out)
        data += used
        size -= used
        captured -= used
    top = (table[row, BASE] + low + size) & _MASK
    if ahead(top, table[row, TOP]) > 0:
        table[row, TOP] = top
    if size == 0:
        decide(out, _CARRIED, 1, used, offset, frame)
    else:
        if used:
            decide(out, _CARRIED, 0, used, offset, frame)
        # Only a packet that no IPv4 length could hold is longer; its end counts as not captured.
        size = min(size, REACH - low)
        if captured > size:
            decide(out, _LIMIT, 0, captured - size, offset, frame)
            captured = size
        _insert(held, row, low, size, captured, data, octets, now, frame, offset, used, out)
        pump(held, row, NO_GAP, octets, out)
    await_rest(held, row, now)
    if flags & _FIN:
        table[row, ENDS] = top
    if flags & _RST or table[row, ENDS] >= 0:
        _finish(held, row, flags, now)


@lean_kernel
def _finish(held: Any, row: int, flags: int, now: int) -> None:
    """End a stream by RST, or by FIN if nothing before it is missing."""
    table = held.table
    record = table[row, FIRST]
    if record < 0:
        return
    if not flags & _RST:
        high = table[row, BASE]
        while record >= 0:
            if ahead(held.records[record, LOW], high) > 0:
                return
            high = held.records[record, HIGH]
            record = held.records[record, NEXT]
        if high != table[row, ENDS]:
            return
    _end_soon(held, row, now)


@lean_kernel
def _whole_messages(octets: Any, at: int, end: int) -> bool:
    """Whether octets [at, end) of a stream are nothing but whole messages, beyond doubt."""
    while at + 2 <= end:
        length = be16(octets, at)
        at += 2
        if at + length > end or not is_message(octets, at, length):
            return False
        at += length
    return at == end


@lean_kernel
def _straight(
    held: Any,
    row: int,
    octets: Any,
    data: int,
    captured: int,
    now: int,
    frame: int,
    out: Any,
) -> int:
    """Hand on the messages that lie whole in a segment, where they lie; return their octets."""
    table = held.table
    at = data
    end = data + captured
    while at + 2 <= end:
        length = be16(octets, at)
        if length < _HEADER or at + 2 + length > end:
            break
        flags = note_transfer(held, row, octets, at + 2, length)
        hand_on(
            out,
            at + 2,
            length,
            length,
            now,
            frame,
            out.state[outcome.PRESENT],
            flags,
            _TCP,
            table[row, 4],
            table[row, 0],
            table[row, 1],
            table[row, 2],
            table[row, 3],
        )
        at += 2 + length
    table[row, BASE] = (table[row, BASE] + at - data) & _MASK
    return at - data


@lean_kernel
def _add(
    held: Any,
    row: int,
    behind: int,
    low: int,
    high: int,
    packets: int,
    now: int,
    frame: int,
    offset: int,
    used: int,
    capture: int,
    weight: int,
) -> int:
    """Add a record for the octets [low, high) from the base on; return its number."""
    table = held.table
    records = held.records
    base = table[row, BASE]
    # While a message is looked for, each segment is to be lost on its own.
    joined = (
        table[row, SYNC] != LOST
        and behind >= 0
        and used != _HOLE
        and records[behind, USED] != _HOLE
        and records[behind, CAPTURE] == capture
        and records[behind, WEIGHS] == weight
        and records[behind, HIGH] == (base + low) & _MASK
        and records[behind, LOW] == base
        and behind == table[row, FIRST]
    )
    if joined:
        # Nothing before it is missing, so that the last to come is the one that completes.
        record = behind
        records[record, PACKETS] += packets
        if used == 1:
            records[record, USED] = 1
    else:
        record = new_record(held, behind, row)
        records[record, LOW] = (base + low) & _MASK
        records[record, BEGINS] = (base + low) & _MASK
        records[record, PACKETS] = packets
        records[record, CAPTURE] = capture
        records[record, FIRST_FRAME] = frame
        records[record, OFFSET] = offset
        records[record, USED] = used
        records[record, STORED] = 0
        records[record, TAKEN] = 0
        records[record, PASSED_FOR] = -1
        records[record, WEIGHS] = weight
    if used != _HOLE:
        records[record, STORED] += (high - low) * weight
    records[record, HIGH] = (base + high) & _MASK
    records[record, TIME] = now
    records[record, FRAME] = frame
    records[record, ORDINAL] = held.state[ARRIVED]
    return record


@lean_kernel
def _insert(
    held: Any,
    row: int,
    low: int,
    size: int,
    captured: int,
    data: int,
    octets: Any,
    now: int,
    frame: int,
    offset: int,
    used: int,
    out: Any,
) -> None:
    """Hold the octets [low, low + size) from the base on, of which `captured` are at `data`.

    What is held already stays as it is.
    """
    table = held.table
    records = held.records
    capture = out.state[outcome.PRESENT]
    base = table[row, BASE]
    origin = table[row, ORIGIN]
    held.state[ARRIVED] += 1
    packets = 1
    high = low + size
    edge = low + captured
    place = low
    before = int64(-1)
    record = table[row, FIRST]
    differing = 0
    weight = out.state[outcome.WEIGHT]
    claim(out, captured)
    repeated = int64(0)
    left = int64(captured)
    while place < high:
        while record >= 0 and ahead(records[record, HIGH], base) <= place:
            before = record
            record = records[record, NEXT]
        upto = high
        if record >= 0:
            begins = ahead(records[record, LOW], base)
            if begins <= place:
                ends = min(ahead(records[record, HIGH], base), high)
                if records[record, USED] != _HOLE and place < edge:
                    count = min(ends, edge) - place
                    repeated += count
                    differing += differ(
                        held, row, origin + place, octets, data + place - low, count
                    )
                place = ends
                continue
            upto = min(begins, high)
        if table[row, RECORDS] + 2 > _RECORDS_MOST:
            break
        middle = min(max(edge, place), upto)
        if middle > place:
            store(held, row, origin + place, octets, data + place - low, middle - place)
            before = _add(
                held, row, before, place, middle, packets, now, frame, offset, used, capture, weight
            )
            left -= middle - place
            packets = 0
        if upto > middle:
            before = _add(
                held, row, before, middle, upto, packets, now, frame, offset, _HOLE, capture, weight
            )
            packets = 0
        place = upto
    if differing:
        table[row, DISPUTED] = (base + high) & _MASK
        note(out, capture, _OVERLAP, 1, differing, offset, frame)
    if packets:
        fate = _COPY if place >= high else _LIMIT
        if used:
            fate = _CARRIED
        note(out, capture, fate, 1, 0, offset, frame)
    if repeated:
        note(out, capture, _COPY, 0, repeated * weight, offset, frame)
    if left > repeated:
        # Over the place of octets that were cut off before, or beyond what is held.
        why = _INCOMPLETE if place >= high else _LIMIT
        note(out, capture, why, 0, (left - repeated) * weight, offset, frame)
