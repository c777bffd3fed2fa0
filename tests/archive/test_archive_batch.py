"""Batches into a dataset that grows: damage, full disks, other options, other places."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
from test_archive_parts import at_once, dataset, files, octets_of, rows_of  # noqa: F401

from forensics.archive.opening import opened, tables_of
from forensics.archive.store import Store
from forensics.archive.tables import read_table
from forensics.archive.verification import SAME, verify
from forensics.batch import ingest_batch
from forensics.capture import survey
from forensics.errors import ForensicsError, NoInputError, UsageError
from forensics.options import Options
from forensics.pipeline import report_dataset


def test_what_cannot_be_read_is_named_and_the_rest_is_there(files, tmp_path) -> None:  # noqa: F811
    noise = tmp_path / "noise.pcap"
    noise.write_bytes(b"no capture at all")
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(Path(files[0]).read_bytes()[:-20])
    root = tmp_path / "dataset"
    named = [str(noise), str(tmp_path / "missing.pcap"), str(cut), *files[1:3]]
    batch = ingest_batch(named, str(root), Options())
    assert [error.path for error in batch.errors] == sorted(map(str, named[:2]))
    assert batch.damaged
    assert read_table(tables_of(root), "captures")["path"].to_pylist() == [
        str(cut),
        *files[1:3],
    ]
    assert "file-cut" in read_table(tables_of(root), "losses")["reason"].to_pylist()
    manifest = json.loads((root / "manifest.json").read_text())
    assert [entry[0] for entry in manifest["unreadable"]] == [e.path for e in batch.errors]
    # Repaired, it is no longer named.
    shutil.copy(files[0], noise)
    ingest_batch([str(noise)], str(root), Options())
    manifest = json.loads((root / "manifest.json").read_text())
    assert [entry[0] for entry in manifest["unreadable"]] == [str(tmp_path / "missing.pcap")]


def test_nothing_readable_is_an_error(tmp_path) -> None:
    with pytest.raises(NoInputError):
        ingest_batch([str(tmp_path / "missing")], str(tmp_path / "dataset"), Options())


@pytest.mark.parametrize("room", [0, 5, 17, 30, 61, 70])
def test_a_full_disk_stops_and_the_next_run_goes_on(
    files,  # noqa: F811
    tmp_path,
    monkeypatch,
    room,
) -> None:
    root = tmp_path / "dataset"
    put, done = Store.put, []

    def limited(self: Store, path: Path, name: str) -> None:
        if len(done) >= room:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        done.append(name)
        put(self, path, name)

    some = files[:4]
    ingest_batch(some, str(tmp_path / "calm"), Options())
    monkeypatch.setattr(Store, "put", limited)
    if room < 60:
        with pytest.raises(ForensicsError, match=r"No space left on device; the same command"):
            ingest_batch(some, str(root), Options())
    monkeypatch.setattr(Store, "put", put)
    finished = {path.name: path.stat().st_mtime_ns for path in root.glob("parts/*")}
    ingest_batch(some, str(root), Options())
    assert octets_of(root) == octets_of(tmp_path / "calm")
    assert len(finished) <= len(some)


def test_other_options_are_refused(dataset) -> None:  # noqa: F811
    with pytest.raises(UsageError, match="made with other options"):
        ingest_batch([], str(dataset), Options(ports=frozenset({5353})))


def test_a_folder_of_something_else_is_left_alone(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="something else"):
        ingest_batch(["a.pcap"], str(tmp_path), Options())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_runs_at_once_are_refused(dataset) -> None:  # noqa: F811
    with (
        Store(str(dataset)).alone(),
        pytest.raises(UsageError, match="another run"),
        Store(str(dataset)).alone(),
    ):
        pass


def test_every_file_is_as_the_manifest_names_it(dataset) -> None:  # noqa: F811
    checked = list(verify(dataset))
    assert len(checked) > 50
    assert {one.state for one in checked} == {SAME}


def test_a_url_holds_the_same_dataset(files, tmp_path) -> None:  # noqa: F811
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    memory = fsspec.filesystem("memory")
    inputs = []
    for path in files[:6]:
        memory.put_file(path, f"/in/{Path(path).name}")
        inputs.append(f"memory://in/{Path(path).name}")
    ingest_batch(inputs[:3], "memory://out/set", Options(), sensor="f")
    ingest_batch(inputs[2:], "memory://out/set", Options(), sensor="f")
    ingest_batch(files[:6], str(tmp_path / "local"), Options())
    with opened("memory://out/set") as tables:
        local = tables_of(tmp_path / "local")
        for name in ("transactions", "sightings", "unsigned", "signatures", "keys", "places"):
            assert rows_of(tables, name) == rows_of(local, name)
    outcome = report_dataset("memory://out/set", tmp_path / "report", Options(), figures=False)
    assert len(outcome.report["captures"]) == 6


def test_a_file_that_somebody_writes_to_waits_for_later(files, tmp_path, monkeypatch) -> None:  # noqa: F811
    growing = tmp_path / "growing.pcap"
    shutil.copy(files[0], growing)
    surveyed = survey.surveyed

    def grow(path, ports):
        if path == str(growing):
            with growing.open("ab") as file:
                file.write(b"\0")
        return surveyed(path, ports)

    monkeypatch.setattr(survey, "surveyed", grow)
    batch = ingest_batch([str(growing), files[1]], str(tmp_path / "dataset"), Options())
    assert [(error.path, "while it was read" in error.reason) for error in batch.errors] == [
        (str(growing), True)
    ]
    assert read_table(tables_of(tmp_path / "dataset"), "captures").num_rows == 1
