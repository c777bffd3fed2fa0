"""From the link layer to the message: what is found, what is passed over, and what is counted."""

from __future__ import annotations

import random
import struct

import pytest
from capture_files import T0, ethernet, framed, losses, pcap, query, read, response, udp4, udp6
from capture_files import scapy as sc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.vocabulary import MessageFlag

LINKS = (0, 1, 12, 14, 101, 108, 113, 276)
CUT = int(MessageFlag.CUT)
QUIET = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def of(tmp_path, packets, **options):
    """Read packets, a millisecond apart, through a pcap file."""
    timed = [(T0 + i * 10**6, packet) for i, packet in enumerate(packets)]
    ports = options.pop("ports", frozenset())
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(timed, **options))
    return read(path, ports=ports)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34])
def test_every_link_type_byte_order_and_magic(tmp_path, link, order, magic):
    payloads = [query(), response(), query("a.example."), response("a.example.", 9)]
    packets = [
        framed(udp4(payloads[0]), link),
        framed(udp4(payloads[1], sport=53, dport=40000, ipid=7), link),
        framed(udp6(payloads[2]), link),
        framed(udp6(payloads[3], sport=53, dport=40001), link),
    ]
    facts, rows = of(tmp_path, packets, link=link, order=order, magic=magic)
    assert [row.octets for row in rows] == payloads
    assert [row.length for row in rows] == [len(payload) for payload in payloads]
    assert [row.time for row in rows] == [T0 + i * 10**6 for i in range(4)]
    assert [row.frame for row in rows] == [1, 2, 3, 4]
    assert [row.source for row in rows] == ["192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::1"]
    assert rows[0].destination == "198.51.100.2"
    assert rows[2].destination == "2001:db8::2"
    assert [row.source_port for row in rows] == [40000, 53, 40000, 53]
    assert [row.destination_port for row in rows] == [53, 40000, 53, 40001]
    assert {(row.flags, row.transport, row.kind, row.identity) for row in rows} == {(0, 0, 0, "")}
    assert losses(facts) == {}
    assert len(facts.link_types) == 1


@pytest.mark.parametrize("link", [228, 229])
def test_raw_link_types_of_one_family(tmp_path, link):
    packet = udp4(query()) if link == 228 else udp6(query())
    _, rows = of(tmp_path, [packet], link=link)
    assert [row.octets for row in rows] == [query()]


def test_null_in_the_other_byte_order(tmp_path):
    swapped = struct.pack(">I", 2) + udp4(query())
    facts, rows = of(tmp_path, [swapped, struct.pack("<I", 7) + udp4(query())], link=0)
    assert len(rows) == 1
    assert facts.other == 1


def test_nanoseconds_are_kept(tmp_path):
    path = tmp_path / "nano.pcap"
    path.write_bytes(pcap([(T0 + 123_456_789, udp4(query()))], link=101, magic=0xA1B23C4D))
    assert [row.time for row in read(path)[1]] == [T0 + 123_456_789]


def test_time_beyond_2038(tmp_path):
    late = (2**32 - 1) * 10**9 + 999_999_000
    path = tmp_path / "late.pcap"
    path.write_bytes(pcap([(late, udp4(query()))], link=101))
    assert [row.time for row in read(path)[1]] == [late]


def test_frame_check_sequence_in_the_link_type(tmp_path):
    # Four octets of FCS behind each frame, said in the upper bits: draft-ietf-opsawg-pcap 4.
    frame = ethernet(udp4(query()), padding=b"\1\2\3\4")
    _, rows = of(tmp_path, [frame], link=0x24000001)
    assert [row.octets for row in rows] == [query()]


@pytest.mark.parametrize(
    "tags", [(0x8100,), (0x88A8, 0x8100), (0x9100, 0x8100), (0x8100, 0x8100, 0x8100)]
)
def test_stacked_vlan_tags(tmp_path, tags):
    facts, rows = of(tmp_path, [ethernet(udp4(query()), tags), ethernet(udp6(query()), tags)])
    assert [row.octets for row in rows] == [query(), query()]
    assert facts.other == 0


def test_pppoe_session(tmp_path):
    packet = udp4(query())
    head = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x88\x64\x11\x00\x00\x01"
    length = struct.pack(">H", len(packet) + 2)
    _, rows = of(tmp_path, [head + length + b"\x00\x21" + packet])
    assert [row.octets for row in rows] == [query()]


