"""A capture that begins in an outage: the bracket of the onset is open, or reaches back before it.

In the .de outage a third of the new signatures was good. What the first packets show good may be of
the faulty version: it is told as the last good only where an earlier version was seen.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import rewrite

FOLDER = Path(__file__).resolve().parents[2] / "captures" / "de-2026-resolvers"


def seconds(text: str) -> float:
    return datetime.fromisoformat(text[:26].rstrip("Z")).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize("after", [4.5, 19.5, 22.5])
def test_no_good_answer_within_the_outage_is_told_as_the_last(after, run, truth, tmp_path) -> None:
    """Each of these cuts once gave a bracket that excluded what the lab did."""
    began = seconds(truth(FOLDER.name)["views"]["published"]["bad_from"])
    header, records = rewrite.load(FOLDER / "capture.pcap.zst")
    left = rewrite.between(records, began + after, 1e12)
    path = rewrite.store(tmp_path / "tail.pcap", header, left)
    (incident,) = run(path, anchor=FOLDER / "trust-anchor.ds")["incidents"]
    assert (incident["zone"], incident["reason"]) == ("de.", "signature-invalid")
    last_good = incident["onset"]["last_good"]
    assert last_good is None or seconds(last_good) < began
    assert incident["recovery"]["first_good"] is not None
