"""DNS over TLS (RFC 7858) is decrypted where its secrets are given, and nothing else is made up."""

from __future__ import annotations

import itertools
import random
import struct
from collections import Counter

import pytest
from capture_files import (
    T0,
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
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tcp_files import SYN, framed
from tls_files import Ends, asked, talk

from forensics import limits
from forensics.capture.readers import open_capture
from forensics.capture.reassembly import Reassembly
from forensics.capture.tls_records import SUITES, reader13
from forensics.capture.tls_secrets import Secrets, read_keylogs
from forensics.errors import UsageError
from forensics.vocabulary import LOSSES, NOT_READ, MessageFlag, Transport

MS = 10**6
QUIET = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PAIRS = [(query(f"n{i}.example.", i), response(f"n{i}.example.", i, 3)) for i in range(4)]


def _large(count):
    """A response with so many addresses of 28 octets."""
    import dns.message
    import dns.rrset

    message = dns.message.make_response(dns.message.from_wire(query("big.example.", 9, "AAAA")))
    texts = [f"2001:db8::{i:x}" for i in range(count)]
    message.answer.append(dns.rrset.from_text("big.example.", 300, "IN", "AAAA", *texts))
    return message.to_wire(max_size=65535)


SAID = asked(*PAIRS, (query("big.example.", 9, "AAAA"), _large(1400)))
"""The last response needs three records."""
SHORT = asked(*PAIRS[:2], (query("big.example.", 9, "AAAA"), _large(200)))
SENT_SHORT = [octets[2:] for _, octets in SHORT]
SENT = [octets[2:] for _, octets in SAID]
KINDS = [
    {"version": 13},
    {"version": 13, "retry": True},
    {"version": 12, "ciphers": "ECDHE-RSA-AES128-GCM-SHA256"},
    {"version": 12, "ciphers": "ECDHE-RSA-AES256-GCM-SHA384"},
    {"version": 12, "ciphers": "ECDHE-RSA-CHACHA20-POLY1305"},
    {"version": 12, "ciphers": "AES256-GCM-SHA384"},
]


def secrets_of(*keylogs):
    secrets = Secrets()
    for keylog in keylogs:
        assert secrets.add(keylog)
    return secrets


def of(tmp_path, packets, *keylogs, block=limits.BLOCK_OCTETS, **options):
    """Read IP packets, a millisecond apart, with these key logs."""
    path = tmp_path / "capture.pcap"
    timed = [(T0 + i * MS, packet) for i, packet in enumerate(packets)]
    path.write_bytes(pcap(timed, link=101, **options))
    return read(path, block, secrets=secrets_of(*keylogs))


def lines(keylog, *labels):
    """The lines of a key log with these labels."""
    return b"".join(
        line + b"\n" for line in keylog.splitlines() if line.split()[0].decode() in labels
    )


@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 64])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: " ".join(map(str, kind.values())))
def test_a_connection(tmp_path, kind, block):
    made = talk(SAID, **kind)
    facts, rows = of(tmp_path, Ends().all(made), made.keylog, block=block)
    assert [row.octets for row in rows] == SENT
    assert {row.transport for row in rows} == {int(Transport.DOT)}
    assert {(row.flags, row.length - len(row.octets)) for row in rows} == {(0, 0)}
    assert [row.source_port for row in rows] == [40000, 853] * len(PAIRS) + [40000, 853]
    assert [row.destination for row in rows[:2]] == ["198.51.100.2", "192.0.2.1"]
    assert losses(facts) == {}
    # The longest message came in several records and many packets, the last of which is its frame.
    assert rows[-1].frame == facts.packets - 2
    assert rows[-1].time == T0 + (facts.packets - 3) * MS


def test_a_frame_is_that_of_the_packet_that_completes_a_message(tmp_path):
    made = talk(SAID)
    ends = Ends()
    packets = ends.opening()
    expected = []
    for flight in made.flights:
        packets += ends.sends(flight.client, flight.octets, 100)
        expected.append((len(packets), flight.client))
    _, rows = of(tmp_path, packets, made.keylog)
    assert [(row.frame, row.source == "192.0.2.1") for row in rows] == expected[-len(SENT) :]


