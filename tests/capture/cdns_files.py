"""An exporter of C-DNS (RFC 8618) for tests: dnspython takes messages apart, cbor2 writes them."""

from __future__ import annotations

import ipaddress
import warnings
from dataclasses import dataclass, field

import dns.flags
import dns.message

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import cbor2

from capture_files import T0

ALL_TYPES = [*range(1, 66), 99, *range(100, 110), *range(249, 258), 32768, 32769]
QR_HINTS, SIGNATURE_HINTS = 0x3FFFF, 0x1FFFF
CLIENT, SERVER = "192.0.2.1", "198.51.100.2"


@dataclass
class Exchange:
    """A query in wire form with its response, or either alone."""

    query: bytes | None = None
    response: bytes | None = None
    time: int = T0
    delay: int = 3_000_000
    client: str = CLIENT
    server: str = SERVER
    client_port: int = 40000
    server_port: int = 53
    transport: int = 0
    kind: int | None = None


@dataclass
class Exporter:
    """What of a message is written, and how."""

    ticks: int = 10**9
    hints: int = QR_HINTS
    types: list[int] | None = field(default_factory=lambda: ALL_TYPES)
    without_item: frozenset[int] = frozenset()
    without_signature: frozenset[int] = frozenset()
    without_record: frozenset[int] = frozenset()
    prefixes: dict[int, int] = field(default_factory=dict)
    """octets kept of addresses of 4 and 16 octets"""
    version: int = 1

    def file(self, *blocks):
        """A file of blocks that `block` made."""
        return cbor2.dumps(["C-DNS", self.preamble(), list(blocks)])

    def preamble(self):
        storage = {
            0: self.ticks,
            1: 5000,
            2: {0: self.hints, 1: SIGNATURE_HINTS, 2: 3, 3: 3},
            3: [0, 4, 5],
            4: self.types or [],
        }
        return {0: self.version, 1: 0, 2: 4, 3: [{0: storage, 1: {0: 5000, -1: 53, 7: "ip"}}]}

    def block(self, exchanges, malformed=()):
        """One block of exchanges, and of (time, client, port, server, payload)."""
        tables = _Tables(self)
        base = min([one.time for one in exchanges] + [one[0] for one in malformed] + [T0])
        earliest = base - base % 10**9
        items = [self._item(tables, one, earliest) for one in exchanges]
        bad = []
        for time, client, port, server, payload in malformed:
            data = {0: tables.address(server), 1: 53, 2: 0, 3: payload}
            number = tables.number(8, data)
            bad.append({0: self._ticks(time - earliest), 1: tables.address(client), 2: port})
            bad[-1][3] = number
        block = {0: {0: [earliest // 10**9, 0], 1: 0}, 1: {0: 2 * len(items), -1: 0}}
        block[2] = {key: list(values) for key, values in tables.made.items() if values}
        if items:
            block[3] = items
        block[4] = [{0: 0, 2: 0, 3: 7}]
        if bad:
            block[5] = bad
        return block

    def _ticks(self, nanoseconds):
        return nanoseconds * self.ticks // 10**9

    def _item(self, tables, one, earliest):
        query = dns.message.from_wire(one.query) if one.query else None
        response = dns.message.from_wire(one.response) if one.response else None
        message = query or response
        flags = int(query is not None) | int(response is not None) << 1
        bits = 0
        for place, held in ((0, query), (8, response)):
            if held is not None:
                bits |= (int(held.flags) >> 4 & 0x7F) << place
        if query is not None:
            flags |= (query.edns >= 0) << 2 | (not query.question) << 4
            bits |= bool(query.ednsflags & dns.flags.DO) << 7
        if response is not None:
            flags |= (response.edns >= 0) << 3 | (not response.question) << 5
        signature = {
            0: tables.address(one.server),
            1: one.server_port,
            2: (":" in one.server) | one.transport << 1,
            4: flags,
            5: int(message.opcode()),
            6: bits,
        }
        if one.kind is not None:
            signature[3] = one.kind
        asked = (query.question or (response or query).question) if query else response.question
        item = {0: self._ticks(one.time - earliest), 1: tables.address(one.client)}
        item[2] = one.client_port
        item[3] = message.id
        if asked:
            signature[8] = tables.classtype(asked[0].rdtype, asked[0].rdclass)
            item[7] = tables.octets(asked[0].name.to_wire())
        if query is not None:
            signature[7] = int(query.rcode())
            signature |= {9: len(query.question), 10: 0, 11: 0, 12: int(query.edns >= 0)}
            if query.edns >= 0:
                signature[13], signature[14] = query.edns, query.payload
                signature[15] = tables.octets(_options(query))
            item[8] = len(one.query)
            item[11] = {}
        if response is not None:
            signature[16] = int(response.rcode())
            item[9] = len(one.response)
            item[12] = self._sections(tables, response)
        if query is not None and response is not None:
            item[6] = self._ticks(one.delay)
        item[5] = 64
        item[10] = {1: 0}
        for key in self.without_signature:
            signature.pop(key, None)
        item[4] = tables.number(3, signature)
        return {key: value for key, value in item.items() if key not in self.without_item}

    def _sections(self, tables, message):
        made = {}
        for key, section in ((1, message.answer), (2, message.authority), (3, message.additional)):
            rows = [
                self._record(tables, rrset.name, rrset.rdtype, rrset.rdclass, rrset.ttl, rdata)
                for rrset in section
                for rdata in (one.to_wire() for one in rrset)
                if self.types is None or rrset.rdtype in self.types
            ]
            if key == 3 and message.edns >= 0:
                extended = message.ednsflags | int(message.rcode()) >> 4 << 24
                place = dns.name.root, 41, message.payload, extended, _options(message)
                rows.append(self._record(tables, *place))
            if rows and self.hints >> (14 + key) & 1:
                made[key] = tables.number(6, rows)
        return made

    def _record(self, tables, name, kind, class_, ttl, rdata):
        record = {0: tables.octets(name.to_wire()), 1: tables.classtype(kind, class_), 2: ttl}
        record[3] = tables.octets(rdata)
        for key in self.without_record:
            del record[key]
        return tables.number(7, record)


class _Tables:
    """The tables of a block; equal entries are one."""

    def __init__(self, exporter):
        self.made = {key: [] for key in range(9)}
        self._prefixes = exporter.prefixes
        self._numbers = {}

    def number(self, table, entry):
        known = self._numbers.setdefault((table, repr(entry)), len(self.made[table]))
        if known == len(self.made[table]):
            self.made[table].append(entry)
        return known

    def address(self, text):
        packed = ipaddress.ip_address(text).packed
        return self.number(0, packed[: self._prefixes.get(len(packed), 16)])

    def classtype(self, kind, class_):
        return self.number(1, {0: int(kind), 1: int(class_)})

    def octets(self, value):
        return self.number(2, value)


def _options(message):
    """The RDATA of a message's OPT."""
    return b"".join(
        int(option.otype).to_bytes(2, "big") + len(wire).to_bytes(2, "big") + wire
        for option in message.options
        for wire in (option.to_wire(),)
    )


def indefinite(value):
    """CBOR in which every map and array is of indefinite length, as some exporters write it."""
    if isinstance(value, dict):
        inside = b"".join(indefinite(part) for pair in value.items() for part in pair)
        return b"\xbf" + inside + b"\xff"
    if isinstance(value, list):
        return b"\x9f" + b"".join(indefinite(part) for part in value) + b"\xff"
    return cbor2.dumps(value)
