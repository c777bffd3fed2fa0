"""`bench archive`: many rotated files into one dataset, by one worker and by two."""

import os
import shutil
import struct
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchkit import capture as captures
from benchkit.measure import Usage, run

MEBI = 1 << 20
MILLION = 1_000_000
RECORD = struct.Struct("<IIII")
WARM_FILES = 2


@dataclass(frozen=True)
class Options:
    """What to measure."""

    packets: int
    files: int
    seed: int
    workers: tuple[int, ...]
    zone: str
    work: Path


def bench(options: Options) -> None:
    """Print speed-up, memory, size of the dataset and the time of a report of one hour."""
    path, description = captures.ensure(options.work, options.packets, options.seed)
    with tempfile.TemporaryDirectory(dir=options.work) as made:
        work = Path(made)
        first, files = rotate(path, work / "rotated", options.files, description.packets)
        print(f"{description.packets:,} packets in {len(files)} files")
        walls = {}
        for workers in options.workers:
            start = ingest(files[:WARM_FILES], work, workers)
            shutil.rmtree(work / "dataset")
            usage = ingest(files, work, workers)
            walls[workers] = usage.wall
            rate = description.packets / usage.wall
            print(
                f"{workers} workers: {usage.wall:.1f} s, {rate:,.0f} packets/s; "
                f"{WARM_FILES} files alone {start.wall:.1f} s; "
                f"peak of one process {usage.peak / MEBI:,.0f} MiB"
            )
            if workers != options.workers[-1]:
                shutil.rmtree(work / "dataset")
        if len(walls) > 1:
            least, most = min(walls), max(walls)
            print(f"speed-up {walls[least] / walls[most]:.2f} with {most} workers for {least}")
        size(work / "dataset")
        report(work, path, first, options.zone)


def rotate(path: Path, folder: Path, count: int, packets: int) -> tuple[int, list[Path]]:
    """Cut a capture into so many files; give its first second, and the files."""
    folder.mkdir()
    each = -(-packets // count)
    files: list[Path] = []
    first = 0
    with path.open("rb") as source:
        header = source.read(24)
        data = source.read()
    view = memoryview(data)
    at = begin = number = 0
    while at + RECORD.size <= len(data):
        if not number:
            first = RECORD.unpack_from(data, at)[0]
        at += RECORD.size + RECORD.unpack_from(data, at)[2]
        number += 1
        if number % each == 0 or at + RECORD.size > len(data):
            files.append(folder / f"{len(files):04}.pcap")
            with files[-1].open("wb") as target:
                target.write(header)
                target.write(view[begin:at])
            begin = at
    return first, files


def ingest(files: list[Path], work: Path, workers: int) -> Usage:
    """Ingest with so many workers, on as many cores and with one thread each."""
    one = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    os.environ.update(one)
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:workers])
    command = ["taskset", "-c", cores, sys.executable, "-m", "forensics.cli", "ingest", "-q"]
    command += [*map(str, files), "--dataset", str(work / "dataset"), "--workers", str(workers)]
    return run(command, work / "out", work / "errors")


def size(dataset: Path) -> None:
    """Print how large the dataset is."""
    import pyarrow.parquet as pq

    rows = sum(
        pq.read_metadata(path).num_rows for path in (dataset / "transactions").rglob("*.parquet")
    )
    octets: dict[str, int] = {}
    for path in dataset.rglob("*"):
        if path.is_file():
            top = path.relative_to(dataset).parts[0]
            octets[top] = octets.get(top, 0) + path.stat().st_size
    total = sum(octets.values())
    parts = ", ".join(f"{name} {count / MEBI:,.1f}" for name, count in sorted(octets.items()))
    print(f"dataset: {total / MEBI:,.1f} MiB ({parts})")
    print(f"{total / rows * MILLION / MEBI:,.1f} MiB a million transactions ({rows:,} of them)")


def report(work: Path, path: Path, first: int, zone: str) -> None:
    """Time a report of one hour and one zone."""
    begin = datetime.fromtimestamp(first, UTC)
    span = [begin, begin + timedelta(hours=1)]
    command = [sys.executable, "-m", "forensics.cli", "report", "-q", str(work / "dataset")]
    command += ["--from", span[0].isoformat(), "--to", span[1].isoformat(), "--zone", zone]
    command += ["--trust-anchor", str(path.with_suffix(".trust-anchor")), "--no-figures"]
    command += ["--out", str(work / "report")]
    usage = run(command, work / "out", work / "errors")
    print(f"report of {zone} from {span[0]:%FT%TZ}, one hour: {usage.wall:.1f} s")
