"""Every octet of an input is in a message, in other traffic, in the framing, or lost."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from capture_files import (
    T0,
    control,
    ethernet,
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
from cdns_files import Exporter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tcp_files import Way, framed
from test_capture_cdns import MANY, TWO_BLOCKS
from test_capture_dnstap import CLIENT, frame
from test_capture_fragments import pieces4, pieces6
from test_capture_powerdns import STREAM, log, message

from forensics import limits
from forensics.capture.facts import captures_table
from forensics.errors import InputError

HERE = Path(__file__).resolve().parent
DE = HERE.parents[1] / "captures" / "de-2026" / "unbound.dnstap.zst"
QUIET = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_FRAMES = [
    frame(type=5, query_message=query(), **CLIENT),
    frame(type=6, query_message=query(), response_message=response(), **CLIENT),
    frame(type=6, response_message=response(count=9), **CLIENT),
    frame(kind=2, type=5, query_message=query()),
    frame(type=5),
    frame(type=5, query_message=b"short"),
    b"no protobuf \xff",
]
BIG = response(count=120)


def packets():
    """Ethernet frames with all that a capture of a name server may hold."""
    client, server = Way(), Way(77, server=True)
    whole = [
        udp4(query(), ipid=7),
        udp4(response(), sport=53, dport=40000, ipid=8),
        udp4(b"no message at all, of other ports", sport=5000, dport=5001),
        udp4(b"short"),
        *pieces4(udp4(BIG, sport=53, dport=4000, ipid=99), 400),
        *pieces6(udp6(BIG, sport=53, dport=4000), 600)[1:],
        client.syn(),
        client.send(framed(query(), query(qid=5))),
        *server.cut(framed(BIG, response()) + b"\0\1 no message", [300]),
        client.fin(),
        *pieces4(Way(9, server=True, port=41000).send(framed(response(count=40))), 304),
        b"\x45 an impossible header",
    ]
    made = [ethernet(packet, tags=(0x8100,) * (i % 2)) for i, packet in enumerate(whole)]
    return [*made, made[0], made[6], b"\xff" * 14 + b"neither", b"\0" * 7]


TIMED = [(T0 + i * 10**6, packet) for i, packet in enumerate(packets())]
FILES = {
    "pcap": pcap(TIMED),
    "pcap-cut": pcap(TIMED, snaplen=120, wire=[len(packet) for _, packet in TIMED], order=">"),
    "pcapng": ng_section()
    + ng_interface(options=[(2, b"eth0")])
    + b"".join(ng_packet(time // 1000, packet) for time, packet in TIMED)
    + ng_packet(1, b"of no interface", interface=4),
    "dnstap": control(4) + stream(_FRAMES) + control(2, b"protobuf:else"),
    "c-dns": TWO_BLOCKS + Exporter().file(Exporter().block(MANY)),
    "powerdns": STREAM + log(message(4, response={"rcode": 65536}), message(9)),
}


def account(path, block=limits.BLOCK_OCTETS):
    """The ledger of a file as (content, messages, other, framing, lost)."""
    facts, rows = read(path, block)
    row = captures_table([facts]).to_pylist()[0]
    names = ("content", "message", "other", "framing", "lost")
    found = tuple(row[f"{name}_octets"] for name in names)
    assert found[0] == sum(found[1:]), found
    assert min(found) >= 0
    return found, facts, rows


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 64])
def test_whole_files(tmp_path, name, block):
    path = tmp_path / name
    path.write_bytes(FILES[name])
    (content, messages, *_), facts, rows = account(path, block)
    assert content == len(FILES[name])
    assert rows
    assert messages > 0
    if name == "dnstap":
        # Of a query that stands in two frames both copies are octets of messages.
        held = sum(len(row.octets) for row in rows)
        assert messages == held + facts.duplicates * len(query())
    path.write_bytes(gzip.compress(FILES[name]))
    assert account(path, block)[0][0] == len(FILES[name])


def test_what_packets_hold_is_told_apart(tmp_path):
    path = tmp_path / "packets"
    one = udp4(query(), ipid=7)
    other = udp4(b"no message at all, of other ports", sport=5000, dport=5001)
    pieces = pieces4(udp4(BIG, sport=53, dport=4000, ipid=99), 400)
    way = Way(server=True)
    data = framed(response(), BIG)
    lone = pieces4(udp4(BIG, sport=53, dport=4001, ipid=98), 400)[1]
    sent = [one, one, other, *pieces, way.syn(), *way.cut(data, [500]), way.fin(), lone]
    path.write_bytes(pcap([(T0 + i * 10**6, packet) for i, packet in enumerate(sent)], link=101))
    found, facts, rows = account(path)
    assert len(rows) == 4
    # A message over TCP counts with its two octets of length, and a copy as a message.
    messages = 2 * len(query()) + len(BIG) + len(data)
    # A connection's own packets are headers and no more.
    headers = sum(len(packet) for packet in sent) - messages - len(other) - len(lone)
    records = 24 + 16 * len(sent)
    assert found[1:] == (messages, len(other), headers + records, len(lone))
    assert facts.losses.as_dict() == {"fragment-incomplete": 1}


def test_octets_of_a_stream_between_messages_are_lost(tmp_path):
    path = tmp_path / "stream"
    way = Way(server=True)
    data = framed(response()) + b"\0\1junk" + framed(response("b.example.", 4))
    path.write_bytes(pcap([(T0, way.syn()), (T0 + 1000, way.send(data))], link=101))
    (_, messages, other, _, lost), facts, rows = account(path)
    assert len(rows) == 2
    assert (messages, other, lost) == (len(data) - 6, 0, 6)
    # The packet carries messages, so that no packet is lost.
    assert (facts.losses.as_dict(), facts.carriers) == ({}, 1)


@pytest.mark.skipif(not DE.is_file(), reason="the capture is not here")
def test_real_dnstap():
    (content, messages, other, framing, lost), _, rows = account(DE)
    assert messages == sum(len(row.octets) for row in rows)
    assert (other, lost) == (0, 0)
    assert content == messages + framing


@pytest.mark.parametrize("name", ["dnsdist", "outgoing", "recursor"])
def test_real_powerdns_logs(name):
    path = HERE / "powerdns_log" / f"{name}.pb"
    (content, messages, other, framing, lost), facts, _ = account(path)
    assert content == path.stat().st_size
    assert (other, framing, lost) == (0, 2 * facts.packets, 0)
    assert messages == content - framing


@QUIET
@given(
    st.sampled_from(sorted(FILES)),
    st.integers(0, 2**32),
    st.integers(0, 6),
    st.floats(0.3, 1),
    st.sampled_from([limits.BLOCK_OCTETS, 97]),
)
def test_damaged_files(tmp_path, name, seed, flips, kept, block):
    chance = random.Random(seed)
    data = bytearray(FILES[name][: int(len(FILES[name]) * kept)])
    for _ in range(flips):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path = tmp_path / "damaged"
    path.write_bytes(bytes(data))
    try:
        (content, *_), _, _ = account(path, block)
    except InputError:
        return
    assert content == len(data)


@pytest.mark.parametrize("name", sorted(FILES))
def test_what_lies_behind_the_end_of_reading_is_lost_too(tmp_path, monkeypatch, name):
    monkeypatch.setattr(limits, "RESYNC_OCTETS", 2000)
    path = tmp_path / "stopped"
    damage = b"\xff" * 300_000
    path.write_bytes(FILES[name] + damage + FILES[name])
    for block in (limits.BLOCK_OCTETS, 1000):
        (content, _, _, _, lost), facts, _ = account(path, block)
        assert content == path.stat().st_size
        assert lost >= len(damage)
        assert facts.stopped_by is not None
