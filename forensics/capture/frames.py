"""Kernels that walk Frame Streams and the dnstap messages within them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.capture.identities import identify
from forensics.capture.integers import AHEAD, fetch, int64
from forensics.capture.losses import Reason
from forensics.capture.protobuf import fields, lose, put_address
from forensics.capture.repeats import is_repeat
from forensics.wire.jit import lean_kernel
from forensics.wire.words import be32

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
_FIELDS: Final = 18
"""Numbers of the fields of a dnstap Message are below this."""
_DNSTAP_IDENTITY: Final = 1
_DNSTAP_MESSAGE: Final = 14
_DNSTAP_TYPE: Final = 15
_LAST_KIND: Final = 14
_START: Final = 2
_MESSAGES, _OTHER, _FRAMING = range(3)
_CONTENT_NAME: Final = np.frombuffer(b"protobuf:dnstap.Dnstap", np.uint8)


@lean_kernel
def _time_of(value: Any, size: Any, seconds: int, nanoseconds: int) -> int:
    """Time in ns of two fields; 0: absent, or none that fits."""
    if size[seconds] != -2 or value[seconds] < 0 or value[seconds] > 9_223_372_035:
        return 0
    rest = value[nanoseconds] if size[nanoseconds] == -2 else 0
    if rest >= limits.SECOND:
        rest = 0
    return int64(value[seconds]) * limits.SECOND + rest


@lean_kernel
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


def scratch() -> tuple[Any, Any, Any, Any]:
    """Room for the fields of a frame, and of the message in it: values and sizes of each."""
    return tuple(np.empty(many, np.int64) for many in (16, 16, _FIELDS, _FIELDS))  # type: ignore[return-value]


@lean_kernel
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
    repeats: Any,
    outer: Any,
    outer_size: Any,
    value: Any,
    size: Any,
    ledger: Any,
    tally: Any,
) -> tuple[int, int, int, int, int, int, int]:
    """Walk frames from offset `at`.

    Return (messages, data frames, frames without a message, queries left out because another
    frame held them, offset reached, `MORE`, `FULL` or `ABSURD`, a number without meaning). Out:
    the columns of `Rows`, the addresses flat. State: the identities known so far (known int64 (1),
    hashes int64, spans int64 (n, 2), kept uint8) and what `repeats.is_repeat` needs. Scratch:
    outer, outer_size, value and size, see `scratch`. ledger int64 (3): octets, see
    `facts.Ledger.add`. tally int64 (reasons, 4): losses as count, octets, and offset and frame of
    the first.
    """
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
                lose(tally, _CONTENT, control, at, first_frame + frames)
                ledger[_FRAMING] -= control
            ledger[_FRAMING] += 8 + control
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
        ledger[_FRAMING] += 4
        if not fields(octets, begin, stop, outer, outer_size):
            lose(tally, _MALFORMED, held, begin, number)
            continue
        if outer_size[_DNSTAP_MESSAGE] < 0 or (
            outer_size[_DNSTAP_TYPE] == -2 and outer[_DNSTAP_TYPE] != 1
        ):
            other += 1
            ledger[_OTHER] += held
            continue
        inner = outer[_DNSTAP_MESSAGE]
        inner_end = inner + outer_size[_DNSTAP_MESSAGE]
        well = fields(octets, inner, inner_end, value, size)
        if not well or size[1] != -2 or value[1] < 1 or value[1] > _LAST_KIND:
            lose(tally, _MALFORMED, held, begin, number)
            continue
        mine = int64(-1)
        if outer_size[_DNSTAP_IDENTITY] > 0:
            mine = identify(
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
                lose(tally, _IDENTITY, 0, begin, number)
                mine = int64(-1)
            else:
                who = mine
        asked = _time_of(value, size, 8, 9)
        answered = _time_of(value, size, 12, 13)
        if asked == 0 and answered == 0:
            lose(tally, _NO_TIME, 0, begin, number)
        before = count + repeated
        short = False
        carried = int64(0)
        for answer in range(2):
            field = 14 if answer else 10
            if size[field] < 0:
                continue
            if size[field] < 12:
                short = True
                continue
            ledger[_MESSAGES] += size[field]
            carried += size[field]
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
                    repeats,
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
                put_address(octets, value[5], size[5], source, count)
                put_address(octets, value[4], size[4], destination, count)
            else:
                time[count] = asked or answered
                other_time[count] = 0
                source_port[count] = initiator
                destination_port[count] = responder
                put_address(octets, value[4], size[4], source, count)
                put_address(octets, value[5], size[5], destination, count)
            count += 1
        if count + repeated == before:
            if short:
                lose(tally, _SHORT, held, begin, number)
            else:
                other += 1
                ledger[_OTHER] += held
        else:
            ledger[_FRAMING] += held - carried
    return count, frames, other, repeated, at, state, touched


@lean_kernel
def resynchronise(octets: Any, at: int, stop: int, longest: int, value: Any, size: Any) -> int:
    """Find the first dnstap frame in [at, stop) behind damage; return its offset, -1: none."""
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
