"""Encapsulations: whatever a packet is wrapped in, the message is the same; and what is counted."""

from __future__ import annotations

import struct
import warnings

import pytest
from capture_files import T0, ethernet, losses, pcap, query, read, response, udp4, udp6
from capture_files import scapy as sc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics import limits
from forensics.capture.encapsulations import ENCAPSULATIONS
from forensics.capture.link import LINKS, SCAPY

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III
    from scapy.contrib.geneve import GENEVE
    from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
    from scapy.contrib.mpls import MPLS
    from scapy.contrib.nsh import NSH
    from scapy.layers.vxlan import VXLAN

QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _ip(packet):
    return sc.IPv6(packet) if packet[0] >> 4 == 6 else sc.IP(packet)


def _outer(six=False):
    if six:
        return sc.IPv6(src="2001:db8:1::1", dst="2001:db8:1::2")
    return sc.IP(src="203.0.113.1", dst="203.0.113.2", id=7)


def _frame(packet):
    return sc.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / _ip(packet)


def _ppp(packet):
    return sc.PPP(proto=0x57 if packet[0] >> 4 == 6 else 0x21) / _ip(packet)


def _udp(port):
    return sc.UDP(sport=51234, dport=port, chksum=0)


# From an IP packet to an IP packet that carries it, and what is counted for it.
TUNNELS = {
    "ip-in-ip": (lambda p: _outer() / _ip(p), {"ip-in-ip"}),
    "ip-in-ip-6": (lambda p: _outer(six=True) / _ip(p), {"ip-in-ip"}),
    "gre": (lambda p: _outer() / sc.GRE() / _ip(p), {"gre"}),
    "gre-options": (
        lambda p: (
            _outer()
            / sc.GRE(chksum_present=1, key_present=1, seqnum_present=1, key=5, sequence_number=9)
            / _ip(p)
        ),
        {"gre"},
    ),
    "gre-in-ipv6": (lambda p: _outer(six=True) / sc.GRE() / _ip(p), {"gre"}),
    "nvgre": (
        lambda p: _outer() / sc.GRE(proto=0x6558, key_present=1, key=0x1234500) / _frame(p),
        {"gre"},
    ),
    "pptp": (
        lambda p: (
            _outer()
            / sc.GRE_PPTP(seqnum_present=1, sequence_number=3, call_id=4)
            / sc.Raw(b"\xff\x03" + bytes(_ppp(p)))
        ),
        {"gre", "ppp"},
    ),
    "erspan-1": (
        lambda p: _outer() / sc.GRE(proto=0x88BE) / ERSPAN_I() / _frame(p),
        {"gre", "erspan"},
    ),
    "erspan-2": (
        lambda p: (
            _outer()
            / sc.GRE(proto=0x88BE, seqnum_present=1, sequence_number=1)
            / ERSPAN_II()
            / _frame(p)
        ),
        {"gre", "erspan"},
    ),
    "erspan-3": (
        lambda p: (
            _outer()
            / sc.GRE(proto=0x22EB, seqnum_present=1, sequence_number=1)
            / ERSPAN_III()
            / _frame(p)
        ),
        {"gre", "erspan"},
    ),
    "vxlan": (lambda p: _outer() / _udp(4789) / VXLAN(vni=42) / _frame(p), {"vxlan"}),
    "vxlan-linux": (lambda p: _outer(six=True) / _udp(8472) / VXLAN(vni=42) / _frame(p), {"vxlan"}),
    "vxlan-tagged": (
        lambda p: _outer() / _udp(4789) / VXLAN(vni=42) / sc.Ether(ethernet(p, tags=(0x8100,))),
        {"vxlan", "vlan"},
    ),
    "geneve": (
        lambda p: _outer() / _udp(6081) / GENEVE(vni=42, proto=0x6558) / _frame(p),
        {"geneve"},
    ),
    "geneve-options": (
        lambda p: (
            _outer()
            / _udp(6081)
            / sc.Raw(
                b"\x02\0"
                + (b"\x86\xdd" if p[0] >> 4 == 6 else b"\x08\0")
                + bytes(4)
                + b"\x01\x02\x80\x01abcd"
            )
            / sc.Raw(p)
        ),
        {"geneve"},
    ),
    "gtp": (lambda p: _outer() / _udp(2152) / GTP_U_Header(teid=7) / _ip(p), {"gtp"}),
    "gtp-extended": (
        lambda p: (
            _outer()
            / _udp(2152)
            / GTP_U_Header(teid=7, E=1, next_ex=0x85)
            / GTPPDUSessionContainer(QFI=3)
            / _ip(p)
        ),
        {"gtp"},
    ),
    "etherip": (
        lambda p: _outer() / sc.Raw(b"\x30\0" + bytes(_frame(p))),
        {"etherip"},
    ),
    "mpls-in-udp": (lambda p: _outer() / _udp(6635) / MPLS(label=20, s=1) / sc.Raw(p), {"mpls"}),
}