def test_ethernet_padding_is_no_part_of_the_message(tmp_path):
    short = bytes.fromhex("002a01000001000000000000") + b"\0\0\2\0\1"
    _, rows = of(tmp_path, [ethernet(udp4(short), padding=bytes(18))])
    assert [(row.octets, row.length, row.flags) for row in rows] == [(short, len(short), 0)]


def test_ipv4_options(tmp_path):
    packet = bytes(
        sc.IP(src="192.0.2.1", dst="192.0.2.2", options=[sc.IPOption_RR(), sc.IPOption_NOP()])
        / sc.UDP(sport=4000, dport=53)
        / sc.Raw(query())
    )
    assert packet[0] & 15 > 5
    _, rows = of(tmp_path, [packet], link=101)
    assert [row.octets for row in rows] == [query()]


def test_ipv6_extension_headers(tmp_path):
    packet = udp6(
        query(),
        between=(
            sc.IPv6ExtHdrHopByHop(),
            sc.IPv6ExtHdrDestOpt(),
            sc.IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=0),
            sc.IPv6ExtHdrFragment(offset=0, m=0),
        ),
    )
    _, rows = of(tmp_path, [packet], link=101)
    assert [(row.octets, row.flags) for row in rows] == [(query(), 0)]


def test_ipv6_authentication_header(tmp_path):
    plain = udp6(query())
    # RFC 4302: next header, length in words less two, reserved, SPI, sequence, 12 octets of ICV.
    header = struct.pack(">BBHII", 17, 4, 0, 1, 1) + bytes(12)
    length = struct.pack(">H", len(plain) - 40 + len(header))
    packet = plain[:4] + length + b"\x33" + plain[7:40] + header + plain[40:]
    _, rows = of(tmp_path, [packet], link=101)
    assert [row.octets for row in rows] == [query()]


def test_lengths_of_zero_are_filled_in_from_the_packet(tmp_path):
    packet = bytearray(udp4(query()))
    packet[2:4] = packet[24:26] = b"\0\0"
    jumbo = bytearray(udp6(query()))
    jumbo[4:6] = jumbo[44:46] = b"\0\0"
    _, rows = of(tmp_path, [bytes(packet), bytes(jumbo)], link=101)
    assert [(row.octets, row.flags) for row in rows] == [(query(), 0), (query(), 0)]


@pytest.mark.parametrize("snaplen", [40, 53, 54, 60, 70])
def test_snapshot_length_cuts_messages(tmp_path, snaplen):
    payload = response(count=4)
    packet = ethernet(udp4(payload, sport=53, dport=4000))
    facts, rows = of(tmp_path, [packet], snaplen=snaplen)
    held = snaplen - 14 - 20 - 8
    if held < 0:
        assert losses(facts) == {"packet-cut": 1}
    elif held < 12:
        assert losses(facts) == {"message-short": 1}
    else:
        (row,) = rows
        assert (row.octets, row.length, row.flags) == (payload[:held], len(payload), CUT)
        assert losses(facts) == {"message-cut": 1}
        (loss,) = facts.losses.rows()
        assert loss.octets == len(payload) - held


def test_udp_length_beyond_the_packet_is_a_cut_message(tmp_path):
    packet = bytearray(udp4(query()))
    packet[24:26] = struct.pack(">H", len(query()) + 8 + 100)
    _, rows = of(tmp_path, [bytes(packet)], link=101)
    assert [(row.octets, row.length, row.flags) for row in rows] == [
        (query(), len(query()) + 100, CUT)
    ]


def test_impossible_headers_are_counted(tmp_path):
    udp = bytearray(udp4(query()))
    udp[24:26] = b"\0\7"
    short_header = bytearray(udp4(query()))
    short_header[0] = 0x44
    version = bytearray(udp4(query()))
    version[0] = 0x95
    total = bytearray(udp4(query()))
    total[2:4] = b"\0\x10"
    packets = [bytes(udp), bytes(short_header), bytes(version), bytes(total)]
    facts, rows = of(tmp_path, packets, link=101)
    assert rows == []
    assert losses(facts) == {"ip-malformed": 3, "udp-malformed": 1}
    assert [(loss.frame, loss.offset) for loss in facts.losses.rows()] == [
        (1, 24 + 16),
        (2, 24 + 16 + len(packets[0]) + 16),
    ]


@pytest.mark.parametrize("port", [5353, 5355, 137])
def test_look_alikes_are_other_traffic_unless_port_53_takes_part(tmp_path, port):
    packets = [udp4(query(), sport=port, dport=port), udp4(query(), sport=port, dport=53)]
    facts, rows = of(tmp_path, packets, link=101)
    assert [row.frame for row in rows] == [2]
    assert facts.other == 1


