"""Responses that were damaged on the way: their UDP checksum is wrong, so no resolver took them.

Looked at only where such a response would accuse somebody, by reading its packet again: what is
right is not worth a pass over every octet.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from forensics.errors import InputError

_UDP: Final = 17
_FRAGMENT: Final = 44
_ETHERTYPES: Final = frozenset({0x0800, 0x86DD})
_VLAN: Final = frozenset({0x8100, 0x88A8, 0x9100})
_RAW: Final = frozenset({12, 14, 101, 228, 229})
_ETHERNET, _COOKED, _COOKED_2 = 1, 113, 276
_LOOPBACK: Final = frozenset({0, 108})


class Piece(NamedTuple):
    """What one packet holds of a datagram: `octets` from `offset` on, of addresses `ends`."""

    ends: bytes
    protocol: int
    number: int
    offset: int
    is_last: bool
    octets: bytes


def damaged(path: str, frames: Iterable[int], ports: frozenset[int]) -> frozenset[int]:
    """Return those of some frames of a capture whose message came in a damaged UDP datagram.

    A checksum that was left to the network card (it holds the sum of the pseudo-header alone) or
    left out is not wrong; nor is what came over TCP or in a tunnel, or cannot be read again, known
    to be.
    """
    from forensics.capture.cutting import cut

    wanted = frozenset(frames)
    try:
        packets = cut(path, wanted, ports)
    except InputError:
        return frozenset()
    held: dict[tuple[bytes, int, int], list[Piece]] = {}
    of: dict[tuple[bytes, int, int], set[int]] = {}
    for packet in packets:
        piece = None if packet.is_made else read(packet.octets[: packet.wire], packet.link)
        if piece is not None:
            alone = piece.is_last and not piece.offset
            what = piece.ends, piece.protocol, -packet.frame if alone else piece.number
            held.setdefault(what, []).append(piece)
            of.setdefault(what, set()).update({packet.frame, *packet.part_of} & wanted)
    return frozenset(frame for what in held if is_wrong(held[what]) for frame in of[what])


def is_wrong(pieces: Sequence[Piece]) -> bool:
    """Whether pieces make up a whole UDP datagram with a wrong checksum (RFC 768, 8200 8.1)."""
    whole = b""
    for piece in sorted(pieces, key=lambda one: one.offset):
        if piece.offset != len(whole):
            return False
        whole += piece.octets
    if len(whole) < 8 or not piece.is_last or piece.protocol != _UDP:
        return False
    size, sent = struct.unpack_from(">HH", whole, 4)
    if sent == 0 or size < 8 or len(whole) < size:
        return False
    pseudo = _sum(piece.ends + struct.pack(">HH", _UDP, size))
    if sent in {pseudo, pseudo ^ 0xFFFF}:
        return False
    return _sum(whole[:size], pseudo) != 0xFFFF


def read(octets: bytes, link: int) -> Piece | None:
    """Read a packet, or a fragment of one; None: it is cut, or holds no IP that is known.

    Args:
        octets: from the link header on.
        link: its type (the LINKTYPE_ registry).
    """
    at = _network(octets, link)
    if at is None or len(octets) < at + 20:
        return None
    if octets[at] >> 4 == 4:
        here, end = at + (octets[at] & 15) * 4, at + int.from_bytes(octets[at + 2 : at + 4], "big")
        number, place = struct.unpack_from(">HH", octets, at + 4)
        offset, is_last = (place & 0x1FFF) * 8, not place & 0x2000
        protocol, ends = octets[at + 9], octets[at + 12 : at + 20]
    elif octets[at] >> 4 == 6 and len(octets) >= at + 48:
        here, end = at + 40, at + 40 + int.from_bytes(octets[at + 4 : at + 6], "big")
        protocol, ends = octets[at + 6], octets[at + 8 : at + 40]
        number, offset, is_last = 0, 0, True
        if protocol == _FRAGMENT:
            protocol, _, place, number = struct.unpack_from(">BBHI", octets, here)
            offset, is_last, here = place & 0xFFF8, not place & 1, here + 8
    else:
        return None
    if not here <= end <= len(octets):
        return None
    return Piece(ends, protocol, number, offset, is_last, octets[here:end])


def _network(octets: bytes, link: int) -> int | None:
    """Return where the IP header begins; None: another link type, or no IP behind it."""
    if link in _RAW:
        return 0
    if link in _LOOPBACK:
        return 4
    at = {_ETHERNET: 12, _COOKED: 14, _COOKED_2: 0}.get(link)
    if at is None:
        return None
    kind = int.from_bytes(octets[at : at + 2], "big")
    if link == _COOKED_2:
        return 20 if kind in _ETHERTYPES else None
    while kind in _VLAN and len(octets) >= at + 6:
        at += 4
        kind = int.from_bytes(octets[at : at + 2], "big")
    return at + 2 if kind in _ETHERTYPES else None


def _sum(octets: bytes, start: int = 0) -> int:
    """Add 16-bit words in one's complement (RFC 1071)."""
    padded = octets + bytes(len(octets) % 2)
    total: int = start + sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
