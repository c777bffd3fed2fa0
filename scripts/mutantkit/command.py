"""The command line of `scripts/mutants`."""

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mutantkit import worker
from mutantkit.table import Tally, table

ROOT = Path(__file__).resolve().parent.parent.parent
SHARED = ROOT.parent / "shared" / "captures"
SAVED = Path("out/mutants")
ENDINGS = (".pcap", ".pcapng", ".cap", ".dnstap", ".fstrm", ".cdns", ".pb", ".zst", ".gz")


def main(arguments: Sequence[str] | None = None) -> int:
    """Analyse mutants; returns 0, or 1 when something was found."""
    options = _parser().parse_args(arguments)
    if options.worker:
        first, last, seed = options.worker
        worker.run(sources(shared=options.shared), range(first, last), seed)
        return 0
    if options.only is not None:
        return _keep(options)
    tally = Tally()
    last = options.first + options.mutants
    size = min(1000, -(-options.mutants // options.jobs))
    stretches = [(at, min(at + size, last)) for at in range(options.first, last, size)]
    with ThreadPoolExecutor(options.jobs) as jobs:
        for _ in jobs.map(lambda stretch: _stretch(options, *stretch, tally), stretches):
            print(tally.line(), file=sys.stderr)
    text = table(tally, options)
    print(text)
    if options.write is not None:
        options.write.write_text(text)
    return 1 if tally.faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mutants",
        description="Analyse damaged copies of the incident library and of public captures. No "
        "mutant may crash the program, take over 10 s, or leave sums that do not agree; and none "
        "of a healthy capture whose signed octets are intact may be called an outage.",
        epilog="Example: scripts/mutants --mutants 20000 --shared",
    )
    parser.add_argument("--mutants", type=int, default=300, help="how many (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the damage (%(default)s)")
    parser.add_argument(
        "--shared", action="store_true", help="take the public captures beside the project too"
    )
    parser.add_argument(
        "--only", type=int, metavar="NUMBER", help="write this mutant to out/mutants"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table here")
    parser.add_argument("--worker", type=int, nargs=3, help=argparse.SUPPRESS)
    return parser


def sources(*, shared: bool) -> list[worker.Source]:
    """The captures that mutants are made from, in a fixed order."""
    found = []
    for folder in sorted((ROOT / "captures").iterdir()):
        truth = folder / "truth.toml"
        if not truth.is_file():
            continue
        told = tomllib.loads(truth.read_text())
        healthy = told.get("expected") == "no incident"
        anchor = folder / "trust-anchor.ds"
        # A healthy capture is a source several times over: it is what may be accused wrongly.
        for _ in range(3 if healthy else 1):
            found.append((folder / "capture.pcap.zst", folder.name, healthy, anchor))
        for path in sorted(folder.glob("*.dnstap*")):
            found.append((path, f"{folder.name} dnstap", healthy, anchor))
    if shared and SHARED.is_dir():
        paths = [path for path in SHARED.rglob("*") if path.suffix.lower() in ENDINGS]
        found += [(path, str(path.relative_to(SHARED)), False, None) for path in sorted(paths)]
    made = [
        worker.source(path, name, healthy=healthy, anchor=anchor)
        for path, name, healthy, anchor in found
        if path.is_file()
    ]
    return [one for one in made if one is not None]


def _stretch(options: argparse.Namespace, first: int, last: int, tally: Tally) -> None:
    """Run the mutants of these numbers in a process, and in another one if it dies."""
    while first < last:
        first = _process(options, first, last, tally)


def _process(options: argparse.Namespace, first: int, last: int, tally: Tally) -> int:
    """Run a worker until its end, or until it dies; give the number to go on with."""
    words = [sys.executable, str(ROOT / "scripts" / "mutants")]
    words += ["--worker", str(first), str(last), str(options.seed)]
    words += ["--shared"] if options.shared else []
    begun = first
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for told in _lines(process.stdout):
            if "begun" in told:
                begun = told["begun"]
            elif "peak" in told:
                tally.peak = max(tally.peak, told["peak"])
            else:
                tally.add(told)
        process.wait()
    if process.returncode == 0:
        return last
    tally.add({"number": begun, "faults": [f"the process ended with {process.returncode}"]})
    return begun + 1


def _lines(stream: Any) -> Iterator[dict[str, Any]]:
    for line in stream:
        if line.startswith("{"):
            yield json.loads(line)


def _keep(options: argparse.Namespace) -> int:
    one, octets, names, gentle = worker.mutant(
        sources(shared=options.shared), options.only, options.seed
    )
    SAVED.mkdir(parents=True, exist_ok=True)
    path = SAVED / f"{options.seed}-{options.only}"
    path.write_bytes(octets)
    print(f"{path}: {one.name}, {', '.join(names)}; gentle: {gentle}, healthy: {one.healthy}")
    return 0
