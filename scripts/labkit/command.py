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
from labkit.healthy_rolls import KSK_ROLL, ZSK_ROLL
from labkit.namespace import inside, network_namespace
from labkit.session import record

INCIDENTS = (DE_2026, ZSK_ROLL, KSK_ROLL)
CAPTURES = Path(__file__).resolve().parents[2] / "captures"


def main() -> int:
    """Run the lab; return its exit status."""
    parser = argparse.ArgumentParser(prog="scripts/lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the recordings the lab can make")
    names = [incident.name for incident in INCIDENTS]
    recorder = commands.add_parser("record", help="make a recording (needs root)")
    recorder.add_argument("name", choices=names)
    recorder.add_argument("--out", type=Path, default=CAPTURES, help="default: captures/")
    recorder.add_argument("--keep", type=Path, help="keep the servers' folders here")
    play = commands.add_parser("play", help="the part of `record` inside the namespace")
    play.add_argument("name", choices=names)
    play.add_argument("work", type=Path)
    play.add_argument("out", type=Path)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if arguments.command == "list":
        for incident in INCIDENTS:
            print(f"{incident.name:20} {incident.headline}")
        return 0
    if arguments.command == "record":
        return _record(arguments.name, arguments.out, arguments.keep)
    incident = next(i for i in INCIDENTS if i.name == arguments.name)
    asyncio.run(record(incident, arguments.work, arguments.out))
    return 0


def _record(name: str, captures: Path, keep: Path | None) -> int:
    if os.geteuid() != 0:
        print("scripts/lab record needs root: it makes a network namespace", file=sys.stderr)
        return 2
    script = Path(__file__).resolve().parents[1] / "lab"
    with tempfile.TemporaryDirectory(prefix="dns-lab-") as folder, network_namespace() as space:
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