def _wrap(name, packet):
    made = TUNNELS[name][0](packet)
    if name == "etherip":
        made[sc.IP].proto = 97
    return bytes(made)


# From an IP packet to a frame of a link type, and what is counted for it.
def _mpls_pseudowire(packet):
    return (
        ethernet(b"\0")[:12]
        + b"\x88\x47"
        + bytes(
            MPLS(label=16, s=0)
            / MPLS(label=17, s=1)
            / sc.Raw(b"\0\0\0\x05" + bytes(_frame(packet)))
        )
    )


def _tagged(kind, header, packet):
    return ethernet(b"\0")[:12] + struct.pack(">H", kind) + header + bytes(_frame(packet))[12:]


def _dot11(packet, **fields):
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\0"
    return bytes(sc.Dot11(type=2, **fields)) + b"\xaa\xaa\x03\0\0\0" + kind + packet


def _nsh(packet):
    following = 2 if packet[0] >> 4 == 6 else 1
    return (
        ethernet(b"\0")[:12]
        + b"\x89\x4f"
        + bytes(NSH(mdtype=2, nextproto=following, length=2))[:8]
        + packet
    )


FRAMES = {
    "vlan": (1, lambda p: ethernet(p, tags=(0x8100,)), {"vlan"}),
    "qinq": (1, lambda p: ethernet(p, tags=(0x88A8, 0x8100)), {"vlan", "qinq"}),
    "mpls": (
        1,
        lambda p: (
            ethernet(b"\0")[:12]
            + b"\x88\x47"
            + bytes(MPLS(label=16, s=0) / MPLS(label=17, s=1) / sc.Raw(p))
        ),
        {"mpls"},
    ),
    "mpls-pseudowire": (1, _mpls_pseudowire, {"mpls"}),
    "pppoe": (
        1,
        lambda p: ethernet(b"\0")[:12] + b"\x88\x64" + bytes(sc.PPPoE(sessionid=1) / _ppp(p)),
        {"pppoe", "ppp"},
    ),
    "llc": (
        1,
        lambda p: (
            ethernet(b"\0")[:12]
            + struct.pack(">H", len(p) + 8)
            + b"\xaa\xaa\x03\0\0\0"
            + (b"\x86\xdd" if p[0] >> 4 == 6 else b"\x08\0")
            + p
            + b"pad"
        ),
        set(),
    ),
    "vn-tag": (1, lambda p: _tagged(0x8926, bytes(4), p), set()),
    "e-tag": (1, lambda p: _tagged(0x893F, bytes(6), p), set()),
    "macsec-signed": (1, lambda p: _tagged(0x88E5, bytes(6), p) + b"sixteen octets..", set()),
    "nsh": (1, _nsh, {"nsh"}),
    "ppp": (9, lambda p: bytes(_ppp(p)), {"ppp"}),
    "ppp-addressed": (9, lambda p: b"\xff\x03" + bytes(_ppp(p)), {"ppp"}),
    "ppp-compressed": (9, lambda p: b"\x57" + p if p[0] >> 4 == 6 else b"\x21" + p, {"ppp"}),
    "ppp-hdlc": (50, lambda p: b"\xff\x03" + bytes(_ppp(p)), {"ppp"}),
    "cisco-hdlc": (
        104,
        lambda p: b"\x0f\0" + (b"\x86\xdd" if p[0] >> 4 == 6 else b"\x08\0") + p,
        set(),
    ),
    "pppoe-link": (51, lambda p: bytes(sc.PPPoE(sessionid=1) / _ppp(p)), {"pppoe", "ppp"}),
    "ppp-direction": (204, lambda p: b"\x01" + bytes(_ppp(p)), {"ppp"}),
    "802.11": (105, lambda p: _dot11(p, subtype=0, FCfield=1), {"ieee802-11"}),
    "802.11-quality": (
        105,
        lambda p: bytes(sc.Dot11(type=2, subtype=8, FCfield=2)) + b"\0\0" + _dot11(p)[24:],
        {"ieee802-11"},
    ),
    "radiotap": (
        127,
        lambda p: b"\0\0\x09\0\x02\0\0\0\0" + _dot11(p, subtype=0, FCfield=1) + b"fcs!",
        {"ieee802-11"},
    ),
    "ppi": (192, lambda p: b"\0\0\x08\0\x65\0\0\0" + p, set()),
    "prism": (119, lambda p: bytes(144) + _dot11(p, subtype=0), {"ieee802-11"}),
    "pflog": (117, lambda p: b"\x3d" + bytes(63) + p, set()),
    "ipoib": (
        242,
        lambda p: bytes(40) + (b"\x86\xdd" if p[0] >> 4 == 6 else b"\x08\0") + b"\0\0" + p,
        set(),
    ),
    "mpacket": (274, lambda p: bytes.fromhex("55555555555555d5") + ethernet(p), set()),
}


