"""The report of a dataset that grows is that of one run over the same files."""

from __future__ import annotations

import pytest
import rewrite
from test_archive_parts import CAPTURES, cut

from forensics.archive.opening import tables_of
from forensics.archive.tables import read_table
from forensics.batch import ingest_batch
from forensics.limits import SECOND
from forensics.options import Options
from forensics.pipeline import ingest_dataset, report_dataset

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
