"""The trust that Unbound signals in a capture (RFC 8145), held against tshark."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "captures" / "root-ksk-roll"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_signals_are_those_that_tshark_sees(run, tmp_path) -> None:
    import zstandard

    report = run(FOLDER / "capture.pcap.zst", anchor=FOLDER / "trust-anchor.ds")
    (found,) = [row for row in report["findings"] if row["kind"] == "trust-signals"]
    assert found["zone"] == "."
    path = tmp_path / "capture.pcap"
    with (FOLDER / "capture.pcap.zst").open("rb") as packed, path.open("wb") as plain:
        zstandard.ZstdDecompressor().copy_stream(packed, plain)
    shown = subprocess.run(
        ["tshark", "-r", str(path), "-Y", 'dns.flags.response==0 && dns.qry.name contains "_ta-"',
         "-T", "fields", "-E", "occurrence=f", "-e", "frame.number", "-e", "ip.src",
         "-e", "ipv6.src", "-e", "dns.qry.name"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    counted: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for line in shown.splitlines():
        frame, four, six, name = line.split("\t")
        tags = tuple(sorted(int(tag, 16) for tag in name.removeprefix("_ta-").split("-")))
        counted.setdefault((four or six, tags), []).append(int(frame))
    assert counted
    ours = {
        (row["client"], tuple(row["tags"])): (row["count"], row["frame"])
        for row in found["signals"]
    }
    assert ours == {key: (len(frames), frames[0]) for key, frames in counted.items()}
