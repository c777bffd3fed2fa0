"""What all tests share: where captures are, and that CI leaves nothing out in silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# CI draws the same examples each time: a landing never depends on luck. At a desk they vary.
# How long an example takes is nowhere a test: machines are noisy.
settings.register_profile("desk", deadline=None)
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "desk")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "captures"


def pytest_terminal_summary(terminalreporter):
    """On CI, a test that skips for a missing tool is a fault of the setup: say so, and fail."""
    if os.environ.get("CI") != "true":
        return
    missing = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if "not installed" in str(report.longrepr)
    ]
    if missing:
        terminalreporter.write_line(
            f"{len(missing)} tests skipped for tools that CI should have installed", red=True
        )
        terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED
