"""The block format of Wireshark: sections, interfaces, packets.

Source: draft-ietf-opsawg-pcapng. Packets are counted from 1 over all sections, as Wireshark does:
enhanced, simple and obsolete packet blocks, and the blocks in which it shows other events (custom,
journal and system call). Key logs of TLS in blocks of secrets are used; name resolution, statistics
and unknown blocks are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.capture.containers import Stream
from forensics.capture.facts import CaptureFacts, Ledger
from forensics.capture.integers import AHEAD, fetch, int64, u16, u32
from forensics.capture.losses import SENTENCES, Reason
from forensics.capture.packets import NO_PACKET, Dissector, Packets
from forensics.capture.reassembly import Reassembly
from forensics.capture.tls_secrets import Secrets
from forensics.wire.blocks import MessageBlock
from forensics.wire.jit import lean_kernel
from forensics.wire.words import be32

NAME: Final = "pcapng"

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_PACKET: Final = 2
_SIMPLE: Final = 3
_ENHANCED: Final = 6
_SECRETS: Final = 10
_BIG: Final = 0x1A2B3C4D
_LITTLE: Final = 0x4D3C2B1A

_MORE: Final = 0
"""`index` stopped where the window ends."""
_FULL: Final = 1
"""`index` stopped because its output is full."""
_ABSURD: Final = 2
"""`index` stopped before a block whose lengths are absurd or differ."""
_SECRET: Final = 3
"""`index` stopped behind a block of secrets, so that they hold from there on."""

_EVENTS: Final = (0x0BAD, 0x40000BAD, 9, 0x204, 0x216, 0x221)
"""Custom blocks, systemd journal entries and sysdig events: frames to Wireshark, no packets."""

_TLS_KEYLOG: Final = 0x544C534B
"""Type of secrets: a key log of TLS, as in SSLKEYLOGFILE."""
_SECRETS_MOST: Final = limits.TLS_SECRETS_BLOCKS

_UNKNOWN_INTERFACE: Final = -1 - int(Reason.INTERFACE_UNKNOWN)
_BAD_LENGTH: Final = -1 - int(Reason.PACKET_LENGTH)

# What `index` keeps in `state` between windows.
_ORDER: Final = 0
"""1: the section is big-endian."""
_INTERFACES: Final = 1
"""Interfaces of the section so far, those beyond the limit included."""
_TIME: Final = 2
"""Time of the last packet that had one, ns."""
_TIMELESS: Final = 3
"""Packets without a usable time."""
_TIMELESS_FIRST: Final = 4
"""Ordinal of the first of them within the call, -1: none."""
_EXCESS: Final = 5
"""Interfaces beyond the limit."""
_SECRETS_AT: Final = 6
"""Where the body of the block of secrets begins in the window."""
_SECRETS_SIZE: Final = 7
"""Octets of its data."""
_SECRETS_SEEN: Final = 8
"""Blocks of secrets so far."""
_STATE: Final = 9

# Columns of the table of interfaces.
_LINK: Final = 0
_SNAPLEN: Final = 1
_RESOLUTION: Final = 2
_OFFSET: Final = 3

_OPTION_END: Final = 0
_OPTION_RESOLUTION: Final = 9
_OPTION_OFFSET: Final = 14


def sniff(head: bytes) -> bool:
    """Whether the input is pcapng: a section header block with its byte-order magic."""
    orders = (_BIG.to_bytes(4, "big"), _LITTLE.to_bytes(4, "big"))
    return head[:4] == _SECTION.to_bytes(4, "big") and head[8:12] in orders


@lean_kernel
def _nanoseconds(ticks_high: int, ticks_low: int, resolution: int, offset: int) -> int:
    """Time in ns since 1970 of a 64-bit count of ticks; -1: none that this program can hold.

    `resolution` is if_tsresol: 10^-n s, or 2^-n s with the top bit set. `offset` is in seconds.
    """
    power = resolution & 127
    # Split into seconds and a rest by parts, as the count is an unsigned 64-bit number.
    if resolution & 128:
        if power > 62:
            return -1
        if ticks_high >= 1 << 31:
            return -1
        ticks = (ticks_high << 32) | ticks_low
        seconds = ticks >> power
        rest = ticks & ((1 << power) - 1)
        if power > 32:
            rest >>= power - 32
            power = 32
        # Less than 2^32 ticks of 2^-32 s times 10^9 stays below 2^62.
        nanoseconds = (rest * limits.SECOND) >> power
    else:
        if power > 18 or ticks_high >= 1 << 31:
            return -1
        ticks = (ticks_high << 32) | ticks_low
        unit = 1
        for _ in range(power):
            unit *= 10
        seconds = ticks // unit
        rest = ticks % unit
        if power <= 9:
            nanoseconds = rest * (limits.SECOND // unit)
        else:
            nanoseconds = rest // (unit // limits.SECOND)
    if abs(offset) >= 1 << 40 or seconds >= 1 << 40:
        return -1
    seconds += offset
    # The last second whose every nanosecond fits into 63 bits.
    if seconds < 0 or seconds > 9_223_372_035:
        return -1
    return seconds * limits.SECOND + nanoseconds


@lean_kernel
def _describe(octets: Any, at: int, end: int, big: bool, interfaces: Any, row: int) -> None:
    """Read the interface description block whose body is [at, end) into a row of the table."""
    interfaces[row, _LINK] = u16(octets, at, big)
    interfaces[row, _SNAPLEN] = u32(octets, at + 4, big)
    interfaces[row, _RESOLUTION] = 6
    interfaces[row, _OFFSET] = 0
    at += 8
    while at + 4 <= end:
        code = u16(octets, at, big)
        size = u16(octets, at + 2, big)
        value = at + 4
        if code == _OPTION_END or value + size > end:
            break
        if code == _OPTION_RESOLUTION and size == 1:
            interfaces[row, _RESOLUTION] = octets[value]
        if code == _OPTION_OFFSET and size == 8:
            high = u32(octets, value if big else value + 4, big)
            low = u32(octets, value + 4 if big else value, big)
            interfaces[row, _OFFSET] = (high << 32) | low
        at = value + ((size + 3) & ~3)


@lean_kernel
def _block_order(octets: Any, at: int, big: bool) -> int:
    """Byte order of the block at `at`: 1 big, 0 little, -1: a section header without its magic."""
    if be32(octets, at) != _SECTION:
        return 1 if big else 0
    magic = be32(octets, at + 8)
    if magic == _BIG:
        return 1
    return 0 if magic == _LITTLE else -1


@lean_kernel
def index(
    octets: Any,
    at: int,
    longest: int,
    state: Any,
    interfaces: Any,
    start: Any,
    captured: Any,
    wire: Any,
    time: Any,
    link: Any,
) -> tuple[int, int, int, int]:
    """Walk blocks from offset `at`.

    Return (packets, offset reached, `_MORE`, `_FULL`, `_ABSURD` or `_SECRET`, a number without
    meaning).
    State: state int64 (`_STATE`), interfaces int64
    (INTERFACES, 4). Out: the columns of `Packets`.
    """
    count = 0
    end = len(octets)
    ahead = at
    touched = 0
    state[_TIMELESS] = 0
    state[_TIMELESS_FIRST] = -1
    state[_EXCESS] = 0
    while at + 12 <= end:
        if count == len(start):
            return count, at, _FULL, touched
        if at >= ahead:
            touched += fetch(octets, at)
            ahead = at + AHEAD
        order = _block_order(octets, at, state[_ORDER] == 1)
        big = order == 1
        size = u32(octets, at + 4, big)
        if order < 0 or size < 12 or size % 4 or size > longest:
            return count, at, _ABSURD, touched
        stop = at + size
        if stop > end:
            # At the end of the input, a block cut off and a false length look the same.
            break
        if u32(octets, stop - 4, big) != size:
            return count, at, _ABSURD, touched
        kind = u32(octets, at, big)
        body = at + 8
        stop -= 4
        at += size
        if kind == _SECTION:
            state[_ORDER] = order
            state[_INTERFACES] = 0
            continue
        if kind == _INTERFACE:
            row = state[_INTERFACES]
            if row >= len(interfaces):
                state[_EXCESS] += 1
            elif body + 8 <= stop:
                _describe(octets, body, stop, big, interfaces, row)
            else:
                interfaces[row, _LINK] = _BAD_LENGTH
            state[_INTERFACES] += 1
            continue
        if kind in (_ENHANCED, _PACKET):
            head = 20
        elif kind == _SIMPLE:
            head = 4
        elif kind in _EVENTS:
            start[count] = body
            captured[count] = 0
            wire[count] = 0
            time[count] = state[_TIME]
            link[count] = NO_PACKET
            count += 1
            continue
        elif kind == _SECRETS and state[_SECRETS_SEEN] < _SECRETS_MOST and body + 8 <= stop:
            state[_SECRETS_SEEN] += 1
            state[_SECRETS_AT] = body
            state[_SECRETS_SIZE] = min(u32(octets, body + 4, big), stop - body - 8)
            if u32(octets, body, big) == _TLS_KEYLOG:
                return count, at, _SECRET, touched
            continue
        else:
            continue
        held = int64(0)
        full = int64(0)
        known = _BAD_LENGTH
        when = int64(-1)
        if body + head <= stop:
            number = int64(0)
            if kind == _ENHANCED:
                number = u32(octets, body, big)
            elif kind == _PACKET:
                number = u16(octets, body, big)
            described = number < min(state[_INTERFACES], len(interfaces))
            known = interfaces[number, _LINK] if described else _UNKNOWN_INTERFACE
            if kind == _SIMPLE:
                full = u32(octets, body, big)
                held = min(full, stop - body - 4)
                if described and interfaces[0, _SNAPLEN]:
                    held = min(held, interfaces[0, _SNAPLEN])
            else:
                held = u32(octets, body + 12, big)
                full = u32(octets, body + 16, big)
                if described:
                    high = u32(octets, body + 4, big)
                    low = u32(octets, body + 8, big)
                    resolution = interfaces[number, _RESOLUTION]
                    when = _nanoseconds(high, low, resolution, interfaces[number, _OFFSET])
            if held > stop - body - head:
                held = stop - body - head
                known = _BAD_LENGTH
        if when < 0:
            when = state[_TIME]
            if known >= 0:
                state[_TIMELESS] += 1
                if state[_TIMELESS_FIRST] < 0:
                    state[_TIMELESS_FIRST] = count
        else:
            state[_TIME] = when
        start[count] = min(body + head, stop)
        captured[count] = held
        wire[count] = min(max(full, held), 0x7FFFFFFF)
        time[count] = when
        link[count] = known
        count += 1
    return count, at, _MORE, touched


@lean_kernel
def resynchronise(octets: Any, at: int, stop: int, big: bool, longest: int) -> int:
    """Find the first block of a known type in [at, stop) whose two lengths agree; -1: none."""
    end = len(octets)
    for place in range(at, min(stop, end - 11)):
        order = _block_order(octets, place, big)
        if order < 0:
            continue
        kind = u32(octets, place, order == 1)
        if kind != _SECTION and (kind == 0 or kind > 10):
            continue
        size = u32(octets, place + 4, order == 1)
        if size < 12 or size % 4 or size > longest or place + size > end:
            continue
        if u32(octets, place + size - 4, order == 1) == size:
            return place
    return -1


def blocks(stream: Stream, facts: CaptureFacts, reassembly: Reassembly) -> Iterator[MessageBlock]:
    """Read every packet of a pcapng stream; yield a block for each window, perhaps an empty one."""
    facts.ledger = ledger = Ledger()
    dissector = Dissector(facts, reassembly)
    state = np.zeros(_STATE, np.int64)
    interfaces = np.zeros((limits.INTERFACES, 4), np.int64)
    longest = limits.PCAPNG_BLOCK_OCTETS
    at = 0
    while True:
        octets = stream.octets
        packets = Packets.empty(min(limits.BLOCK_MESSAGES, (len(octets) - at) // 12 + 1))
        count, reached, ended, _ = index(
            octets,
            at,
            longest,
            state,
            interfaces,
            packets.start,
            packets.captured,
            packets.wire,
            packets.time,
            packets.link,
        )
        packets = packets.head(count)
        ledger.framing += reached - at - int(packets.captured.sum(dtype=np.int64))
        _count_notices(stream, facts, state, packets)
        if count:
            yield from dissector.blocks(stream, packets)
        at = reached
        if ended == _SECRET:
            _learn(stream, facts, state, reassembly.secrets)
            continue
        if ended == _FULL:
            continue
        if ended == _MORE and not stream.final:
            dissector.leave(stream, at)
            stream.advance(at)
            at = 0
            continue
        if ended == _ABSURD:
            dissector.leave(stream, at)
            stream.advance(at, limits.RESYNC_OCTETS + longest)
            octets, at = stream.octets, 0
        elif at == len(octets):
            dissector.end(stream)
            return
        # A block that runs beyond the end of the input is damage too if others follow its start.
        big = bool(state[_ORDER])
        found = resynchronise(octets, at + 1, at + limits.RESYNC_OCTETS, big, longest)
        lost = (found if found >= 0 else len(octets)) - at
        offset = stream.base + at
        if found < 0 and ended == _MORE:
            facts.cut(offset=offset, octets=lost)
            dissector.end(stream)
            return
        facts.skipped(
            Reason.BLOCK_LENGTH,
            SENTENCES[Reason.BLOCK_LENGTH],
            offset=offset,
            octets=lost,
            resumed=found >= 0,
        )
        if found < 0:
            dissector.end(stream)
            return
        at = found


def _learn(stream: Stream, facts: CaptureFacts, state: Any, secrets: Secrets) -> None:
    """Take the secrets of a block, which hold from here on."""
    begin, size = int(state[_SECRETS_AT]), int(state[_SECRETS_SIZE])
    text = stream.octets[begin + 8 : begin + 8 + size].tobytes()
    if not secrets.add(text):
        facts.losses.add(
            Reason.TLS_SECRETS, offset=stream.base + begin - 8, frame=facts.packets + 1
        )


def _count_notices(stream: Stream, facts: CaptureFacts, state: Any, packets: Packets) -> None:
    """Count what one call of `index` met besides packets."""
    if state[_TIMELESS]:
        first = int(state[_TIMELESS_FIRST])
        facts.losses.add(
            Reason.NO_TIMESTAMP,
            count=int(state[_TIMELESS]),
            offset=stream.base + int(packets.start[first]),
            frame=facts.packets + 1 + first,
        )
    if state[_EXCESS]:
        facts.losses.add(
            Reason.INTERFACE_LIMIT,
            count=int(state[_EXCESS]),
            offset=stream.base,
            frame=facts.packets + 1,
        )
