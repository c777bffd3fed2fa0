"""The decrypted octets of one way of a connection, cut into DNS messages (RFC 7858 3.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from forensics.capture.streams import is_message, may_begin, question_type
from forensics.capture.tls_order import Piece
from forensics.vocabulary import MessageFlag

_HEADER: Final = 12
_TRANSFERS: Final = frozenset({251, 252})
"""IXFR and AXFR."""

Found = Callable[[bytes, int, Piece, int], None]
"""Takes a message: its octets, its length, the last packet that brought some, and its flags."""


@dataclass(slots=True)
class _Mark:
    """What one record held.

    Attributes:
        behind: place of the octet behind it, from the first one on.
        pieces: the packets that brought the record; `last`: that of them which came last.
        used: a message has octets of it.
    """

    behind: int
    pieces: tuple[Piece, ...]
    last: Piece
    used: bool = False

    def use(self) -> None:
        """Note that a message has octets of it; a record may hold a thousand messages."""
        if not self.used:
            self.used = True
            for piece in self.pieces:
                piece.used = True


class Framing:
    """What has been decrypted of one way, and is in no message yet.

    Args:
        sure: these are messages by the port; else the first one has to prove it.
        found: takes each message.
        ended: takes each piece as often as a stretch of it has been used up.

    Attributes:
        peer: the other way.
    """

    def __init__(self, sure: bool, found: Found, ended: Callable[[Piece], None]) -> None:
        self.peer: Framing | None = None
        self.transfer = -1
        self._sure = sure
        self._found = found
        self._ended = ended
        self._octets = bytearray()
        self._behind = 0
        self._marks: deque[_Mark] = deque()
        self._taken = 0

    @property
    def held(self) -> int:
        """Octets held."""
        return len(self._octets)

    def add(self, octets: bytes, pieces: tuple[Piece, ...]) -> bool:
        """Take what a record held, and hand on the messages that end in it.

        False: the octets are no messages, and nothing of them will be.
        """
        if octets:
            for piece in pieces:
                piece.open += 1
            self._octets += octets
            self._behind += len(octets)
            last = max(pieces, key=lambda piece: piece.ordinal)
            self._marks.append(_Mark(self._behind, pieces, last))
        while len(self._octets) >= 2:
            length = int.from_bytes(self._octets[:2])
            if length < _HEADER or not (self._sure or self._may_begin(length)):
                return False
            if len(self._octets) < 2 + length:
                break
            if not self._sure:
                message = np.frombuffer(self._octets[2 : 2 + length], np.uint8)
                if not is_message(message, 0, length):
                    return False
                self._sure = True
            self._hand_on(length, length)
        return True

    def _may_begin(self, length: int) -> bool:
        """Whether what is there of the first message can be one."""
        if len(self._octets) < 2 + _HEADER:
            return True
        return bool(may_begin(np.frombuffer(self._octets[: 2 + _HEADER], np.uint8), 2, length))

    def _hand_on(self, length: int, captured: int) -> None:
        """Hand on the message behind the length, of which so many octets are there."""
        octets = bytes(self._octets[2 : 2 + captured])
        del self._octets[: 2 + captured]
        self._taken += 2 + captured
        last: Piece | None = None
        ended = 0
        for mark in self._marks:
            if last is None or mark.last.ordinal > last.ordinal:
                last = mark.last
            mark.use()
            ended += mark.behind <= self._taken
            if mark.behind >= self._taken:
                break
        assert last is not None
        flags = self._transfer_flag(octets)
        if captured < length:
            flags |= int(MessageFlag.CUT)
        self._found(octets, length, last, flags)
        for _ in range(ended):
            for piece in self._marks.popleft().pieces:
                self._ended(piece)

    def _transfer_flag(self, octets: bytes) -> int:
        """Tell whether a message is a further one of a zone transfer, as streams.note_transfer."""
        message = np.frombuffer(bytearray(octets), np.uint8)
        answers = int.from_bytes(octets[6:8])
        transfers = question_type(message, 0, len(octets)) in _TRANSFERS
        if octets[2] < 128:
            if transfers and self.peer is not None:
                # The next response is the first of another transfer.
                self.peer.transfer = -1
            return 0
        number = int.from_bytes(octets[:2])
        if self.transfer == number:
            return int(MessageFlag.CONTINUED)
        self.transfer = -1
        asked = int.from_bytes(octets[4:6])
        if answers and not asked and octets[2] & 0x78 == 0:
            self.transfer = number
            return int(MessageFlag.CONTINUED)
        if answers and transfers:
            self.transfer = number
        return 0

    def end(self) -> list[Piece]:
        """Hand on what a message began with that ends nowhere; give the pieces left, each as often
        as something rested on it.
        """  # noqa: D205
        if self._sure and len(self._octets) >= 2 + _HEADER:
            self._hand_on(int.from_bytes(self._octets[:2]), len(self._octets) - 2)
        return self.drop()

    def drop(self) -> list[Piece]:
        """Give the pieces left, as `end` does."""
        left = [piece for mark in self._marks for piece in mark.pieces]
        self._marks.clear()
        self._octets.clear()
        return left
