"""The command line as a person meets it: help, slips of the pen, tables, exit statuses."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CAPTURE = ROOT / "captures" / "healthy-zsk-roll" / "capture.pcap.zst"
ANCHOR = CAPTURE.with_name("trust-anchor.ds")
AT = tomllib.loads(CAPTURE.with_name("truth.toml").read_text())["steps"][0]["at"]
COMMANDS = (
    "analyze",
    "report",
    "ingest",
    "listen",
    "watch",
    "verify",
    "extract",
    "explain",
    "rehearse",
    "transactions",
    "keys",
    "signatures",
)


def command(*words: str, **options) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "forensics.cli", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        env={**os.environ, "COLUMNS": "100", "TERM": "dumb"},
        **options,
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """A dataset with one input that could not be read."""
    folder = tmp_path_factory.mktemp("cli") / "archive"
    result = command("ingest", CAPTURE, "missing.pcap", "--dataset", folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example_and_every_option_explained(name) -> None:
    result = command(name, "--help")
    assert result.returncode == 0
    assert f"Example: dns-forensics {name} " in result.stdout
    import typer.main

    from forensics.cli import app

    for option in typer.main.get_command(app).commands[name].params:
        assert getattr(option, "help", None), option.name


def test_help_of_the_program_has_an_example_and_names_all_commands() -> None:
    told = command("--help").stdout
    assert "Example: dns-forensics analyze" in told
    for name in COMMANDS:
        assert f" {name} " in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--policy", "unbund"), "unbound"),
        (("--port", "99999"), "--port 99999"),
        (("--server", "ns.example"), "--server ns.example"),
        (("--resolver", "9"), "--resolver 9"),
        (("--from", "yesterday"), "--from yesterday"),
        (("--from", "2027-01-01", "--to", "2026-01-01"), "--from"),
        (("--zone", "a..b"), "--zone a..b"),
        (("--trust-anchor", "no.such.file"), "no.such.file"),
        (("--out", "/proc/version/report"), "/proc/version/report"),
        (("--out", "/proc/report"), "/proc/report"),
    ],
)
def test_a_wrong_option_is_one_line_and_status_2(words, told, tmp_path) -> None:
    out = () if "--out" in words else ("--out", tmp_path / "out")
    result = command("analyze", CAPTURE, *words, *out)
    assert result.returncode == 2, result.stderr
    lines = [line for line in result.stderr.splitlines() if not line.startswith("First run")]
    assert len(lines) == 1
    assert lines[0].startswith("dns-forensics: ")
    assert told in lines[0]
    assert not list(tmp_path.iterdir())


def test_standard_input_is_read_only_once(tmp_path) -> None:
    result = command("analyze", "-", "-", "--out", tmp_path / "out", stdin=subprocess.DEVNULL)
    assert result.returncode == 2
    assert "only once" in result.stderr


def test_a_report_never_replaces_its_dataset(dataset) -> None:
    before = sorted(path.name for path in (dataset / "tables").iterdir())
    for out in (dataset, dataset.parent, dataset / "tables", dataset / "report"):
        result = command("report", dataset, "--out", out)
        assert result.returncode == 2, result.stderr
    assert sorted(path.name for path in (dataset / "tables").iterdir()) == before


def test_a_dataset_gives_the_report_that_the_captures_give(dataset, tmp_path) -> None:
    options = ("--trust-anchor", ANCHOR, "--quiet")
    first = command("analyze", CAPTURE, "missing.pcap", *options, "--out", tmp_path / "a")
    second = command("report", dataset, *options, "--out", tmp_path / "b")
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stderr == second.stderr
    for name in ("report.json", "report.html", "report.md"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    report = json.loads((tmp_path / "a" / "report.json").read_text())
    assert next(row["kind"] for row in report["findings"]) == "unreadable"
    assert "missing.pcap" in report["findings"][0]["sentence"]


def test_a_file_named_twice_counts_once(tmp_path) -> None:
    result = command("ingest", CAPTURE, str(CAPTURE), "--dataset", tmp_path / "twice")
    once = command("ingest", CAPTURE, "--dataset", tmp_path / "once")
    assert result.stdout.splitlines()[0] == once.stdout.splitlines()[0]


def test_what_this_version_does_not_read_is_no_damage(dataset, tmp_path) -> None:
    part = ("analyze", CAPTURE, "--quiet", "--no-figures", "--strict", "--out", tmp_path / "out")
    assert command(*part, "--from", "2100-01-01T00:00:00Z").returncode == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {row["reason"] for row in report["losses"]} == {"outside-times"}
    # An input that could not be read is remembered by the dataset.
    result = command("report", dataset, "--strict", "--no-figures", "--out", tmp_path / "b")
    assert result.returncode == 4


@pytest.mark.parametrize("name", ["transactions", "keys", "signatures"])
def test_a_table_has_the_same_rows_in_each_format(name, dataset, tmp_path) -> None:
    import pyarrow.parquet as pq

    stored = pq.read_metadata(dataset / "tables" / f"{name}.parquet").num_rows
    assert stored
    lines = command(name, dataset).stdout.splitlines()
    assert len(lines) == 1 + stored
    rows = list(csv.DictReader(command(name, dataset, "-f", "csv").stdout.splitlines()))
    parsed = [
        json.loads(line) for line in command(name, CAPTURE, "-f", "jsonl").stdout.splitlines()
    ]
    path = tmp_path / "rows.parquet"
    assert command(name, dataset, "-o", path).returncode == 0
    table = pq.read_table(path)
    assert len(rows) == len(parsed) == table.num_rows == stored
    assert list(rows[0]) == list(parsed[0]) == table.schema.names
    for row, told in zip(rows, parsed, strict=True):
        for column, cell in told.items():
            text = " ".join(map(str, cell)) if isinstance(cell, list) else cell
            assert row[column].removeprefix("'") == ("" if text is None else str(text)), column


def test_a_table_is_restricted_by_zone_and_time(dataset) -> None:
    rows = command("keys", dataset, "--zone", "de.", "-f", "jsonl").stdout.splitlines()
    zones = {json.loads(row)["zone"] for row in rows}
    assert "." in zones
    assert "de." in zones
    assert not zones & {"nl.", "zz."}
    assert command("keys", dataset, "--to", "1999-01-01", "-f", "jsonl").stdout == ""


def test_a_table_says_what_is_wrong(dataset, tmp_path) -> None:
    for words in (
        (dataset, "-f", "xml"),
        (dataset, "-f", "parquet"),
        (tmp_path,),
        (dataset, "-o", "/proc/rows.csv"),
    ):
        result = command("keys", *words)
        assert result.returncode == 2, result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert command("keys", "missing.pcap").returncode == 3


def test_a_dataset_of_transactions_alone(dataset, tmp_path) -> None:
    """Its transactions are those of a whole one; where evidence is needed, it says what to do."""
    less = tmp_path / "less"
    assert command("ingest", CAPTURE, "--transactions-only", "-d", less).returncode == 0
    rows = [command("transactions", one, "-f", "csv").stdout for one in (dataset, less, CAPTURE)]
    assert len(rows[0].splitlines()) > 100
    assert rows[1] == rows[0]
    assert rows[2] == rows[0]
    for words in (
        ("report", less, "--out", tmp_path / "report"),
        ("keys", less),
        ("signatures", less),
        ("explain", less, "de.", "--at", "2026-05-05"),
    ):
        result = command(*words)
        assert result.returncode == 2, result.stderr
        assert "without --transactions-only" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    result = command("ingest", CAPTURE, "--transactions-only", "--workers", 1, "-d", tmp_path / "x")
    assert result.returncode == 2
    assert "--transactions-only" in result.stderr


def test_a_closed_pipe_is_no_error(dataset) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "forensics.cli", "transactions", str(dataset), "-f", "jsonl"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_behind(number, tmp_path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "forensics.cli", "analyze", "-", "--out", str(tmp_path / "out")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".out.*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    assert not list(tmp_path.iterdir())


COMPILING = """
import sys, tempfile, threading, time
from pathlib import Path
from forensics import terminal
from forensics.output import replacing
terminal.GRACE, terminal.PATIENCE = 0.2, 0.5
terminal.stop_on_signals()
lock = threading.Lock()
lock.acquire()
out = Path(sys.argv[1]) / "out"
tempfile.tempdir = sys.argv[1]
threading.Thread(target=lock.acquire, name="the compiler").start()
made = tempfile.TemporaryDirectory(prefix="temporary-")
with replacing(out) as folder:
    (folder / "half").write_text("half")
    print("ready", flush=True)
    while True:  # as one who waits for a thread in a finally clause, whatever is raised
        try:
            time.sleep(60)
        except SystemExit:
            pass
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_cannot_unwind_ends_all_the_same_and_leaves_nothing(number, tmp_path):
    """numba's compiler is held under a lock for minutes, and no thread can be told to let go."""
    (tmp_path / "out").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", COMPILING, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not list((tmp_path / "out").iterdir())


