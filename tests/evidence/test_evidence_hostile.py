"""Messages made to harm: whatever the octets say, the kernel ends, inside its arrays."""

import random
import struct
import time

import numpy as np
import pytest
from evidence_blocks import Sent, make_block
from evidence_wires import (
    ADDITIONAL,
    ANSWER,
    AUTHORITY,
    QNAME_POINTER,
    RRSIG,
    ZONE,
    ZONE_POINTER,
    message,
    rrsig_rdata,
)
from hypothesis import given
from hypothesis import strategies as st

from forensics.evidence.collector import Evidence
from forensics.wire.records import NAME_OCTETS, expand_name, resolve_name, skip_name

SEED = message(
    [
        (ANSWER, QNAME_POINTER, 15, 60, b"\x00\x0a\x04mail" + ZONE_POINTER),
        (ANSWER, QNAME_POINTER, 15, 60, b"\x00\x05\x01a" + ZONE_POINTER),
        (ANSWER, QNAME_POINTER, RRSIG, 60, rrsig_rdata(15)),
        (AUTHORITY, ZONE_POINTER, 43, 60, struct.pack("!HBB", 1, 13, 2) + bytes(32)),
        (AUTHORITY, ZONE_POINTER, RRSIG, 60, rrsig_rdata(43, labels=2, signer=b"\x00")),
        (AUTHORITY, ZONE_POINTER, 35, 60, b"\x00\x01\x00\x02\x01U\x03E2U\x01!\x01a" + ZONE),
        (AUTHORITY, ZONE_POINTER, RRSIG, 60, rrsig_rdata(35, labels=2)),
        (ADDITIONAL, b"\x00", 48, 60, b"\x01\x00\x03\x0d" + bytes(64)),
        (ADDITIONAL, b"\x00", RRSIG, 60, rrsig_rdata(48, labels=0, signer=b"\x00")),
    ]
)
EVIDENCE = Evidence()
ANY_COUNT = 0xFFFF


def collect(wires: list[bytes], *, trusting: bool = False) -> int:
    """Collect; with `trusting` the stage before claims RRSIGs and keys in every message."""
    block, parsed = make_block([Sent(item) for item in wires])
    if trusting:
        parsed.signatures[:] = ANY_COUNT
        parsed.keys[:] = ANY_COUNT
        parsed.questions[:] = 1
        parsed.qclass[:] = 1
        parsed.qtype[:] = 1
        parsed.header_flags[:] = 0x8400
    return EVIDENCE.collect(block, parsed)[0].num_rows


def test_the_seed_is_sound() -> None:
    assert collect([SEED]) == 4


@given(st.integers(0, 2**32))
def test_mutated_messages_do_no_harm(seed: int) -> None:
    choice = random.Random(seed)
    wires = []
    for _ in range(20):
        wired = bytearray(SEED)
        for _ in range(choice.randrange(1, 6)):
            wired[choice.randrange(len(wired))] = choice.choice(
                [0, 1, 11, 12, 63, 64, 192, 193, 255, choice.randrange(256)]
            )
        wires.append(bytes(wired[: choice.choice([len(wired), choice.randrange(12, len(wired))])]))
    assert collect(wires, trusting=True) <= 20 * len(SEED) // 11
    table = EVIDENCE.signatures()
    assert all(table["owner"].to_pylist())


@given(st.binary(min_size=12, max_size=600))
def test_noise_does_no_harm(noise: bytes) -> None:
    assert collect([noise], trusting=True) <= len(noise) // 11


@given(st.binary(min_size=1, max_size=400), st.integers(0, 399))
def test_names_stay_inside_the_message(noise: bytes, position: int) -> None:
    octets = np.frombuffer(bytearray(noise), dtype=np.uint8)
    out = np.zeros(NAME_OCTETS + 8, dtype=np.uint8)
    after, written = expand_name(octets, 0, len(noise), position, out, 0, True)
    assert (after == -1 and written == 0) or (position < after <= len(noise))
    assert written <= NAME_OCTETS
    assert skip_name(octets, position, len(noise)) <= len(noise)
    assert resolve_name(octets, 0, len(noise), position) <= position


