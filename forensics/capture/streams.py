"""Kernels from the octets of a TCP stream to DNS messages: two octets of length, then the message.

RFC 1035 4.2.2, RFC 7766 8. A stream is one way of a connection. Its octets are held from `BASE`
on, the number of the first one that no message has taken yet. What stands there is a length
(`SURE`), or is thought to be (`LIKELY`, until a message proves it), or must be looked for
(`LOST`): where a capture begins in the middle, or behind octets that it lacks.
"""

from __future__ import annotations

from typing import Any, Final

from forensics.capture import outcome
from forensics.capture.held import (
    BEGINS,
    CAPTURE,
    FIRST,
    FIRST_FRAME,
    FRAME,
    HIGH,
    LOW,
    NEXT,
    OFFSET,
    ORDINAL,
    OWN,
    PACKETS,
    PAGE,
    PASSED_FOR,
    STORED,
    TAKEN,
    TIME,
    USED,
    WEIGHS,
    drop_first,
    drop_page,
    fetch_octets,
    find,
    free_pages,
    octet,
    slot_of,
)
from forensics.capture.integers import int64
from forensics.capture.losses import Reason
from forensics.capture.outcome import hand_on, note
from forensics.capture.plausible import plausible, plausible_without_question, records_fit
from forensics.vocabulary import MessageFlag, Transport
from forensics.wire.jit import lean_kernel
from forensics.wire.words import be16

# Columns of `Held.table` for streams.
BASE: Final = OWN
"""Number of the octet that the next message starts at."""
ORIGIN: Final = OWN + 1
"""Where in the entry's first page the octet `BASE` stands."""
SYNC: Final = OWN + 2
ACKED: Final = OWN + 3
"""Number up to which the other side has acknowledged, when the stream waits in `HASTY`."""
START: Final = OWN + 4
"""Number of the stream's first octet, by its SYN; -1: never seen."""
TOP: Final = OWN + 5
"""Number behind the last octet ever seen."""
ENDS: Final = OWN + 6
"""Number behind the last octet by its FIN; -1: not seen."""
DISPUTED: Final = OWN + 7
"""Number behind the last octet that came twice and differed; -1: none."""
TRANSFER: Final = OWN + 8
"""Id of the zone transfer whose messages come here; -1: none."""

SEEN: Final = OWN + 9
"""Number of the first octet that was seen of a stream without a known start."""
WHY: Final = OWN + 10
"""Why a message is looked for: the reason for which octets before it are lost."""

SURE: Final = 0
LIKELY: Final = 1
LOST: Final = 2

NO_GAP: Final = 0
ACKED_GAPS: Final = 1
ALL_GAPS: Final = 2
"""What `pump` gives up: nothing, what the other side has, or everything."""

_MASK: Final = 0xFFFFFFFF
_HALF: Final = 0x80000000
_HEADER: Final = 12
_IXFR: Final = 251
_AXFR: Final = 252
_CUT: Final = int(MessageFlag.CUT)
_DISPUTED: Final = int(MessageFlag.DISPUTED)
_CONTINUED: Final = int(MessageFlag.CONTINUED)
_TCP: Final = int(Transport.TCP)
_GAP: Final = int(Reason.TCP_GAP)
_INCOMPLETE: Final = int(Reason.TCP_INCOMPLETE)
_NO_DNS: Final = int(Reason.TCP_FRAMING)
_MESSAGE_CUT: Final = int(Reason.MESSAGE_CUT)
_CARRIED: Final = outcome.CARRIED
_HOLE: Final = 2
_QUESTION_OCTETS: Final = 2 + _HEADER + 255 + 4
"""Octets from which on it can be said whether a message starts: length, header, question."""


@lean_kernel
def ahead(number: int, base: int) -> int:
    """How far a sequence number lies ahead of another one; behind: negative (RFC 9293 3.4)."""
    return ((number - base + _HALF) & _MASK) - _HALF


@lean_kernel
def settle(held: Any, row: int, reason: int, out: Any) -> None:
    """Let go of the first record of a stream, and note what became of its packets."""
    records = held.records
    record = held.table[row, FIRST]
    capture = records[record, CAPTURE]
    offset = records[record, OFFSET]
    frame = records[record, FIRST_FRAME]
    packets = records[record, PACKETS]
    taken = records[record, TAKEN]
    passed = records[record, STORED] - taken
    if records[record, USED] == 1:
        note(out, capture, _CARRIED, packets, taken, offset, frame)
        packets = 0
    if packets or passed:
        why = records[record, PASSED_FOR]
        note(out, capture, why if why >= 0 else reason, packets, passed, offset, frame)
    drop_first(held, row)


