"""One TLS connection: from the octets of its two ways to DNS messages (RFC 8446, RFC 5246).

The ClientHello names the connection in the key log, the ServerHello tells version and suite. From
the first record on that its keys should open, each one opens or the way is given up: records carry
no numbers, so that behind a damaged one nothing can be proven any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from forensics import limits
from forensics.capture.losses import Reason
from forensics.capture.outcome import CARRIED, COPY
from forensics.capture.tls_framing import Framing
from forensics.capture.tls_hello import (
    CLIENT_HELLO,
    FINISHED,
    KEY_UPDATE,
    SERVER_HELLO,
    TLS12,
    TLS13,
    ClientHello,
    Messages,
    ServerHello,
    client_hello,
    server_hello,
)
from forensics.capture.tls_order import Ordered, Piece
from forensics.capture.tls_records import (
    APPLICATION,
    HANDSHAKE,
    Reader12,
    Reader13,
    reader13,
    readers12,
    suite_of,
)
from forensics.capture.tls_secrets import Secrets

_HEAD: Final = 5
_CHANGE: Final = 20
_ALERT: Final = 21
_HEARTBEAT: Final = 24
_LONGEST: Final = 2**14 + 2**11
"""Longest protected record (RFC 5246 6.2.3); those of TLS 1.3 are shorter."""

Settle = Callable[[Piece, int], None]
"""Told of the fate of a piece's packet."""
Emit = Callable[[bool, bytes, int, Piece, int], None]
"""Takes a message: whether it goes the way of the first endpoint, its octets, its length, the last
packet that brought some of it, and its flags."""


class Way:
    """One way of a connection.

    Attributes:
        order: its octets; None: its beginning has not been seen.
        failed: why it is given up; None: it is not.
    """

    def __init__(self, framing: Framing) -> None:
        self.order: Ordered | None = None
        self.failed: int | None = None
        self.framing = framing
        self.messages = Messages()
        self.reader: Reader12 | Reader13 | None = None
        self.following: Reader13 | None = None
        """What comes after the handshake; None: it has come."""
        self.tolerant = False
        """Records may come that the keys at hand do not open: early data, or the handshake."""

    @property
    def held(self) -> int:
        """Octets held."""
        return (self.order.held if self.order else 0) + self.framing.held


