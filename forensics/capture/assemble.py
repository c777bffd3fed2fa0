"""The kernel that takes fragments and segments in the order of the capture, and the clock's part.

Whatever waits is given up by the time of packets, of any packet, so that where windows and files
end changes nothing. Each step (one packet, or one entry that has waited long enough) is bounded,
and is done only while there is room for all that it may hand on; else the caller makes room.
"""

from __future__ import annotations

from typing import Any, Final

from forensics import limits
from forensics.capture import outcome
from forensics.capture.datagram import MESSAGE, NO_DNS, has_port, is_part, judge, open_up
from forensics.capture.encapsulations import NOT_IP
from forensics.capture.fragments import (
    BEGAN,
    CAPTURE_ONE,
    COMPLETE,
    CUT_AT,
    FRAME_ONE,
    HEADER,
    IGNORED,
    OFFSET_ONE,
    STATE,
    TOTAL,
    add_piece,
    beginning,
    build,
    close,
    ignore,
    is_complete,
    note_overlap,
    settle_pieces,
)
from forensics.capture.held import (
    AGES,
    BEHIND,
    FIRST,
    HASTY,
    NEWER,
    PATIENT,
    SINCE,
    WAITING,
    entries_left,
    leave,
    pages_left,
    records_left,
)
from forensics.capture.integers import int64
from forensics.capture.link import FIRST_FRAGMENT, WHOLE, transport
from forensics.capture.losses import Reason
from forensics.capture.outcome import addresses, decide, hand_on, note
from forensics.capture.tcp import due, give_up, segment
from forensics.vocabulary import MessageFlag, Transport
from forensics.wire.jit import lean_kernel
from forensics.wire.words import be16

_UDP: Final = int(Transport.UDP)
_CUT: Final = int(MessageFlag.CUT)
_FRAGMENT: Final = int(MessageFlag.FRAGMENT)
_DISPUTED: Final = int(MessageFlag.DISPUTED)
_CARRIED: Final = outcome.CARRIED
_OTHER: Final = outcome.OTHER
_INCOMPLETE: Final = int(Reason.FRAGMENT_INCOMPLETE)
_FRAGMENT_LIMIT: Final = int(Reason.FRAGMENT_LIMIT)
_DEEP: Final = int(Reason.TUNNEL_DEPTH)
_EVICTED: Final = int(Reason.STREAM_EVICTED)
_MESSAGE_CUT: Final = int(Reason.MESSAGE_CUT)
_BACK: Final = limits.QUERY_TIMEOUT
_PATIENCE: Final = limits.STREAM_TIMEOUT
_SKEW: Final = limits.SKEW_TIMEOUT
_FRAGMENT_TIMEOUT: Final = limits.FRAGMENT_TIMEOUT
_NEVER: Final = 2**62
_LATEST: Final = 2**63 - 1
_EARLIEST: Final = -(2**63)
"""No packet is later or earlier, whatever a capture says of its time."""
_PAGES: Final = 256
"""Pages that one step may take: the longest segment, and two pages' edges."""
_RECORDS: Final = 2 * limits.TCP_STREAM_RECORDS


@lean_kernel
def _deadline(held: Any, ring: int, patience: int) -> int:
    """When the first entry of a waiting list has waited enough."""
    row = held.table[ring, BEHIND]
    return held.table[row, SINCE] + patience if row != ring else _LATEST


@lean_kernel
def _floor(held: Any, ring: int) -> int:
    """The time before which the clock has been set back since the first entry began to wait."""
    row = held.table[ring, BEHIND]
    return held.table[row, SINCE] - _BACK if row != ring else _EARLIEST


@lean_kernel
def _is_due(held: Any, ring: int, patience: int, now: int) -> bool:
    return now > _deadline(held, ring, patience) or now < _floor(held, ring)


