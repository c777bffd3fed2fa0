"""The synthetic capture as a network carries it: tagged, some of it in fragments, some over TCP.

Each frame gets a VLAN tag. So many exchanges are made anew as connections of their own, with their
handshakes and acknowledgements, and so many responses cut in two, that `TCP` and `FRAGMENTS` of a
hundred packets are segments and fragments. Which ones depends on ports and ids alone.
"""

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from benchkit import capture as captures
from benchkit.capture import RECORD, Description

TCP = 10
"""Segments in a hundred packets."""
FRAGMENTS = 5
"""Fragments in a hundred packets."""

_TAG = bytes.fromhex("8100002a")
"""IEEE 802.1Q: VLAN 42."""
_SEGMENTS = 9
"""Packets of a connection with one query and one response."""
_SHARE = TCP * 2 / (_SEGMENTS * (100 - TCP) + TCP * 2)
"""Of the exchanges, those over TCP: each has nine packets instead of two."""
_CUT = FRAGMENTS / (100 - TCP)
"""Of the responses over UDP, those in two pieces."""
_SYN, _ACK, _PUSH, _FIN = 2, 16, 24, 17
_BLOCK = 1 << 25
_OPEN = 1 << 16
"""Connections remembered, so that a retransmitted query does not begin another one."""


def ensure(folder: Path, packets: int, seed: int) -> tuple[Path, Description]:
    """Return the mix of that many packets, made now unless the folder has it whole."""
    path = mix_path(folder, packets, seed)
    known = captures.describe(path)
    if known is not None and known.version == captures.VERSION:
        return path, known
    plain, description = captures.ensure(folder, packets, seed)
    began = time.perf_counter()
    octets, count, blocks = write(plain, path, packets)
    made = replace(
        description,
        packets=count,
        octets=octets,
        complete=False,
        seconds=time.perf_counter() - began,
        blocks=blocks,
    )
    anchor = plain.with_suffix(".trust-anchor")
    path.with_suffix(".trust-anchor").write_bytes(anchor.read_bytes())
    path.with_suffix(".json").write_text(json.dumps(asdict(made)) + "\n")
    return path, made


def mix_path(folder: Path, packets: int, seed: int) -> Path:
    """Name the mix of that many packets."""
    return folder / f"bench-mix-{packets}-{seed}.pcap"


def write(plain: Path, path: Path, packets: int) -> tuple[int, int, list[tuple[int, int]]]:
    """Write the mix of a capture; return its octets, packets and some record borders."""
    count, octets, border = 0, len(captures.EMPTY_CAPTURE), 0
    blocks = [(0, octets)]
    known: dict[bytes, None] = {}
    with plain.open("rb") as source, path.open("wb", buffering=1 << 20) as target:
        target.write(captures.EMPTY_CAPTURE)
        source.seek(len(captures.EMPTY_CAPTURE))
        while count < packets and (header := source.read(RECORD.size)):
            second, part, size, _ = RECORD.unpack(header)
            for frame in carried(source.read(size), known):
                target.write(RECORD.pack(second, part, len(frame), len(frame)))
                target.write(frame)
                octets += RECORD.size + len(frame)
                count += 1
            if octets - border > _BLOCK:
                border = octets
                blocks.append((count, octets))
    return octets, count, blocks


def carried(frame: bytes, known: dict[bytes, None]) -> Iterator[bytes]:
    """The frames that carry a frame's message in the mix."""
    ethernet, packet = frame[:12] + _TAG + frame[12:14], frame[14:]
    header = 40 if packet[0] >> 4 == 6 else 20
    ports = packet[header : header + 4]
    respond = ports[:2] == b"\0\x35"
    port = ports[2:] if respond else ports[:2]
    number = packet[header + 8 : header + 10]
    chance = (int.from_bytes(port + number, "big") * 2654435761 & 0xFFFFFFFF) / 2**32
    if chance < _SHARE:
        back = ethernet[6:12] + ethernet[:6] + ethernet[12:]
        near, far = (ethernet, back)
        for mine, packet_made in _connection(packet, header, number, respond, known):
            yield (near if mine else far) + packet_made
    elif respond and chance > 1 - _CUT * (1 - _SHARE):
        for piece in _pieces(packet, header, number):
            yield ethernet + piece
    else:
        yield ethernet + packet


