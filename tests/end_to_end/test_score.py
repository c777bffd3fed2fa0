"""captures/SCORE.md is what the analyzer earns now; and the judge that fills it judges rightly.

The whole table takes minutes (`scripts/lab score --write`); here the rows from whole packet
captures are earned again, one run a recording.
"""

from __future__ import annotations

import copy
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from labkit.scoring.inputs import Recorded, read_records  # noqa: E402
from labkit.scoring.judge import COLUMNS, judge, stray_relief  # noqa: E402
from labkit.scoring.run import TABLE, kinds, line, recordings, totals  # noqa: E402

UNSEEN = tomllib.loads((ROOT / "captures" / "UNSEEN.toml").read_text())["unseen"]
NAMES = [recorded.name for recorded in recordings()]


@pytest.fixture(scope="module")
def table() -> dict[str, list[str]]:
    """Return the table's rows by recording."""
    found: dict[str, list[str]] = {}
    for text in TABLE.read_text().splitlines():
        if text.startswith("## "):
            name = text.removeprefix("## ")
        elif text.startswith("| ") and not text.startswith(("| input", "| ---")):
            found.setdefault(name, []).append(text)
    return found


def test_every_recording_is_scored_from_every_input(table) -> None:
    assert sorted(table) == NAMES
    for name, rows in table.items():
        assert [row.split(" | ")[0].lstrip("| ") for row in rows] == list(kinds()), name
        assert all(row.count(" | ") == len(COLUMNS) - 1 for row in rows)


def test_totals_are_those_of_the_rows(table) -> None:
    verdicts: dict[str, list[str]] = {}
    for rows in table.values():
        for row in rows:
            kind, word = row.lstrip("| ").split(" | ")[:2]
            verdicts.setdefault(kind, []).append(word)
    assert f"\n{totals(verdicts)}\n" in TABLE.read_text()


def test_what_cannot_be_seen_is_listed_with_its_reason_and_nothing_else_is(table) -> None:
    """An entry for an input that shows the cause after all is to be taken out of the list."""
    listed = {(one["capture"], one["input"]): one for one in UNSEEN}
    assert len(listed) == len(UNSEEN)
    seen = {
        (name, row.lstrip("| ").split(" | ")[0])
        for name, rows in table.items()
        for row in rows
        if row.split(" | ")[1] == "unseen"
    }
    assert set(listed) == seen
    assert all(len(one["because"]) > 30 and "\n" not in one["because"] for one in UNSEEN)


@pytest.mark.parametrize("name", NAMES)
def test_row_of_the_whole_capture_is_earned_again(name: str, run, table) -> None:
    recorded = Recorded(ROOT / "captures" / name)
    report = run(*recorded.inputs("pcap", Path()), anchor=recorded.anchor)
    assert line(judge(recorded.truth, "pcap", report).cells()) == table[name][0]


@pytest.fixture
def case(run) -> tuple[dict, dict]:
    """A truth and the report that is right about it, both free to be spoiled."""
    recorded = Recorded(ROOT / "captures" / "de-2026")
    report = run(*recorded.inputs("pcap", Path()), anchor=recorded.anchor)
    return copy.deepcopy(recorded.truth), {"incidents": copy.deepcopy(report["incidents"])}


def test_the_right_report_is_right(case) -> None:
    truth, report = case
    assert judge(truth, "pcap", report).right


@pytest.mark.parametrize(
    ("spoiled", "change"),
    [
        ("zone", lambda i: i.update(zone="nl.")),
        ("reason", lambda i: i.update(reason="ds-mismatch", phases=[])),
        ("onset early", lambda i: i["onset"].update(first_bad="2026-11-24T15:22:01.000000000Z")),
        ("onset late", lambda i: i["onset"].update(last_good="2026-11-24T15:23:01.000000000Z")),
        ("recovery", lambda i: i["recovery"].update(first_good="2026-11-24T15:23:59.000000000Z")),
        ("hint", lambda i: i.update(severity="near-miss")),
        (
            "mitigation",
            lambda i: i["mitigations"].append(
                {
                    "kind": "serve-stale",
                    "resolver": "192.0.2.53",
                    "at": "2026-11-24T15:23:01.000000000Z",
                    "basis": "ede",
                }
            ),
        ),
    ],
)
def test_a_report_with_one_thing_wrong_is_not_right(case, spoiled: str, change) -> None:
    truth, report = case
    change(report["incidents"][0])
    assert not judge(truth, "pcap", report).right, spoiled