@lean_kernel
def consume(held: Any, row: int, count: int, reason: int, out: Any) -> None:
    """Move the base of a stream on; records that end there are settled, unused ones as `reason`.

    `reason` is `_CARRIED` where a message takes the octets.
    """
    table = held.table
    base = (table[row, BASE] + count) & _MASK
    records = held.records
    while table[row, FIRST] >= 0:
        record = table[row, FIRST]
        ends = ahead(records[record, HIGH], base) <= 0
        upto = records[record, HIGH] if ends else base
        size = ahead(upto, records[record, LOW])
        if size > 0:
            if reason == _CARRIED:
                records[record, TAKEN] += size * records[record, WEIGHS]
            else:
                records[record, PASSED_FOR] = reason
            records[record, LOW] = upto
        if not ends:
            break
        settle(held, row, reason, out)
    table[row, BASE] = base
    if table[row, FIRST] < 0:
        free_pages(held, row, 0)
        table[row, ORIGIN] = 0
        return
    origin = table[row, ORIGIN] + count
    while origin >= PAGE:
        drop_page(held, row)
        origin -= PAGE
    table[row, ORIGIN] = origin


@lean_kernel
def _skip(held: Any, row: int, count: int, why: int, out: Any) -> None:
    """Move the base of a stream on to where the next message must be looked for."""
    consume(held, row, count, why, out)
    held.table[row, SYNC] = LOST
    held.table[row, WHY] = why


@lean_kernel
def question_type(octets: Any, start: int, end: int) -> int:
    """QTYPE of the first question of a message in [start, end); 0: there is none."""
    if start + _HEADER > end or be16(octets, start + 4) != 1:
        return 0
    at = start + _HEADER
    while at < end and 0 < octets[at] <= 63:
        at += 1 + int64(octets[at])
    if at + 5 > end or octets[at] != 0:
        return 0
    return be16(octets, at + 1)


@lean_kernel
def note_transfer(held: Any, row: int, octets: Any, start: int, captured: int) -> int:
    """Tell whether a message is a further one of a zone transfer (RFC 5936 2.2, RFC 1995 4).

    Return the flag for it. The first response shows AXFR or IXFR in its question, and all have its
    id; without a question, a response with answers cannot be anything else.
    """
    table = held.table
    end = start + captured
    if octets[start + 2] < 128:
        if question_type(octets, start, end) in (_IXFR, _AXFR):
            # The next response on the other way is the first of another transfer.
            a, b, c, d = table[row, 0], table[row, 1], table[row, 2], table[row, 3]
            ports = ((table[row, 4] & 0xFFFF) << 16) | (table[row, 4] >> 16)
            other = find(held, slot_of(held, c, d, a, b, ports), c, d, a, b, ports)
            if other:
                table[other, TRANSFER] = -1
        return 0
    number = be16(octets, start)
    answers = be16(octets, start + 6)
    if table[row, TRANSFER] == number:
        return _CONTINUED
    table[row, TRANSFER] = -1
    if answers and be16(octets, start + 4) == 0 and octets[start + 2] & 0x78 == 0:
        table[row, TRANSFER] = number
        return _CONTINUED
    if answers and question_type(octets, start, end) in (_IXFR, _AXFR):
        table[row, TRANSFER] = number
    return 0


@lean_kernel
def _emit(held: Any, row: int, length: int, captured: int, octets: Any, out: Any) -> None:
    """Hand on the message behind the length at the base, of which so many octets are held."""
    table = held.table
    records = held.records
    base = table[row, BASE]
    record = table[row, FIRST]
    last = record
    while record >= 0 and ahead(records[record, LOW], base) < 2 + captured:
        if records[record, USED] != _HOLE:
            records[record, USED] = 1
            if records[record, ORDINAL] > records[last, ORDINAL]:
                last = record
        record = records[record, NEXT]
    start = out.state[outcome.ROOM]
    out.state[outcome.ROOM] += captured
    fetch_octets(held, row, table[row, ORIGIN] + 2, captured, octets, start)
    flags = note_transfer(held, row, octets, start, captured)
    if table[row, DISPUTED] >= 0 and ahead(table[row, DISPUTED], base) > 0:
        flags |= _DISPUTED
    capture = records[last, CAPTURE]
    if captured < length:
        flags |= _CUT
        missing = length - captured
        note(out, capture, _MESSAGE_CUT, 1, missing, records[last, OFFSET], records[last, FRAME])
    hand_on(
        out,
        start,
        captured,
        length,
        records[last, TIME],
        records[last, FRAME],
        capture,
        flags,
        _TCP,
        table[row, 4],
        table[row, 0],
        table[row, 1],
        table[row, 2],
        table[row, 3],
    )


@lean_kernel
def is_message(octets: Any, start: int, length: int) -> bool:
    """Whether the whole octets [start, start + length) are a DNS message beyond doubt."""
    end = start + length
    return plausible(octets, start, end, True) or plausible_without_question(octets, start, end)


@lean_kernel
def may_begin(octets: Any, start: int, length: int) -> bool:
    """Whether 12 octets can be the header of a message of so many octets."""
    opcode = (octets[start + 2] >> 3) & 15
    asked = be16(octets, start + 4)
    answers = be16(octets, start + 6)
    authorities = be16(octets, start + 8)
    additionals = be16(octets, start + 10)
    if opcode not in (0, 4, 5) or octets[start + 3] & 0x40:
        return False
    if asked > 1 or 5 * asked + 11 * (answers + authorities + additionals) > length - _HEADER:
        return False
    if asked == 0:
        # A further message of a zone transfer.
        settled = octets[start + 2] & 0xFA == 0x80 and octets[start + 3] & 0x0F == 0
        return settled and answers > 0 and authorities == 0 and additionals < 4
    return octets[start + 2] >= 128 or opcode != 0 or (answers == 0 and authorities <= 1)


