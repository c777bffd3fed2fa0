"""Evidence of a message that came in several packets holds them all: it reads the same again."""

from __future__ import annotations

import random

import pytest
from capture_files import T0, ethernet, losses, pcap, query, read, response, udp4, udp6
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tcp_files import Way, framed
from test_capture_fragments import pieces4, pieces6

from forensics.capture.cutting import cut
from forensics.report.pcapng import Packet, render_pcapng

MS = 10**6
BIG = response(count=120)
SMALL = response("b.example.", 5)


def recorded(tmp_path, packets):
    """A capture of IP packets, a millisecond apart, and its messages."""
    path = tmp_path / "whole.pcap"
    frames = [ethernet(packet) for packet in packets]
    path.write_bytes(pcap([(T0 + i * MS, frame) for i, frame in enumerate(frames)]))
    return path, read(path)[1]


def again(tmp_path, path, frame):
    """Cut a frame out, write it as evidence, and read that: the cut packets and the messages."""
    found = cut(str(path), {frame})
    made = tmp_path / "evidence.pcapng"
    packets = [Packet(one.time, one.link, one.octets, one.wire) for one in found]
    made.write_bytes(render_pcapng(packets))
    return found, *read(made)


def told(row):
    """What a message is, whatever its frame."""
    return row._replace(frame=0)


@pytest.mark.parametrize(
    "packets",
    [
        pieces4(udp4(BIG, sport=53, dport=4000, ipid=99), 400),
        pieces4(udp4(BIG, sport=53, dport=4000, ipid=99), 400)[::-1],
        pieces6(udp6(BIG, sport=53, dport=4000), 600),
    ],
    ids=["v4", "backwards", "v6"],
)
def test_all_fragments_of_a_message(tmp_path, packets):
    near = [
        udp4(query(), ipid=1),
        *pieces4(udp4(response(count=60), sport=53, dport=4001, ipid=7), 400),
    ]
    path, rows = recorded(tmp_path, [near[0], packets[0], near[1], *packets[1:], *near[2:]])
    (row,) = (row for row in rows if row.octets == BIG)
    found, facts, (same,) = again(tmp_path, path, row.frame)
    assert len(found) == len(packets)
    assert not any(one.is_made for one in found)
    assert {one.part_of for one in found if one.frame != row.frame} == {(row.frame,)}
    assert (told(same), losses(facts)) == (told(row), {})


@pytest.mark.parametrize("six", [False, True])
def test_all_segments_of_a_message_and_no_others(tmp_path, six):
    way = Way(server=True, six=six)
    other = Way(server=True, port=41000, six=six)
    cuts = way.cut(framed(SMALL, BIG, SMALL), [len(SMALL) + 2 + 200, 500])
    packets = [way.syn(), cuts[0], other.send(framed(SMALL)), cuts[2], cuts[1], *cuts[3:]]
    path, rows = recorded(tmp_path, packets)
    (row,) = (row for row in rows if row.octets == BIG)
    found, _, same = again(tmp_path, path, row.frame)
    assert not any(one.is_made for one in found)
    # The one that the first message ends and this one begins in is there, the SYN and others not.
    assert [one.frame for one in found] == [2, *range(4, row.frame + 1)]
    assert told(row) in [told(one) for one in same]


def test_the_syn_comes_along_where_the_stream_begins(tmp_path):
    way = Way(server=True)
    path, (row,) = recorded(tmp_path, [way.syn(), *way.cut(framed(BIG), [700])])
    found, facts, (same,) = again(tmp_path, path, row.frame)
    assert [one.frame for one in found] == list(range(1, row.frame + 1))
    assert (told(same), losses(facts)) == (told(row), {})


def test_clients_stay_hidden(tmp_path):
    way = Way(server=True)
    path, (row,) = recorded(tmp_path, [way.syn(), *way.cut(framed(BIG), [700])])
    found = cut(str(path), {row.frame}, change=lambda address, message: address or message)
    assert [(one.frame, one.is_made) for one in found] == [(row.frame, True)]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32), st.integers(20, 900), st.booleans())
