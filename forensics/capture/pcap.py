"""The classic capture format: a file header of 24 octets, then records of 16 and a packet.

Source: draft-ietf-opsawg-pcap. Microseconds (magic a1b2c3d4), nanoseconds (a1b23c4d) and the
older Linux variant with 24 octets a record header (a1b2cd34), each in both byte orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from forensics import limits
from forensics.capture.containers import Stream
from forensics.capture.facts import CaptureFacts, Ledger
from forensics.capture.integers import AHEAD, fetch, u32
from forensics.capture.losses import Reason
from forensics.capture.packets import Dissector, Packets
from forensics.capture.reassembly import Reassembly
from forensics.wire.blocks import MessageBlock
from forensics.wire.jit import lean_kernel

NAME: Final = "pcap"

_FILE_HEADER: Final = 24
_MAGICS: Final = {
    0xA1B2C3D4: (16, 1000),
    0xA1B23C4D: (16, 1),
    0xA1B2CD34: (24, 1000),
}
"""From magic to octets of a record header and ns of its unit of time."""

_MORE: Final = 0
"""`index` stopped where the window ends."""
_FULL: Final = 1
"""`index` stopped because its output is full."""
_ABSURD: Final = 2
"""`index` stopped before a record of absurd length."""


def _magic(head: bytes) -> tuple[int, bool]:
    """The magic number and whether the file is big-endian; 0: no pcap."""
    for order in ("little", "big"):
        number = int.from_bytes(head[:4], order)
        if number in _MAGICS:
            return number, order == "big"
    return 0, False


def sniff(head: bytes) -> bool:
    """Whether the input is pcap."""
    return len(head) >= 4 and _magic(head)[0] != 0


@lean_kernel
def index(
    octets: Any,
    at: int,
    big: bool,
    header: int,
    unit: int,
    longest: int,
    start: Any,
    captured: Any,
    wire: Any,
    time: Any,
) -> tuple[int, int, int, int]:
    """Walk records from offset `at`.

    Return (packets, offset reached, `_MORE`, `_FULL` or `_ABSURD`, a number without meaning).

    `header` is the octets of a record header, `unit` the ns of its sub-second field, `longest` the
    longest believed packet. Out: the columns of `Packets`.
    """
    count = 0
    end = len(octets)
    ahead = at
    touched = 0
    while at + header <= end:
        if count == len(start):
            return count, at, _FULL, touched
        if at >= ahead:
            touched += fetch(octets, at)
            ahead = at + AHEAD
        size = u32(octets, at + 8, big)
        if size > longest:
            return count, at, _ABSURD, touched
        if at + header + size > end:
            break
        full = u32(octets, at + 12, big)
        start[count] = at + header
        captured[count] = size
        wire[count] = min(max(full, size), 0x7FFFFFFF)
        seconds = u32(octets, at, big)
        time[count] = seconds * limits.SECOND + u32(octets, at + 4, big) * unit
        count += 1
        at += header + size
    return count, at, _MORE, touched


@lean_kernel
def _is_record(
    octets: Any, at: int, big: bool, header: int, unit: int, longest: int, near: int
) -> bool:
    """Whether a record header at `at` is believable, its time within a day of `near` seconds."""
    if at + header > len(octets):
        return False
    size = u32(octets, at + 8, big)
    full = u32(octets, at + 12, big)
    if size == 0 or size > longest or full < size or full > longest:
        return False
    if u32(octets, at + 4, big) * unit >= limits.SECOND:
        return False
    return near < 0 or abs(u32(octets, at, big) - near) <= 86400


@lean_kernel
def resynchronise(
    octets: Any, at: int, stop: int, big: bool, header: int, unit: int, longest: int, near: int
) -> int:
    """Find the first believable record header in [at, stop) that another one, or the end, follows.

    `near` is the time of the last good packet in seconds, negative: none; then the end of the
    input is not enough, as any few zeros before it look like a record. Return -1: not found.
    """
    for place in range(at, min(stop, len(octets) - header + 1)):
        if _is_record(octets, place, big, header, unit, longest, near):
            following = place + header + u32(octets, place + 8, big)
            if following == len(octets) and near >= 0:
                return place
            second = u32(octets, place, big)
            if _is_record(octets, following, big, header, unit, longest, second):
                return place
    return -1


def blocks(stream: Stream, facts: CaptureFacts, reassembly: Reassembly) -> Iterator[MessageBlock]:
    """Read every packet of a pcap stream; yield a block for each window, perhaps an empty one."""
    facts.ledger = ledger = Ledger()
    head = stream.octets[:_FILE_HEADER].tobytes()
    if len(head) < _FILE_HEADER:
        detail = "the file ends within its header"
        facts.losses.add(Reason.FILE_CUT, offset=0, frame=0, octets=len(head), detail=detail)
        return
    magic, big = _magic(head)
    header, unit = _MAGICS[magic]
    # The upper bits hold the length of the frame check sequence, which IP's own lengths exclude.
    link = int.from_bytes(head[20:24], "big" if big else "little") & 0xFFFF
    facts.saw_link_types([link])
    dissector = Dissector(facts, reassembly)
    at = _FILE_HEADER
    ledger.framing = at
    last_second = -1
    while True:
        octets = stream.octets
        packets = Packets.empty(min(limits.BLOCK_MESSAGES, (len(octets) - at) // header + 1))
        count, reached, state, _ = index(
            octets,
            at,
            big,
            header,
            unit,
            limits.RECORD_OCTETS,
            packets.start,
            packets.captured,
            packets.wire,
            packets.time,
        )
        packets = packets.head(count)
        packets.link[:] = link
        ledger.framing += reached - at - int(packets.captured.sum(dtype="int64"))
        if count:
            # Zeros that were never written over read as records of no octets, of 1970.
            filled = np.flatnonzero(packets.captured)
            if len(filled):
                last_second = int(packets.time[filled[-1]]) // limits.SECOND
            yield from dissector.blocks(stream, packets)
        at = reached
        if state == _FULL:
            continue
        if state == _MORE and not stream.final:
            dissector.leave(stream, at)
            stream.advance(at)
            at = 0
            continue
        if state == _ABSURD:
            dissector.leave(stream, at)
            stream.advance(at, limits.RESYNC_OCTETS + limits.RECORD_OCTETS + 2 * header)
            octets, at = stream.octets, 0
        elif at == len(octets):
            dissector.end(stream)
            return
        # A record that runs beyond the end of the input is damage too if others follow its start.
        # Damage that happened to read as a record has any time: then no time is near.
        for near in (last_second, -1):
            found = resynchronise(
                octets,
                at + 1,
                at + limits.RESYNC_OCTETS,
                big,
                header,
                unit,
                limits.RECORD_OCTETS,
                near,
            )
            if found >= 0 or near < 0:
                break
        lost = (found if found >= 0 else len(octets)) - at
        offset = stream.base + at
        if found < 0 and state == _MORE:
            facts.cut(offset=offset, octets=lost)
            dissector.end(stream)
            return
        size = int.from_bytes(octets[at + 8 : at + 12].tobytes(), "big" if big else "little")
        facts.skipped(
            Reason.RECORD_LENGTH,
            f"a record claims {size} octets",
            offset=offset,
            octets=lost,
            resumed=found >= 0,
        )
        if found < 0:
            dissector.end(stream)
            return
        at = found
