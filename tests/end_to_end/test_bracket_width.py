"""No bracket is wider than the two sightings in the capture that surround what the lab did.

The bound is read from the packets: of each server that was told to change, its last response
before it was told and its first response from when it was seen changed on, both to the question
whose RRset went bad. Whatever lies between them nobody could tell apart.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import dns.rdatatype
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from labkit.scoring.inputs import (  # noqa: E402
    RECORD,
    Recorded,
    decompressed,
    ends_of,
    read_records,
)
from labkit.scoring.judge import nanoseconds  # noqa: E402
from labkit.scoring.mutations import message_of  # noqa: E402

NAMES = (
    "arin-2019", "de-2026", "hbo-now-2015", "mm-2016", "red-2014", "ru-2024", "shared-operator",
)  # fmt: skip
"""Outages of the zone's own data, its servers seen on both sides. What breaks between the DS and
the keys is bracketed by sightings of those, at parent and zone, which no one question bounds."""

ACTS = {
    "onset": ("change", "changed", "last_good", "first_bad"),
    "recovery": ("repair", "repaired", "last_bad", "first_good"),
}
SLACK = 10**7
"""ns: a server answers with the old for a moment after it was told."""


def responses(recorded: Recorded) -> dict[tuple[str, int], list[int]]:
    """Times of the responses of each server to each type of question about the zone, in ns."""
    labels = recorded.truth["zone"].rstrip(".").split(".")
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    found: dict[tuple[str, int], list[int]] = {}
    for record in read_records(decompressed(recorded.inputs("pcap", Path())[0])):
        message = message_of(record[RECORD:])
        if len(message) < 12 or not message[2] & 0x80:
            continue
        end = 12 + len(name)
        if message[12:end].lower() == name:
            seconds, fraction = struct.unpack_from("<II", record)
            kind = int.from_bytes(message[end : end + 2])
            key = (ends_of(record[RECORD:])[0], kind)
            found.setdefault(key, []).append(seconds * 10**9 + fraction)
    return found


def widths(recorded: Recorded, report: dict) -> list[tuple[str, str, int, int]]:
    """Give server, end, width and bound (ns) of each bracket that the packets can be held against.

    Of each server's strata those count that hold a record of the zone's apex which somebody asked
    of that server on both sides of the change.
    """
    zone = recorded.truth["zone"]
    times = responses(recorded)
    told = {row["address"]: row for row in recorded.truth["servers"]
            if row.get("zone", zone) == zone}  # fmt: skip
    (incident,) = [one for one in report["incidents"] if one["zone"] == zone]
    found = []
    for stratum in incident["strata"]:
        truth = told.get(stratum["server"], {})
        for part, (act, seen, low, high) in ACTS.items():
            if f"told_to_{act}" not in truth or f"first_seen_{seen}" not in truth:
                continue
            if not stratum[low] or not stratum[high] or "recovered_by" in stratum:
                continue
            begin = nanoseconds(truth[f"told_to_{act}"])
            end = nanoseconds(truth[f"first_seen_{seen}"]) - SLACK
            bounds = []
            for kind in map(dns.rdatatype.from_text, stratum["types"]):
                mine = times.get((stratum["server"], kind), [])
                before = [time for time in mine if time <= begin]
                after = [time for time in mine if time >= end]
                if before and after:
                    bounds.append(min(after) - max(before))
            if bounds:
                width = nanoseconds(stratum[high]["time"]) - nanoseconds(stratum[low]["time"])
                found.append((stratum["server"], part, width, min(bounds) + SLACK))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_no_bracket_is_wider_than_what_surrounds_the_change(name: str, run) -> None:
    recorded = Recorded(ROOT / "captures" / name)
    report = run(*recorded.inputs("pcap", Path()), anchor=recorded.anchor)
    found = widths(recorded, report)
    assert found, "nothing was held against the packets"
    assert [row for row in found if row[2] > row[3]] == []
