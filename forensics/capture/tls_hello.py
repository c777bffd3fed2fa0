"""The messages of the TLS handshake (RFC 8446 4, RFC 5246 7.4), as far as decryption needs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
FINISHED: Final = 20
KEY_UPDATE: Final = 24

TLS12: Final = 0x0303
TLS13: Final = 0x0304

_RANDOM: Final = 32
_RETRY: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""Random of a ServerHello that is a HelloRetryRequest (RFC 8446 4.1.3)."""
_EARLY_DATA: Final = 42
_SUPPORTED_VERSIONS: Final = 43
_LONGEST: Final = 2**16


class ClientHello(NamedTuple):
    """What a client opens a connection with.

    Attributes:
        random: 32 octets, by which a key log names the connection.
        early: it announces early data (RFC 8446 4.2.10).
    """

    random: bytes
    early: bool


class ServerHello(NamedTuple):
    """What the server chose.

    Attributes:
        random: 32 octets.
        suite: number of the cipher suite.
        version: TLS12, TLS13, or another version's number.
        retry: it asks for another ClientHello.
    """

    random: bytes
    suite: int
    version: int
    retry: bool


def client_hello(body: bytes) -> ClientHello | None:
    """Read the body of a ClientHello; None: it contradicts itself."""
    at = 2 + _RANDOM
    if len(body) < at + 1:
        return None
    at += 1 + body[at]
    at += 2 + int.from_bytes(body[at : at + 2])
    if at >= len(body):
        return None
    at += 1 + body[at]
    early = any(kind == _EARLY_DATA for kind, _ in _extensions(body, at))
    return ClientHello(body[2 : 2 + _RANDOM], early)


def server_hello(body: bytes) -> ServerHello | None:
    """Read the body of a ServerHello; None: it contradicts itself."""
    at = 2 + _RANDOM
    if len(body) < at + 1:
        return None
    at += 1 + body[at]
    if at + 3 > len(body):
        return None
    suite = int.from_bytes(body[at : at + 2])
    version = int.from_bytes(body[:2])
    for kind, content in _extensions(body, at + 3):
        if kind == _SUPPORTED_VERSIONS and len(content) == 2:
            version = int.from_bytes(content)
    random = body[2 : 2 + _RANDOM]
    return ServerHello(random, suite, version, random == _RETRY)


def _extensions(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """The extensions in a list of them at `at`: type and content."""
    at += 2
    while at + 4 <= len(body):
        size = int.from_bytes(body[at + 2 : at + 4])
        yield int.from_bytes(body[at : at + 2]), body[at + 4 : at + 4 + size]
        at += 4 + size


class Messages:
    """Cuts what records hold of a handshake into its messages; of most only the type is kept."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._skip = 0
        self._kind = 0

    def feed(self, octets: bytes) -> Iterator[tuple[int, bytes]]:
        """Take octets; give type and body of each message that ends in them.

        The body is empty but for hellos.
        """
        self._held += octets
        while True:
            if self._skip:
                gone = min(self._skip, len(self._held))
                del self._held[:gone]
                self._skip -= gone
                if self._skip:
                    return
                yield self._kind, b""
            if len(self._held) < 4:
                return
            kind, size = self._held[0], int.from_bytes(self._held[1:4])
            if kind in {CLIENT_HELLO, SERVER_HELLO} and size <= _LONGEST:
                if len(self._held) < 4 + size:
                    return
                body = bytes(self._held[4 : 4 + size])
                del self._held[: 4 + size]
                yield kind, body
                continue
            del self._held[:4]
            self._kind, self._skip = kind, size
            if not size:
                yield kind, b""
