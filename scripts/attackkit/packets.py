"""Packets and DNS messages by hand: fast, and as wrong as an attack needs them."""

import struct
from collections.abc import Iterable

PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 101)
"""Classic pcap of raw IP packets, microseconds."""
START = 1_780_000_000
"""Seconds since 1970 of the first packet."""
RRSIG, DNSKEY, NSEC3 = 46, 48, 50


def record(packet: bytes, microseconds: int) -> bytes:
    """A pcap record, so long after START."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return struct.pack("<IIII", START + seconds, rest, len(packet), len(packet)) + packet


def ip(source: int, destination: int, protocol: int, payload: bytes, *, fragment: int = 0) -> bytes:
    """An IPv4 packet. `fragment` is the flags and offset field; its id is made from the source."""
    head = struct.pack(
        ">BBHHHBBHII", 0x45, 0, 20 + len(payload), (source * 7) & 0xFFFF, fragment, 64, protocol, 0,
        source, destination,
    )  # fmt: skip
    return head + payload


def udp(source: int, port: int, destination: int, to: int, payload: bytes) -> bytes:
    """An IPv4 packet with a UDP datagram."""
    return ip(
        source, destination, 17, struct.pack(">HHHH", port, to, 8 + len(payload), 0) + payload
    )


def tcp(
    source: int, port: int, destination: int, to: int, sequence: int, flags: int, payload: bytes
) -> bytes:
    """An IPv4 packet with a TCP segment."""
    head = struct.pack(">HHIIBBHHH", port, to, sequence & 0xFFFF_FFFF, 1, 0x50, flags, 65_535, 0, 0)
    return ip(source, destination, 6, head + payload)


def name(*labels: bytes) -> bytes:
    """A name in wire form."""
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def query(number: int, owner: bytes, kind: int = 1) -> bytes:
    """A query with DO."""
    question = owner + struct.pack(">HH", kind, 1)
    opt = b"\0" + struct.pack(">HHIH", 41, 1232, 0x8000, 0)
    return struct.pack(">HHHHHH", number & 0xFFFF, 0x0100, 1, 0, 0, 1) + question + opt


def response(
    number: int,
    owner: bytes,
    kind: int,
    answers: Iterable[bytes],
    authorities: Iterable[bytes] = (),
    code: int = 0,
) -> bytes:
    """A response of an authority."""
    answer, authority = list(answers), list(authorities)
    head = struct.pack(">HHHHHH", number & 0xFFFF, 0x8500 | code, 1, len(answer), len(authority), 1)
    opt = b"\0" + struct.pack(">HHIH", 41, 1232, 0x8000, 0)
    question = owner + struct.pack(">HH", kind, 1)
    return head + question + b"".join(answer) + b"".join(authority) + opt


def record_of(owner: bytes, kind: int, rdata: bytes, ttl: int = 300) -> bytes:
    """A resource record of class IN."""
    return owner + struct.pack(">HHIH", kind, 1, ttl, len(rdata)) + rdata


def rrsig(covered: int, labels: int, tag: int, signer: bytes, signature: bytes) -> bytes:
    """RDATA of an RRSIG of algorithm 13 that is in force at START."""
    times = (START + 864_000, START - 864_000)
    return struct.pack(">HBBIIIH", covered, 13, labels, 300, *times, tag) + signer + signature


def colliding_key(number: int, tag: int) -> bytes:
    """RDATA of a DNSKEY (algorithm 13) with this key tag, other octets for each number."""
    head = struct.pack(">HBB", 257, 3, 13) + number.to_bytes(4, "big") + b"\x11" * 58
    total = sum(int.from_bytes(head[at : at + 2], "big") for at in range(0, len(head), 2))
    for last in range(0x1_0000):
        whole = total + last
        if (whole + (whole >> 16)) & 0xFFFF == tag:
            return head + last.to_bytes(2, "big")
    raise ValueError("no last octets give this tag")
