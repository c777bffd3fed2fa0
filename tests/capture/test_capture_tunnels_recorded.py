"""Tunnels recorded between two hosts (`scripts/tunnels`) are read as tshark reads them."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path

import dns.message
import pytest
from capture_files import losses, read
from test_capture_tshark import _tshark

from forensics.archive.tables import read_table
from forensics.ingest import ingest

FOLDER = Path(__file__).resolve().parent / "tunnels"
KINDS = ("gre", "vxlan")


@pytest.mark.parametrize("kind", KINDS)
def test_every_message_is_read(kind):
    facts, rows = read(FOLDER / f"{kind}.pcap")
    # Four questions over UDP and two over TCP, one of them because of a truncated response.
    assert [row.transport for row in rows] == [0] * 8 + [1] * 4
    assert {(row.source, row.destination) for row in rows} == {
        ("172.31.0.1", "172.31.0.2"),
        ("172.31.0.2", "172.31.0.1"),
    }
    for row in rows:
        dns.message.from_wire(row.octets)
    assert facts.encapsulations[kind] == facts.packets
    assert (losses(facts), facts.messages) == ({}, 12)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("kind", KINDS)
def test_tshark_finds_the_same(tmp_path, kind):
    path = FOLDER / f"{kind}.pcap"
    facts, rows = read(path)
    frames, expected = _tshark(path, tmp_path)
    found = defaultdict(list)
    for row in rows:
        found[row.frame].append((str(row.source_port), int.from_bytes(row.octets[:2], "big")))
    assert facts.packets == frames
    assert found == {
        frame: [(port, number) for number in idents]
        for frame, (_, port, idents) in expected.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_truncated_answer_is_continued_over_tcp(tmp_path, kind):
    ingest([str(FOLDER / f"{kind}.pcap")], tmp_path)
    rows = read_table(tmp_path, "transactions").to_pylist()
    (again,) = [row for row in rows if row["continues"] is not None]
    (first,) = [row for row in rows if row["transaction"] == again["continues"]]
    assert (first["transport"], first["tc"], first["answers"]) == ("udp", True, 0)
    assert (again["transport"], again["tc"], again["answers"]) == ("tcp", False, 1)
    assert first["qname"] == again["qname"] == "long.example.test."
