"""Open any capture: its format is told by its first octets, never by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from forensics import limits
from forensics.capture import pcap
from forensics.capture.containers import STANDARD_INPUT, Stream
from forensics.capture.facts import CaptureFacts, captures_table, losses_table
from forensics.errors import UnknownFormat
from forensics.wire.blocks import MessageBlock

__all__ = [
    "READERS",
    "Capture",
    "CaptureFacts",
    "captures_table",
    "first_time",
    "losses_table",
    "open_capture",
]


class Reader(Protocol):
    """A module that reads one format."""

    NAME: str

    def sniff(self, head: bytes) -> bool:
        """Whether the input that begins with `head` is of this format."""

    def blocks(
        self, stream: Stream, facts: CaptureFacts, ports: frozenset[int]
    ) -> Iterator[MessageBlock]:
        """Yield a block for each window, perhaps an empty one, and fill `facts`."""


READERS: Final[tuple[Reader, ...]] = (pcap,)


class Capture:
    """One input, opened: its facts, and its messages once.

    Attributes:
        facts: complete once `blocks` is exhausted.
    """

    def __init__(self, stream: Stream, reader: Reader, number: int, ports: frozenset[int]) -> None:
        compression = f"+{stream.compression}" if stream.compression else ""
        self.facts = CaptureFacts(stream.path, number, reader.NAME + compression)
        self._stream = stream
        self._reader = reader
        self._ports = ports

    def blocks(self) -> Iterator[MessageBlock]:
        """Yield the messages in file order, in blocks of at least one; to be called once."""
        try:
            for block in self._windows():
                if len(block):
                    yield block
            self._complete()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the file; not needed after `blocks` is exhausted."""
        self._stream.close()

    def _windows(self) -> Iterator[MessageBlock]:
        return self._reader.blocks(self._stream, self.facts, self._ports)

    def _complete(self) -> None:
        facts, stream = self.facts, self._stream
        facts.sha256 = stream.finish()
        facts.octets = stream.stored_octets
        if stream.problem is not None:
            facts.losses.add(
                stream.problem.reason,
                offset=stream.problem.offset,
                frame=facts.packets + 1,
                detail=stream.problem.detail,
            )


def open_capture(
    path: str,
    number: int,
    ports: frozenset[int] = frozenset(),
    block_octets: int = limits.BLOCK_OCTETS,
) -> Capture:
    """Open `path` (`-`: standard input) as input `number`; `ports` carry DNS besides 53.

    Raises:
        Unreadable: missing, a directory, no permission.
        EmptyInput: no octets at all.
        UnknownFormat: the content is of no format that a reader knows.
    """
    stream = Stream(path, block_octets)
    head = stream.octets[: limits.HEAD_OCTETS].tobytes()
    for reader in READERS:
        if reader.sniff(head):
            return Capture(stream, reader, number, ports)
    stream.close()
    raise UnknownFormat(path, 0, _reason(head))


def first_time(path: str) -> int | None:
    """Time of the first packet near the start of a file, ns; None: none found, or not a file.

    Reads little, so that inputs can be put in order before they are read.

    Raises:
        InputError: as `open_capture`.
    """
    if path == STANDARD_INPUT:
        return None
    capture = open_capture(path, 0, block_octets=limits.HEAD_OCTETS)
    try:
        for _ in capture._windows():  # noqa: SLF001
            if capture.facts.first is not None:
                break
    finally:
        capture.close()
    return capture.facts.first


def _reason(head: bytes) -> str:
    """Say what the unknown content may be."""
    known = ", ".join(reader.NAME for reader in READERS)
    shown = head[:8].hex(" ")
    return f"unknown format (first octets {shown}); known are {known}"
