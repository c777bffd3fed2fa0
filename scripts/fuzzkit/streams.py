"""Segments and fragments in any order and overlap: what the reassemblers are fuzzed with.

An input is a number of steps, the steps (8 octets each), and the octets that they cut pieces of:

    kind: bits 0 TCP, else fragments; 1 IPv6; 2 from the server; 3-4 connection; 5 the sequence
          numbers wrap; 6 cut by the snaplen
    where, size: 16 bits each; flags of TCP, or 1: more fragments; time passed; what is not sent
"""

import random
import struct
from collections.abc import Callable

STEP = struct.Struct(">BHHBBB")
T0 = 1_780_000_000
_ISN = 1000
_WRAPS = 2**32 - 700
_HEAD = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
_WAITS = (0, 0, 1, 5, 11, 31, 121, 4000)
"""Seconds that may pass: below and above every timeout."""


def capture(data: bytes) -> bytes:
    """Make a capture (raw IP) of the steps that an input names."""
    count = data[0] if data else 0
    steps = data[1 : 1 + count * STEP.size]
    body = data[1 + count * STEP.size :]
    content, now = [_HEAD], T0
    for at in range(0, len(steps) - STEP.size + 1, STEP.size):
        kind, where, size, flags, wait, left_out = STEP.unpack_from(steps, at)
        now += _WAITS[wait & 7]
        piece = body[where : where + size % 1500]
        if kind & 1:
            packet = _segment(kind, where, piece, flags)
        else:
            packet = _fragment(kind, where, body, piece, flags)
        captured = packet[: max(len(packet) - left_out, 1)] if kind & 64 else packet
        content.append(struct.pack("<IIII", now, at, len(captured), len(packet)) + captured)
    return b"".join(content)


def _segment(kind: int, where: int, piece: bytes, flags: int) -> bytes:
    number = ((_WRAPS if kind & 32 else _ISN) + where) % 2**32
    ports = (53, 4000 + (kind >> 3 & 3)) if kind & 4 else (4000 + (kind >> 3 & 3), 53)
    head = struct.pack(">HHIIBBHHH", *ports, number, 0, 5 << 4, flags, 65535, 0, 0)
    return _packet(kind, 6, head + piece, 0)


def _fragment(kind: int, where: int, body: bytes, piece: bytes, flags: int) -> bytes:
    ports = (53, 4000) if kind & 4 else (4000, 53)
    head = struct.pack(">HHHH", *ports, 8 + len(body[:4000]), 0)
    whole = head + body[:4000]
    where &= 0xFF8
    return _packet(kind, 17, whole[where : where + len(piece)], where, more=flags & 1)


def _packet(kind: int, protocol: int, payload: bytes, offset: int, *, more: int = 0) -> bytes:
    pair = (bytes(15) + b"\1", bytes(15) + b"\2")
    near, far = pair[::-1] if kind & 4 else pair
    ident = 7 + (kind >> 3 & 3)
    if kind & 2:
        following = protocol
        if protocol == 17:
            payload = struct.pack(">BBHI", protocol, 0, offset | more, ident) + payload
            following = 44
        return struct.pack(">IHBB", 6 << 28, len(payload), following, 64) + near + far + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, more << 13 | offset // 8, 64,
                       protocol, 0)  # fmt: skip
    return head + near[12:] + far[12:] + payload


def seeds(messages: list[bytes]) -> list[bytes]:
    """Whole messages over TCP and in fragments, cut in several ways, also out of order."""
    dice = random.Random(5)
    made = []
    for turn in range(24):
        chosen = [dice.choice(messages)[:1200] for _ in range(dice.randrange(1, 5))]
        is_tcp = turn % 3 != 2
        body = chosen[0]
        if is_tcp:
            body = b"".join(struct.pack(">H", len(one)) + one for one in chosen)
        size = dice.choice((40, 200, 536, 1448)) if is_tcp else dice.choice((8, 64, 256))
        base = int(is_tcp) | dice.choice((0, 2)) | 4 | dice.choice((0, 32))
        total = len(body) + (0 if is_tcp else 8)
        cuts = [(at, min(size, total - at)) for at in range(0, total, size)][:255]
        if turn % 4 == 3:
            dice.shuffle(cuts)
        steps = [
            STEP.pack(base, at, length, 16 if is_tcp else int(at + length < total), 0, 0)
            for at, length in cuts
        ]
        made.append(bytes([len(steps)]) + b"".join(steps) + body)
    return made


def reader(read: Callable[[bytes, random.Random], None]) -> Callable[[bytes, random.Random], None]:
    """Make a target of the way in which captures are read."""

    def run(data: bytes, dice: random.Random) -> None:
        read(capture(data), dice)

    return run
