"""The arrays that cross between capture/, transactions/ and evidence/: one row a DNS message."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class MessageBlock:
    """N DNS messages of one input, in file order, over one buffer of octets.

    Readers of packets and readers of dnstap both make these; no stage behind capture/ knows which.
    All arrays are C-contiguous and of length N. Addresses are 16 octets, IPv4 mapped into
    ::ffff:0:0/96.

    Attributes:
        octets: uint8 (writable), the buffer that `start` points into. Never kept after the block.
        start: int64, offset in `octets` of the message's first octet (the DNS header).
        captured: int32, octets of the message that the capture holds; start + captured stays
            within `octets`. At least 12 (a DNS header).
        length: int32, octets that the message had on the wire; at least `captured`, but for one
            rebuilt from a log: there what the log tells. or less where
            the message was rebuilt from a log without its compression.
        time: int64, ns since 1970 UTC.
        frame: int64, number of the packet or dnstap frame in its file, from 1.
        source, destination: uint8 (N, 16).
        source_port, destination_port: uint16.
        transport: uint8, vocabulary.Transport.
        kind: uint8, 0 for packets, else the dnstap Message.Type.
        identity: int32, index into `identities`; -1: none.
        other_time: int64, the second time of a dnstap message (of a response: when its query was
            sent; of a query: 0); 0: none.
        flags: uint8, vocabulary.MessageFlag.
        capture: number of the input; of a block merged out of several, of its first message's.
        identities: dnstap identities of this input so far.
        captures: uint16, number of the input of each message; unless given, all are of `capture`.
    """

    octets: NDArray[np.uint8]
    start: NDArray[np.int64]
    captured: NDArray[np.int32]
    length: NDArray[np.int32]
    time: NDArray[np.int64]
    frame: NDArray[np.int64]
    source: NDArray[np.uint8]
    destination: NDArray[np.uint8]
    source_port: NDArray[np.uint16]
    destination_port: NDArray[np.uint16]
    transport: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    identity: NDArray[np.int32]
    other_time: NDArray[np.int64]
    flags: NDArray[np.uint8]
    capture: int
    identities: list[str] = field(default_factory=list)
    captures: NDArray[np.uint16] = field(default_factory=lambda: np.empty(0, np.uint16))

    def __post_init__(self) -> None:
        """Fill in what is the same for all messages of one input."""
        if len(self.captures) != len(self.start):
            self.captures = np.full(len(self.start), self.capture, np.uint16)

    def taken(self, rows: NDArray[Any]) -> MessageBlock:
        """Some of the messages, by a mask or by their indices, over the same octets."""
        whole = ("octets", "capture", "identities")
        return MessageBlock(
            **{
                column.name: getattr(self, column.name)
                if column.name in whole
                else getattr(self, column.name)[rows]
                for column in fields(self)
            }
        )

    def __len__(self) -> int:
        """Return N."""
        return len(self.start)


@dataclass(slots=True)
class Parsed:
    """What `wire.message.parse` reads of each of N messages; arrays of length N.

    Attributes:
        ordinal: int64, running number of the message in the whole run, from 0.
        id, header_flags: uint16, the first two words of the header (RFC 1035 4.1.1).
        questions, answers, authorities, additionals: uint16, the counts.
        name_start: int64, offset in the block's octets of the first question's name; -1: none or
            not readable (the name is never compressed there, else -1).
        name_length: int32, octets of that name on the wire, root label included; 0: none.
        qtype, qclass: uint16; 0 without question.
        name_hash: uint64, of the lower-cased wire name (0x20 casing never splits a name).
        rcode: uint16, with OPT's upper bits.
        edns_size: int32, of OPT; -1: no OPT.
        dnssec_ok: bool, of OPT.
        ede: int32, first EDE info code; -1: none. ede_start int64, ede_length int32: EXTRA-TEXT.
        nsid_start: int64, nsid_length: int32; -1 and 0: none.
        signatures: uint16, RRSIG records in answer and authority.
        keys: uint16, DNSKEY, DS, CDS, CDNSKEY records in answer and authority.
        serial: uint32, of the first SOA in answer or authority; 0: none.
        whole: bool, every record of all sections could be walked within the captured octets.
        place: uint32, of the responder, for responses (number in the run's table of places).
        transaction: int64, number of the transaction the message belongs to.
        state: uint8, vocabulary.Pairing of the message's transaction as known when the message was
            read, in file order, so that where blocks end changes nothing: of a query that still
            waits UNANSWERED, of a response that precedes its query in the file UNSOLICITED.
        do_known, do_asked: bool, for responses: the query is known, and had DO.
    """

    ordinal: NDArray[np.int64]
    id: NDArray[np.uint16]
    header_flags: NDArray[np.uint16]
    questions: NDArray[np.uint16]
    answers: NDArray[np.uint16]
    authorities: NDArray[np.uint16]
    additionals: NDArray[np.uint16]
    name_start: NDArray[np.int64]
    name_length: NDArray[np.int32]
    qtype: NDArray[np.uint16]
    qclass: NDArray[np.uint16]
    name_hash: NDArray[np.uint64]
    rcode: NDArray[np.uint16]
    edns_size: NDArray[np.int32]
    dnssec_ok: NDArray[np.bool_]
    ede: NDArray[np.int32]
    ede_start: NDArray[np.int64]
    ede_length: NDArray[np.int32]
    nsid_start: NDArray[np.int64]
    nsid_length: NDArray[np.int32]
    signatures: NDArray[np.uint16]
    keys: NDArray[np.uint16]
    serial: NDArray[np.uint32]
    whole: NDArray[np.bool_]
    place: NDArray[np.uint32]
    transaction: NDArray[np.int64]
    state: NDArray[np.uint8]
    do_known: NDArray[np.bool_]
    do_asked: NDArray[np.bool_]
