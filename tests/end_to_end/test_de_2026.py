"""The .de outage of 2026 as the lab recorded it, and the same traffic seen by other recorders."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import rewrite

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
DE = CAPTURES / "de-2026"
ANCHOR = DE / "trust-anchor.ds"
GRAVE = {"outage", "partial"}


def seconds(text: str) -> float:
    """Read RFC 3339 with nanoseconds (finer than a microsecond is cut off)."""
    return datetime.fromisoformat(text[:26].rstrip("Z")).replace(tzinfo=UTC).timestamp()


def grave(report: dict) -> list[dict]:
    return [i for i in report["incidents"] if i["severity"] in GRAVE]


def kinds(report: dict) -> set[str]:
    return {finding["kind"] for finding in report["findings"]}


@pytest.fixture(scope="module")
def pcap() -> tuple[bytes, list[rewrite.Record]]:
    return rewrite.load(DE / "capture.pcap.zst")


@pytest.fixture(params=["capture.pcap.zst", "unbound.dnstap.zst"])
def report(request, run):
    """From pcap alone and from dnstap alone."""
    return run(DE / request.param, anchor=ANCHOR)


def test_one_incident_with_zone_reason_and_tag(report, truth) -> None:
    facts = truth("de-2026")
    assert len(report["incidents"]) == 1
    incident = report["incidents"][0]
    assert incident["zone"] == facts["zone"] == "de."
    assert incident["reason"] == facts["reason"] == "signature-invalid"
    assert incident["severity"] == "outage"
    assert incident["confidence"] == "strong"
    assert {s["tag"] for s in incident["signers"]} == {facts["key_tag"]}
    assert facts["key_tag"] in {k["tag"] for k in incident["keys"] if k["published"]}
    assert set(incident["types"]) == set(facts["types"])


def test_the_unpublished_signers_are_recovered(report, truth) -> None:
    signers = report["incidents"][0]["signers"]
    unpublished = [s for s in signers if not s["published"]]
    assert len(unpublished) == truth("de-2026")["unpublished_count"]
    assert all(s["recovered"] and s["signatures"] > 1 for s in unpublished)


def test_brackets_overlap_what_the_lab_did(run, truth) -> None:
    facts = truth("de-2026")
    incident = run(DE / "capture.pcap.zst", anchor=ANCHOR)["incidents"][0]
    by_address = {server["address"]: server for server in incident["servers"]}
    assert by_address.keys() >= {server["address"] for server in facts["servers"]}
    for told in facts["servers"]:
        server = by_address[told["address"]]
        assert server["nsid"] == told["nsid"]
        onset, recovery = server["onset"], server["recovery"]
        assert seconds(onset["last_good"]) <= seconds(told["first_seen_changed"])
        assert seconds(onset["first_bad"]) >= seconds(told["told_to_change"])
        assert seconds(onset["last_good"]) < seconds(onset["first_bad"])
        assert seconds(recovery["last_bad"]) <= seconds(told["first_seen_repaired"])
        assert seconds(recovery["first_good"]) >= seconds(told["told_to_repair"])


def test_dnstap_alone_brackets_each_server_that_the_resolver_asked(run, truth) -> None:
    facts = truth("de-2026")
    incident = run(DE / "unbound.dnstap.zst", anchor=ANCHOR)["incidents"][0]
    told = {server["address"]: server for server in facts["servers"]}
    bad = [server for server in incident["servers"] if server["bad"]]
    assert {server["address"] for server in bad} == set(told)
    for server in bad:
        onset, recovery = server["onset"], server["recovery"]
        facts_of = told[server["address"]]
        assert seconds(onset["first_bad"]) >= seconds(facts_of["told_to_change"])
        if onset["last_good"]:
            assert seconds(onset["last_good"]) <= seconds(facts_of["first_seen_changed"])
        if recovery["first_good"]:
            assert seconds(recovery["first_good"]) >= seconds(facts_of["told_to_repair"])
            assert seconds(recovery["last_bad"]) <= seconds(facts_of["first_seen_repaired"])


def test_report_is_of_its_schema_and_cites_frames_that_exist(report) -> None:
    from forensics.report.json import SCHEMA

    jsonschema.validate(
        {k: v for k, v in report.items() if k != "folder"}, json.loads(Path(SCHEMA).read_text())
    )
    frames = {c["path"]: c["packets"] for c in report["captures"]}
    evidence = [e for i in report["incidents"] for e in i["evidence"]]
    assert {"last-good", "first-bad", "key-set"} <= {e["shows"] for e in evidence}
    assert all(1 <= e["frame"] <= frames[e["capture"]] for e in evidence)


def test_same_input_same_octets(run, tmp_path) -> None:
    from forensics.pipeline import Options, analyze

    first = run(DE / "capture.pcap.zst", anchor=ANCHOR)
    analyze(
        [str(DE / "capture.pcap.zst")],
        tmp_path / "again",
        Options(trust_anchors=(str(ANCHOR),)),
        figures=False,
    )
    for path in sorted(p for p in first["folder"].rglob("*") if p.is_file()):
        again = tmp_path / "again" / path.relative_to(first["folder"])
        assert again.read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("name", ["healthy-zsk-roll", "healthy-ksk-roll"])
@pytest.mark.parametrize("file", ["capture.pcap.zst", "resolvers.dnstap.zst"])
def test_healthy_rolls_are_no_incident(name, file, run) -> None:
    report = run(CAPTURES / name / file, anchor=CAPTURES / name / "trust-anchor.ds")
    assert grave(report) == []
    assert report["counts"]["verdicts"]["bogus"] == 0
    assert report["counts"]["verdicts"]["secure"] > 0


@pytest.mark.parametrize("name", ["de-2026", "healthy-zsk-roll", "healthy-ksk-roll"])
@pytest.mark.parametrize("years", [-1, 1])
def test_a_wrong_recorder_clock_accuses_no_zone(name, years, run, tmp_path_factory) -> None:
    header, records = rewrite.load(CAPTURES / name / "capture.pcap.zst")
    path = tmp_path_factory.mktemp("clock") / "shifted.pcap"
    rewrite.store(path, header, rewrite.shifted(records, years * 365 * 86400))
    report = run(path, anchor=CAPTURES / name / "trust-anchor.ds")
    assert "clock-recorder" in kinds(report)
    if name != "de-2026":
        assert report["incidents"] == []
    else:
        # What does not depend on the clock stays true: no key published made these signatures.
        assert {i["zone"] for i in grave(report)} <= {"de."}
        assert {i["reason"] for i in grave(report)} <= {"signature-invalid"}


@pytest.mark.parametrize("name", ["healthy-zsk-roll", "healthy-ksk-roll"])
@pytest.mark.parametrize("seconds", [-365 * 86400, -3600, -60, 60, 365 * 86400])
def test_a_clock_that_is_set_in_a_healthy_roll_accuses_no_zone(
    name, seconds, run, tmp_path_factory
) -> None:
    header, records = rewrite.load(CAPTURES / name / "capture.pcap.zst")
    middle = len(records) // 2
    tail = rewrite.shifted(records[middle:], seconds)
    path = tmp_path_factory.mktemp("set") / "set.pcap"
    rewrite.store(path, header, [*records[:middle], *tail])
    report = run(path, anchor=CAPTURES / name / "trust-anchor.ds")
    assert grave(report) == []
    assert ("clock-step" in kinds(report)) == (seconds < 0)


@pytest.mark.parametrize("seconds", [-365 * 86400, -7 * 86400, 3600])
def test_single_packets_with_wrong_times_accuse_no_zone(seconds, run, tmp_path_factory) -> None:
    header, records = rewrite.load(CAPTURES / "healthy-zsk-roll" / "capture.pcap.zst")
    dated = [
        rewrite.shifted([record], seconds)[0] if at % 7 == 3 else record
        for at, record in enumerate(records)
    ]
    path = tmp_path_factory.mktemp("dated") / "dated.pcap"
    rewrite.store(path, header, dated)
    report = run(path, anchor=CAPTURES / "healthy-zsk-roll" / "trust-anchor.ds")
    assert grave(report) == []


def test_private_root_without_anchor_is_said_and_accuses_nobody(run) -> None:
    healthy = run(CAPTURES / "healthy-zsk-roll" / "capture.pcap.zst")
    assert "private-root" in kinds(healthy)
    assert healthy["incidents"] == []
    assert healthy["counts"]["verdicts"]["secure"] == 0
    assert healthy["counts"]["verdicts"]["valid"] > 0
    outage = run(DE / "capture.pcap.zst")
    assert outage["findings"][0]["kind"] == "private-root"
    assert [i["zone"] for i in grave(outage)] == ["de."]


def test_capture_cut_in_the_outage_starts_or_ends_with_it(run, truth, pcap, tmp_path_factory):
    facts = truth("de-2026")
    middle = (
        seconds(facts["views"]["published"]["bad_everywhere_from"])
        + seconds(facts["views"]["published"]["good_from"])
    ) / 2
    header, records = pcap
    folder = tmp_path_factory.mktemp("cut")
    first = rewrite.store(folder / "first.pcap", header, rewrite.between(records, 0, middle))
    second = rewrite.store(folder / "second.pcap", header, rewrite.between(records, middle, 1e12))
    report = run(first, anchor=ANCHOR)
    assert [i["zone"] for i in grave(report)] == ["de."]
    assert report["incidents"][0]["recovery"]["first_good"] is None
    assert report["incidents"][0]["onset"]["last_good"] is not None
    report = run(second, anchor=ANCHOR)
    assert [i["zone"] for i in grave(report)] == ["de."]
    assert report["incidents"][0]["recovery"]["first_good"] is not None


def test_responses_alone_give_the_same_incident(run, pcap, tmp_path_factory) -> None:
    header, records = pcap
    path = tmp_path_factory.mktemp("one") / "responses.pcap"
    rewrite.store(path, header, rewrite.only(records, rewrite.is_response))
    report = run(path, anchor=ANCHOR)
    assert [(i["zone"], i["reason"]) for i in grave(report)] == [("de.", "signature-invalid")]
    assert "one-direction" in kinds(report)


def test_queries_alone_accuse_nobody(run, pcap, tmp_path_factory) -> None:
    header, records = pcap
    path = tmp_path_factory.mktemp("one") / "queries.pcap"
    rewrite.store(path, header, rewrite.only(records, lambda m: not rewrite.is_response(m)))
    report = run(path, anchor=ANCHOR)
    assert report["incidents"] == []
    assert "one-direction" in kinds(report)


def test_each_packet_twice_counts_once(run, pcap, tmp_path_factory) -> None:
    header, records = pcap
    path = tmp_path_factory.mktemp("twice") / "twice.pcap"
    rewrite.store(path, header, rewrite.twice(records))
    report, plain = run(path, anchor=ANCHOR), run(DE / "capture.pcap.zst", anchor=ANCHOR)
    assert "duplicates" in kinds(report)
    for count in ("messages", "transactions", "answered", "sightings", "verdicts"):
        assert report["counts"][count] == plain["counts"][count], count
    assert [i["onset"] for i in report["incidents"]] == [i["onset"] for i in plain["incidents"]]


@pytest.mark.parametrize("name", ["healthy-zsk-roll", "healthy-ksk-roll"])
def test_half_a_healthy_roll_is_no_incident(name, run, tmp_path_factory) -> None:
    """Cut at every eighth: whatever gap the capture leaves, a healthy roll stays healthy."""
    header, records = rewrite.load(CAPTURES / name / "capture.pcap.zst")
    folder = tmp_path_factory.mktemp("half")
    for part in range(1, 8):
        cut = len(records) * part // 8
        for half, some in (("a", records[:cut]), ("b", records[cut:])):
            path = rewrite.store(folder / f"{part}{half}.pcap", header, some)
            report = run(path, anchor=CAPTURES / name / "trust-anchor.ds")
            assert grave(report) == [], path.name
