"""DNS over TCP (RFC 1035 4.2.2, RFC 7766): streams in any shape that captures show them in."""

from __future__ import annotations

import random

import pytest
from capture_files import T0, check_ledger, losses, pcap, query, read, response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tcp_files import RST, SYN, Way, framed, packet4, segment

from forensics import limits
from forensics.capture.assemble import _is_due
from forensics.capture.held import HASTY, PATIENT, streams_room
from forensics.capture.readers import open_capture
from forensics.capture.reassembly import Reassembly
from forensics.report.pcapng import Packet, render_pcapng
from forensics.vocabulary import MessageFlag

MS = 10**6
CUT = int(MessageFlag.CUT)
DISPUTED = int(MessageFlag.DISPUTED)
CONTINUED = int(MessageFlag.CONTINUED)
QUIET = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Q = query()
R = response(count=3)
BIG = response(count=120)


def of(tmp_path, packets, gap=MS, block=limits.BLOCK_OCTETS, **options):
    """Read IP packets, a millisecond apart (or at their own times), through a pcap file."""
    timed = [
        packet if isinstance(packet, tuple) else (T0 + i * gap, packet)
        for i, packet in enumerate(packets)
    ]
    path = tmp_path / "capture.pcap"
    ports = options.pop("ports", frozenset())
    path.write_bytes(pcap(timed, link=101, **options))
    facts, rows = read(path, block, ports)
    assert all(row.transport == 1 for row in rows)
    return facts, rows


@pytest.mark.parametrize("now", [2**62 + 1, 2**63 - 1, -(2**62) - 1, -(2**63)])
@pytest.mark.parametrize("ring", [HASTY, PATIENT])
def test_nothing_is_due_where_nothing_waits(ring, now) -> None:
    assert not _is_due(streams_room(), ring, limits.STREAM_TIMEOUT, now)


@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 64])
def test_a_packet_of_any_time_ends_the_wait(tmp_path, block) -> None:
    """Found by fuzzing: behind 2116 an entry that is none was let go of, without end."""
    server = Way(77, server=True)
    packets = [server.syn(), server.send(framed(R)), server.send(framed(R)), server.send(framed(R))]
    del packets[2]
    times = [T0, T0 + 1, T0 + 2, 2**62 + 10**18]
    packets.append(server.send(b""))
    path = tmp_path / "far.pcapng"
    timed = [
        Packet(time, 101, one, len(one), "") for time, one in zip(times, packets, strict=True)
    ]
    path.write_bytes(render_pcapng(timed, "test"))
    facts, rows = read(path, block)
    assert [row.octets for row in rows] == [R, R]
    check_ledger(facts)


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 64])
def test_a_connection(tmp_path, block, six):
    client, server = Way(six=six), Way(77, server=True, six=six)
    packets = [
        client.syn(),
        server.syn(),
        client.send(framed(Q)),
        server.send(framed(R), ack=client.seq),
        client.fin(),
        server.fin(),
    ]
    facts, rows = of(tmp_path, packets, block=block)
    assert [(row.frame, row.octets, row.length, row.flags) for row in rows] == [
        (3, Q, len(Q), 0),
        (4, R, len(R), 0),
    ]
    assert [row.time for row in rows] == [T0 + 2 * MS, T0 + 3 * MS]
    assert [(row.source_port, row.destination_port) for row in rows] == [(40000, 53), (53, 40000)]
    assert rows[0].source == rows[1].destination == ("2001:db8::1" if six else "192.0.2.1")
    assert rows[0].destination == rows[1].source == ("2001:db8::2" if six else "198.51.100.2")
    assert (losses(facts), facts.other, facts.carriers) == ({}, 4, 2)


def test_bare_segments_and_other_ports_are_other_traffic(tmp_path):
    packets = [
        packet4(segment(1, flags=SYN)),
        packet4(segment(2, framed(Q), dport=443)),
        packet4(segment(2)),
    ]
    facts, rows = of(tmp_path, packets)
    assert (rows, facts.other, losses(facts)) == ([], 3, {})


