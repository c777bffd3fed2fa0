"""Time the reading of dnstap beside other readers of it, and of zstd beside zstd itself."""

import shlex
import shutil
import struct
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchkit import squeezed
from benchkit.measure import Usage, run, typical

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "captures" / "de-2026" / "unbound.dnstap.zst"
"""What a real Unbound wrote; it is repeated up to the length that is asked for."""
READ = (
    "import sys; from forensics.capture.readers import open_capture; "
    "print(sum(len(b) for b in open_capture(sys.argv[1], 0).blocks()))"
)
PARSE = (
    "import sys; from forensics.capture.readers import open_capture; "
    "from forensics.wire.message import parse, room; held = room(1 << 20); "
    "print(sum(len(parse(b, 0, held).id) for b in open_capture(sys.argv[1], 0).blocks()))"
)
"""Reading, and header, question, OPT and record counts of each message: what the others print."""
FEW = 10
OURS = ("read", "parse", "ingest")
A_CORE = 500_000
"""Messages a second and core that reading is to reach."""
TIMES = 10
"""How many times as fast as the others."""
OTHERS = (
    ("dnstap-read", ("dnstap-read",)),
    ("golang-dnstap", ("dnstap", "-q", "-r")),
)
"""Programs that print a line a message: BIND's, and the one written in Go."""


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
        print(f"{messages:,} messages, {plain.stat().st_size:,} octets")
        program = f"{sys.executable} -m forensics.cli ingest -q --dataset {work}/set"
        ways = {
            "read": f"{sys.executable} -c {shlex.quote(READ)} {{capture}}",
            "parse": f"{sys.executable} -c {shlex.quote(PARSE)} {{capture}}",
            "ingest": f"{program} {{capture}}",
        }
        for name, program in OTHERS:
            if shutil.which(program[0]):
                ways[name] = f"sh -c '{shlex.join(program)} {{capture}} > /dev/null'"
        rates = in_turn(ways, plain, few, messages, work, options.runs)
        for name, rate in rates.items():
            print(rate.line(name))
        for name in rates.keys() - set(OURS):
            times = (f"{our} {rates[our].wall_rate / rates[name].wall_rate:.1f}x" for our in OURS)
            print(f"against {name}: {', '.join(times)} (target: {TIMES}x)")
        if len(rates) == len(OURS):
            print(f"none of {', '.join(name for name, _ in OTHERS)} is installed")
        verdict = "reached" if rates["read"].core_rate >= A_CORE else "missed"
        print(f"target: {A_CORE:,} messages/s per core: {verdict}")
        for name in OURS:
            found = squeezed.compare(
                lambda form, way=ways[name]: once(way, form, work), plain, work, options.runs
            )
            if found:
                squeezed.say(name, found)


@dataclass(frozen=True)
class Rate:
    """What a program makes of a file, start-up subtracted: messages a second, peak in octets."""

    seconds: float
    wall_rate: float
    core_rate: float
    peak: int

    def line(self, name: str) -> str:
        """As it is printed."""
        return (
            f"{name}: {self.seconds:.2f} s, {self.wall_rate:,.0f} messages/s, "
            f"{self.core_rate:,.0f} per core; peak {self.peak / 2**20:,.0f} MiB"
        )


def in_turn(
    ways: Mapping[str, str], plain: Path, few: Path, messages: int, work: Path, runs: int
) -> dict[str, Rate]:
    """Run all programs in turn (A B C A B C), each on few messages and on all."""
    costs: dict[str, tuple[list[Usage], list[Usage]]] = {name: ([], []) for name in ways}
    for turn in range(runs + 1):
        for name, way in ways.items():
            start, whole = once(way, few, work), once(way, plain, work)
            if turn:  # the first turn warms up
                costs[name][0].append(start)
                costs[name][1].append(whole)
    rates = {}
    for name, (starts, wholes) in costs.items():
        start, whole = typical(starts), typical(wholes)
        wall, cpu = max(whole.wall - start.wall, 1e-9), max(whole.cpu - start.cpu, 1e-9)
        rates[name] = Rate(wall, messages / wall, messages / cpu, whole.peak)
    return rates


def once(command: str, capture: Path, work: Path) -> Usage:
    """Run a command on a capture."""
    words = [word.format(capture=capture) for word in shlex.split(command)]
    return run(words, work / "out", work / "errors")


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
