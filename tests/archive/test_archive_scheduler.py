"""A live Dask cluster, of a scheduler and workers that were started by others."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_archive_parts import dataset, files, octets_of  # noqa: F401

pytest.importorskip("distributed", reason="distributed is not installed")

PATIENCE = 120


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    run = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield run
    finally:
        run.kill()
        run.wait()


@contextmanager
def cluster(folder: Path, workers: int = 2) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler and so many workers on loopback; its address, and its process."""
    folder.mkdir()
    told = folder / "scheduler.json"
    scheduler = ["-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler += ["--no-dashboard", "--scheduler-file", str(told)]
    worker = ["-m", "distributed.cli.dask_worker", "--scheduler-file", str(told)]
    worker += ["--nthreads", "1", "--no-dashboard", "--memory-limit", "0", "--no-nanny"]
    worker += ["--host", "127.0.0.1", "--local-directory", str(folder)]
    with process(*scheduler) as run:
        end = time.monotonic() + PATIENCE
        while not told.exists() or not told.read_text():
            assert time.monotonic() < end
            assert run.poll() is None
            time.sleep(0.05)
        address = json.loads(told.read_text())["address"]
        with process(*worker):
            if workers > 1:
                with process(*worker):
                    yield address, run
            else:
                yield address, run


def ingest(files: list[str], root: Path, address: str) -> subprocess.Popen[bytes]:  # noqa: F811
    command = [sys.executable, "-m", "forensics.cli", "ingest", *files, "--dataset", str(root)]
    return subprocess.Popen(
        [*command, "--scheduler", address, "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def test_a_scheduler_that_dies_costs_nothing_that_was_finished(
    files,  # noqa: F811
    dataset,  # noqa: F811
    tmp_path,
) -> None:
    root = tmp_path / "dataset"
    with cluster(tmp_path / "one", workers=1) as (address, scheduler):
        run = ingest(files, root, address)
        end = time.monotonic() + PATIENCE
        while len(list(root.glob("parts/*/part.json"))) < 3:
            assert time.monotonic() < end
            assert run.poll() is None, run.communicate()
            time.sleep(0.02)
        scheduler.kill()
        _, said = run.communicate(timeout=PATIENCE)
    assert run.returncode not in (0, None)
    assert b"the same command goes on from here" in said.splitlines()[-1]
    finished = {path: path.stat().st_mtime_ns for path in root.glob("parts/*/part.json")}
    assert 3 <= len(finished) < len(files)
    with cluster(tmp_path / "two") as (address, _):
        run = ingest(files, root, address)
        _, said = run.communicate(timeout=PATIENCE)
        assert run.returncode == 0, said
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert octets_of(root) == octets_of(dataset)
