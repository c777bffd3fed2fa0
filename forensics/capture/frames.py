"""Kernels that walk Frame Streams and the protobuf of dnstap within them.

Protobuf encoding: a field is a varint of number and wire type (0 varint, 1 eight octets,
2 length and octets, 5 four octets), then its value. Unknown fields are passed over; a field that
is repeated counts with its last value, as protobuf demands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.integers import AHEAD, be32, fetch, int64, le32
from forensics.capture.losses import Reason
from forensics.capture.repeats import is_repeat
from forensics.wire.jit import kernel

MORE: Final = 0
"""`walk` stopped where the window ends."""
FULL: Final = 1
"""`walk` stopped because its output is full."""
ABSURD: Final = 2
"""`walk` stopped before a frame of absurd length."""

_MALFORMED: Final = int(Reason.PROTOBUF_MALFORMED)
_CONTENT: Final = int(Reason.CONTENT_TYPE)
_SHORT: Final = int(Reason.MESSAGE_SHORT)
_NO_TIME: Final = int(Reason.NO_TIMESTAMP)
_IDENTITY: Final = int(Reason.IDENTITY_LIMIT)
_NO_FIELD: Final = -1
_FIELDS: Final = 18
"""Numbers of the fields of a dnstap Message are below this."""
_DNSTAP_IDENTITY: Final = 1
_DNSTAP_MESSAGE: Final = 14
_DNSTAP_TYPE: Final = 15
_LAST_KIND: Final = 14
_START: Final = 2
_CONTENT_NAME: Final = np.frombuffer(b"protobuf:dnstap.Dnstap", np.uint8)


@dataclass(slots=True)
class Rows:
    """The columns of `MessageBlock` that `walk` fills, with room for N rows."""

    start: NDArray[np.int64]
    length: NDArray[np.int32]
    time: NDArray[np.int64]
    frame: NDArray[np.int64]
    source: NDArray[np.uint8]
    destination: NDArray[np.uint8]
    source_port: NDArray[np.uint16]
    destination_port: NDArray[np.uint16]
    transport: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    identity: NDArray[np.int32]
    other_time: NDArray[np.int64]

    @classmethod
    def empty(cls, capacity: int) -> Rows:
        """Make room for `capacity` rows; the addresses are zeroed."""
        return cls(
            np.empty(capacity, np.int64),
            np.empty(capacity, np.int32),
            np.empty(capacity, np.int64),
            np.empty(capacity, np.int64),
            np.zeros((capacity, 16), np.uint8),
            np.zeros((capacity, 16), np.uint8),
            np.empty(capacity, np.uint16),
            np.empty(capacity, np.uint16),
            np.empty(capacity, np.uint8),
            np.empty(capacity, np.uint8),
            np.empty(capacity, np.int32),
            np.empty(capacity, np.int64),
        )


@kernel
def _varint(octets: Any, at: int, end: int) -> tuple[int, int]:
    """Read a varint of at most ten octets; return (value, offset behind it); offset -1: none."""
    value = int64(0)
    for i in range(10):
        if at + i >= end:
            break
        octet = int64(octets[at + i])
        value |= (octet & 127) << (7 * i)
        if octet < 128:
            return value, at + i + 1
    return 0, -1


@kernel
def fields(octets: Any, at: int, end: int, value: Any, size: Any) -> bool:
    """Walk the fields of the protobuf message [at, end); return whether it is well-formed.

    For field f below `len(value)`: size[f] is -1 where it is absent; for octets, value[f] is their
    offset and size[f] their number; for numbers value[f] is the number and size[f] is -2.
    """
    for f in range(len(value)):
        size[f] = _NO_FIELD
    for _ in range(limits.PROTOBUF_FIELDS):
        if at == end:
            return True
        tag, at = _varint(octets, at, end)
        if at < 0 or tag < 8:
            return False
        number = tag >> 3
        wire = tag & 7
        found = int64(0)
        length = int64(-2)
        if wire == 0:
            found, at = _varint(octets, at, end)
            if at < 0:
                return False
        elif wire == 2:
            length, at = _varint(octets, at, end)
            if at < 0 or length < 0 or length > end - at:
                return False
            found = at
            at += length
        elif wire in (1, 5):
            width = 8 if wire == 1 else 4
            if end - at < width:
                return False
            found = le32(octets, at)
            at += width
        else:
            return False
        if number < len(value):
            value[number] = found
            size[number] = length
    return at == end


@kernel
def _time_of(value: Any, size: Any, seconds: int, nanoseconds: int) -> int:
    """Time in ns of two fields; 0: absent, or none that fits."""
    if size[seconds] != -2 or value[seconds] < 0 or value[seconds] > 9_223_372_035:
        return 0
    rest = value[nanoseconds] if size[nanoseconds] == -2 else 0
    if rest >= limits.SECOND:
        rest = 0
    return int64(value[seconds]) * limits.SECOND + rest


@kernel
def _put_address(octets: Any, at: int, size: int, target: Any, row: int) -> None:
    """Write an address of 4 or 16 octets into a zeroed row; any other stays zero."""
    if size not in (4, 16):
        return
    if size == 4:
        target[row, 10] = 255
        target[row, 11] = 255
    for i in range(size):
        target[row, 16 - size + i] = octets[at + i]


@kernel
def _identify(
    octets: Any, at: int, size: int, last: int, known: Any, hashes: Any, spans: Any, kept: Any
) -> int:
    """Number of the identity in [at, at + size), `last` being tried first; -2: no room for it."""
    digest = int64(size)
    for i in range(size):
        digest = (digest ^ int64(octets[at + i])) * 0x100000001B3
    for turn in range(-1, known[0]):
        row = last if turn < 0 else turn
        if row < 0 or hashes[row] != digest or spans[row, 1] != size:
            continue
        same = True
        for i in range(size):
            if kept[spans[row, 0] + i] != octets[at + i]:
                same = False
                break
        if same:
            return int64(row)
    row = int64(known[0])
    begin = spans[row - 1, 0] + spans[row - 1, 1] if row else 0
    if row >= len(hashes) or begin + size > len(kept):
        return -2
    for i in range(size):
        kept[begin + i] = octets[at + i]
    hashes[row] = digest
    spans[row, 0] = begin
    spans[row, 1] = size
    known[0] = row + 1
    return row


@kernel
def _is_dnstap_start(octets: Any, at: int, end: int) -> bool:
    """Whether the control frame [at, end), if it is START, names dnstap or no content at all."""
    if be32(octets, at) != _START:
        return True
    at += 4
    named = False
    while at + 8 <= end:
        size = be32(octets, at + 4)
        at += 8
        if size > end - at:
            return False
        named = True
        same = size == len(_CONTENT_NAME)
        for i in range(len(_CONTENT_NAME)):
            if not same or octets[at + i] != _CONTENT_NAME[i]:
                same = False
                break
        if same:
            return True
        at += size
    return not named


@kernel
def _lose(tally: Any, reason: int, size: int, offset: int, frame: int) -> None:
    tally[reason, 0] += 1
    tally[reason, 1] += size
    if tally[reason, 2] < 0:
        tally[reason, 2] = offset
        tally[reason, 3] = frame


@kernel
def walk(
    octets: Any,
    at: int,
    first_frame: int,
    longest: int,
    longest_control: int,
    start: Any,
    length: Any,
    time: Any,
    frame: Any,
    source: Any,
    destination: Any,
    source_port: Any,
    destination_port: Any,
    transport: Any,
    kind: Any,
    identity: Any,
    other_time: Any,
    known: Any,
    hashes: Any,
    spans: Any,
    kept: Any,
    repeat_keys: Any,
    repeat_times: Any,
    tally: Any,
) -> tuple[int, int, int, int, int, int, int]:
    """Walk frames from offset `at`.

    Return (messages, data frames, frames without a message, queries left out because another
    frame held them, offset reached, `MORE`, `FULL` or `ABSURD`, a number without meaning). Out:
    the columns of `Rows`. State: the identities known so far (known int64 (1), hashes int64, spans
    int64 (n, 2), kept uint8) and what `repeats.is_repeat` needs. tally int64 (reasons, 4): losses
    as count, octets, and offset and frame of the first.
    """
    outer = np.empty(16, np.int64)
    outer_size = np.empty(16, np.int64)
    value = np.empty(_FIELDS, np.int64)
    size = np.empty(_FIELDS, np.int64)
    count = 0
    frames = 0
    other = 0
    repeated = 0
    who = int64(-1)
    end = len(octets)
    ahead = at
    touched = 0
    state = MORE
    while at + 4 <= end:
        # A frame may give two rows.
        if count + 2 > len(start):
            state = FULL
            break
        if at >= ahead:
            touched += fetch(octets, at)
            ahead = at + AHEAD
        held = be32(octets, at)
        if held == 0:
            if at + 8 > end:
                break
            control = be32(octets, at + 4)
            if control < 4 or control > longest_control:
                state = ABSURD
                break
            if at + 8 + control > end:
                break
            if not _is_dnstap_start(octets, at + 8, at + 8 + control):
                _lose(tally, _CONTENT, control, at, first_frame + frames)
            at += 8 + control
            continue
        if held > longest:
            state = ABSURD
            break
        begin = at + 4
        stop = begin + held
        if stop > end:
            break
        at = stop
        number = first_frame + frames
        frames += 1
        if not fields(octets, begin, stop, outer, outer_size):
            _lose(tally, _MALFORMED, held, begin, number)
            continue
        if outer_size[_DNSTAP_MESSAGE] < 0 or (
            outer_size[_DNSTAP_TYPE] == -2 and outer[_DNSTAP_TYPE] != 1
        ):
            other += 1
            continue
        inner = outer[_DNSTAP_MESSAGE]
        inner_end = inner + outer_size[_DNSTAP_MESSAGE]
        well = fields(octets, inner, inner_end, value, size)
        if not well or size[1] != -2 or value[1] < 1 or value[1] > _LAST_KIND:
            _lose(tally, _MALFORMED, held, begin, number)
            continue
        mine = int64(-1)
        if outer_size[_DNSTAP_IDENTITY] > 0:
            mine = _identify(
                octets,
                outer[_DNSTAP_IDENTITY],
                outer_size[_DNSTAP_IDENTITY],
                who,
                known,
                hashes,
                spans,
                kept,
            )
            if mine < 0:
                _lose(tally, _IDENTITY, 0, begin, number)
                mine = int64(-1)
            else:
                who = mine
        asked = _time_of(value, size, 8, 9)
        answered = _time_of(value, size, 12, 13)
        if asked == 0 and answered == 0:
            _lose(tally, _NO_TIME, 0, begin, number)
        before = count + repeated
        short = False
        for answer in range(2):
            field = 14 if answer else 10
            if size[field] < 0:
                continue
            if size[field] < 12:
                short = True
                continue
            initiator = value[6] & 0xFFFF if size[6] == -2 else 0
            if answer == 0:
                context = (value[1] + 1) >> 1 | (value[3] & 0xFF) << 8 | initiator << 16
                context |= (mine + 1) << 32
                beside = value[1] & 1 == 0
                if is_repeat(
                    octets,
                    value[10],
                    size[10],
                    context,
                    value[4],
                    size[4],
                    beside,
                    asked,
                    answered,
                    repeat_keys,
                    repeat_times,
                ):
                    repeated += 1
                    continue
            start[count] = value[field]
            length[count] = size[field]
            frame[count] = number
            identity[count] = mine
            # Odd types are queries, and each is followed by its response type.
            kind[count] = ((value[1] - 1) & -2) + 1 + answer
            protocol = value[3] if size[3] == -2 else 1
            transport[count] = protocol - 1 if 1 <= protocol <= 7 else 0
            responder = value[7] & 0xFFFF if size[7] == -2 else 0
            if answer:
                time[count] = answered or asked
                other_time[count] = asked if answered else 0
                source_port[count] = responder
                destination_port[count] = initiator
                _put_address(octets, value[5], size[5], source, count)
                _put_address(octets, value[4], size[4], destination, count)
            else:
                time[count] = asked or answered
                other_time[count] = 0
                source_port[count] = initiator
                destination_port[count] = responder
                _put_address(octets, value[4], size[4], source, count)
                _put_address(octets, value[5], size[5], destination, count)
            count += 1
        if count + repeated == before:
            if short:
                _lose(tally, _SHORT, held, begin, number)
            else:
                other += 1
    return count, frames, other, repeated, at, state, touched


@kernel
def resynchronise(octets: Any, at: int, stop: int, longest: int) -> int:
    """Find the first dnstap frame in [at, stop) behind damage; return its offset, -1: none."""
    value = np.empty(_FIELDS, np.int64)
    size = np.empty(_FIELDS, np.int64)
    for place in range(at, min(stop, len(octets) - 5)):
        held = be32(octets, place)
        if held < 4 or held > longest or place + 4 + held > len(octets):
            continue
        if not fields(octets, place + 4, place + 4 + held, value, size):
            continue
        if size[_DNSTAP_TYPE] != -2 or value[_DNSTAP_TYPE] != 1 or size[_DNSTAP_MESSAGE] < 2:
            continue
        inner = value[_DNSTAP_MESSAGE]
        if fields(octets, inner, inner + size[_DNSTAP_MESSAGE], value, size) and size[1] == -2:
            return place
    return -1
