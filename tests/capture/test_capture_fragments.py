"""IP fragments (RFC 791 3.2, RFC 8200 4.5): put together in any order, over windows and files."""

from __future__ import annotations

import random
import struct

import pytest
from capture_files import T0, check_ledger, losses, pcap, query, read, response, udp4, udp6
from capture_files import scapy as sc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics import limits
from forensics.capture.readers import open_capture
from forensics.capture.reassembly import Reassembly
from forensics.vocabulary import MessageFlag

MS = 10**6
CUT = int(MessageFlag.CUT)
FRAGMENT = int(MessageFlag.FRAGMENT)
DISPUTED = int(MessageFlag.DISPUTED)
QUIET = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def of(tmp_path, packets, gap=MS, block=limits.BLOCK_OCTETS, **options):
    """Read IP packets, a millisecond apart, through a pcap file."""
    timed = [(T0 + i * gap, packet) for i, packet in enumerate(packets)]
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(timed, link=101, **options))
    return read(path, block)


def pieces4(packet, size):
    """Cut an IPv4 packet into fragments of `size` octets of payload (a multiple of 8)."""
    header, payload = packet[:20], packet[20:]
    made = []
    for at in range(0, len(payload), size):
        part = payload[at : at + size]
        more = 0x2000 if at + size < len(payload) else 0
        made.append(piece4(header, at, part, more))
    return made


def piece4(header, at, part, more):
    """One fragment of a packet with that IPv4 header."""
    length = struct.pack(">H", 20 + len(part))
    return header[:2] + length + header[4:6] + struct.pack(">H", more | at >> 3) + header[8:] + part


def pieces6(packet, size, ident=99):
    """Cut an IPv6 packet without extension headers into fragments."""
    header, payload = packet[:40], packet[40:]
    made = []
    for at in range(0, len(payload), size):
        part = payload[at : at + size]
        more = 1 if at + size < len(payload) else 0
        fragment = struct.pack(">BBHI", header[6], 0, at | more, ident)
        length = struct.pack(">H", 8 + len(part))
        made.append(header[:4] + length + b"\x2c" + header[7:] + fragment + part)
    return made


BIG = response(count=120)
ANSWER4 = udp4(BIG, sport=53, dport=4000, ipid=99)
ANSWER6 = udp6(BIG, sport=53, dport=4000)


@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 64])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("pieces", [pieces4(ANSWER4, 600), pieces6(ANSWER6, 800)], ids=["v4", "v6"])
def test_fragments_are_put_together(tmp_path, pieces, backwards, block):
    given_pieces = pieces[::-1] if backwards else pieces
    facts, (row,) = of(tmp_path, given_pieces, block=block)
    assert (row.octets, row.length, row.flags) == (BIG, len(BIG), 0)
    # Time and frame are those of the piece that came last, as Wireshark has it.
    assert (row.frame, row.time) == (len(pieces), T0 + (len(pieces) - 1) * MS)
    assert (row.source_port, row.destination_port) == (53, 4000)
    assert losses(facts) == {}
    assert facts.carriers == len(pieces)


def test_scapy_fragments_are_put_together(tmp_path):
    whole = sc.IP(src="192.0.2.1", dst="192.0.2.2", id=99) / sc.UDP(sport=53, dport=4000)
    pieces = [bytes(piece) for piece in sc.fragment(whole / sc.Raw(BIG), fragsize=600)]
    head = sc.IPv6(src="2001:db8::1", dst="2001:db8::2") / sc.IPv6ExtHdrDestOpt()
    whole = head / sc.IPv6ExtHdrFragment(id=5) / sc.UDP(sport=53, dport=4000) / sc.Raw(BIG)
    pieces += [bytes(piece) for piece in sc.fragment6(whole, 800)]
    facts, rows = of(tmp_path, pieces)
    assert [row.octets for row in rows] == [BIG, BIG]
    assert losses(facts) == {}


@pytest.mark.parametrize("pieces", [pieces4(ANSWER4, 600), pieces6(ANSWER6, 800)], ids=["v4", "v6"])
def test_a_first_fragment_alone_gives_header_and_question(tmp_path, pieces):
    later = udp4(query(qid=1), ipid=1234)
    packets = [pieces[0], later]
    facts, rows = of(tmp_path, packets, gap=limits.FRAGMENT_TIMEOUT + MS)
    # It comes as soon as the time of any packet shows that the rest is not to come.
    assert [(row.frame, row.flags) for row in rows] == [(1, CUT | FRAGMENT), (2, 0)]
    assert rows[0].length == len(BIG)
    assert rows[0].time == T0
    assert BIG.startswith(rows[0].octets)
    assert len(rows[0].octets) > 500
    assert losses(facts) == {}


def test_pieces_without_a_first_one_are_lost_and_counted(tmp_path):
    pieces = pieces4(ANSWER4, 400)
    facts, rows = of(tmp_path, pieces[1:])
    assert rows == []
    assert losses(facts) == {"fragment-incomplete": len(pieces) - 1}
    (loss,) = facts.losses.rows()
    assert (loss.frame, loss.offset) == (1, 24 + 16)
    assert loss.octets == sum(len(piece) for piece in pieces[1:])


