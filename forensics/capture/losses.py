"""What a capture lost, and why: a closed list of reasons, counted per file.

Bad evidence is a row, never an exception. The first case of each reason keeps its offset and frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final


class Reason(IntEnum):
    """Codes that kernels return. Text form: `REASONS[code]`."""

    LINK_TYPE_UNKNOWN = 0
    INTERFACE_UNKNOWN = 1
    PACKET_LENGTH = 2
    PACKET_CUT = 3
    IP_MALFORMED = 4
    FRAGMENT_INCOMPLETE = 5
    UDP_MALFORMED = 6
    TCP_INCOMPLETE = 7
    MESSAGE_SHORT = 8
    MESSAGE_CUT = 9
    NO_TIMESTAMP = 10
    INTERFACE_LIMIT = 11
    RECORD_LENGTH = 12
    BLOCK_LENGTH = 13
    FRAME_LENGTH = 14
    CONTENT_TYPE = 15
    PROTOBUF_MALFORMED = 16
    IDENTITY_LIMIT = 17
    FILE_CUT = 18
    DECOMPRESSION_FAILED = 19
    DECOMPRESSION_LIMIT = 20
    READ_FAILED = 21
    EXPORTER_OMITTED = 22
    ITEM_INCOMPLETE = 23
    CBOR_MALFORMED = 24
    CBOR_LIMIT = 25
    TUNNEL_DEPTH = 26
    ENCAPSULATION_NOT_OPENED = 27
    LINK_ENCRYPTED = 28
    DNS_OVER_TLS = 29
    DNS_OVER_HTTPS = 30
    DNS_OVER_QUIC = 31
    DNSCRYPT = 32
    FRAGMENT_MALFORMED = 33
    FRAGMENT_OVERLAP = 34
    FRAGMENT_LIMIT = 35
    TCP_MALFORMED = 36
    TCP_GAP = 37
    TCP_OVERLAP = 38
    TCP_FRAMING = 39
    STREAM_LIMIT = 40
    STREAM_EVICTED = 41
    TLS_SUITE = 42
    TLS_INCOMPLETE = 43
    TLS_DAMAGED = 44
    TLS_SECRETS = 45


REASONS: Final = tuple(reason.name.lower().replace("_", "-") for reason in Reason)
"""The names of the reasons, as they stand in `losses.reason`."""

SENTENCES: Final = {
    Reason.LINK_TYPE_UNKNOWN: "no reader knows this link type",
    Reason.INTERFACE_UNKNOWN: "the packet names an interface that its section never described",
    Reason.PACKET_LENGTH: "the packet claims more octets than its block has",
    Reason.PACKET_CUT: "the capture ends within the packet's link, IP or transport header",
    Reason.IP_MALFORMED: "the IP header contradicts itself",
    Reason.FRAGMENT_INCOMPLETE: "a fragment of a datagram whose other pieces never came",
    Reason.UDP_MALFORMED: "the UDP length is impossible",
    Reason.TCP_INCOMPLETE: "a TCP segment of a message of which the capture lacks octets before it",
    Reason.MESSAGE_SHORT: "fewer than the 12 octets of a DNS header",
    Reason.MESSAGE_CUT: "the capture holds only the first octets of the DNS message",
    Reason.NO_TIMESTAMP: "the packet has no usable time: the time of the one before it is used",
    Reason.INTERFACE_LIMIT: "more interfaces in one section than are followed",
    Reason.RECORD_LENGTH: "an absurd record length",
    Reason.BLOCK_LENGTH: "a block whose two lengths are absurd or differ",
    Reason.FRAME_LENGTH: "an absurd frame length",
    Reason.CONTENT_TYPE: "Frame Streams content that is not dnstap",
    Reason.PROTOBUF_MALFORMED: "a frame that is no dnstap protobuf",
    Reason.IDENTITY_LIMIT: "more dnstap identities than are followed",
    Reason.FILE_CUT: "the file ends within a record",
    Reason.DECOMPRESSION_FAILED: "the compressed data is damaged or cut",
    Reason.DECOMPRESSION_LIMIT: "the data expands beyond the limit: a decompression bomb",
    Reason.READ_FAILED: "the system failed to read on",
    Reason.EXPORTER_OMITTED: "the exporter kept only a part of the message",
    Reason.ITEM_INCOMPLETE: "the exporter left out what no message can do without",
    Reason.CBOR_MALFORMED: "octets that are no C-DNS block",
    Reason.CBOR_LIMIT: "more in a C-DNS block than is read",
    Reason.TUNNEL_DEPTH: "more headers or tunnels within each other than are followed",
    Reason.ENCAPSULATION_NOT_OPENED: "an encapsulation that is recognised, but not opened",
    Reason.LINK_ENCRYPTED: "encrypted on the link (802.11, MACsec)",
    Reason.DNS_OVER_TLS: "DNS over TLS (TCP port 853): not readable without its keys",
    Reason.DNS_OVER_HTTPS: "a TLS connection to a public service of DNS over HTTPS",
    Reason.DNS_OVER_QUIC: "DNS over QUIC (UDP port 853): not readable",
    Reason.DNSCRYPT: "a DNSCrypt response: not readable",
    Reason.FRAGMENT_MALFORMED: "a fragment of impossible length or place",
    Reason.FRAGMENT_OVERLAP: "fragments overlap and differ: what came first was taken",
    Reason.FRAGMENT_LIMIT: "more datagrams in pieces at once than are followed",
    Reason.TCP_MALFORMED: "the TCP header contradicts itself",
    Reason.TCP_GAP: "octets of a TCP stream that the capture lacks",
    Reason.TCP_OVERLAP: "a TCP segment repeats octets and differs: what came first was taken",
    Reason.TCP_FRAMING: "TCP octets where the length of a DNS message should stand",
    Reason.STREAM_LIMIT: "a TCP segment out of order beyond what one stream may hold",
    Reason.STREAM_EVICTED: "a TCP stream given up early: too much was waiting for missing octets",
    Reason.TLS_SUITE: "DNS over TLS in a version, cipher suite or renegotiation that is not read",
    Reason.TLS_INCOMPLETE: "a TLS connection of which the capture lacks octets before it",
    Reason.TLS_DAMAGED: "octets of a TLS connection that its keys do not open",
    Reason.TLS_SECRETS: "a block of secrets that holds no key log, or more of it than is kept",
}
"""Each reason in plain words: the default `losses.detail`."""

NOTICES: Final = frozenset(
    {
        Reason.MESSAGE_CUT,
        Reason.NO_TIMESTAMP,
        Reason.IDENTITY_LIMIT,
        Reason.EXPORTER_OMITTED,
        Reason.FRAGMENT_OVERLAP,
        Reason.TCP_GAP,
        Reason.TCP_OVERLAP,
        Reason.STREAM_EVICTED,
        Reason.TLS_SECRETS,
    }
)
"""Reasons that count no packet: what they tell of is counted besides its packets' own fate."""

