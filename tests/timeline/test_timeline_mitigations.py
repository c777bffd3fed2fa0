"""Resolvers that found a good server behind a bad one."""

from __future__ import annotations

import pytest
from timeline_scene import SOA, Scene, ns

from forensics.timeline.moments import rfc3339
from forensics.timeline.story import tell

BAD, GOOD, RESOLVER = "192.0.2.1", "192.0.2.2", "10.0.0.53"


def divided(asked: list[tuple[str, float, str]], **options) -> list[dict]:
    """From 100 s to 200 s one of two servers is bad; questions (name, time, server) of a resolver.

    Returns:
        the rows of kind `other-server`.
    """
    scene = Scene()
    bad, good = scene.place(BAD), scene.place(GOOD)
    right = scene.good("de.", SOA, "de.", 1111, serial=1)
    wrong = scene.bad("de.", SOA, "de.", 1111, serial=2, inception=0)
    for second in range(0, 300, 5):
        broken = 100 <= second <= 200
        scene.see(wrong if broken else right, second, bad, serial=2 if broken else 1)
        scene.see(right, second + 1, good, serial=1)
    for name, at, server in asked:
        options = {"client": RESOLVER, "vantage": "upstream", "aa": True, "ra": False} | options
        scene.ask(name, at, 0, server=server, **options)
    (incident,) = tell(scene.evidence(seed=4, cut=11)).incidents
    assert "server-divergence" in {pattern["kind"] for pattern in incident["patterns"]}
    return [row for row in incident["mitigations"] if row["kind"] == "other-server"]


def test_a_resolver_that_asks_the_good_server_at_once_has_switched() -> None:
    (row,) = divided(
        [
            ("a.de.", 120, BAD), ("a.de.", 120.1, GOOD),
            ("b.de.", 150, BAD), ("b.de.", 150.2, GOOD),
        ]
    )  # fmt: skip
    assert (row["resolver"], row["basis"]) == (RESOLVER, "inferred")
    assert (row["at"], row["until"]) == (rfc3339(ns(120.1)), rfc3339(ns(150.2)))


@pytest.mark.parametrize(
    "asked",
    [
        [("a.de.", 120, BAD), ("a.de.", 120.1, GOOD)],  # one question may be a client's retry
        [("a.de.", 120, BAD), ("a.de.", 130, GOOD), ("b.de.", 140, BAD), ("b.de.", 150, GOOD)],
        [("a.de.", 120, BAD), ("b.de.", 120.1, GOOD), ("c.de.", 130, BAD), ("d.de.", 130.1, GOOD)],
        [("a.de.", 120, GOOD), ("a.de.", 120.1, BAD), ("b.de.", 130, GOOD), ("b.de.", 130.1, BAD)],
        [("a.de.", 20, BAD), ("a.de.", 20.1, GOOD), ("b.de.", 30, BAD), ("b.de.", 30.1, GOOD)],
    ],
)
def test_one_that_takes_servers_in_turn_has_not(asked) -> None:
    assert divided(asked) == []


def test_clients_of_resolvers_switch_nothing() -> None:
    pairs = [(0, BAD), (0.1, GOOD)]
    asked = [(name, 120 + at, server) for name in ("a.de.", "b.de.") for at, server in pairs]
    assert divided(asked, vantage="client") == []