class Connection:
    """A connection that may be decrypted.

    Args:
        secrets: of the run.
        sure: it is DNS by its port; else its messages have to prove it.
        settle: told of each packet's fate once.
        emit: takes the messages.
    """

    def __init__(self, secrets: Secrets, sure: bool, settle: Settle, emit: Emit) -> None:
        self._secrets = secrets
        self._settle = settle
        self._is_dns = sure
        self._client: ClientHello | None = None
        self._server: ServerHello | None = None
        self._asks: Way | None = None
        self._keys12: tuple[Reader12, Reader12] | None = None
        self._undecided: list[Piece] | None = []

        def finder(first: bool) -> Callable[[bytes, int, Piece, int], None]:
            def found(octets: bytes, length: int, last: Piece, flags: int) -> None:
                self._is_dns = True
                emit(first, octets, length, last, flags)

            return found

        self.ways = tuple(Way(Framing(sure, finder(first), self._end)) for first in (True, False))
        for way, other in zip(self.ways, self.ways[::-1], strict=True):
            way.framing.peer = other.framing

    @property
    def held(self) -> int:
        """Octets held."""
        return sum(way.held for way in self.ways)

    def put(self, way: Way, piece: Piece) -> None:
        """Take the payload of a packet, and hand on the messages that it completes."""
        if way.failed is not None:
            self._lose(piece, way.failed)
            return
        assert way.order is not None
        for copy in way.order.put(piece):
            copy.fate = COPY
            self._end(copy)
        moved = True
        while moved:
            moved = False
            for one in self.ways:
                while one.failed is None and self._step(one):
                    moved = True
        over = way.order.held > limits.TLS_WAY_OCTETS
        if over or len(way.order.waiting) > limits.TCP_STREAM_RECORDS:
            self._fail(way, Reason.STREAM_LIMIT)

    def finish(self) -> None:
        """Give the connection up."""
        self._fail_all(Reason.TLS_INCOMPLETE)

    def _end(self, piece: Piece) -> None:
        """Note that less rests on a piece; nothing any more: its fate is known."""
        piece.open -= 1
        if piece.open == 0:
            self._settle(piece, CARRIED if piece.used else piece.fate)

    def _lose(self, piece: Piece, reason: int) -> None:
        """Let go of a piece; unless it is used, its packet is lost, or no DNS that is known of."""
        piece.fate = reason if self._is_dns else piece.otherwise
        self._end(piece)

    def _fail(self, way: Way, reason: int) -> None:
        """Give a way up."""
        if way.failed is not None:
            return
        left = way.framing.drop() if reason == Reason.TCP_FRAMING else way.framing.end()
        left += way.order.clear() if way.order else []
        way.failed = int(reason)
        for piece in left:
            self._lose(piece, int(reason))

    def _fail_all(self, reason: int) -> None:
        for way in self.ways:
            self._fail(way, reason)
        for piece in self._undecided or ():
            piece.fate = int(reason) if self._is_dns else piece.otherwise
        self._decide()

    def _decide(self) -> None:
        """Let go of the packets of the handshake in the clear: it is known what comes of it."""
        pieces, self._undecided = self._undecided, None
        for piece in pieces or ():
            self._end(piece)

    def _step(self, way: Way) -> bool:
        """Handle the next record of a way; False: it is not there yet, or keys for it are not."""
        order = way.order
        if order is None or len(order.buffer) < _HEAD:
            return False
        header = bytes(order.buffer[:_HEAD])
        kind, size = header[0], int.from_bytes(header[3:])
        if not _CHANGE <= kind <= _HEARTBEAT or header[1] != 3 or size > _LONGEST:
            self._fail(way, Reason.TLS_DAMAGED)
            return False
        if len(order.buffer) < _HEAD + size:
            return False
        body = bytes(order.buffer[_HEAD : _HEAD + size])
        pieces = order.pieces(_HEAD + size)
        if self._in_clear(way, kind, size):
            if not self._clear(way, kind, body, pieces):
                return False
        else:
            if way.reader is None and not self._unlock(way):
                return False
            self._sealed(way, header, body, pieces)
        if way.failed is None:
            for piece in order.take(_HEAD + size):
                self._end(piece)
        return True

    def _in_clear(self, way: Way, kind: int, size: int) -> bool:
        """Whether a record is not protected."""
        if self._server is not None and self._server.version == TLS13:
            # Nor are ChangeCipherSpec, for the sake of middleboxes, and alerts before keys.
            return kind in {_CHANGE, HANDSHAKE} or (kind == _ALERT and size == 2)
        return way.reader is None and kind != APPLICATION

    def _clear(self, way: Way, kind: int, body: bytes, pieces: tuple[Piece, ...]) -> bool:
        """Read a record in the clear; False: it has to wait for the other way."""
        if kind == _CHANGE and (self._server is None or self._client is None):
            return False
        if self._undecided is not None:
            for piece in pieces:
                piece.open += 1
            self._undecided += pieces
            if len(self._undecided) > limits.TCP_STREAM_RECORDS:
                self._fail_all(Reason.STREAM_LIMIT)
        if kind == HANDSHAKE and way.reader is None:
            for message, content in way.messages.feed(body):
                self._hear(way, message, content)
        elif kind == _CHANGE and self._server is not None and self._server.version != TLS13:
            return self._unlock(way)
        return True

    def _hear(self, way: Way, message: int, content: bytes) -> None:
        """Note what a hello says."""
        if message == CLIENT_HELLO and (asked := client_hello(content)):
            early = asked.early or (self._client is not None and self._client.early)
            self._asks, self._client = way, asked._replace(early=early)
        elif message == SERVER_HELLO and (answered := server_hello(content)):
            self._server = answered

    def _unlock(self, way: Way) -> bool:
        """Find the keys of a way, at the first record that needs them; False: not yet, or never."""
        if self._server is None or self._client is None or self._server.retry:
            return False
        known = self._secrets.of(self._client.random)
        suite = suite_of(self._server)
        if known is None:
            self._fail_all(Reason.DNS_OVER_TLS)
            return False
        if suite is None:
            self._fail_all(Reason.TLS_SUITE)
            return False
        asks = way is self._asks
        if suite.version == TLS12:
            if self._keys12 is None and known.master is not None:
                randoms = self._client.random, self._server.random
                self._keys12 = readers12(suite, known.master, *randoms)
            way.reader = self._keys12[0 if asks else 1] if self._keys12 else None
        else:
            first = known.client_handshake if asks else known.server_handshake
            way.following = reader13(suite, known.client if asks else known.server)
            way.reader = reader13(suite, first)
            way.tolerant = way.reader is None or (asks and self._client.early)
            if way.reader is None:
                way.reader, way.following = way.following, None
            way.messages = Messages()
        if way.reader is None:
            self._fail(way, Reason.DNS_OVER_TLS)
            return False
        self._decide()
        return True

    def _sealed(self, way: Way, header: bytes, body: bytes, pieces: tuple[Piece, ...]) -> None:
        """Open a record, and hand on what it holds."""
        kind = header[0]
        assert way.reader is not None
        opened = way.reader.open(header, body)
        if opened is None and way.following is not None:
            # The end of the handshake may be missing in the key log, or hidden in early data.
            opened = way.following.open(header, body)
            if opened is not None:
                way.reader, way.following = way.following, None
        if opened is None:
            if not way.tolerant:
                self._fail(way, Reason.TLS_DAMAGED)
            return
        way.tolerant = False
        if isinstance(way.reader, Reader13):
            opened = opened.rstrip(b"\0")
            if not opened:
                self._fail(way, Reason.TLS_DAMAGED)
                return
            kind, opened = opened[-1], opened[:-1]
            if kind == HANDSHAKE:
                self._switch(way, opened)
        elif kind == _CHANGE:
            # Other keys follow, from a handshake that is protected itself.
            self._fail(way, Reason.TLS_SUITE)
        if kind == APPLICATION and not way.framing.add(opened, pieces):
            self._fail(way, Reason.TCP_FRAMING)

    @staticmethod
    def _switch(way: Way, octets: bytes) -> None:
        """Read protected messages of the handshake: some of them change the keys."""
        for message, _ in way.messages.feed(octets):
            if message == FINISHED and way.following is not None:
                way.reader, way.following = way.following, None
            elif message == KEY_UPDATE and isinstance(way.reader, Reader13):
                way.reader = way.reader.updated()
