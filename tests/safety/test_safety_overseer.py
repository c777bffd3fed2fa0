"""The overseer of mutants: what crashes, hangs or takes too much is named, and the rest is run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from mutantkit import overseer, worker  # noqa: E402
from mutantkit.records import Reel, Tape, file_of, reel, tape  # noqa: E402

WORKER = """
import json, sys, time, os
for words in sys.argv[1:]:
    first, last = map(int, words.split("-"))
    for number in range(first, last + 1):
        print(json.dumps({"begun": number}), flush=True)
        if number == 3:
            os._exit(7)
        if number == 5:
            while True:
                pass
        if number == 7:
            time.sleep(60)
        peak = 2**40 if number == 9 else 1
        print(json.dumps({"number": number, "peak": peak, "faults": []}), flush=True)
"""


def test_what_crashes_hangs_or_grows_is_named_and_the_others_run(monkeypatch):
    monkeypatch.setattr(overseer, "SECONDS", 1.0)
    monkeypatch.setattr(overseer, "WAITING", 3.0)
    told = {}
    overseer.Overseer(
        [sys.executable, "-c", WORKER], lambda row: told.update({row["number"]: row["faults"]})
    ).run(range(1, 12))
    assert sorted(told) == list(range(1, 12))
    assert {number: faults for number, faults in told.items() if faults} == {
        3: ["the process ended with 7"],
        5: ["took longer than 1 s"],
        7: ["took longer than 1 s"],
        9: [f"took {2**40 >> 20} MiB"],
    }


@pytest.mark.parametrize("number", range(0, 400, 37))
def test_the_same_number_is_the_same_mutant(number):
    sources = worker.sources(shared=False)
    one, other = (worker.mutant(sources, number, 1) for _ in range(2))
    assert one == other
    assert one[1] != worker.mutant(sources, number, 2)[1]


def test_captures_come_apart_and_together_again():
    folder = worker.ROOT / "captures" / "first-signed"
    octets, parts = worker.opened(folder / "capture.pcap.zst")
    assert isinstance(parts, Tape)
    assert file_of(parts.header, parts.order, parts.records) == octets
    (path,) = folder.glob("*.dnstap*")
    octets, parts = worker.opened(path)
    assert isinstance(parts, Reel)
    assert parts.head + b"".join(parts.pieces) + parts.tail == octets
    assert tape(octets) is None
    assert reel(b"rubbish") is None


def test_conversations_are_whole():
    _, parts = worker.opened(worker.ROOT / "captures" / "first-signed" / "capture.pcap.zst")
    ends = [one.conversation() for one in parts.records]
    assert all(ends)
    assert len(set(ends)) < len(ends) * 0.6  # a query and its response share one
