"""Classic pcap files as lists of records, so that mutants may change one record at a time."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import zstandard

_ZSTD = b"\x28\xb5\x2f\xfd"
_HEADER = 24
_SWAPPED = {b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}
_PLAIN = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<"}


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


@dataclass(frozen=True)
class Tape:
    """A classic pcap file: its header and its whole records."""

    header: bytes
    order: str
    records: tuple[Record, ...]


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


def file_of(header: bytes, order: str, records: Sequence[Record]) -> bytes:
    """Put a file together."""
    parts = [header]
    for one in records:
        parts.append(
            struct.pack(f"{order}IIII", one.seconds, one.fraction, len(one.data), one.length)
        )
        parts.append(one.data)
    return b"".join(parts)
