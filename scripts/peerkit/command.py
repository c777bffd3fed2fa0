"""The command line of `scripts/peers`."""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutantkit.changes import mutate
from mutantkit.records import Tape, file_of, octets_of, tape

from peerkit.damages import DAMAGES

ROOT = Path(__file__).resolve().parent.parent.parent
CAPTURE = ROOT / "captures" / "first-signed" / "capture.pcap.zst"
PACKETS = 400
SECONDS = 120
"""After so long a program hangs; a machine that has other work makes all of them slow."""
MICROSECONDS = b"\xd4\xc3\xb2\xa1"


@dataclass(frozen=True)
class Peer:
    """A program that reads DNS out of captures.

    Attributes:
        name: for the table.
        words: its command line, to which the capture is added.
        count: finds in what it prints (both streams) how many messages it read.
    """

    name: str
    words: Sequence[str]
    count: Callable[[str], int]


@dataclass(frozen=True)
class Outcome:
    """What a program did with one file; `status` None: it hung."""

    status: int | None
    messages: int

    @property
    def crashed(self) -> bool:
        """Whether a signal ended it, or it hung."""
        return self.status is None or self.status < 0

    def words(self, whole: "Outcome") -> str:
        """Say it for the table, held against the undamaged file."""
        if self.status is None:
            return "hangs"
        if self.status < 0:
            return f"crashes (signal {-self.status})"
        ended = "" if self.status == 0 else f", exit {self.status}"
        return f"{self.messages} of {whole.messages}{ended}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all over all; returns 0, or 1 if this program crashed."""
    options = _parser().parse_args(arguments)
    peers = _peers(options)
    source = _microseconds(octets_of(CAPTURE))
    rows: list[tuple[str, list[Outcome]]] = []
    with tempfile.TemporaryDirectory(prefix="dns-forensics-peers-") as made:
        path = Path(made) / "capture.pcap"
        for damage in DAMAGES:
            path.write_bytes(damage.make(source))
            rows.append((damage.name, [_run(peer, path) for peer in peers]))
            print(damage.name, [one.words(one) for one in rows[-1][1]], file=sys.stderr)
        crashed = [0] * len(peers)
        for number in range(options.mutants):
            dice = random.Random(f"peers {number}")
            records, _ = mutate(source, (), dice, gentle=False)
            path.write_bytes(file_of(source.header, source.order, records))
            for at, peer in enumerate(peers):
                crashed[at] += _run(peer, path).crashed
    text = _table(peers, rows, crashed, options.mutants)
    print(text)
    if options.write is not None:
        options.write.write_text(text)
    return 1 if crashed[0] or any(outcomes[0].crashed for _, outcomes in rows) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="peers",
        description="Give the same damaged captures to this program and to others, and tell who "
        "crashes, who stops at the damage, and who goes on behind it.",
        epilog="Example: scripts/peers --tshark tshark --dnscap dnscap --packetq ~/packetq",
    )
    for name in ("tshark", "dnscap", "packetq"):
        parser.add_argument(f"--{name}", metavar="PROGRAM", help="its path, to include it")
    parser.add_argument(
        "--mutants", type=int, default=60, help="captures changed at random besides (%(default)s)"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table here")
    return parser


def _peers(options: argparse.Namespace) -> list[Peer]:
    ours = [sys.executable, "-m", "forensics.cli", "ingest", "--dataset", "dataset"]
    found = [Peer("dns-forensics", ours, _number(r"([\d,]+) messages"))]
    if options.tshark:
        words = [options.tshark, "-n", "-Y", "dns", "-T", "fields", "-e", "dns.id", "-r"]
        found.append(Peer(_version(options.tshark, "-v"), words, _lines(r"0x")))
    if options.dnscap:
        words = [options.dnscap, "-T", "-g", "-r"]
        found.append(Peer(_version(options.dnscap, "-V"), words, _lines(r"\[\d+\] ")))
    if options.packetq:
        words = [options.packetq, "-c", "-s", "select count(*) as n from dns"]
        found.append(Peer(_version(options.packetq, "-v"), words, _number(r"^(\d+)$")))
    return found


def _version(program: str, option: str) -> str:
    told = subprocess.run([program, option], capture_output=True, text=True, check=False)
    number = re.search(r"\d+\.\d+(\.\d+)?", told.stdout + told.stderr)
    return f"{Path(program).name} {number[0] if number else ''}".strip()


def _number(pattern: str) -> Callable[[str], int]:
    def count(text: str) -> int:
        found = re.search(pattern, text, re.MULTILINE)
        return int(found[1].replace(",", "")) if found else 0

    return count


def _lines(beginning: str) -> Callable[[str], int]:
    return lambda text: len(re.findall(f"^{beginning}", text, re.MULTILINE))


def _run(peer: Peer, path: Path) -> Outcome:
    """Let a program read a file; it runs in the file's folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            [*peer.words, path.name],
            cwd=path.parent,
            env=environment,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(None, 0)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    return Outcome(done.returncode, peer.count(text))


def _microseconds(octets: bytes) -> Tape:
    """The first packets of a capture in nanoseconds, in the older form that all of them read."""
    source = tape(octets)
    assert source is not None
    records = tuple(
        type(one)(one.seconds, one.fraction // 1000, one.length, one.data)
        for one in source.records[:PACKETS]
    )
    return Tape(MICROSECONDS + source.header[4:], source.order, records)


def _table(
    peers: Sequence[Peer], rows: Sequence[tuple[str, list[Outcome]]], crashed: list[int], many: int
) -> str:
    whole = rows[0][1]
    lines = [
        "# Damaged captures, read by several programs",
        "",
        f"The first {PACKETS} packets of `captures/first-signed`, damaged a third of the way in,",
        "by",
        "",
        f"    scripts/peers --mutants {many} --tshark … --dnscap … --packetq …",
        "",
        f"on {time.strftime('%Y-%m-%d', time.gmtime())}. In each field: messages read, of those",
        "that the same program reads in the undamaged file (they count TCP in different ways), and",
        "its exit status where that is not 0. Who reads about a third has stopped at the damage.",
        "",
        "| damage | " + " | ".join(peer.name for peer in peers) + " |",
        "|---" * (len(peers) + 1) + "|",
    ]
    lines += [
        f"| {name} | "
        + " | ".join(one.words(all_) for one, all_ in zip(outcomes, whole, strict=True))
        + " |"
        for name, outcomes in rows
    ]
    lines.append(
        f"| {many} captures changed at random: crashed or hung | "
        + " | ".join(str(count) for count in crashed)
        + " |"
    )
    return "\n".join(lines) + "\n"
