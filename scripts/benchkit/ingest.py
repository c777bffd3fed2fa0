"""`bench ingest`: reading a capture into a table, beside other programs."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchkit import capture as captures
from benchkit import contenders, mix, squeezed
from benchkit.contenders import Contender
from benchkit.measure import Usage, typical

TEN = 10
WARM_PACKETS = 20_000
MEBI = 1 << 20
SCHEMA = "dns-forensics/bench-ingest/2"


@dataclass(frozen=True)
class Options:
    """What to measure."""

    packets: int
    seed: int
    runs: int
    work: Path
    ours: str | None
    """Command template; None leaves our program out."""
    packetq: Path | None
    tshark: bool
    tshark_packets: int
    ten_times: bool
    mix: bool
    zstd: bool
    json: Path | None


@dataclass(frozen=True)
class Result:
    """One program's line of the table: medians of the runs."""

    program: str
    packets: int
    wall: float
    """Seconds."""
    empty_wall: float
    """Seconds on an empty capture."""
    cpu: float
    """Seconds of processor time."""
    empty_cpu: float
    peak: int
    """Octets of resident memory."""
    runs: tuple[Usage, ...]
    empty_runs: tuple[Usage, ...]

    @property
    def net(self) -> float:
        """Seconds without the time on an empty capture."""
        return max(self.wall - self.empty_wall, 1e-9)

    @property
    def net_cpu(self) -> float:
        """Processor seconds without those on an empty capture."""
        return max(self.cpu - self.empty_cpu, 1e-9)

    @property
    def rate(self) -> float:
        """Packets a second."""
        return self.packets / self.net

    @property
    def core_rate(self) -> float:
        """Packets a processor second."""
        return self.packets / self.net_cpu


@dataclass(frozen=True)
class Entry:
    """A program with the capture that it reads."""

    contender: Contender
    capture: Path
    packets: int


def bench(options: Options) -> None:
    """Make the captures, measure all programs in turn, and print the table."""
    path, description = prepare(options, options.packets)
    entries = list_entries(options, path, description)
    empty = options.work / "empty.pcap"
    empty.write_bytes(captures.EMPTY_CAPTURE)
    if options.ours:  # compile its kernels, if this version never ran
        piece, _ = captures.cut(path, description, min(WARM_PACKETS, description.packets))
        contenders.ours(options.ours).measure(piece, options.work)
    for entry in entries:
        captures.warm(entry.capture)
    results = measure(entries, empty, options)
    print_capture(path, description)
    print_table(results, description.packets)
    longer = None
    if options.ten_times and options.ours and not options.mix:
        longer = measure_longer(options, contenders.ours(options.ours))
        print_ten_times(results[0], longer, TEN * options.packets)
    packed = None
    if options.zstd and options.ours:
        program = contenders.ours(options.ours)
        packed = squeezed.compare(
            lambda form: program.measure(form, options.work), path, options.work, options.runs
        )
        if packed:
            squeezed.say(program.name, packed)
    if options.json:
        record = as_record(options, description, results, longer, packed)
        options.json.write_text(json.dumps(record, indent=2) + "\n")


def prepare(options: Options, packets: int) -> tuple[Path, captures.Description]:
    """Have a capture made by a process of its own, so that this one stays small."""
    command = [sys.executable, sys.argv[0], "capture", f"--packets={packets}"]
    command += [f"--seed={options.seed}", f"--work={options.work}"]
    command += ["--mix"] if options.mix else []
    subprocess.run(command, check=True, stdout=sys.stderr)
    named = mix.mix_path if options.mix else captures.capture_path
    path = named(options.work, packets, options.seed)
    description = captures.describe(path)
    if description is None:
        raise FileNotFoundError(path)
    return path, description


def list_entries(options: Options, path: Path, description: captures.Description) -> list[Entry]:
    """List the programs that were asked for, ours first."""
    entries = []
    if options.ours:
        entries.append(Entry(contenders.ours(options.ours), path, description.packets))
        less = contenders.ours(f"{options.ours} {contenders.LESS}", contenders.OURS_LESS)
        entries.append(Entry(less, path, description.packets))
    if options.packetq:
        for columns in (contenders.PACKETQ_COLUMNS, contenders.PACKETQ_LEAST):
            contender = contenders.packetq(options.packetq, columns)
            entries.append(Entry(contender, path, description.packets))
    if options.tshark:
        piece, count = path, description.packets
        if options.tshark_packets < description.packets:
            piece, count = captures.cut(path, description, options.tshark_packets)
        entries.append(Entry(contenders.tshark(), piece, count))
    return entries


