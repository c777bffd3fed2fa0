"""pcapng: sections, interfaces, clocks, every kind of packet block, and damage."""

from __future__ import annotations

import struct
from fractions import Fraction

import pytest
from capture_files import (
    T0,
    ethernet,
    losses,
    ng_block,
    ng_interface,
    ng_packet,
    ng_section,
    query,
    read,
    response,
    udp4,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LAST_NS = 2**63 - 1


def of(tmp_path, *parts, **options):
    path = tmp_path / "capture.pcapng"
    path.write_bytes(b"".join(parts))
    return read(path, **options)


def packet(i=0):
    return ethernet(udp4(query(qid=i), ipid=100 + i))


@pytest.mark.parametrize("order", "<>")
def test_packets_of_every_block_type(tmp_path, order):
    micro = T0 // 1000
    old = struct.pack(order + "HHIIII", 0, 0, micro >> 32, micro & 0xFFFFFFFF, len(packet(1)), 99)
    facts, rows = of(
        tmp_path,
        ng_section(order),
        ng_interface(order=order),
        ng_packet(micro, packet(0), order),
        ng_block(2, old + packet(1), order),
        ng_block(3, struct.pack(order + "I", len(packet(2))) + packet(2), order),
    )
    assert [row.octets for row in rows] == [query(qid=i) for i in range(3)]
    assert [row.frame for row in rows] == [1, 2, 3]
    assert [row.time for row in rows] == [T0, T0, T0]
    assert losses(facts) == {"no-timestamp": 1}
    assert facts.losses.rows()[0].frame == 3
    assert facts.format == "pcapng"
    assert facts.link_types == ["ETHERNET"]


def test_simple_packet_is_cut_at_the_snapshot_length(tmp_path):
    # draft-ietf-opsawg-pcapng 4.4: the captured length is the least of original and SnapLen.
    frame = packet()
    body = struct.pack("<I", len(frame)) + frame[:60]
    _, rows = of(tmp_path, ng_section(), ng_interface(snaplen=60), ng_block(3, body))
    (row,) = rows
    assert row.octets == query(qid=0)[: 60 - 42]
    assert row.length == len(query(qid=0))


def test_sections_of_both_byte_orders_restart_their_interfaces(tmp_path):
    raw = udp4(query(qid=9), ipid=900)
    facts, rows = of(
        tmp_path,
        ng_section("<"),
        ng_interface(1, "<"),
        ng_packet(T0 // 1000, packet(0), "<"),
        ng_section(">"),
        ng_interface(101, ">", options=[(9, b"\x09")]),
        ng_packet(T0 + 7, raw, ">"),
        ng_section("<"),
        ng_packet(T0 // 1000, packet(1), "<"),
    )
    assert [(row.frame, row.time) for row in rows] == [(1, T0), (2, T0 + 7)]
    assert losses(facts) == {"interface-unknown": 1}
    assert facts.packets == 3
    assert facts.link_types == ["ETHERNET", "RAW"]


def test_two_interfaces_with_their_own_link_type_and_clock(tmp_path):
    _, rows = of(
        tmp_path,
        ng_section(),
        ng_interface(1),
        ng_interface(101, options=[(2, b"eth1"), (9, b"\x03"), (14, struct.pack("<q", 3600))]),
        ng_packet(T0 // 1000, packet(0)),
        ng_packet(T0 // 10**6, udp4(query(qid=1)), interface=1),
    )
    assert [row.time for row in rows] == [T0, T0 + 3600 * 10**9]


@pytest.mark.parametrize("order", "<>")
@QUIET
@given(
    ticks=st.integers(0, 2**64 - 1),
    resolution=st.integers(0, 255),
    offset=st.integers(-(2**41), 2**41),
)
def test_clock_is_exact_or_absent(tmp_path, order, ticks, resolution, offset):
    options = [(9, bytes([resolution])), (14, struct.pack(order + "q", offset))]
    facts, rows = of(
        tmp_path,
        ng_section(order),
        ng_interface(1, order, options=options),
        ng_packet(ticks, packet(), order),
    )
    base = 2 if resolution & 128 else 10
    exact = (Fraction(ticks, base ** (resolution & 127)) + offset) * 10**9
    (row,) = rows
    if losses(facts):
        assert losses(facts) == {"no-timestamp": 1}
        assert row.time == 0
        assert facts.first is None
    else:
        # Below 2^-32 s the tick is cut to that, a quarter of a nanosecond.
        assert 0 <= exact - row.time < 2
        assert exact <= LAST_NS


@pytest.mark.parametrize("resolution", [0, 3, 6, 9, 12, 15, 128 + 10, 128 + 20, 128 + 32])
def test_usual_clocks_are_read(tmp_path, resolution):
    base = 2 if resolution & 128 else 10
    ticks = T0 // 10**9 * base ** (resolution & 127)
    while ticks >= 2**63:
        ticks //= 10
    facts, rows = of(
        tmp_path,
        ng_section(),
        ng_interface(options=[(9, bytes([resolution]))]),
        ng_packet(ticks, packet()),
    )
    assert losses(facts) == {}
    assert Fraction(rows[0].time, 10**9) == Fraction(ticks, base ** (resolution & 127))


@pytest.mark.parametrize("code", [4, 5, 10, 0x7777, 0x80000001])
def test_blocks_that_are_no_frames_are_passed_over(tmp_path, code):
    parts = [ng_section(), ng_interface(), ng_packet(0, packet(0))]
    facts, rows = of(tmp_path, *parts, ng_block(code, b"abcdefgh"), ng_packet(1000, packet(1)))
    assert [row.frame for row in rows] == [1, 2]
    assert facts.packets == 2


@pytest.mark.parametrize("code", [0x0BAD, 0x40000BAD, 9, 0x204])
def test_events_count_as_frames_as_in_wireshark(tmp_path, code):
    parts = [ng_section(), ng_interface(), ng_packet(0, packet(0))]
    facts, rows = of(tmp_path, *parts, ng_block(code, b"abcdefgh"), ng_packet(1000, packet(1)))
    assert [row.frame for row in rows] == [1, 3]
    assert (facts.packets, facts.other) == (3, 1)


def test_packet_longer_than_its_block_is_a_loss_and_reading_goes_on(tmp_path):
    bad = bytearray(ng_packet(0, packet(0)))
    bad[20:24] = struct.pack("<I", 5000)
    facts, rows = of(tmp_path, ng_section(), ng_interface(), bytes(bad), ng_packet(1000, packet(1)))
    assert [row.frame for row in rows] == [2]
    assert losses(facts) == {"packet-length": 1}


def test_lengths_that_differ_are_a_loss_and_reading_goes_on_at_the_next_block(tmp_path):
    bad = bytearray(ng_packet(0, packet(0)))
    bad[-4:] = b"\0\0\0\0"
    parts = [ng_section(), ng_interface(), bytes(bad), ng_packet(10**6, packet(1))]
    facts, rows = of(tmp_path, *parts)
    assert [row.octets for row in rows] == [query(qid=1)]
    (loss,) = facts.losses.rows()
    assert loss.offset == len(parts[0]) + len(parts[1])
    assert loss.octets == len(bad)
    assert losses(facts) == {"block-length": 1}


def test_absurd_length_is_a_loss_and_reading_goes_on(tmp_path):
    for size in (4, 13, 2**31, 2**32 - 4):
        bad = bytearray(ng_packet(0, packet(0)))
        bad[4:8] = struct.pack("<I", size)
        facts, rows = of(
            tmp_path,
            ng_section(),
            ng_interface(),
            ng_packet(0, packet(2)),
            bytes(bad),
            ng_packet(10**6, packet(1)),
        )
        assert [row.octets for row in rows] == [query(qid=2), query(qid=1)]
        assert losses(facts) == {"block-length": 1}


def test_length_beyond_the_end_of_the_file_is_damage_when_blocks_follow(tmp_path):
    bad = bytearray(ng_packet(0, packet(0)))
    bad[4:8] = struct.pack("<I", 5000)
    facts, rows = of(
        tmp_path, ng_section(), ng_interface(), bytes(bad), ng_packet(10**6, packet(1))
    )
    assert [row.octets for row in rows] == [query(qid=1)]
    assert losses(facts) == {"block-length": 1}


def test_interfaces_beyond_the_limit_are_counted(tmp_path):
    from forensics import limits

    parts = [ng_section(), ng_interface() * (limits.INTERFACES + 3)]
    facts, rows = of(
        tmp_path,
        *parts,
        ng_packet(0, packet(0), interface=limits.INTERFACES - 1),
        ng_packet(0, packet(1), interface=limits.INTERFACES),
        ng_packet(0, packet(2), interface=2**32 - 1),
    )
    assert [row.frame for row in rows] == [1]
    assert losses(facts) == {"interface-limit": 3, "interface-unknown": 2}


def test_options_cut_short_are_harmless(tmp_path):
    # An option that claims more octets than the block has.
    body = struct.pack("<HHI", 1, 0, 0) + struct.pack("<HH", 9, 4000) + b"\x09\0\0\0"
    facts, rows = of(tmp_path, ng_section(), ng_block(1, body), ng_packet(T0 // 1000, packet()))
    assert [row.time for row in rows] == [T0]
    assert losses(facts) == {}


def test_response_and_query_of_one_section(tmp_path):
    answer = ethernet(udp4(response(count=3), sport=53, dport=40000))
    _, rows = of(
        tmp_path, ng_section(), ng_interface(), ng_packet(0, packet()), ng_packet(5, answer)
    )
    assert [row.octets for row in rows] == [query(qid=0), response(count=3)]
