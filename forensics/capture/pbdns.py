"""Kernels that turn the messages of a PowerDNS protobuf log into headers with a question."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.capture.frames import ABSURD, FULL, MORE
from forensics.capture.identities import identify
from forensics.capture.integers import AHEAD, fetch, int64
from forensics.capture.losses import Reason
from forensics.capture.protobuf import fields, lose, put_address
from forensics.wire.jit import kernel
from forensics.wire.words import be16, be32

FIELDS: Final = 32
"""Numbers of the fields of a PBDNSMessage are below this."""
TYPE, IDENTITY, PROTOCOL, FROM, TO = 1, 3, 5, 6, 7
SIZE, SECONDS, MICROSECONDS, ID, QUESTION, RESPONSE = 8, 9, 10, 11, 12, 13
FROM_PORT, TO_PORT = 20, 21
ROOM: Final = 12 + 255 + 4 + 11
"""Most octets that a message is rebuilt to: header, question, OPT."""

_KINDS: Final = np.array([0, 5, 6, 3, 4], np.uint8)
"""dnstap types by PBDNSMessage.Type: of clients to us, and of us to servers."""
_MALFORMED: Final = int(Reason.PROTOBUF_MALFORMED)
_NO_TIME: Final = int(Reason.NO_TIMESTAMP)
_TOO_MANY: Final = int(Reason.IDENTITY_LIMIT)
_OMITTED: Final = int(Reason.EXPORTER_OMITTED)
_MESSAGES, _OTHER, _FRAMING = range(3)


@kernel
def _put_name(octets: Any, at: int, size: int, out: Any, to: int) -> int:
    """Write a name in presentation form (RFC 4343 2.1) as on the wire: its octets; 0: no name."""
    start = to
    label = to
    to += 1
    end = at + size
    if size == 1 and octets[at] == 46:
        out[start] = 0
        return 1
    while at < end:
        octet = int64(octets[at])
        at += 1
        if octet == 46:
            length = to - label - 1
            if length == 0 or length > 63:
                return 0
            out[label] = length
            label = to
            to += 1
            if to - start > 255:
                return 0
            continue
        if octet == 92:
            if at >= end:
                return 0
            octet = int64(octets[at])
            at += 1
            if 48 <= octet <= 57:
                if at + 2 > end:
                    return 0
                octet = (octet - 48) * 100 + (octets[at] - 48) * 10 + octets[at + 1] - 48
                at += 2
                if not 0 <= octet <= 255:
                    return 0
        if to - start >= 255:
            return 0
        out[to] = octet
        to += 1
    length = to - label - 1
    if length > 0:
        # A name without its last dot.
        if length > 63 or to - start >= 255:
            return 0
        out[label] = length
        label = to
        to += 1
    out[label] = 0
    return to - start


@kernel
def _instant(value: Any, size: Any, seconds: int, microseconds: int) -> int:
    """Time in ns of two fields; 0: absent."""
    if size[seconds] != -2 or not 0 < value[seconds] < 9_223_372_035:
        return 0
    rest = value[microseconds] if size[microseconds] == -2 else 0
    if not 0 <= rest < 1_000_000:
        rest = 0
    return int64(value[seconds] * limits.SECOND + rest * 1000)


@kernel
def walk(
    octets: Any,
    at: int,
    width: int,
    first_frame: int,
    out: Any,
    start: Any,
    length: Any,
    wire: Any,
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
    ledger: Any,
    tally: Any,
) -> tuple[int, int, int, int, int]:
    """Walk messages, each behind its length of `width` octets, from offset `at`.

    Return (messages, frames, frames without a message, offset reached, `MORE`, `FULL` or
    `ABSURD`). Out: the columns of `Rows` over the octets `out`, the addresses flat, and `wire`, the
    sizes on the wire. State: identities, as in `frames.walk`. ledger int64 (3): octets, see
    `facts.Ledger.add`; an entry counts as a message whole. tally int64 (reasons, 4): losses.
    """
    value = np.empty(FIELDS, np.int64)
    size = np.empty(FIELDS, np.int64)
    inner = np.empty(12, np.int64)
    inner_size = np.empty(12, np.int64)
    count = 0
    frames = 0
    other = 0
    used = 0
    who = int64(-1)
    end = len(octets)
    ahead = at
    touched = 0
    state = MORE
    while at + width <= end:
        if count == len(start) or used + ROOM > len(out):
            state = FULL
            break
        if at >= ahead:
            touched += fetch(octets, at)
            ahead = at + AHEAD
        held = be16(octets, at) if width == 2 else be32(octets, at)
        if held == 0 or held > limits.PBDNS_OCTETS:
            state = ABSURD
            break
        begin = at + width
        stop = begin + held
        if stop > end:
            break
        if not fields(octets, begin, stop, value, size):
            # Nothing else tells where the next length is.
            state = ABSURD
            break
        at = stop
        number = first_frame + frames
        frames += 1
        ledger[_FRAMING] += width
        if size[TYPE] != -2 or not 1 <= value[TYPE] <= 4:
            lose(tally, _MALFORMED, held, begin, number)
            continue
        answer = value[TYPE] & 1 == 0
        now = _instant(value, size, SECONDS, MICROSECONDS)
        asked = int64(0)
        rcode = int64(0)
        if answer and size[RESPONSE] >= 0:
            place = value[RESPONSE]
            if not fields(octets, place, place + size[RESPONSE], inner, inner_size):
                lose(tally, _MALFORMED, held, begin, number)
                continue
            rcode = inner[1] if inner_size[1] == -2 else -1
            asked = _instant(inner, inner_size, 5, 6)
        elif answer:
            rcode = int64(-1)
        if not 0 <= rcode < 4096:
            # No response came, or its outcome is not told: no message.
            other += 1
            ledger[_OTHER] += held
            continue
        if now == 0:
            now = asked
            lose(tally, _NO_TIME, 0, begin, number)
        base = used
        name_size = int64(0)
        if size[QUESTION] >= 0:
            place = value[QUESTION]
            if fields(octets, place, place + size[QUESTION], inner, inner_size):
                if 0 < inner_size[1] <= 1016:
                    name_size = _put_name(octets, inner[1], inner_size[1], out, base + 12)
            else:
                inner_size[:] = -1
        message_id = value[ID] & 0xFFFF if size[ID] == -2 else 0
        out[base] = message_id >> 8
        out[base + 1] = message_id & 255
        out[base + 2] = 0x80 if answer else 0
        out[base + 3] = rcode & 15
        for octet in range(4, 12):
            out[base + octet] = 0
        used = base + 12
        if name_size > 0:
            out[base + 5] = 1
            used += name_size
            qtype = inner[2] & 0xFFFF if inner_size[2] == -2 else 0
            qclass = inner[3] & 0xFFFF if inner_size[3] == -2 else 1
            out[used] = qtype >> 8
            out[used + 1] = qtype & 255
            out[used + 2] = qclass >> 8
            out[used + 3] = qclass & 255
            used += 4
        if rcode > 15:
            out[base + 11] = 1
            for octet in range(11):
                out[used + octet] = 0
            out[used + 2] = 41
            out[used + 5] = rcode >> 4
            used += 11
        start[count] = base
        length[count] = used - base
        octets_of_it = value[SIZE] if size[SIZE] == -2 else 0
        wire[count] = octets_of_it if 12 <= octets_of_it <= 65535 else used - base
        time[count] = now
        frame[count] = number
        kind[count] = _KINDS[value[TYPE]]
        protocol = value[PROTOCOL] if size[PROTOCOL] == -2 else 1
        # 1 UDP, 2 TCP, 3 DoT, 4 DoH, 5 DNSCrypt over UDP, 6 over TCP, 7 DoQ: as in dnstap
        transport[count] = protocol - 1 if 1 <= protocol <= 7 else 0
        other_time[count] = asked if answer else 0
        identity[count] = -1
        if size[IDENTITY] > 0:
            mine = identify(
                octets, value[IDENTITY], size[IDENTITY], who, known, hashes, spans, kept
            )
            if mine < 0:
                lose(tally, _TOO_MANY, 0, begin, number)
            else:
                who = mine
                identity[count] = mine
        client = value[FROM_PORT] & 0xFFFF if size[FROM_PORT] == -2 else 0
        server = value[TO_PORT] & 0xFFFF if size[TO_PORT] == -2 else 0
        if answer:
            source_port[count] = server
            destination_port[count] = client
            put_address(octets, value[TO], size[TO], source, count)
            put_address(octets, value[FROM], size[FROM], destination, count)
        else:
            source_port[count] = client
            destination_port[count] = server
            put_address(octets, value[FROM], size[FROM], source, count)
            put_address(octets, value[TO], size[TO], destination, count)
        lose(tally, _OMITTED, 0, begin, number)
        ledger[_MESSAGES] += held
        count += 1
    # `touched` is used, or the reads ahead would be left out.
    return count, frames, other, at, state if touched >= 0 else MORE


@kernel
def resynchronise(octets: Any, at: int, stop: int, width: int) -> int:
    """Find the first message in [at, stop) behind damage; return its offset, -1: none."""
    value = np.empty(FIELDS, np.int64)
    size = np.empty(FIELDS, np.int64)
    for place in range(at, min(stop, len(octets) - width - 2)):
        held = be16(octets, place) if width == 2 else be32(octets, place)
        begin = place + width
        if held < 8 or held > limits.PBDNS_OCTETS or begin + held > len(octets):
            continue
        # The type and a time are in every message, and hardly in anything else.
        if octets[begin] != 8 and octets[begin] >> 3 > 24:
            continue
        if not fields(octets, begin, begin + held, value, size):
            continue
        if size[TYPE] == -2 and 1 <= value[TYPE] <= 4 and size[SECONDS] == -2:
            return place
    return -1
