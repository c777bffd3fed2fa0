"""Zones whose parent vouches for keys that are not to be had; and zones that left in good order."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import pytest
from recorders import KEY, asked_type, is_response
from scenes import ZONE, delegating, now
from world import Packet, World, healthy, key

SERVERS = ("192.0.2.31", "192.0.2.32")


def test_a_zone_that_lost_its_keys_under_a_ds(analysed) -> None:
    world = healthy(1)
    world.at(300, now(world).next(signed=False))
    world.run(700, 3)
    (found,) = analysed(world)["incidents"]
    assert (found["zone"], found["reason"], found["severity"]) == (ZONE, "dnskey-absent", "outage")
    assert found["ede"] == 9
    assert "2026-06-01T12:05:00" <= found["onset"]["first_bad"] <= "2026-06-01T12:06:10"
    assert found["onset"]["last_good"] < "2026-06-01T12:05:01"
    assert found["recovery"]["first_good"] is None
    assert {row["address"] for row in found["servers"] if row["bad"]} == set(SERVERS)


def test_a_top_level_domain_in_phases(analysed) -> None:
    """The mechanism of .al in 2026: another key, then none, then no DS, then repaired."""
    world = healthy(1)
    state, parent = now(world), now(world, "de.")
    new = key("wrong ksk", 257)
    world.at(200, state.next(keys=(new, state.keys[1]), ksks=(new,)))
    world.at(400, state.next(serial=3, signed=False))
    world.at(600, parent.next(children=delegating(parent, ZONE)))
    world.at(900, state.next(serial=4))
    world.at(900, parent.next(serial=3))
    world.run(1200, 2)
    (found,) = analysed(world)["incidents"]
    assert (found["zone"], found["reason"], found["severity"]) == (ZONE, "ds-mismatch", "outage")
    assert [phase["reason"] for phase in found["phases"]] == ["ds-mismatch", "dnskey-absent"]
    assert "2026-06-01T12:06:40" <= found["phases"][1]["from"] <= "2026-06-01T12:07:50"
    # The DS went at 600 seconds, and caches may hold it for 60 seconds more.
    assert "2026-06-01T12:09:00" <= found["recovery"]["last_bad"] <= "2026-06-01T12:11:00"
    assert "2026-06-01T12:15:00" <= found["recovery"]["first_good"] <= "2026-06-01T12:16:30"
    assert {row["role"] for row in found["servers"]} == {"zone", "parent"}


def test_a_zone_that_turns_insecure_in_good_order(analysed) -> None:
    world = healthy(1)
    parent = now(world, "de.")
    world.at(200, parent.next(children=delegating(parent, ZONE)))
    world.at(330, now(world).next(signed=False))
    # A monitor goes on asking for the keys.
    for when in range(340, 690, 10):
        world.ask(when, "198.51.100.99", ZONE, ZONE, "DNSKEY")
    world.run(700, 3)
    report = analysed(world)
    assert report["incidents"] == []
    asked = [p for p in world.packets if is_response(p) and asked_type(p) == KEY]
    assert len(asked) > 30


def test_a_key_list_with_nothing_but_a_revoked_key(analysed) -> None:
    """RFC 5011 2.1: once revoked, a key makes no trust, whatever the DS says."""
    world = healthy(1)
    state = now(world)
    gone = state.keys[0].flagged(385)
    world.at(300, state.next(keys=(gone, state.keys[1]), ksks=(gone,)))
    world.run(700, 3)
    (found,) = analysed(world)["incidents"]
    assert (found["zone"], found["reason"], found["severity"]) == (ZONE, "key-revoked", "outage")


def failing(world: World, how: str, servers=SERVERS, repair: bool = False) -> list[Packet]:
    """From 300 seconds on no key query of alpha.de. gets an answer; each resolver tries all."""
    world.run(700, 3)
    for resolver in world.resolvers:
        for begin in range(310, 690, 40):
            for step, address in enumerate((*servers, *servers)):
                server = next(s for s in world.servers if s.address == address)
                world.ask(begin + step, resolver, ZONE, ZONE, "DNSKEY", server)
    if repair:
        for resolver in world.resolvers:
            for begin in range(310, 690, 40):
                world.ask(begin + 6, resolver, ZONE, ZONE, "DNSKEY", world.servers[-3])
    kept = []
    for packet in sorted(world.packets, key=lambda p: p.time):
        when = packet.time / 1e9 - 1_780_315_200
        if when < 300 or not is_response(packet) or asked_type(packet) != KEY:
            kept.append(packet)
            continue
        message = dns.message.from_wire(packet.data)
        is_other = message.question[0].name.to_text().lower() != ZONE
        if is_other or packet.source not in servers or (repair and int(when - 310) % 40 == 6):
            kept.append(packet)
        elif how != "silence":
            message.answer, message.authority = [], []
            if how == "truncated":
                message.flags |= dns.flags.TC
            else:
                message.set_rcode(dns.rcode.from_text(how))
            kept.append(packet._replace(data=message.to_wire()))
    return kept


@pytest.mark.parametrize("how", ["silence", "SERVFAIL", "REFUSED"])
def test_keys_that_no_server_gives(how, analysed) -> None:
    world = healthy(1)
    report = analysed(world, failing(world, how))
    (found,) = report["incidents"]
    assert (found["zone"], found["reason"]) == (ZONE, "dnskey-unobtainable")
    assert (found["severity"], found["ede"]) == ("outage", 22)
    assert "2026-06-01T12:05:00" <= found["onset"]["first_bad"] <= "2026-06-01T12:06:00"
    (note,) = [row for row in report["findings"] if row["kind"] == "keys-unobtainable"]
    outcome = "no response" if how == "silence" else how
    assert {row["outcome"] for row in note["attempts"]} == {outcome}
    assert {row["transport"] for row in note["attempts"]} == {"udp"}
    assert note["servers"] == sorted(SERVERS)


def test_truncated_answers_alone_accuse_nobody(analysed) -> None:
    """What came over TCP may have been left out by the recorder."""
    world = healthy(1)
    assert analysed(world, failing(world, "truncated"))["incidents"] == []


def test_truncated_answers_and_the_resolvers_own_word(analysed) -> None:
    world = healthy(1)
    packets = failing(world, "truncated")
    told = []
    for packet in packets:
        if packet.source in world.resolvers and packet.sport == 53:
            message = dns.message.from_wire(packet.data)
            when = packet.time / 1e9 - 1_780_315_200
            if when > 300 and message.question[0].name.to_text().lower().endswith(ZONE):
                message.answer, message.authority = [], []
                message.set_rcode(dns.rcode.SERVFAIL)
                packet = packet._replace(data=message.to_wire())  # noqa: PLW2901
        told.append(packet)
    (found,) = analysed(world, told)["incidents"]
    assert (found["zone"], found["reason"]) == (ZONE, "dnskey-unobtainable")
    assert found["confidence"] == "weak"


def test_one_server_out_of_two_is_no_outage(analysed) -> None:
    world = healthy(1)
    assert analysed(world, failing(world, "silence", SERVERS[:1]))["incidents"] == []


def test_a_retry_that_succeeds_is_no_outage(analysed) -> None:
    world = healthy(1)
    assert analysed(world, failing(world, "silence", repair=True))["incidents"] == []


def test_silence_of_a_recorder_that_holds_no_key_response_at_all_accuses_nobody(analysed) -> None:
    """Key sets are the largest responses: who loses fragments loses them all."""
    world = healthy(1)
    left = [
        packet
        for packet in failing(world, "silence")
        if not (is_response(packet) and asked_type(packet) == KEY)
    ]
    assert analysed(world, left)["incidents"] == []


def test_silence_of_a_recorder_that_loses_packets_accuses_nobody(analysed) -> None:
    world = healthy(1)
    left, others = [], 0
    for packet in failing(world, "silence"):
        if not is_response(packet) and asked_type(packet) != KEY:
            others += 1
            if others % 10 == 0:
                continue
        left.append(packet)
    assert analysed(world, left)["incidents"] == []
