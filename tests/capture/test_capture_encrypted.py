"""Encrypted DNS is recognised and named, and nothing else is taken for it."""

from __future__ import annotations

import ssl
import struct

import pytest
from capture_files import T0, ethernet, losses, pcap, query, read, udp4
from capture_files import scapy as sc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.capture.encrypted import SERVICES
from forensics.vocabulary import LOSSES, NOT_READ

QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _segment(payload, sport=40000, dport=853):
    ends = ("192.0.2.1", "198.51.100.2") if sport > dport else ("198.51.100.2", "192.0.2.1")
    packet = sc.IP(src=ends[0], dst=ends[1]) / sc.TCP(sport=sport, dport=dport, flags="PA")
    return bytes(packet / sc.Raw(payload)) if payload else bytes(packet)


def _hello(name):
    """A ClientHello as OpenSSL writes it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    out = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return out.read()


def _read(tmp_path, packets):
    path = tmp_path / "made.pcap"
    path.write_bytes(pcap([(T0 + i * 10**6, ethernet(p)) for i, p in enumerate(packets)]))
    return read(path)


def test_segments_of_port_853_are_dns_over_tls(tmp_path):
    packets = [_segment(b""), _segment(_hello("resolver.example")), _segment(b"x" * 9, 853, 40000)]
    facts, rows = _read(tmp_path, packets)
    assert not rows
    assert losses(facts) == {"dns-over-tls": 2}
    assert facts.other == 1


def test_connection_that_names_a_service_is_dns_over_https_in_both_directions(tmp_path):
    packets = [
        _segment(b"\x16\x03\x03 before", 443, 40000),
        _segment(_hello("mozilla.cloudflare-dns.com"), 40000, 443),
        _segment(b"\x16\x03\x03 a reply", 443, 40000),
        _segment(b"\x17\x03\x03 more", 40000, 443),
        _segment(b"\x17\x03\x03 of another", 40001, 443),
        _segment(b"", 40000, 443),
    ]
    facts, _ = _read(tmp_path, packets)
    assert losses(facts) == {"dns-over-https": 3}
    assert facts.other == 3


@pytest.mark.parametrize(
    "name", ["www.example.org", "notdns.google", "dns.google.example.org", "google", "d"]
)
def test_other_connections_to_port_443_are_not_claimed(tmp_path, name):
    facts, _ = _read(tmp_path, [_segment(_hello(name), 40000, 443)])
    assert losses(facts) == {}
    assert facts.other == 1


@pytest.mark.parametrize("name", SERVICES)
def test_every_listed_service_is_recognised(tmp_path, name):
    facts, _ = _read(tmp_path, [_segment(_hello(name.upper()), 40000, 443)])
    assert losses(facts) == {"dns-over-https": 1}


def test_datagrams_of_port_853_with_the_fixed_bit_are_dns_over_quic(tmp_path):
    initial = b"\xc3" + struct.pack(">I", 1) + bytes(40)
    packets = [
        udp4(initial, dport=853),
        udp4(b"\x41" + bytes(40), sport=853, dport=40000, ipid=2),
        udp4(bytes(40), dport=853, ipid=3),
        udp4(initial, dport=854, ipid=4),
    ]
    facts, rows = _read(tmp_path, packets)
    assert not rows
    assert losses(facts) == {"dns-over-quic": 2}
    assert facts.other == 2


def test_plain_message_on_port_853_is_still_read(tmp_path):
    facts, rows = _read(tmp_path, [udp4(query(), dport=853)])
    assert len(rows) == 1
    assert losses(facts) == {}


@pytest.mark.parametrize("port", [53, 443, 5353, 8443])
def test_dnscrypt_responses_are_recognised_on_any_port(tmp_path, port):
    facts, rows = _read(tmp_path, [udp4(b"r6fnvWj8" + bytes(60), sport=port, dport=40000)])
    if port == 5353:
        # Multicast DNS keeps its port.
        assert facts.other == 1
    else:
        assert losses(facts) == {"dnscrypt": 1}
    assert not rows


def test_message_whose_id_begins_like_dnscrypt_is_still_read(tmp_path):
    facts, rows = _read(tmp_path, [udp4(query(qid=0x7236))])
    assert len(rows) == 1
    assert losses(facts) == {}


def test_encrypted_dns_is_no_damage():
    assert {"dns-over-tls", "dns-over-https", "dns-over-quic", "dnscrypt"} <= NOT_READ
    assert "without its keys" in LOSSES["dns-over-tls"].tail


@QUIET
@given(data=st.data())
def test_damaged_client_hellos_never_crash(tmp_path, data):
    hello = bytearray(_hello("dns.google"))
    for _ in range(data.draw(st.integers(0, 8))):
        hello[data.draw(st.integers(0, len(hello) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(hello[: data.draw(st.integers(1, len(hello)))])
    facts, _ = _read(tmp_path, [_segment(cut, 40000, 443)])
    assert facts.other + sum(losses(facts).values()) == 1
