"""The command line of `scripts/attack`."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attackkit.makers import ATTACKS, Attack
from forensics.limits import ATTACK_SECONDS, RESIDENT_OCTETS

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Outcome:
    """What the program did with one attack."""

    attack: Attack
    octets: int
    status: int
    seconds: float
    """Of processor time."""
    peak: int
    """MiB."""
    said: str

    @property
    def holds(self) -> bool:
        """Whether it ended in order, within its bounds, and said something if it lost anything."""
        return (
            self.status in (0, 3, 4)
            and self.peak << 20 <= RESIDENT_OCTETS
            and self.seconds <= ATTACK_SECONDS
            and bool(self.said)
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the attacks; returns 0, or 1 if a bound was broken."""
    options = _parser().parse_args(arguments)
    chosen = [one for one in ATTACKS if options.names in ([], None) or one.name in options.names]
    with tempfile.TemporaryDirectory(prefix="dns-forensics-attack-") as folder:
        outcomes = [_run(one, Path(folder), options.share) for one in chosen]
    text = _table(outcomes, options.share)
    print(text)
    if options.write is not None:
        options.write.write_text(text)
    return 0 if all(one.holds for one in outcomes) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="attack",
        description="Analyse captures that were made to hurt, and tell time, memory, what was "
        "lost, and what the program said.",
        epilog="Example: scripts/attack key-trap zstd-bomb",
    )
    parser.add_argument("names", nargs="*", help=", ".join(one.name for one in ATTACKS))
    parser.add_argument("--share", type=float, default=1.0, help="of each attack's size")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table here")
    return parser


def _run(attack: Attack, folder: Path, share: float) -> Outcome:
    """Make the capture and analyse it in a process of its own."""
    path = folder / attack.name
    with path.open("wb") as file:
        for piece in attack.make(max(int(attack.size * share), 1)):
            file.write(piece)
    out = folder / "out"
    words = [sys.executable, "-m", "forensics.cli", "analyze", str(path), "--out", str(out)]
    words += ["--no-figures", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "error").open("wb") as errors:
        process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=errors, env=environment, cwd=folder
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = usage.ru_utime + usage.ru_stime
    error = (folder / "error").read_text(errors="replace").strip().replace("\n", "; ")
    outcome = Outcome(
        attack,
        path.stat().st_size,
        process.returncode,
        seconds,
        usage.ru_maxrss >> 10,
        _said(out / "report.json") or error.replace(str(folder) + "/", "")[:300],
    )
    path.unlink()
    print(
        f"{attack.name}: {seconds:.1f} s, {outcome.peak} MiB, exit {outcome.status}",
        file=sys.stderr,
    )
    return outcome


def _said(path: Path) -> str:
    """What the report says of losses, findings and incidents."""
    if not path.is_file():
        return ""
    report = json.loads(path.read_text())
    counts = report["counts"]
    said = [f"{counts['messages']:,} messages"]
    said += [f"{row['reason']} x {row['count']:,}" for row in report["losses"]]
    said += [f"finding {row['kind']}" for row in report["findings"]]
    said += [f"{row['severity']} of {row['zone']}: {row['reason']}" for row in report["incidents"]]
    path.unlink()
    return ", ".join(said)


def _table(outcomes: Sequence[Outcome], share: float) -> str:
    part = "" if share == 1 else f" --share {share:g}"
    lines = [
        "# Attacks",
        "",
        "Captures that were made to hurt, each analysed from file to report by",
        "",
        f"    scripts/attack{part}",
        "",
        f"which ended on {time.strftime('%Y-%m-%d', time.gmtime())}. Seconds of processor time;",
        f"bounds (`forensics/limits.py`): {ATTACK_SECONDS} s and {RESIDENT_OCTETS >> 20:,} MiB.",
        "",
        "| attack | octets | seconds | peak MiB | exit | what was lost and said |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.attack.name} | {one.octets:,} | {one.seconds:.1f} | {one.peak} | {one.status} | "
        f"{'' if one.holds else '**a bound is broken** '}{one.said.replace('|', '/')} |"
        for one in outcomes
    ]
    lines += ["", "What each is: `scripts/attackkit/makers.py`."]
    return "\n".join(lines) + "\n"
