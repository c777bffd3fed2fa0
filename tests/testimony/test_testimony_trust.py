"""Who signalled trust in which keys: names by the letter of RFC 8145 and RFC 8509."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from forensics import schemas
from forensics.testimony import trust
from forensics.testimony.trust import COLUMNS, trust_signals

SECOND = 10**9
START = 1_780_315_200 * SECOND


def batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    """Transactions as they are stored, with only the columns that are read."""
    plain = {
        "time": START, "capture": 0, "query_frame": 1, "client": "192.0.2.9",
        "server": "198.51.100.1", "qname": None, "qtype": 10, "qclass": 1, "rcode": 3, "cd": False,
        "answers": 0,
    }  # fmt: skip
    schema = pa.schema([schemas.TRANSACTIONS.field(name) for name in COLUMNS])
    table = pa.Table.from_pylist([plain | row for row in rows], schema=schema)
    return table.combine_chunks().to_batches()[0]


def told(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return trust_signals([batch(*rows)], {0: "a.pcap"})


@pytest.mark.parametrize(
    ("name", "zone", "tags"),
    [
        ("_ta-4f66.", ".", [20326]),
        ("_ta-4a5c-4f66.", ".", [19036, 20326]),
        ("_ta-4f66-4a5c.", ".", [19036, 20326]),
        ("_ta-0001.example.com.", "example.com.", [1]),
    ],
)
def test_a_query_names_the_tags_of_a_zone(name: str, zone: str, tags: list[int]) -> None:
    (found,) = told({"qname": name})
    assert (found["kind"], found["zone"]) == ("trust-signals", zone)
    assert found["signals"] == [
        {
            "client": "192.0.2.9",
            "tags": tags,
            "count": 1,
            "first": "2026-06-01T12:00:00.000000000Z",
            "last": "2026-06-01T12:00:00.000000000Z",
            "capture": "a.pcap",
            "frame": 1,
        }
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"qname": "_ta-4f6."},
        {"qname": "_ta-4f661."},
        {"qname": "_ta-4f6g."},
        {"qname": "_ta-."},
        {"qname": "_ta-4f66-."},
        {"qname": "_ta-\\0524f66."},
        {"qname": "_ta-4f66x.example."},
        {"qname": "a._ta-4f66."},
        {"qname": "ta-4f66."},
        {"qname": "_ta-4f66.", "qclass": 3},
        {"qname": "_ta-4f66.", "query_frame": None},
        {"qname": "root-key-sentinel-is-ta-2032.example.", "qtype": 1},
        {"qname": "root-key-sentinel-is-ta-99999.example.", "qtype": 1},
        {"qname": "root-key-sentinel-is-ta-20326.example.", "qtype": 16},
        {"qname": "root-key-sentinel-is-ta-20326.example.", "qtype": 1, "cd": True},
        {"qname": "x.root-key-sentinel-is-ta-20326.example.", "qtype": 1},
        {"qname": None},
    ],
)
def test_other_names_signal_nothing(row: dict[str, Any]) -> None:
    assert told(row) == []


def test_each_client_and_set_is_counted_with_its_first_and_last_time() -> None:
    one = {"qname": "_ta-4f66."}
    (found,) = told(
        one | {"time": START + 5 * SECOND, "query_frame": 7},
        one | {"time": START + 9 * SECOND, "query_frame": 9},
        one | {"time": START + SECOND, "query_frame": 3, "client": "2001:db8::1"},
        {"qname": "_ta-4f66-9728.", "query_frame": 4},
    )
    rows = [(r["client"], r["tags"], r["count"], r["frame"]) for r in found["signals"]]
    assert rows == [
        ("192.0.2.9", [20326], 2, 7),
        ("192.0.2.9", [20326, 38696], 1, 4),
        ("2001:db8::1", [20326], 1, 3),
    ]
    assert found["signals"][0]["first"][17:19] == "05"
    assert found["signals"][0]["last"][17:19] == "09"
    assert "key tag 20326 by 192.0.2.9, 2001:db8::1" in found["sentence"]
    assert "key tags 20326 and 38696 by 192.0.2.9" in found["sentence"]
    assert "claims" in found["sentence"]


def test_sentinels_tell_of_the_resolver_that_answers() -> None:
    ask = {"qtype": 1, "rcode": 0, "answers": 1}
    (found,) = told(
        ask | {"qname": "root-key-sentinel-is-ta-20326.example."},
        ask | {"qname": "root-key-sentinel-not-ta-20326.example.", "rcode": 2, "answers": 0},
        ask | {"qname": "root-key-sentinel-not-ta-20326.example.", "rcode": None},
    )
    assert found["kind"] == "trust-sentinels"
    rows = [(r["resolver"], r["asks"], r["tags"], r["answers"]) for r in found["signals"]]
    assert rows == [
        ("198.51.100.1", "not-ta", [20326], {"servfail": 1, "unanswered": 1}),
        ("198.51.100.1", "is-ta", [20326], {"answered": 1}),
    ]


def test_what_finds_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "TRUST_SIGNALS", 3)
    monkeypatch.setattr(trust, "TRUST_SIGNALS_LISTED", 2)
    (found,) = told(*({"qname": f"_ta-{number:04x}."} for number in range(8)))
    assert (len(found["signals"]), found["unlisted"], found["omitted"]) == (2, 1, 5)