def test_a_port_given_by_the_user(tmp_path):
    packets = [packet4(segment(2, framed(Q), dport=5300))]
    _, rows = of(tmp_path, packets, ports=frozenset({5300}))
    assert [row.octets for row in rows] == [Q]


@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 64])
@pytest.mark.parametrize("size", [1, 2, 3, 100, 1460])
@pytest.mark.parametrize("start", [1000, 2**32 - 20])
def test_one_message_over_many_segments(tmp_path, size, start, block):
    way = Way(start, server=True)
    packets = [way.syn(), *way.cut(framed(BIG, R), [size])]
    facts, rows = of(tmp_path, packets, block=block)
    assert [(row.octets, row.flags) for row in rows] == [(BIG, 0), (R, 0)]
    # The segment that completes a message gives its time and frame.
    assert rows[0].frame == 2 + (len(BIG) + 1) // size
    assert rows[1].frame == len(packets)
    assert losses(facts) == {}


def test_many_messages_in_one_segment(tmp_path):
    way = Way(server=True)
    messages = [response(f"n{i}.example.", i) for i in range(20)]
    facts, rows = of(tmp_path, [way.syn(), way.send(framed(*messages))])
    assert [row.octets for row in rows] == messages
    assert {row.frame for row in rows} == {2}
    assert (facts.carriers, facts.messages) == (1, 20)


def test_length_in_a_segment_of_its_own(tmp_path):
    way = Way()
    octets = framed(Q)
    _, rows = of(tmp_path, [way.syn(), *way.cut(octets + octets, [2, len(Q), 1, 1, len(Q)])])
    assert [row.octets for row in rows] == [Q, Q]


