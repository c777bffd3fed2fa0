"""The command line of `scripts/mutants`."""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

from mutantkit import worker
from mutantkit.overseer import Overseer
from mutantkit.overseer import worker as worker_of
from mutantkit.table import Tally, table

SAVED = Path("out/mutants")
STRETCH = 500
"""Mutants of one process."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Analyse mutants; returns 0, or 1 when something was found."""
    options = _parser().parse_args(arguments)
    if options.worker:
        worker.run(worker.sources(shared=options.shared), _numbers(options.worker), options.seed)
        return 0
    if options.only is not None:
        return _keep(options)
    tally = Tally()
    kept = Kept(options.results, options)
    for told in kept.known.values():
        tally.add(told)
    wanted = [
        number
        for number in range(options.first, options.first + options.mutants)
        if number not in kept.known and not options.so_far
    ]
    size = max(1, min(STRETCH, -(-len(wanted) // options.jobs)))
    lock = Lock()

    def heard(told: dict[str, Any]) -> None:
        with lock:
            kept.add(told)
            tally.add(told)
            for fault in told["faults"]:
                print(f"mutant {told['number']}: {fault.strip()}", file=sys.stderr)

    def stretch(at: int) -> None:
        Overseer(worker_of(shared=options.shared, seed=options.seed), heard).run(
            wanted[at : at + size]
        )

    with ThreadPoolExecutor(options.jobs) as jobs:
        for _ in jobs.map(stretch, range(0, len(wanted), size)):
            print(tally.line(), file=sys.stderr)
    text = table(tally, options, time.strftime("%Y-%m-%d", time.gmtime()))
    print(text)
    if options.write is not None:
        options.write.write_text(text)
    return 1 if tally.faults else 0


class Kept:
    """The results of earlier runs with the same damage, a JSON line each, and those to come."""

    def __init__(self, path: Path | None, options: argparse.Namespace) -> None:
        self._path = path
        self._head = {"seed": options.seed, "shared": options.shared}
        self.known: dict[int, dict[str, Any]] = {}
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        if not lines:
            path.write_text(json.dumps(self._head) + "\n")
        elif json.loads(lines[0]) != self._head:
            sys.exit(f"mutants: {path}: holds results of another --seed or without --shared")
        for line in lines[1:]:
            if line.endswith("}"):  # the last one may have been cut off
                told = json.loads(line)
                self.known[told["number"]] = told

    def add(self, told: dict[str, Any]) -> None:
        """Keep one more."""
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(told) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mutants",
        description="Analyse damaged copies of the incident library and of public captures. No "
        "mutant may crash the program, take over 10 s or 1.5 GiB, or leave sums that do not agree; "
        "and none of a healthy capture whose signed octets are intact may be called an outage.",
        epilog="Example: scripts/mutants --mutants 20000 --shared --results out/mutants.jsonl, "
        "which goes on where it was stopped when it is given again",
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
    parser.add_argument(
        "--results", type=Path, metavar="FILE",
        help="keep what came of each mutant here, and do not run again those that it names",
    )  # fmt: skip
    parser.add_argument(
        "--so-far", action="store_true", help="run nothing: tell of what --results holds"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table here")
    parser.add_argument("--worker", nargs="*", help=argparse.SUPPRESS)
    return parser


def _numbers(ranges: Sequence[str]) -> Iterable[int]:
    for words in ranges:
        first, _, last = words.partition("-")
        yield from range(int(first), int(last) + 1)


def _keep(options: argparse.Namespace) -> int:
    one, octets, names, gentle = worker.mutant(
        worker.sources(shared=options.shared), options.only, options.seed
    )
    SAVED.mkdir(parents=True, exist_ok=True)
    path = SAVED / f"{options.seed}-{options.only}"
    path.write_bytes(octets)
    print(f"{path}: {one.name}, {', '.join(names)}; gentle: {gentle}, healthy: {one.healthy}")
    return 0