def _message(row):
    return row.source, row.source_port, row.destination, row.destination_port, row.octets


def _plain(packet, tmp_path):
    path = tmp_path / "plain.pcap"
    path.write_bytes(pcap([(T0, packet)], link=101))
    return _message(read(path)[1][0])


PACKETS = {"v4": udp4(query()), "v6": udp6(query()), "answer": udp4(response(), sport=53, dport=9)}


@pytest.mark.parametrize("kind", PACKETS)
@pytest.mark.parametrize("name", TUNNELS)
def test_message_in_a_tunnel_is_the_same_and_the_tunnel_is_counted(tmp_path, name, kind):
    path = tmp_path / "one.pcap"
    path.write_bytes(pcap([(T0, ethernet(_wrap(name, PACKETS[kind])))]))
    facts, rows = read(path)
    assert [_message(row) for row in rows] == [_plain(PACKETS[kind], tmp_path)]
    assert facts.encapsulations == dict.fromkeys(TUNNELS[name][1], 1)
    assert losses(facts) == {}
    assert facts.other == 0


@pytest.mark.parametrize("kind", PACKETS)
@pytest.mark.parametrize("name", FRAMES)
def test_message_below_a_link_header_is_the_same_and_the_header_is_counted(tmp_path, name, kind):
    link, frame, counted = FRAMES[name]
    path = tmp_path / "one.pcap"
    path.write_bytes(pcap([(T0, frame(PACKETS[kind]))], link=link))
    facts, rows = read(path)
    assert [_message(row) for row in rows] == [_plain(PACKETS[kind], tmp_path)]
    assert facts.encapsulations == dict.fromkeys(counted, 1)
    assert facts.link_types == [LINKS[link].name]
    assert losses(facts) == {}


@QUIET
@given(
    stack=st.lists(st.sampled_from(sorted(TUNNELS)), max_size=4),
    frame=st.sampled_from(["", *sorted(FRAMES)]),
    kind=st.sampled_from(sorted(PACKETS)),
)
def test_any_stack_of_encapsulations_leaves_the_message_unchanged(tmp_path, stack, frame, kind):
    packet = PACKETS[kind]
    for name in stack:
        packet = _wrap(name, packet)
    link, wrap, _ = FRAMES[frame] if frame else (1, ethernet, set())
    path = tmp_path / "one.pcap"
    path.write_bytes(pcap([(T0, wrap(packet))], link=link))
    facts, rows = read(path)
    assert [_message(row) for row in rows] == [_plain(PACKETS[kind], tmp_path)]
    assert losses(facts) == {}


def test_packet_counts_once_for_an_encapsulation_that_it_is_in_twice(tmp_path):
    packet = _wrap("gre", _wrap("gre", PACKETS["v4"]))
    path = tmp_path / "two.pcap"
    path.write_bytes(pcap([(T0, ethernet(packet)), (T0, ethernet(PACKETS["v6"]))]))
    facts, rows = read(path)
    assert len(rows) == 2
    assert facts.encapsulations == {"gre": 1}


def test_copy_outside_its_tunnel_is_the_same_packet_seen_twice(tmp_path):
    packet = PACKETS["v4"]
    path = tmp_path / "both.pcap"
    path.write_bytes(
        pcap([(T0, ethernet(packet)), (T0 + 20_000, ethernet(_wrap("vxlan", packet)))])
    )
    facts, rows = read(path)
    assert len(rows) == 1
    assert facts.duplicates == 1
    assert facts.encapsulations == {"vxlan": 1}


