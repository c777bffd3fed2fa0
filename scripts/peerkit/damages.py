"""The damages: each is done to a classic pcap file of whole packets, a third of the way into it."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from mutantkit.records import Record, Tape, file_of

ETHERNET, IPV4 = 14, 20
QUESTION = 12
"""Octet of a DNS message where its question begins."""


@dataclass(frozen=True)
class Damage:
    """One damage.

    Attributes:
        name: for the table.
        make: from a tape to a file's octets.
    """

    name: str
    make: Callable[[Tape], bytes]


def _at(tape: Tape) -> int:
    """A response over UDP and IPv4 a third of the way into the capture."""
    for number in range(len(tape.records) // 3, len(tape.records)):
        data = tape.records[number].data
        if data[12:14] == b"\x08\x00" and data[23] == 17 and data[34:36] == b"\x00\x35":
            return number
    raise ValueError("no response over UDP and IPv4 in the last two thirds")


def _with(tape: Tape, change: Callable[[bytearray], None]) -> bytes:
    """Change the octets of one packet."""
    records, at = list(tape.records), _at(tape)
    data = bytearray(records[at].data)
    change(data)
    records[at] = replace(records[at], data=bytes(data))
    return file_of(tape.header, tape.order, records)


def _split(tape: Tape) -> tuple[bytes, bytes]:
    """The file's octets before and behind the place."""
    at = _at(tape)
    return (
        file_of(tape.header, tape.order, tape.records[:at]),
        file_of(b"", tape.order, tape.records[at:]),
    )


def whole(tape: Tape) -> bytes:
    """Nothing is wrong."""
    return file_of(tape.header, tape.order, tape.records)


def ends_early(tape: Tape) -> bytes:
    """The recorder was killed within a record."""
    return whole(tape)[:-17]


def rubbish(tape: Tape) -> bytes:
    """Octets that belong to nothing, between two records."""
    before, behind = _split(tape)
    return before + bytes(range(100, 150)) + behind


def zeros(tape: Tape) -> bytes:
    """A page of the disk was never written."""
    before, behind = _split(tape)
    return before + bytes(4096) + behind[4096:]


def length_of(value: int) -> Callable[[Tape], bytes]:
    """A record that says it is so long."""

    def make(tape: Tape) -> bytes:
        before, behind = _split(tape)
        changed = bytearray(behind)
        struct.pack_into(f"{tape.order}I", changed, 8, value)
        return before + bytes(changed)

    return make


def one_longer(tape: Tape) -> bytes:
    """A record that says it is one octet longer than it is."""
    return length_of(len(tape.records[_at(tape)].data) + 1)(tape)


def clock_back(tape: Tape) -> bytes:
    """The recorder's clock is set back by a day."""
    at = _at(tape)
    later = [one.later(-86_400) for one in tape.records[at:]]
    return file_of(tape.header, tape.order, [*tape.records[:at], *later])


def short_snaplen(tape: Tape) -> bytes:
    """Every packet is cut at 68 octets, as old recorders did."""
    cut: list[Record] = [replace(one, data=one.data[:68]) for one in tape.records]
    return file_of(tape.header, tape.order, cut)


def ip_length(tape: Tape) -> bytes:
    """An IP header that says the packet is 65,535 octets long."""
    return _with(tape, lambda data: struct.pack_into(">H", data, ETHERNET + 2, 65_535))


def udp_length(tape: Tape) -> bytes:
    """A UDP header that says the datagram is 3 octets long."""
    return _with(tape, lambda data: struct.pack_into(">H", data, ETHERNET + IPV4 + 4, 3))


def pointer_loop(tape: Tape) -> bytes:
    """A question whose name is a pointer to itself."""
    start = ETHERNET + IPV4 + 8 + QUESTION
    return _with(tape, lambda data: struct.pack_into(">H", data, start, 0xC000 | QUESTION))


def many_records(tape: Tape) -> bytes:
    """A header that counts 65,535 records in each section."""
    return _with(
        tape, lambda data: struct.pack_into(">HHH", data, ETHERNET + IPV4 + 8 + 6, *[65_535] * 3)
    )


DAMAGES: tuple[Damage, ...] = (
    Damage("none", whole),
    Damage("the file ends within a record", ends_early),
    Damage("50 octets of rubbish between records", rubbish),
    Damage("4,096 zeros over the records", zeros),
    Damage("a record of 4 GB", length_of(0xFFFF_FFFF)),
    Damage("a record of 0 octets", length_of(0)),
    Damage("a record one octet too long", one_longer),
    Damage("the clock goes back a day", clock_back),
    Damage("every packet cut at 68 octets", short_snaplen),
    Damage("IP length 65,535", ip_length),
    Damage("UDP length 3", udp_length),
    Damage("a compression pointer to itself", pointer_loop),
    Damage("65,535 records in each section", many_records),
)
