"""Rolls that are faster than the TTL: right by every server, refused by caches filled before."""

from __future__ import annotations

from datetime import datetime

import pytest
from scenes import ZONE, delegating, now
from world import START, healthy, key


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() - START


def test_a_zsk_that_signs_before_caches_know_it(analysed) -> None:
    """The mechanism of .nl in 2012: published at 300, signing at 310, the TTL is 60 seconds."""
    world = healthy(1)
    state, new = now(world), key("alpha new zsk")
    ksk, old = state.keys
    state = world.at(300, state.next(keys=(ksk, old, new)))
    world.at(310, state.next(zsks=(new,)))
    # Resolvers ask for the keys often enough to show the old set just before the change.
    for when in (290, 297, 302, 306):
        for server in world.servers[6:8]:
            world.ask(when, world.resolvers[0], ZONE, ZONE, "DNSKEY", server)
    world.run(700, 2)
    (found,) = analysed(world)["incidents"]
    assert (found["zone"], found["reason"], found["view"]) == (ZONE, "dnskey-missing", "resolver")
    assert found["severity"] == "partial"
    assert [row["kind"] for row in found["patterns"]] == ["keys-out-of-step"]
    assert 310 <= seconds(found["onset"]["first_bad"]) <= 330
    # No cache can hold the old keys longer than 60 seconds after 300.
    assert seconds(found["recovery"]["last_bad"]) <= 361
    caches = found["caches"]
    assert caches["ttl"] == 60
    assert 297 <= seconds(caches["filled_before"]) <= 303
    assert 357 <= seconds(caches["refuse_until"]) <= 363
    assert "would refuse this until" in found["sentence"]


def test_a_ksk_withdrawn_while_caches_hold_its_ds(analysed) -> None:
    """The mechanism of .nz in 2023: DS changed at 300, the old KSK stops signing at 310."""
    world = healthy(1)
    state, parent = now(world), now(world, "de.")
    old, zsk = state.keys
    new = key("alpha new ksk", 257)
    state = world.at(100, state.next(keys=(old, new, zsk), ksks=(old, new)))
    world.at(300, parent.next(children=delegating(parent, ZONE, new)))
    world.at(310, state.next(keys=(old, new, zsk), ksks=(new,)))
    for when in (290, 297, 302, 306):
        for server in world.servers[2:4]:
            world.ask(when, world.resolvers[0], "de.", f"www.{ZONE}", "A", server)
    for when in (312, 320, 340, 380, 400):
        for server in world.servers[6:8]:
            world.ask(when, world.resolvers[1], ZONE, ZONE, "DNSKEY", server)
    world.run(700, 3)
    (found,) = analysed(world)["incidents"]
    assert (found["zone"], found["view"]) == (ZONE, "resolver")
    assert found["reason"] == "dnskey-unsigned-by-ds-key"
    assert [row["kind"] for row in found["patterns"]] == ["keys-out-of-step"]
    assert 310 <= seconds(found["onset"]["first_bad"]) <= 320
    assert seconds(found["recovery"]["last_bad"]) <= 362
    assert 357 <= seconds(found["caches"]["refuse_until"]) <= 363


@pytest.mark.parametrize("wait", [62, 75, 200])
def test_a_roll_that_waits_for_the_ttl_is_no_incident(wait: int, analysed) -> None:
    world = healthy(1)
    state, new = now(world), key("alpha new zsk")
    ksk, old = state.keys
    state = world.at(300, state.next(keys=(ksk, old, new)))
    state = world.at(300 + wait, state.next(zsks=(new,)))
    world.at(400 + wait, state.next(keys=(ksk, new)))
    for when in range(250, 400, 5):
        for server in world.servers[6:8]:
            world.ask(when, world.resolvers[0], ZONE, ZONE, "DNSKEY", server)
    world.run(700, 3)
    assert analysed(world)["incidents"] == []


def test_a_signature_beside_that_caches_accept_saves_the_rrset(analysed) -> None:
    world = healthy(1)
    state, new = now(world), key("alpha new zsk")
    ksk, old = state.keys
    world.at(300, state.next(keys=(ksk, old, new), zsks=(old, new)))
    world.run(600, 3)
    assert analysed(world)["incidents"] == []
