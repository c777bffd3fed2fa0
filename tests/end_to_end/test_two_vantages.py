"""Packets and dnstap of the same resolvers, as README shows them: who asked, asked once."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "captures" / "ru-2024"


def test_impact_and_triage_count_each_lookup_once(run) -> None:
    anchor = FOLDER / "trust-anchor.ds"
    alone = run(FOLDER / "capture.pcap.zst", anchor=anchor)
    both = run(FOLDER / "capture.pcap.zst", FOLDER / "resolvers.dnstap.zst", anchor=anchor)
    assert both["counts"]["transactions"] > 1.5 * alone["counts"]["transactions"]
    assert both["counts"]["seen_twice"] > 0.5 * alone["counts"]["transactions"]
    (incident,) = both["incidents"]
    (known,) = alone["incidents"]
    for part in ("transactions", "servfail", "names", "clients", "retries"):
        assert abs(incident["impact"][part] - known["impact"][part]) <= 2, part
    for part in ("validation", "timeout", "refused", "policy"):
        assert abs(both["triage"][part] - alone["triage"][part]) <= 2, part
    held = {row["address"]: row for row in known["resolvers"]}
    for row in incident["resolvers"]:
        assert abs(row["servfail"] - held[row["address"]]["servfail"]) <= 1
    assert len(incident["resolvers"]) == len(known["resolvers"])
    assert any(row["identity"] for row in incident["resolvers"])
    (finding,) = [row for row in both["findings"] if row["kind"] == "seen-twice"]
    assert finding["count"] == both["counts"]["seen_twice"]
    assert "seen_twice" not in alone["counts"]
