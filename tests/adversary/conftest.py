"""The whole program on worlds made here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from world import World, anchor, pcap


@pytest.fixture(scope="session")
def analysed(tmp_path_factory):
    """Analyse packets of a world, in one file or several; return the report's dict."""
    from forensics.options import Options
    from forensics.pipeline import analyze

    base = tmp_path_factory.mktemp("adversary")

    def _analysed(world: World, *files, snap: int = 65_535, anchored: bool = True):
        paths = []
        for number, packets in enumerate(files or (world.packets,)):
            path = base / f"{number}.pcap"
            path.write_bytes(pcap(packets, snap))
            paths.append(str(path))
        anchors = (str(anchor(world, base / "anchor.ds")),) if anchored else ()
        out = base / "out"
        return analyze(paths, out, Options(trust_anchors=anchors), figures=False).report

    return _analysed


@pytest.fixture(scope="session")
def accused(analysed):
    """Return the incidents that are more than near misses, servers that are said to lag, and what
    resolvers would have refused by what they held."""

    def _accused(world, *files, **options):
        report = analysed(world, *files, **options)
        held = [
            (row["zone"], *sorted(row["reasons"]), "partial", "", "resolver")
            for row in report.get("resolver_views", ())
        ]
        return [
            (i["zone"], i["reason"], i["severity"], i["confidence"], i["view"])
            for i in report["incidents"]
            if i["severity"] != "near-miss"
        ] + held + [
            (f["zone"], "server-divergence", "near-miss", "", "published")
            for f in report["findings"]
            if f["kind"] == "near-miss" and "servers" in f
        ]

    return _accused
