"""Killed at any point, a batch goes on: the dataset is that of a run that nobody disturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_archive_parts import CAPTURES, cut, octets_of

from forensics.batch import ingest_batch
from forensics.options import Options

psutil = pytest.importorskip("psutil", reason="distributed is not installed")
pytest.importorskip("distributed", reason="distributed is not installed")

KILLS = 10
FILES = 24
PATIENCE = 120


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    source = CAPTURES / "packet-loss/capture.pcap.zst"
    return cut(tmp_path_factory.mktemp("files") / "f", source, FILES, 7)


@pytest.fixture(scope="module")
def undisturbed(files, tmp_path_factory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("calm") / "dataset"
    ingest_batch(files, str(root), Options())
    return octets_of(root)


def start(files: list[str], root: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "forensics.cli", "ingest", *files, "--dataset", str(root)]
    return subprocess.Popen(
        [*command, "--workers", "2", "-q"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finished(root: Path) -> int:
    return len(list(root.glob("parts/*/part.json")))


def test_ten_kills_change_nothing(files, undisturbed, tmp_path) -> None:
    chance = random.Random(5)
    root = tmp_path / "dataset"
    targets = sorted(chance.randrange(FILES) for _ in range(KILLS))
    left = [(target, chance.random() < 0.5) for target in targets]
    kills = 0
    before: dict[str, int] = {}
    run = start(files, root)
    end = time.monotonic() + PATIENCE
    while run.poll() is None or left:
        assert time.monotonic() < end, run.stderr.read() if run.poll() is not None else "slow"
        if run.poll() is not None:
            run = start(files, root)
        for path in root.glob("parts/*/part.json"):
            # What was finished once is not done again.
            assert before.setdefault(path.parent.name, path.stat().st_mtime_ns) == (
                path.stat().st_mtime_ns
            )
        if left and finished(root) >= left[0][0]:
            _, whole = left.pop(0)
            children = psutil.Process(run.pid).children(recursive=True)
            workers = [one for one in children if "spawn_main" in " ".join(one.cmdline())]
            if whole or not workers:
                os.kill(run.pid, signal.SIGKILL)
                run.wait()
                run.stderr.close()
                run = start(files, root)
            else:
                os.kill(chance.choice(workers).pid, signal.SIGKILL)
            kills += 1
        time.sleep(0.02)
    assert (run.returncode, run.stderr.read()) == (0, b"")
    run.stderr.close()
    assert kills == KILLS
    assert octets_of(root) == undisturbed
