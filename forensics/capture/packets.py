"""From packets within a window of octets to blocks of DNS messages.

Readers of pcap and pcapng find the packets; everything behind that is here, once. One walk over the
packets finds the messages that are a whole UDP datagram, nearly all of them, where they lie. What
it meets of fragments and TCP segments is put together afterwards (assemble.py), and the messages
that come of it are set among the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.capture.containers import Stream
from forensics.capture.datagram import MESSAGE, NO_DNS, has_port, is_part, open_up
from forensics.capture.duplicates import is_copy
from forensics.capture.encapsulations import ENCAPSULATIONS, NOT_IP, NOTHING, new_counts
from forensics.capture.encrypted import PLAIN, encrypted_segment, is_followed, new_flows
from forensics.capture.exotic import Exotic
from forensics.capture.facts import CaptureFacts, Ledger
from forensics.capture.integers import AHEAD, fetch, int64
from forensics.capture.link import STRIPPED, WHOLE, inner, kind_of, link_type_name, network
from forensics.capture.losses import SENTENCES, Reason, new_tally
from forensics.capture.reassembly import Reassembly, Sensor, merged
from forensics.capture.tls_streams import SEGMENT_COLUMNS
from forensics.vocabulary import MessageFlag, Transport
from forensics.wire.blocks import MessageBlock
from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.moves import put64
from forensics.wire.words import be16, le64

_MESSAGE_CUT: Final = int(Reason.MESSAGE_CUT)
_CUT: Final = int(MessageFlag.CUT)
_MAPPED: Final = np.uint64(0xFFFF0000)
_HIGH: Final = np.uint64(0xFFFFFFFF00000000)

NO_PACKET: Final = -1000
"""In place of a link type: a frame that holds an event of another kind."""

_UNKNOWN: Final = int(Reason.LINK_TYPE_UNKNOWN)
_PARTS: Final = 4
"""Columns of the list of fragments and segments, see `assemble.assemble`."""


@dataclass(slots=True)
class Packets:
    """N packets within one window, in file order; arrays of length N.

    Attributes:
        start: int64, offset of the first octet of the packet in the window.
        captured: int32, octets captured; start + captured stays within the window.
        wire: int32, octets that the packet had on the wire; at least `captured`.
        time: int64, ns since 1970 UTC.
        link: int32, link type; -1 - a code of `losses.Reason`: a packet that cannot be read;
            NO_PACKET: none at all.
    """

    start: NDArray[np.int64]
    captured: NDArray[np.int32]
    wire: NDArray[np.int32]
    time: NDArray[np.int64]
    link: NDArray[np.int32]

    @classmethod
    def empty(cls, capacity: int) -> Packets:
        """Make room for `capacity` packets."""
        return cls(
            np.empty(capacity, np.int64),
            np.empty(capacity, np.int32),
            np.empty(capacity, np.int32),
            np.empty(capacity, np.int64),
            np.empty(capacity, np.int32),
        )

    def head(self, count: int) -> Packets:
        """The first `count` packets, over the same memory."""
        return Packets(
            self.start[:count],
            self.captured[:count],
            self.wire[:count],
            self.time[:count],
            self.link[:count],
        )

    def __len__(self) -> int:
        """Return N."""
        return len(self.start)


@inlined_kernel
def _put_addresses(octets: Any, at: int, source: Any, destination: Any, row: int) -> None:
    """Write the addresses of the IP header at `at`, IPv4 as ::ffff:a.b.c.d (RFC 4291).

    `source` and `destination` are uint8, 16 a row.
    """
    to = 16 * row
    if octets[at] >> 4 == 4:
        both = le64(octets, at + 12)
        put64(source, to, np.uint64(0))
        put64(source, to + 8, (both << np.uint64(32)) | _MAPPED)
        put64(destination, to, np.uint64(0))
        put64(destination, to + 8, (both & _HIGH) | _MAPPED)
    else:
        put64(source, to, le64(octets, at + 8))
        put64(source, to + 8, le64(octets, at + 16))
        put64(destination, to, le64(octets, at + 24))
        put64(destination, to + 8, le64(octets, at + 32))


@lean_kernel
def _lose(tally: Any, reason: int, size: int, packet: int) -> None:
    tally[reason, 0] += 1
    tally[reason, 1] += size
    if tally[reason, 2] < 0:
        tally[reason, 2] = packet


@lean_kernel
def dissect(
    octets: Any,
    base: int,
    first_frame: int,
    packet_start: Any,
    packet_captured: Any,
    packet_wire: Any,
    packet_time: Any,
    packet_link: Any,
    bitmap: Any,
    start: Any,
    captured: Any,
    length: Any,
    time: Any,
    frame: Any,
    source: Any,
    destination: Any,
    source_port: Any,
    destination_port: Any,
    flags: Any,
    kept: Any,
    kept_base: int,
    slots: Any,
    recent: Any,
    recent_count: Any,
    links: Any,
    tunnels: Any,
    flows: Any,
    parts: Any,
    ledger: Any,
    followed: Any,
    segments: Any,
    tally: Any,
) -> tuple[int, int, int, int, int, int]:
    """Find the DNS messages over UDP in packets, and leave out the copies of earlier ones.

    Return (messages, packets of other traffic, copies, fragments and segments, segments of TLS, a
    number without meaning).

    In: octets uint8 (window, at offset `base` of the stream); packet_* (N); bitmap uint8 (8192) of
    DNS ports; number of the first packet. Out, a row for each message: the columns of
    `MessageBlock`, but source and destination uint8 (16 N); parts int64 (N, 4): what
    `assemble.assemble` puts together. State: what `duplicates.is_copy`
    needs; links uint8 (65536): set to 1 for each link type seen; tunnels, see
    `encapsulations.new_counts`; flows, see `encrypted.new_flows`. segments int64 (N, 6): those of
    connections that may be decrypted, see `tls_streams.TlsStreams.add`, none of which is counted
    here; without rows where no secrets are known. State: followed, see `encrypted.is_followed`.
    ledger int64 (4): octets, see
    `facts.Ledger.add`, and those of the fragments and segments. tally int64 (reasons, 4): losses,
    with the packet's index as ordinal.
    """
    count = 0
    other = 0
    copies = 0
    part_count = 0
    inside = 0
    around = 0
    foreign = 0
    waiting = 0
    segment_count = 0
    ahead = 0
    touched = 0
    for i in range(len(packet_start)):
        link = int64(packet_link[i])
        size = int64(packet_captured[i])
        if link == NO_PACKET:
            other += 1
            continue
        if link < 0:
            _lose(tally, -1 - link, size, i)
            continue
        links[link & 0xFFFF] = 1
        begin = packet_start[i]
        end = begin + size
        if begin >= ahead:
            touched += fetch(octets, begin)
            ahead = begin + AHEAD
        wire_end = begin + int64(packet_wire[i])
        at = network(octets, begin, end, link)
        if at < 0:
            kind = kind_of(link)
            if kind == NOTHING:
                _lose(tally, _UNKNOWN, size, i)
                continue
            at, wire_end = inner(octets, kind, begin, end, wire_end, first_frame + i, tunnels)
        if at >= 0:
            (
                at,
                end,
                wire_end,
                protocol,
                here,
                stop,
                state,
                verdict,
                message,
                held,
                full,
            ) = open_up(octets, at, end, wire_end, first_frame + i, tunnels, bitmap)
        else:
            protocol, here, stop, state = int64(-1), at, at, WHOLE
            verdict, message, held, full = NO_DNS, at, int64(0), int64(0)
        if at < 0:
            if at == NOT_IP:
                other += 1
                foreign += size
            else:
                _lose(tally, -2 - at, size, i)
            continue
        if protocol < 0:
            _lose(tally, -1 - protocol, size, i)
            continue
        if state != WHOLE or protocol == 6:
            part = is_part(protocol)
            if state == WHOLE:
                part = here + 4 <= end and (
                    has_port(bitmap, be16(octets, here)) or has_port(bitmap, be16(octets, here + 2))
                )
            secret = PLAIN
            if not part and state == WHOLE:
                secret, _ = encrypted_segment(octets, at, here, end, stop, flows)
            if part:
                parts[part_count, 0] = i
                parts[part_count, 1] = at
                parts[part_count, 2] = end
                parts[part_count, 3] = wire_end
                part_count += 1
                waiting += size
            elif (
                len(segments)
                and state == WHOLE
                and is_followed(octets, at, here, end, stop, followed)
            ):
                segments[segment_count, 0] = i
                segments[segment_count, 1] = at
                segments[segment_count, 2] = here
                segments[segment_count, 3] = end
                segments[segment_count, 4] = stop
                segments[segment_count, 5] = secret
                segment_count += 1
            elif secret == PLAIN:
                other += 1
                foreign += size
            else:
                _lose(tally, secret, size, i)
            continue
        if protocol != 17 or verdict == NO_DNS:
            other += 1
            foreign += size
            continue
        if verdict != MESSAGE:
            _lose(tally, verdict, size, i)
            continue
        inside += held
        around += size - held
        flag = 0
        if held < full:
            flag = _CUT
            _lose(tally, _MESSAGE_CUT, full - held, i)
        stop = message + held
        now = packet_time[i]
        if is_copy(octets, base, at, here, stop, now, kept, kept_base, slots, recent, recent_count):
            copies += 1
            continue
        start[count] = message
        captured[count] = held
        length[count] = full
        time[count] = now
        frame[count] = first_frame + i
        _put_addresses(octets, at, source, destination, count)
        source_port[count] = be16(octets, here)
        destination_port[count] = be16(octets, here + 2)
        flags[count] = flag
        count += 1
    ledger[0] += inside
    ledger[1] += foreign
    ledger[2] += around
    ledger[3] += waiting
    return count, other, copies, part_count, segment_count, touched


@dataclass(slots=True)
class _SameForAll:
    """Columns of `MessageBlock` without news; blocks share them, nobody writes to them."""

    transport: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    identity: NDArray[np.int32]
    other_time: NDArray[np.int64]

    @classmethod
    def of(cls, count: int) -> _SameForAll:
        """Make them for `count` messages."""
        return cls(
            np.full(count, int(Transport.UDP), np.uint8),
            np.zeros(count, np.uint8),
            np.full(count, -1, np.int32),
            np.zeros(count, np.int64),
        )


class Dissector:
    """Turns the packets of one capture into blocks, and counts what it meets in `facts`."""

    def __init__(self, facts: CaptureFacts, reassembly: Reassembly) -> None:
        self._facts = facts
        self._reassembly = reassembly
        self._ledger = facts.ledger = facts.ledger or Ledger()
        self._sensor: Sensor | None = None
        self._links = np.zeros(65536, dtype=np.uint8)
        self._tunnels = new_counts()
        self._flows = new_flows()
        self._exotic = Exotic(facts)
        self._same = _SameForAll.of(0)
        self._window: NDArray[np.uint8] | None = None
        self._used = 0

    def blocks(self, stream: Stream, packets: Packets) -> Iterator[MessageBlock]:
        """Find the messages of `packets` in the window of `stream`, in capture order.

        Messages that began in an earlier capture and are given up now come as blocks of that one.
        """
        facts = self._facts
        octets, base = stream.octets, stream.base
        if len(packets):
            facts.saw_times(packets.time)
        if self._sensor is None:
            self._sensor = self._reassembly.sensor(facts)
            self._sensor.duplicates.begin()
            yield from self._reassembly.surplus()
        sensor = self._sensor
        if self._window is not octets:
            self._window, self._used = octets, len(octets)
        block, parts, segments, waiting = self._whole(octets, base, packets, sensor)
        rows = None
        at = block.frame - (facts.packets + 1)
        if len(parts) or sensor.waits:
            rows, room, self._used = sensor.assemble(
                stream.room,
                self._used,
                base,
                packets,
                parts,
                self._reassembly.bitmap,
                self._tunnels,
                self._reassembly.facts,
                facts.number,
            )
            block.octets = room[: self._used]
            self._ledger.framing += waiting - sensor.claimed
        if len(segments):
            opened, room, self._used = sensor.tls.decrypt(
                stream.room if rows is None else room,
                self._used,
                base,
                packets,
                segments,
                self._reassembly.facts,
                facts.number,
            )
            rows = opened if rows is None else np.concatenate((rows, opened))
            block.octets = room[: self._used]
        facts.packets += len(packets)
        packets_in = self._tunnels[:, 0].tolist()
        facts.encapsulations = {
            name: count for name, count in zip(ENCAPSULATIONS, packets_in, strict=True) if count
        }
        sensor.last = facts.last
        if rows is not None and len(rows):
            yield from merged(block, at, rows)
        else:
            yield block

    def _whole(
        self,
        octets: NDArray[np.uint8],
        base: int,
        packets: Packets,
        sensor: Sensor,
    ) -> tuple[MessageBlock, NDArray[np.int64], NDArray[np.int64], int]:
        """Find the messages that are whole datagrams.

        Give the fragments and segments besides, those of TLS, and how many octets the former have.
        """
        facts = self._facts
        duplicates = sensor.duplicates
        first_frame = facts.packets + 1
        number = len(packets)
        if facts.watch is not None:
            facts.watch.see(octets, packets, first_frame)
        self._exotic.strip(octets, packets)
        start = np.empty(number, np.int64)
        captured = np.empty(number, np.int32)
        length = np.empty(number, np.int32)
        time = np.empty(number, np.int64)
        frame = np.empty(number, np.int64)
        source = np.empty(16 * number, np.uint8)
        destination = np.empty(16 * number, np.uint8)
        source_port = np.empty(number, np.uint16)
        destination_port = np.empty(number, np.uint16)
        flags = np.empty(number, np.uint8)
        parts = np.empty((number, _PARTS), np.int64)
        sums = np.zeros(4, np.int64)
        readable = number if self._reassembly.secrets else 0
        segments = np.empty((readable, SEGMENT_COLUMNS), np.int64)
        tally = new_tally()
        count, other, copies, part_count, segment_count, _ = dissect(
            octets,
            base + duplicates.shift,
            first_frame,
            packets.start,
            packets.captured,
            packets.wire,
            packets.time,
            packets.link,
            self._reassembly.bitmap,
            start,
            captured,
            length,
            time,
            frame,
            source,
            destination,
            source_port,
            destination_port,
            flags,
            duplicates.kept,
            duplicates.kept_base,
            duplicates.slots,
            duplicates.messages,
            duplicates.count,
            self._links,
            self._tunnels,
            self._flows,
            parts,
            sums,
            sensor.tls.followed,
            segments,
            tally,
        )
        self._ledger.add(sums)
        if facts.watch is not None and facts.watch.pieces is not None:
            facts.watch.pieces.see(octets, packets, parts[:part_count], first_frame)
        facts.other += other
        facts.duplicates += copies
        facts.messages += count
        facts.carriers += count
        if number:
            self._links[STRIPPED] = 0
            facts.saw_link_types(np.flatnonzero(self._links.view(np.bool_)).tolist())
        self._count_losses(tally, base, packets, first_frame)
        same = self._same_for_all(count)
        block = MessageBlock(
            octets=octets,
            start=start[:count],
            captured=captured[:count],
            length=length[:count],
            time=time[:count],
            frame=frame[:count],
            source=source[: 16 * count].reshape(count, 16),
            destination=destination[: 16 * count].reshape(count, 16),
            source_port=source_port[:count],
            destination_port=destination_port[:count],
            transport=same.transport[:count],
            kind=same.kind[:count],
            identity=same.identity[:count],
            other_time=same.other_time[:count],
            flags=flags[:count],
            capture=facts.number,
        )
        return block, parts[:part_count], segments[:segment_count], int(sums[3])

    def _same_for_all(self, count: int) -> _SameForAll:
        """The columns that are the same for every message over UDP, at least `count` long."""
        if len(self._same.kind) < count:
            self._same = _SameForAll.of(count * 5 // 4)
        return self._same

    def leave(self, stream: Stream, used: int) -> None:
        """Prepare for the window that begins `used` octets behind the start of this one."""
        if self._sensor is not None:
            self._sensor.duplicates.leave(stream.octets, stream.base, used)

    def end(self, stream: Stream) -> None:
        """Prepare for the next capture, at the end of the last window of this one."""
        if self._sensor is not None:
            self._sensor.duplicates.end(stream.octets, stream.base)

    def _count_losses(
        self, tally: NDArray[np.int64], base: int, packets: Packets, first_frame: int
    ) -> None:
        order = sorted(np.flatnonzero(tally[:, 0]).tolist(), key=lambda code: int(tally[code, 2]))
        for code in order:
            count, size, first = (int(value) for value in tally[code, :3])
            reason = Reason(code)
            detail = SENTENCES[reason]
            if reason is Reason.LINK_TYPE_UNKNOWN:
                detail = f"{detail}: {link_type_name(int(packets.link[first]))}"
            self._facts.losses.add(
                reason,
                count=count,
                octets=size,
                offset=base + int(packets.start[first]),
                frame=first_frame + first,
                detail=detail,
            )