@lean_kernel
def look_for(octets: Any, start: int, end: int) -> int:
    """Look for the length of a message in octets [start, end) of a stream.

    Return how far on it stands; or, where more octets are needed to say, -1 - how far on they are.
    """
    at = start
    while at < end:
        rest = end - at
        if rest < 2 + _HEADER:
            break
        length = be16(octets, at)
        message = at + 2
        if length >= 17 and may_begin(octets, message, length):
            held = min(rest - 2, length)
            if held == length:
                if is_message(octets, message, length):
                    return at - start
            elif be16(octets, message + 4) == 0:
                if records_fit(
                    octets, message + _HEADER, message + held, be16(octets, message + 6), False
                ):
                    break
            elif plausible(octets, message, message + held, False):
                return at - start
            elif rest < _QUESTION_OCTETS:
                break
        at += 1
    return -1 - (at - start)


@lean_kernel
def _gap(held: Any, record: int, missing: int, out: Any) -> None:
    """Note octets that the capture lacks, before a record."""
    records = held.records
    capture = records[record, CAPTURE]
    note(out, capture, _GAP, 1, missing, records[record, OFFSET], records[record, FIRST_FRAME])


@lean_kernel
def _given_up(table: Any, row: int, resumes: int, force: int) -> bool:
    """Whether a gap that ends at sequence number `resumes` is waited for no longer."""
    if force == ALL_GAPS:
        return True
    return force == ACKED_GAPS and ahead(table[row, ACKED], resumes) >= 0


@lean_kernel
def pump(held: Any, row: int, force: int, octets: Any, out: Any) -> None:
    """Hand on what messages the held octets of a stream make; copies go behind the window."""
    table = held.table
    records = held.records
    while table[row, FIRST] >= 0:
        first = table[row, FIRST]
        base = table[row, BASE]
        front = ahead(records[first, LOW], base)
        if records[first, USED] == _HOLE:
            _skip(held, row, ahead(records[first, HIGH], base), _INCOMPLETE, out)
            continue
        if front > 0:
            if not _given_up(table, row, records[first, LOW], force):
                return
            _gap(held, first, front, out)
            _skip(held, row, front, _INCOMPLETE, out)
            continue
        run = ahead(records[first, HIGH], base)
        follows = records[first, NEXT]
        while (
            follows >= 0
            and records[follows, USED] != _HOLE
            and ahead(records[follows, LOW], base) == run
        ):
            run = ahead(records[follows, HIGH], base)
            follows = records[follows, NEXT]
        resumes = int64(0)
        gap = int64(0)
        broken = force == ALL_GAPS
        if follows >= 0:
            if records[follows, USED] == _HOLE:
                broken = True
                resumes = ahead(records[follows, HIGH], base)
            else:
                resumes = ahead(records[follows, LOW], base)
                gap = resumes - run
                broken = _given_up(table, row, records[follows, LOW], force)
        if table[row, SYNC] == LOST:
            room = out.state[outcome.ROOM]
            fetch_octets(held, row, table[row, ORIGIN], run, octets, room)
            found = look_for(octets, room, room + run)
            skipped = found if found >= 0 else -1 - found
            if skipped:
                consume(held, row, skipped, table[row, WHY], out)
            if found >= 0:
                table[row, SYNC] = LIKELY
                continue
            if skipped < run and broken:
                consume(held, row, run - skipped, table[row, WHY], out)
                continue
            if skipped < run:
                return
            continue
        length = int64(0)
        if run >= 2:
            position = table[row, ORIGIN]
            length = (octet(held, row, position) << 8) | octet(held, row, position + 1)
            if length < _HEADER:
                _skip(held, row, 1, _NO_DNS, out)
                continue
            if run >= 2 + length:
                if table[row, SYNC] == LIKELY:
                    room = out.state[outcome.ROOM]
                    fetch_octets(held, row, position + 2, length, octets, room)
                    if not is_message(octets, room, length):
                        _skip(held, row, 1, table[row, WHY], out)
                        continue
                    table[row, SYNC] = SURE
                _emit(held, row, length, length, octets, out)
                consume(held, row, 2 + length, _CARRIED, out)
                continue
        if not broken:
            return
        if table[row, SYNC] == LIKELY and records[first, BEGINS] != base:
            # It only looked like one.
            _skip(held, row, 1, table[row, WHY], out)
            continue
        if gap:
            _gap(held, follows, gap, out)
        taken = int64(0)
        if run >= 2 + _HEADER:
            _emit(held, row, length, run - 2, octets, out)
            consume(held, row, run, _CARRIED, out)
            taken = run
        if run >= 2 and (follows < 0 or resumes <= 2 + length):
            consume(held, row, 2 + length - taken, _INCOMPLETE, out)
        else:
            _skip(held, row, max(resumes, run) - taken, _INCOMPLETE, out)
