"""The command line of `scripts/bench`."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchkit import archive, capture, formats, ingest, mix, page, soak, validate
from benchkit.contenders import default_ours
from benchkit.measure import ProgramFailed

PACKETS = 10_000_000
TSHARK_PACKETS = 500_000
RUNS = 3
SEED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark; returns the exit status."""
    options = build_parser().parse_args(arguments)
    if options.command == "capture":
        maker = mix if options.mix else capture
        path, description = maker.ensure(options.work, options.packets, options.seed)
        rate = description.packets / description.seconds
        print(f"{path}: {description.packets:,} packets, made at {rate:,.0f} packets/s")
        return 0
    if options.command == "dnstap":
        formats.bench(formats.Options(options.messages, options.runs, options.work))
        return 0
    if options.command == "validate":
        validate.bench(options.signatures, options.algorithm or list(validate.ALGORITHMS))
        return 0
    if options.command == "page":
        page.bench(options.events, options.runs)
        return 0
    if options.command == "soak":
        return soak.bench(options.minutes, options.speed, options.horizon, options.write)
    if options.command == "archive":
        archive.bench(
            archive.Options(
                options.packets,
                options.files,
                options.minutes,
                options.seed,
                tuple(options.workers or (1, 2)),
                options.zone,
                options.work,
            )
        )
        return 0
    if options.command == "stream":
        capture.stream(sys.stdout.buffer, options.packets, options.seed)
        return 0
    try:
        ingest.bench(
            ingest.Options(
                packets=options.packets,
                seed=options.seed,
                runs=options.runs,
                work=options.work,
                ours=options.ours or None,
                packetq=options.packetq,
                tshark=options.tshark,
                tshark_packets=options.tshark_packets,
                ten_times=options.ten_times,
                mix=options.mix,
                zstd=options.zstd,
                json=options.json,
            )
        )
    except ProgramFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--packets", type=positive, default=PACKETS, help="default: %(default)s")
    shared.add_argument("--seed", type=int, default=SEED, help="default: %(default)s")
    shared.add_argument(
        "--work", type=Path, default=default_work(), help="captures are kept here: %(default)s"
    )
    mixed = argparse.ArgumentParser(add_help=False)
    mixed.add_argument(
        "--mix",
        action="store_true",
        help=f"with a VLAN tag, {mix.FRAGMENTS} %% fragments and {mix.TCP} %% TCP",
    )
    commands.add_parser(
        "capture",
        parents=[shared, mixed],
        help="make the synthetic capture and its trust anchor, if they are not there yet",
    )
    dnstap = commands.add_parser(
        "dnstap", help="time the reading of dnstap, plain and as zstd, beside dnstap-read"
    )
    dnstap.add_argument("--messages", type=positive, default=5_000_000, help="default: %(default)s")
    dnstap.add_argument("--runs", type=positive, default=RUNS, help="default: %(default)s")
    dnstap.add_argument("--work", type=Path, default=default_work(), help="default: %(default)s")
    verification = commands.add_parser(
        "validate", help="time the verification of signatures beside openssl speed and dnspython"
    )
    verification.add_argument(
        "--signatures", type=positive, default=100_000, help="of each algorithm: %(default)s"
    )
    verification.add_argument(
        "--algorithm",
        type=int,
        action="append",
        choices=list(validate.ALGORITHMS),
        help="13, 8 or 15; may be repeated (default: all)",
    )
    commands.add_parser(
        "stream", parents=[shared], help="write the synthetic capture to standard output"
    )
    shown = commands.add_parser("page", help="time report.html with many events in Chromium")
    shown.add_argument("--events", type=positive, default=100_000, help="default: %(default)s")
    shown.add_argument("--runs", type=positive, default=5, help="default: %(default)s")
    long = commands.add_parser(
        "soak", help="let watch follow rotating files and a socket for long, and look at its memory"
    )
    long.add_argument("--minutes", type=float, default=60, help="default: %(default)s")
    long.add_argument(
        "--speed", type=float, default=10, help="times as fast as recorded: %(default)s"
    )
    long.add_argument("--horizon", default="30m", help="of the watchers: %(default)s")
    long.add_argument("--write", type=Path, metavar="FILE", help="write the result here")
    many = commands.add_parser(
        "archive", help="ingest rotated files with one worker and with two, and report an hour"
    )
    many.add_argument("--packets", type=positive, default=20_000_000, help="default: %(default)s")
    many.add_argument("--files", type=positive, default=200, help="default: %(default)s")
    many.add_argument(
        "--minutes", type=float, default=15, help="of traffic in each file: %(default)s"
    )
    many.add_argument("--seed", type=int, default=SEED, help="default: %(default)s")
    many.add_argument("--work", type=Path, default=default_work(), help="default: %(default)s")
    many.add_argument(
        "--workers", type=positive, action="append", help="may be repeated (default: 1 and 2)"
    )
    many.add_argument("--zone", default="example.", help="of the report: %(default)s")
    measure = commands.add_parser(
        "ingest",
        parents=[shared, mixed],
        help="time `dns-forensics ingest` beside PacketQ and tshark",
    )
    measure.add_argument("--runs", type=positive, default=RUNS, help="default: %(default)s")
    measure.add_argument(
        "--ours",
        default=default_ours(),
        metavar="COMMAND",
        help="command with {capture} and {dataset} in it, empty for none (default: %(default)s)",
    )
    measure.add_argument(
        "--packetq",
        type=Path,
        metavar="PATH",
        default=shutil.which("packetq"),
        help="binary of PacketQ (default: the one on the path, if any)",
    )
    measure.add_argument("--tshark", action=argparse.BooleanOptionalAction, default=True)
    measure.add_argument(
        "--tshark-packets",
        type=positive,
        default=TSHARK_PACKETS,
        help="length of the slice that tshark reads (default: %(default)s)",
    )
    measure.add_argument(
        "--ten-times",
        action="store_true",
        help="measure our peak memory on ten times as many packets too, through a pipe",
    )
    measure.add_argument(
        "--zstd",
        action="store_true",
        help="also read the capture as zstd, beside `zstd -dc | cat` and the plain capture",
    )
    measure.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    return parser


def default_work() -> Path:
    """Return the folder of the captures: they outlive a reboot where the system has one."""
    lasting = Path("/var/tmp")
    base = Path(tempfile.gettempdir())
    if base == Path("/tmp") and lasting.is_dir():
        base = lasting
    return base / "dns-forensics-bench"


def positive(text: str) -> int:
    """Read a number of at least 1, with or without underscores."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
