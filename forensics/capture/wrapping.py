"""Packets made around DNS messages that had none of their own."""

from __future__ import annotations

from typing import Final

_MAPPED: Final = bytes(10) + b"\xff\xff"
_HOPS: Final = 64
_UDP: Final = 17


def wrapped(source: bytes, destination: bytes, from_port: int, to_port: int, body: bytes) -> bytes:
    """Put UDP and IP headers around a message (RFC 768, RFC 791, RFC 8200).

    Args:
        source: 16 octets; where both addresses are IPv4 mapped into IPv6, the header is IPv4's.
        destination: 16 octets.
        from_port: as recorded.
        to_port: as recorded.
        body: the message, at most 65,535 octets less those of the headers.
    """
    length = 8 + len(body)
    is_4 = source.startswith(_MAPPED) and destination.startswith(_MAPPED)
    if is_4:
        source, destination = source[12:], destination[12:]
    ports = from_port.to_bytes(2, "big") + to_port.to_bytes(2, "big") + length.to_bytes(2, "big")
    pseudo = source + destination + length.to_bytes(4, "big") + _UDP.to_bytes(4, "big")
    check = _checksum(pseudo + ports + bytes(2) + body) or 0xFFFF
    datagram = ports + check.to_bytes(2, "big") + body
    if not is_4:
        head = b"\x60\0\0\0" + length.to_bytes(2, "big") + bytes([_UDP, _HOPS])
        return head + source + destination + datagram
    head = b"\x45\0" + (20 + length).to_bytes(2, "big") + bytes(4) + bytes([_HOPS, _UDP])
    check = _checksum(head + bytes(2) + source + destination)
    return head + check.to_bytes(2, "big") + source + destination + datagram


def _checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total = int.from_bytes(octets + bytes(len(octets) % 2), "big") % 0xFFFF
    return 0xFFFF - total if any(octets) else 0xFFFF
