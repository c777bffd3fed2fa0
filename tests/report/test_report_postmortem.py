"""report.md has the shape of a post-mortem, each claim with its frame, and fits into a comment."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
import report_sample as samples
import rewrite

from forensics.report.html import render_html
from forensics.report.markdown import render_markdown
from forensics.report.unseen import unseen, unseen_of_all

REPORTS = Path(__file__).resolve().parents[2] / "reports"
CHAPTER = [
    "Timeline (UTC)", "Cause", "Impact", "Mitigation", "Detection", "What we could not see",
]  # fmt: skip
COMMENT = 65_536
"""Characters: GitHub refuses a longer comment ("maximum is 65536 characters")."""


def golden() -> dict:
    return json.loads((REPORTS / "de-2026" / "report.json").read_text("utf-8"))


def chapters(text: str) -> dict[str, str]:
    """The parts of the first incident by their headings."""
    told = text.split("\n## de.: ", 1)[1].split("\n## ", 1)[0]
    parts = re.split(r"^### (.+)$", told, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("make", [samples.sample, golden, samples.still_open])
def test_an_incident_is_told_in_the_order_of_post_mortems(make) -> None:
    found = chapters(render_markdown(make()))
    kept = [name for name in found if name in CHAPTER]
    assert kept == CHAPTER
    for name in CHAPTER:
        assert found[name].strip(), name


def test_local_time_stands_beside_utc_and_is_labelled() -> None:
    told = chapters(render_markdown(samples.sample()))["Timeline (UTC)"]
    # CEST is two hours ahead of UTC: 19:43:15 and 22:19:54.
    assert "In Europe/Berlin: " in told
    assert "first bad 2026-05-05 21:43:15 CEST (+02:00)" in told
    assert "Europe/Berlin" not in chapters(render_markdown(golden()))["Timeline (UTC)"]


def test_the_timeline_is_in_order_and_each_line_opens_in_wireshark() -> None:
    report = golden()
    incident = report["incidents"][0]
    lines = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in chapters(render_markdown(report))["Timeline (UTC)"].split("\n")
        if line.startswith("| 20")
    ]
    told = sum(len(incident[name]) for name in ("evidence", "history", "mitigations"))
    assert len(lines) == told > 10
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)
    for _, _, what, filtered, capture in lines:
        assert re.fullmatch(r"`frame\.number == \d+`", filtered), what
        assert capture == "`captures/de-2026/capture.pcap.zst`"


def test_what_helped_cites_the_answer_that_shows_it() -> None:
    incident = golden()["incidents"][0]
    _, packets = rewrite.load(REPORTS.parent / "captures" / "de-2026" / "capture.pcap.zst")
    parts = chapters(render_markdown(golden()))
    assert incident["mitigations"]
    for row in incident["mitigations"]:
        assert f"(frame {row['frame']})" in parts["Mitigation"]
        assert row["capture"] == "captures/de-2026/capture.pcap.zst"
        packet = packets[row["frame"] - 1]
        assert row["at"].endswith(f".{packet.fraction:09}Z")


def test_detection_names_the_first_failure_and_what_resolvers_claimed() -> None:
    told = chapters(render_markdown(golden()))["Detection"]
    incident = golden()["incidents"][0]
    hurt = next(row for row in incident["evidence"] if row["shows"] == "client-failure")
    assert f"(frame {hurt['frame']})" in told
    # 15:22:06.194 to 15:22:47.972.
    assert "41.8 s later" in told
    claims = sum(resolver["ede"].get("6", 0) for resolver in incident["resolvers"])
    assert f"EDE 6 (DNSSEC Bogus): {claims:,}" in told
    silent = samples.still_open()
    silent["incidents"][0]["evidence"] = []
    silent["incidents"][0]["resolvers"] = []
    told = chapters(render_markdown(silent))["Detection"]
    assert "No failed lookup of a client is in these captures." in told
    assert "their claims" not in told


def test_what_nobody_saw_is_said() -> None:
    whole = list(unseen(samples.sample()["incidents"][0]))
    assert any(text.startswith("It began within 2.9 s") for text in whole)
    still = list(unseen(samples.still_open()["incidents"][0]))
    assert any(text.startswith("When it began: nothing comparable") for text in still)
    assert any(text.startswith("When it ended: not everything") for text in still)
    assert any("weak" in text for text in still)
    of_all = list(unseen_of_all(samples.sample()))
    assert any(text.startswith("186 verdicts stayed open") for text in of_all)
    assert any(text.startswith("12,044 queries have no answer") for text in of_all)
    assert any(text.startswith("17 packets or records were lost") for text in of_all)
    assert "Every packet of the inputs could be read." in list(unseen_of_all(samples.empty()))


def test_a_report_of_many_incidents_still_fits_into_a_comment() -> None:
    report = samples.many(40)
    for incident in report["incidents"]:
        incident["servers"] = [copy.deepcopy(incident["servers"][0]) for _ in range(30)]
    text = render_markdown(report, ("timeline",))
    assert len(text) <= COMMENT
    for number in range(1, 40):
        zone = f"zone{number}.example."
        assert number % 3 == 0 or zone in text, zone
    assert "## Further incidents" in text
    assert "Its tables stand in report.html and report.json." in text
    short = render_markdown(samples.sample(), ("timeline",))
    assert "Its tables stand in" not in short


def test_what_each_resolver_held_stands_in_page_and_file() -> None:
    report = golden()
    views = [row for row in report["resolver_views"] if row["zone"] == "de."]
    assert views
    table = chapters(render_markdown(report))["Impact"].split("What each resolver held", 1)[1]
    lines = [line for line in table.split("\n") if line.startswith("| `")]
    assert len(lines) == len(views)
    page = render_html(report)
    assert "What each resolver held" in page
    for line, view in zip(lines, views, strict=True):
        held = next(run["held"] for run in view["runs"] if run["status"] == "bogus")
        assert f"`{view['resolver']}`" in line
        assert f"frame.number == {held['frame']}" in line
        assert f"| {held['until'][:10]} {held['until'][11:19]}" in line
        assert f"frame.number == {held['frame']}" in page
    others = render_markdown(samples.sample()).split("### What resolvers held of other zones", 1)[1]
    assert "`example.org.`" in others.split("\n## ", 1)[0]
    assert "What resolvers held of other zones" in render_html(samples.sample())
    assert "What each resolver held" not in render_html(samples.empty())
