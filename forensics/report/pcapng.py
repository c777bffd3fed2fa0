"""Write pcapng: the packets that prove an incident, each with a comment in plain words.

Source: draft-ietf-opsawg-pcapng. One section, one interface a link type, times in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from forensics.report.escape import visible

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_ENHANCED: Final = 6
_MAGIC: Final = 0x1A2B3C4D
_COMMENT: Final = 1
_NAME: Final = 2
_RESOLUTION: Final = 9
_APPLICATION: Final = 4
_LONGEST: Final = 65_535
"""Octets of an option."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet to be written.

    Attributes:
        time: ns since 1970 UTC; negative times cannot be written and become 0.
        link: link type.
        octets: as captured.
        wire: octets on the wire.
        comment: plain words; empty: none.
    """

    time: int
    link: int
    octets: bytes
    wire: int
    comment: str = ""


def render_pcapng(packets: Iterable[Packet], comment: str = "", program: str = "") -> bytes:
    """Give a pcapng file, the packets in the order given, the same octets each time.

    Args:
        packets: what to write.
        comment: of the whole file, in plain words.
        program: name and version of the tool.
    """
    packets = list(packets)
    links = list(dict.fromkeys(packet.link for packet in packets))
    told = _option(_COMMENT, _text(comment)) + _option(_APPLICATION, _text(program))
    head = _number(_MAGIC) + _short(1) + _short(0) + b"\xff" * 8
    pieces = [_block(_SECTION, head + _options(told))]
    for link in links:
        options = _option(_NAME, f"link type {link}".encode()) + _option(_RESOLUTION, b"\x09")
        pieces.append(_block(_INTERFACE, _short(link) + _short(0) + _number(0) + _options(options)))
    for packet in packets:
        time = max(packet.time, 0)
        body = (
            _number(links.index(packet.link))
            + _number(time >> 32)
            + _number(time & 0xFFFFFFFF)
            + _number(len(packet.octets))
            + _number(max(packet.wire, len(packet.octets)))
            + _padded(packet.octets)
            + _options(_option(_COMMENT, _text(packet.comment)))
        )
        pieces.append(_block(_ENHANCED, body))
    return b"".join(pieces)


def _number(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _short(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _text(text: str) -> bytes:
    """Text of a comment: what a packet held is made visible first."""
    return visible(text).encode("utf-8")[:_LONGEST]


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


def _option(code: int, value: bytes) -> bytes:
    return _short(code) + _short(len(value)) + _padded(value) if value else b""


def _options(options: bytes) -> bytes:
    return options + bytes(4) if options else b""


def _block(kind: int, body: bytes) -> bytes:
    size = _number(12 + len(body))
    return _number(kind) + size + body + size
