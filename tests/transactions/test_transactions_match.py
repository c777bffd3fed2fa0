"""Pairing by example and by law."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import dns.flags
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transaction_scene import START, Sent, block_of, run, sliced

from forensics import limits
from forensics.limits import SECOND
from forensics.vocabulary import PAIRINGS

MILLISECOND = SECOND // 1000


def pairings(*sent: Sent) -> list[str]:
    return [row["pairing"] for row in run([block_of(list(sent))])[0]]


def test_a_query_and_its_response_are_one_row():
    query = Sent(0, name="WwW.Example.", id=7, dnssec=True)
    rows, (parsed,), _ = run(
        [block_of([query, query.answer(25 * MILLISECOND, flags=dns.flags.AA)])]
    )
    (row,) = rows
    assert (row["pairing"], row["vantage"], row["kind"]) == ("answered", "upstream", "packet")
    assert row["latency"] == 25 * MILLISECOND
    assert row["time"].value == START
    assert (row["client"], row["server"]) == ("192.0.2.7", "198.51.100.53")
    assert (row["client_port"], row["server_port"], row["id"]) == (40_000, 53, 7)
    assert (row["qname"], row["qtype"], row["qclass"]) == ("www.example.", 1, 1)
    assert (row["query_frame"], row["response_frame"]) == (1, 2)
    assert (row["do"], row["edns_size"], row["aa"], row["ra"]) == (True, 1232, True, False)
    assert row["identity"] is None
    assert parsed.transaction.tolist() == [0, 0]
    assert (parsed.do_known.tolist(), parsed.do_asked.tolist()) == ([False, True], [False, True])


def test_a_query_alone_is_unanswered_and_knows_nothing_of_a_response():
    ((row,), _, _) = run([block_of([Sent(0)])])
    assert row["pairing"] == "unanswered"
    for column in ("latency", "response_frame", "rcode", "aa", "tc", "ra", "ad", "response_size"):
        assert row[column] is None


def test_a_response_alone_is_unsolicited_and_knows_nothing_of_a_query():
    ((row,), _, _) = run([block_of([Sent(0).answer(5)])])
    assert row["pairing"] == "unsolicited"
    for column in ("latency", "query_frame", "do", "edns_size", "query_size"):
        assert row[column] is None
    assert (row["client"], row["client_port"]) == ("192.0.2.7", 40_000)


def test_the_same_query_again_is_retransmitted_and_the_first_is_answered():
    query = Sent(0)
    rows, _, _ = run([block_of([query, Sent(SECOND), query.answer(SECOND + 5)])])
    assert [row["pairing"] for row in rows] == ["answered", "retransmitted"]
    assert rows[0]["latency"] == SECOND + 5


def test_a_second_response_is_a_duplicate():
    query = Sent(0)
    assert pairings(query, query.answer(5), query.answer(9)) == ["answered", "duplicate"]


def test_a_response_after_the_timeout_is_late_and_much_later_unsolicited():
    query = Sent(0)
    late = query.answer(limits.QUERY_TIMEOUT + 1)
    assert pairings(query, late) == ["late"]
    assert pairings(query, query.answer(limits.QUERY_TIMEOUT)) == ["answered"]
    gone = query.answer(limits.LATE_TIMEOUT + 1)
    assert pairings(query, gone) == ["unanswered", "unsolicited"]


def test_a_repetition_after_the_timeout_is_a_transaction_of_its_own():
    again = Sent(limits.QUERY_TIMEOUT + 1)
    assert pairings(Sent(0), again, again.answer(5)) == ["unanswered", "answered"]


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [(MILLISECOND, ["answered"]), (MILLISECOND + 1, ["unsolicited", "unanswered"])],
)
def test_a_response_written_up_to_a_millisecond_before_its_query_is_paired(ahead, expected):
    query = Sent(ahead)
    assert pairings(query.answer(-ahead), query) == expected


def test_a_pair_written_in_the_wrong_order_has_the_latency_of_its_times():
    query = Sent(0)
    rows, _, _ = run([block_of([query.answer(30 * MILLISECOND), query])])
    assert [(row["pairing"], row["latency"]) for row in rows] == [("answered", 30 * MILLISECOND)]
    assert (rows[0]["query_frame"], rows[0]["response_frame"]) == (2, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"id": 2},
        {"name": "other."},
        {"qtype": "AAAA"},
        {"client": "192.0.2.8"},
        {"server": "198.51.100.54"},
        {"port": 40_001},
        {"transport": 1},
        {"kind": 6},
    ],
)
def test_what_differs_in_any_part_is_not_paired(change):
    query = Sent(0)
    assert sorted(pairings(query, query.answer(5, **change))) == ["unanswered", "unsolicited"]


def test_letter_case_of_the_question_never_parts_a_pair():
    assert pairings(Sent(0, name="eXaMpLe."), Sent(5, True, name="ExamplE.")) == ["answered"]


def test_a_response_without_question_is_matched_by_the_rest():
    query = Sent(0)
    assert pairings(query, query.answer(5, question=False)) == ["answered"]


def test_two_questions_under_one_id_each_get_their_own_response():
    one, two = Sent(0), Sent(1, qtype="AAAA")
    rows, _, _ = run([block_of([one, two, two.answer(8), one.answer(9)])])
    assert [(row["qtype"], row["latency"]) for row in rows] == [(1, 9), (28, 8)]


def test_dnstap_pairs_one_family_of_one_identity():
    query = Sent(0, kind=5, identity=0)
    response = query.answer(5, kind=6)
    stranger = query.answer(6, kind=6, identity=1)
    upstream = query.answer(7, kind=4)
    rows, _, _ = run([block_of([query, stranger, upstream, response], identities=["a", "b"])])
    seen = [(row["kind"], row["pairing"], row["vantage"], row["identity"]) for row in rows]
    assert seen == [
        ("CLIENT_QUERY", "answered", "client", "a"),
        ("CLIENT_RESPONSE", "unsolicited", "client", "b"),
        ("RESOLVER_RESPONSE", "unsolicited", "upstream", "a"),
    ]


def test_dnstap_of_an_authority_pairs_whatever_it_calls_its_clients():
    """BIND without recursion: a query with RD is AUTH_QUERY, its response CLIENT_RESPONSE."""
    query = Sent(0, kind=1, identity=0)
    response = query.answer(5, kind=6, flags=0x0500)
    rows, _, _ = run([block_of([query, response], identities=["a"])])
    assert [(row["pairing"], row["vantage"]) for row in rows] == [("answered", "upstream")]
    # A front-end's word for a response of the authority behind it, likewise.
    query = Sent(0, kind=5)
    rows, _, _ = run([block_of([query, query.answer(5, kind=6, flags=0x0500)])])
    assert [(row["pairing"], row["vantage"]) for row in rows] == [("answered", "upstream")]
    # A resolver that answers from a zone of its own still offers recursion.
    query = Sent(0, kind=5)
    rows, _, _ = run([block_of([query, query.answer(5, kind=6, flags=0x0580)])])
    assert [(row["pairing"], row["vantage"]) for row in rows] == [("answered", "client")]


def test_a_dnstap_response_alone_keeps_the_latency_that_it_states():
    ((row,), _, _) = run([block_of([Sent(0).answer(9000, kind=6, other=1000)])])
    assert (row["pairing"], row["latency"]) == ("unsolicited", 8000)


def test_identities_are_numbered_for_the_run_not_for_the_file():
    first = block_of([Sent(0, kind=5, identity=0)], 0, ["one"])
    second = block_of([Sent(5, id=9, kind=5, identity=0)], 1, ["two"])
    rows, _, _ = run([first, second])
    assert [row["identity"] for row in rows] == ["one", "two"]


def test_a_response_in_the_next_file_closes_the_query_of_this_one():
    query = Sent(0)
    rows, _, _ = run([block_of([query], 0), block_of([query.answer(5)], 1)])
    assert [(row["pairing"], row["capture"], row["response_capture"]) for row in rows] == [
        ("answered", 0, 1)
    ]


def test_the_users_word_on_an_address_decides_the_vantage_of_every_row():
    query = Sent(0)
    rows, _, _ = run([block_of([query])], servers=["198.51.100.53"])
    assert rows[0]["vantage"] == "upstream"
    rows, _, _ = run(
        [block_of([query, query.answer(5, flags=dns.flags.AA)])], resolvers=["198.51.100.53"]
    )
    assert rows[0]["vantage"] == "client"


def test_a_clock_that_steps_back_leaves_nothing_waiting_for_ever():
    far = Sent(limits.LATE_TIMEOUT * 100)
    many = [Sent(number * SECOND, id=number) for number in range(1, 40)]
    rows, _, matcher = run([block_of([far, *many])])
    assert Counter(row["pairing"] for row in rows) == {"unanswered": 40}
    assert matcher.evicted == 0


sent = st.builds(
    Sent,
    at=st.integers(0, 50).map(lambda step: step * SECOND // 3),
    response=st.booleans(),
    id=st.integers(1, 3),
    name=st.sampled_from(["a.", "B.", "b.", "c.example."]),
    client=st.sampled_from(["192.0.2.1", "2001:db8::1"]),
    question=st.sampled_from([True, True, True, False]),
    dnssec=st.booleans(),
)
streams = st.lists(sent, min_size=1, max_size=40).map(
    lambda stream: sorted(stream, key=lambda one: one.at)
)


@settings(max_examples=150, deadline=None)
@given(streams)
def test_every_message_is_in_exactly_one_row(stream):
    rows, (parsed,), _ = run([block_of(stream)])
    queries = Counter(row["query_frame"] for row in rows if row["query_frame"] is not None)
    responses = Counter(row["response_frame"] for row in rows if row["response_frame"] is not None)
    frames = range(1, len(stream) + 1)
    assert queries == Counter(f for f, one in zip(frames, stream, strict=True) if not one.response)
    assert responses == Counter(f for f, one in zip(frames, stream, strict=True) if one.response)
    numbers = {row["transaction"]: row for row in rows}
    assert len(numbers) == len(rows)
    for frame, number in zip(frames, parsed.transaction.tolist(), strict=True):
        assert frame in (numbers[number]["query_frame"], numbers[number]["response_frame"])


@settings(max_examples=150, deadline=None)
@given(streams)
def test_pairs_agree_in_all_that_is_compared(stream):
    for row in run([block_of(stream)])[0]:
        halves = [
            stream[row[f"{half}_frame"] - 1]
            for half in ("query", "response")
            if row[f"{half}_frame"] is not None
        ]
        both = len(halves) == 2
        assert both == (row["pairing"] in ("answered", "late"))
        if both:
            query, response = halves
            assert (query.id, query.client) == (response.id, response.client)
            assert not response.question or query.name.lower() == response.name.lower()
            assert row["latency"] == response.at - query.at
            assert (row["latency"] > limits.QUERY_TIMEOUT) == (row["pairing"] == "late")


@settings(max_examples=100, deadline=None)
@given(streams, st.lists(st.integers(0, 40), max_size=5), st.integers(1, 12))
def test_where_blocks_and_batches_end_changes_nothing(stream, cuts, row_limit):
    block = block_of(stream)
    whole, (parsed,), _ = run([block])
    borders = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [sliced(block, *pair) for pair in pairwise(borders)]
    cut, columns, _ = run(pieces, row_limit=row_limit)
    assert sorted(cut, key=lambda row: row["transaction"]) == whole
    for name in ("transaction", "state", "do_known", "do_asked", "place"):
        joined = [value for one in columns for value in getattr(one, name).tolist()]
        assert joined == getattr(parsed, name).tolist()


@settings(max_examples=100, deadline=None)
@given(streams, st.randoms(use_true_random=False))
def test_unrelated_transactions_may_swap_places(stream, random):
    """Messages of other clients at the same instant, in another order: the same rows."""

    def facts(messages):
        rows = run([block_of(messages)])[0]
        left_out = ("transaction", "query_frame", "response_frame")
        return Counter(
            tuple((k, str(v)) for k, v in row.items() if k not in left_out) for row in rows
        )

    groups: dict[int, dict[str, list[Sent]]] = {}
    for one in stream:
        groups.setdefault(one.at, {}).setdefault(one.client, []).append(one)
    swapped = []
    for clients in groups.values():
        order = list(clients.values())
        random.shuffle(order)
        swapped += [one for client in order for one in client]
    assert facts(swapped) == facts(stream)


def test_the_pairing_counts_add_up_to_the_rows():
    query = Sent(0)
    from forensics.transactions.columns import to_arrow
    from forensics.transactions.match import Matcher
    from forensics.transactions.places import places
    from forensics.wire.message import parse

    block = block_of([query, query.answer(5), query.answer(6), Sent(7, id=5)])
    matcher = Matcher(places())
    assert list(matcher.match(block, parse(block, 0))) == []
    table, counts = to_arrow(matcher.finish(), {})
    assert dict(zip(PAIRINGS, counts.tolist(), strict=True)) == {
        "answered": 1,
        "unanswered": 1,
        "unsolicited": 0,
        "late": 0,
        "duplicate": 1,
        "retransmitted": 0,
    }
    assert table.num_rows == 3
    table.validate(full=True)


def test_a_flood_of_open_queries_evicts_the_oldest(monkeypatch):
    del monkeypatch
    most = limits.OPEN_TRANSACTIONS
    assert most % 4 == 0
    base = block_of([Sent(0, id=1)])
    import numpy as np

    count = most + 1000
    block = sliced(base, 0, 1)
    for name in type(block).__slots__:
        value = getattr(block, name)
        if name not in ("octets", "capture", "identities"):
            setattr(block, name, np.repeat(value, count, axis=0))
    numbers = np.arange(count)
    block.source[:, 15] = numbers & 255
    block.source[:, 14] = (numbers >> 8) & 255
    block.source[:, 13] = (numbers >> 16) & 255
    matcher = run_counts(block)
    assert matcher.evicted == 1000


def run_counts(block):
    from forensics.transactions.match import Matcher
    from forensics.transactions.places import places
    from forensics.wire.message import parse

    matcher = Matcher(places())
    for batch in matcher.match(block, parse(block, 0)):
        matcher.reuse(batch)
    return matcher
