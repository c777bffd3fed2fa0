"""Killed at any point, a batch goes on: the dataset is that of a run that nobody disturbed."""

from __future__ import annotations

import random
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
FILES = 12
CLIENTS = 3
"""Of these, those that hit the client: it takes seconds to begin anew."""
PATIENCE = 400


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


def workers_of(client: int) -> list:
    """The worker processes of a client that are there."""
    found = []
    try:
        for one in psutil.Process(client).children(recursive=True):
            if "spawn_main" in " ".join(one.cmdline()):
                found.append(one)
    except psutil.Error:  # it ended meanwhile
        pass
    return found


def test_ten_kills_change_nothing(files, undisturbed, tmp_path) -> None:
    chance = random.Random(5)
    root = tmp_path / "dataset"
    targets = sorted(chance.randrange(FILES) for _ in range(KILLS))
    clients = chance.sample(range(KILLS), CLIENTS)
    left = [(target, at in clients) for at, target in enumerate(targets)]
    kills = 0
    before: dict[str, int] = {}
    run = start(files, root)
    end = time.monotonic() + PATIENCE
    while run.poll() != 0 or left:
        assert time.monotonic() < end, run.stderr.read() if run.poll() is not None else "slow"
        if run.poll() is not None:
            run.stderr.close()
            run = start(files, root)
        for path in root.glob("parts/*/part.json"):
            # What was finished once is not done again.
            assert before.setdefault(path.parent.name, path.stat().st_mtime_ns) == (
                path.stat().st_mtime_ns
            )
        if left and finished(root) >= left[0][0]:
            _, whole = left.pop(0)
            workers = workers_of(run.pid)
            if whole:
                run.kill()
                run.wait()
                run.stderr.close()
                run = start(files, root)
            elif workers:
                chance.choice(workers).kill()
            else:  # none has begun yet
                left.insert(0, (0, False))
                continue
            kills += 1
        time.sleep(0.02)
    said = run.stderr.read()
    run.stderr.close()
    assert run.returncode == 0, said
    assert kills == KILLS
    assert octets_of(root) == undisturbed