def test_segments_out_of_order(tmp_path):
    way = Way(server=True)
    syn, *parts = [way.syn(), *way.cut(framed(BIG, R), [300])]
    facts, rows = of(tmp_path, [syn, *parts[::-1]])
    assert [(row.octets, row.flags, row.frame) for row in rows] == [
        (BIG, 0, 1 + len(parts)),
        (R, 0, 1 + len(parts) - (len(BIG) + 2) // 300),
    ]
    assert losses(facts) == {}


def test_repeated_segments_are_copies(tmp_path):
    way = Way(server=True)
    syn, *parts = [way.syn(), *way.cut(framed(BIG, R), [300])]
    facts, rows = of(tmp_path, [syn, *parts, *parts])
    assert [row.octets for row in rows] == [BIG, R]
    assert facts.duplicates == len(parts)
    assert losses(facts) == {}


def test_overlapping_segments_that_agree(tmp_path):
    octets = framed(BIG)
    way = Way(server=True)
    syn = way.syn()
    first = way.seq
    packets = [way.packet(first + at, octets[at : at + 300]) for at in range(0, len(octets), 200)]
    facts, rows = of(tmp_path, [syn, *packets])
    assert [(row.octets, row.flags) for row in rows] == [(BIG, 0)]
    assert losses(facts) == {}


def test_overlapping_segments_that_differ_accuse_nobody(tmp_path):
    octets = framed(BIG)
    way = Way(server=True)
    syn = way.syn()
    first = way.seq
    packets = [
        syn,
        way.packet(first, octets[:500]),
        way.packet(first + 100, b"\xee" * 100),
        way.packet(first + 500, octets[500:]),
        way.packet(first + len(octets), framed(R)),
    ]
    facts, rows = of(tmp_path, packets)
    assert [(row.octets, row.flags) for row in rows] == [(BIG, DISPUTED), (R, 0)]
    assert losses(facts) == {"tcp-overlap": 1}


def test_pipelined_queries_and_answers_out_of_order(tmp_path):
    client, server = Way(), Way(server=True)
    queries = [query(f"n{i}.example.", i) for i in range(8)]
    answers = [response(f"n{i}.example.", i) for i in range(8)]
    packets = [client.syn(), server.syn(), client.send(framed(*queries))]
    packets += [server.send(framed(answer)) for answer in answers[::-1]]
    _, rows = of(tmp_path, packets)
    assert [row.octets for row in rows] == queries + answers[::-1]


def test_no_syn_seen(tmp_path):
    way = Way(2**31 + 5, server=True)
    facts, rows = of(tmp_path, [way.send(framed(BIG)), way.send(framed(R, R))])
    assert [row.octets for row in rows] == [BIG, R, R]
    assert losses(facts) == {}


def test_begun_in_the_middle_of_a_message(tmp_path):
    way = Way(server=True)
    parts = way.cut(framed(BIG, R, BIG), [300])
    facts, rows = of(tmp_path, parts[1:])
    assert [row.octets for row in rows] == [R, BIG]
    # Segments that hold nothing but the end of a message without its beginning.
    whole = (len(BIG) + 2) // 300 - 1
    assert losses(facts) == {"tcp-incomplete": whole}


def test_a_segment_before_the_first_one_seen(tmp_path):
    way = Way()
    packets = [way.send(framed(query(qid=i))) for i in range(3)]
    facts, rows = of(tmp_path, packets[::-1])
    assert sorted(row.octets for row in rows) == sorted(query(qid=i) for i in range(3))
    assert losses(facts) == {}


@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 64])
def test_a_lost_segment_costs_only_its_message(tmp_path, block):
    way = Way(server=True)
    octets = framed(R, BIG, R, R)
    syn, *parts = [way.syn(), *way.cut(octets, [300])]
    missing = 2
    kept = parts[:missing] + parts[missing + 1 :]
    later = (T0 + limits.STREAM_TIMEOUT * 2, Way(port=5).syn())
    facts, rows = of(tmp_path, [syn, *kept, later], block=block)
    # Of the message with the hole, what stands before it is shown, and accuses nobody.
    shown = 2 * 300 - 2 * 2 - len(R)
    assert [(row.octets, row.flags) for row in rows] == [(R, 0), (BIG[:shown], CUT), (R, 0), (R, 0)]
    assert rows[1].length == len(BIG)
    # Their times and frames are those of their own segments, not of the end of waiting.
    assert rows[1].frame == 3
    assert rows[2].frame == rows[3].frame == len(kept) + 1
    assert losses(facts) == {"message-cut": 1, "tcp-gap": 1, "tcp-incomplete": 3}
    gap = next(loss for loss in facts.losses.rows() if loss.detail.startswith("octets of a TCP"))
    assert gap.octets == 300


def test_an_acknowledged_gap_is_not_waited_for(tmp_path):
    client, server = Way(), Way(server=True)
    packets = [client.syn(), server.syn()]
    client.send(framed(query(qid=1)))  # not captured
    packets.append(client.send(framed(query(qid=2))))
    packets.append(server.send(framed(response(qid=2)), ack=client.seq))
    packets.append(client.packet(client.seq, ack=server.seq))
    packets.append(client.packet(client.seq, ack=server.seq))
    facts, rows = of(tmp_path, packets, gap=3 * MS)
    assert [row.octets for row in rows] == [response(qid=2), query(qid=2)]
    assert [row.frame for row in rows] == [4, 3]
    assert losses(facts) == {"tcp-gap": 1}


def test_a_gap_beyond_the_message_is_resynchronised(tmp_path):
    way = Way(server=True)
    packets = [way.syn(), way.send(framed(BIG)[:700])]
    way.skip(4000)
    # The capture goes on within some message; the next one begins in the middle of the segment.
    packets.append(way.send(b"\x07\xff" * 100 + framed(R, R)))
    facts, rows = of(tmp_path, packets)
    assert [(row.octets, row.flags) for row in rows] == [(BIG[:698], CUT), (R, 0), (R, 0)]
    assert losses(facts) == {"message-cut": 1, "tcp-gap": 1}


