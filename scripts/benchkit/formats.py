"""Time the reading of dnstap, and of zstd beside the tool that only decompresses it."""

import shlex
import shutil
import struct
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchkit.measure import Usage, run, typical

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "captures" / "de-2026" / "unbound.dnstap.zst"
"""What a real Unbound wrote; it is repeated up to the length that is asked for."""
READ = (
    "import sys; from forensics.capture.readers import open_capture; "
    "print(sum(len(b) for b in open_capture(sys.argv[1], 0).blocks()))"
)
FEW = 10


@dataclass(frozen=True)
class Options:
    """What to measure."""

    messages: int
    runs: int
    work: Path


def bench(options: Options) -> None:
    """Print what reading and ingesting so many dnstap messages costs, plain and zstd."""
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        plain, few = work / "long.dnstap", work / "few.dnstap"
        messages = make(plain, options.messages)
        make(few, FEW)
        squeezed = work / "long.dnstap.zst"
        run(["zstd", "-q", "-f", str(plain), "-o", str(squeezed)], work / "out", work / "errors")
        size = plain.stat().st_size
        print(f"{messages:,} messages, {size:,} octets, {squeezed.stat().st_size:,} as zstd")
        for name, command in (
            ("read", f"{sys.executable} -c {shlex.quote(READ)} {{capture}}"),
            (
                "ingest",
                f"{sys.executable} -m forensics.cli ingest -q --dataset {work}/set {{capture}}",
            ),
        ):
            start = timed(command, few, work, options.runs)
            whole = timed(command, plain, work, options.runs)
            wall, cpu = whole.wall - start.wall, whole.cpu - start.cpu
            print(
                f"{name}: {wall:.2f} s, {messages / wall:,.0f} messages/s, "
                f"{messages / cpu:,.0f} per core; peak {whole.peak / 2**20:,.0f} MiB"
            )
            if shutil.which("zstd") is None:
                continue
            with_zstd = timed(command, squeezed, work, options.runs)
            pipe = timed("sh -c 'zstd -dc {capture} | cat'", squeezed, work, options.runs)
            bound = pipe.wall + whole.wall
            print(
                f"{name} of zstd: {with_zstd.wall:.2f} s; zstd -dc | cat {pipe.wall:.2f} s and "
                f"plain {whole.wall:.2f} s: {with_zstd.wall / bound:.2f} of their sum"
            )


def timed(command: str, capture: Path, work: Path, runs: int) -> Usage:
    """Run a command on a capture, once to warm up, and give the typical cost."""
    words = [word.format(capture=capture) for word in shlex.split(command)]
    usages = [run(words, work / "out", work / "errors") for _ in range(runs + 1)]
    return typical(usages[1:])


def make(path: Path, messages: int) -> int:
    """Write a dnstap file of about so many messages; return how many frames it has."""
    import zstandard

    with RECORDED.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        octets = stream.read(-1)
    frames: list[tuple[int, int]] = []
    at = 0
    begin = end = 0
    while at + 4 <= len(octets):
        (size,) = struct.unpack_from(">I", octets, at)
        if size == 0:
            at += 8 + struct.unpack_from(">I", octets, at + 4)[0]
            begin = begin or at
            continue
        at += 4 + size
        end = at
        frames.append((at - 4 - size, at))
    with path.open("wb") as out:
        out.write(octets[:begin])
        whole, rest = divmod(messages, len(frames))
        for _ in range(whole):
            out.write(octets[begin:end])
        if rest:
            out.write(octets[begin : frames[rest - 1][1]])
    return messages
