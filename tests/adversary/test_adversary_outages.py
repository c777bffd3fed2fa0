"""What does break is named, whole and with half of the packets lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from scenes import ZONE, delegating, now, starts_as
from world import DAY, START, World, healthy, key, twins


def ksk_replaced(world: World) -> None:
    state = now(world)
    new = key("wrong ksk", 257)
    world.at(300, state.next(keys=(new, state.keys[1]), ksks=(new,)))


def ds_replaced(world: World) -> None:
    parent = now(world, "de.")
    world.at(300, parent.next(children=delegating(parent, ZONE, key("nobody", 257))))


def zsk_withdrawn_too_early(world: World) -> None:
    state = now(world)
    ksk, _ = state.keys
    world.at(300, state.next(keys=(ksk, key("alpha new zsk"))))


def zsk_never_published(world: World) -> None:
    world.at(300, now(world).next(zsks=(key("never published"),)))


def signed_by_the_twin(world: World) -> None:
    """The outage of .de in 2026: the published key and the signing key share their tag."""
    one, other = twins("outage twins")
    state = now(world)
    state = starts_as(world, replace(state, keys=(state.keys[0], one), zsks=(one,)))
    world.at(300, state.next(zsks=(other,)))


def all_expired(world: World) -> None:
    starts_as(world, replace(now(world), until=START + 300))


def ksk_signature_gone(world: World) -> None:
    state = now(world)
    world.at(300, state.next(ksks=(state.keys[1],)))


BREAKS = {
    ksk_replaced: "ds-mismatch",
    ds_replaced: "ds-mismatch",
    zsk_withdrawn_too_early: "dnskey-missing",
    zsk_never_published: "dnskey-missing",
    signed_by_the_twin: "signature-invalid",
    all_expired: "signature-expired",
    ksk_signature_gone: "dnskey-unsigned-by-ds-key",
}


@pytest.mark.parametrize(("break_it", "reason"), BREAKS.items(), ids=lambda part: str(part)[10:30])
def test_what_broke_is_named(break_it: Callable[[World], None], reason, analysed) -> None:
    world = healthy(1)
    break_it(world)
    world.run(700, 3)
    (found,) = analysed(world)["incidents"]
    assert (found["zone"], found["reason"], found["severity"]) == (ZONE, reason, "outage")
    assert found["confidence"] == "strong"
    assert found["recovery"]["first_good"] is None
    first_bad = found["onset"]["first_bad"]
    # At 300 seconds it broke; all TTLs are 60 seconds and a question comes every few.
    assert "2026-06-01T12:05:00" <= first_bad <= "2026-06-01T12:07:00"
    draw = random.Random(reason)
    half = [p for p in world.packets if draw.random() < 0.5]
    for row in analysed(world, half)["incidents"]:
        assert (row["zone"], row["reason"]) == (ZONE, reason)


def test_one_server_with_old_signatures_is_partial(analysed) -> None:
    world = healthy(1)
    state = now(world)
    world.own["192.0.2.32", ZONE] = replace(
        state, serial=9, signed_at=START - 3 * DAY, until=START - 100
    )
    world.run(700, 3)
    (found,) = analysed(world)["incidents"]
    assert (found["zone"], found["reason"], found["severity"]) == (
        ZONE, "signature-expired", "partial",
    )  # fmt: skip
    outcomes = {row["address"]: (row["good"] > 0, row["bad"] > 0) for row in found["servers"]}
    assert outcomes == {"192.0.2.31": (True, False), "192.0.2.32": (False, True)}