@pytest.mark.parametrize(
    "stray",
    [
        {"kind": "repair", "at": "2026-11-24T15:23:59.000000000Z"},  # before the first server's
        {"kind": "repair", "at": "2026-11-24T15:27:00.000000000Z"},  # long after the last cache
        {"kind": "old-cache", "at": "2026-11-24T15:22:04.000000000Z"},  # before all of it
        {"kind": "old-cache", "at": "2026-11-24T15:23:30.000000000Z"},  # what it held had run out
        {
            "kind": "old-cache",
            "at": "2026-11-24T15:22:10.000000000Z",
            "until": "2026-11-24T15:24:00.000000000Z",
        },
    ],
)
def test_relief_at_a_time_that_the_acts_do_not_allow_is_invented(case, stray) -> None:
    truth, report = case
    row = {"resolver": "192.0.2.53", "basis": "inferred"} | stray
    report["incidents"][0]["mitigations"].append(row)
    scored = judge(truth, "pcap", report)
    assert not scored.right
    assert scored.mitigations == "1/1, 1 false"
    truth["views"] = {}  # of a recording where nothing failed
    assert len(stray_relief(truth, report["incidents"])) > 1


def test_relief_that_the_acts_allow_is_none(case) -> None:
    truth, report = case
    told = {row["kind"] for row in report["incidents"][0]["mitigations"]}
    assert told >= {"repair", "old-cache"}
    assert stray_relief(truth, report["incidents"]) == []


def test_a_finding_that_is_due_and_lacks_is_not_right(case) -> None:
    truth, report = case
    truth["findings"] = ["clock-resolver"]
    assert not judge(truth, "pcap", report).right
    assert judge(truth, "pcap", report | {"findings": [{"kind": "clock-resolver"}]}).right


def test_a_near_miss_is_right_only_if_it_is_told() -> None:
    truth = Recorded(ROOT / "captures" / "c-root-2024").truth
    server = {"address": "198.51.100.2"}
    finding = {"kind": "near-miss", "zone": ".", "servers": [server]}
    bracket = {"last_bad": "2026-11-24T20:01:59.000000000Z", "first_good": None}
    told = finding | {"onset": {"last_good": None, "first_bad": None}, "recovery": bracket}
    assert judge(truth, "pcap", {"incidents": [], "findings": [told]}).right
    assert not judge(truth, "pcap", {"incidents": [], "findings": []}).right
    assert not judge(truth, "pcap", {"incidents": [], "findings": [told | {"zone": "org."}]}).right
    truth["expected"] = "no incident"
    assert judge(truth, "pcap", {"incidents": [], "findings": [told]}).false == "(.)"


def test_an_invented_incident_is_not_right(case) -> None:
    truth, report = case
    report["incidents"].append(report["incidents"][0] | {"zone": "nl."})
    row = judge(truth, "pcap", report)
    assert not row.right
    assert row.false == "nl. signature-invalid"
    truth["expected"] = "no incident"
    assert not judge(truth, "pcap", report).right
    assert judge(truth, "pcap", {"incidents": []}).right


def test_client_and_upstream_side_share_no_packet_and_miss_only_the_monitor(tmp_path) -> None:
    recorded = Recorded(ROOT / "captures" / "ru-2024")
    sides = {
        kind: list(read_records(recorded.inputs(kind, tmp_path)[0].read_bytes()))
        for kind in ("client", "upstream")
    }
    assert all(sides.values())
    assert not set(sides["client"]) & set(sides["upstream"])
    clients = {client["address"] for client in recorded.truth["clients"]}
    resolvers = {a for one in recorded.truth["resolvers"] for a in one["addresses"]}
    assert {frozenset(ends) & clients for ends in _ends(sides["upstream"])} == {frozenset()}
    assert all(set(ends) & clients and set(ends) & resolvers for ends in _ends(sides["client"]))


def _ends(records: list[bytes]) -> list[tuple[str, str]]:
    from labkit.scoring.inputs import ends_of

    return [ends_of(record[16:]) for record in records]
