"""Read chosen frames of a capture again, as packets that Wireshark opens.

A frame that holds its message whole is given as it was recorded, and so are all the fragments or
segments of a message that came in several packets. A message without packets (of a dnstap frame)
gets one made around it, with the addresses and ports as recorded, which says so. The port of
DNS over TLS becomes 53 there, for what is decrypted is plain DNS.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from forensics.capture.pieces import Piece, Pieces, Wanted
from forensics.capture.wrapping import wrapped
from forensics.limits import STREAM_TIMEOUT
from forensics.vocabulary import Transport
from forensics.wire.blocks import MessageBlock

if TYPE_CHECKING:
    from forensics.capture.packets import Packets
    from forensics.capture.tls_secrets import Secrets

LINK_RAW: Final = 101
"""LINKTYPE_RAW: a packet begins with its IP header."""

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
        part_of: the other wanted frames whose messages it helps to make up.
    """

    frame: int
    time: int
    link: int
    octets: bytes
    wire: int
    is_made: bool = False
    part_of: tuple[int, ...] = ()


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

    With a frame come the other packets of which its messages were put together. A frame of which
    messages cannot be read from packets (they were encrypted, or were no packets) gets a packet
    made for each of those, all with its number.

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
    capture = open_capture(path, 0, ports, secrets=secrets)
    watch = Watch(wanted)
    capture.facts.watch = watch
    recorded: dict[int, CutPacket] = {} if change else watch.kept
    found: dict[int, _Found] = {}
    last = max(wanted, default=0)
    try:
        for block in capture.blocks():
            for row in _rows(block, wanted):
                frame = int(block.frame[row])
                _note(_wanted(block, row), recorded, found.setdefault(frame, _Found()), change)
            if len(block) and int(block.frame.min()) > last:
                break
    finally:
        capture.close()
    scattered = {frame: one.scattered for frame, one in found.items() if one.scattered}
    pieces = _pieces(path, ports, scattered) if scattered else None
    return _chosen(recorded, found, pieces)


@dataclass(slots=True)
class _Found:
    """What is known of the messages of a wanted frame.

    Attributes:
        made: the packets made around its messages that its own packet does not hold, by message.
        scattered: those of them that other packets may hold parts of.
        is_whole: its own packet holds some message.
    """

    made: dict[Wanted, CutPacket] = field(default_factory=dict)
    scattered: list[Wanted] = field(default_factory=list)
    is_whole: bool = False


def _note(
    one: Wanted, recorded: Mapping[int, CutPacket], found: _Found, change: Change | None
) -> None:
    """Find out whether a message stands in the packet of its frame; if not, make one around it."""
    own = recorded.get(one.frame)
    if own is not None:
        if one.as_sent() in own.octets:
            found.is_whole = True
            return
        found.scattered.append(one)
    made = _made(one, change)
    if made is not None:
        found.made[one] = made


def _chosen(
    recorded: Mapping[int, CutPacket], found: Mapping[int, _Found], pieces: Pieces | None
) -> list[CutPacket]:
    """Decide between recorded packets and made ones, and add the pieces of messages.

    A recorded packet is left out only where every message of its frame had to be made.
    """
    packets = {frame: [one] for frame, one in recorded.items()}
    parts: dict[int, tuple[Piece, set[int]]] = {}
    for frame, one in sorted(found.items()):
        lost = one.made
        if one.scattered and pieces is not None:
            held, gone = pieces.of(frame)
            lost = {message: one.made[message] for message in gone if message in one.made}
            for piece in held:
                if piece.frame != frame:
                    parts.setdefault(piece.frame, (piece, set()))[1].add(frame)
            if lost and not held and not one.is_whole:
                packets.pop(frame, None)
        packets.setdefault(frame, []).extend(lost.values())
    for frame, (piece, helped) in parts.items():
        packet = CutPacket(frame, piece.time, piece.link, piece.octets, piece.wire)
        here = packets.setdefault(frame, [])
        if here and not here[0].is_made:
            packet = here.pop(0)
        here.insert(0, replace(packet, part_of=tuple(sorted(helped))))
    return [one for frame in sorted(packets) for one in packets[frame]]


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


def _pieces(path: str, ports: frozenset[int], scattered: Mapping[int, list[Wanted]]) -> Pieces:
    """Read the capture again for the packets of messages that came in several."""
    from forensics.capture.readers import open_capture

    pieces = Pieces(scattered)
    capture = open_capture(path, 0, ports)
    capture.facts.watch = Watch(frozenset(), pieces=pieces)
    try:
        latest = max(one.time for many in scattered.values() for one in many) + STREAM_TIMEOUT
        for block in capture.blocks():
            if int(block.time.min()) > latest:
                break
    finally:
        capture.close()
    return pieces


def _rows(block: MessageBlock, wanted: frozenset[int]) -> list[int]:
    hits = np.isin(block.frame, np.fromiter(wanted, np.int64, len(wanted)))
    rows: list[int] = np.flatnonzero(hits).tolist()
    return rows


def _made(one: Wanted, change: Change | None) -> CutPacket | None:
    """Make a packet around a message; None: it may not be written, or fits into none."""
    message: bytes | None = one.octets
    source: bytes | None = one.source
    destination: bytes | None = one.destination
    if change is not None:
        message = change(b"", one.octets)
        source, destination = change(one.source, b""), change(one.destination, b"")
    if message is None or source is None or destination is None or len(message) > _MOST:
        return None
    ports = [one.source_port, one.destination_port]
    if one.transport == Transport.DOT:
        ports = [53 if port == 853 else port for port in ports]
    octets = wrapped(source, destination, ports[0], ports[1], message)
    return CutPacket(one.frame, one.time, LINK_RAW, octets, len(octets), is_made=True)
