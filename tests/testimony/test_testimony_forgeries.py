"""What bears the marks of forgery, and what only looks like it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from forensics import schemas
from forensics.testimony.forgeries import FEWEST, NEAR, forgeries

SERVER, CLIENT = "198.51.100.1", "192.0.2.53"


def row(number: int, time: int, *, query: bool = True, response: bool = True, **change) -> dict:
    """A transaction of one port of one client."""
    return {
        "transaction": number, "time": time, "capture": 0, "client": CLIENT, "server": SERVER,
        "client_port": 5353, "server_port": 53, "transport": "udp", "id": number,
        "qname": "www.example.", "qtype": 1, "opcode": 0, "rd": False, "cd": False,
        "query_frame": number if query else None, "kind": "packet", "vantage": "upstream",
        "response_capture": 0 if response else None, "response_frame": number if response else None,
        "pairing": "unanswered" if not response else "answered" if query else "unsolicited",
    } | change  # fmt: skip


def told(*rows: dict, disputed=(), validated=()) -> list[dict]:
    columns = {}
    for field in schemas.TRANSACTIONS:
        values = [one.get(field.name) for one in rows]
        plain = pa.string() if pa.types.is_dictionary(field.type) else field.type
        kind = pa.int64() if pa.types.is_timestamp(plain) else plain
        columns[field.name] = pa.array(values, kind).cast(field.type)
    table = pa.table(columns)
    where = np.array(sorted(disputed), np.int64)
    return forgeries(lambda: iter(table.to_batches()), where, validated, {0: "a.pcap"})


def guesses(count: int, at: int = 10) -> list[dict]:
    return [row(100 + number, at + number, query=False) for number in range(count)]


def test_several_ids_for_one_question_are_guesses() -> None:
    (found,) = told(row(1, 0), *guesses(FEWEST))
    assert (found["guesses"], found["races"], found["servers"]) == (FEWEST, 0, [SERVER])
    assert found["frames"] == [{"capture": "a.pcap", "frame": 100}]


def test_few_strays_are_lost_queries() -> None:
    assert told(row(1, 0), *guesses(FEWEST - 1)) == []


def test_one_response_repeated_is_no_guess() -> None:
    assert told(row(1, 0), *(one | {"id": 7} for one in guesses(9))) == []


def test_responses_without_a_question_are_no_guesses() -> None:
    """They stand beside some that have one: names and none cannot be put in order."""
    bare = [one | {"qname": None, "qtype": None, "id": one["id"] + 50} for one in guesses(9)]
    (found,) = told(row(1, 0), *guesses(FEWEST), *bare)
    assert found["guesses"] == FEWEST
    assert told(row(1, 0, qname=None, qtype=None), *bare) == []


def test_responses_to_what_nobody_was_seen_to_ask_are_no_guesses() -> None:
    """A recorder that sees one direction holds nothing but responses without a query."""
    assert told(*guesses(9)) == []
    assert told(row(1, 0, client_port=1), *guesses(9)) == []
    assert told(row(1, 0, qname="ww.example."), *guesses(9)) == []
    assert told(row(1, 0), *guesses(9, at=NEAR + 1)) == []


def test_a_race_is_one_response_that_validates_against_one_that_does_not() -> None:
    pair = [row(1, 0), row(2, 5, id=1, pairing="duplicate", query=False)]
    (found,) = told(*pair, disputed=[1, 2], validated=[2])
    assert (found["guesses"], found["races"]) == (0, 1)
    assert found["frames"] == [{"capture": "a.pcap", "frame": 1}]
    # Two that both hold are a server that answered twice; two that both fail prove neither false.
    assert told(*pair, disputed=[1, 2], validated=[1, 2]) == []
    assert told(*pair, disputed=[1, 2], validated=[]) == []
