"""Differential test: frames and DNS messages over UDP and TCP against tshark, file by file."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from capture_files import read

from forensics.capture.containers import Stream
from forensics.errors import UnknownFormat

HERE = Path(__file__).resolve()
SHARED = HERE.parents[2].parent / "shared" / "captures"
OWN = HERE.parents[2] / "captures"
LISTED = {
    one["file"]: one
    for one in tomllib.loads((HERE.parent / "tshark_differences.toml").read_text())["difference"]
}
SUFFIXES = {".pcap", ".pcapng", ".cap", ".gz", ".xz", ".zst", ".bz2", ".lz4", ".pcap_"}

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def _files(root, skipped):
    found = (
        sorted(path for path in root.rglob("*") if path.is_file() and path.suffix in SUFFIXES)
        if root.is_dir()
        else []
    )
    return found or [pytest.param(None, marks=pytest.mark.skip(reason=skipped))]


def _decompressed(path, folder):
    """The file as tshark can read it: it knows no xz, for one."""
    stream = Stream(str(path))
    if not stream.compression:
        stream.close()
        return path
    target = folder / hashlib.sha256(str(path).encode()).hexdigest()
    with target.open("wb") as out:
        out.write(stream.octets.tobytes())
        while not stream.final:
            stream.advance(len(stream.octets))
            out.write(stream.octets.tobytes())
    stream.close()
    return target


def _tshark(path, folder):
    """Frames, and by frame that ends DNS messages its time, source port and the messages' ids."""
    names = ("frame.number", "frame.time_epoch", "frame.protocols", "udp.srcport", "tcp.srcport")
    command = ["tshark", "-n", "-r", str(_decompressed(path, folder)), "-T", "fields"]
    command += ["-o", "tcp.reassemble_out_of_order:TRUE"]
    command += [part for name in (*names, "dns.id") for part in ("-e", name)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    lines = [line.split("\t") for line in ended.stdout.splitlines()]
    messages = {}
    for number, time, protocols, udp, tcp, idents in lines:
        stack = set(protocols.split(":"))
        if "dns" in stack and not stack & {"icmp", "icmpv6"}:
            # Of a datagram in a tunnel over UDP, the inner port.
            port = tcp if "tcp" in stack else udp.split(",")[-1]
            messages[int(number)] = (
                time,
                port,
                sorted(int(one, 16) for one in idents.split(",") if one),
            )
    return len(lines), messages


def _nanoseconds(text):
    second, _, rest = text.partition(".")
    return int(second) * 10**9 + int(rest.ljust(9, "0")[:9])


@pytest.fixture(scope="module")
def theirs(request, tmp_path_factory):
    """What tshark finds, by path, of all files whose tests will run: it takes long to start."""
    folder = tmp_path_factory.mktemp("tshark")
    mine = [item for item in request.session.items if item.module is request.module]
    paths = {item.callspec.params["path"] for item in mine if hasattr(item, "callspec")}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        yield {path: pool.submit(_tshark, path, folder) for path in paths - {None}}


def _compare(path, name, found):
    try:
        facts, rows = read(path)
    except UnknownFormat as error:
        pytest.skip(f"not a format of this stage: {error.reason}")
    if facts.format.startswith("dnstap"):
        pytest.skip("tshark reads no dnstap")
    frames, messages = found[path].result()
    by_frame = {}
    for row in rows:
        by_frame.setdefault(row.frame, []).append(int.from_bytes(row.octets[:2], "big"))
    ours = [facts.packets, len(rows)]
    counted = [frames, sum(len(idents) for _, _, idents in messages.values())]
    if name in LISTED:
        assert (ours, counted) == (LISTED[name]["ours"], LISTED[name]["theirs"])
    else:
        assert ours == counted
        assert {frame: sorted(idents) for frame, idents in by_frame.items()} == {
            frame: idents for frame, (_, _, idents) in messages.items()
        }
    for row in rows:
        if row.frame not in messages:
            continue
        time, port, _ = messages[row.frame]
        # One capture of 1900 gives tshark a negative time.
        if not time.startswith("-"):
            assert row.time == _nanoseconds(time)
        assert row.source_port == int(port)


@pytest.mark.parametrize("path", _files(SHARED, "no shared/captures beside the repository"))
def test_shared_capture_agrees_with_tshark(path, theirs):
    _compare(path, path.relative_to(SHARED).as_posix(), theirs)


@pytest.mark.parametrize("path", _files(OWN, "no captures recorded yet"))
def test_own_capture_agrees_with_tshark(path, theirs):
    _compare(path, f"captures/{path.relative_to(OWN).as_posix()}", theirs)


def test_every_listed_difference_is_explained_and_its_file_exists():
    for name, one in LISTED.items():
        assert one["ours"] != one["theirs"]
        assert len(one["why"]) > 10
        if name.startswith("captures/"):
            assert (OWN.parent / name).is_file()
        elif SHARED.is_dir():
            assert (SHARED / name).is_file()
