"""The same outage told by a log format instead of packets is the same incident."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from forensics.archive.tables import read_table
from forensics.pipeline import Options, analyze

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "capture"))
from cdns_files import QR_HINTS, Exchange, Exporter  # noqa: E402

DE = HERE.parents[1] / "captures" / "de-2026"


def exchanges() -> list[Exchange]:
    """The exchanges of the capture, in order of their first messages."""
    from capture_files import read

    waiting: dict[tuple, Exchange] = {}
    found: list[Exchange] = []
    for row in read(DE / "capture.pcap.zst")[1]:
        ends = (row.source, row.source_port), (row.destination, row.destination_port)
        answers = row.octets[2] & 0x80
        client, server = ends[::-1] if answers else ends
        key = (client, server, row.octets[:2])
        if answers and key in waiting:
            one = waiting.pop(key)
            one.response, one.delay = row.octets, row.time - one.time
            continue
        one = Exchange(None, None, row.time, 0, client[0], server[0], client[1], server[1])
        if answers:
            one.response = row.octets
        else:
            one.query = row.octets
            waiting[key] = one
        found.append(one)
    return found


@pytest.fixture(scope="module")
def outage() -> list[Exchange]:
    return exchanges()


def run(folder: Path, exporter: Exporter, outage: list[Exchange]) -> dict:
    """Analyze the outage as that exporter tells it."""
    blocks = [exporter.block(outage[first : first + 500]) for first in range(0, len(outage), 500)]
    path = folder / "outage.cdns"
    path.write_bytes(exporter.file(*blocks))
    options = Options(trust_anchors=(str(DE / "trust-anchor.ds"),))
    return analyze([str(path)], folder / "out", options, figures=False).report


def test_outage_in_cdns_is_the_same_incident(tmp_path: Path, outage: list[Exchange]) -> None:
    plain = [str(DE / "capture.pcap.zst")]
    options = Options(trust_anchors=(str(DE / "trust-anchor.ds"),))
    theirs = analyze(plain, tmp_path / "packets", options, figures=False).report
    mine = run(tmp_path, Exporter(), outage)
    for name in ("messages", "transactions", "answered", "unanswered", "signatures", "sightings"):
        assert mine["counts"][name] == theirs["counts"][name], name
    assert mine["counts"]["verdicts"] == theirs["counts"]["verdicts"]
    assert len(mine["incidents"]) == len(theirs["incidents"]) == 1
    for name in ("zone", "reason", "severity", "confidence", "sentence"):
        assert mine["incidents"][0][name] == theirs["incidents"][0][name], name
    assert mine["triage"] == theirs["triage"]


def test_log_without_sections_accuses_nobody(tmp_path: Path, outage: list[Exchange]) -> None:
    """An exporter that keeps no answers leaves nothing to judge, and nothing that looks missing."""
    report = run(tmp_path, Exporter(hints=QR_HINTS & 0x7FFF), outage)
    assert report["incidents"] == []
    assert report["counts"]["signatures"] == 0
    assert report["triage"]["lame"] == 0
    rows = read_table(tmp_path / "out" / "tables", "transactions")
    responded = rows["response_frame"].is_valid()
    assert sum(responded.to_pylist()) > 1000
    assert rows["answers"].null_count == rows["authorities"].null_count == len(rows)
    lost = {row["reason"]: row["count"] for row in report["losses"]}
    assert lost["exporter-omitted"] == sum(responded.to_pylist())
