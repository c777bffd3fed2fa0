"""The command line of the lab."""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from labkit.de_2026 import INCIDENT as DE_2026
from labkit.de_2026 import SIDE_BY_SIDE as DE_2026_RESOLVERS
from labkit.healthy_rolls import KSK_ROLL, ZSK_ROLL
from labkit.incidents import PLANS
from labkit.namespace import inside, network_namespace
from labkit.places import all_addresses as small_addresses
from labkit.play import record as record_plan
from labkit.scoring.inputs import KINDS
from labkit.scoring.mutations import print_outcomes
from labkit.scoring.run import print_rows
from labkit.session import record
from labkit.topology import all_addresses

INCIDENTS = (DE_2026, DE_2026_RESOLVERS, ZSK_ROLL, KSK_ROLL)
CAPTURES = Path(__file__).resolve().parents[2] / "captures"


def main() -> int:
    """Run the lab; return its exit status."""
    parser = argparse.ArgumentParser(prog="scripts/lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the recordings the lab can make")
    headlines = {i.name: i.headline for i in INCIDENTS} | {p.name: p.headline for p in PLANS}
    names = list(headlines)
    recorder = commands.add_parser("record", help="make a recording (needs root)")
    recorder.add_argument("name", choices=names)
    recorder.add_argument("--out", type=Path, default=CAPTURES, help="default: captures/")
    recorder.add_argument("--keep", type=Path, help="keep the servers' folders here")
    scorer = commands.add_parser("score", help="run the analyzer and compare it with the truth")
    scorer.add_argument("names", nargs="*", metavar="NAME", help="default: every recording")
    scorer.add_argument("--kind", action="append", choices=KINDS, help="default: every input")
    scorer.add_argument("--write", action="store_true", help="write captures/SCORE.md")
    mutator = commands.add_parser("mutate", help="score recordings with packets missing")
    mutator.add_argument("names", nargs="*", metavar="NAME", help="default: every recording")
    mutator.add_argument("--write", action="store_true", help="write captures/MUTATIONS.md")
    play = commands.add_parser("play", help="the part of `record` inside the namespace")
    play.add_argument("name", choices=names)
    play.add_argument("work", type=Path)
    play.add_argument("out", type=Path)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if arguments.command == "list":
        for name, headline in headlines.items():
            print(f"{name:20} {headline}")
        return 0
    if arguments.command == "score":
        return print_rows(arguments.names, arguments.kind or [], write=arguments.write)
    if arguments.command == "mutate":
        return print_outcomes(arguments.names, write=arguments.write)
    if arguments.command == "record":
        return _record(arguments.name, arguments.out, arguments.keep)
    for incident in INCIDENTS:
        if incident.name == arguments.name:
            asyncio.run(record(incident, arguments.work, arguments.out))
    for plan in PLANS:
        if plan.name == arguments.name:
            asyncio.run(record_plan(plan, arguments.work, arguments.out))
    return 0


def _record(name: str, captures: Path, keep: Path | None) -> int:
    if os.geteuid() != 0:
        print("scripts/lab record needs root: it makes a network namespace", file=sys.stderr)
        return 2
    script = Path(__file__).resolve().parents[1] / "lab"
    addresses = small_addresses() if name in {p.name for p in PLANS} else all_addresses()
    with (
        tempfile.TemporaryDirectory(prefix="dns-lab-") as folder,
        network_namespace(addresses) as space,
    ):
        work, out = Path(folder, "work"), Path(folder, "out")
        work.mkdir()
        command = [sys.executable, str(script), "play", name, str(work), str(out)]
        status = _run(inside(space, command))
        if keep:
            shutil.copytree(work, keep, dirs_exist_ok=True, ignore=_sockets)
        if status == 0:
            target = captures / name
            if target.exists():
                shutil.rmtree(target)
            shutil.copytree(out, target)
            for path in sorted(target.iterdir()):
                print(f"{path.stat().st_size:9}  {name}/{path.name}")
    return status


def _run(command: list[str]) -> int:
    """Run a command; when interrupted, let it stop its servers before the namespace goes."""
    with subprocess.Popen(command) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise


def _sockets(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if not Path(folder, name).is_file()} - {
        name for name in names if Path(folder, name).is_dir()
    }