def test_without_its_secrets_a_connection_is_counted_as_before(tmp_path):
    made, other = talk(SAID), talk(asked(PAIRS[0]))
    packets = Ends().all(made)
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap([(T0, packet) for packet in packets], link=101))
    before, _ = read(path)
    facts, rows = read(path, secrets=secrets_of(other.keylog))
    assert not rows
    assert losses(facts) == losses(before) == {"dns-over-tls": len(packets) - 5}
    assert facts.losses.octets == before.losses.octets
    assert facts.ledger == before.ledger
    assert facts.losses.rows()[0].frame == before.losses.rows()[0].frame == 4


@pytest.mark.parametrize("retry", [False, True])
def test_a_key_log_without_the_secrets_of_the_handshake(tmp_path, retry):
    made = talk(SAID, retry=retry)
    keylog = lines(made.keylog, "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")
    facts, rows = of(tmp_path, Ends().all(made), keylog)
    assert [row.octets for row in rows] == SENT
    assert losses(facts) == {}


def test_a_key_log_of_one_way_only(tmp_path):
    made = talk(SAID)
    keylog = lines(made.keylog, "SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0")
    facts, rows = of(tmp_path, Ends().all(made), keylog)
    assert [row.octets for row in rows] == SENT[1::2]
    # The client's own: the end of the handshake, and five queries.
    assert losses(facts) == {"dns-over-tls": 6}


@pytest.mark.parametrize("cipher", ["ECDHE-RSA-AES128-SHA256", "AES128-SHA"])
def test_suites_that_are_not_read_are_named(tmp_path, cipher):
    made = talk(SAID, version=12, ciphers=cipher)
    facts, rows = of(tmp_path, Ends().all(made), made.keylog)
    assert not rows
    assert losses(facts) == {"tls-suite": facts.packets - 5}


def test_key_schedule_of_rfc_8448_section_3():
    secret = bytes.fromhex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
    reader = reader13(SUITES[0x1301], secret)
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = bytes.fromhex("3fce516009c21727d0f2e4e86ee403bc")
    nonce = bytes.fromhex("5d313eb2671276ee13000b30")
    header = b"\x17\x03\x03\0\x20"
    assert reader.open(header, AESGCM(key).encrypt(nonce, b"held" + b"\x17", header)) == b"held\x17"
    assert reader13(SUITES[0x1302], secret) is None


# Shapes of the capture


@pytest.mark.parametrize("version", [12, 13])
def test_missing_segment_loses_what_is_behind_it(tmp_path, version):
    made = talk(SAID, version=version)
    packets = Ends().all(made, 400)
    # Of the last response one packet in the middle is missing.
    del packets[-20]
    facts, rows = of(tmp_path, packets, made.keylog)
    cut = rows.pop()
    assert [row.octets for row in rows] == SENT[:-1]
    if cut.flags & MessageFlag.CUT:
        assert SENT[-1].startswith(cut.octets)
        assert cut.length == len(SENT[-1])
    assert set(losses(facts)) <= {"tls-incomplete", "message-cut"}
    assert losses(facts)["tls-incomplete"] >= 17


def test_capture_that_begins_amid_a_connection(tmp_path):
    made = talk(SAID)
    packets = Ends().all(made)
    for begin in (4, 5, 6, 7):
        facts, rows = of(tmp_path, packets[begin:], made.keylog)
        assert not rows
        assert set(losses(facts)) == {"tls-incomplete"}
        assert facts.other == 2


def test_without_syn_the_hellos_are_enough(tmp_path):
    made = talk(SAID)
    packets = Ends().all(made)[3:]
    _, rows = of(tmp_path, packets, made.keylog)
    assert [row.octets for row in rows] == SENT


