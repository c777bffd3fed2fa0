"""Packets made around messages are right by an independent judge; recorded ones are untouched."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from forensics.capture.cutting import cut
from forensics.capture.wrapping import wrapped

MAPPED = bytes(10) + b"\xff\xff"


@given(
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=4, max_size=4),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.binary(min_size=12, max_size=300),
)
def test_a_made_ipv4_packet_is_what_scapy_makes(source, destination, sport, dport, body) -> None:
    made = wrapped(MAPPED + source, MAPPED + destination, sport, dport, body)
    dotted = [".".join(map(str, address)) for address in (source, destination)]
    want = IP(src=dotted[0], dst=dotted[1], id=0, ttl=64) / UDP(sport=sport, dport=dport) / body
    assert made == bytes(want)


@given(
    st.binary(min_size=16, max_size=16).filter(lambda a: not a.startswith(MAPPED)),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=12, max_size=301),
)
def test_a_made_ipv6_packet_is_what_scapy_makes(source, destination, body) -> None:
    import ipaddress

    made = wrapped(source, destination, 53, 4096, body)
    names = [str(ipaddress.IPv6Address(address)) for address in (source, destination)]
    want = IPv6(src=names[0], dst=names[1], hlim=64) / UDP(sport=53, dport=4096) / body
    assert made == bytes(want)


def test_recorded_packets_come_back_octet_for_octet(tmp_path) -> None:
    question = bytes.fromhex("123401000001000000000000") + b"\x02de\0\0\x06\0\x01"
    packets = [
        bytes(IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4000 + at, dport=53) / question)
        for at in range(5)
    ]
    path = tmp_path / "five.pcap"
    path.write_bytes(
        struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
        + b"".join(
            struct.pack("<IIII", 1_700_000_000 + at, 7, len(octets), len(octets)) + octets
            for at, octets in enumerate(packets)
        )
    )
    found = cut(str(path), {2, 5, 99})
    assert [(one.frame, one.octets, one.is_made) for one in found] == [
        (2, packets[1], False),
        (5, packets[4], False),
    ]
    assert found[0].time == 1_700_000_001_000_007_000
    assert found[0].link == 101
