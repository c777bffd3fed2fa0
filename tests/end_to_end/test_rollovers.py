"""Rolls of the lab by the names of RFC 7583, and by how much too early they left the safe path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from labkit.scoring.inputs import Recorded  # noqa: E402
from labkit.scoring.judge import nanoseconds  # noqa: E402

POLL = 9
"""Seconds between two questions of the lab's monitor for one RRset, and a server's delay."""

EARLY = {
    # Step, the lab's two acts, and the TTL (s) that lies between them where the roll is right.
    "nz-2023": ("withdraw-ksk", "ds-changed", "key-withdrawn", 30),
    "nl-2012": ("sign", "signer-changed", "signer-changed", 30),
}


def recorded_run(name: str, run) -> tuple[Recorded, dict]:
    recorded = Recorded(ROOT / "captures" / name)
    return recorded, run(*recorded.inputs("pcap", Path()), anchor=recorded.anchor)


@pytest.mark.parametrize("name", EARLY)
def test_the_step_that_came_too_early_is_named_with_its_ttl(name: str, run) -> None:
    recorded, report = recorded_run(name, run)
    kind, begun, done, ttl = EARLY[name]
    at = {step["name"]: nanoseconds(step["at"]) / 1e9 for step in recorded.truth["steps"]}
    owed = ttl - (at[done] - at[begun])
    (incident,) = [one for one in report["incidents"] if one["zone"] == recorded.truth["zone"]]
    (step,) = [one for one in incident["rollover"]["early"] if one["step"] == kind]
    assert step["ttl"] == ttl
    # What is told is what can be proven: no more than the lab knows, less by what nobody looked.
    assert owed - POLL <= step["early_seconds"] <= owed + 1


def test_healthy_rolls_are_named_and_nothing_of_them_is_early(run) -> None:
    named = {}
    for name in ("healthy-zsk-roll", "healthy-ksk-roll"):
        _, report = recorded_run(name, run)
        rolls = [row for row in report["findings"] if row["kind"] == "rollover"]
        assert [row for row in report["findings"] if row["kind"] == "near-miss"] == []
        (roll,) = [row for row in rolls if row["zone"] == "de."]
        assert roll["early"] == []
        named[name] = (roll["roll"], roll["method"])
    assert named == {
        "healthy-zsk-roll": ("zsk", "Pre-Publication"),
        "healthy-ksk-roll": ("ksk", "Double-DS"),
    }
