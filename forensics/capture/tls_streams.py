"""The TLS connections of one sensor that may be decrypted: from TCP segments to DNS messages.

A connection is followed from its first octet on: that one is told by a SYN, by a hello that stands
in it, or by what the ClientHello acknowledges. Of those of which the beginning is not captured
nothing can be read, and nothing is held.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture import outcome as columns
from forensics.capture.encrypted import new_flows
from forensics.capture.facts import CaptureFacts
from forensics.capture.losses import Reason
from forensics.capture.outcome import OTHER
from forensics.capture.tls_connection import Connection
from forensics.capture.tls_order import Ordered, Piece
from forensics.capture.tls_secrets import Secrets
from forensics.vocabulary import Transport

SEGMENT_COLUMNS: Final = 6
_MASK: Final = 0xFFFFFFFF
_PORT: Final = 853
_SYN: Final = 2
_ACK: Final = 16
_CLIENT_HELLO: Final = 1
_SERVER_HELLO: Final = 2
_FAR: Final = limits.TCP_BEHIND
_MAPPED: Final = bytes(10) + b"\xff\xff"

Facts = dict[int, CaptureFacts]
Note = Callable[[CaptureFacts, int, int, int, int, int], None]
"""Counts packets of a capture: facts, fate, packets, octets, offset, frame."""


class Segment(NamedTuple):
    """A TCP segment of which all headers have been read.

    Attributes:
        source, destination: address (4 or 16 octets) and port, as they stand in the packet.
        number: sequence number of the first octet of payload.
        acknowledged: by it; None: nothing.
        syn: it begins its way of the connection.
        payload: captured octets.
        size: octets of payload on the wire.
    """

    source: bytes
    destination: bytes
    number: int
    acknowledged: int | None
    syn: bool
    payload: bytes
    size: int


class _Decrypted(NamedTuple):
    """A message, as a row of `outcome.Outcome` but for its place."""

    octets: bytes
    row: list[int]


class TlsStreams:
    """What is followed at one sensor.

    Args:
        secrets: of the run.
        note: counts the fate of packets.

    Attributes:
        followed: see `encrypted.is_followed`.
    """

    def __init__(self, secrets: Secrets, note: Note) -> None:
        self.followed = new_flows()
        self._secrets = secrets
        self._note = note
        self._facts: Facts = {}
        self._connections: dict[bytes, Connection] = {}
        self._starts: dict[bytes, int] = {}
        self._found: list[_Decrypted] = []
        self._held = 0
        self._ordinal = 0
        self._at = 0

    def decrypt(
        self,
        octets: NDArray[np.uint8],
        room: int,
        base: int,
        packets: Any,
        segments: NDArray[np.int64],
        facts: Facts,
        capture: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], int]:
        """Put the segments of a window into their connections.

        In: octets uint8, to be written from `room` on; segments int64 (n, SEGMENT_COLUMNS): index
        of the packet, offsets of the IP and TCP headers, end as captured and on the wire, and the
        reason that encrypted.py gives. Return (rows of messages, see `outcome`; the octets that
        they point into; how far those are used).
        """
        self._facts = facts
        first_frame = facts[capture].packets + 1
        for index, at, here, end, stop, secret in segments.tolist():
            self._at = index
            segment = _read(octets[at : max(min(end, stop), at)].tobytes(), here - at, stop - at)
            self._ordinal += 1
            piece = Piece(
                low=0,
                high=0,
                octets=b"",
                time=int(packets.time[index]),
                frame=first_frame + index,
                capture=capture,
                offset=base + int(packets.start[index]),
                size=int(packets.captured[index]),
                ordinal=self._ordinal,
                otherwise=secret if secret >= 0 else OTHER,
                fate=OTHER,
            )
            self._add(segment, piece)
        return self._placed(octets, room)

    def finish(self, facts: Facts) -> tuple[NDArray[np.int64], NDArray[np.uint8], int]:
        """Give all connections up; return as `decrypt` does."""
        self._facts = facts
        self._at = 0
        for connection in self._connections.values():
            connection.finish()
        self._connections.clear()
        return self._placed(np.empty(0, np.uint8), 0)

    def _placed(
        self, octets: NDArray[np.uint8], room: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], int]:
        """Write the messages found behind the window, and give their rows."""
        found, self._found = self._found, []
        need = sum(len(one.octets) for one in found)
        if room + need > len(octets):
            larger = np.empty(room + need, np.uint8)
            larger[: min(room, len(octets))] = octets[:room]
            octets = larger
        rows = np.empty((len(found), columns.ROW_COLUMNS), np.int64)
        for row, one in zip(rows, found, strict=True):
            octets[room : room + len(one.octets)] = np.frombuffer(one.octets, np.uint8)
            row[:] = [room, *one.row]
            room += len(one.octets)
            self._facts[one.row[columns.CAPTURE - 1]].messages += 1
        return rows, octets, room

    def _add(self, segment: Segment | None, piece: Piece) -> None:
        """Put a segment into its connection."""
        if segment is None:
            self._settle(piece, piece.otherwise)
            return
        first = segment.source < segment.destination
        ends = (segment.source, segment.destination)
        key = b"".join(ends if first else ends[::-1])
        sure = _PORT in (_port(segment.source), _port(segment.destination))
        if not sure:
            piece.fate = piece.otherwise
        connection = self._connections.get(key)
        if segment.syn:
            order = connection.ways[not first].order if connection else None
            if order is None or order.start != segment.number:
                self._remember(key, first, segment.number)
            if connection is not None and order is not None and order.start != segment.number:
                self._drop(key, connection)
                connection = None
        if not segment.size:
            self._settle(piece, OTHER)
            return
        if not segment.payload:
            self._settle(piece, _lost(sure, piece))
            return
        begins = _begins(segment.payload)
        if connection is not None:
            order = connection.ways[not first].order
            far = order is not None and abs(order.ahead(order.place(segment.number))) > _FAR
            if far and begins == _CLIENT_HELLO:
                # Another connection with the same ports, of which the SYN was not captured.
                self._drop(key, connection)
                connection = None
            elif far:
                self._settle(piece, _lost(sure, piece))
                return
        if connection is None:
            if not begins and _way(key, first) not in self._starts:
                self._settle(piece, _lost(sure, piece))
                return
            connection = self._open(key, first, sure)
        else:
            # Make it the youngest.
            del self._connections[key]
            self._connections[key] = connection
        self._put(key, connection, segment, piece, first, begins)

    def _put(
        self,
        key: bytes,
        connection: Connection,
        segment: Segment,
        piece: Piece,
        first: bool,
        begins: int,
    ) -> None:
        """Give the payload of a segment to its connection."""
        way, other = connection.ways[not first], connection.ways[first]
        if way.order is None:
            start = self._started(key, first)
            if start is None and not begins:
                self._settle(piece, _lost(_PORT in _ports(key), piece))
                return
            way.order = Ordered(segment.number if start is None else start)
        if begins == _CLIENT_HELLO and other.order is None and segment.acknowledged is not None:
            other.order = Ordered(segment.acknowledged)
        piece.low = way.order.place(segment.number)
        piece.high = piece.low + len(segment.payload)
        piece.octets = segment.payload
        self._held -= connection.held
        connection.put(way, piece)
        self._held += connection.held
        while self._held > limits.TLS_OCTETS:
            oldest = next(iter(self._connections))
            self._drop(oldest, self._connections[oldest], crowded=piece)

    def _open(self, key: bytes, first: bool, sure: bool) -> Connection:
        """Begin to follow a connection."""
        if len(self._connections) >= limits.TLS_CONNECTIONS:
            oldest = next(iter(self._connections))
            self._drop(oldest, self._connections[oldest])
        half = len(key) // 2
        words = {True: _words(key[:half], key[half:]), False: _words(key[half:], key[:half])}

        def emit(ahead: bool, octets: bytes, length: int, last: Piece, flags: int) -> None:
            row = [
                len(octets), length, last.time, last.frame, last.capture, flags,
                int(Transport.DOT), self._at, *words[ahead],
            ]  # fmt: skip
            self._found.append(_Decrypted(octets, row))

        connection = Connection(self._secrets, sure, self._settle, emit)
        for ahead in (first, not first):
            start = self._started(key, ahead)
            if start is not None:
                connection.ways[not ahead].order = Ordered(start)
        self._connections[key] = connection
        return connection

    def _drop(self, key: bytes, connection: Connection, crowded: Piece | None = None) -> None:
        """Follow a connection no longer; `crowded`: the packet that takes its memory."""
        held = connection.held
        self._held -= held
        if crowded is not None and held:
            self._settle(crowded, int(Reason.STREAM_EVICTED))
        connection.finish()
        del self._connections[key]

    def _remember(self, key: bytes, first: bool, number: int) -> None:
        """Remember where a way starts until its connection begins; a flood evicts the oldest."""
        self._starts.pop(_way(key, first), None)
        if len(self._starts) >= limits.TLS_CONNECTIONS:
            del self._starts[next(iter(self._starts))]
        self._starts[_way(key, first)] = number

    def _started(self, key: bytes, first: bool) -> int | None:
        """Where a way starts, by its SYN; that has been put to use then."""
        return self._starts.pop(_way(key, first), None)

    def _settle(self, piece: Piece, fate: int) -> None:
        """Count the packet of a piece by its fate."""
        evicted = fate == Reason.STREAM_EVICTED
        size = 0 if evicted else piece.size
        self._note(self._facts[piece.capture], fate, 1, size, piece.offset, piece.frame)


def _way(key: bytes, first: bool) -> bytes:
    return key + bytes([first])


def _port(end: bytes) -> int:
    return int.from_bytes(end[-2:])


def _ports(key: bytes) -> tuple[int, int]:
    return _port(key[: len(key) // 2]), _port(key)


def _lost(sure: bool, piece: Piece) -> int:
    """Fate of a packet of a connection of which the beginning is missing."""
    return int(Reason.TLS_INCOMPLETE) if sure else piece.otherwise


def _begins(payload: bytes) -> int:
    """Type of the hello that begins the payload; 0: none does."""
    if len(payload) < 6 or payload[0] != 22 or payload[1] != 3:
        return 0
    return payload[5] if payload[5] in {_CLIENT_HELLO, _SERVER_HELLO} else 0


def _words(source: bytes, destination: bytes) -> tuple[int, ...]:
    """Ports and addresses of two ends as the columns of `outcome` from PORTS on hold them."""
    ends = b"".join((_MAPPED if len(end) == 6 else b"") + end[:-2] for end in (source, destination))
    return _port(source) | _port(destination) << 16, *struct.unpack("<4q", ends)


def _read(packet: bytes, here: int, stop: int) -> Segment | None:
    """Read an IP packet with a TCP header at `here` that ends at `stop` on the wire.

    None: its headers contradict each other. The kernel has seen 20 octets from `here` on.
    """
    if len(packet) < here + 20:
        return None
    header = (packet[here + 12] >> 4) * 4
    flags = packet[here + 13]
    size = stop - here - header
    if header < 20 or size < 0:
        return None
    addresses = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
    half = len(addresses) // 2
    sport, dport, number, acknowledged = struct.unpack_from(">2s2sII", packet, here)
    syn = bool(flags & _SYN)
    return Segment(
        addresses[:half] + sport,
        addresses[half:] + dport,
        (number + syn) & _MASK,
        acknowledged if flags & _ACK else None,
        syn,
        packet[here + header :],
        size,
    )