def test_messages_on_other_ports_are_recognised(tmp_path):
    packets = [
        udp4(query(), dport=5300),
        udp4(response(count=9), sport=5300, dport=40000, ipid=2),
        udp4(query() + b"\0", dport=5300),  # an octet too many
        udp4(query()[:-1], dport=5300),  # an octet too few
    ]
    facts, rows = of(tmp_path, packets, link=101)
    assert [row.frame for row in rows] == [1, 2]
    assert facts.other == 2


def test_port_given_by_the_user_always_carries_dns(tmp_path):
    odd = query() + b"\0"
    _, rows = of(tmp_path, [udp4(odd, dport=5300), udp4(odd, sport=5300, dport=9)], link=101)
    assert rows == []
    ports = frozenset({5300})
    _, rows = of(
        tmp_path, [udp4(odd, dport=5300), udp4(odd, sport=5300, dport=9)], link=101, ports=ports
    )
    assert [row.octets for row in rows] == [odd, odd]


@QUIET
@given(st.lists(st.binary(min_size=0, max_size=120), min_size=1, max_size=20))
def test_random_payloads_on_other_ports_are_not_dns(tmp_path, payloads):
    packets = [
        udp4(payload, sport=6000, dport=7000, ipid=i + 2) for i, payload in enumerate(payloads)
    ]
    facts, rows = of(tmp_path, packets, link=101)
    for row in rows:
        # What is accepted must be a message to dnspython as well.
        import dns.message

        dns.message.from_wire(row.octets)
    assert facts.other + len(rows) == len(payloads)


def test_thousand_random_datagrams_hold_no_message(tmp_path):
    chance = random.Random(1)
    packets = [udp4(chance.randbytes(100), sport=6000, dport=7000, ipid=i) for i in range(1000)]
    facts, _ = of(tmp_path, packets, link=101)
    assert facts.messages == 0


def test_quoted_message_in_icmp_is_other_traffic(tmp_path):
    quoted = udp4(query())
    packet = bytes(sc.IP(src="192.0.2.9", dst="192.0.2.1") / sc.ICMP(type=3, code=3)) + quoted
    fixed = bytearray(packet)
    fixed[2:4] = struct.pack(">H", len(packet))
    facts, rows = of(tmp_path, [bytes(fixed)], link=101)
    assert (rows, facts.other, losses(facts)) == ([], 1, {})


def test_unknown_link_type_is_a_loss_that_names_it(tmp_path):
    facts, rows = of(tmp_path, [udp4(query())] * 3, link=147)
    assert rows == []
    assert losses(facts) == {"link-type-unknown": 3}
    (loss,) = facts.losses.rows()
    assert "LINKTYPE_147" in loss.detail
    assert (loss.frame, loss.offset) == (1, 40)
    assert facts.link_types == ["LINKTYPE_147"]


def test_arp_and_short_frames(tmp_path):
    arp = bytes(sc.Ether(type=0x806) / sc.ARP())
    facts, rows = of(tmp_path, [arp, b"\1\2\3", b""])
    assert rows == []
    assert facts.other == 1
    assert losses(facts) == {"packet-cut": 2}


@QUIET
@given(
    st.lists(
        st.tuples(
            st.sampled_from(LINKS),
            st.booleans(),
            st.integers(1, 65535),
            st.binary(min_size=12, max_size=300),
            st.integers(0, 2**32 - 1),
            st.integers(0, 999_999),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from("<>"),
)
def test_round_trip(tmp_path, drawn, order):
    link = drawn[0][0]
    packets, expected = [], []
    for i, (_, six, port, payload, seconds, micro) in enumerate(drawn):
        build = udp6 if six else udp4
        packets.append(((seconds * 10**6 + micro) * 1000, framed(build(payload, sport=port), link)))
        expected.append((i + 1, packets[-1][0], port, payload))
    # Equal neighbours would be duplicates.
    unique = {(time, port, payload): None for _, time, port, payload in expected}
    if len(unique) < len(expected):
        return
    path = tmp_path / "round.pcap"
    path.write_bytes(pcap(packets, link=link, order=order))
    facts, rows = read(path)
    found = [(row.frame, row.time, row.source_port, row.octets) for row in rows]
    assert found == expected or facts.duplicates
    assert facts.packets == facts.messages + facts.duplicates
