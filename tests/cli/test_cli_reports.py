"""Reports as a person asks for them: hidden names, spreadsheets, baselines, colours and silence."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import dns.name
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTAGE = ROOT / "captures" / "slack-2021"
QUIET = ROOT / "captures" / "unsigned-world"
ANCHOR = OUTAGE / "trust-anchor.ds"


def command(*words: object, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "forensics.cli", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=500,
        env={**os.environ, "COLUMNS": "100", "TERM": "xterm", **changes},
    )  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess]:
    """A report with tables for a spreadsheet, and what was printed."""
    out = tmp_path_factory.mktemp("plain") / "report"
    told = command(
        "analyze", OUTAGE / "capture.pcap.zst", "--trust-anchor", ANCHOR, "--out", out,
        "--no-figures", "--csv", "--json", "--exit-code",
    )  # fmt: skip
    return out, told


@pytest.fixture(scope="module")
def zone(plain: tuple[Path, subprocess.CompletedProcess]) -> str:
    return json.loads((plain[0] / "report.json").read_text())["incidents"][0]["zone"]


@pytest.fixture(scope="module")
def hidden(
    plain: tuple[Path, subprocess.CompletedProcess],
    zone: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess]:
    """The same without clients and without the names below the zone, held against the first."""
    folder = tmp_path_factory.mktemp("hidden")
    (folder / "key").write_text("5b" * 32)
    told = command(
        "analyze", OUTAGE / "capture.pcap.zst", "--trust-anchor", ANCHOR,
        "--out", folder / "report", "--no-figures", "--csv", "--quiet",
        "--anonymize", folder / "key", "--anonymize-names", zone, "--baseline", plain[0],
    )  # fmt: skip
    return folder / "report", told


def test_json_is_the_report_and_nothing_else_and_the_exit_status_tells(plain) -> None:
    out, told = plain
    assert told.returncode == 10, told.stderr
    assert told.stdout == (out / "report.json").read_text()
    assert [line for line in told.stderr.splitlines() if "First run" not in line] == []


def test_quiet_says_nothing(hidden) -> None:
    out, told = hidden
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert (out / "report.html").is_file()


def test_names_below_a_private_zone_are_in_no_file(plain, hidden, zone: str) -> None:
    names = pq.read_table(plain[0] / "tables" / "transactions.parquet")["qname"].to_pylist()
    below = {name for name in names if name and name.endswith(f".{zone}") and name != zone}
    assert len(below) > 3
    # What a validator or resolver asks on its own account may look the same in both.
    secrets = [name.encode() for name in below]
    secrets += [dns.name.from_text(name).to_wire() for name in below]
    seen = 0
    for path in hidden[0].rglob("*"):
        if not path.is_file() or path.name == "manifest.json":
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = repr(pq.read_table(path).to_pydict()).encode()
        seen += 1
        assert not [secret for secret in secrets if secret in content], path
    assert seen > 12
    report = json.loads((hidden[0] / "report.json").read_text())
    before = json.loads((plain[0] / "report.json").read_text())
    assert report["incidents"][0]["zone"] == zone  # the zone itself is what the report is about
    for name in ("onset", "recovery", "reason", "impact"):
        assert report["incidents"][0][name] == before["incidents"][0][name]
    assert any(row["kind"] == "names-anonymized" for row in report["findings"])


def test_a_baseline_with_the_same_packets_finds_the_same_incident(plain, hidden) -> None:
    baseline = json.loads((hidden[0] / "report.json").read_text())["baseline"]
    assert (baseline["new"], baseline["gone"]) == ([], [])
    assert len(baseline["both"]) == 1
    assert str(plain[0]) in (hidden[0] / "report.md").read_text().replace("\\", "")
    assert "Against the baseline" in (hidden[0] / "report.html").read_text()
    told = command("compare", plain[0], hidden[0])
    assert told.returncode == 0, told.stderr
    assert "slack.com." in told.stdout or baseline["both"][0]["zone"] in told.stdout
    as_json = json.loads(command("compare", plain[0], hidden[0], "--json").stdout)
    assert as_json["both"] == baseline["both"]


def test_csv_holds_the_rows_of_the_tables_and_no_formula(plain) -> None:
    tables = plain[0] / "tables"
    written = sorted(path.stem for path in tables.glob("*.csv"))
    assert {"transactions", "signatures", "keys", "verdicts"} <= set(written)
    for name in written:
        with (tables / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == pq.read_metadata(tables / f"{name}.parquet").num_rows, name
        for row in rows:
            for cell in row.values():
                assert not re.match(r"[=+@\t\r]|-(?![\d.]+$)", cell or ""), (name, cell)


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "{folder}"),
        ("report", "{folder}", "--out", "{folder}/out"),
        ("extract", "{folder}", "--incident", "x", "-o", "{folder}/x.pcapng"),
        ("compare", "{folder}", "{folder}"),
    ],
)
def test_folders_of_nested_json_are_refused_in_a_sentence(tmp_path: Path, words) -> None:
    for name in ("manifest.json", "report.json"):
        (tmp_path / name).write_text("[" * 100_000)
    told = command(*(word.format(folder=tmp_path) for word in words))
    assert told.returncode == 2
    assert "Traceback" not in told.stderr
    assert str(tmp_path) in told.stderr.replace("\n", "")


@pytest.mark.parametrize("time", ["9999-12-31", "1600-01-01", "0001-01-01", ":00.1" * 20_000])
def test_times_that_no_capture_has_are_refused_in_a_sentence(time: str) -> None:
    told = command("explain", OUTAGE / "capture.pcap.zst", "a.", "A", "--at", time)
    assert told.returncode == 2
    assert "Traceback" not in told.stderr
    assert "--at" in told.stderr


def test_verify_accepts_both_and_names_what_was_touched(plain, hidden) -> None:
    for out, _ in (plain, hidden):
        assert command("verify", out).returncode == 0
    page = plain[0] / "report.html"
    held = page.read_bytes()
    page.write_bytes(held + b" ")
    told = command("verify", plain[0])
    page.write_bytes(held)
    assert told.returncode == 4
    assert "report.html" in told.stdout + told.stderr


def _at_a_terminal(*words: object, **changes: str) -> str:
    """What a terminal shows of a run."""
    shown = b""
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "forensics.cli", *map(str, words)],
        cwd=ROOT, stdin=slave, stdout=slave, stderr=slave,
        env={**os.environ, "COLUMNS": "100", "TERM": "xterm", **changes},
    )  # fmt: skip
    os.close(slave)
    while True:
        try:
            part = os.read(master, 65_536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert child.wait(timeout=60) == 0, shown
    return shown.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*[1-9][0-9]*m")


def test_a_terminal_gets_a_bar_and_colours_unless_they_are_refused(tmp_path) -> None:
    words = ("analyze", OUTAGE / "capture.pcap.zst", "--trust-anchor", ANCHOR, "--no-figures")
    shown = _at_a_terminal(*words, "--out", tmp_path / "a")
    assert COLOUR.search(shown)
    assert "reading" in shown
    summary = shown.rsplit("Report:", 1)[0]
    assert "When:" in summary
    shown = _at_a_terminal(*words, "--out", tmp_path / "b", NO_COLOR="1")
    assert not COLOUR.search(shown.split("When:", 1)[-1])
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)
    shown = _at_a_terminal(*words, "--out", tmp_path / "c", "--quiet")
    assert shown.replace("\r", "").strip() == ""


def test_a_pipe_gets_neither_bar_nor_colours(tmp_path) -> None:
    told = command("analyze", QUIET / "capture.pcap.zst", "--out", tmp_path / "out", "--no-figures")
    assert told.returncode == 0
    assert "\x1b" not in told.stdout + told.stderr
    assert "reading" not in told.stderr