def test_octets_that_are_no_tls(tmp_path):
    ends = Ends()
    packets = [*ends.opening(), ends.packet(True, framed(query())), ends.packet(False, b"\x16\3\3")]
    facts, rows = of(tmp_path, packets, talk(SAID).keylog)
    assert not rows
    assert losses(facts) == {"tls-damaged": 1, "tls-incomplete": 1}


def test_what_is_no_dns_behind_tls_is_no_message(tmp_path):
    made = talk(((True, b"GET / HTTP/1.1\r\n\r\n"), (False, b"\0\3abc"), (True, framed(query()))))
    facts, rows = of(tmp_path, Ends().all(made), made.keylog)
    # By its port a length is believed until it cannot be one.
    assert [row.octets for row in rows if not row.flags & MessageFlag.CUT] == []
    assert losses(facts)["tcp-framing"] == 1
    facts, rows = of(tmp_path, Ends(service=8443).all(made), made.keylog)
    assert (rows, losses(facts), facts.other) == ([], {}, facts.packets)


@pytest.mark.parametrize("service", [443, 8853])
def test_other_ports_where_the_messages_prove_it(tmp_path, service):
    made = talk(SAID)
    facts, rows = of(tmp_path, Ends(service=service).all(made), made.keylog)
    assert [row.octets for row in rows] == SENT
    assert rows[0].destination_port == service
    assert losses(facts) == {}


def test_other_ports_without_secrets_are_other_traffic(tmp_path):
    made, other = talk(SAID), talk(asked(PAIRS[0]))
    facts, rows = of(tmp_path, Ends(service=443).all(made), other.keylog)
    assert (rows, losses(facts), facts.other) == ([], {}, facts.packets)


def test_port_that_is_used_again(tmp_path):
    first, second = talk(asked(PAIRS[0])), talk(asked(PAIRS[1]), version=12)
    for quiet in (0, 3):
        packets = Ends(starts=(1000, 77)).all(first)
        packets += Ends(starts=(2**31 + 5, 2**30)).all(second)[quiet:]
        _, rows = of(tmp_path, packets, first.keylog, second.keylog)
        assert [row.octets for row in rows] == [*PAIRS[0], *PAIRS[1]]


def test_zone_transfer_over_tls(tmp_path):
    import dns.message
    import dns.rrset

    question = dns.message.make_query("example.", "AXFR")
    parts = []
    for i in range(3):
        part = dns.message.make_response(question)
        part.answer.append(dns.rrset.from_text(f"n{i}.example.", 300, "IN", "A", "192.0.2.1"))
        if i:
            part.question = []
        parts.append(part.to_wire())
    made = talk(((True, framed(question.to_wire())), (False, framed(*parts))))
    _, rows = of(tmp_path, Ends().all(made), made.keylog)
    continued = int(MessageFlag.CONTINUED)
    assert [row.flags for row in rows] == [0, 0, continued, continued]


def _shaken(packets, seed):
    """The packets a little out of order, some of them twice."""
    chance = random.Random(seed)
    order = sorted(range(len(packets)), key=lambda i: i + chance.random() * 4)
    shaken = []
    for i in order:
        shaken += [packets[i]] * (1 + (chance.random() < 0.2))
    return shaken


@QUIET
@given(
    st.sampled_from(KINDS),
    st.integers(150, 3000),
    st.integers(0, 2**32),
    st.sampled_from([512, limits.BLOCK_OCTETS]),
)
def test_any_segments_in_any_order_give_the_same_messages(tmp_path, kind, size, seed, block):
    made = talk(SHORT, **kind)
    packets = _shaken(Ends(starts=(2**32 - 300, 2**32 - 9000)).all(made, size)[2:], seed)
    packets = Ends(starts=(2**32 - 300, 2**32 - 9000)).opening()[:2] + packets
    facts, rows = of(tmp_path, packets, made.keylog, block=block)
    for port in (40000, 853):
        mine = [row.octets for row in rows if row.source_port == port]
        assert mine == SENT_SHORT[port == 853 :: 2]
    assert losses(facts) == {}