DROPPING = """
import ctypes, os, signal, sys
from forensics import cli
def app(**_):
    @ctypes.CFUNCTYPE(None)
    def called():
        if sys.argv[1] != "0":
            os.kill(os.getpid(), int(sys.argv[1]))
    called()
    raise RuntimeError("what the callback was to give is missing")
cli.app = app
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_a_c_library_swallows_still_ends_the_run_as_one(number) -> None:
    """numba's compiler calls Python back from C, where no exception comes out of."""
    ended = subprocess.run(
        [sys.executable, "-c", DROPPING, str(int(number))],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (128 + number, "")


def test_an_error_without_a_signal_is_told() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", DROPPING, "0"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "what the callback was to give is missing" in ended.stderr


def test_ctrl_c_while_kernels_are_compiled_ends_the_run(tmp_path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "forensics.cli", "analyze", CAPTURE, "--out", tmp_path / "out"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")},
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        assert b"compiling its kernels" in process.stderr.readline()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(100) == 130
    assert {path.name for path in tmp_path.iterdir()} <= {"kernels"}


def test_a_report_verifies_until_it_is_touched_and_can_be_made_again(tmp_path) -> None:
    out = tmp_path / "report"
    made = command(
        "analyze", CAPTURE.relative_to(ROOT), "--trust-anchor", ANCHOR.relative_to(ROOT),
        "--timezone", "Europe/Berlin", "--no-figures", "--json", "-o", out,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout) == json.loads((out / "report.json").read_text())
    assert json.loads(made.stdout)["options"]["timezone"] == "Europe/Berlin"
    again = command("verify", out, "--rerun")
    assert again.returncode == 0, again.stdout + again.stderr
    (out / "report.md").write_text("changed", encoding="utf-8")
    touched = command("verify", out)
    assert touched.returncode == 4
    assert "changed: output report.md" in touched.stdout


@pytest.mark.parametrize("zone", ["Nowhere/Town", "../../etc/passwd", ""])
def test_an_unknown_time_zone_is_refused_before_any_work(zone) -> None:
    refused = command("analyze", CAPTURE, "--timezone", zone)
    assert refused.returncode == 2
    assert "--timezone" in refused.stderr


def test_explain_gives_json_of_one_question_and_of_nothing_else(dataset) -> None:
    result = command(
        "explain", dataset, "de", "SOA", "--at", AT, "--trust-anchor", ANCHOR,
        "--json",
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert (told["name"], told["type"], told["status"]) == ("de.", "SOA", "secure")
    assert [k["link"] for k in told["chain"]][:2] == ["anchor", "dnskey"]


def test_explain_says_what_to_do_about_a_name_that_was_never_asked_for(dataset) -> None:
    result = command("explain", dataset, "nobody.test", "--at", AT)
    assert result.returncode == 2
    assert "never asked for" in result.stderr
    assert "for example" in result.stderr
    result = command("explain", dataset, "de", "SOA", "--at", AT, "--view", "resolver")
    assert result.returncode == 2
    assert "--resolver" in result.stderr
