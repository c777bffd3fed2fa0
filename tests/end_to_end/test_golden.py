"""The committed reports of some captures: byte for byte what the program writes now.

Changed by `scripts/golden` alone, and read in review. That they are *true* is tested elsewhere,
against the lab's truth; this holds them still.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from forensics.pipeline import Options, analyze

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.name for path in (ROOT / "reports").iterdir() if path.is_dir())


@pytest.mark.parametrize("name", NAMES)
def test_report_is_the_committed_one(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    options = Options(trust_anchors=(f"captures/{name}/trust-anchor.ds",))
    analyze([f"captures/{name}/capture.pcap.zst"], tmp_path / "out", options, figures=False)
    for file in ("report.json", "report.md"):
        assert (tmp_path / "out" / file).read_text() == (ROOT / "reports" / name / file).read_text()


def test_no_report_is_an_orphan() -> None:
    assert NAMES
    assert {path.name for path in (ROOT / "captures").iterdir()} > set(NAMES)
