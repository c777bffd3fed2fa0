"""A law: whatever was asked, and wherever files end, stitching pairs as one run does."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "transactions"))

from sameness import difference
from test_transactions_ingest import write_pcap
from transaction_scene import Sent

from forensics.archive.opening import tables_of
from forensics.batch import ingest_batch
from forensics.ingest import ingest
from forensics.limits import SECOND
from forensics.options import Options

DELAYS = (SECOND // 100, SECOND, 4 * SECOND, 9 * SECOND, 12 * SECOND, 29 * SECOND, 40 * SECOND)


def traffic(chance: random.Random, sessions: int) -> list[Sent]:
    """Queries that are repeated, answered late, twice, by nobody, or not asked at all."""
    sent: list[Sent] = []
    for number in range(sessions):
        at = chance.randrange(60 * SECOND)
        # Few ids and names, so that sessions meet.
        query = Sent(
            at, id=number % 5, name=f"n{chance.randrange(2)}.example.", dnssec=number % 2 == 0
        )
        for _ in range(chance.randrange(1, 4)):
            if chance.random() < 0.8:
                sent.append(replace(query, at=at))
            at += chance.choice(DELAYS)
            for _ in range(chance.randrange(3)):
                sent.append(replace(query, at=at, response=True))
                at += chance.choice(DELAYS[:3])
    sent.sort(key=lambda one: one.at)
    # Apart by a microsecond at least: files that begin at one instant overlap.
    return [replace(one, at=one.at + 1000 * index) for index, one in enumerate(sent)]


@pytest.mark.parametrize("seed", range(12))
def test_borders_anywhere_pair_as_one_run(tmp_path, seed) -> None:
    chance = random.Random(seed)
    stream = traffic(chance, 14)
    cuts = sorted(chance.sample(range(1, len(stream)), chance.randrange(1, 7)))
    paths = [
        write_pcap(tmp_path / f"{at:02}.pcap", stream[begin:end])
        for at, (begin, end) in enumerate(pairwise([0, *cuts, len(stream)]))
    ]
    ingest(paths, tmp_path / "once")
    ingest_batch(paths[::-1], str(tmp_path / "parts"), Options())
    assert difference(tables_of(tmp_path / "parts"), tmp_path / "once") == []
