"""Forged responses are named, and nobody is accused of them."""

from __future__ import annotations

from pathlib import Path

import pytest

CAPTURES = Path(__file__).resolve().parents[2] / "captures"


def forgeries(report: dict) -> list[dict]:
    return [row for row in report["findings"] if row["kind"] == "forgery"]


def test_each_response_that_the_lab_forged_is_counted(run, truth) -> None:
    folder = CAPTURES / "spoofing"
    report = run(folder / "capture.pcap.zst", anchor=folder / "trust-anchor.ds")
    (found,) = forgeries(report)
    assert found["guesses"] + found["races"] == truth("spoofing")["forged"]
    assert found["races"] > 0
    assert [row["frame"] > 0 for row in found["frames"]] == [True, True]
    assert report["incidents"] == []
    told = (report["folder"] / "report.md").read_text(encoding="utf-8")
    assert "Somebody forged responses" in told


@pytest.mark.parametrize("name", ["packet-loss", "dead-server", "de-2026", "healthy-zsk-roll"])
def test_where_nobody_forged_nothing_is_said(name: str, run) -> None:
    folder = CAPTURES / name
    report = run(folder / "capture.pcap.zst", anchor=folder / "trust-anchor.ds")
    assert forgeries(report) == []
