"""Damage: no cut, flipped octet or block border changes what can be read, and nothing raises."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from capture_files import (
    T0,
    control,
    ethernet,
    losses,
    ng_block,
    ng_interface,
    ng_packet,
    ng_section,
    pcap,
    query,
    read,
    response,
    stream,
    udp4,
    udp6,
)
from test_capture_dnstap import CLIENT, frame

from forensics import limits
from forensics.capture.losses import NOTICES, REASONS
from forensics.errors import InputError
from forensics.wire.jit import kernel

_PACKETS = [
    ethernet(udp4(query(qid=1), ipid=5)),
    ethernet(udp4(response(qid=1), sport=53, dport=40000, ipid=6), (0x8100,)),
    ethernet(udp6(query(qid=2))),
    ethernet(udp4(b"no message at all", dport=9999)),
    ethernet(udp4(response(qid=3, count=5), sport=5300, dport=40000, ipid=7)),
]
_TIMED = [(T0 + i * 10**6, packet) for i, packet in enumerate(_PACKETS)]
_DNSTAP = [
    frame(type=5, query_message=query(qid=1), **CLIENT),
    frame(type=6, query_message=query(qid=2), response_message=response(qid=2), **CLIENT),
    frame(identity=b"ns2", type=4, response_message=response(qid=3), **CLIENT),
]
FILES = {
    "pcap": pcap(_TIMED),
    "pcap-big-nano": pcap(_TIMED, order=">", magic=0xA1B23C4D),
    "pcapng": ng_section()
    + ng_interface()
    + b"".join(ng_packet(time // 1000, packet) for time, packet in _TIMED)
    + ng_section(">")
    + ng_interface(order=">")
    + ng_block(9, b"entry", ">")
    + ng_block(3, struct.pack(">I", len(_PACKETS[0])) + _PACKETS[0], ">"),
    "dnstap": control(4) + stream(_DNSTAP),
}
PACKET_FORMATS = [name for name in FILES if name != "dnstap"]
parametrize_files = pytest.mark.parametrize("name", sorted(FILES))


def lost_packets(facts):
    """Packets that are counted as lost, those aside that gave a message all the same."""
    notices = {REASONS[reason] for reason in NOTICES}
    stretches = {"file-cut", "record-length", "block-length", "interface-limit", "frame-length"}
    return sum(count for name, count in losses(facts).items() if name not in notices | stretches)


def attempt(path, data, block=limits.BLOCK_OCTETS):
    """Read octets; None: they are of no known format."""
    path.write_bytes(data)
    try:
        return read(path, block)
    except InputError as error:
        assert error.reason  # noqa: PT017 - either end is right
        return None


@parametrize_files
def test_cut_at_every_offset_gives_a_prefix(tmp_path, name):
    data = FILES[name]
    whole = read_whole(tmp_path, name)
    counts = []
    for size in range(len(data)):
        result = attempt(tmp_path / "cut", data[:size])
        if result is None:
            assert size < 64
            continue
        facts, rows = result
        assert rows == whole[: len(rows)]
        assert set(losses(facts)) <= {"file-cut", "no-timestamp"}
        counts.append(len(rows))
    assert counts == sorted(counts)


def read_whole(tmp_path, name):
    path = tmp_path / "whole"
    path.write_bytes(FILES[name])
    return read(path)[1]


@parametrize_files
@pytest.mark.parametrize("block", [64, 65, 100, 333, 1000])
def test_block_borders_change_nothing(tmp_path, name, block):
    path = tmp_path / "whole"
    path.write_bytes(FILES[name])
    facts, rows = read(path)
    small, again = read(path, block)
    assert again == rows
    assert len(rows) >= 4
    assert small == facts or (losses(small), small.packets) == (losses(facts), facts.packets)


@parametrize_files
def test_full_outputs_change_nothing(tmp_path, name, monkeypatch):
    path = tmp_path / "whole"
    path.write_bytes(FILES[name])
    _, rows = read(path)
    monkeypatch.setattr(limits, "BLOCK_MESSAGES", 2)
    assert read(path)[1] == rows


@parametrize_files
def test_flipped_octets_never_raise_and_every_packet_is_accounted_for(tmp_path, name):
    chance = random.Random(name)
    data = FILES[name]
    for _ in range(400):
        broken = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        result = attempt(tmp_path / "broken", bytes(broken))
        if result is None:
            continue
        facts, rows = result
        if name in PACKET_FORMATS:
            seen = facts.messages + facts.duplicates + facts.other + lost_packets(facts)
            assert facts.packets == seen
        small = attempt(tmp_path / "broken", bytes(broken), 97)
        assert small is not None
        assert small[1] == rows
        assert losses(small[0]) == losses(facts)


@parametrize_files
def test_random_tail_never_raises(tmp_path, name):
    chance = random.Random(name)
    for head in (24, 60, 100, 300):
        for _ in range(40):
            data = FILES[name][:head] + chance.randbytes(chance.randrange(2000))
            result = attempt(tmp_path / "tail", data)
            if result is not None:
                facts, rows = result
                assert facts.messages == len(rows)


@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"\x01"])
@parametrize_files
def test_a_stretch_of_one_octet(tmp_path, name, filler):
    data = FILES[name]
    middle = len(data) // 2
    for block in (limits.BLOCK_OCTETS, 64):
        result = attempt(tmp_path / "hole", data[:middle] + filler * 3000 + data[middle:], block)
        assert result is not None


def test_reading_goes_on_after_an_absurd_record(tmp_path):
    before, after = pcap(_TIMED[:2]), pcap(_TIMED[2:])[24:]
    for size in (2**32 - 1, limits.RECORD_OCTETS + 1):
        for rubbish in (b"", b"\0" * 50, bytes(range(256)) * 9):
            bad = struct.pack("<IIII", T0 // 10**9, 0, size, size) + rubbish
            for block in (limits.BLOCK_OCTETS, 64):
                facts, rows = attempt(tmp_path / "absurd", before + bad + after, block)
                assert [row.octets for row in rows] == [
                    query(qid=1),
                    response(qid=1),
                    query(qid=2),
                    response(qid=3, count=5),
                ]
                (loss,) = facts.losses.rows()
                assert REASONS[loss.reason] == "record-length"
                assert (loss.offset, loss.frame) == (len(before), 3)
                assert loss.octets == len(bad)
                assert str(size) in loss.detail


def test_record_length_beyond_the_end_is_damage_when_records_follow(tmp_path):
    before, after = pcap(_TIMED[:2]), pcap(_TIMED[2:])[24:]
    bad = struct.pack("<IIII", T0 // 10**9, 0, 200_000, 200_000)
    facts, rows = attempt(tmp_path / "beyond", before + bad + after)
    assert len(rows) == 4
    assert losses(facts) == {"record-length": 1}


def test_damage_beyond_the_search_stops_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "RESYNC_OCTETS", 100)
    before, after = pcap(_TIMED[:2]), pcap(_TIMED[2:])[24:]
    facts, rows = attempt(tmp_path / "far", before + b"\xff" * 500 + after)
    assert len(rows) == 2
    (loss,) = facts.losses.rows()
    assert loss.octets == 500 + len(after)
    assert "stops here" in loss.detail


def test_file_header_alone_and_cut(tmp_path):
    for size in range(4, 24):
        facts, rows = attempt(tmp_path / "header", FILES["pcap"][:size])
        assert (rows, losses(facts)) == ([], {"file-cut": 1})
    facts, rows = attempt(tmp_path / "header", FILES["pcap"][:24])
    assert (rows, losses(facts), facts.packets) == ([], {}, 0)


@kernel
def _beyond(values):
    return values[len(values) + 5]


def test_canary_raises_where_bounds_are_checked():
    """With NUMBA_BOUNDSCHECK=1 and an empty cache this proves that the check is on."""
    import numba

    if not numba.config.BOUNDSCHECK:
        pytest.skip("NUMBA_BOUNDSCHECK is not set: kernels are compiled without bounds checks")
    with pytest.raises(IndexError):
        _beyond(np.zeros(3, np.uint8))


@pytest.mark.parametrize("over", [4096, 3000, 16 * 40])
def test_a_page_of_zeros_over_records_costs_those_and_no_more(tmp_path, over):
    """Zeros read as records of no octets, of 1970; behind them stands the rest of a record."""
    timed = [(T0 + i * 10**6, ethernet(udp4(query(qid=i)))) for i in range(1000)]
    octets = pcap(timed)
    record = (len(octets) - 24) // len(timed)
    at = 24 + 300 * record
    path = tmp_path / "zeros.pcap"
    path.write_bytes(octets[:at] + bytes(over) + octets[at + over :])
    _, rows = read(path)
    seen = {int.from_bytes(row.octets[:2]) for row in rows}
    assert seen == set(range(1000)) - set(range(300, 300 + -(-over // record)))
