"""dnstap: protobuf messages of a name server about its own traffic, in Frame Streams.

Source: dnstap.proto (dnstap.info) and the Frame Streams specification (fstrm). A frame is a length
of 32 bits in network order and the octets; length 0 escapes to a control frame. In a row made of a
response, the source is the responder; in one made of a query, it is the initiator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.containers import Stream
from forensics.capture.facts import CaptureFacts, Ledger
from forensics.capture.frames import ABSURD, FULL, MORE, resynchronise, scratch, walk
from forensics.capture.identities import Identities
from forensics.capture.losses import SENTENCES, Reason, new_tally
from forensics.capture.protobuf import Rows
from forensics.capture.reassembly import Reassembly
from forensics.capture.repeats import Repeats
from forensics.wire.blocks import MessageBlock

NAME: Final = "dnstap"

_CONTENT_TYPE: Final = b"protobuf:dnstap.Dnstap"
_START: Final = 2
_READY: Final = 4


def sniff(head: bytes) -> bool:
    """Whether the input is Frame Streams that begin with START or READY, of dnstap content."""
    if len(head) < 12 or head[:4] != bytes(4):
        return False
    size = int.from_bytes(head[4:8], "big")
    kind = int.from_bytes(head[8:12], "big")
    if not 4 <= size <= limits.CONTROL_OCTETS or kind not in {_START, _READY}:
        return False
    return size == 4 or _CONTENT_TYPE in head[12 : 8 + size]


def blocks(stream: Stream, facts: CaptureFacts, reassembly: Reassembly) -> Iterator[MessageBlock]:
    """Read every frame of a dnstap stream; yield a block for each window, perhaps an empty one."""
    del reassembly  # dnstap holds nothing but DNS
    identities = Identities()
    repeats = Repeats()
    room = scratch()
    facts.ledger = ledger = Ledger()
    at = 0
    while True:
        octets = stream.octets
        rows = Rows.empty(min(limits.BLOCK_MESSAGES, (len(octets) - at) // 8 + 2))
        tally = new_tally()
        sums = np.zeros(3, np.int64)
        count, frames, other, repeated, reached, ended, _ = walk(
            octets,
            at,
            facts.packets + 1,
            limits.RECORD_OCTETS,
            limits.CONTROL_OCTETS,
            rows.start,
            rows.length,
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
            repeats.sets,
            *room,
            sums,
            tally,
        )
        facts.lost(tally, stream.base)
        ledger.add(sums)
        facts.packets += frames
        facts.messages += count
        facts.carriers += _distinct(rows.frame[:count])
        facts.other += other
        facts.duplicates += repeated
        block = rows.block(octets, count, facts.number, identities.decode())
        facts.saw_times(block.time)
        yield block
        at = reached
        if ended == FULL:
            continue
        if ended == MORE and not stream.final:
            stream.advance(at)
            at = 0
            continue
        if ended == ABSURD:
            stream.advance(at, limits.RESYNC_OCTETS + 2 * limits.RECORD_OCTETS)
            octets, at = stream.octets, 0
        elif at == len(octets):
            return
        # A frame that runs beyond the end of the input is damage too if others follow its start.
        found = resynchronise(
            octets, at + 1, at + limits.RESYNC_OCTETS, limits.RECORD_OCTETS, *room[2:]
        )
        lost = (found if found >= 0 else len(octets)) - at
        offset = stream.base + at
        if found < 0 and ended == MORE:
            facts.cut(offset=offset, octets=lost)
            return
        size = int.from_bytes(octets[at : at + 4].tobytes(), "big")
        what = f"a frame claims {size} octets" if size else SENTENCES[Reason.FRAME_LENGTH]
        facts.skipped(Reason.FRAME_LENGTH, what, offset=offset, octets=lost, resumed=found >= 0)
        if found < 0:
            return
        at = found


def _distinct(frames: NDArray[np.int64]) -> int:
    """How many frames gave these rows, which are in the order of frames."""
    return int(np.count_nonzero(frames[1:] != frames[:-1])) + (len(frames) > 0)