def _connection(
    packet: bytes, header: int, number: bytes, respond: bool, known: dict[bytes, None]
) -> Iterator[tuple[bool, bytes]]:
    """The segments in place of a datagram; whether each goes the same way as it did."""
    ports = packet[header : header + 4]
    message = packet[header + 8 :]
    data = len(message).to_bytes(2, "big") + message
    client, server = 1000, 5000
    ours, theirs = (server, client) if respond else (client, server)

    def made(mine: bool, seq: int, ack: int, flags: int, data: bytes = b"") -> tuple[bool, bytes]:
        pair = ports if mine else ports[2:] + ports[:2]
        body = pair + struct.pack(">IIBBHHH", seq, ack, 0x50, flags, 65_535, 0, 0) + data
        return mine, _around(packet, header, body, mine)

    if not respond:
        key = ports + number
        if key not in known:
            known[key] = None
            if len(known) > _OPEN:
                del known[next(iter(known))]
            yield made(True, ours - 1, 0, _SYN)
            yield made(False, theirs - 1, ours, _SYN | _ACK)
            yield made(True, ours, theirs, _ACK)
        yield made(True, ours, theirs, _PUSH, data)
        return
    # A query is as long as it needs to be: nobody looks at the numbers of bare acknowledgements.
    yield made(True, ours, theirs, _PUSH, data)
    yield made(False, theirs, ours + len(data), _ACK)
    yield made(True, ours + len(data), theirs, _FIN)
    yield made(False, theirs, ours + len(data) + 1, _FIN)
    yield made(True, ours + len(data) + 1, theirs + 1, _ACK)


def _around(packet: bytes, header: int, body: bytes, mine: bool) -> bytes:
    """Put the IP header of a packet around a segment, one way or the other."""
    width = 16 if header == 40 else 4
    near, far = packet[header - 2 * width : header - width], packet[header - width : header]
    ends = near + far if mine else far + near
    if header == 40:
        return packet[:4] + len(body).to_bytes(2, "big") + b"\x06" + packet[7:8] + ends + body
    length = (20 + len(body)).to_bytes(2, "big")
    head = packet[:2] + length + packet[4:6] + b"\x40\0" + packet[8:9] + b"\x06"
    return head + _checksum(head + b"\0\0" + ends) + ends + body


def _pieces(packet: bytes, header: int, number: bytes) -> Iterator[bytes]:
    """A packet in two fragments (RFC 791 3.2, RFC 8200 4.5)."""
    payload = packet[header:]
    middle = len(payload) // 2 & ~7
    for at, part, more in ((0, payload[:middle], 1), (middle, payload[middle:], 0)):
        if header == 40:
            fragment = packet[6:7] + b"\0" + (at | more).to_bytes(2, "big") + b"\0\0" + number
            length = (len(part) + 8).to_bytes(2, "big")
            yield packet[:4] + length + b"\x2c" + packet[7:header] + fragment + part
            continue
        length = (20 + len(part)).to_bytes(2, "big")
        word = (more << 13 | at >> 3).to_bytes(2, "big")
        head = packet[:2] + length + packet[4:6] + word + packet[8:10]
        ends = packet[12:20]
        yield head + _checksum(head + b"\0\0" + ends) + ends + part


def _checksum(octets: bytes) -> bytes:
    """The Internet checksum (RFC 1071)."""
    total = int.from_bytes(octets, "big") % 0xFFFF
    return (0xFFFF - total).to_bytes(2, "big")
