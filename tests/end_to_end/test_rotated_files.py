"""A law: cutting a capture into files at random places changes nothing but the names of frames."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import rewrite

from forensics.archive.tables import iter_batches
from forensics.ingest import ingest

DE = Path(__file__).resolve().parents[2] / "captures" / "de-2026"
LEFT_OUT = {"query_capture", "response_capture", "query_frame", "response_frame", "capture"}


def rows_of(folder: Path) -> list[dict]:
    made = [row for batch in iter_batches(folder, "transactions") for row in batch.to_pylist()]
    return [{name: row[name] for name in row if name not in LEFT_OUT} for row in made]


@pytest.fixture(scope="module")
def records() -> tuple[bytes, list[rewrite.Record]]:
    """The first third of a capture that holds DNS over TCP besides UDP."""
    header, found = rewrite.load(DE / "capture.pcap.zst")
    return header, found[: len(found) // 3]


@pytest.mark.parametrize("seed", range(3))
def test_files_cut_at_random_places_give_the_same_transactions(records, tmp_path, seed) -> None:
    header, whole = records
    chance = random.Random(seed)
    one = ingest([str(rewrite.store(tmp_path / "whole.pcap", header, whole))], tmp_path / "one")
    tcp = [i for i, r in enumerate(whole) if r.data[20] == 6 or r.data[23] == 6]
    assert len(tcp) > 20
    # Half of the cuts fall within connections.
    cuts = {chance.randrange(1, len(whole)) for _ in range(6)} | set(chance.sample(tcp, 6))
    edges = [0, *sorted(cuts - {0}), len(whole)]
    parts = [
        str(rewrite.store(tmp_path / f"{i:02}.pcap", header, whole[edges[i] : edges[i + 1]]))
        for i in range(len(edges) - 1)
    ]
    chance.shuffle(parts)
    many = ingest(parts, tmp_path / "many")
    assert rows_of(tmp_path / "many") == rows_of(tmp_path / "one")
    assert many.transactions == one.transactions
    assert sum(c.carriers for c in many.captures) == one.captures[0].carriers
    assert not any(len(c.losses) for c in (*one.captures, *many.captures))
