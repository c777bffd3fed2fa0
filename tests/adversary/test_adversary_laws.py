"""Laws over arbitrary parts and orders of captures."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenes import SCENES
from world import World

CAPTURE = Path(__file__).resolve().parents[2] / "captures" / "de-2026"
QUICK = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@cache
def made(scene: str) -> World:
    return SCENES[scene](5)


@QUICK
@given(scene=st.sampled_from(sorted(SCENES)), seed=st.integers(0, 2**32), share=st.floats(0.02, 1))
def test_no_subset_in_any_order_within_the_skew_accuses(scene, seed, share, accused) -> None:
    world, draw = made(scene), Random(seed)
    kept = [p for p in world.packets if draw.random() < share]
    kept.sort(key=lambda p: p.time + draw.randrange(900_000))
    if kept:
        assert accused(world, kept) == []


@pytest.fixture(scope="module")
def outage(tmp_path_factory):
    """The records of the outage, and a function that analyses some of them."""
    import zstandard

    from forensics.options import Options
    from forensics.pipeline import analyze

    octets = (CAPTURE / "capture.pcap.zst").read_bytes()
    octets = zstandard.ZstdDecompressor().stream_reader(octets).read()
    spans, at = [], 24
    while at + 16 <= len(octets):
        size = 16 + int.from_bytes(octets[at + 8 : at + 12], "little")
        spans.append(octets[at : at + size])
        at += size
    folder = tmp_path_factory.mktemp("subset")
    options = Options(trust_anchors=(str(CAPTURE / "trust-anchor.ds"),))

    def analysed(records):
        path = folder / "part.pcap"
        path.write_bytes(octets[:24] + b"".join(records))
        return analyze([str(path)], folder / "out", options, figures=False).report["incidents"]

    return spans, analysed


@settings(QUICK, max_examples=8)
@given(seed=st.integers(0, 2**32), share=st.floats(0.01, 1))
def test_no_subset_of_the_outage_accuses_another_zone(seed, share, outage) -> None:
    records, analysed = outage
    draw = Random(seed)
    found = analysed([record for record in records if draw.random() < share])
    for row in found:
        if row["severity"] != "near-miss":
            assert (row["zone"], row["reason"]) == ("de.", "signature-invalid")