def test_reset_within_a_message(tmp_path):
    way = Way(server=True)
    packets = [way.syn(), way.send(framed(BIG)[:700]), way.packet(way.seq, flags=RST)]
    facts, rows = of(tmp_path, packets)
    assert [(row.octets, row.flags, row.frame) for row in rows] == [(BIG[:698], CUT, 2)]
    assert losses(facts) == {"message-cut": 1}


def test_ports_used_again(tmp_path):
    one, two = Way(1000), Way(5_000_000)
    packets = [one.syn(), one.send(framed(Q)[:30]), two.syn(), two.send(framed(query(qid=2)))]
    facts, rows = of(tmp_path, packets)
    assert [(row.octets, row.flags) for row in rows] == [(Q[:28], CUT), (query(qid=2), 0)]
    # The same without a SYN.
    one, two = Way(1000), Way(3_000_000_000)
    packets = [one.send(framed(Q)), two.send(framed(query(qid=2))), one.send(framed(R))]
    facts, rows = of(tmp_path, packets)
    assert [row.octets for row in rows] == [Q, query(qid=2), R]
    assert losses(facts) == {}


def test_kept_alive_for_hours(tmp_path):
    way = Way(2**32 - 100)
    packets, at = [(T0, way.syn())], T0
    messages = [query(qid=i) for i in range(30)]
    for message in messages:
        at += 3600 * limits.SECOND
        # A keep-alive probe repeats the last octet (RFC 1122 4.2.3.6).
        packets.append((at, way.packet(way.seq - 1, b"\0")))
        packets.append((at + MS, way.send(framed(message))))
    facts, rows = of(tmp_path, packets)
    assert [row.octets for row in rows] == messages
    assert losses(facts) == {}


def test_data_with_the_syn(tmp_path):
    # RFC 7413
    way = Way()
    packets = [way.packet(way.seq, framed(Q), flags=SYN)]
    way.skip(1 + len(framed(Q)))
    packets.append(way.send(framed(R)))
    _, rows = of(tmp_path, packets)
    assert [row.octets for row in rows] == [Q, R]


def test_segments_cut_by_the_snapshot_length(tmp_path):
    way = Way(server=True)
    packets = [way.syn(), *way.cut(framed(BIG, R, R), [len(BIG) + 2, len(R) + 2])]
    facts, rows = of(tmp_path, packets, snaplen=40 + len(R))
    assert [(row.octets, row.length, row.flags) for row in rows] == [
        (BIG[: len(R) - 2], len(BIG), CUT),
        (R[:-2], len(R), CUT),
        (R[:-2], len(R), CUT),
    ]
    assert losses(facts) == {"message-cut": 3}


def test_what_is_no_dns_is_counted(tmp_path):
    way = Way()
    packets = [way.syn(), way.send(b"\0\1" + b"GET / HTTP/1.1\r\n" * 4), way.fin()]
    facts, rows = of(tmp_path, packets)
    assert rows == []
    assert losses(facts) == {"tcp-framing": 1}


def test_impossible_headers_are_counted(tmp_path):
    short = bytearray(segment(5, framed(Q)))
    short[12] = 0x40
    long = bytearray(segment(5, b""))
    long[12] = 0xF0
    facts, rows = of(tmp_path, [packet4(bytes(short)), packet4(bytes(long))])
    assert rows == []
    assert losses(facts) == {"tcp-malformed": 2}


def test_the_longest_message_and_false_claims(tmp_path):
    message = Q + bytes(65_535 - len(Q))
    way = Way()
    facts, rows = of(tmp_path, [way.syn(), *way.cut(framed(message, Q), [1460])])
    assert [row.octets for row in rows] == [message, Q]
    assert losses(facts) == {}
    packets = []
    for port in range(3000):
        way = Way(port=10_000 + port)
        packets += [way.syn(), way.send(b"\xff\xff" + Q)]
    facts, rows = of(tmp_path, packets, gap=1000)
    assert [row.flags for row in rows] == [CUT] * 3000


