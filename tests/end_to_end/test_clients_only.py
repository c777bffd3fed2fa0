"""What clients' traffic alone tells of an outage: that validation failed, where, and from when."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from labkit.scoring.inputs import Recorded  # noqa: E402
from labkit.scoring.judge import judge  # noqa: E402

UNSEEN = tomllib.loads((ROOT / "captures" / "UNSEEN.toml").read_text())["unseen"]
TOLD = ("fj-2022", "shared-operator")


@pytest.mark.parametrize("name", TOLD)
def test_zones_and_brackets_are_told_by_testimony(name: str, run, tmp_path) -> None:
    recorded = Recorded(ROOT / "captures" / name)
    report = run(*recorded.inputs("client", tmp_path), anchor=recorded.anchor)
    told = [row for row in report["findings"] if row["kind"] == "testimony"]
    # Where all names that failed stand below one of a zone's children, the child is named, and the
    # zone above it is not cleared.
    zones = {row["zone"] if row["exact"] else row["zone"].split(".", 1)[1] for row in told}
    assert zones == set(recorded.truth["zones"])
    assert sum(row["exact"] for row in told) >= len(told) - 1
    assert report["incidents"] == []
    assert [row for row in report["findings"] if row["kind"] == "resolver-local"] == []
    for row in told:
        assert (row["cleared"], row["basis"]) == (".", "ede")
        assert row["texts"]
        assert row["sentence"].count("..") == 0
    verdict = judge(recorded.truth, "client", report, recorded.unseen("client"))
    assert (verdict.verdict, verdict.onset) == ("unseen", "yes (clients)")
    # Without the entry it is a miss, and with another zone or time nothing excuses it.
    assert judge(recorded.truth, "client", report).verdict == "**no**"
    told[0]["zone"] = "nl."
    assert judge(recorded.truth, "client", report, recorded.unseen("client")).verdict == "**no**"


def test_a_bracket_beside_what_clients_saw_is_not_excused(run, tmp_path) -> None:
    recorded = Recorded(ROOT / "captures" / "fj-2022")
    report = run(*recorded.inputs("client", tmp_path), anchor=recorded.anchor)
    (row,) = [row for row in report["findings"] if row["kind"] == "testimony"]
    row["onset"] = {"last_good": None, "first_bad": "2020-01-01T00:00:00.000000000Z"}
    verdict = judge(recorded.truth, "client", report, recorded.unseen("client"))
    assert verdict.verdict == "**no**"
    assert verdict.onset.startswith("miss")
