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
BLOCK = 1 << 23
HEAD = ("what", "found", "target")


@dataclass(frozen=True)
class Options:
    """What to measure."""

    packets: int
    files: int
    minutes: float
    seed: int
    workers: tuple[int, ...]
    zone: str
    work: Path


@dataclass
class Results:
    """What was measured, as rows of a table: what, found, target."""

    rows: list[tuple[str, str, str]]

    def add(self, what: str, found: str, target: str = "") -> None:
        """Add a row, and show that there is one."""
        self.rows.append((what, found, target))
        print(f"{what}: {found}", file=sys.stderr, flush=True)

    def write(self) -> None:
        """Print the table, in Markdown."""
        widths = [max(map(len, column)) for column in zip(*self.rows, HEAD, strict=True)]
        lines = [HEAD, tuple("-" * width for width in widths), *self.rows]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            print(f"| {' | '.join(cells)} |")


def bench(options: Options) -> None:
    """Print speed-up, memory, size of the dataset and the time of a report of one hour.

    Whatever is written goes to a folder that vanishes, but for the synthetic capture, which other
    benchmarks read too.
    """
    rate = round(options.packets / (options.files * options.minutes * 60))
    path, description = captures.ensure(options.work, options.packets, options.seed, rate)
    results = Results([])
    with tempfile.TemporaryDirectory(dir=options.work) as made:
        work = Path(made)
        first, files = rotate(path, work / "rotated", options.files, description.packets)
        told = f"{description.packets:,} in {len(files)} files of {options.minutes:g} minutes"
        results.add("packets", told, ">= 20,000,000 in 200")
        walls = {}
        for workers in options.workers:
            start = ingest(files[:WARM_FILES], work, workers)
            shutil.rmtree(work / "dataset")
            usage = ingest(files, work, workers)
            walls[workers] = usage.wall
            rate = description.packets / usage.wall
            of = f"{workers} worker{'s' if workers > 1 else ''}"
            alone = f"{WARM_FILES} files alone {start.wall:.1f} s"
            results.add(f"{of}: time", f"{usage.wall:.1f} s, {rate:,.0f} packets/s ({alone})")
            results.add(f"{of}: processor time", f"{usage.cpu:.1f} s")
            peak = f"{usage.peak / MEBI:,.0f} MiB"
            results.add(f"{of}: peak of one process", peak, "<= 1,024 MiB")
            if workers != options.workers[-1]:
                shutil.rmtree(work / "dataset")
        if len(walls) > 1:
            least, most = min(walls), max(walls)
            gain = f"{walls[least] / walls[most]:.2f}"
            results.add(f"speed-up with {most} workers for {least}", gain, ">= 1.6")
        size(work / "dataset", results)
        report(work, path, first, options.zone, results)
    results.write()


def rotate(path: Path, folder: Path, count: int, packets: int) -> tuple[int, list[Path]]:
    """Cut a capture into so many files; give its first second, and the files."""
    folder.mkdir()
    each = -(-packets // count)
    files: list[Path] = []
    first = number = 0
    target = None
    # In stretches: the kernel counts the memory of this process as its children's first peak.
    with path.open("rb") as source:
        header = source.read(24)
        rest = b""
        while True:
            block = source.read(BLOCK)
            data = rest + block
            at = begin = 0
            while at + RECORD.size <= len(data):
                second, _, captured, _ = RECORD.unpack_from(data, at)
                if at + RECORD.size + captured > len(data):
                    break
                first = first or second
                if number % each == 0:
                    if target is not None:
                        target.write(data[begin:at])
                        target.close()
                        begin = at
                    files.append(folder / f"{len(files):04}.pcap")
                    target = files[-1].open("wb")
                    target.write(header)
                at += RECORD.size + captured
                number += 1
            if target is not None:
                target.write(data[begin:at])
            rest = data[at:]
            if not block:
                break
    if target is not None:
        target.close()
    return first, files


def ingest(files: list[Path], work: Path, workers: int) -> Usage:
    """Ingest with so many workers, on as many cores and with one thread each."""
    one = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    os.environ.update(one)
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:workers])
    command = ["taskset", "-c", cores, sys.executable, "-m", "forensics.cli", "ingest", "-q"]
    command += [*map(str, files), "--dataset", str(work / "dataset"), "--workers", str(workers)]
    return run(command, work / "out", work / "errors")


def size(dataset: Path, results: Results) -> None:
    """Tell how large the dataset is."""
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
    results.add("dataset, MiB", f"{total / MEBI:,.1f} ({parts})")
    each = f"{total / rows * MILLION / MEBI:,.1f} MiB ({rows:,} of them)"
    results.add("a million transactions", each)


def report(work: Path, path: Path, first: int, zone: str, results: Results) -> None:
    """Time a report of one hour and one zone."""
    begin = datetime.fromtimestamp(first, UTC)
    span = [begin, begin + timedelta(hours=1)]
    command = [sys.executable, "-m", "forensics.cli", "report", "-q", str(work / "dataset")]
    command += ["--from", span[0].isoformat(), "--to", span[1].isoformat(), "--zone", zone]
    command += ["--trust-anchor", str(path.with_suffix(".trust-anchor")), "--no-figures"]
    command += ["--out", str(work / "report")]
    usage = run(command, work / "out", work / "errors")
    what = f"report of {zone} from {span[0]:%FT%TZ}, one hour"
    results.add(what, f"{usage.wall:.1f} s", "<= 5 s")