def test_repeated_query_in_a_tunnel_is_two_messages(tmp_path):
    twice = [udp4(query(), ipid=ipid) for ipid in (100, 101)]
    path = tmp_path / "twice.pcap"
    path.write_bytes(
        pcap([(T0 + i * 10**9, ethernet(_wrap("gre", p))) for i, p in enumerate(twice)])
    )
    facts, rows = read(path)
    assert len(rows) == 2
    assert facts.duplicates == 0


def test_tunnels_beyond_the_limit_are_counted_and_not_followed(tmp_path):
    packet = PACKETS["v4"]
    for _ in range(limits.TUNNEL_DEPTH):
        packet = _wrap("ip-in-ip", packet)
    path = tmp_path / "deep.pcap"
    path.write_bytes(pcap([(T0, ethernet(packet)), (T0, ethernet(_wrap("gre", packet)))]))
    facts, rows = read(path)
    assert len(rows) == 1
    assert losses(facts) == {"tunnel-depth": 1}


def test_bomb_of_tags_is_counted_and_ends(tmp_path):
    tags = struct.pack(">HH", 0x8100, 1) * 40_000
    path = tmp_path / "bomb.pcap"
    path.write_bytes(pcap([(T0, ethernet(b"\0")[:12] + tags + b"\x08\0" + PACKETS["v4"])]))
    facts, rows = read(path)
    assert not rows
    assert losses(facts) == {"tunnel-depth": 1}


def test_what_is_encrypted_on_the_link_is_counted(tmp_path):
    path = tmp_path / "wifi.pcap"
    path.write_bytes(pcap([(T0, _dot11(PACKETS["v4"], subtype=0, FCfield=0x41))], link=105))
    facts, rows = read(path)
    assert not rows
    assert losses(facts) == {"link-encrypted": 1}


def test_compressed_ppp_is_counted_as_not_opened(tmp_path):
    path = tmp_path / "ppp.pcap"
    path.write_bytes(pcap([(T0, b"\xff\x03\x00\xfd" + bytes(60))], link=9))
    facts, rows = read(path)
    assert not rows
    assert losses(facts) == {"encapsulation-not-opened": 1}


def test_cut_tunnel_gives_a_cut_message(tmp_path):
    path = tmp_path / "cut.pcap"
    whole = ethernet(_wrap("vxlan", PACKETS["answer"]))
    path.write_bytes(pcap([(T0, whole)], snaplen=len(whole) - 8))
    facts, rows = read(path)
    assert rows[0].length - len(rows[0].octets) == 8
    assert losses(facts) == {"message-cut": 1}


@QUIET
@given(data=st.data())
def test_damaged_tunnels_never_crash_and_every_packet_is_accounted_for(tmp_path, data):
    packets = []
    for name in data.draw(st.lists(st.sampled_from(sorted(TUNNELS)), min_size=1, max_size=8)):
        packet = bytearray(ethernet(_wrap(name, PACKETS["v4"])))
        for _ in range(data.draw(st.integers(0, 6))):
            packet[data.draw(st.integers(12, len(packet) - 1))] = data.draw(st.integers(0, 255))
        packets.append((T0, bytes(packet[: data.draw(st.integers(0, len(packet)))])))
    path = tmp_path / "damaged.pcap"
    path.write_bytes(pcap(packets))
    facts, rows = read(path)
    lost = sum(n for reason, n in losses(facts).items() if reason != "message-cut")
    assert len(rows) + facts.duplicates + facts.other + lost == len(packets)


@QUIET
@given(link=st.sampled_from(sorted(LINKS)), octets=st.binary(max_size=200))
def test_arbitrary_octets_of_any_link_type_never_crash(tmp_path, link, octets):
    path = tmp_path / "noise.pcap"
    path.write_bytes(pcap([(T0, octets)], link=link))
    facts, rows = read(path)
    lost = sum(n for reason, n in losses(facts).items() if reason != "message-cut")
    assert len(rows) + facts.other + lost == 1


def test_rare_link_types_beyond_the_limit_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SCAPY_PACKETS", 1)
    link, frame, _ = FRAMES["mpacket"]
    path = tmp_path / "rare.pcap"
    path.write_bytes(
        pcap([(T0 + i, frame(udp4(query(), ipid=900 + i))) for i in range(3)], link=link)
    )
    facts, rows = read(path)
    assert len(rows) == 1
    assert losses(facts) == {"encapsulation-not-opened": 2}


def test_table_of_link_types_names_a_way_to_read_each():
    assert all(link.name and link.kind for link in LINKS.values())
    assert SCAPY not in {link.kind for number, link in LINKS.items() if number < 128}
    assert len(set(ENCAPSULATIONS)) == len(ENCAPSULATIONS)
