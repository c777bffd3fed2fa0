"""Several captures of one network: put in order of time, counted once, clocks compared."""

from __future__ import annotations

import itertools

import pyarrow.parquet as pq
import pytest
from capture_files import T0, ethernet, pcap, query, response, udp4
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics import limits
from forensics.errors import UsageError
from forensics.ingest import ingest
from forensics.options import Options
from forensics.pipeline import analyze

MS = 10**6
QUIET = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
WHERE = ("transaction", "capture", "response_capture", "query_frame", "response_frame")


def _traffic(count=60, gap=40 * MS, latency=20 * MS):
    """Packets (time, octets, is a response) of so many transactions with names of their own."""
    packets = []
    for i in range(count):
        name = f"host{i}.example."
        asked = T0 + i * gap
        packets.append((asked, udp4(query(name, i + 1), ipid=1000 + i, sport=20000 + i), False))
        answer = udp4(
            response(name, i + 1),
            ipid=3000 + i,
            sport=53,
            dport=20000 + i,
            source="198.51.100.2",
            target="192.0.2.1",
        )
        packets.append((asked + latency, answer, True))
    return sorted(packets)


def _write(path, packets):
    path.write_bytes(
        pcap([(time, ethernet(octets)) for time, octets, *_ in packets], magic=0xA1B23C4D)
    )
    return str(path)


def _ingest(tmp_path, paths, **options):
    folder = tmp_path / "tables"
    folder.mkdir(exist_ok=True)
    result = ingest(paths, folder, **options)
    rows = pq.read_table(folder / "transactions.parquet").to_pylist()
    return result, rows


def _apart(rows):
    """Transactions without what tells the files apart."""
    return sorted(
        (tuple((k, v) for k, v in row.items() if k not in WHERE) for row in rows), key=str
    )


def test_queries_in_one_file_and_responses_in_another_are_paired(tmp_path):
    packets = _traffic()
    whole = _ingest(tmp_path, [_write(tmp_path / "whole.pcap", packets)])[1]
    paths = [
        _write(tmp_path / "q.pcap", [p for p in packets if not p[2]]),
        _write(tmp_path / "r.pcap", [p for p in packets if p[2]]),
    ]
    for order in itertools.permutations(paths):
        result, rows = _ingest(tmp_path, list(order))
        assert {row["pairing"] for row in rows} == {"answered"}
        assert _apart(rows) == _apart(whole)
        assert [facts.path for facts in result.captures] == paths
        assert {(row["capture"], row["response_capture"]) for row in rows} == {(0, 1)}
        assert all(row["do"] for row in rows)
        assert [facts.clock_ahead for facts in result.captures] == [None, None]


@QUIET
@given(data=st.data())
def test_dealing_the_packets_out_to_any_files_changes_no_transaction(tmp_path, data):
    packets = _traffic(count=30)
    whole = _ingest(tmp_path, [_write(tmp_path / "whole.pcap", packets)])[1]
    files = data.draw(st.integers(2, 6))
    hands = data.draw(
        st.lists(st.integers(0, files - 1), min_size=len(packets), max_size=len(packets))
    )
    paths = [
        _write(
            tmp_path / f"{n}.pcap", [p for p, hand in zip(packets, hands, strict=True) if hand == n]
        )
        for n in range(files)
    ]
    result, rows = _ingest(tmp_path, data.draw(st.permutations(paths)))
    assert _apart(rows) == _apart(whole)
    assert sum(facts.messages for facts in result.captures) == len(packets)
    # Frames still count within their own file.
    for row in rows:
        facts = result.captures[row["capture"]]
        assert 1 <= row["query_frame"] <= facts.packets


def test_blocks_of_any_size_give_the_same_transactions(tmp_path, monkeypatch):
    packets = _traffic(count=400, gap=MS)
    whole = _ingest(tmp_path, [_write(tmp_path / "whole.pcap", packets)])[1]
    paths = [_write(tmp_path / f"{n}.pcap", packets[n::3]) for n in range(3)]
    monkeypatch.setattr(limits, "BLOCK_OCTETS", 16_384)
    _, rows = _ingest(tmp_path, paths)
    assert _apart(rows) == _apart(whole)


