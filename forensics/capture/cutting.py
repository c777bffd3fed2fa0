"""Read chosen frames of a capture again, as packets that Wireshark opens.

A frame that holds its message whole is given as it was recorded, and so are all the fragments or
segments of a message that came in several packets. A message without packets (of a dnstap frame)
gets one made around it, with the addresses and ports as recorded, which says so. The port of
DNS over TLS becomes 53 there, for what is decrypted is plain DNS.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from forensics.capture.pieces import Pieces, Wanted
from forensics.limits import STREAM_TIMEOUT
from forensics.vocabulary import Transport
from forensics.wire.blocks import MessageBlock

if TYPE_CHECKING:
    from forensics.capture.packets import Packets
    from forensics.capture.tls_secrets import Secrets

LINK_RAW: Final = 101
"""LINKTYPE_RAW: a packet begins with its IP header."""

_MAPPED: Final = bytes(10) + b"\xff\xff"
_HOPS: Final = 64
_UDP: Final = 17
_MOST: Final = 65_535 - 48
"""Octets of a message that fit into one IP packet with its headers."""


@dataclass(frozen=True, slots=True)
class CutPacket:
    """One packet of a capture.

    Attributes:
        frame: its number in its file, from 1.
        time: ns since 1970 UTC.
        link: link type (the LINKTYPE_ registry).
        octets: as captured.
        wire: octets that the packet had on the wire.
        is_made: headers were made around a message that had no packet of its own.
        part_of: the wanted frame whose message it helps to make up; None: it is wanted itself.
    """

    frame: int
    time: int
    link: int
    octets: bytes
    wire: int
    is_made: bool = False
    part_of: int | None = None


@dataclass(slots=True)
class Watch:
    """Keeps the packets of chosen frames while a capture is read.

    Attributes:
        frames: numbers of the frames that are wanted.
        kept: what was found, by frame.
        pieces: keeps what messages were put together of; None: not asked.
    """

    frames: frozenset[int]
    kept: dict[int, CutPacket] = field(default_factory=dict)
    pieces: Pieces | None = None

    def see(self, octets: NDArray[np.uint8], packets: Packets, first_frame: int) -> None:
        """Look through N packets of a window, numbered from `first_frame`."""
        behind = first_frame + len(packets)
        for frame in self.frames:
            if first_frame <= frame < behind:
                at = frame - first_frame
                link = int(packets.link[at])
                if link < 0:
                    continue
                start = int(packets.start[at])
                self.kept[frame] = CutPacket(
                    frame,
                    int(packets.time[at]),
                    link,
                    octets[start : start + int(packets.captured[at])].tobytes(),
                    int(packets.wire[at]),
                )


Change = Callable[[bytes, bytes], bytes | None]
"""Called with (16 octets of an address, nothing) or (nothing, a message): what to write for it;
None: nothing may be written."""


def cut(
    path: str,
    frames: Collection[int],
    ports: frozenset[int] = frozenset(),
    change: Change | None = None,
    secrets: Secrets | None = None,
) -> list[CutPacket]:
    """Read the packets of some frames of a capture, in order of their numbers.

    With a frame come the other packets of which its message was put together.

    Args:
        path: the capture; standard input cannot be read a second time.
        frames: numbers from 1; those that the capture does not have are left out.
        ports: ports that carry DNS besides 53.
        change: what to do to addresses and messages; then every packet is made anew, for a recorded
            one has more of its sender in it (link-layer addresses, tunnels).
        secrets: of TLS connections.

    Raises:
        InputError: the capture cannot be read any more.
    """
    from forensics.capture.readers import open_capture

    wanted = frozenset(frames)
    scattered: dict[int, Wanted] = {}
    capture = open_capture(path, 0, ports, secrets=secrets)
    watch = Watch(wanted)
    capture.facts.watch = watch
    found: dict[int, CutPacket] = {}
    last = max(wanted, default=0)
    try:
        for block in capture.blocks():
            for row in _rows(block, wanted):
                made = _as_recorded(block, row, watch, change)
                if made is not None and made.is_made and made.frame in watch.kept:
                    scattered.setdefault(made.frame, _wanted(block, row))
                if made is not None:
                    found.setdefault(made.frame, made)
            if len(block) and int(block.frame.min()) > last:
                break
    finally:
        capture.close()
    kept = {**({} if change else watch.kept), **found}
    if scattered and change is None:
        kept |= _put_together(path, ports, scattered, watch, kept)
    return [kept[frame] for frame in sorted(kept)]


def _wanted(block: MessageBlock, row: int) -> Wanted:
    """What tells the pieces of a message."""
    start, size = int(block.start[row]), int(block.captured[row])
    return Wanted(
        int(block.frame[row]),
        block.source[row].tobytes(),
        block.destination[row].tobytes(),
        int(block.source_port[row]),
        int(block.destination_port[row]),
        int(block.transport[row]),
        int(block.time[row]),
        block.octets[start : start + size].tobytes(),
        int(block.length[row]),
    )


def _put_together(
    path: str,
    ports: frozenset[int],
    scattered: Mapping[int, Wanted],
    watch: Watch,
    kept: Mapping[int, CutPacket],
) -> dict[int, CutPacket]:
    """Read the capture again for the packets of messages that came in several."""
    from forensics.capture.readers import open_capture

    pieces = Pieces(scattered)
    capture = open_capture(path, 0, ports)
    capture.facts.watch = Watch(frozenset(), pieces=pieces)
    try:
        latest = max(one.time for one in scattered.values()) + STREAM_TIMEOUT
        for block in capture.blocks():
            if int(block.time.min()) > latest:
                break
    finally:
        capture.close()
    found: dict[int, CutPacket] = {}
    for frame in sorted(scattered):
        parts = pieces.of(frame)
        for part in parts:
            if part.frame == frame:
                found[frame] = watch.kept[frame]
            elif part.frame not in kept and part.frame not in found:
                found[part.frame] = CutPacket(
                    part.frame, part.time, part.link, part.octets, part.wire, part_of=frame
                )
    return found


def _rows(block: MessageBlock, wanted: frozenset[int]) -> list[int]:
    hits = np.isin(block.frame, np.fromiter(wanted, np.int64, len(wanted)))
    rows: list[int] = np.flatnonzero(hits).tolist()
    return rows


def _as_recorded(
    block: MessageBlock, row: int, watch: Watch, change: Change | None
) -> CutPacket | None:
    """The packet of a message: its own if that holds it, else one made around it."""
    start, size = int(block.start[row]), int(block.captured[row])
    message: bytes | None = block.octets[start : start + size].tobytes()
    source: bytes | None = block.source[row].tobytes()
    destination: bytes | None = block.destination[row].tobytes()
    frame = int(block.frame[row])
    own = watch.kept.get(frame)
    if change is not None:
        own = None
        message = change(b"", message or b"")
        source, destination = change(source or b"", b""), change(destination or b"", b"")
    if own is not None and message is not None and message in own.octets:
        return own
    if message is None or source is None or destination is None or size > _MOST:
        return own
    ports = int(block.source_port[row]), int(block.destination_port[row])
    if block.transport[row] == Transport.DOT:
        ports = tuple(53 if port == 853 else port for port in ports)  # type: ignore[assignment]
    octets = _packet(source, destination, *ports, message)
    return CutPacket(frame, int(block.time[row]), LINK_RAW, octets, len(octets), is_made=True)


def _packet(source: bytes, destination: bytes, from_port: int, to_port: int, body: bytes) -> bytes:
    """Put UDP and IP headers around a message (RFC 768, RFC 791, RFC 8200)."""
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