def test_any_segmentation_reads_the_same_again(tmp_path, seed, size, late):
    chance = random.Random(seed)
    way = Way(chance.randrange(2**32), server=True)
    messages = [response(f"n{i}.example.", i, chance.randrange(1, 60)) for i in range(4)]
    packets = [way.syn(), *way.cut(framed(*messages), [size])]
    at = chance.randrange(1, len(packets))
    if late and at + 1 < len(packets):
        packets[at], packets[at + 1] = packets[at + 1], packets[at]
    packets.insert(at, packets[at])
    path, rows = recorded(tmp_path, packets)
    assert len(rows) == 4
    row = chance.choice(rows)
    found, _, same = again(tmp_path, path, row.frame)
    assert not any(one.is_made for one in found)
    wanted = [told(one) for one in rows if one.frame == row.frame]
    assert [told(one) for one in same if one.octets in {one.octets for one in wanted}] == wanted


def test_a_segment_that_makes_several_messages_whole_brings_the_pieces_of_all(tmp_path):
    way = Way(server=True)
    messages = [response(f"n{i}.example.", i, 30) for i in range(5)]
    first, second, third, fourth = way.cut(framed(*messages), [900, 700, 400, 1 << 16])
    path, rows = recorded(tmp_path, [way.packet(999), first, third, fourth, second])
    assert [row.frame for row in rows] == [2, 5, 5, 5, 4]
    found, _, same = again(tmp_path, path, 5)
    assert [(one.frame, one.part_of) for one in found] == [
        (2, (5,)),
        (3, (5,)),
        (4, (5,)),
        (5, ()),
    ]
    assert [told(one) for one in same][-4:] == [told(row) for row in rows[1:]]


def test_messages_of_two_frames_share_a_piece(tmp_path):
    way = Way(server=True)
    messages = [response(f"n{i}.example.", i, 30) for i in range(2)]
    size = len(framed(messages[0]))
    cuts = way.cut(framed(*messages), [size - 100, 200, 1 << 16])
    path, rows = recorded(tmp_path, cuts)
    assert [row.frame for row in rows] == [2, 3]
    found = cut(str(path), {2, 3})
    # Frame 2 is wanted for itself, and holds the beginning of the message of frame 3.
    assert [(one.frame, one.part_of) for one in found] == [(1, (2,)), (2, (3,)), (3, ())]


def test_a_message_without_its_length_in_the_packet_is_not_whole_there(tmp_path):
    way = Way(server=True)
    path, (row,) = recorded(tmp_path, [way.syn(), *way.cut(framed(BIG), [2, 1 << 16])])
    found, facts, (same,) = again(tmp_path, path, row.frame)
    assert [one.frame for one in found] == [1, 2, 3]
    assert (told(same), losses(facts)) == (told(row), {})


def test_every_message_of_a_frame_gets_a_packet_where_packets_are_made(tmp_path):
    way = Way(server=True)
    messages = [response(f"n{i}.example.", i, 3) for i in range(3)]
    path, rows = recorded(tmp_path, [way.syn(), way.send(framed(*messages))])
    assert {row.frame for row in rows} == {2}
    found = cut(str(path), {2}, change=lambda address, message: address or message)
    assert [(one.frame, one.is_made, one.octets[28:]) for one in found] == [
        (2, True, message) for message in messages
    ]


def test_a_message_larger_than_a_packet_brings_its_segments(tmp_path):
    way = Way(server=True)
    large = response(count=250) + bytes(65_535 - len(response(count=250)))
    path, (row,) = recorded(tmp_path, [way.syn(), *way.cut(framed(large), [30_000])])
    found, _, (same,) = again(tmp_path, path, row.frame)
    assert [one.frame for one in found] == [1, 2, 3, 4]
    assert told(same) == told(row)


def test_each_incident_gets_the_pieces_that_it_needs(tmp_path):
    from forensics.extract import _file

    way = Way(server=True)
    messages = [response(f"n{i}.example.", i, 30) for i in range(2)]
    size = len(framed(messages[0]))
    path, _ = recorded(tmp_path, way.cut(framed(*messages), [size - 100, 200, 1 << 16]))
    packets = [(("a.pcap", packet.frame), packet) for packet in cut(str(path), {2, 3})]
    report = {"captures": [{}], "tool": {"name": "dns-forensics", "version": "0"}}
    incident = {"id": "0", "sentence": "It broke."}
    for frame, pieces, message in ((2, {1, 2}, messages[0]), (3, {2, 3}, messages[1])):
        content = _file(report, incident, {("a.pcap", frame): "it broke"}, packets, None)
        made = tmp_path / "evidence.pcapng"
        made.write_bytes(content)
        facts, rows = read(made)
        assert facts.packets == len(pieces)
        assert message in [row.octets for row in rows]
        assert content.count(b"A piece of the message of frame %d" % frame) == 1
        assert content.count(b"It broke (frame %d)" % frame) == 1
