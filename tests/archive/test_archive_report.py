"""The report of a dataset that grows is that of one run over the same files."""

from __future__ import annotations

import pytest
import rewrite
from test_archive_parts import CAPTURES, cut, octets_of

from forensics.archive.opening import tables_of
from forensics.archive.tables import read_table
from forensics.batch import ingest_batch
from forensics.limits import SECOND
from forensics.options import Options
from forensics.pipeline import ingest_dataset, report_dataset
from forensics.report.times import parse

ANCHORS = (str(CAPTURES / "de-2026/trust-anchor.ds"),)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same files as a plain dataset, and in two batches as one that grows."""
    folder = tmp_path_factory.mktemp("report")
    files = cut(folder / "f", CAPTURES / "de-2026/capture.pcap.zst", 9, 4)
    ingest_dataset(files, folder / "plain", Options())
    # The border between the batches lies within the outage.
    ingest_batch(files[4:], str(folder / "parts"), Options())
    ingest_batch(files[:4], str(folder / "parts"), Options())
    return folder


def reported(pair, name: str, **more) -> dict:
    options = Options(trust_anchors=ANCHORS, **more)
    outcome = report_dataset(pair / name, pair / f"out-{name}", options, figures=False)
    return outcome.report


def test_reports_are_equal_to_the_last_field(pair) -> None:
    parts = reported(pair, "parts")
    assert len(parts["incidents"]) > 0
    assert parts == reported(pair, "plain")


def test_reports_of_one_zone_and_a_span_are_equal(pair) -> None:
    first = read_table(tables_of(pair / "parts"), "captures")["first"].cast("int64")
    times = first.to_pylist()
    span = {"start": times[2] // SECOND * SECOND, "end": times[6] // SECOND * SECOND}
    parts = reported(pair, "parts", zone="de.", **span)
    assert parts["counts"]["transactions"] > 0
    assert parts == reported(pair, "plain", zone="de.", **span)


def test_a_report_of_files_that_overlap_says_what_it_cannot_know(pair, tmp_path) -> None:
    header, records = rewrite.load(CAPTURES / "slack-2021/capture.pcap.zst")
    files = [
        str(rewrite.store(tmp_path / f"{at}.pcap", header, records[at::2])) for at in range(2)
    ]
    ingest_batch(files, str(tmp_path / "parts"), Options())
    outcome = report_dataset(tmp_path / "parts", tmp_path / "out", Options(), figures=False)
    said = [one["sentence"] for one in outcome.report["findings"]]
    assert any("1 capture overlaps in time" in one and "counts twice" in one for one in said)
    apart = report_dataset(pair / "parts", tmp_path / "apart", Options(), figures=False)
    assert "captures-overlap" not in {one["kind"] for one in apart.report["findings"]}


def test_a_second_sensor_may_come_later(tmp_path) -> None:
    """The same traffic a hop further, by a clock that is 2 ms ahead, in files of its own."""
    header, records = rewrite.load(CAPTURES / "slack-2021/capture.pcap.zst")
    further = [
        record._replace(fraction=record.fraction + 2_000_000)
        for record in rewrite.twice(records)[1::2]
        if record.fraction < 998_000_000
    ]
    files = {}
    for sensor, seen in (("near", records), ("far", further)):
        edges = [0, len(seen) // 3, len(seen) // 2, len(seen)]
        files[sensor] = [
            str(rewrite.store(tmp_path / f"{sensor}-{at}.pcap", header, seen[edges[at] : end]))
            for at, end in enumerate(edges[1:])
        ]
    together, later = tmp_path / "together", tmp_path / "later"
    ingest_batch([*files["near"], *files["far"]], str(together), Options())
    for batch in (files["near"], files["far"][1:], files["far"][:1]):
        ingest_batch(batch, str(later), Options())
    assert octets_of(later) == octets_of(together)

    options = Options(trust_anchors=(str(CAPTURES / "slack-2021/trust-anchor.ds"),))
    ingest_batch(files["near"], str(tmp_path / "alone"), Options())
    both = report_dataset(later, tmp_path / "both", options, figures=False).report
    one = report_dataset(tmp_path / "alone", tmp_path / "one", options, figures=False).report
    assert len(one["incidents"]) > 0
    for name in ("zone", "reason", "severity", "confidence", "view"):
        assert [row[name] for row in both["incidents"]] == [row[name] for row in one["incidents"]]
    for mine, alone in zip(both["incidents"], one["incidents"], strict=True):
        # The nearer sensor sees the first bad answer first; the last good one is seen twice.
        assert mine["onset"]["first_bad"] == alone["onset"]["first_bad"]
        shifted = parse(mine["onset"]["last_good"]) - parse(alone["onset"]["last_good"])
        assert shifted == 2_000_000
    # What two sensors saw counts twice, which the report says.
    assert both["counts"]["transactions"] > 1.9 * one["counts"]["transactions"]
    assert "captures-overlap" in {row["kind"] for row in both["findings"]}