@QUIET
@given(st.sampled_from(KINDS), st.integers(150, 3000), st.lists(st.integers(0, 200), max_size=4))
def test_files_cut_anywhere_change_nothing(tmp_path, kind, size, cuts):
    made = talk(SHORT, **kind)
    timed = [(T0 + i * MS, packet) for i, packet in enumerate(Ends().all(made, size))]
    edges = sorted({min(cut, len(timed)) for cut in cuts} | {0, len(timed)})
    reassembly = Reassembly(secrets=secrets_of(made.keylog))
    found, facts = [], []
    for number, (begin, end) in enumerate(itertools.pairwise(edges)):
        path = tmp_path / f"{number}.pcap"
        path.write_bytes(pcap(timed[begin:end], link=101))
        capture = open_capture(str(path), number, reassembly=reassembly)
        found += list(capture.blocks())
        facts.append(capture.facts)
    found += list(reassembly.finish())
    rows = [
        (edges[number] + int(frame), block.octets[at : at + size].tobytes())
        for block in found
        for number, frame, at, size in zip(
            block.captures.tolist(), block.frame, block.start, block.captured, strict=True
        )
    ]
    path = tmp_path / "whole.pcap"
    path.write_bytes(pcap(timed, link=101))
    whole, expected = read(path, secrets=secrets_of(made.keylog))
    assert rows == [(row.frame, row.octets) for row in expected]
    assert sum(one.carriers for one in facts) == whole.carriers
    assert all(not losses(one) for one in facts)


@settings(QUIET, max_examples=40)
@given(st.data())
def test_damage_never_makes_a_message(tmp_path, data):
    made = talk(SHORT, **data.draw(st.sampled_from(KINDS)))
    packets = Ends().all(made, data.draw(st.sampled_from([300, 700, 1460])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(packets) - 1))
        packet = bytearray(packets[at])
        match data.draw(st.sampled_from(["flip", "cut", "drop"])):
            case "flip":
                packet[data.draw(st.integers(0, len(packet) - 1))] ^= 1 << data.draw(
                    st.integers(0, 7)
                )
                packets[at] = bytes(packet)
            case "cut":
                packets[at] = bytes(packet[: data.draw(st.integers(1, len(packet)))])
            case "drop" if len(packets) > 1:
                del packets[at]
    _, rows = of(tmp_path, packets, made.keylog)
    for row in rows:
        if row.transport != Transport.DOT:
            continue
        whole = [one for one in SENT_SHORT if one.startswith(row.octets)]
        assert whole
        assert len(row.octets) == row.length or row.flags & MessageFlag.CUT
    sent = Counter(row.octets for row in rows)
    assert max(sent.values(), default=1) == 1


# Secrets


def _ng(packets, blocks):
    """A pcapng with blocks of secrets before the packets of these numbers."""
    content = ng_section() + ng_interface(101)
    for i, packet in enumerate(packets):
        for keylog in (text for at, text in blocks if at == i):
            content += ng_block(10, struct.pack("<II", 0x544C534B, len(keylog)) + keylog)
        content += ng_packet((T0 + i * MS) // 1000, packet)
    return content


@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 64])
def test_secrets_in_a_pcapng(tmp_path, block):
    made = talk(SAID)
    packets = Ends().all(made)
    path = tmp_path / "own.pcapng"
    # Before everything; before the first packet that needs them; line by line.
    each = [(4, line + b"\n") for line in made.keylog.splitlines() if line[:1] != b"#"]
    for blocks in ([(0, made.keylog)], [(4, made.keylog)], each):
        path.write_bytes(_ng(packets, [(0, talk(asked(PAIRS[0])).keylog), *blocks]))
        facts, rows = read(path, block)
        assert [row.octets for row in rows] == SENT
        assert losses(facts) == {}


@pytest.mark.parametrize("block", [limits.BLOCK_OCTETS, 64])
def test_secrets_that_come_too_late(tmp_path, block):
    made, other = talk(SAID), talk(asked(PAIRS[0]))
    packets = Ends().all(made)
    path = tmp_path / "own.pcapng"
    path.write_bytes(_ng(packets, [(0, other.keylog), (len(packets) - 3, made.keylog)]))
    facts, rows = read(path, block)
    assert not rows
    assert losses(facts) == {"dns-over-tls": len(packets) - 5}


