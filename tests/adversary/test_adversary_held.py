"""The resolver view: what each resolver would have concluded by the keys and DS that it held."""

from __future__ import annotations

from datetime import datetime

from scenes import ZONE, delegating, now
from world import START, World, healthy, key

EARLY, LATE = "198.51.100.53", "198.51.100.54"
"""Resolvers: the first fetched the keys before they changed, the second after."""


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() - START


def fetched(world: World, when: float, resolver: str) -> None:
    """Let a resolver fetch the chain down to the zone, as one with an empty cache does."""
    for step, (zone, name, kind) in enumerate(
        [
            (".", ".", "DNSKEY"),
            (".", f"www.{ZONE}", "A"),
            ("de.", "de.", "DNSKEY"),
            ("de.", f"www.{ZONE}", "A"),
            (ZONE, ZONE, "DNSKEY"),
        ]
    ):
        world.ask(when + step / 10, resolver, zone, name, kind)


def asked(world: World, when: float, client: str, resolver: str, kind: str) -> None:
    """A client asks a resolver, which asks the zone's servers at once."""
    world.cache.pop((resolver, f"www.{ZONE}", kind), None)
    query = world.query(f"www.{ZONE}", kind)
    world.send(when, client, 4000 + int(when), resolver, 53, query)
    reply = world.ask(when + 0.001, resolver, ZONE, f"www.{ZONE}", kind)
    told = world.query(f"www.{ZONE}", kind)
    told.id = query.id
    told.flags |= 0x8080  # QR and RA
    told.answer = list(reply.answer)
    world.send(when + 0.05, resolver, 53, client, 4000 + int(when), told)


def rolled_too_fast() -> World:
    """At 300 s the zone has another ZSK, which signs at once; the TTL is 60 s."""
    world = healthy(3)
    state, new = now(world), key("alpha another zsk")
    world.at(300, state.next(keys=(state.keys[0], new), zsks=(new,)))
    fetched(world, 280, EARLY)
    fetched(world, 310, LATE)
    for when in range(285, 345, 10):
        asked(world, when, "203.0.113.1", EARLY, "A")
        asked(world, when + 3, "203.0.113.2", LATE, "AAAA")
    asked(world, 372, "203.0.113.1", EARLY, "A")
    fetched(world, 380, EARLY)
    asked(world, 385, "203.0.113.1", EARLY, "A")
    world.packets.sort(key=lambda p: p.time)
    return world


def views(report: dict) -> dict[tuple[str, str, str], dict]:
    return {
        (row["resolver"], row["zone"], row["records"]): row
        for row in report.get("resolver_views", ())
    }


def test_a_cache_refuses_what_another_accepts_until_it_fetches_the_keys(analysed) -> None:
    found = views(analysed(rolled_too_fast()))
    assert set(found) == {(EARLY, ZONE, "data")}
    row = found[EARLY, ZONE, "data"]
    assert row["reasons"] == {"dnskey-missing": row["counts"]["bogus"]}
    assert 300 <= seconds(row["first_bad"]) <= 306
    assert seconds(row["last_good"]) < 300
    # Its keys came at 280.4 s and lived 60 s; after that nobody knows until it fetches anew.
    assert seconds(row["last_bad"]) < 340.5
    assert 380 <= seconds(row["first_good"]) <= 386
    bad = next(run for run in row["runs"] if run["status"] == "bogus")
    assert 280 <= seconds(bad["held"]["fetched"]) <= 281
    assert 340 <= seconds(bad["held"]["until"]) <= 341
    between = [run for run in row["runs"] if 345 < seconds(run["from"]) < 380]
    assert {run["status"] for run in between} == {"indeterminate"}
    assert EARLY in row["sentence"]


def test_a_fetch_that_was_not_captured_accuses_nobody(analysed) -> None:
    world = rolled_too_fast()
    for when in (280, 310, 380):
        begin, end = (START + when) * 10**9, (START + when + 1) * 10**9
        world.packets = [p for p in world.packets if not begin <= p.time < end]
    assert views(analysed(world)) == {}


def test_who_never_answers_clients_holds_nothing(analysed) -> None:
    """A monitor asks the same of the same servers, and has no cache that anyone relies on."""
    world = rolled_too_fast()
    world.packets = [p for p in world.packets if not p.source.startswith("203.0.113.")]
    world.packets = [p for p in world.packets if not p.target.startswith("203.0.113.")]
    assert views(analysed(world)) == {}


def test_a_cache_with_the_old_ds_refuses_the_new_keys(analysed) -> None:
    """As .nz in 2023: the KSK that a cached DS names stops signing."""
    world = healthy(4)
    state, parent = now(world), now(world, "de.")
    old, zsk = state.keys
    new = key("alpha another ksk", 257)
    world.at(290, parent.next(children=delegating(parent, ZONE, new)))
    world.at(300, state.next(keys=(new, zsk), ksks=(new,)))
    fetched(world, 280, EARLY)
    world.ask(305, EARLY, ZONE, ZONE, "DNSKEY")
    fetched(world, 310, LATE)
    world.ask(312, LATE, ZONE, ZONE, "DNSKEY")
    for when in range(284, 330, 10):
        asked(world, when, "203.0.113.1", EARLY, "A")
        asked(world, when + 3, "203.0.113.2", LATE, "AAAA")
    world.packets.sort(key=lambda p: p.time)
    found = views(analysed(world))
    assert (EARLY, ZONE, "dnskey") in found
    assert not [row for row in found if row[0] == LATE]
    row = found[EARLY, ZONE, "dnskey"]
    assert row["reasons"] == {"ds-mismatch": 1}
    assert 305 <= seconds(row["first_bad"]) <= 306
    # The data stands: the key set of 280 s, accepted by the DS of its time, is held until 340 s.
    assert (EARLY, ZONE, "data") not in found
    assert old.tag != new.tag


def test_sound_keys_in_a_cache_outlive_a_break_of_the_chain(analysed) -> None:
    """The DS matches nothing from 300 s on; who holds keys and DS from before notices later."""
    world = healthy(5)
    parent = now(world, "de.")
    stranger = key("nobody's", 257)
    world.at(300, parent.next(children=delegating(parent, ZONE, stranger)))
    fetched(world, 290, EARLY)
    fetched(world, 310, LATE)
    for when in range(292, 345, 10):
        asked(world, when, "203.0.113.1", EARLY, "A")
        asked(world, when + 3, "203.0.113.2", LATE, "AAAA")
    world.packets.sort(key=lambda p: p.time)
    found = views(analysed(world))
    assert not [row for row in found if row[0] == EARLY]
    row = found[LATE, ZONE, "data"]
    assert set(row["reasons"]) == {"ds-mismatch"}
    assert seconds(row["first_bad"]) >= 300
