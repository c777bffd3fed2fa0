"""What a zone of ever new key sets may cost: the work is bounded, and the bound is said."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from forensics import pipeline
from forensics.options import Options
from forensics.validation.published import Budget, Publication

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from attackkit.makers import key_sets

SETS = 300
WORK = 100_000


def test_instants_judged_are_bounded_by_the_work_of_a_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = 0
    alone = Publication._alone

    def counted(self: Publication, *arguments: object) -> object:
        nonlocal judged
        judged += 1
        return alone(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Publication, "_alone", counted)
    monkeypatch.setattr(Budget.__init__, "__defaults__", (WORK,))
    path = tmp_path / "roll.pcap"
    path.write_bytes(b"".join(key_sets(SETS)))
    pipeline.analyze([str(path)], tmp_path / "out", Options(), figures=False)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert 0 < judged <= WORK // 2
    assert "limit" in [row["kind"] for row in report["findings"]]