def test_messages_of_a_zone_transfer_go_on(tmp_path):
    import dns.message
    import dns.rrset

    ask = dns.message.make_query("example.", "AXFR", id=9)
    first = dns.message.make_response(ask)
    soa = "ns.example. h.example. 7 1 1 1 1"
    first.answer.append(dns.rrset.from_text("example.", 60, "IN", "SOA", soa))
    bare = dns.message.Message(9)
    bare.flags = first.flags
    bare.answer.append(dns.rrset.from_text("a.example.", 60, "IN", "A", "192.0.2.1"))
    other = response("b.example.", 10)
    way = Way(server=True)
    octets = framed(first.to_wire(), bare.to_wire(), first.to_wire(), other)
    _, rows = of(tmp_path, [way.syn(), *way.cut(octets, [50])])
    assert [row.flags for row in rows] == [0, CONTINUED, CONTINUED, 0]
    # Asked again with the same id on the same connection, it is another transfer.
    client, way = Way(), Way(server=True)
    packets = []
    for _ in range(2):
        packets.append(client.send(framed(ask.to_wire())))
        packets.append(way.send(framed(first.to_wire(), bare.to_wire())))
    _, rows = of(tmp_path, packets)
    assert [row.flags for row in rows] == [0, 0, CONTINUED] * 2
    # In the middle of it, too, messages without a question are recognised.
    way = Way(server=True)
    octets = framed(first.to_wire(), bare.to_wire(), bare.to_wire())
    _, rows = of(tmp_path, way.cut(octets, [50])[1:])
    assert [row.octets for row in rows] == [bare.to_wire(), bare.to_wire()]


def test_one_octet_a_segment_out_of_order_without_end(tmp_path):
    way = Way(server=True)
    octets = framed(BIG) * 3
    packets = [way.packet(1001 + at, octets[at : at + 1]) for at in range(1, len(octets), 2)]
    facts, _ = of(tmp_path, [way.syn(), *packets], gap=1000)
    assert facts.packets == 1 + len(packets)


def test_a_flood_of_syns_and_of_streams_stays_bounded(tmp_path):
    way = Way(server=True)
    parts = way.cut(framed(BIG), [1000])
    flood = [packet4(segment(5, sport=i % 60000 + 1, flags=SYN)) for i in range(40_000)]
    facts, rows = of(tmp_path, [parts[0], *flood, *parts[1:]], gap=1000)
    assert [row.octets for row in rows] == [BIG]
    number = limits.TCP_STREAMS + 3000
    head = framed(Q)[:20]
    flood = [
        packet4(segment(5, head, sport=1 + i % 60000), f"10.0.0.{i // 60000}")
        for i in range(number)
    ]
    facts, rows = of(tmp_path, flood, gap=1000)
    assert facts.packets == number
    assert losses(facts)["stream-evicted"] >= 3000


