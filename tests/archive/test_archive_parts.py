"""A dataset of many parts is the dataset of one run: the same rows, whatever the order of files."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from forensics import schemas
from forensics.archive.opening import tables_of
from forensics.archive.tables import iter_batches, read_table
from forensics.batch import ingest_batch
from forensics.ingest import ingest
from forensics.options import Options

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "end_to_end"))

import rewrite
from sameness import difference

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
LONG = ("transactions", "sightings", "unsigned")
SHORT = ("captures", "losses", "places", "signatures", "keys")
OF_FILES = {
    "capture", "query_capture", "response_capture", "query_frame", "response_frame", "frame",
    "first_capture", "first_frame", "last_capture", "last_frame",
}  # fmt: skip


def rows_of(folder: Path, name: str, leave_out: set[str] = frozenset()) -> list[tuple]:
    """The rows of a table in an order of their own: batches may end anywhere."""
    columns = [column for column in dict(schemas.TABLES)[name].names if column not in leave_out]
    rows = [
        tuple(str(row[column]) for column in columns)
        for batch in iter_batches(folder, name)
        for row in batch.to_pylist()
    ]
    return rows if name in SHORT else sorted(rows)


def cut(folder: Path, source: Path, count: int, seed: int, *, tcp: bool = False) -> list[str]:
    """Cut a capture at random places, within connections only where `tcp`."""
    header, whole = rewrite.load(source)
    whole = whole[: len(whole) // 3]
    chance = random.Random(seed)
    places = range(1, len(whole))
    if not tcp:
        whole = [r for r in whole if len(r.data) > 23 and r.data[20] != 6 and r.data[23] != 6]
        places = range(1, len(whole))
    edges = [0, *sorted(chance.sample(places, count - 1)), len(whole)]
    folder.mkdir()
    return [
        str(rewrite.store(folder / f"{i:03}.pcap", header, whole[edges[i] : edges[i + 1]]))
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    return cut(tmp_path_factory.mktemp("files") / "f", CAPTURES / "de-2026/capture.pcap.zst", 12, 1)


@pytest.fixture(scope="module")
def dataset(files, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("parts") / "dataset"
    shuffled = random.Random(2).sample(files, len(files))
    batch = ingest_batch(shuffled, str(root), Options())
    assert batch.fresh == len(files)
    assert batch.errors == ()
    return root


@pytest.fixture(scope="module")
def at_once(files, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("once")
    ingest(files, folder)
    return folder


def test_parts_hold_what_one_run_writes(dataset, at_once) -> None:
    for name in (*SHORT, *LONG):
        assert len(rows_of(at_once, name)) > 0 or name == "losses"
    assert difference(tables_of(dataset), at_once) == []


def test_borders_were_stitched(dataset) -> None:
    tables = tables_of(dataset)
    across = [
        row
        for batch in iter_batches(tables, "transactions")
        for row in batch.to_pylist()
        if row["response_capture"] not in (None, row["capture"])
    ]
    assert len(across) > 0
    assert all(row["pairing"] in ("answered", "late") for row in across)
    signed = {row["transaction"] for row in across}
    seen = [
        row
        for batch in iter_batches(tables, "sightings")
        for row in batch.to_pylist()
        if row["transaction"] in signed
    ]
    assert all(row["flags"] & 64 and not row["flags"] & 256 for row in seen)


def test_the_order_of_batches_means_nothing(dataset, files, tmp_path) -> None:
    root = tmp_path / "dataset"
    for some in (files[1::2], files[:5], files):
        batch = ingest_batch(some, str(root), Options())
    assert batch.fresh == len(files[0::2]) - len(files[:5][0::2])
    assert tables_of(root).name == tables_of(dataset).name
    assert octets_of(root) == octets_of(dataset)


def octets_of(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_a_span_reads_only_its_files(dataset, monkeypatch) -> None:
    tables = tables_of(dataset)
    captures = read_table(tables, "captures")
    first = captures["first"].cast("int64").to_pylist()
    opened = []
    from forensics.archive import view

    monkeypatch.setattr(
        view.Store, "open", lambda self, name: opened.append(name) or self.where(name)
    )
    found = list(iter_batches(tables, "transactions", span=(first[3] + 1, first[5])))
    assert sum(batch.num_rows for batch in found) > 0
    inputs = {digest[:32] for digest in captures["sha256"].to_pylist()}
    parts = [name.split("part=")[1].split("/")[0] for name in opened if "part=" in name]
    assert len(inputs.intersection(parts)) == 2
    # And the one seam of these files.
    assert len(parts) == 3
