"""PowerDNS protobuf logs of the recursor and of dnsdist, as a collector stores the stream.

Source: dnsmessage.proto of PowerDNS (PBDNSMessage). On the wire a message has a length of 16 bits
before it; some collectors store 32 bits. A log holds no DNS messages: of each it tells the
endpoints, times, id, question and RCODE, and at most the addresses of the answer. So each becomes a
header with a question, flagged as partial; flags, EDNS and records are not known. The recursor's
own opinion (validationState) is not carried on: it is no part of a DNS message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.containers import Stream
from forensics.capture.facts import CaptureFacts, Ledger
from forensics.capture.frames import FULL, MORE
from forensics.capture.identities import Identities
from forensics.capture.losses import Reason, new_tally
from forensics.capture.pbdns import FIELDS, ROOM, SECONDS, TYPE, resynchronise, walk
from forensics.capture.protobuf import Rows, fields
from forensics.capture.reassembly import Reassembly
from forensics.vocabulary import MessageFlag
from forensics.wire.blocks import MessageBlock
from forensics.wire.jit import octets as as_octets

NAME: Final = "powerdns-protobuf"

_EARLIEST: Final = 10**9
"""September 2001: no log is older."""


def sniff(head: bytes) -> bool:
    """Whether the input begins with a length and a message with a type and a time."""
    return _width(head) > 0


def _width(head: bytes) -> int:
    """Octets of the length before each message: 2 or 4; 0: this is no such log."""
    for width in (2, 4):
        size = int.from_bytes(head[:width], "big")
        body = head[width : width + size]
        if not 8 <= size <= limits.PBDNS_OCTETS or len(body) < size:
            continue
        values, sizes = np.zeros(FIELDS, np.int64), np.zeros(FIELDS, np.int64)
        if (
            fields(as_octets(body), 0, size, values, sizes)
            and sizes[TYPE] == sizes[SECONDS] == -2
            and 1 <= values[TYPE] <= 4
            and values[SECONDS] >= _EARLIEST
        ):
            return width
    return 0


def blocks(stream: Stream, facts: CaptureFacts, reassembly: Reassembly) -> Iterator[MessageBlock]:
    """Read every message of a log; yield a block for each window, perhaps an empty one."""
    del reassembly  # it holds nothing but DNS
    identities = Identities()
    facts.ledger = ledger = Ledger()
    width = _width(stream.octets[: limits.HEAD_OCTETS].tobytes())
    at = 0
    while True:
        octets = stream.octets
        rows = Rows.empty(min(limits.BLOCK_OCTETS // ROOM, (len(octets) - at) // 10 + 1))
        out = np.empty(ROOM * len(rows.start), np.uint8)
        wire = np.empty(len(rows.start), np.int32)
        tally = new_tally()
        sums = np.zeros(3, np.int64)
        count, frames, other, reached, ended = walk(
            octets,
            at,
            width,
            facts.packets + 1,
            out,
            rows.start,
            rows.length,
            wire,
            rows.time,
            rows.frame,
            rows.source.reshape(-1),
            rows.destination.reshape(-1),
            rows.source_port,
            rows.destination_port,
            rows.transport,
            rows.kind,
            rows.identity,
            rows.other_time,
            identities.known,
            identities.hashes,
            identities.spans,
            identities.octets,
            sums,
            tally,
        )
        facts.lost(tally, stream.base)
        ledger.add(sums)
        facts.packets += frames
        facts.messages += count
        facts.carriers += count
        facts.other += other
        block = rows.block(out, count, facts.number, identities.decode())
        block.length = wire[:count]
        block.flags[:] = int(MessageFlag.PARTIAL | MessageFlag.CUT)
        facts.saw_times(block.time)
        yield block
        at = reached
        if ended == FULL:
            continue
        if ended == MORE and not stream.final:
            stream.advance(at)
            at = 0
            continue
        if ended == MORE and at == len(octets):
            return
        if not stream.final:
            stream.advance(at, limits.RESYNC_OCTETS + limits.PBDNS_OCTETS)
            at = 0
        at = _passed_over(stream, facts, at, width, cut=ended == MORE)
        if at < 0:
            return


def _passed_over(stream: Stream, facts: CaptureFacts, at: int, width: int, *, cut: bool) -> int:
    """Count damage at `at`; return the offset of the next message, -1: none."""
    octets: NDArray[np.uint8] = stream.octets
    found = int(resynchronise(octets, at + 1, at + limits.RESYNC_OCTETS, width))
    lost = (found if found >= 0 else len(octets)) - at
    offset = stream.base + at
    if cut and found < 0:
        facts.cut(offset=offset, octets=lost)
    else:
        reason, what = Reason.FRAME_LENGTH, "a message of an impossible length or content"
        facts.skipped(reason, what, offset=offset, octets=lost, resumed=found >= 0)
    return found
