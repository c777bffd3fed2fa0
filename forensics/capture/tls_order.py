"""The octets of one way of a TLS connection in order, and which packets brought them.

TLS streams are rare and need Python's cryptography, so they are put in order here, one by one, and
not in the kernels of tcp.py. A gap is waited for as long as the connection is followed: behind it
nothing can be decrypted.
"""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass
from typing import Final

_MASK: Final = 0xFFFFFFFF
_HALF: Final = 0x80000000


@dataclass(slots=True, eq=False)
class Piece:
    """The payload of one packet.

    Attributes:
        low, high: its place in the stream, octets from the start on.
        octets: until they are in order.
        time, frame, capture, offset: of its packet; offset in the file.
        size: octets of its packet, as captured.
        ordinal: running number of the packet at its sensor.
        otherwise: its fate where nobody knows whether the connection is DNS at all.
        fate: what becomes of its packet when nothing of it is in a message.
        open: what still rests on it: octets to be opened, messages to be completed.
        used: octets of it are in a message.
    """

    low: int
    high: int
    octets: bytes
    time: int
    frame: int
    capture: int
    offset: int
    size: int
    ordinal: int
    otherwise: int
    fate: int
    open: int = 1
    used: bool = False


class Ordered:
    """One way of a connection from its first octet on.

    Args:
        start: sequence number of that octet.

    Attributes:
        buffer: the octets that are in order and not taken yet.
        spans: the pieces that they came in.
        waiting: pieces behind a gap, by their place.
    """

    def __init__(self, start: int) -> None:
        self.start = start
        self.buffer = bytearray()
        self.spans: deque[Piece] = deque()
        self.waiting: list[Piece] = []
        self._held = 0
        self._position = 0
        self._taken = 0

    @property
    def held(self) -> int:
        """Octets held."""
        return self._held + len(self.buffer)

    def place(self, number: int) -> int:
        """Place of the octet with a sequence number, the one nearest to what is next."""
        ahead = ((number - self.start - self._position + _HALF) & _MASK) - _HALF
        return self._position + ahead

    def ahead(self, place: int) -> int:
        """How far a place is ahead of what is next; behind: negative."""
        return place - self._position

    def put(self, piece: Piece) -> list[Piece]:
        """Take a piece, and what was waiting for it; give those that brought nothing new."""
        bisect.insort(self.waiting, piece, key=lambda one: one.low)
        self._held += len(piece.octets)
        copies = []
        known = 0
        for one in self.waiting:
            if one.low > self._position:
                break
            known += 1
            self._held -= len(one.octets)
            if one.high <= self._position:
                copies.append(one)
                continue
            self.buffer += one.octets[self._position - one.low :]
            one.low, one.octets = self._position, b""
            self._position = one.high
            self.spans.append(one)
        del self.waiting[:known]
        return copies

    def pieces(self, count: int) -> tuple[Piece, ...]:
        """The pieces in which the next `count` octets came."""
        found = []
        for one in self.spans:
            if one.low >= self._taken + count:
                break
            found.append(one)
        return tuple(found)

    def take(self, count: int) -> list[Piece]:
        """Let go of the next `count` octets; give the pieces that end in them."""
        del self.buffer[:count]
        self._taken += count
        ended = []
        while self.spans and self.spans[0].high <= self._taken:
            ended.append(self.spans.popleft())
        return ended

    def clear(self) -> list[Piece]:
        """Let go of everything; give all pieces."""
        left = [*self.spans, *self.waiting]
        self.spans.clear()
        self.waiting.clear()
        self.buffer.clear()
        self._held = 0
        return left
