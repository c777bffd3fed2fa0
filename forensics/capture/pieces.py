"""The packets of which a message was put together: IP fragments, or segments of a TCP stream.

They are found by reading the capture once more: only then are the endpoints known, while most of
the packets came before the one with which the message was whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forensics import limits
from forensics.capture.link import STRIPPED
from forensics.vocabulary import Transport

if TYPE_CHECKING:
    from forensics.capture.packets import Packets

_MAPPED: Final = bytes(10) + b"\xff\xff"
_LINK_RAW: Final = 101
_FRAGMENT: Final = 44
_TCP: Final = 6
_SYN: Final = 2
_REACH: Final = 1 << 17
"""Octets on either side of a segment within which its message lies."""
_HALF: Final = 1 << 31
_MASK: Final = 0xFFFFFFFF


class Wanted(NamedTuple):
    """A message that no single packet holds.

    Attributes:
        frame: of the packet with which it was whole.
        source, destination: 16 octets each.
        source_port, destination_port: of the message.
        transport: vocabulary.Transport.
        time: ns.
        octets: those captured.
        length: octets on the wire.
    """

    frame: int
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    transport: int
    time: int
    octets: bytes
    length: int

    def as_sent(self) -> bytes:
        """Its octets, behind their number over TCP (RFC 1035 4.2.2)."""
        is_framed = self.transport == Transport.TCP
        return self.length.to_bytes(2, "big") + self.octets if is_framed else self.octets


class Piece(NamedTuple):
    """A fragment or segment: its packet, and where the IP header stands in it."""

    frame: int
    time: int
    link: int
    octets: bytes
    wire: int
    at: int


@dataclass(slots=True)
class Pieces:
    """Keeps the fragments and segments between the endpoints of wanted messages.

    Attributes:
        wanted: the messages by the frame with which they were whole; those of one frame are of one
            datagram or one way of a stream.
        kept: of each frame, those that came near it in time, at most `limits.MESSAGE_PIECES`.
    """

    wanted: Mapping[int, list[Wanted]]
    kept: dict[int, list[Piece]] = field(default_factory=dict)
    _by_ends: dict[bytes, list[Wanted]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the messages by their addresses, as they stand in an IP header."""
        for one, *_ in self.wanted.values():
            ends = one.source + one.destination
            if one.source.startswith(_MAPPED) and one.destination.startswith(_MAPPED):
                ends = one.source[12:] + one.destination[12:]
            self._by_ends.setdefault(ends, []).append(one)

    def see(
        self,
        octets: NDArray[np.uint8],
        packets: Packets,
        parts: NDArray[np.int64],
        first_frame: int,
    ) -> None:
        """Look through the `parts` (packets.dissect) of a window of packets."""
        for index, at, _, _ in parts.tolist():
            begin, size = (at + 8, 32) if octets[at] >> 4 == 6 else (at + 12, 8)
            near = self._by_ends.get(octets[begin : begin + size].tobytes())
            if near is None:
                continue
            time, start = int(packets.time[index]), int(packets.start[index])
            link = int(packets.link[index])
            end = start + int(packets.captured[index])
            piece = Piece(
                first_frame + index,
                time,
                _LINK_RAW if link == STRIPPED else link,
                octets[start:end].tobytes(),
                int(packets.wire[index]),
                at - start,
            )
            for one in near:
                if abs(time - one.time) <= limits.STREAM_TIMEOUT:
                    held = self.kept.setdefault(one.frame, [])
                    held.append(piece)
                    if len(held) > limits.MESSAGE_PIECES and piece.frame <= one.frame:
                        del held[0]

    def of(self, frame: int) -> tuple[list[Piece], list[Wanted]]:
        """The pieces of a frame's messages, in capture order; the messages they do not make up."""
        messages = self.wanted[frame]
        held = self.kept.get(frame, [])
        last = next((piece for piece in held if piece.frame == frame), None)
        if last is None:
            return [], messages
        key = _datagram(last)
        if key is not None:
            return [piece for piece in held if _datagram(piece) == key], []
        if messages[0].transport != Transport.TCP:
            return [], messages
        return _segments(messages, held)


def _datagram(piece: Piece) -> tuple[bytes, int] | None:
    """Identification and protocol of a fragment; None: the packet is none."""
    octets, at = piece.octets, piece.at
    if octets[at] >> 4 == 4:
        if int.from_bytes(octets[at + 6 : at + 8], "big") & 0x3FFF == 0:
            return None
        return octets[at + 4 : at + 6], octets[at + 9]
    protocol, here = octets[at + 6], at + 40
    while protocol in {0, 43, 60, 135} and here + 8 <= len(octets):
        protocol, here = octets[here], here + (octets[here + 1] + 1) * 8
    if protocol != _FRAGMENT or here + 8 > len(octets):
        return None
    return octets[here + 4 : here + 8], octets[here]


class _Segment(NamedTuple):
    """Sequence number, flags and octets of a segment."""

    piece: Piece
    number: int
    flags: int
    data: bytes


def _segment(piece: Piece, one: Wanted) -> _Segment | None:
    """Read a piece as a segment of the message's stream; None: it is of another one."""
    octets, at = piece.octets, piece.at
    if octets[at] >> 4 == 4:
        here = at + (octets[at] & 15) * 4
        protocol = octets[at + 9]
        stop = at + (int.from_bytes(octets[at + 2 : at + 4], "big") or len(octets))
    else:
        protocol, here = octets[at + 6], at + 40
        stop = at + 40 + int.from_bytes(octets[at + 4 : at + 6], "big")
        while protocol in {0, 43, 60, 135} and here + 8 <= len(octets):
            protocol, here = octets[here], here + (octets[here + 1] + 1) * 8
    if protocol != _TCP or here + 14 > len(octets):
        return None
    source, destination, number = struct.unpack_from(">HHI", octets, here)
    if (source, destination) != (one.source_port, one.destination_port):
        return None
    flags = octets[here + 13]
    data = octets[here + (octets[here + 12] >> 4) * 4 : stop]
    return _Segment(piece, (number + (flags >> 1 & 1)) & _MASK, flags, data)


def _segments(messages: list[Wanted], held: Iterable[Piece]) -> tuple[list[Piece], list[Wanted]]:
    """The segments with octets of the messages, and the SYN if the stream begins with one.

    Return them, and the messages that they do not hold.
    """
    frame = messages[0].frame
    found = [
        segment
        for piece in held
        if piece.frame <= frame and (segment := _segment(piece, messages[0])) is not None
    ]
    if not found or found[-1].piece.frame != frame:
        return [], messages
    base = found[-1].number
    stream, known = bytearray(2 * _REACH), bytearray(2 * _REACH)
    places = []
    for segment in found:
        place = ((segment.number - base + _HALF) & _MASK) - _HALF + _REACH
        places.append(place)
        for at, octet in enumerate(segment.data, place):
            # Of octets that came twice the first ones count, as for the reader.
            if 0 <= at < len(stream) and not known[at]:
                stream[at], known[at] = octet, 1
    chosen: set[int] = set()
    gone = []
    for one in messages:
        framed = one.as_sent()
        begin = _find(framed, stream, known)
        if begin < 0:
            gone.append(one)
            continue
        end = begin + len(framed)
        chosen.update(
            at
            for at, (segment, place) in enumerate(zip(found, places, strict=True))
            if (place < end and place + len(segment.data) > begin)
            or (segment.flags & _SYN and place == begin)
        )
    if chosen and places[min(chosen)] > min(places[at] for at in chosen):
        # A stream begins with what is seen of it first: where that is not the first segment of
        # all, what came before has to come along.
        chosen = set(range(len(found)))
    return [found[at].piece for at in sorted(chosen)], gone


def _find(framed: bytes, stream: bytearray, known: bytearray) -> int:
    """Where a message stands in a stream that ends not before the last segment; -1: nowhere."""
    begin = stream.find(framed)
    while begin >= 0:
        end = begin + len(framed)
        if end > _REACH and known[begin:end].count(1) == len(framed):
            return begin
        begin = stream.find(framed, begin + 1)
    return -1
