"""Rewrites of classic pcap files, record by record: the same traffic as other recorders see it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import zstandard


class Record(NamedTuple):
    seconds: int
    fraction: int
    length: int
    data: bytes


def load(path: Path) -> tuple[bytes, list[Record]]:
    """Read a little-endian pcap of Ethernet, compressed with zstd or not: header and records."""
    octets = path.read_bytes()
    if octets[:4] == b"\x28\xb5\x2f\xfd":
        octets = zstandard.ZstdDecompressor().stream_reader(octets).read()
    assert octets[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")
    return octets[:24], list(_records(octets))


def _records(octets: bytes) -> Iterator[Record]:
    at = 24
    while at + 16 <= len(octets):
        seconds, fraction, captured, length = struct.unpack_from("<IIII", octets, at)
        yield Record(seconds, fraction, length, octets[at + 16 : at + 16 + captured])
        at += 16 + captured


def store(path: Path, header: bytes, records: list[Record]) -> Path:
    """Write the records behind the header."""
    parts = [header]
    for r in records:
        parts.append(struct.pack("<IIII", r.seconds, r.fraction, len(r.data), r.length) + r.data)
    path.write_bytes(b"".join(parts))
    return path


def shifted(records: list[Record], seconds: int) -> list[Record]:
    """As a recorder whose clock is wrong by `seconds`."""
    return [r._replace(seconds=r.seconds + seconds) for r in records]


def twice(records: list[Record]) -> list[Record]:
    """As a mirror port that copies both directions: each packet again, one hop later."""
    return [copy for r in records for copy in (r, r._replace(data=_one_hop_later(r.data)))]


def _one_hop_later(frame: bytes) -> bytes:
    """The frame behind a router: other MAC addresses, hop count one less."""
    data = bytearray(frame)
    data[0:12] = bytes(range(12))
    if data[12:14] == b"\x08\x00":
        data[22] -= 1
        header = data[14 : 14 + (data[14] & 15) * 4]
        header[10:12] = b"\0\0"
        total = sum(struct.unpack(f">{len(header) // 2}H", header))
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        data[24:26] = struct.pack(">H", total ^ 0xFFFF)
    elif data[12:14] == b"\x86\xdd":
        data[21] -= 1
    return bytes(data)


def dns_of(frame: bytes) -> tuple[int, int, bytes]:
    """Source port, destination port and DNS message of an Ethernet frame with plain IP and UDP.

    Of TCP, one message that is whole in its segment; empty: none.
    """
    tcp = frame[23 if frame[12:14] == b"\x08\x00" else 20] == 6
    at = 14 + ((frame[14] & 15) * 4 if frame[12:14] == b"\x08\x00" else 40)
    source, destination = struct.unpack_from(">HH", frame, at)
    if tcp:
        return source, destination, frame[at + (frame[at + 12] >> 4) * 4 + 2 :]
    return source, destination, frame[at + 8 :]


def only(records: list[Record], wanted: Callable[[bytes], bool]) -> list[Record]:
    """The records whose DNS message is wanted; what holds none (bare TCP) is left out."""
    return [
        r for r in records if len(r.data) >= 54 and len(m := dns_of(r.data)[2]) > 11 and wanted(m)
    ]


def is_response(message: bytes) -> bool:
    """Whether QR is set."""
    return len(message) > 2 and bool(message[2] & 0x80)


def between(records: list[Record], start: float, end: float) -> list[Record]:
    """The records within [start, end), in seconds since 1970 (nanosecond files)."""
    return [r for r in records if start <= r.seconds + r.fraction / 1e9 < end]
