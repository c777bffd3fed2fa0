"""Resolvers' logs beside a capture: what the report makes of three resolvers of the lab."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "captures" / "ru-2024"
LOGS = ("bind.log", "unbound.log", "recursor.log")


def test_each_resolver_agrees_in_its_own_words(run) -> None:
    logs = tuple(str(FOLDER / name) for name in (*LOGS, "missing.log"))
    report = run(FOLDER / "capture.pcap.zst", anchor=FOLDER / "trust-anchor.ds", resolver_logs=logs)
    (incident,) = [one for one in report["incidents"] if one["zone"] == "ru."]
    assert [Path(row["log"]).name for row in incident["testimony"]] == list(LOGS)
    assert [row["format"] for row in report["logs"]] == ["bind", "unbound", "powerdns"]
    for row in incident["testimony"]:
        assert row["first"] >= incident["onset"]["last_good"]
        assert row["failures"] > 0
    assert [row["capture"] for row in report["losses"] if row["reason"] == "unreadable"] == [
        logs[-1]
    ]
    for name in ("report.html", "report.md"):
        text = (report["folder"] / name).read_text(encoding="utf-8")
        assert "What resolvers logged" in text
        assert "signature crypto failed" in text


def test_a_report_with_logs_can_be_made_again_and_a_missing_log_is_told(run) -> None:
    from forensics.pipeline import Options, analyze, reproduce

    log = str(FOLDER / "unbound.log")
    folder = run(
        FOLDER / "resolvers.dnstap.zst", anchor=FOLDER / "trust-anchor.ds", resolver_logs=(log,)
    )["folder"]
    assert {one.state for one in reproduce(folder)} == {"same"}
    outcome = analyze(
        [str(FOLDER / "resolvers.dnstap.zst")],
        folder.parent / "again",
        Options(resolver_logs=(log, "missing.log")),
        figures=False,
    )
    assert [error.path for error in outcome.errors] == ["missing.log"]
    assert outcome.damaged
