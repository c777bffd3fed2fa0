"""Runs of the whole program, each once a session."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

CAPTURES = Path(__file__).resolve().parents[2] / "captures"


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Analyse captures with options; return report.json as a dict. Same arguments, same run."""
    from forensics.pipeline import Options, analyze

    known = {}

    def _run(*paths, anchor=None, figures=False, **options):
        key = (paths, anchor, figures, tuple(sorted(options.items())))
        if key not in known:
            out = tmp_path_factory.mktemp("run") / "report"
            anchors = (str(anchor),) if anchor else ()
            chosen = Options(trust_anchors=anchors, **options)
            analyze([str(path) for path in paths], out, chosen, figures=figures)
            known[key] = json.loads((out / "report.json").read_text())
            known[key]["folder"] = out
        return known[key]

    return _run


@pytest.fixture(scope="session")
def truth():
    """Return what the lab wrote beside a capture."""
    return lambda name: tomllib.loads((CAPTURES / name / "truth.toml").read_text())