def test_a_hole_leaves_what_stands_before_it(tmp_path):
    pieces = pieces4(ANSWER4, 400)
    facts, (row,) = of(tmp_path, [*pieces[:2], *pieces[3:]])
    assert (row.octets, row.flags) == (BIG[: 800 - 8], CUT | FRAGMENT)
    assert losses(facts) == {"fragment-incomplete": len(pieces) - 2}


def test_copies_of_fragments_are_copies(tmp_path):
    pieces = pieces4(ANSWER4, 600)
    twice = [piece for piece in pieces for _ in range(2)]
    facts, (row,) = of(tmp_path, twice)
    assert (row.octets, row.flags) == (BIG, 0)
    assert facts.duplicates == len(pieces)
    assert losses(facts) == {}


def test_the_same_number_again_is_another_datagram(tmp_path):
    pieces = pieces4(ANSWER4, 600)
    other = pieces4(udp4(response(count=119), sport=53, dport=4000, ipid=99), 600)
    _, rows = of(tmp_path, pieces + other, gap=30 * MS)
    assert [row.octets for row in rows] == [BIG, response(count=119)]


def test_fragments_that_contradict_each_other_accuse_nobody(tmp_path):
    header = ANSWER4[:20]
    payload = ANSWER4[20:]
    forged = b"\xff" * 400
    packets = [
        piece4(header, 0, payload[:800], 0x2000),
        piece4(header, 400, forged, 0x2000),
        piece4(header, 800, payload[800:], 0),
    ]
    facts, (row,) = of(tmp_path, packets)
    # What came first was taken.
    assert (row.octets, row.flags) == (BIG, DISPUTED)
    assert losses(facts) == {"fragment-overlap": 1}
    facts, (row,) = of(tmp_path, [packets[1], packets[0], packets[2]])
    assert (row.octets[392:792], row.flags) == (forged, DISPUTED)


def test_fragments_that_overlap_and_agree_are_no_loss(tmp_path):
    header = ANSWER4[:20]
    payload = ANSWER4[20:]
    packets = [
        piece4(header, 0, payload[:800], 0x2000),
        piece4(header, 400, payload[400:1200], 0x2000),
        piece4(header, 800, payload[800:], 0),
    ]
    facts, (row,) = of(tmp_path, packets)
    assert (row.octets, row.flags) == (BIG, 0)
    assert losses(facts) == {}


def test_impossible_fragments_are_counted(tmp_path):
    header = ANSWER4[:20]
    packets = [
        piece4(header, 8, b"", 0x2000),
        piece4(header, 8, b"x" * 9, 0x2000),
        piece4(header, 65528, b"x" * 64, 0),
    ]
    facts, rows = of(tmp_path, packets)
    assert rows == []
    assert losses(facts) == {"fragment-malformed": 3}


def test_teardrop(tmp_path):
    # The attack of 1997: the second piece lies within the first one and ends before it.
    header = ANSWER4[:20]
    packets = [piece4(header, 0, ANSWER4[20:56], 0x2000), piece4(header, 24, b"x" * 4, 0)]
    facts, rows = of(tmp_path, packets)
    assert len(rows) <= 1
    assert "fragment-malformed" in losses(facts) or "fragment-overlap" in losses(facts)


def test_other_traffic_in_fragments_is_other_traffic(tmp_path):
    packets = pieces4(udp4(b"x" * 3000, sport=2049, dport=2049), 1000)
    packets += pieces4(udp4(b"y" * 3000, sport=2049, dport=2049, ipid=5), 1000)[::-1]
    facts, rows = of(tmp_path, packets)
    assert rows == []
    assert facts.other == len(packets)
    assert losses(facts) == {}


def test_the_longest_datagram(tmp_path):
    payload = query() + bytes(65_507 - len(query()))
    facts, (row,) = of(tmp_path, pieces4(udp4(payload), 1480))
    assert row.octets == payload
    assert losses(facts) == {}


def test_fragments_cut_by_the_snapshot_length(tmp_path):
    pieces = pieces4(ANSWER4, 600)
    facts, (row,) = of(tmp_path, pieces, snaplen=300)
    assert (row.octets, row.length, row.flags) == (BIG[: 300 - 28], len(BIG), CUT)
    assert losses(facts) == {"message-cut": 1}


def test_a_tcp_segment_in_fragments(tmp_path):
    data = struct.pack(">H", len(BIG)) + BIG
    head = sc.IP(src="192.0.2.1", dst="192.0.2.2", id=7)
    packet = bytes(head / sc.TCP(sport=53, dport=4000, flags="PA", seq=1) / sc.Raw(data))
    facts, (row,) = of(tmp_path, pieces4(packet, 600)[::-1])
    assert (row.octets, row.transport, row.flags) == (BIG, 1, 0)
    assert losses(facts) == {}


def test_a_flood_of_first_pieces_stays_bounded(tmp_path):
    pieces = pieces4(ANSWER4, 600)
    number = limits.FRAGMENTED + 500
    packets = []
    for i in range(number):
        first = bytearray(pieces[0])
        first[12:16] = struct.pack(">I", 0x0A000000 + i)
        packets.append(bytes(first))
    facts, rows = of(tmp_path, packets, gap=1000)
    assert len(rows) == number
    assert {row.flags for row in rows} == {CUT | FRAGMENT}
    assert losses(facts) == {}


def test_a_flood_of_later_pieces_is_counted_as_beyond_the_limit(tmp_path):
    piece = pieces4(ANSWER4, 600)[1]
    packets = []
    for i in range(limits.FRAGMENTED + 500):
        packets.append(piece[:12] + struct.pack(">I", 0x0A000000 + i) + piece[16:])
    facts, rows = of(tmp_path, packets, gap=1000)
    assert rows == []
    counted = losses(facts)
    assert counted["fragment-limit"] >= 500
    assert sum(counted.values()) == len(packets)


@QUIET
@given(st.data())
def test_any_fragmentation_gives_the_same_messages(tmp_path, data):
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    payloads = [response(f"n{i}.example.", i, 20 + 30 * i) for i in range(4)]
    whole = [
        udp4(payload, sport=53, dport=4000 + i, ipid=50 + i) for i, payload in enumerate(payloads)
    ]
    whole += [udp6(payload, sport=53, dport=5000 + i) for i, payload in enumerate(payloads)]
    packets = []
    for i, packet in enumerate(whole):
        size = 8 * data.draw(st.integers(1, 150))
        cut = pieces4 if packet[0] >> 4 == 4 else lambda p, s, i=i: pieces6(p, s, 70 + i)
        made = cut(packet, size) if len(packet) > size + 60 else [packet]
        made += [chance.choice(made) for _ in range(len(made) // 4)] if len(made) > 1 else []
        chance.shuffle(made)
        packets += [(i + chance.random() * 2, piece) for piece in made]
    packets.sort(key=lambda pair: pair[0])
    block = data.draw(st.sampled_from([64, 1000, limits.BLOCK_OCTETS]))
    facts, rows = of(tmp_path, [packet for _, packet in packets], gap=1000, block=block)
    found = sorted((row.source_port, row.destination_port, row.octets, row.flags) for row in rows)
    expected = [(53, 4000 + i, payload, 0) for i, payload in enumerate(payloads)]
    expected += [(53, 5000 + i, payload, 0) for i, payload in enumerate(payloads)]
    assert found == sorted(expected)
    assert losses(facts) == {}


@QUIET
@given(st.binary(min_size=0, max_size=80), st.integers(0, 65535), st.integers(0, 65535))
def test_hostile_fragments_crash_nothing(tmp_path, payload, word, total):
    header = bytearray(ANSWER4[:20])
    header[2:4] = struct.pack(">H", total)
    header[6:8] = struct.pack(">H", word)
    facts, _ = of(tmp_path, [bytes(header) + payload, *pieces4(ANSWER4, 600)])
    assert facts.packets == 1 + len(pieces4(ANSWER4, 600))


def test_fragments_go_on_in_the_next_file(tmp_path):
    pieces = pieces4(ANSWER4, 600)
    reassembly = Reassembly()
    blocks, facts = [], []
    for i, piece in enumerate(pieces):
        path = tmp_path / f"{i}.pcap"
        path.write_bytes(pcap([(T0 + i * MS, piece)], link=101))
        capture = open_capture(str(path), i, reassembly=reassembly)
        blocks += list(capture.blocks())
        facts.append(capture.facts)
    blocks += list(reassembly.finish())
    (block,) = blocks
    assert (block.capture, block.frame.tolist()) == (len(pieces) - 1, [1])
    assert block.captured.tolist() == [len(BIG)]
    assert [one.carriers for one in facts] == [1] * len(pieces)
    for one in facts:
        check_ledger(one)


def test_a_first_fragment_given_up_in_a_later_file_is_of_its_own(tmp_path):
    pieces = pieces4(ANSWER4, 600)
    reassembly = Reassembly()
    blocks, facts = [], []
    times = [T0, T0 + MS, T0 + 20 * limits.SECOND]
    for i, packet in enumerate([pieces[0], pieces[2], udp4(query())]):
        path = tmp_path / f"{i}.pcap"
        path.write_bytes(pcap([(times[i], packet)], link=101))
        capture = open_capture(str(path), i, reassembly=reassembly)
        blocks += list(capture.blocks())
        facts.append(capture.facts)
    blocks += list(reassembly.finish())
    assert [(block.capture, block.frame.tolist()) for block in blocks] == [(0, [1]), (2, [1])]
    assert [one.messages for one in facts] == [1, 0, 1]
    assert losses(facts[1]) == {"fragment-incomplete": 1}
    for one in facts:
        check_ledger(one)
