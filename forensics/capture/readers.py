"""Open any capture: its format is told by its first octets, never by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from forensics import limits
from forensics.capture import cdns, dnstap, pcap, pcapng, powerdns
from forensics.capture.containers import STANDARD_INPUT, Stream
from forensics.capture.facts import CaptureFacts, captures_table, losses_table
from forensics.capture.reassembly import Reassembly
from forensics.capture.tls_secrets import Secrets
from forensics.errors import UnknownFormat
from forensics.wire.blocks import MessageBlock

__all__ = [
    "READERS",
    "Capture",
    "CaptureFacts",
    "Reassembly",
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
        self, stream: Stream, facts: CaptureFacts, reassembly: Reassembly
    ) -> Iterator[MessageBlock]:
        """Yield a block for each window, perhaps an empty one, and fill `facts`."""


READERS: Final[tuple[Reader, ...]] = (pcap, pcapng, dnstap, cdns, powerdns)


class Capture:
    """One input, opened: its facts, and its messages once.

    Attributes:
        facts: complete once `blocks` is exhausted.
    """

    def __init__(
        self,
        stream: Stream,
        reader: Reader,
        number: int,
        ports: frozenset[int],
        reassembly: Reassembly | None,
        secrets: Secrets | None = None,
    ) -> None:
        compression = f"+{stream.compression}" if stream.compression else ""
        self.facts = CaptureFacts(stream.path, number, reader.NAME + compression)
        self._stream = stream
        self._reader = reader
        self._reassembly = reassembly or Reassembly(ports, secrets)
        self._alone = reassembly is None

    def blocks(self) -> Iterator[MessageBlock]:
        """Yield the messages in capture order, in blocks of at least one; to be called once."""
        try:
            for block in self._windows():
                if len(block):
                    yield block
            if self._alone:
                yield from self._reassembly.finish()
            self._complete()
            self._reassembly.ended(self.facts)
        finally:
            self.close()

    @property
    def base(self) -> int:
        """Offset of the window at hand in the decompressed input."""
        return self._stream.base

    def close(self) -> None:
        """Let go of the file; not needed after `blocks` is exhausted."""
        self._stream.close()

    def _windows(self) -> Iterator[MessageBlock]:
        return self._reader.blocks(self._stream, self.facts, self._reassembly)

    def _complete(self) -> None:
        facts, stream = self.facts, self._stream
        rest = stream.drain()
        if facts.stopped_by is not None:
            facts.losses.add(facts.stopped_by, count=0, octets=rest, offset=0, frame=0)
        if facts.ledger is not None:
            facts.ledger.content = stream.base
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
    reassembly: Reassembly | None = None,
    secrets: Secrets | None = None,
    *,
    hashed: bool = True,
) -> Capture:
    """Open `path` (`-`: standard input) as input `number`; `ports` carry DNS besides 53.

    Fragments and streams go on from one capture to the next that is opened with the same
    `reassembly`, which knows the ports and secrets then; without one, they end with this capture.
    `secrets` open TLS connections, besides those that the capture brings. Without `hashed` the
    facts name no SHA-256.

    Raises:
        Unreadable: missing, a directory, no permission.
        EmptyInput: no octets at all.
        UnknownFormat: the content is of no format that a reader knows.
    """
    stream = Stream(path, block_octets, hashed=hashed)
    head = stream.octets[: limits.HEAD_OCTETS].tobytes()
    for reader in READERS:
        if reader.sniff(head):
            return Capture(stream, reader, number, ports, reassembly, secrets)
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
    capture = open_capture(path, 0, block_octets=limits.HEAD_OCTETS, hashed=False)
    try:
        for _ in capture._windows():  # noqa: SLF001
            if capture.facts.first is not None:
                break
    finally:
        capture.close()
    return capture.facts.first


_OTHER_FORMATS: Final = (
    (b"snoop\0\0\0", "this is snoop; convert it with `editcap -F pcapng`"),
    (b"PK\3\4", "this is a ZIP archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "this is a 7-Zip archive; unpack it first"),
    (b"PAR1", "this is Parquet; name its folder as a dataset"),
    (b"\x83hDNS-STAT", "this is a C-DNS draft of 2016; rewrite it with inspector and compactor"),
)
"""Formats that users are likely to try, by their first octets."""


def _reason(head: bytes) -> str:
    """Say in one line what the unknown content may be."""
    for magic, sentence in _OTHER_FORMATS:
        if head.startswith(magic):
            return sentence
    if head[:4] == bytes(4) and head[8:12] in {b"\0\0\0\2", b"\0\0\0\4"}:
        return "Frame Streams whose content is not protobuf:dnstap.Dnstap"
    if _is_bare_dnstap(head):
        return "a dnstap message without Frame Streams around it: record with fstrm_capture"
    known = ", ".join(reader.NAME for reader in READERS)
    return f"unknown format (first octets {head[:8].hex(' ')}); known are {known}"


def _is_bare_dnstap(head: bytes) -> bool:
    """Whether `head` begins with octet fields of a Dnstap protobuf up to its field message."""
    at = 0
    while at + 2 <= len(head):
        tag, size = head[at], head[at + 1]
        if tag == 14 << 3 | 2:
            return True
        # Fields identity, version and extra; their lengths are below 128 in practice.
        if tag not in {0x0A, 0x12, 0x1A} or size > 127:
            return False
        at += 2 + size
    return False
