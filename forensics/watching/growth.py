"""What of a growing file is whole already: records, blocks and frames, octets in and numbers out.

Only the framing is walked, as the readers of capture/ do it; what is in the packets is their
business. A piece of a file is made readable on its own by what `Walker.prefix` gives.
"""

from __future__ import annotations

import struct
from typing import Final, Protocol

from forensics import limits
from forensics.errors import ForensicsError

_PCAP: Final = {0xA1B2C3D4: 16, 0xA1B23C4D: 16, 0xA1B2CD34: 24}
_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_FRAMES: Final = frozenset({2, 3, 6, 0xBAD, 0x40000BAD, 9, 0x204, 0x216, 0x221})
"""Types of pcapng blocks that Wireshark counts as frames (capture/pcapng.py)."""


class Broken(ForensicsError):
    """The framing is damaged: only a reader that looks for the next record can go on."""


class Walker(Protocol):
    """One growing file.

    Attributes:
        prefix: octets that must stand before a piece, so that it is a file.
    """

    prefix: bytes

    def whole(self, octets: bytes) -> tuple[int, int]:
        """Give how many of these octets are whole records, and how many frames those are.

        Raises:
            Broken: a length is absurd.
        """


class _Pcap:
    """Records of a pcap; the file's header is the prefix (draft-ietf-opsawg-pcap)."""

    def __init__(self, order: str, header: int, prefix: bytes) -> None:
        self.prefix = prefix
        self._size = struct.Struct(f"{order}I")
        self._header = header

    def whole(self, octets: bytes) -> tuple[int, int]:
        at = frames = 0
        while at + self._header <= len(octets):
            (size,) = self._size.unpack_from(octets, at + 8)
            if size > limits.RECORD_OCTETS:
                raise Broken
            if at + self._header + size > len(octets):
                break
            at += self._header + size
            frames += 1
        return at, frames


class _Pcapng:
    """Blocks of a pcapng; the section's header and interfaces so far are the prefix."""

    def __init__(self, prefix: bytes = b"") -> None:
        self.prefix = prefix

    def whole(self, octets: bytes) -> tuple[int, int]:
        at = frames = 0
        while at + 12 <= len(octets):
            if octets[at : at + 4] == b"\x0a\x0d\x0d\x0a":
                magic = octets[at + 8 : at + 12]
            else:
                magic = self.prefix[8:12]
            order = "<" if magic == b"\x4d\x3c\x2b\x1a" else ">"
            kind, size = struct.unpack_from(f"{order}II", octets, at)
            if size < 12 or size % 4 or size > limits.PCAPNG_BLOCK_OCTETS:
                raise Broken
            if at + size > len(octets):
                break
            block = octets[at : at + size]
            if kind == _SECTION:
                self.prefix = block
            elif kind == _INTERFACE:
                self.prefix += block
            frames += kind in _FRAMES
            at += size
        return at, frames


class _Dnstap:
    """Frames of a Frame Streams file; its START is the prefix."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix

    def whole(self, octets: bytes) -> tuple[int, int]:
        at = frames = 0
        while at + 4 <= len(octets):
            (size,) = struct.unpack_from(">I", octets, at)
            head = 4
            if not size:
                if at + 8 > len(octets):
                    break
                (size,) = struct.unpack_from(">I", octets, at + 4)
                head = 8
                if size > limits.CONTROL_OCTETS:
                    raise Broken
            elif size > limits.RECORD_OCTETS:
                raise Broken
            if at + head + size > len(octets):
                break
            at += head + size
            frames += head == 4
        return at, frames


HEAD_OCTETS: Final = 8 + limits.CONTROL_OCTETS
"""Octets from which `walker` can tell."""


def walker(head: bytes, prefix: bytes = b"") -> tuple[Walker, int] | None:
    """Give the walker for a file that begins so, and where its first record is; None: no such file.

    Args:
        head: the first octets.
        prefix: of the last piece, where an earlier walker was stopped; empty: none was.
    """
    for order, name in (("<", "little"), (">", "big")):
        header = _PCAP.get(int.from_bytes(head[:4], name))  # type: ignore[arg-type]
        if header and len(head) >= 24:
            return _Pcap(order, header, head[:24]), 24
    if head[:4] == b"\x0a\x0d\x0d\x0a" and len(head) >= 12:
        return _Pcapng(prefix), 0
    if head[:4] == bytes(4) and len(head) >= 12:
        size = int.from_bytes(head[4:8], "big")
        if 4 <= size <= limits.CONTROL_OCTETS and len(head) >= 8 + size:
            return _Dnstap(head[: 8 + size]), 8 + size
    return None
