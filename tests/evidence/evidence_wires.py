"""Messages written octet by octet, for the tests of the evidence stage."""

import random
import struct
from collections.abc import Iterable, Sequence

import dns.name

AA_RESPONSE = 0x8400
RRSIG = 46
ANSWER, AUTHORITY, ADDITIONAL = 1, 2, 3
Record = tuple[int, bytes, int, int, bytes]
"""Section, owner as encoded, type, TTL, RDATA as encoded."""

QNAME = b"\x03WWW\x07eXample\x04test\x00"
QNAME_POINTER = b"\xc0\x0c"
ZONE_POINTER = b"\xc0\x10"
"""To `eXample.test.` in the question."""
ZONE = b"\x07example\x04test\x00"
OWNER = b"\x03www\x07example\x04test\x00"


def wire(text: str) -> bytes:
    return dns.name.from_text(text).to_wire()


def message(
    records: Iterable[Record],
    *,
    flags: int = AA_RESPONSE,
    qname: bytes = QNAME,
    qtype: int = 1,
    qclass: int = 1,
) -> bytes:
    records = sorted(records, key=lambda record: record[0])
    counts = [sum(record[0] == section for record in records) for section in (1, 2, 3)]
    parts = [struct.pack("!6H", 7, flags, 1, *counts), qname, struct.pack("!2H", qtype, qclass)]
    for _, owner, kind, ttl, rdata in records:
        parts += [owner, struct.pack("!HHIH", kind, 1, ttl, len(rdata)), rdata]
    return b"".join(parts)


def rrsig_rdata(
    covered: int,
    *,
    labels: int = 3,
    ttl: int = 3600,
    signer: bytes = ZONE,
    signature: bytes = b"s" * 64,
    algorithm: int = 13,
    tag: int = 4711,
) -> bytes:
    fixed = struct.pack(
        "!HBBIIIH", covered, algorithm, labels, ttl, 1_800_000_000, 1_700_000_000, tag
    )
    return fixed + signer + signature


def signed_data(rrsig: bytes, owner: bytes, kind: int, ttl: int, rdatas: Sequence[bytes]) -> bytes:
    """RFC 4034 3.1.8.1, from canonical parts: RRSIG RDATA without signature, owner, RDATA."""
    parts = [rrsig]
    for rdata in sorted(set(rdatas)):
        parts += [owner, struct.pack("!HHIH", kind, 1, ttl, len(rdata)), rdata]
    return b"".join(parts)


def mix_case(octets: bytes, choice: random.Random) -> bytes:
    """Change the case of letters at random."""
    return bytes(
        octet ^ 32
        if chr(octet).isascii() and chr(octet).isalpha() and choice.random() < 0.5
        else octet
        for octet in octets
    )
