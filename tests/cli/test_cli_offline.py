"""Every command works in a network namespace without interfaces: nothing leaves the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "captures" / "healthy-zsk-roll"
CAPTURE, ANCHOR = FOLDER / "capture.pcap.zst", FOLDER / "trust-anchor.ds"


def offline(*words) -> subprocess.CompletedProcess[str]:
    """Run a command where not even the loopback interface is up."""
    return subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "forensics.cli", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def namespaces() -> None:
    """Skip where a process may not make namespaces."""
    try:
        subprocess.run(["unshare", "--net", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("network namespaces cannot be made here (root is needed)")


def test_all_commands_do_without_a_network(tmp_path) -> None:
    report, dataset = tmp_path / "report", tmp_path / "dataset"
    anchor = ("--trust-anchor", ANCHOR)
    commands = (
        ("analyze", CAPTURE, *anchor, "-o", report, "-q"),
        ("ingest", CAPTURE, "--dataset", dataset, "-q"),
        ("report", dataset, *anchor, "-o", tmp_path / "again", "--no-figures", "-q"),
        ("verify", report),
        ("transactions", dataset, "--zone", "de."),
        ("keys", report),
        ("signatures", report, "--format", "jsonl"),
        ("explain", dataset, "de.", "SOA", "--at", "2026-11-29T08:00:00Z", *anchor, "--json"),
    )
    for words in commands:
        done = offline(*words)
        assert done.returncode == 0, (words, done.stderr)