@QUIET
@given(st.data())
def test_any_segmentation_gives_the_same_messages(tmp_path, data):
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    packets, expected = [], []
    for number in range(3):
        messages = [
            chance.choice([query, response])(f"n{i}.example.", i)
            for i in range(chance.randint(1, 9))
        ]
        messages.append(response("big.example.", 77, chance.randint(1, 120)))
        chance.shuffle(messages)
        way = Way(chance.randrange(2**32), port=40000 + number, server=True)
        syn = way.syn()
        start, octets = way.seq, framed(*messages)
        edges = sorted({0, len(octets), *(chance.randrange(len(octets)) for _ in range(20))})
        parts = []
        for i in range(len(edges) - 1):
            low, high = edges[i], edges[i + 1]
            if chance.random() < 0.3:  # overlap with what came before or comes after
                low, high = max(low - chance.randrange(50), 0), high + chance.randrange(50)
            place = i + chance.random() * data.draw(st.sampled_from([0, 3, 9]))
            parts.append((place, way.packet(start + low, octets[low:high])))
            if chance.random() < 0.2:
                parts.append((place + 2 * chance.random(), parts[-1][1]))
        packets += [(-1, syn), *parts]
        expected += [(way.port, message) for message in messages]
    packets.sort(key=lambda pair: pair[0])
    block = data.draw(st.sampled_from([64, 1000, limits.BLOCK_OCTETS]))
    facts, rows = of(tmp_path, [packet for _, packet in packets], gap=1000, block=block)
    found = [(row.destination_port, row.octets) for row in rows]
    assert sorted(found) == sorted(expected)
    for port in {port for port, _ in expected}:
        assert [o for p, o in found if p == port] == [o for p, o in expected if p == port]
    assert {row.flags for row in rows} == {0}
    assert losses(facts) == {}


@QUIET
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1) | st.integers(990, 1200),
            st.binary(max_size=60) | st.just(framed(Q)),
            st.integers(0, 63),
            st.integers(0, 20 * limits.SECOND),
            st.integers(0, 3),
        ),
        max_size=30,
    ),
    st.sampled_from([64, limits.BLOCK_OCTETS]),
)
def test_hostile_segments_crash_nothing(tmp_path, drawn, block):
    packets = [
        (T0 + time, packet4(segment(seq, data, flags=flags, sport=4000 + port, ack=seq // 2)))
        for seq, data, flags, time, port in drawn
    ]
    facts, _ = of(tmp_path, packets, block=block)
    assert facts.packets == len(drawn)


@pytest.mark.parametrize("seed", range(8))
def test_streams_go_on_in_the_next_file(tmp_path, seed):
    chance = random.Random(seed)
    way, other = Way(server=True), Way(port=41000)
    messages = [BIG, R, response("n.example.", 4, 60), R]
    packets = [way.syn(), *way.cut(framed(*messages), [400])]
    packets[3:3] = [other.syn(), other.send(framed(Q))]
    timed = [(T0 + i * MS, packet) for i, packet in enumerate(packets)]
    whole = tmp_path / "whole.pcap"
    whole.write_bytes(pcap(timed, link=101))
    _, rows = read(whole)
    cuts = sorted({0, len(timed), *(chance.randrange(len(timed)) for _ in range(4))})
    reassembly = Reassembly()
    found, facts = [], []
    for number in range(len(cuts) - 1):
        path = tmp_path / f"{number}.pcap"
        path.write_bytes(pcap(timed[cuts[number] : cuts[number + 1]], link=101))
        capture = open_capture(str(path), number, reassembly=reassembly)
        facts.append(capture.facts)
        for block in capture.blocks():
            for i in range(len(block)):
                start, size = int(block.start[i]), int(block.captured[i])
                octets = block.octets[start : start + size].tobytes()
                found.append((cuts[block.capture] + int(block.frame[i]), octets))
    assert not list(reassembly.finish())
    assert found == [(row.frame, row.octets) for row in rows]
    for one in facts:
        check_ledger(one)
    assert sum(one.carriers for one in facts) == len(packets) - 2


def test_two_sensors_are_kept_apart(tmp_path):
    way = Way(server=True)
    packets = [way.syn(), *way.cut(framed(BIG, R), [500])]
    reassembly = Reassembly()
    for number in range(7):
        path = tmp_path / f"{number}.pcap"
        path.write_bytes(
            pcap([(T0 + i * 50 * MS, packet) for i, packet in enumerate(packets)], link=101)
        )
        capture = open_capture(str(path), number, reassembly=reassembly)
        assert sum(len(block) for block in capture.blocks()) == 2
        check_ledger(capture.facts)
