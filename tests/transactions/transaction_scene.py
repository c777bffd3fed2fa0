"""Small exchanges written down by hand, and the block of messages that they make."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

import dns.flags
import dns.message
import numpy as np

from forensics.limits import SECOND
from forensics.transactions.columns import to_arrow
from forensics.transactions.match import Matcher
from forensics.transactions.places import packed, places
from forensics.vocabulary import Role
from forensics.wire.blocks import MessageBlock
from forensics.wire.message import parse

START = 1_700_000_000 * SECOND


@dataclass(frozen=True)
class Sent:
    """One message: `at` ns after START; a response goes from server to client."""

    at: int
    response: bool = False
    id: int = 1
    name: str = "example."
    qtype: str = "A"
    client: str = "192.0.2.7"
    server: str = "198.51.100.53"
    port: int = 40_000
    transport: int = 0
    flags: int = 0
    kind: int = 0
    identity: int = -1
    other: int = 0
    question: bool = True
    nsid: bytes = b""
    dnssec: bool = False

    def wire(self) -> bytes:
        message = dns.message.make_query(self.name, self.qtype)
        message.id = self.id
        if self.nsid or self.dnssec:
            message.use_edns(0, dns.flags.DO if self.dnssec else 0, 1232)
            if self.nsid:
                message.use_edns(0, 0, 1232, options=[dns.edns.NSIDOption(self.nsid)])
        if self.response:
            message.flags |= dns.flags.QR
        message.flags |= self.flags
        if not self.question:
            message.question = []
        return message.to_wire()

    def answer(self, after: int, **changes: object) -> Sent:
        return replace(self, at=self.at + after, response=True, **changes)


def block_of(sent: list[Sent], capture: int = 0, identities: list[str] | None = None):
    wires = [one.wire() for one in sent]
    sizes = np.array([len(wire) for wire in wires], np.int32)
    ends = [
        [packed(one.server), packed(one.client)]
        if one.response
        else [packed(one.client), packed(one.server)]
        for one in sent
    ]

    def addresses(side: int):
        joined = bytearray(b"".join(pair[side] for pair in ends))
        return np.frombuffer(joined, np.uint8).reshape(len(sent), 16)

    ports = np.array([one.port for one in sent], np.uint16)
    fixed = np.full(len(sent), 53, np.uint16)
    responses = np.array([one.response for one in sent], bool)
    return MessageBlock(
        octets=np.frombuffer(bytearray(b"".join(wires)) or bytearray(1), np.uint8),
        start=np.cumsum(sizes.astype(np.int64)) - sizes,
        captured=sizes,
        length=sizes.copy(),
        time=np.array([START + one.at for one in sent], np.int64),
        frame=np.arange(1, len(sent) + 1, dtype=np.int64),
        source=addresses(0),
        destination=addresses(1),
        source_port=np.where(responses, fixed, ports),
        destination_port=np.where(responses, ports, fixed),
        transport=np.array([one.transport for one in sent], np.uint8),
        kind=np.array([one.kind for one in sent], np.uint8),
        identity=np.array([one.identity for one in sent], np.int32),
        other_time=np.array([START + one.other if one.other else 0 for one in sent], np.int64),
        flags=np.zeros(len(sent), np.uint8),
        capture=capture,
        identities=identities or [],
    )


def sliced(block: MessageBlock, low: int, high: int) -> MessageBlock:
    """The messages `low` to `high` as a block of their own, frames as they were."""
    whole = ("octets", "capture", "identities")
    return MessageBlock(
        **{
            name: getattr(block, name) if name in whole else getattr(block, name)[low:high].copy()
            for name in MessageBlock.__slots__
        }
    )


def run(blocks, *, row_limit: int | None = None, servers=(), resolvers=()):
    """Match blocks; give the rows as dicts, the parsed columns of each block, and the matcher."""
    matcher = Matcher(places(servers, resolvers))
    if row_limit is not None:
        matcher.limit_rows(row_limit)
    named = {packed(one): Role.SERVER for one in servers}
    named |= {packed(one): Role.RESOLVER for one in resolvers}
    rows, columns, ordinal = [], [], 0
    for block in blocks:
        parsed = parse(block, ordinal)
        for batch in matcher.match(block, parsed):
            rows += to_arrow(batch, named)[0].to_pylist()
            matcher.reuse(batch)
        columns.append(parsed)
        ordinal += len(block)
    rows += to_arrow(matcher.finish(), named)[0].to_pylist()
    return rows, columns, matcher


def readable(address: str) -> str:
    return str(ipaddress.ip_address(address))
