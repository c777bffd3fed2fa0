"""captures/MUTATIONS.md holds: with packets missing an answer is wider or silent, never wrong.

The whole table takes a quarter of an hour (`scripts/lab mutate --write`); here the rows that were
once wrong are earned again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from labkit.scoring.inputs import RECORD, Recorded, decompressed, read_records  # noqa: E402
from labkit.scoring.judge import judge  # noqa: E402
from labkit.scoring.mutations import (  # noqa: E402
    MUTATIONS,
    TABLE,
    Outcome,
    is_dnskey_response,
    mutant,
    wrongs,
)
from labkit.scoring.run import line, recordings  # noqa: E402

ONCE_WRONG = (
    ("gov-2013", "every second packet"),
    ("fj-2022", "no DNSKEY responses"),
    ("ripe-2011", "second half"),
    ("de-2026", "every second packet"),
)


def sections() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in TABLE.read_text(encoding="utf-8").split("\n## ")[1:]:
        name, *rows = text.strip().split("\n")
        found[name] = [row for row in rows if row.startswith("| ")][2:]
    return found


def test_every_recording_stands_in_the_table_with_each_mutation_and_none_is_wrong() -> None:
    found = sections()
    assert sorted(found) == [recorded.name for recorded in recordings()]
    for name, rows in found.items():
        assert [row.split(" | ")[0].lstrip("| ") for row in rows] == list(MUTATIONS), name
        assert all(row.endswith("| - |") for row in rows), name
    count = sum(map(len, found.values()))
    assert f"\nWrong: 0 of {count}.\n" in TABLE.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "mutation"), ONCE_WRONG)
def test_what_was_wrong_once_is_wider_or_silent(name: str, mutation: str, run, tmp_path) -> None:
    recorded = Recorded(ROOT / "captures" / name)
    report = run(mutant(recorded, mutation, tmp_path), anchor=recorded.anchor)
    row = judge(recorded.truth, "pcap", report)
    wrong = wrongs(recorded.truth, row)
    assert wrong == ""
    assert line(Outcome(name, mutation, row, wrong).cells()) in sections()[name]


def test_the_mutations_leave_out_what_they_say() -> None:
    recorded = Recorded(ROOT / "captures" / "fj-2022")
    records = list(read_records(decompressed(recorded.inputs("pcap", Path())[0])))
    left = {name: mutate(records) for name, mutate in MUTATIONS.items()}
    assert left["first half"] + left["second half"] == records
    assert left["every second packet"] == records[::2]
    assert 0 < len(records) - len(left["no DNSKEY responses"]) < len(records) / 4
    assert not any(is_dnskey_response(one[RECORD:]) for one in left["no DNSKEY responses"])


def test_a_lie_is_told_from_a_gap() -> None:
    recorded = Recorded(ROOT / "captures" / "fj-2022")
    silent = judge(recorded.truth, "pcap", {"incidents": []})
    assert not silent.right
    assert wrongs(recorded.truth, silent) == ""
    other = {
        "zone": "fj.", "reason": "rrsig-missing", "severity": "outage", "patterns": [],
        "servers": [], "impact": {"servfail": 1},
        "onset": {"last_good": None, "first_bad": "2000-01-01T00:00:00.000000000Z"},
        "recovery": {"last_bad": "2000-01-01T00:00:00.000000000Z", "first_good": None},
    }  # fmt: skip
    lie = judge(recorded.truth, "pcap", {"incidents": [other]})
    assert wrongs(recorded.truth, lie) == "wrong reason; onset excludes the truth"
    invented = judge(recorded.truth, "pcap", {"incidents": [other | {"zone": "nl."}]})
    assert "invents nl. rrsig-missing" in wrongs(recorded.truth, invented)
