"""A short run of every fuzz target; `scripts/fuzz` has long ones, CI those with bounds checks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from fuzzkit.command import main  # noqa: E402
from fuzzkit.laws import Broken  # noqa: E402
from fuzzkit.targets import TARGETS, Target  # noqa: E402


@pytest.mark.parametrize("name", [one.name for one in TARGETS])
def test_damaged_input_breaks_nothing(name, tmp_path) -> None:
    # In a process of its own: the memory bound that it sets would stay with the tests.
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "fuzz", name, "--executions", "250"],
        capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "nothing broke" in run.stdout


def test_a_fault_is_found_kept_and_told(monkeypatch, tmp_path, capsys) -> None:
    def fragile(data, _) -> None:
        if b"7" in data:
            raise Broken("seven")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fuzzkit.command.MEMORY", -1)
    monkeypatch.setattr(
        "fuzzkit.command.TARGETS", (Target("pcap", lambda: [b"12345689" * 4], fragile),)
    )
    assert main(["pcap", "--executions", "100000"]) == 1
    (kept,) = (tmp_path / "out" / "fuzz").iterdir()
    assert b"7" in kept.read_bytes()
    assert "broke it" in capsys.readouterr().err