LOST_PACKETS: Final = frozenset(
    {
        Reason.LINK_TYPE_UNKNOWN,
        Reason.INTERFACE_UNKNOWN,
        Reason.PACKET_LENGTH,
        Reason.PACKET_CUT,
        Reason.IP_MALFORMED,
        Reason.FRAGMENT_INCOMPLETE,
        Reason.UDP_MALFORMED,
        Reason.TCP_INCOMPLETE,
        Reason.MESSAGE_SHORT,
        Reason.PROTOBUF_MALFORMED,
        Reason.FRAGMENT_MALFORMED,
        Reason.FRAGMENT_LIMIT,
        Reason.TCP_MALFORMED,
        Reason.TCP_FRAMING,
        Reason.STREAM_LIMIT,
        Reason.TUNNEL_DEPTH,
        Reason.ENCAPSULATION_NOT_OPENED,
        Reason.LINK_ENCRYPTED,
        Reason.DNS_OVER_TLS,
        Reason.TLS_SUITE,
        Reason.TLS_INCOMPLETE,
        Reason.TLS_DAMAGED,
        Reason.DNS_OVER_HTTPS,
        Reason.DNS_OVER_QUIC,
        Reason.DNSCRYPT,
    }
)
"""Reasons that count packets of which nothing is in a message. With those that carry messages,
the copies and the other traffic they make up all packets of an input."""


@dataclass(slots=True)
class Loss:
    """One reason in one file: a row of the losses table without its capture number."""

    reason: Reason
    count: int
    octets: int
    offset: int
    frame: int
    detail: str


class Losses:
    """The losses of one file by reason."""

    __slots__ = ("_by_reason",)

    def __init__(self) -> None:
        self._by_reason: dict[Reason, Loss] = {}

    def add(
        self,
        reason: Reason,
        *,
        offset: int,
        frame: int,
        count: int = 1,
        octets: int = 0,
        detail: str = "",
    ) -> None:
        """Count `count` cases; `offset`, `frame` and `detail` are those of the first of them."""
        known = self._by_reason.get(reason)
        if known is None:
            text = detail or SENTENCES[reason]
            self._by_reason[reason] = Loss(reason, count, octets, offset, frame, text)
        else:
            known.count += count
            known.octets += octets

    def rows(self) -> list[Loss]:
        """All losses, in the order of where they first happened."""
        return sorted(self._by_reason.values(), key=lambda loss: (loss.offset, loss.reason))

    @property
    def octets(self) -> int:
        """Octets of the input that were lost, for all reasons together.

        Those of notices are none: never captured, or of packets that met their own fate.
        """
        return sum(loss.octets for loss in self._by_reason.values() if loss.reason not in NOTICES)

    def as_dict(self) -> dict[str, int]:
        """Count by the reason's name, sorted by name: the form of report.json."""
        return dict(sorted((REASONS[row.reason], row.count) for row in self.rows() if row.count))

    def __len__(self) -> int:
        """Return how many reasons occurred."""
        return len(self._by_reason)


def new_tally() -> Any:
    """Make the array in which kernels count losses: int64 (reasons, 4).

    The columns are count, octets, and where the first case was: for packets its ordinal within
    the call, for frames their offset in the window and their number. -1: none.
    """
    import numpy as np

    tally = np.zeros((len(Reason), 4), dtype=np.int64)
    tally[:, 2:] = -1
    return tally
