"""Addresses that are one resolver, or not: by who asks what clients had just asked."""

from __future__ import annotations

import pyarrow as pa
import pytest

from forensics.validation.resolvers import COLUMNS, find

SECOND = 10**9
FOUR, SIX, OTHER = "192.0.2.54", "2001:db8::54", "192.0.2.77"


def row(time: float, client: str, server: str, name: str, vantage: str, latency: float = 1.0):
    return {
        "transaction": 0,
        "time": int(time * SECOND),
        "latency": int(latency * SECOND),
        "client": client,
        "server": server,
        "qname": name,
        "qtype": 1,
        "vantage": vantage,
        "kind": "",
        "identity": "",
    }


def lookup(number: int, at: str, asks: str, latency: float = 1.0) -> list[dict]:
    """A client asks the resolver at one address, and it asks an authority from another."""
    time, name = 10.0 * number, f"n{number}.example."
    return [
        row(time, "203.0.113.9", at, name, "client", latency),
        row(time + 0.1, asks, "198.51.100.1", name, "upstream", 0.1),
    ]


def groups(rows: list[dict]) -> set[tuple[str, ...]]:
    table = pa.table({name: [one[name] for one in rows] for name in COLUMNS})
    return {one.addresses for one in find(table.to_batches()).found}


def test_a_resolver_that_asks_nearly_all_by_ipv6_is_one():
    """What BIND does: clients ask at both addresses, a handful of questions leaves by IPv4."""
    rows = [one for at in range(60) for one in lookup(at, (FOUR, SIX)[at % 3 == 0], SIX)]
    rows += [one for at in range(60, 64) for one in lookup(at, FOUR, FOUR)]
    assert groups(rows) == {(FOUR, SIX)}


@pytest.mark.parametrize("handful", [4, 9, 40])
def test_two_resolvers_that_share_a_few_questions_are_two(handful):
    rows = [one for at in range(60) for one in lookup(at, SIX, SIX)]
    rows += [one for at in range(60, 60 + handful) for one in lookup(at, FOUR, FOUR)]
    rows += [one for at in range(200, 206) for one in lookup(at, FOUR, SIX)]
    assert groups(rows) == {(FOUR,), (SIX,)}


def test_a_slow_resolver_is_not_the_one_that_asks_the_same_meanwhile():
    """Its questions are long open; what the other asks of its own accord falls into them."""
    rows = []
    for number in range(40):
        name, time = f"n{number}.example.", 10.0 * number
        rows += [
            row(time, "203.0.113.9", FOUR, name, "client", 5.0),
            row(time + 4.0, FOUR, "198.51.100.1", name, "upstream"),
        ]
        if number % 4 == 0:
            rows.append(row(time + 2.0, SIX, "198.51.100.1", name, "upstream"))
        rows += lookup(100 + number, SIX, SIX)
    assert groups(rows) == {(FOUR,), (SIX,)}


def test_who_never_answers_clients_joins_one_whose_questions_it_asks():
    rows = [one for at in range(20) for one in lookup(at, FOUR, OTHER)]
    assert groups(rows) == {(OTHER, FOUR)} or groups(rows) == {(FOUR, OTHER)}
