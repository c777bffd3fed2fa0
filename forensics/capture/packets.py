"""From packets within a window of octets to a block of DNS messages over UDP.

Readers of pcap and pcapng find the packets; everything behind that is here, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.duplicates import Duplicates, is_copy
from forensics.capture.encapsulations import CUT, ENCAPSULATIONS, NOT_IP, NOTHING, new_counts
from forensics.capture.encrypted import (
    PLAIN,
    encrypted_datagram,
    encrypted_segment,
    is_dnscrypt,
    new_flows,
)
from forensics.capture.exotic import Exotic
from forensics.capture.facts import CaptureFacts
from forensics.capture.integers import AHEAD, be16, fetch, int64
from forensics.capture.link import (
    FIRST_FRAGMENT,
    LATER_FRAGMENT,
    STRIPPED,
    WHOLE,
    inner,
    kind_of,
    link_type_name,
    network,
    transport,
)
from forensics.capture.losses import SENTENCES, Reason, new_tally
from forensics.capture.plausible import plausible
from forensics.capture.tunnels import ip_tunnel, udp_tunnel
from forensics.vocabulary import MessageFlag, Transport
from forensics.wire.blocks import MessageBlock
from forensics.wire.jit import inlined_kernel, lean_kernel
from forensics.wire.moves import put64
from forensics.wire.words import le64

_LATER: Final = int(Reason.IP_FRAGMENT)
_UDP_MALFORMED: Final = int(Reason.UDP_MALFORMED)
_PACKET_CUT: Final = int(Reason.PACKET_CUT)
_TCP: Final = int(Reason.TCP_NOT_REASSEMBLED)
_SHORT: Final = int(Reason.MESSAGE_SHORT)
_MESSAGE_CUT: Final = int(Reason.MESSAGE_CUT)
_CUT: Final = int(MessageFlag.CUT)
_FRAGMENT: Final = int(MessageFlag.FRAGMENT)
_HEADER: Final = 12
_MAPPED: Final = np.uint64(0xFFFF0000)
_HIGH: Final = np.uint64(0xFFFFFFFF00000000)

NO_PACKET: Final = -1000
"""In place of a link type: a frame that holds an event of another kind."""

_OTHER: Final = -1
_MESSAGE: Final = -2
_TUNNEL: Final = -3
_DNSCRYPT: Final = int(Reason.DNSCRYPT)
_UNKNOWN: Final = int(Reason.LINK_TYPE_UNKNOWN)
_DEEP: Final = int(Reason.TUNNEL_DEPTH)


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


def port_map(ports: frozenset[int]) -> NDArray[np.uint8]:
    """Make the bitmap of ports that always carry DNS; port 53 is one of them anyway."""
    bits = np.zeros(65536, dtype=np.bool_)
    bits[[53, *sorted(ports)]] = True
    return np.packbits(bits, bitorder="little")


@lean_kernel
def _has_port(bitmap: Any, port: int) -> bool:
    return bool((bitmap[port >> 3] >> (port & 7)) & 1)


@lean_kernel
def _datagram(
    octets: Any, at: int, end: int, stop: int, state: int, bitmap: Any
) -> tuple[int, int, int, int]:
    """Judge the UDP header at `at` (RFC 768) of an IP payload ending at `stop`.

    Return (`_MESSAGE`, `_OTHER`, `_TUNNEL` or a loss code; offset of what the datagram carries;
    octets of it captured; octets of it on the wire).
    """
    if at + 8 > end:
        return _PACKET_CUT, at, 0, 0
    source = be16(octets, at)
    destination = be16(octets, at + 2)
    expected = _has_port(bitmap, source) or _has_port(bitmap, destination)
    if not expected:
        # Multicast DNS, LLMNR and NetBIOS names look like DNS and are not.
        for port in (5353, 5355, 137):
            if port in (source, destination):
                return _OTHER, at, 0, 0
    length = be16(octets, at + 4)
    if length == 0:
        # A jumbogram (RFC 2675), or left to the network card.
        length = stop - at
    if length < 8:
        return (_UDP_MALFORMED if expected else _OTHER), at, 0, 0
    begin = at + 8
    length -= 8
    captured = min(begin + length, stop, end) - begin
    if captured < _HEADER:
        return (_SHORT if expected else _OTHER), begin, max(captured, 0), 0
    if not expected:
        whole = captured == length and state == WHOLE
        if not plausible(octets, begin, begin + captured, whole):
            if udp_tunnel(source, destination) != NOTHING:
                return _TUNNEL, begin, captured, length
            secret = encrypted_datagram(octets, begin, source, destination, begin + captured)
            return (_OTHER if secret == PLAIN else secret), begin, captured, 0
    elif is_dnscrypt(octets, begin, begin + captured):
        return _DNSCRYPT, begin, captured, 0
    return _MESSAGE, begin, captured, length


@lean_kernel
def _segment_octets(octets: Any, at: int, end: int, stop: int, bitmap: Any) -> int:
    """Octets of payload of the TCP segment at `at` (RFC 9293) if it is of a DNS port, else 0."""
    if at + 14 > end:
        return 0
    if not (_has_port(bitmap, be16(octets, at)) or _has_port(bitmap, be16(octets, at + 2))):
        return 0
    header = int64(octets[at + 12] >> 4) * 4
    return max(stop - at - header, 0)


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
    tally: Any,
) -> tuple[int, int, int, int]:
    """Find the DNS messages over UDP in packets, and leave out the copies of earlier ones.

    Return (messages, packets of other traffic, copies, a number without meaning).

    In: octets uint8 (window, at offset `base` of the stream); packet_* (N); bitmap uint8 (8192) of
    DNS ports; number of the first packet. Out, a row for each message: the columns of
    `MessageBlock`, but source and destination uint8 (16 N). State: what `duplicates.is_copy`
    needs; links uint8 (65536): set to 1 for each link type seen; tunnels, see
    `encapsulations.new_counts`; flows, see `encrypted.new_flows`. tally int64 (reasons, 4): losses,
    with the packet's index as ordinal.
    """
    count = 0
    other = 0
    copies = 0
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
        depth = 0
        protocol, here, stop, state = -1, at, at, WHOLE
        verdict, message, held, full = _OTHER, at, 0, 0
        while at >= 0:
            protocol, here, stop, state = transport(octets, at, end, wire_end)
            kind = NOTHING
            if protocol == 17:
                if state == LATER_FRAGMENT:
                    break
                # Link-layer padding must not become part of the message, nor octets beyond the
                # capture.
                verdict, message, held, full = _datagram(octets, here, end, stop, state, bitmap)
                if verdict != _TUNNEL:
                    break
                kind = udp_tunnel(be16(octets, here), be16(octets, here + 2))
                here = message
            elif protocol != 6 and state != LATER_FRAGMENT:
                kind = ip_tunnel(protocol)
            if kind == NOTHING:
                break
            depth += 1
            if depth > limits.TUNNEL_DEPTH:
                at = -2 - _DEEP
                break
            end = min(end, stop)
            at, wire_end = inner(octets, kind, here, end, stop, first_frame + i, tunnels)
            if at == CUT and end == stop:
                # All of the datagram is there: it only looked like a tunnel.
                at = NOT_IP
        if at < 0:
            if at == NOT_IP:
                other += 1
            else:
                _lose(tally, -2 - at, size, i)
            continue
        if protocol < 0:
            _lose(tally, -1 - protocol, size, i)
            continue
        if protocol == 6 and state != LATER_FRAGMENT:
            payload = _segment_octets(octets, here, end, stop, bitmap)
            if payload:
                _lose(tally, _TCP, payload, i)
                continue
            secret, payload = encrypted_segment(octets, at, here, end, stop, flows)
            if secret == PLAIN:
                other += 1
            else:
                _lose(tally, secret, payload, i)
            continue
        if protocol not in (17, 6):
            other += 1
            continue
        if state == LATER_FRAGMENT:
            _lose(tally, _LATER, size, i)
            continue
        if verdict == _OTHER:
            other += 1
            continue
        if verdict >= 0:
            _lose(tally, verdict, held, i)
            continue
        flag = 0
        if state == FIRST_FRAGMENT:
            flag = _FRAGMENT | _CUT
        elif held < full:
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
    return count, other, copies, touched


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

    def __init__(self, facts: CaptureFacts, ports: frozenset[int]) -> None:
        self._facts = facts
        self._bitmap = port_map(ports)
        self._links = np.zeros(65536, dtype=np.uint8)
        self._tunnels = new_counts()
        self._flows = new_flows()
        self._exotic = Exotic(facts)
        self._duplicates = Duplicates()
        self._same = _SameForAll.of(0)

    def block(self, octets: NDArray[np.uint8], base: int, packets: Packets) -> MessageBlock:
        """Find the messages of `packets` in the window `octets` that begins at offset `base`."""
        facts = self._facts
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
        tally = new_tally()
        count, other, copies, _ = dissect(
            octets,
            base,
            first_frame,
            packets.start,
            packets.captured,
            packets.wire,
            packets.time,
            packets.link,
            self._bitmap,
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
            self._duplicates.kept,
            self._duplicates.kept_base,
            self._duplicates.slots,
            self._duplicates.messages,
            self._duplicates.count,
            self._links,
            self._tunnels,
            self._flows,
            tally,
        )
        facts.packets += number
        facts.other += other
        facts.duplicates += copies
        facts.messages += count
        if number:
            facts.saw_times(packets.time)
            self._links[STRIPPED] = 0
            facts.saw_link_types(np.flatnonzero(self._links).tolist())
            packets_in = self._tunnels[:, 0].tolist()
            facts.encapsulations = {
                name: count for name, count in zip(ENCAPSULATIONS, packets_in, strict=True) if count
            }
        self._count_losses(tally, base, packets, first_frame)
        same = self._same_for_all(count)
        return MessageBlock(
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

    def _same_for_all(self, count: int) -> _SameForAll:
        """The columns that are the same for every message over UDP, at least `count` long."""
        if len(self._same.kind) < count:
            self._same = _SameForAll.of(count * 5 // 4)
        return self._same

    def leave(self, octets: NDArray[np.uint8], base: int, used: int) -> None:
        """Prepare for the window that begins `used` octets behind the start of this one."""
        self._duplicates.leave(octets, base, used)

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