def test_blocks_of_secrets_that_hold_none_are_told(tmp_path, monkeypatch):
    path = tmp_path / "own.pcapng"
    made = talk(SAID)
    path.write_bytes(_ng([ethernet(b"\x45")[14:]], [(0, b"nothing"), (0, b"")]))
    facts, _ = read(path)
    assert losses(facts)["tls-secrets"] == 2
    monkeypatch.setattr(limits, "TLS_SECRETS", 0)
    path.write_bytes(_ng(Ends().all(made), [(0, made.keylog)]))
    facts, rows = read(path)
    assert not rows
    assert losses(facts)["tls-secrets"] == 1


def test_key_logs_that_cannot_be_used(tmp_path, monkeypatch):
    path = tmp_path / "keys"
    for content, why in (
        (None, "cannot be read: no such file"),
        (b"", "offset 0: no line of a key log"),
        (b"CLIENT_RANDOM 00 11\n", "no line of a key log"),
        (b"\xff\xfe" * 99, "no line of a key log"),
    ):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UsageError, match=why):
            read_keylogs([str(path)])
    path.write_bytes(b"# a comment\r\n" + talk(SAID).keylog.replace(b"\n", b"\r\n"))
    assert len(read_keylogs([str(path), str(path)])) == 1
    monkeypatch.setattr(limits, "TLS_SECRETS", 0)
    with pytest.raises(UsageError, match="more than 0 connections"):
        read_keylogs([str(path)])
    monkeypatch.setattr(limits, "TLS_KEYLOG_OCTETS", 10)
    with pytest.raises(UsageError, match="too long"):
        read_keylogs([str(path)])


def test_encrypted_is_no_damage_and_damage_is():
    assert "tls-suite" in NOT_READ
    assert {"tls-incomplete", "tls-damaged"} <= LOSSES.keys() - NOT_READ


# Limits


def test_more_connections_than_are_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "TLS_CONNECTIONS", 4)
    made = [talk(asked(pair)) for pair in PAIRS[:2]]
    slow, quick = Ends(port=1111), Ends(port=2222)
    packets = slow.opening()
    for flight in made[0].flights[:3]:
        packets += slow.sends(flight.client, flight.octets)
    for i in range(9):
        # Each a hello, and nothing more.
        packets += Ends(port=3000 + i).opening()
        packets.append(
            Ends(port=3000 + i, starts=(1001, 78)).packet(True, made[0].flights[0].octets)
        )
    packets += quick.all(made[1])
    for flight in made[0].flights[3:]:
        packets += slow.sends(flight.client, flight.octets)
    facts, rows = of(tmp_path, packets, made[0].keylog, made[1].keylog)
    assert [row.octets for row in rows] == list(PAIRS[1])
    assert losses(facts)["tls-incomplete"] >= 9


def test_what_is_held_is_bounded(tmp_path, monkeypatch):
    made = talk(SAID)
    ends = Ends()
    first = ends.opening()
    first.append(ends.packet(True, made.flights[0].octets))
    ahead = [ends.packet(True, bytes(1400), seq=9000 + 1400 * i) for i in range(300)]
    facts, rows = of(tmp_path, [*first, *ahead], made.keylog)
    assert not rows
    assert losses(facts)["stream-limit"] >= 100
    monkeypatch.setattr(limits, "TLS_OCTETS", 100_000)
    facts, _ = of(tmp_path, [*first, *ahead], made.keylog)
    assert losses(facts)["stream-evicted"] == 1


def test_flood_of_syns_harms_no_one(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "TLS_CONNECTIONS", 4)
    made = talk(SAID)
    packets = Ends().all(made)
    flood = [Ends(port=i + 1).packet(True, flags=SYN) for i in range(99)]
    _, rows = of(tmp_path, [*packets[:3], *flood, *packets[3:]], made.keylog)
    assert [row.octets for row in rows] == SENT
