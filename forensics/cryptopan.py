"""Addresses made anonymous with their prefixes kept: two of one network stay in one network.

Source: J. Fan, J. Xu, M. Ammar, S. Moon, "Prefix-preserving IP address anonymization" (Crypto-PAn),
Computer Networks 46 (2004), with AES-128 as the pseudorandom function; for IPv6 the same over 128
bits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forensics.errors import UsageError

KEY_OCTETS: Final = 32
"""An AES-128 key and 16 octets from which the padding is made."""

_BLOCK: Final = 16
_AT_ONCE: Final = 4_096
"""Addresses encrypted in one go: 8 MiB of blocks for IPv6."""


def read_key(path: str | Path) -> bytes:
    """Read a key: 32 octets, or 64 hexadecimal digits.

    Raises:
        UsageError: the file cannot be read, or holds something else.
    """
    how = "make one with: head -c 32 /dev/urandom > KEYFILE"
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        why = (error.strerror or "error").lower()
        raise UsageError(f"--anonymize {path}: cannot be read: {why}; {how}") from None
    if len(content) == KEY_OCTETS:
        return content
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_OCTETS:
        raise UsageError(f"--anonymize {path}: not 32 octets or 64 hexadecimal digits; {how}")
    return key


class CryptoPan:
    """The mapping of one key.

    Args:
        key: 32 octets.
    """

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES128
        from cryptography.hazmat.primitives.ciphers.modes import ECB

        # One block at a time is what the scheme is made of: a keyed function, not a mode.
        self._cipher = Cipher(AES128(key[:_BLOCK]), ECB())  # noqa: S305
        padding = np.frombuffer(self._encrypt(key[_BLOCK:]), np.uint8)
        self._padding = np.unpackbits(padding)

    def _encrypt(self, blocks: bytes) -> bytes:
        encryptor: Any = self._cipher.encryptor()
        return bytes(encryptor.update(blocks))

    def addresses(self, packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Map N addresses of 4 or of 16 octets, uint8 (N, 4) or (N, 16)."""
        found = np.empty_like(packed)
        for begin in range(0, len(packed), _AT_ONCE):
            part = packed[begin : begin + _AT_ONCE]
            found[begin : begin + _AT_ONCE] = np.packbits(
                self._bits(np.unpackbits(part, axis=1)), axis=1
            )
        return found

    def prefix(self, packed: bytes, bits: int) -> bytes:
        """Map the first `bits` of an address of 4 or 16 octets; the rest becomes zero.

        The prefix of a mapped address is the mapped prefix, so a client subnet still holds its
        clients.
        """
        mapped = np.unpackbits(self.addresses(np.frombuffer(packed, np.uint8)[None])[0])
        mapped[bits:] = 0
        return np.packbits(mapped).tobytes()

    def _bits(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Map addresses as rows of bits: each bit is flipped by a function of those before it."""
        number, width = bits.shape
        blocks = np.broadcast_to(self._padding, (number, width, 8 * _BLOCK)).copy()
        for at in range(1, width):
            blocks[:, at, :at] = bits[:, :at]
        octets = np.packbits(blocks.reshape(number * width, 8 * _BLOCK), axis=1)
        coded = np.frombuffer(self._encrypt(octets.tobytes()), np.uint8).reshape(
            number, width, _BLOCK
        )
        flips: NDArray[np.uint8] = (coded[:, :, 0] >> 7).astype(np.uint8)
        return bits ^ flips
