"""Captures taken apart, so that mutants may change one record, block or frame at a time."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import zstandard

_ZSTD = b"\x28\xb5\x2f\xfd"
_HEADER = 24
_SWAPPED = {b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}
_PLAIN = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<"}
_SECTION = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDER = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_INTERFACE = 1
_TAGS = (b"\x81\x00", b"\x88\xa8")


@dataclass(frozen=True)
class Record:
    """A packet as it was recorded. `fraction` is in the file's own unit."""

    seconds: int
    fraction: int
    length: int
    data: bytes

    def later(self, seconds: int) -> "Record":
        """The record by a clock that is `seconds` ahead."""
        return replace(self, seconds=min(max(self.seconds + seconds, 0), 0xFFFF_FFFF))

    def conversation(self) -> bytes:
        """Both endpoints of a packet over Ethernet, the same for both directions."""
        at = 12
        while self.data[at : at + 2] in _TAGS:
            at += 4
        kind, packet = self.data[at : at + 2], self.data[at + 2 :]
        if kind == b"\x08\x00" and len(packet) >= 24:
            head = 4 * (packet[0] & 15)
            ends = (
                packet[12:16] + packet[head : head + 2],
                packet[16:20] + packet[head + 2 : head + 4],
            )
        elif kind == b"\x86\xdd" and len(packet) >= 44:
            ends = packet[8:24] + packet[40:42], packet[24:40] + packet[42:44]
        else:
            return b""
        return b"".join(sorted(ends))


@dataclass(frozen=True)
class Tape:
    """A classic pcap file: its header and its whole records."""

    header: bytes
    order: str
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Reel:
    """A file of blocks or frames (pcapng, dnstap): what stands first, those, what stands last."""

    head: bytes
    pieces: tuple[bytes, ...]
    tail: bytes


def octets_of(path: Path) -> bytes:
    """A file's octets, decompressed if they are zstd."""
    octets = path.read_bytes()
    if octets[:4] == _ZSTD:
        return zstandard.ZstdDecompressor().stream_reader(octets).read()
    return octets


def tape(octets: bytes) -> Tape | None:
    """Take a file apart; None: it is no classic pcap, or has no whole record."""
    order = _PLAIN.get(octets[:4]) or _SWAPPED.get(octets[:4])
    if order is None:
        return None
    records = []
    at = _HEADER
    while at + 16 <= len(octets):
        seconds, fraction, captured, length = struct.unpack_from(f"{order}IIII", octets, at)
        data = octets[at + 16 : at + 16 + captured]
        if len(data) < captured:
            break
        records.append(Record(seconds, fraction, length, data))
        at += 16 + captured
    return Tape(octets[:_HEADER], order, tuple(records)) if records else None


def reel(octets: bytes) -> Reel | None:
    """Take a pcapng or dnstap file apart; None: it is neither, or has no block or frame."""
    return _blocks(octets) if octets[:4] == _SECTION else _frames(octets)


def _blocks(octets: bytes) -> Reel | None:
    order = _BYTE_ORDER.get(octets[8:12])
    if order is None:
        return None
    pieces = []
    at = head = 0
    while at + 12 <= len(octets):
        kind, length = struct.unpack_from(f"{order}II", octets, at)
        if length < 12 or length % 4 or at + length > len(octets):
            break
        if not pieces and (at == 0 or kind == _INTERFACE):
            head = at + length
        else:
            pieces.append(octets[at : at + length])
        at += length
    return Reel(octets[:head], tuple(pieces), b"") if pieces else None


def _frames(octets: bytes) -> Reel | None:
    if octets[:4] != bytes(4) or b"protobuf:dnstap.Dnstap" not in octets[:64]:
        return None
    head = at = 8 + int.from_bytes(octets[4:8], "big")
    pieces = []
    while at + 4 <= len(octets):
        length = int.from_bytes(octets[at : at + 4], "big")
        if not length or at + 4 + length > len(octets):
            break
        pieces.append(octets[at : at + 4 + length])
        at += 4 + length
    return Reel(octets[:head], tuple(pieces), octets[at:][:64]) if pieces else None


def file_of(header: bytes, order: str, records: Sequence[Record]) -> bytes:
    """Put a file together."""
    parts = [header]
    for one in records:
        parts.append(
            struct.pack(f"{order}IIII", one.seconds, one.fraction, len(one.data), one.length)
        )
        parts.append(one.data)
    return b"".join(parts)
