"""A truncated response and the query that repeats it over TCP are one lookup."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics import limits
from forensics.limits import SECOND
from forensics.schemas import MATCHED, TRANSACTIONS
from forensics.timeline import triage
from forensics.timeline.lookups import read
from forensics.transactions.chains import Chains, continued, lookups

START = 1_700_000_000 * SECOND
WINDOW = limits.TCP_RETRY_WINDOW


@dataclass(frozen=True)
class Row:
    """One transaction; `at` and `latency` in ns, latency None: unanswered."""

    at: int
    latency: int | None = 1000
    transport: str = "udp"
    tc: bool = False
    client: str = "192.0.2.7"
    server: str = "198.51.100.53"
    qname: str | None = "example."
    qtype: int | None = 1
    rcode: int = 0


def batch(rows, first):
    """Rows as a record batch of MATCHED, numbered from `first` on."""
    values = {
        "transaction": [first + n for n in range(len(rows))],
        "time": [START + row.at for row in rows],
        "latency": [row.latency for row in rows],
        "client": [row.client for row in rows],
        "server": [row.server for row in rows],
        "transport": [row.transport for row in rows],
        "tc": [None if row.latency is None else row.tc for row in rows],
        "rcode": [None if row.latency is None else row.rcode for row in rows],
        "response_frame": [None if row.latency is None else 2 for row in rows],
        "response_capture": [None if row.latency is None else 0 for row in rows],
        "query_frame": [1] * len(rows),
        "capture": [0] * len(rows),
        "qname": [row.qname for row in rows],
        "qtype": [row.qtype for row in rows],
        "qclass": [1 if row.qname else None for row in rows],
        "rd": [True] * len(rows),
        "pairing": ["unanswered" if row.latency is None else "answered" for row in rows],
        "vantage": ["client"] * len(rows),
        "answers": [None if row.latency is None else 1 for row in rows],
        "authorities": [None if row.latency is None else 0 for row in rows],
    }
    columns = []
    for field in MATCHED:
        held = values.get(field.name, [None] * len(rows))
        if field.name == "transport":
            words = pa.array(["udp", "tcp", "dot"])
            codes = pa.array([words.to_pylist().index(word) for word in held], pa.int32())
            columns.append(pa.DictionaryArray.from_arrays(codes, words))
        else:
            columns.append(pa.array(held, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=MATCHED)


def linked(*parts):
    """The column `continues` over some batches, and the batches."""
    chains, first, made = Chains(), 0, []
    for rows in parts:
        made.append(chains.link(batch(rows, first)))
        first += len(rows)
    assert all(one.schema.equals(TRANSACTIONS) for one in made)
    return [value for one in made for value in one.column("continues").to_pylist()], made


TRUNCATED = Row(0, tc=True)
REPEATED = Row(50_000_000, transport="tcp")


def test_the_query_over_tcp_continues_the_truncated_response():
    assert linked([TRUNCATED, REPEATED])[0] == [None, 0]
    assert linked([TRUNCATED], [REPEATED])[0] == [None, 0]


@pytest.mark.parametrize(
    "other",
    [
        Row(50_000_000, transport="udp"),
        Row(50_000_000, transport="tcp", client="192.0.2.8"),
        Row(50_000_000, transport="tcp", server="198.51.100.54"),
        Row(50_000_000, transport="tcp", qname="www.example."),
        Row(50_000_000, transport="tcp", qtype=28),
        Row(50_000_000, transport="tcp", qname=None, qtype=None),
        Row(WINDOW + 1001, transport="tcp"),
        Row(999, transport="tcp"),
    ],
    ids=["udp", "client", "server", "name", "type", "no question", "late", "before the response"],
)
def test_what_is_no_repetition(other):
    assert linked([TRUNCATED, other])[0] == [None, None]


def test_the_window_begins_with_the_response():
    slow = Row(0, latency=4 * SECOND, tc=True)
    assert linked([slow, Row(WINDOW + 4 * SECOND, transport="tcp")])[0] == [None, 0]


def test_a_response_that_was_not_truncated_is_not_continued():
    assert linked([Row(0), REPEATED])[0] == [None, None]
    # Nor one over TCP, whatever its flag says.
    assert linked([Row(0, tc=True, transport="tcp"), REPEATED])[0] == [None, None]


def test_an_unanswered_repetition_is_written_late():
    never = Row(50_000_000, latency=None, transport="tcp")
    far = Row(limits.LATE_TIMEOUT + WINDOW)
    assert linked([TRUNCATED], [far], [never])[0] == [None, None, 0]


def test_too_many_at_once_are_counted(monkeypatch):
    monkeypatch.setattr(limits, "OPEN_TRUNCATED", 3)
    chains = Chains()
    chains.link(batch([Row(n, tc=True, qname=f"n{n}.") for n in range(5)], 0))
    assert chains.dropped == 2
    rows = [Row(1000 + n, transport="tcp", qname=f"n{n}.") for n in range(5)]
    assert chains.link(batch(rows, 5)).column("continues").to_pylist() == [None, None, 2, 3, 4]


def outcome(*rows):
    """Lookups that are left, and what triage says of them."""
    _, made = linked(list(rows))
    counts, cases, total = triage.empty(), {}, 0
    for one in lookups(iter(made), continued(iter(made))):
        found = read(one)
        total += len(found.begin)
        triage.count(counts, cases, found, found.client_side, np.zeros(len(found.begin), bool))
    return total, {kind: count for kind, count in counts.items() if count}


def test_one_lookup_with_the_outcome_over_tcp():
    assert outcome(TRUNCATED, REPEATED) == (1, {})
    silent = Row(50_000_000, latency=None, transport="tcp")
    assert outcome(TRUNCATED, silent) == (1, {"timeout": 1})
    failed = Row(50_000_000, transport="tcp", rcode=2)
    assert outcome(Row(0, tc=True, rcode=2), failed) == (1, {"servfail-other": 1})
    # Without a repetition it stays what it was.
    assert outcome(TRUNCATED) == (1, {})
    assert outcome(Row(0), Row(1, rcode=2)) == (2, {"servfail-other": 1})


def test_attempts_over_tcp_that_failed_are_no_lookups_of_their_own():
    silent = Row(50_000_000, latency=None, transport="tcp")
    again = Row(3 * SECOND, transport="tcp")
    assert outcome(TRUNCATED, silent, again) == (1, {})
    assert outcome(TRUNCATED, silent, silent, Row(4 * SECOND, transport="tcp")) == (1, {})
    # None was answered: one lookup failed. Each that was answered is one.
    assert outcome(TRUNCATED, silent, silent) == (1, {"timeout": 1})
    assert outcome(TRUNCATED, again, again) == (2, {})
    other = Row(50_000_000, latency=None, transport="tcp", qname="www.example.")
    assert outcome(TRUNCATED, again, other) == (2, {"timeout": 1})


ROWS = st.lists(
    st.builds(
        Row,
        at=st.integers(0, 2 * WINDOW),
        latency=st.just(1000),
        transport=st.sampled_from(["udp", "tcp"]),
        tc=st.booleans(),
        client=st.sampled_from(["192.0.2.7", "192.0.2.8"]),
        qname=st.sampled_from(["a.", "b.", None]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 5))
def test_any_batches_give_the_same_chains(rows, size):
    rows = sorted(rows, key=lambda row: row.at)
    expected = []
    for row in rows:
        found = None
        if row.transport == "tcp" and row.qname:
            before = [
                (one.at + 1000, number)
                for number, one in enumerate(rows)
                if one.transport == "udp" and one.tc and one.qname == row.qname
                if one.client == row.client and one.at + 1000 <= row.at
            ]
            at, number = max(before, default=(-2 * WINDOW, None))
            found = number if row.at - at <= WINDOW else None
        expected.append(found)
    parts = [rows[at : at + size] for at in range(0, len(rows), size)]
    assert linked(*parts)[0] == expected
    assert linked(rows)[0] == expected


def test_a_dataset_of_an_earlier_version_has_no_chains():
    assert len(continued(iter([batch([TRUNCATED], 0)]))) == 0
