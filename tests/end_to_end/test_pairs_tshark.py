"""Differential test: which query each response belongs to, against tshark."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from forensics.errors import ForensicsError

HERE = Path(__file__).resolve()
OWN = HERE.parents[2] / "captures"
SHARED = HERE.parents[2].parent / "shared" / "captures"
LISTED = {
    one["file"]: one
    for one in tomllib.loads((HERE.parent / "tshark_pairs.toml").read_text())["difference"]
}
OPTIONS = ["-n", "-o", "tcp.reassemble_out_of_order:TRUE"]
FILTER = "dns.response_to && !mdns && !llmnr && !icmp && !icmpv6"

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def decompressed(path: Path, folder: Path) -> Path:
    """The file as tshark 4.0 can read it."""
    from forensics.capture.containers import Stream

    stream = Stream(str(path))
    if not stream.compression:
        stream.close()
        return path
    target = folder / str(abs(hash(path)))
    with target.open("wb") as out:
        out.write(stream.octets.tobytes())
        while not stream.final:
            stream.advance(len(stream.octets))
            out.write(stream.octets.tobytes())
    stream.close()
    return target


def theirs(path: Path) -> set[tuple[int, int]]:
    """Pairs of the frames of a response and of its query."""
    command = ["tshark", "-r", str(path), *OPTIONS, "-Y", FILTER, "-T", "fields"]
    command += ["-e", "frame.number", "-e", "dns.response_to"]
    lines = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300
    ).stdout.splitlines()
    pairs = (line.split("\t") for line in lines)
    return {(int(frame), int(query)) for frame, found in pairs for query in found.split(",")}


def ours(path: Path, folder: Path) -> set[tuple[int, int]] | None:
    """The same pairs; None: not a capture of packets with DNS messages."""
    from forensics.archive.tables import iter_batches
    from forensics.ingest import ingest

    try:
        result = ingest([str(path)], folder)
    except ForensicsError:
        return None
    if not result.messages or not result.captures[0].format.startswith("pcap"):
        return None
    columns = ["pairing", "query_frame", "response_frame"]
    return {
        (row["response_frame"], row["query_frame"])
        for batch in iter_batches(folder, "transactions", columns)
        for row in batch.to_pylist()
        if row["pairing"] in {"answered", "late"}
    }


def compare(root: Path, paths: list[Path], folder: Path) -> int:
    """Hold every file against tshark; return how many had pairs."""
    mine = {path: ours(path, folder / "tables") for path in paths}
    mine = {path: pairs for path, pairs in mine.items() if pairs is not None}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        plain = {path: decompressed(path, folder) for path in mine}
        found = dict(zip(plain, pool.map(theirs, plain.values()), strict=True))
    wrong = {}
    for path, pairs in mine.items():
        name = path.relative_to(root).as_posix()
        if name in LISTED:
            assert len(pairs) == LISTED[name]["ours"], name
            assert len(found[path]) == LISTED[name]["theirs"], name
        elif pairs != found[path]:
            wrong[name] = sorted(pairs ^ found[path])[:5]
    assert not wrong
    return sum(bool(pairs) for pairs in mine.values())


def test_own_captures_pair_as_in_tshark(tmp_path) -> None:
    paths = sorted(OWN.rglob("*.pcap.zst"))
    assert compare(OWN, paths, tmp_path) == len(paths) > 0


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared/captures beside the repository")
def test_shared_captures_pair_as_in_tshark(tmp_path) -> None:
    paths = sorted(path for path in SHARED.rglob("*") if path.is_file() and path.suffix != ".tsv")
    assert compare(SHARED, paths, tmp_path) > 50
    assert all((SHARED / name).is_file() or (OWN / name).is_file() for name in LISTED)
