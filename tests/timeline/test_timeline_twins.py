"""A lookup that several vantages saw is counted once; a repetition is never taken for a copy."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from timeline_scene import Scene, _table, ns

from forensics import schemas
from forensics.timeline import twins as module
from forensics.timeline.twins import twins

PCAP, DNSTAP, SECOND_DNSTAP, OTHER_PCAP = range(4)
FORMATS = ["pcap+zstd", "dnstap", "dnstap+gzip", "pcapng"]
CAPTURES = _table(
    [
        {"capture": number, "path": f"{number}", "format": name, "messages": 100}
        for number, name in enumerate(FORMATS)
    ],
    schemas.CAPTURES,
)


def lookup(number: int, at: float, capture: int, **change) -> dict:
    """One transaction; those of dnstap bear an identity."""
    scene = Scene()
    scene.ask("www.example.", at, change.pop("rcode", 0))
    row = scene.rows["transactions"][0]
    row |= {"transaction": number, "capture": capture, "query_frame": number}
    if capture in (DNSTAP, SECOND_DNSTAP):
        row |= {"kind": "client-query", "identity": "r1"}
    return row | change


def held(*rows: dict):
    """The twins of some transactions, and the table itself."""
    table = _table(list(rows), schemas.TRANSACTIONS)
    return twins(lambda: iter(table.to_batches(max_chunksize=2)), CAPTURES), table


def left(*rows: dict) -> list[int]:
    """The transactions that are counted."""
    found, table = held(*rows)
    kept = [one["transaction"] for batch in found.once(iter(table.to_batches())) for one in
            pa.Table.from_batches([batch]).select(["transaction"]).to_pylist()]  # fmt: skip
    assert len(kept) + len(found.again) == table.num_rows
    return kept


def test_packets_and_dnstap_of_one_lookup_are_one_with_the_writer_s_name() -> None:
    found, table = held(lookup(1, 10, PCAP), lookup(2, 10.01, DNSTAP))
    (batch,) = found.once(iter(table.to_batches()))
    assert batch["transaction"].to_pylist() == [1]
    assert batch["identity"].to_pylist() == ["r1"]
    assert batch.schema.field("identity").type == table.schema.field("identity").type
    assert found.figures == {"1": 1}
    assert [row["count"] for row in found.findings()] == [1]


def test_what_differs_in_anything_is_another_lookup() -> None:
    for change in (
        {"id": 2},
        {"client_port": 4001},
        {"client": "192.0.2.10"},
        {"server": "198.51.100.2"},
        {"qname": "ww.example."},
        {"qtype": 28},
        {"transport": "tcp"},
        {"time": ns(10) + module.WINDOW + 1},
    ):
        assert left(lookup(1, 10, PCAP), lookup(2, 10, DNSTAP) | change) == [1, 2], change


def test_a_repetition_seen_by_both_is_two_lookups() -> None:
    rows = [lookup(1, 10, PCAP), lookup(2, 10.001, DNSTAP)]
    rows += [lookup(3, 11, PCAP), lookup(4, 11.001, DNSTAP)]
    assert left(*rows) == [1, 3]


def test_a_repetition_seen_by_one_sensor_alone_is_no_copy() -> None:
    assert left(lookup(1, 10, PCAP), lookup(2, 10.1, PCAP)) == [1, 2]
    assert left(lookup(1, 10, PCAP), lookup(2, 10.1, OTHER_PCAP)) == [1, 2]
    assert left(lookup(1, 10, DNSTAP), lookup(2, 10.1, SECOND_DNSTAP)) == [1, 2]


def test_a_frame_of_dnstap_in_two_files_is_one() -> None:
    assert left(lookup(1, 10, DNSTAP), lookup(2, 10, SECOND_DNSTAP)) == [1]


def test_the_answered_sight_is_kept() -> None:
    assert left(lookup(1, 10, PCAP, rcode=None), lookup(2, 10.01, DNSTAP)) == [2]


def test_a_server_s_clock_is_set_right_where_enough_is_shared() -> None:
    rows = []
    for number in range(20):
        rows.append(lookup(2 * number, 10 + number, PCAP, id=number))
        rows.append(lookup(2 * number + 1, 310.003 + number, DNSTAP, id=number))
    assert left(*rows) == list(range(0, 40, 2))
    few = rows[: 2 * (module.SHARED - 1)]
    assert len(left(*few)) == len(few)


@settings(max_examples=30, deadline=None)
@given(
    seen=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=12),
    parts=st.integers(1, 3),
    order=st.randoms(),
)
def test_each_lookup_is_counted_once_in_whatever_order_and_parts(seen, parts, order) -> None:
    rows, expected = [], 0
    for at, (number, packets, dnstap) in enumerate(seen):
        expected += packets or dnstap
        if packets:
            rows.append(lookup(len(rows), 10 * at, PCAP, id=number))
        if dnstap:
            rows.append(lookup(len(rows), 10 * at + 0.2, DNSTAP, id=number))
    order.shuffle(rows)
    before, module.AT_ONCE = module.AT_ONCE, 400 // parts
    try:
        assert len(left(*rows)) == expected
    finally:
        module.AT_ONCE = before