def measure(entries: Sequence[Entry], empty: Path, options: Options) -> list[Result]:
    """Run the programs in turn (A B C A B C), each on the empty capture and on its own."""
    costs: list[tuple[list[Usage], list[Usage]]] = [([], []) for _ in entries]
    for turn in range(options.runs):
        for entry, (nothing, full) in zip(entries, costs, strict=True):
            nothing.append(entry.contender.measure(empty, options.work))
            full.append(entry.contender.measure(entry.capture, options.work))
            note = f"run {turn + 1}/{options.runs} {entry.contender.name}"
            print(f"{note} {entry.packets:,} packets: {full[-1].wall:.2f} s", file=sys.stderr)
    results = []
    for entry, (nothing, full) in zip(entries, costs, strict=True):
        base, cost = typical(nothing), typical(full)
        results.append(
            Result(
                program=entry.contender.name,
                packets=entry.packets,
                wall=cost.wall,
                empty_wall=base.wall,
                cpu=cost.cpu,
                empty_cpu=base.cpu,
                peak=cost.peak,
                runs=tuple(full),
                empty_runs=tuple(nothing),
            )
        )
    return results


def print_capture(path: Path, description: captures.Description) -> None:
    """Print what the measured capture holds."""
    print(
        f"{path}: {description.packets:,} packets, {description.octets / MEBI:,.0f} MiB, "
        f"{description.names:,} names, {description.clients:,} clients, "
        f"{description.signatures:,} signatures"
        + ("" if description.complete else " (too short to show them all)")
    )


def print_table(results: Sequence[Result], packets: int) -> None:
    """Print a line a program; ratios are of packets a second, against the first line."""
    print(
        f"{'program':<20} {'packets':>12} {'seconds':>9} {'- empty':>9} {'packets/s':>12} "
        f"{'/s and core':>12} {'peak MiB':>9} {'ratio':>8}"
    )
    for result in results:
        ratio = f"{results[0].rate / result.rate:,.1f}x"
        print(
            f"{result.program:<20} {result.packets:>12,} {result.wall:>9.2f} {result.net:>9.2f} "
            f"{result.rate:>12,.0f} {result.core_rate:>12,.0f} {result.peak / MEBI:>9,.0f} "
            f"{ratio:>8}"
        )
    print("Medians of whole processes; ratio: packets/s of the first line over this one's.")
    less = [result for result in results if result.program == contenders.OURS_LESS]
    for result in results if less else ():
        if result.program not in (contenders.OURS, contenders.OURS_LESS):
            ratio = less[0].rate / result.rate
            print(f"{contenders.OURS_LESS} against {result.program}: {ratio:,.1f}x")
    for result in results:
        if result.packets != packets:
            scaled = result.net * packets / result.packets
            print(
                f"{result.program} read a slice of {result.packets:,} packets from the middle; "
                f"scaled by packets, all {packets:,} would take it {scaled:,.0f} s."
            )


def measure_longer(options: Options, contender: Contender) -> Usage:
    """Run our program once on ten times as many packets, which a pipe brings: no disk holds them.

    The maker of the packets takes a share of the cores; only the memory is compared.
    """
    source = [sys.executable, sys.argv[0], "stream", f"--packets={TEN * options.packets}"]
    source += [f"--seed={options.seed}"]
    return contender.measure(Path("-"), options.work, source)


def print_ten_times(ours: Result, longer: Usage, packets: int) -> None:
    """Print how our peak memory grows with the capture."""
    print(
        f"{ours.program}: peak memory {ours.peak / MEBI:,.0f} MiB on {ours.packets:,} packets, "
        f"{longer.peak / MEBI:,.0f} MiB on {packets:,} from a pipe: "
        f"{longer.peak / ours.peak:.3f}x"
    )


def as_record(
    options: Options,
    description: captures.Description,
    results: Sequence[Result],
    longer: Usage | None,
    packed: squeezed.Squeezed | None,
) -> dict[str, object]:
    """Return all figures, for `--json`; times in seconds, memory in octets."""
    contents = asdict(description)
    del contents["blocks"]
    return {
        "schema": SCHEMA,
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "runs": options.runs,
        "capture": contents,
        "programs": [as_line(result, results[0]) for result in results],
        "ten_times": asdict(longer) if longer else None,
        "peak_growth": longer.peak / results[0].peak if longer else None,
        "zstd": {**asdict(packed), "ratio": packed.ratio} if packed else None,
    }


def as_line(result: Result, first: Result) -> dict[str, object]:
    """Return one program's figures with the derived ones."""
    return {
        **asdict(result),
        "net": result.net,
        "net_cpu": result.net_cpu,
        "rate": result.rate,
        "core_rate": result.core_rate,
        "ratio": first.rate / result.rate,
    }
