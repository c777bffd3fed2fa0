"""Truncated responses and their repetitions over TCP, in packets: both IP versions, both sides."""

from __future__ import annotations

import dns.flags
import dns.message
import pytest
from capture_files import T0, ethernet, pcap, query, response, udp4, udp6
from tcp_files import ACK, RST, Way, framed

from forensics.archive.tables import read_table
from forensics.ingest import ingest

MS = 10**6


def truncated(name, qid):
    made = dns.message.make_response(dns.message.from_wire(query(name, qid)))
    made.flags |= dns.flags.TC
    return made.to_wire()


def over_udp(name, qid, port, *, six):
    pack = udp6 if six else udp4
    far = {"source": "2001:db8::2", "target": "2001:db8::1"} if six else {
        "source": "198.51.100.2", "target": "192.0.2.1"}  # fmt: skip
    return [
        pack(query(name, qid), sport=port),
        pack(truncated(name, qid), sport=53, dport=port, **far),
    ]


def over_tcp(name, qid, port, *, six, fails=False):
    ask, tell = Way(port=port, six=six), Way(port=port, server=True, six=six)
    sent = [ask.syn(), tell.syn(), ask.send(framed(query(name, qid)))]
    if fails:
        return [*sent, tell.packet(tell.seq, flags=RST | ACK)]
    return [*sent, *tell.cut(framed(response(name, qid, 120)), [900])]


def found(tmp_path, packets):
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([(T0 + i * MS, ethernet(one)) for i, one in enumerate(packets)]))
    ingest([str(path)], tmp_path / "tables")
    rows = read_table(tmp_path / "tables", "transactions").to_pylist()
    return sorted(rows, key=lambda row: row["query_frame"])


@pytest.mark.parametrize("six", [False, True], ids=["v4", "v6"])
@pytest.mark.parametrize("recursive", [True, False], ids=["client", "upstream"])
def test_a_repetition_over_tcp_is_linked(tmp_path, monkeypatch, six, recursive):
    if not recursive:
        plain = query

        def without_rd(*arguments):
            made = bytearray(plain(*arguments))
            made[2] &= 0xFE
            return bytes(made)

        monkeypatch.setitem(globals(), "query", without_rd)
    packets = over_udp("www.example.", 1, 4000, six=six) + over_tcp(
        "www.example.", 2, 4001, six=six
    )
    first, second = found(tmp_path, packets)
    assert (first["transport"], first["tc"], first["continues"]) == ("udp", True, None)
    assert (second["transport"], second["pairing"]) == ("tcp", "answered")
    assert second["continues"] == first["transaction"]
    assert first["rd"] == recursive


@pytest.mark.parametrize("six", [False, True], ids=["v4", "v6"])
def test_every_attempt_over_tcp_is_linked(tmp_path, six):
    packets = [
        *over_udp("www.example.", 1, 4000, six=six),
        *over_tcp("www.example.", 2, 4001, six=six, fails=True),
        *over_udp("other.example.", 3, 4002, six=six),
        *over_tcp("www.example.", 4, 4003, six=six),
        *over_tcp("other.example.", 5, 4004, six=six),
    ]
    rows = found(tmp_path, packets)
    udp = {row["qname"]: row["transaction"] for row in rows if row["transport"] == "udp"}
    tcp = [row for row in rows if row["transport"] == "tcp"]
    assert [row["continues"] for row in tcp] == [udp[row["qname"]] for row in tcp]
    assert [row["pairing"] for row in tcp] == ["unanswered", "answered", "answered"]
