"""Hostile captures cost a bounded time, and the report says what was left out."""

from __future__ import annotations

import random
import struct
import time

import pytest
from world import DAY, START, Packet, healthy

from forensics import limits

PATIENCE = 40.0
"""Seconds; what is unbounded here took minutes, what is bounded takes two."""


def name(*labels: bytes) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


ZONE, PARENT = name(b"x", b"de"), name(b"de")
OPT = b"\0" + struct.pack(">HHIH", 41, 1232, 0x8000, 0)
RECORD = b"\xc0\x0c"


def exchange(when: int, number: int, server: str, kind: int, records: list[bytes]) -> list[Packet]:
    """A query about the zone and its answer."""
    question = ZONE + struct.pack(">HH", kind, 1)
    head = struct.pack(">HHHHHH", number & 0xFFFF, 0, 1, 0, 0, 1)
    reply = struct.pack(">HHHHHH", number & 0xFFFF, 0x8400, 1, len(records), 0, 1)
    port = 2000 + number % 50_000
    answer = reply + question + b"".join(records) + OPT
    return [
        Packet(when, "198.51.100.53", port, server, 53, head + question + OPT),
        Packet(when + 10**6, server, 53, "198.51.100.53", port, answer),
    ]


def record(kind: int, data: bytes) -> bytes:
    return RECORD + struct.pack(">HHIH", kind, 1, 60, len(data)) + data


def rrsig(kind: int, tag: int, signer: bytes, draw: random.Random) -> bytes:
    times = struct.pack(">IIIH", 60, START + DAY, START - DAY, tag)
    head = struct.pack(">HBB", kind, 13, 2) + times + signer
    return record(46, head + draw.randbytes(64))


def tag_of(rdata: bytes) -> int:
    """RFC 4034 appendix B."""
    total = sum(octet << (0 if at & 1 else 8) for at, octet in enumerate(rdata))
    return (total + (total >> 16)) & 0xFFFF


@pytest.mark.parametrize("kind", [43, 48])
def test_key_sets_that_change_with_each_answer(kind, analysed) -> None:
    draw = random.Random(kind)
    packets = []
    for number in range(8000):
        when, server = START * 10**9 + number * 10**7, f"10.0.{number % 4}.{number % 250}"
        key = struct.pack(">HBB", 257, 3, 13) + draw.randbytes(64)
        if kind == 43:
            ds = struct.pack(">HBB", number, 13, 2) + draw.randbytes(32)
            records = [record(43, ds), rrsig(43, 77, PARENT, draw)]
            packets += exchange(when, number, server, 43, records)
        records = [record(48, key), rrsig(48, tag_of(key), ZONE, draw)]
        packets += exchange(when + 4 * 10**6, number + 9, server, 48, records)
    begin = time.monotonic()
    report = analysed(healthy(1), packets, anchored=False)
    assert time.monotonic() - begin < PATIENCE
    assert "limit" in {row["kind"] for row in report["findings"]}
    untold = [row for row in report["findings"] if row["kind"] == "omitted"]
    told = {row["zone"]: row["history"] for row in report["incidents"]}
    for zone, history in told.items():
        assert len(history) <= limits.HISTORY_ROWS
        assert [row["at"] for row in history] == sorted(row["at"] for row in history)
        is_cut = any(zone in row["sentence"] for row in untold)
        assert is_cut == (len(history) == limits.HISTORY_ROWS)
    assert kind == 43 or len(told["x.de."]) == limits.HISTORY_ROWS, told.keys()


def test_a_flood_of_answers_to_one_query(analysed) -> None:
    draw = random.Random(1)
    packets = exchange(START * 10**9, 1, "10.0.0.1", 1, [])[:1]
    for number in range(20_000):
        address = record(1, struct.pack(">I", number))
        answer = exchange(START * 10**9 + number * 1000, 1, "10.0.0.1", 1,
                          [address, rrsig(1, 5, ZONE, draw)])  # fmt: skip
        packets.append(answer[1])
    begin = time.monotonic()
    report = analysed(healthy(1), packets, anchored=False)
    assert time.monotonic() - begin < PATIENCE
    assert report["incidents"] == []


def test_one_tag_for_all_keys(analysed) -> None:
    """KeyTrap (CVE-2023-50387): each signature fits each of many keys, and verifies with none."""
    draw = random.Random(2)
    keys = []
    for _ in range(400):
        key = bytearray(struct.pack(">HBB", 256, 3, 13) + draw.randbytes(62) + b"\0\0")
        rest = (4711 - tag_of(key)) & 0xFFFF  # the carry may put it off by one
        key[-2:] = struct.pack(">H", rest)
        key[-2:] = struct.pack(">H", (rest + 4711 - tag_of(key)) & 0xFFFF)
        assert tag_of(key) == 4711
        keys.append(bytes(key))
    packets = exchange(START * 10**9, 1, "10.0.0.1", 48, [record(48, key) for key in keys])
    for number in range(40):
        records = [record(1, b"\1\2\3\4"), *(rrsig(1, 4711, ZONE, draw) for _ in range(300))]
        packets += exchange(START * 10**9 + number * 10**8, 2 + number, "10.0.0.1", 1, records)
    begin = time.monotonic()
    report = analysed(healthy(1), packets, anchored=False)
    assert time.monotonic() - begin < PATIENCE
    assert "limit" in {row["kind"] for row in report["findings"]}
