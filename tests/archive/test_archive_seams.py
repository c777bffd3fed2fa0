"""The same capture as one file and as many, in any order: connections, fragments and copies too."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
import rewrite
from sameness import difference
from test_archive_parts import CAPTURES, octets_of

from forensics.archive.opening import tables_of
from forensics.archive.tables import read_table
from forensics.batch import ingest_batch
from forensics.ingest import ingest
from forensics.options import Options

ETHERNET = 14


def checksummed(header: bytes) -> bytes:
    header = header[:10] + b"\0\0" + header[12:]
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack(">H", total ^ 0xFFFF) + header[12:]


def in_pieces(record: rewrite.Record, size: int) -> list[rewrite.Record]:
    """A UDP packet over IPv4 as a network of a smaller MTU hands it on (RFC 791 3.2)."""
    frame = record.data
    header = frame[ETHERNET : ETHERNET + 20]
    length = int.from_bytes(header[2:4], "big")
    payload = frame[ETHERNET + 20 : ETHERNET + length]
    made = []
    for at in range(0, len(payload), size):
        part = payload[at : at + size]
        more = 0x2000 if at + size < len(payload) else 0
        place = struct.pack(">H", more | at // 8)
        piece = header[:2] + struct.pack(">H", 20 + len(part)) + header[4:6] + place + header[8:]
        data = frame[:ETHERNET] + checksummed(piece) + part
        made.append(record._replace(data=data, length=len(data)))
    return made


def is_plain_udp(frame: bytes) -> bool:
    return (
        frame[12:14] == b"\x08\x00"
        and frame[14] == 0x45
        and frame[23] == 17
        and int.from_bytes(frame[20:22], "big") & 0x3FFF == 0
    )


def roughened(records: list[rewrite.Record], seed: int) -> list[rewrite.Record]:
    """The same traffic with large datagrams in pieces, packets twice, and out of place."""
    chance = random.Random(seed)
    made: list[rewrite.Record] = []
    for record in records:
        pieces = [record]
        if is_plain_udp(record.data) and len(record.data) > 400 and chance.random() < 0.5:
            pieces = in_pieces(record, chance.choice((256, 480)))
        for piece in pieces:
            made.append(piece)
            if chance.random() < 0.1:
                made.append(rewrite.twice([piece])[1])
    for at in range(1, len(made)):
        if chance.random() < 0.03 and made[at].seconds == made[at - 1].seconds:
            early, late = made[at - 1], made[at]
            made[at - 1] = late._replace(fraction=early.fraction)
            made[at] = early._replace(fraction=late.fraction)
    return made


def is_part(frame: bytes) -> bool:
    """Whether a frame is a TCP segment, or a piece of a datagram."""
    if frame[12:14] == b"\x08\x00":
        return frame[23] == 6 or int.from_bytes(frame[20:22], "big") & 0x3FFF != 0
    return frame[12:14] == b"\x86\xdd" and frame[20] in {6, 44}


def pieces_of(folder: Path, name: str, count: int, seed: int) -> list[str]:
    header, records = rewrite.load(CAPTURES / name / "capture.pcap.zst")
    records = roughened(records, seed)
    chance = random.Random(seed)
    places = range(1, len(records))
    torn = [at for at in places if is_part(records[at - 1].data) and is_part(records[at].data)]
    edges = set(chance.sample(torn, min(count // 2, len(torn))))
    rest = [at for at in places if at not in edges]
    edges |= {0, len(records), *chance.sample(rest, count - 1 - len(edges))}
    edges = sorted(edges)
    folder.mkdir()
    return [
        str(rewrite.store(folder / f"{i:03}.pcap", header, records[edges[i] : edges[i + 1]]))
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("name", "count", "seed"),
    [("dnskey-too-large", 30, 1), ("ripe-2011", 16, 2)],
)
def test_one_file_and_many_say_the_same(tmp_path, name, count, seed) -> None:
    files = pieces_of(tmp_path / "f", name, count, seed)
    ingest(files, tmp_path / "once")
    shuffled = random.Random(seed).sample(files, len(files))
    ingest_batch(shuffled, str(tmp_path / "parts"), Options())
    tables = tables_of(tmp_path / "parts")
    assert difference(tables, tmp_path / "once") == []
    rows = read_table(tables, "transactions").to_pylist()
    across = [r for r in rows if r["response_capture"] not in (None, r["capture"])]
    expected = {"udp", "tcp"} if name == "ripe-2011" else {"udp"}
    assert {row["transport"] for row in across} == expected
    assert any(row["continues"] is not None for row in rows) or name == "ripe-2011"


def test_the_order_of_batches_means_nothing_to_seams(tmp_path) -> None:
    files = pieces_of(tmp_path / "f", "dnskey-too-large", 9, 4)
    for some in (files[3::2], files):
        ingest_batch(some, str(tmp_path / "slowly"), Options())
    ingest_batch(files, str(tmp_path / "at-once"), Options())
    assert octets_of(tmp_path / "slowly") == octets_of(tmp_path / "at-once")
