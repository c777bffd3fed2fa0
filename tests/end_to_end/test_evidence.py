"""evidence/*.pcapng: opens in Wireshark, each packet explained, and proves the same incident."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from forensics.extract import extract
from forensics.pipeline import Options, analyze

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
ANCHOR = CAPTURES / "de-2026" / "trust-anchor.ds"
SOURCES = ("capture.pcap.zst", "unbound.dnstap.zst")


@pytest.fixture(scope="module", params=SOURCES)
def proven(request, run):
    """A run over the outage, and its evidence file."""
    report = run(CAPTURES / "de-2026" / request.param, anchor=ANCHOR)
    name = report["incidents"][0]["evidence_file"]
    return report, report["folder"] / name


def test_the_evidence_alone_gives_the_same_incident(proven, tmp_path) -> None:
    report, path = proven
    again = tmp_path / "again"
    analyze([str(path)], again, Options(trust_anchors=(str(ANCHOR),)), figures=False)
    found = json.loads((again / "report.json").read_text())
    assert len(found["incidents"]) == len(report["incidents"]) == 1
    was, now = report["incidents"][0], found["incidents"][0]
    for field in ("zone", "reason", "severity", "confidence", "onset", "recovery", "id"):
        assert now[field] == was[field]
    assert {one["address"] for one in now["servers"]} == {one["address"] for one in was["servers"]}
    assert found["losses"] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("slack-2021", "capture.pcap.zst"),
        ("1111-2023", "capture.pcap.zst"),
        # Two classes of records went bad in one answer, and were good before at other times.
        ("fj-2022", "capture.pcap.zst"),
        # Partial: the zone itself stayed good beside the RRsets that did not.
        ("se-2022", "resolvers.dnstap.zst"),
    ],
)
def test_the_evidence_of_other_outages_gives_the_same_incidents(
    name, source, run, tmp_path
) -> None:
    """`scripts/goldenkit/evidence.py` tries every recording (EVIDENCE.md)."""
    anchor = CAPTURES / name / "trust-anchor.ds"
    report = run(CAPTURES / name / source, anchor=anchor)
    assert report["incidents"]
    for was in report["incidents"]:
        again = tmp_path / was["id"]
        path = str(report["folder"] / was["evidence_file"])
        analyze([path], again, Options(trust_anchors=(str(anchor),)), figures=False)
        (now,) = json.loads((again / "report.json").read_text())["incidents"]
        for field in ("zone", "reason", "severity", "confidence", "onset", "recovery", "id"):
            assert now[field] == was[field]


def test_every_incident_of_the_library_was_tried_and_held() -> None:
    kit = CAPTURES.parent / "scripts" / "goldenkit" / "EVIDENCE.md"
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in kit.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| recording")
    ]
    assert {told for *_, told in rows} == {"same"}
    broken = {
        path.parent.name
        for path in CAPTURES.glob("*/truth.toml")
        if 'expected = "incident"' in path.read_text(encoding="utf-8")
    }
    assert broken <= {name for name, source, *_ in rows if source == "capture.pcap.zst"}


def test_wireshark_reads_every_packet_and_its_comment(proven) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    _, path = proven
    told = subprocess.run(
        ["tshark", "-r", path, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
         "-T", "fields", "-e", "frame.number", "-e", "frame.comment", "-e", "dns.id",
         "-e", "_ws.malformed"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    rows = [line.split("\t") for line in told.stdout.splitlines()]
    assert len(rows) > 100
    for _, comment, dns_id, malformed in rows:
        assert "frame " in comment
        assert dns_id
        assert not malformed
    comments = " ".join(row[1] for row in rows)
    for words in ("first answer of de. that does not validate", "the keys (DNSKEY) that de.",
                  "validates again", "the query that frame", "a client is told"):  # fmt: skip
        assert words.lower() in comments.lower()


def test_extract_gives_the_octets_that_the_report_holds(proven) -> None:
    report, path = proven
    incident = report["incidents"][0]["id"]
    assert extract(report["folder"], incident[:6]) == path.read_bytes()


def test_a_capture_that_went_is_named_and_the_report_still_written(tmp_path) -> None:
    source = tmp_path / "moved.pcap.zst"
    source.write_bytes((CAPTURES / "de-2026" / SOURCES[1]).read_bytes())
    out = tmp_path / "report"
    analyze([str(source)], out, Options(trust_anchors=(str(ANCHOR),)), figures=False)
    report = json.loads((out / "report.json").read_text())
    (tmp_path / "kept").mkdir()
    source.rename(tmp_path / "kept" / source.name)
    from forensics.errors import UsageError

    with pytest.raises(UsageError, match="no such file"):
        extract(out, report["incidents"][0]["id"])
    assert extract(out, report["incidents"][0]["id"], tmp_path / "kept")
    with pytest.raises(UsageError, match=report["incidents"][0]["id"]):
        extract(out, "ffff-no-such")