@pytest.mark.parametrize(
    "name",
    [
        b"\xc0\x21",  # itself
        b"\xc0\x23\xc0\x21",  # forward, and back again
        b"\x01a\xc0\x21",  # a loop through a label
        b"\xc0\x00",  # into the header
        b"\xc0\x0b",
        b"\xff\xff",
        b"\x40a",
        b"\x80a",
    ],
)
def test_pointers_that_do_not_lead_back_are_no_names(name: bytes) -> None:
    octets = np.frombuffer(bytearray(bytes(33) + name + bytes(3)), dtype=np.uint8)
    out = np.zeros(NAME_OCTETS + 8, dtype=np.uint8)
    assert expand_name(octets, 0, len(octets), 33, out, 0, False) == (-1, 0)


def test_a_name_has_255_octets_at_most() -> None:
    labels = (b"\x3f" + b"a" * 63) * 3
    out = np.zeros(NAME_OCTETS + 8, dtype=np.uint8)
    for last, good in ((61, True), (62, False)):
        wired = bytes(12) + labels + bytes([last]) + b"b" * last + b"\x00"
        octets = np.frombuffer(bytearray(wired), dtype=np.uint8)
        after, written = expand_name(octets, 0, len(octets), 12, out, 0, False)
        assert (after, written) == ((len(wired), NAME_OCTETS) if good else (-1, 0))


def largest(record: bytes, others: bytes = b"") -> bytes:
    """Fill a message of 65,535 octets with one record, repeated."""
    room = 65_535 - 12 - 20 - len(others)
    count = room // len(record)
    head = struct.pack("!6H", 1, 0x8400, 1, count + (1 if others else 0), 0, 0)
    question = b"\x01a\x07example\x04test\x00" + struct.pack("!2H", 1, 1)
    return head + question + others + record * count


def encode(owner: bytes, kind: int, rdata: bytes) -> bytes:
    return owner + struct.pack("!HHIH", kind, 1, 60, len(rdata)) + rdata


def chained_pointers() -> bytes:
    """Thousands of owners that each lead through thousands of pointers."""
    chain = b"\x00" + b"".join(struct.pack("!H", 0xC000 | at) for at in [42, *range(43, 8000, 2)])
    first = encode(b"\x00", 16, chain)
    last = struct.pack("!H", 0xC000 | 7990)
    return largest(encode(last, RRSIG, rrsig_rdata(16)), first)


HOSTILE = {
    "many signatures, one owner": largest(
        encode(b"\xc0\x0c", RRSIG, rrsig_rdata(16, signer=b"\x00", signature=b"s")),
        encode(b"\xc0\x0c", 16, b"x" * 30_000),
    ),
    "many keys": largest(encode(b"\xc0\x0c", 48, b"")),
    "many owners": b"".join(
        [
            struct.pack("!6H", 1, 0x8400, 1, 2000, 0, 0),
            b"\x01a\x07example\x04test\x00" + struct.pack("!2H", 1, 1),
            *[
                encode(
                    b"\x04" + struct.pack("!I", 0x61616161 + n) + b"\xc0\x0e",
                    48,
                    b"",
                )
                for n in range(2000)
            ],
        ]
    ),
    "malformed signatures": largest(encode(b"\xc0\x0c", RRSIG, b"")),
    "chained pointers": chained_pointers(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_work_on_one_message_is_bounded(name: str) -> None:
    wires = [HOSTILE[name]] * 20
    collect(wires, trusting=True)
    began = time.process_time()
    collect(wires, trusting=True)
    # 20 messages of 64 KiB; without bounds each takes seconds. Checked builds are slower.
    assert time.process_time() - began < 4
