"""Opening the records of TLS 1.2 and 1.3 with the secrets of a connection.

Sources: RFC 8446 5 and 7 (TLS 1.3), RFC 5246 5 and 6 (TLS 1.2), RFC 5288 and RFC 5289 (AES-GCM),
RFC 7905 (ChaCha20-Poly1305). All suites here are authenticated: a record opens whole, or not.
"""

from __future__ import annotations

import hmac
from typing import Any, Final, NamedTuple, Self

from forensics.capture.tls_hello import TLS12, TLS13, ServerHello

HANDSHAKE: Final = 22
APPLICATION: Final = 23
_TAG: Final = 16
_EXPLICIT: Final = 8
_NONCE: Final = 12


class Suite(NamedTuple):
    """A cipher suite.

    Attributes:
        version: TLS12 or TLS13.
        cipher: name of a class of `cryptography`.
        key: octets of a key.
        digest: of the key derivation.
        salt: octets of the nonce that are fixed; the rest stands in each record.
    """

    version: int
    cipher: str
    key: int
    digest: str
    salt: int = _NONCE


_AES: Final = "AESGCM"
_CHACHA: Final = "ChaCha20Poly1305"
SUITES: Final = {
    0x1301: Suite(TLS13, _AES, 16, "sha256"),
    0x1302: Suite(TLS13, _AES, 32, "sha384"),
    0x1303: Suite(TLS13, _CHACHA, 32, "sha256"),
    **{
        number: Suite(TLS12, _AES, 16, "sha256", 4)
        for number in (0x009C, 0x009E, 0xC02B, 0xC02F)  # RSA, DHE_RSA, ECDHE_ECDSA, ECDHE_RSA
    },
    **{number: Suite(TLS12, _AES, 32, "sha384", 4) for number in (0x009D, 0x009F, 0xC02C, 0xC030)},
    **{
        number: Suite(TLS12, _CHACHA, 32, "sha256")
        for number in (0xCCA8, 0xCCA9, 0xCCAA)  # ECDHE_RSA, ECDHE_ECDSA, DHE_RSA
    },
}
"""The suites that are read, by their number."""


def suite_of(hello: ServerHello) -> Suite | None:
    """The suite that a server chose; None: it is not read."""
    suite = SUITES.get(hello.suite)
    return suite if suite is not None and suite.version == hello.version else None


def _cipher(suite: Suite, key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers import aead

    return getattr(aead, suite.cipher)(key)


def _opened(cipher: Any, nonce: bytes, sealed: bytes, header: bytes) -> bytes | None:
    """What a record holds; None: its octets are not those that were sealed with this key."""
    from cryptography.exceptions import InvalidTag

    if len(sealed) < _TAG:
        return None
    try:
        return bytes(cipher.decrypt(nonce, sealed, header))
    except InvalidTag:
        return None


def _mixed(fixed: bytes, number: int) -> bytes:
    """The nonce of a record: the fixed one with its number put into it (RFC 8446 5.3)."""
    return (int.from_bytes(fixed) ^ number).to_bytes(len(fixed))


class Reader13:
    """One way of a connection of TLS 1.3 from one traffic secret on.

    Args:
        suite: the one in use.
        secret: as long as the suite's digest.
    """

    def __init__(self, suite: Suite, secret: bytes) -> None:
        self._suite = suite
        self._secret = secret
        self._number = 0
        self._cipher = _cipher(suite, _expand(suite, secret, b"key", suite.key))
        self._fixed = _expand(suite, secret, b"iv", _NONCE)

    def open(self, header: bytes, sealed: bytes) -> bytes | None:
        """What the next record holds, its type behind it, and padding; None: it does not open."""
        found = _opened(self._cipher, _mixed(self._fixed, self._number), sealed, header)
        if found is not None:
            self._number += 1
        return found

    def updated(self) -> Self:
        """The reader after a KeyUpdate (RFC 8446 7.2)."""
        secret = _expand(self._suite, self._secret, b"traffic upd", len(self._secret))
        return type(self)(self._suite, secret)


def reader13(suite: Suite, secret: bytes | None) -> Reader13 | None:
    """Make a reader; None: the secret is not known, or not one of this suite."""
    size = 48 if suite.digest == "sha384" else 32
    return Reader13(suite, secret) if secret is not None and len(secret) == size else None


def _expand(suite: Suite, secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446 7.1)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    digest = hashes.SHA384() if suite.digest == "sha384" else hashes.SHA256()
    label = b"tls13 " + label
    info = size.to_bytes(2) + bytes([len(label)]) + label + b"\0"
    return bytes(HKDFExpand(digest, size, info).derive(secret))


class Reader12:
    """One way of a connection of TLS 1.2 behind its ChangeCipherSpec.

    Args:
        suite: the one in use.
        key, fixed: of this way.
    """

    def __init__(self, suite: Suite, key: bytes, fixed: bytes) -> None:
        self._explicit = _EXPLICIT if suite.salt < _NONCE else 0
        self._cipher = _cipher(suite, key)
        self._fixed = fixed
        self._number = 0

    def open(self, header: bytes, sealed: bytes) -> bytes | None:
        """What the next record holds; None: it does not open."""
        size = len(sealed) - self._explicit - _TAG
        if size < 0:
            return None
        if self._explicit:
            nonce = self._fixed + sealed[:_EXPLICIT]
        else:
            nonce = _mixed(self._fixed, self._number)
        also = self._number.to_bytes(8) + header[:3] + size.to_bytes(2)
        found = _opened(self._cipher, nonce, sealed[self._explicit :], also)
        if found is not None:
            self._number += 1
        return found


def readers12(
    suite: Suite, master: bytes, client_random: bytes, server_random: bytes
) -> tuple[Reader12, Reader12]:
    """Make the readers of the client's and of the server's way (RFC 5246 6.3)."""
    need = 2 * (suite.key + suite.salt)
    seed = b"key expansion" + server_random + client_random
    block, step = b"", seed
    while len(block) < need:
        step = hmac.digest(master, step, suite.digest)
        block += hmac.digest(master, step + seed, suite.digest)
    keys = 2 * suite.key
    return (
        Reader12(suite, block[: suite.key], block[keys : keys + suite.salt]),
        Reader12(suite, block[suite.key : keys], block[keys + suite.salt : need]),
    )