@pytest.mark.parametrize("shift", [0, 3 * MS, 3_700 * MS, -8_000 * MS])
def test_packets_seen_at_two_sensors_count_once_and_their_clocks_are_compared(tmp_path, shift):
    packets = _traffic(count=400)
    whole = _ingest(tmp_path, [_write(tmp_path / "whole.pcap", packets)])[1]
    # Sensor b stands 4 ms behind a on the way to the server.
    far = [(t + shift + (-4 * MS if back else 4 * MS), p, back) for t, p, back in packets]
    a = _write(tmp_path / "a.pcap", packets)
    b = _write(tmp_path / "b.pcap", sorted(far))
    result, rows = _ingest(tmp_path, [b, a])
    facts = {one.path: one for one in result.captures}
    first, other = result.captures
    assert sum(one.messages for one in facts.values()) == len(packets)
    assert sum(one.duplicates for one in facts.values()) == len(packets)
    assert len(rows) == len(whole) == 400
    assert {row["pairing"] for row in rows} == {"answered"}
    sign = 1 if other.path == b else -1
    assert other.clock_against == first.number
    assert abs(other.clock_ahead - sign * shift) < MS // 10
    assert other.clock_offset == (
        -other.clock_ahead if abs(shift) > limits.CLOCK_TOLERANCE else None
    )
    # a sees each query first, b each response
    assert facts[b].elsewhere == {facts[a].number: 400}
    assert facts[a].elsewhere == {facts[b].number: 400}
    assert max(row["latency"] for row in rows) < 20 * MS


def test_one_sensor_that_misses_packets_is_filled_up_by_the_other(tmp_path):
    packets = _traffic(count=100)
    a = _write(tmp_path / "a.pcap", [p for i, p in enumerate(packets) if i % 5])
    b = _write(tmp_path / "b.pcap", [p for i, p in enumerate(packets) if i % 7])
    result, rows = _ingest(tmp_path, [a, b])
    # Every 35th packet is in neither.
    assert sum(facts.messages for facts in result.captures) == len(packets) - 6
    assert len(rows) == 100


def test_query_sent_three_times_at_two_sensors_is_three_queries(tmp_path):
    name = "again.example."
    sent = [(T0 + i * 50 * MS, udp4(query(name, 7), ipid=50 + i), False) for i in range(3)]
    paths = [_write(tmp_path / "a.pcap", sent), _write(tmp_path / "b.pcap", sent)]
    result, rows = _ingest(tmp_path, paths)
    assert len(rows) == 3
    assert [facts.messages for facts in result.captures] == [3, 0]
    assert result.captures[1].elsewhere == {0: 3}


def test_same_query_at_two_sensors_long_apart_is_two_queries(tmp_path):
    one = udp4(query("late.example.", 9), ipid=77)
    filler = _traffic(count=5, gap=300 * MS)
    a = _write(tmp_path / "a.pcap", [*filler, (T0 + 1_500 * MS, one, False)])
    b = _write(tmp_path / "b.pcap", [(T0, one, False)])
    _, rows = _ingest(tmp_path, [a, b])
    assert sum(row["qname"] == "late.example." for row in rows) == 2


def test_files_that_share_nothing_keep_their_clocks(tmp_path):
    packets = _traffic(count=100)
    a = _write(tmp_path / "a.pcap", packets[:120])
    b = _write(tmp_path / "b.pcap", packets[80:][40:])
    result, _ = _ingest(tmp_path, [a, b])
    assert all(facts.clock_offset is None for facts in result.captures)
    assert all(facts.clock_shared == 0 for facts in result.captures)


def test_the_users_word_on_a_clock_goes_before_what_the_messages_say(tmp_path):
    packets = _traffic(count=100)
    a = _write(tmp_path / "a.pcap", packets)
    b = _write(tmp_path / "b.pcap", [(t + 90_000 * MS, p, back) for t, p, back in packets])
    result, rows = _ingest(tmp_path, [a, b], clock_offsets={b: -90_000 * MS})
    assert len(rows) == 100
    assert result.captures[1].clock_offset == -90_000 * MS
    assert result.captures[1].first == T0
    result, rows = _ingest(tmp_path, [a, b])
    assert len(rows) == 200


def test_report_tells_the_offset_and_who_saw_it_first(tmp_path):
    packets = _traffic(count=100)
    a = _write(tmp_path / "a.pcap", packets)
    b = _write(tmp_path / "b.pcap", [(t + 2_000 * MS, p, back) for t, p, back in packets])
    report = analyze([b, a], tmp_path / "out", Options(), figures=False).report
    found = {row["kind"]: row["sentence"] for row in report["findings"]}
    assert "2.000000 s ahead of" in found["sensor-clock"]
    assert "corrected" in found["sensor-clock"]
    assert "200 messages" in found["sensors"]
    assert report["captures"][1]["clock_offset"] == -2_000 * MS
    assert report["counts"]["transactions"] == 100


def test_offset_of_a_file_that_is_no_input_is_refused(tmp_path):
    a = _write(tmp_path / "a.pcap", _traffic(count=2))
    with pytest.raises(UsageError, match=r"--clock-offset no\.pcap"):
        analyze([a], tmp_path / "out", Options(clock_offsets=(("no.pcap", 1),)), figures=False)
