"""Recordings with something missing: an answer may become wider or be silent, but never wrong."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.scoring.inputs import (
    ETHERNET,
    HEADER,
    IPV4,
    IPV6,
    RECORD,
    Recorded,
    decompressed,
    read_records,
)
from labkit.scoring.judge import Row, judge
from labkit.scoring.run import CAPTURES, line, recordings

TABLE = CAPTURES / "MUTATIONS.md"
HEAD = """\
# Mutations

Written by `scripts/lab mutate --write`; CI earns a few rows again. Each recording with
something missing from its packets. What is missing may make an answer wider, or take it away; it
must never make it wrong: no incident that is none, no other reason (a zone that lost its keys with
its signatures shows the lost signatures where the answers without keys are gone), no bracket that
excludes what the lab did, no mitigation that nobody took.

- `no DNSKEY responses`: none to a question for DNSKEY.
- `second half`, `first half`: the packets of one half alone.
- `every second packet`: the others are lost.
"""
COLUMNS = ("missing", "said", "reason", "onset", "recovery", "wrong")

CONSEQUENCES = {"dnskey-absent": "rrsig-missing"}
"""What a reason shows as where its own evidence is gone: a zone that lost its keys with its
signatures."""

UDP, TCP, FRAGMENT = 17, 6, 44
DNS_PORT, DNSKEY = 53, 48

Mutation = Callable[[list[bytes]], list[bytes]]


def without_dnskey(records: list[bytes]) -> list[bytes]:
    """Leave out every packet that begins a response to a DNSKEY query."""
    return [record for record in records if not is_dnskey_response(record[RECORD:])]


def second_half(records: list[bytes]) -> list[bytes]:
    """Leave out the first half of the packets: whatever happened began before."""
    return records[len(records) // 2 :]


def first_half(records: list[bytes]) -> list[bytes]:
    """Leave out the second half: whatever began goes on."""
    return records[: len(records) // 2]


def every_second(records: list[bytes]) -> list[bytes]:
    """Leave out every second packet, as a recorder does that cannot keep pace."""
    return records[::2]


MUTATIONS: dict[str, Mutation] = {
    "no DNSKEY responses": without_dnskey,
    "second half": second_half,
    "first half": first_half,
    "every second packet": every_second,
}


def is_dnskey_response(frame: bytes) -> bool:
    """Whether an Ethernet frame begins a DNS response to a question for DNSKEY."""
    message = message_of(frame)
    if len(message) < 12 or not message[2] & 0x80 or message[4:6] != b"\0\1":
        return False
    at = 12
    while at < len(message) and message[at]:
        at += 1 + message[at]
    return int.from_bytes(message[at + 1 : at + 3]) == DNSKEY


def message_of(frame: bytes) -> bytes:
    """Return what a frame from port 53 carries, from the DNS header on; empty for any other."""
    kind = int.from_bytes(frame[12:14])
    if kind == IPV4:
        protocol, at = frame[ETHERNET + 9], ETHERNET + 4 * (frame[ETHERNET] & 15)
        if int.from_bytes(frame[ETHERNET + 6 : ETHERNET + 8]) & 0x1FFF:
            return b""
    elif kind == IPV6:
        protocol, at = frame[ETHERNET + 6], ETHERNET + 40
        if protocol == FRAGMENT:
            if int.from_bytes(frame[at + 2 : at + 4]) >> 3:
                return b""
            protocol, at = frame[at], at + 8
    else:
        return b""
    if int.from_bytes(frame[at : at + 2]) != DNS_PORT:
        return b""
    if protocol == UDP:
        return frame[at + 8 :]
    if protocol == TCP:
        return frame[at + 4 * (frame[at + 12] >> 4) + 2 :]
    return b""


def mutant(recorded: Recorded, name: str, scratch: Path) -> Path:
    """Write a recording's capture with a mutation; return its path."""
    data = decompressed(recorded.inputs("pcap", scratch)[0])
    left = MUTATIONS[name](list(read_records(data)))
    path = scratch / f"{recorded.name}-{name.replace(' ', '-')}.pcap"
    path.write_bytes(data[:HEADER] + b"".join(left))
    return path


@dataclass(frozen=True)
class Outcome:
    """What the analyzer said of a mutant, and what of it is wrong: empty where nothing is."""

    capture: str
    mutation: str
    row: Row
    wrong: str

    def cells(self) -> tuple[str, ...]:
        """Return the row for the table."""
        row = self.row
        verdict = f"**{self.wrong}**" if self.wrong else "-"
        return (self.mutation, row.said, row.reason, row.onset, row.recovery, verdict)


def wrongs(truth: dict[str, Any], row: Row) -> str:
    """Say what is wrong in a row, whatever it misses: a lie, not a gap."""
    invented = [part for part in row.false.split(", ") if not part.startswith(("(", "-"))]
    found = [f"invents {part}" for part in invented]
    known = {CONSEQUENCES.get(reason) for reason in (truth.get("reason"), *truth.get("also", ()))}
    if row.reason.startswith("no:") and row.reason[4:] not in known:
        found.append("wrong reason")
    found += [
        f"{name} excludes the truth"
        for name in ("onset", "recovery")
        if getattr(row, name).startswith("miss")
    ]
    if "false" in row.mitigations:
        found.append("invents a mitigation")
    return "; ".join(found)


def run(recorded: Recorded, name: str, scratch: Path) -> Outcome:
    """Analyse one mutant of one recording."""
    from forensics.pipeline import Options, analyze

    path, out = mutant(recorded, name, scratch), scratch / "report"
    analyze([str(path)], out, Options(trust_anchors=(str(recorded.anchor),)), figures=False)
    row = judge(recorded.truth, "pcap", json.loads((out / "report.json").read_text()))
    path.unlink()
    return Outcome(recorded.name, name, row, wrongs(recorded.truth, row))


def outcomes(found: Iterable[Recorded], names: Iterable[str] = MUTATIONS) -> Iterator[Outcome]:
    """Yield the outcome of each mutation of each recording."""
    for recorded in found:
        for name in names:
            with tempfile.TemporaryDirectory(prefix="dns-mutant-") as scratch:
                yield run(recorded, name, Path(scratch))


def print_outcomes(names: list[str], *, write: bool) -> int:
    """Analyse the mutants, print each as it comes; return whether anything was wrong."""
    if write and names:
        print("--write needs the whole library", file=sys.stderr)
        return 2
    done = []
    for one in outcomes(recordings(names)):
        print(f"{one.capture:20} " + " | ".join(one.cells()), flush=True)
        done.append(one)
    if write:
        TABLE.write_text(table(done))
    return int(any(one.wrong for one in done))


def table(done: Iterable[Outcome]) -> str:
    """Return the whole table as Markdown, one section a recording."""
    lines, last = [HEAD.rstrip()], ""
    rows = list(done)
    wrong = sum(bool(one.wrong) for one in rows)
    lines.insert(1, f"\nWrong: {wrong} of {len(rows)}.")
    for one in rows:
        if one.capture != last:
            last = one.capture
            lines += ["", f"## {one.capture}", "", line(COLUMNS), line("---" for _ in COLUMNS)]
        lines.append(line(one.cells()))
    return "\n".join([*lines, ""])