@lean_kernel
def _give_up_datagram(
    held: Any, row: int, octets: Any, bitmap: Any, tunnels: Any, reason: int, out: Any
) -> None:
    """Hand on the header and question that the first piece of a datagram shows; let go of it."""
    table = held.table
    if table[row, STATE] == COMPLETE or table[row, STATE] == IGNORED:
        leave(held, row)
        return
    if table[row, HEADER] == 0:
        settle_pieces(held, row, reason, -1, 0, 0, out)
        leave(held, row)
        return
    note_overlap(held, row, out)
    first, end = build(held, row, octets, out, beginning(held, row))
    wire_end = end
    if table[row, TOTAL] >= 0:
        wire_end = first + table[row, HEADER] + table[row, TOTAL]
    frame = table[row, FRAME_ONE]
    at, end, _, protocol, here, _, state, verdict, start, captured, length = open_up(
        octets, first, end, wire_end, frame, tunnels, bitmap
    )
    fate = reason
    spared = int64(-1)
    taken = int64(0)
    if at == NOT_IP:
        fate = _OTHER
    elif at >= 0 and state == WHOLE and protocol == 17:
        if verdict == MESSAGE:
            a, b, c, d = addresses(octets, at)
            capture = table[row, CAPTURE_ONE]
            hand_on(
                out,
                start,
                captured,
                length,
                table[row, BEGAN],
                frame,
                capture,
                _CUT | _FRAGMENT,
                _UDP,
                be16(octets, here) | (be16(octets, here + 2) << 16),
                a,
                b,
                c,
                d,
            )
            note(out, capture, _CARRIED, 1, 0, table[row, OFFSET_ONE], frame)
            spared = capture
            taken = captured
        else:
            fate = _OTHER if verdict == NO_DNS else verdict
    elif at >= 0 and state == WHOLE and protocol >= 0 and not is_part(protocol):
        fate = _OTHER
    around = start - first if taken else int64(0)
    settle_pieces(held, row, fate, spared, taken, around, out)
    leave(held, row)


@lean_kernel
def _complete(
    datagrams: Any,
    row: int,
    streams: Any,
    starts: Any,
    octets: Any,
    bitmap: Any,
    tunnels: Any,
    now: int,
    frame: int,
    offset: int,
    out: Any,
) -> tuple[int, int, int]:
    """Read a datagram whose last missing piece came with the packet at hand.

    Return (offset of an IP header, its end, its end on the wire) where it contains another
    fragment, of which the packet at hand is counted; else the first is negative.
    """
    table = datagrams.table
    present = out.state[outcome.PRESENT]
    disputed = note_overlap(datagrams, row, out)
    size = min(table[row, TOTAL], table[row, CUT_AT])
    first, end = build(datagrams, row, octets, out, size)
    wire_end = first + table[row, HEADER] + table[row, TOTAL]
    at, end, wire_end, protocol, here, stop, state, verdict, start, captured, length = open_up(
        octets, first, end, wire_end, frame, tunnels, bitmap
    )
    fate = _OTHER
    spared = int64(-1)
    taken = int64(0)
    nested = int64(-1)
    if at < 0:
        fate = _OTHER if at == NOT_IP else -2 - at
    elif protocol < 0:
        fate = -1 - protocol
    elif state != WHOLE:
        if is_part(protocol):
            nested = at
            fate = _CARRIED
            spared = present
            taken = int64(_NEVER)
    elif protocol == 17:
        if verdict == MESSAGE:
            fate = _CARRIED
            taken = captured
            flags = _DISPUTED if disputed else 0
            if captured < length:
                flags |= _CUT
                note(out, present, _MESSAGE_CUT, 1, length - captured, offset, frame)
            a, b, c, d = addresses(octets, at)
            hand_on(
                out,
                start,
                captured,
                length,
                now,
                frame,
                present,
                flags,
                _UDP,
                be16(octets, here) | (be16(octets, here + 2) << 16),
                a,
                b,
                c,
                d,
            )
        elif verdict >= 0:
            fate = verdict
    elif protocol == 6 and here + 4 <= end and _carries_dns(octets, here, bitmap):
        # The octets of its pieces are those of the segment, which would count them once more.
        weight = out.state[outcome.WEIGHT]
        out.state[outcome.WEIGHT] = 0
        segment(streams, starts, octets, at, here, end, stop, now, frame, offset, out)
        out.state[outcome.WEIGHT] = weight
        fate = _CARRIED
        spared = present
        taken = int64(_NEVER)
    settle_pieces(datagrams, row, fate, spared, taken, 0, out)
    close(datagrams, row, now)
    return nested, end, wire_end


