"""The secrets of TLS connections, as programs log them for Wireshark.

Source: RFC 9850 (SSLKEYLOGFILE): a line has a label, the random of the ClientHello and the secret,
both in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from forensics import limits
from forensics.errors import UsageError


class Known(NamedTuple):
    """What is known of one connection; None: it was not logged.

    Attributes:
        master: the master secret of TLS 1.2 (RFC 5246 8.1).
        client_handshake, server_handshake, client, server: traffic secrets of TLS 1.3
            (RFC 8446 7.1) for the handshake, and for what follows it.
    """

    master: bytes | None = None
    client_handshake: bytes | None = None
    server_handshake: bytes | None = None
    client: bytes | None = None
    server: bytes | None = None


_LABELS: Final = {
    b"CLIENT_RANDOM": "master",
    b"CLIENT_HANDSHAKE_TRAFFIC_SECRET": "client_handshake",
    b"SERVER_HANDSHAKE_TRAFFIC_SECRET": "server_handshake",
    b"CLIENT_TRAFFIC_SECRET_0": "client",
    b"SERVER_TRAFFIC_SECRET_0": "server",
}
"""The labels that records are protected with; others are passed over."""

_RANDOM: Final = 32
_SIZES: Final = frozenset({32, 48})
"""Octets of a secret: those of SHA-256 and SHA-384; a master secret has 48."""


class Secrets:
    """The secrets of a run, by the random of the ClientHello."""

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}

    def __len__(self) -> int:
        """Return how many connections are known."""
        return len(self._known)

    def of(self, random: bytes) -> Known | None:
        """What is known of the connection that a ClientHello with this random began."""
        return self._known.get(random)

    def add(self, text: bytes) -> bool:
        """Take the lines of a key log; False: there is none in it, or more than is kept."""
        found = False
        for line in text.splitlines():
            words = line.split()
            if len(words) != 3:
                continue
            random, secret = _hexadecimal(words[1]), _hexadecimal(words[2])
            if len(random) != _RANDOM or len(secret) not in _SIZES:
                continue
            found = True
            name = _LABELS.get(words[0])
            if name is None:
                continue
            known = self._known.get(random)
            if known is None:
                if len(self._known) >= limits.TLS_SECRETS:
                    return False
                known = Known()
            self._known[random] = known._replace(**{name: secret})
        return found


def _hexadecimal(word: bytes) -> bytes:
    """The octets that a word spells; none if it is not hexadecimal."""
    try:
        return bytes.fromhex(word.decode("ascii"))
    except ValueError:
        return b""


def read_keylogs(paths: Iterable[str]) -> Secrets:
    """Read files of secrets.

    Raises:
        UsageError: a file cannot be read, holds no secret, or too many.
    """
    secrets = Secrets()
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                text = file.read(limits.TLS_KEYLOG_OCTETS + 1)
        except OSError as error:
            why = (error.strerror or "error").lower()
            raise UsageError(f"--tls-keylog {path}: cannot be read: {why}") from None
        if len(text) > limits.TLS_KEYLOG_OCTETS:
            raise UsageError(f"--tls-keylog {path}: too long; keep the lines of the time")
        if not secrets.add(text):
            if len(secrets) >= limits.TLS_SECRETS:
                why = f"more than {limits.TLS_SECRETS:,} connections; keep the lines of the time"
            else:
                why = "offset 0: no line of a key log (SSLKEYLOGFILE, such as CLIENT_RANDOM ...)"
            raise UsageError(f"--tls-keylog {path}: {why}")
    return secrets
