"""Bad input: one clear line, the exit status of the contract, and good inputs still analysed."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import rewrite

DE = Path(__file__).resolve().parents[2] / "captures" / "de-2026"


def command(*arguments: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forensics.cli", *arguments],
        capture_output=True, text=True, timeout=300, check=False, user=user,
    )  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[bytes, list[rewrite.Record], Path]:
    """A healthy piece of the bundled capture: 400 packets."""
    header, records = rewrite.load(DE / "capture.pcap.zst")
    path = tmp_path_factory.mktemp("small") / "small.pcap"
    return header, records[:400], rewrite.store(path, header, records[:400])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.pcap", b"", "empty"),
        ("text.pcap", b"This is no capture at all, but a letter.\n" * 5, "format"),
        ("missing.pcap", None, "no such file"),
    ],
)
def test_alone_it_is_one_line_and_status_3(name, content, words, tmp_path) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    result = command("analyze", str(path), "--out", str(tmp_path / "out"))
    assert result.returncode == 3
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert name in lines[0]
    assert "offset 0" in lines[0]
    assert words in lines[0].lower()
    assert not (tmp_path / "out").exists()


def test_a_folder_is_refused_with_one_line(tmp_path) -> None:
    result = command("analyze", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.returncode == 3
    assert "folder" in result.stderr or "directory" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who may not read")
def test_an_unreadable_file_is_one_line(small) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder) / "secret.pcap"
        path.write_bytes(small[2].read_bytes())
        path.chmod(0)
        Path(folder).chmod(0o777)
        # Everything is imported before root is given up: Python itself may live in root's home.
        code = (
            "import os, sys\n"
            "from forensics.capture.readers import open_capture\n"
            "from forensics.errors import Unreadable\n"
            f"open_capture({str(small[2])!r}, 0)\n"
            "os.setuid(65534)\n"
            f"try: open_capture({str(path)!r}, 0)\n"
            "except Unreadable as error: print(error)"
        )
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder + "/cache"}
        result = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, timeout=300, check=False, env=environment,
        )  # fmt: skip
    assert "permission" in result.stdout.lower(), result.stderr
    assert len(result.stdout.strip().splitlines()) == 1


def test_cut_in_mid_record_is_read_up_to_there(tmp_path, small) -> None:
    path = tmp_path / "cut.pcap"
    octets = small[2].read_bytes()
    path.write_bytes(octets[:-7])
    out = tmp_path / "out"
    result = command("analyze", str(path), "--out", str(out), "--no-figures")
    assert result.returncode == 0, result.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["captures"][0]["packets"] == 399
    assert report["captures"][0]["losses"]["file-cut"] == 1
    cut = next(loss for loss in report["losses"] if loss["reason"] == "file-cut")
    assert cut["offset"] == len(octets) - 16 - len(small[1][-1].data)
    assert cut["frame"] == 400
    strict = command("analyze", str(path), "--out", str(out), "--no-figures", "--strict")
    assert strict.returncode == 4


def test_absurd_record_length_is_a_loss_with_its_place(tmp_path, small) -> None:
    header, records, _ = small
    path = rewrite.store(tmp_path / "absurd.pcap", header, records[:50])
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(struct.pack("<IIII", records[50].seconds, 0, 0xFFFFFFF0, 0xFFFFFFF0))
    out = tmp_path / "out"
    assert command("analyze", str(path), "--out", str(out), "--no-figures").returncode == 0
    report = json.loads((out / "report.json").read_text())
    assert report["captures"][0]["packets"] == 50
    assert size in {loss["offset"] for loss in report["losses"]}


def test_unknown_link_type_is_named(tmp_path, small) -> None:
    header, records, _ = small
    path = rewrite.store(tmp_path / "link.pcap", header[:20] + struct.pack("<I", 147), records[:9])
    out = tmp_path / "out"
    result = command("analyze", str(path), "--out", str(out), "--no-figures")
    assert result.returncode == 0
    report = json.loads((out / "report.json").read_text())
    assert report["counts"]["messages"] == 0
    assert any("147" in loss["detail"] for loss in report["losses"])


def test_of_several_inputs_the_good_ones_are_analysed(tmp_path, small) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(b"nothing")
    out = tmp_path / "out"
    result = command("analyze", str(bad), str(small[2]), "--out", str(out), "--no-figures")
    assert result.returncode == 0
    assert "bad.pcap" in result.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["counts"]["packets"] == 400
    assert any("bad.pcap" in str(loss) for loss in report["losses"] + report["findings"])
    strict = command("analyze", str(bad), str(small[2]), "--out", str(out), "--strict")
    assert strict.returncode == 4


def test_usage_errors_have_status_2(tmp_path, small) -> None:
    out = str(tmp_path / "out")
    assert command("analyze", str(small[2]), "--out", out, "--from", "yesterday").returncode == 2
    assert command("analyze", "--out", out).returncode == 2
    anchor = tmp_path / "anchor"
    anchor.write_text("example. IN DS rubbish\n")
    result = command("analyze", str(small[2]), "--out", out, "--trust-anchor", str(anchor))
    assert result.returncode == 2
    assert "anchor" in result.stderr


def test_a_folder_that_is_not_ours_is_not_replaced(tmp_path, small) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    result = command("analyze", str(small[2]), "--out", str(out), "--no-figures")
    assert result.returncode == 2
    assert (out / "thesis.txt").read_text() == "years of work"


def test_exit_code_option_tells_of_incidents(tmp_path, small) -> None:
    anchor = str(DE / "trust-anchor.ds")
    outage = command(
        "analyze", str(DE / "capture.pcap.zst"), "--trust-anchor", anchor, "--exit-code",
        "--out", str(tmp_path / "a"), "--no-figures",
    )  # fmt: skip
    assert outage.returncode == 10
    healthy = command(
        "analyze", str(small[2]), "--trust-anchor", anchor, "--exit-code",
        "--out", str(tmp_path / "b"), "--no-figures",
    )  # fmt: skip
    assert healthy.returncode == 0