@lean_kernel
def _carries_dns(octets: Any, here: int, bitmap: Any) -> bool:
    """Whether the TCP header at `here` names a port that carries DNS."""
    return has_port(bitmap, be16(octets, here)) or has_port(bitmap, be16(octets, here + 2))


@lean_kernel
def _shows_no_dns(octets: Any, at: int, end: int, wire_end: int, bitmap: Any) -> bool:
    """Whether the first piece of a datagram tells that it is no DNS."""
    protocol, here, stop, state = transport(octets, at, end, wire_end)
    if state != FIRST_FRAGMENT or protocol < 0:
        return False
    if protocol == 17:
        return judge(octets, here, end, stop, state, bitmap)[0] == NO_DNS
    if protocol == 6:
        return here + 4 <= end and not _carries_dns(octets, here, bitmap)
    return not is_part(protocol)


@lean_kernel
def _make_room(
    datagrams: Any, streams: Any, octets: Any, bitmap: Any, tunnels: Any, out: Any
) -> bool:
    """Let go of one entry if the next packet may need its memory; return whether that was so."""
    table = streams.table
    row = int64(0)
    if entries_left(streams) < 2:
        row = table[AGES, NEWER]
    elif pages_left(streams) < _PAGES or records_left(streams) < _RECORDS:
        row = table[PATIENT, BEHIND]
        if row == PATIENT:
            row = table[HASTY, BEHIND]
    if row:
        record = table[row, FIRST]
        if record >= 0:
            records = streams.records
            note(out, records[record, 7], _EVICTED, 1, 0, records[record, 9], records[record, 8])
        give_up(streams, row, octets, out)
        if entries_left(streams) < 2:
            leave(streams, row)
        return True
    if (
        entries_left(datagrams) < 2
        or pages_left(datagrams) < _PAGES
        or records_left(datagrams) < _RECORDS
    ):
        row = datagrams.table[PATIENT, BEHIND]
        _give_up_datagram(datagrams, row, octets, bitmap, tunnels, _FRAGMENT_LIMIT, out)
        return True
    return False


@lean_kernel
def _has_room(octets: Any, out: Any) -> bool:
    """Whether what one step may hand on can be written."""
    state = out.state
    return bool(
        len(out.rows) - state[outcome.ROWS] >= outcome.ROWS_MOST
        and len(octets) - state[outcome.ROOM] >= outcome.ROOM_MOST
        and len(out.elsewhere) - state[outcome.ELSEWHERE] >= outcome.ELSEWHERE_MOST
    )


@lean_kernel
def _tick(
    datagrams: Any,
    streams: Any,
    octets: Any,
    bitmap: Any,
    tunnels: Any,
    times: Any,
    until: int,
    out: Any,
) -> bool:
    """Let the clock run to packet `until`; True: an entry was given up on the way."""
    state = out.state
    at = state[outcome.CHECKED]
    if datagrams.state[WAITING] + streams.state[WAITING]:
        soonest = min(
            _deadline(datagrams, PATIENT, _FRAGMENT_TIMEOUT),
            _deadline(streams, PATIENT, _PATIENCE),
            _deadline(streams, HASTY, _SKEW),
        )
        floor = max(_floor(datagrams, PATIENT), _floor(streams, PATIENT), _floor(streams, HASTY))
        while at <= until and floor <= times[at] <= soonest:
            at += 1
        state[outcome.CHECKED] = at
        if at > until:
            return False
        now = times[at]
        state[outcome.PACKET] = at
        if _is_due(datagrams, PATIENT, _FRAGMENT_TIMEOUT, now):
            row = datagrams.table[PATIENT, BEHIND]
            _give_up_datagram(datagrams, row, octets, bitmap, tunnels, _INCOMPLETE, out)
        elif _is_due(streams, HASTY, _SKEW, now):
            due(streams, streams.table[HASTY, BEHIND], octets, out, now)
        else:
            due(streams, streams.table[PATIENT, BEHIND], octets, out, now)
        return True
    state[outcome.CHECKED] = max(at, until + 1)
    return False


