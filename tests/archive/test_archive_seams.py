"""The same capture as one file and as many, in any order: connections, fragments and copies too."""

from __future__ import annotations

import random
import struct
import sys
from itertools import pairwise
from pathlib import Path

import dns.flags
import dns.message
import dns.rrset
import pytest
import rewrite
from sameness import difference
from test_archive_parts import CAPTURES, octets_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "capture"))

from capture_files import ethernet, pcap, udp4
from tcp_files import Way, framed

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


def test_the_order_of_batches_means_nothing_to_seams(tmp_path) -> None:
    files = pieces_of(tmp_path / "f", "dnskey-too-large", 9, 4)
    for some in (files[3::2], files):
        ingest_batch(some, str(tmp_path / "slowly"), Options())
    ingest_batch(files, str(tmp_path / "at-once"), Options())
    assert octets_of(tmp_path / "slowly") == octets_of(tmp_path / "at-once")


def exchange(name: str, number: int, *, truncated: bool = False) -> tuple[bytes, bytes]:
    """A query and its response; over UDP the first of them sends the client to TCP."""
    query = dns.message.make_query(name, "TXT", id=number, want_dnssec=True)
    response = dns.message.make_response(query, recursion_available=False)
    if truncated:
        response.flags |= dns.flags.TC
    else:
        text = " ".join(f'"{"x" * 200}"' for _ in range(8))
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", text))
    return query.to_wire(), response.to_wire(max_size=65535)


def conversation() -> list[tuple[int, bytes]]:
    """Packets whose meaning is in others: a retry over TCP, on a connection that stays open."""
    asked, cut = exchange("long.example.", 7, truncated=True)
    again, whole = exchange("long.example.", 8)
    more, last = exchange("other.example.", 9)
    client, server = Way(1000), Way(5000, server=True)
    answer, pieces = framed(whole), []
    packets = [udp4(asked), udp4(cut, sport=53, dport=40000, ipid=77, source=B, target=A)]
    packets += [client.syn(), server.syn()]
    packets += [*client.cut(framed(again), (9, 100)), *server.cut(answer, (700, 400, 2000))]
    packets += [client.send(framed(more)), server.send(framed(last)), client.fin(), server.fin()]
    for at in (5, 7):
        pieces.append(packets[at])
    # One segment is sent again, two swap their places, and a copy of a datagram comes later.
    packets.insert(9, pieces[0])
    packets[7], packets[8] = packets[8], packets[7]
    packets.insert(2, packets[1])
    return [(1_700_000_000 * 10**9 + at * 3_000_000, ethernet(p)) for at, p in enumerate(packets)]


A, B = "192.0.2.1", "198.51.100.2"


@pytest.mark.parametrize("apart", [1, 2, 3])
def test_any_border_within_a_conversation_changes_nothing(tmp_path, apart) -> None:
    packets = conversation()
    edges = [*range(0, len(packets), apart), len(packets)]
    files = []
    for at, (begin, end) in enumerate(pairwise(edges)):
        files.append(str(tmp_path / f"{at:02}.pcap"))
        Path(files[-1]).write_bytes(pcap(packets[begin:end]))
    ingest(files, tmp_path / "once")
    ingest_batch(files[::-1], str(tmp_path / "parts"), Options())
    assert difference(tables_of(tmp_path / "parts"), tmp_path / "once") == []
    rows = read_table(tables_of(tmp_path / "parts"), "transactions").to_pylist()
    assert [row["transport"] for row in rows if row["pairing"] == "answered"].count("tcp") == 2
    numbers = {row["transaction"]: row for row in rows}
    continued = [row for row in rows if row["continues"] is not None]
    assert [row["id"] for row in continued] == [8]
    assert numbers[continued[0]["continues"]]["tc"]
    facts = read_table(tables_of(tmp_path / "parts"), "captures").to_pylist()
    assert sum(row["duplicates"] for row in facts) >= 2
    for row in facts:
        kept = ("message_octets", "other_octets", "framing_octets", "lost_octets")
        assert row["content_octets"] == sum(row[name] for name in kept)
