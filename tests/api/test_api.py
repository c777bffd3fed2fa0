"""The Python interface: what a notebook does with it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import forensics
from forensics import schemas
from forensics.errors import NoInputError, UsageError

OUTAGE = Path(__file__).resolve().parents[2] / "captures" / "de-2026"


@pytest.fixture(scope="module")
def analysis():
    """The bundled outage, as a notebook would read it."""
    return forensics.analyze(
        OUTAGE / "unbound.dnstap.zst", trust_anchors=OUTAGE / "trust-anchor.ds"
    )


def test_incidents_are_a_frame_with_times(analysis) -> None:
    frame = analysis.incidents
    (told,) = analysis.report["incidents"]
    assert len(frame) == 1
    row = frame.iloc[0]
    assert (row["zone"], row["reason"]) == ("de.", "signature-invalid")
    assert row["first_bad"] == pd.Timestamp(told["onset"]["first_bad"])
    assert frame["first_bad"].dtype == "datetime64[ns, UTC]"
    assert row["servers"] == len(told["servers"])


@pytest.mark.parametrize("name", ["transactions", "signatures", "sightings", "keys", "verdicts"])
def test_each_table_comes_as_arrow_and_as_pandas(analysis, name) -> None:
    table = analysis.arrow(name)
    assert isinstance(table, pa.Table)
    assert table.schema.names == dict(schemas.TABLES)[name].names
    frame = getattr(analysis, name)
    assert len(frame) == table.num_rows > 0
    assert list(frame.columns) == table.schema.names


def test_charts_are_svg_that_can_be_saved(analysis, tmp_path) -> None:
    for name in analysis.charts:
        chart = analysis.chart(name)
        assert chart._repr_svg_().lstrip().startswith("<svg")
    assert analysis.chart().save(tmp_path / "a.svg").read_text().lstrip().startswith("<svg")
    assert analysis.chart().save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_jupyter_shows_the_answer_and_the_drawing(analysis) -> None:
    html = analysis._repr_html_()
    assert "no key published by de. had made" in html
    assert "<svg" in html
    assert "<script" not in html


def test_a_written_report_opens_again(tmp_path) -> None:
    out = tmp_path / "report"
    made = forensics.analyze(
        [str(OUTAGE / "unbound.dnstap.zst")],
        out,
        trust_anchors=[OUTAGE / "trust-anchor.ds"],
        start="2026-11-24T15:22:00",
        zone="de.",
    )
    assert (
        made.report
        == forensics.Analysis(out).report
        == json.loads((out / "report.json").read_text())
    )
    assert made.report["options"]["from"] == "2026-11-24T15:22:00.000000000Z"


def test_a_temporary_report_goes_with_its_result() -> None:
    import gc

    made = forensics.analyze(
        OUTAGE / "unbound.dnstap.zst", trust_anchors=OUTAGE / "trust-anchor.ds"
    )
    folder = made.folder
    assert folder.is_dir()
    del made
    gc.collect()
    assert not folder.exists()


def test_slips_are_told_in_one_line(analysis, tmp_path) -> None:
    with pytest.raises(UsageError, match="no such table; there are captures"):
        analysis.arrow("nothing")
    with pytest.raises(UsageError, match="no such chart; there are timeline"):
        analysis.chart("nothing")
    with pytest.raises(UsageError, match="no report"):
        forensics.Analysis(tmp_path)
    with pytest.raises(UsageError, match="unexpected keyword argument 'colour'"):
        forensics.analyze("a.pcap", colour="red")
    with pytest.raises(UsageError, match="not a time"):
        forensics.analyze("a.pcap", start="yesterday-ish")
    with pytest.raises(NoInputError):
        forensics.analyze(tmp_path / "missing.pcap")
    with pytest.raises(AttributeError):
        _ = forensics.nothing