@lean_kernel
def assemble(
    octets: Any,
    base: int,
    first_frame: int,
    packet_start: Any,
    packet_time: Any,
    parts: Any,
    part_count: int,
    bitmap: Any,
    tunnels: Any,
    datagrams: Any,
    streams: Any,
    starts: Any,
    scratch: Any,
    out: Any,
) -> bool:
    """Put the fragments and segments among the packets of a window together.

    Return whether all is done; if not, the caller makes room in `octets` and `out` and calls again.

    In: octets uint8, the window at offset `base` of its input and free octets behind it; packet_*:
    the columns of `packets.Packets`; parts int64 (n, 4): of each packet that is a fragment, or
    a segment of a port that carries DNS, its index, the offset of its IP header, its end, and where
    that would be had all of it been captured; bitmap of those ports.
    State: tunnels (`encapsulations.new_counts`), datagrams, streams (`held.Held`), starts (`tcp`),
    scratch uint8 (fragments.SCRATCH).
    Out: `outcome.Outcome`.
    """
    state = out.state
    count = len(packet_time)
    while True:
        if not _has_room(octets, out):
            return False
        done = state[outcome.DONE]
        until = parts[done, 0] if done < part_count else count - 1
        if _tick(datagrams, streams, octets, bitmap, tunnels, packet_time, until, out):
            continue
        if done >= part_count:
            return True
        index = parts[done, 0]
        state[outcome.PACKET] = index
        if _make_room(datagrams, streams, octets, bitmap, tunnels, out):
            continue
        state[outcome.DONE] = done + 1
        at = parts[done, 1]
        end = parts[done, 2]
        now = packet_time[index]
        frame = first_frame + index
        offset = base + packet_start[index]
        wire_end = parts[done, 3]
        _, here, stop, piece = transport(octets, at, end, wire_end)
        if piece == WHOLE:
            segment(streams, starts, octets, at, here, end, stop, now, frame, offset, out)
            continue
        # A datagram put together may contain a tunnel, and that another fragment.
        depth = 0
        while at >= 0 and depth < limits.TUNNEL_DEPTH:
            depth += 1
            row = add_piece(datagrams, octets, at, end, wire_end, now, frame, offset, out, scratch)
            if row and is_complete(datagrams, row):
                at, end, wire_end = _complete(
                    datagrams,
                    row,
                    streams,
                    starts,
                    octets,
                    bitmap,
                    tunnels,
                    now,
                    frame,
                    offset,
                    out,
                )
                state[outcome.WEIGHT] = 0
                continue
            if row and _shows_no_dns(octets, at, end, wire_end, bitmap):
                ignore(datagrams, row, out)
            at = -1
        if at >= 0:
            decide(out, _DEEP, 1, end - at, offset, frame)
        state[outcome.WEIGHT] = 1


@lean_kernel
def finish(octets: Any, bitmap: Any, tunnels: Any, datagrams: Any, streams: Any, out: Any) -> bool:
    """Give up everything that waits, at the end of all captures; return as `assemble` does."""
    while True:
        if not _has_room(octets, out):
            return False
        row = datagrams.table[PATIENT, BEHIND]
        if row != PATIENT:
            _give_up_datagram(datagrams, row, octets, bitmap, tunnels, _INCOMPLETE, out)
            continue
        row = streams.table[HASTY, BEHIND]
        if row == HASTY:
            row = streams.table[PATIENT, BEHIND]
        if row == PATIENT:
            return True
        give_up(streams, row, octets, out)
