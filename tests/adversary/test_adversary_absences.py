"""Answers that lack a signature or a proof, or deny what is served; and those that lack none."""

from __future__ import annotations

from collections.abc import Callable

import dns.message
import dns.name
import dns.rdatatype
import pytest
from scenes import ZONE, delegating, now
from world import START, Packet, World, healthy, rrset, zone_of

FROM, UNTIL = 300, 500
DENIALS = (dns.rdatatype.NSEC, dns.rdatatype.NSEC3)
SERVERS = ("192.0.2.31", "192.0.2.32")


def mutilated(
    world: World, change: Callable[[dns.message.Message], bool], servers: tuple[str, ...] = SERVERS
) -> list[Packet]:
    """The packets, with the answers of the zone's servers changed for some time."""
    found = []
    for packet in world.packets:
        inside = FROM <= packet.time / 10**9 - START < UNTIL
        if packet.source in servers and packet.sport == 53 and inside:
            message = dns.message.from_wire(packet.data)
            asked = message.question[0].name.to_text().lower()
            if asked.endswith(ZONE) and change(message):
                packet = packet._replace(data=message.to_wire(max_size=65535))  # noqa: PLW2901
        found.append(packet)
    return found


def without(message: dns.message.Message, *kinds: int, section: str = "authority") -> bool:
    """Leave out RRsets of these types and their signatures."""
    held = getattr(message, section)
    kept = [r for r in held if r.rdtype not in kinds and r.covers not in kinds]
    setattr(message, section, kept)
    return len(kept) != len(held)


def unsigned(message: dns.message.Message, *kinds: int) -> bool:
    """Leave out the signatures over these types; none: all."""
    changed = False
    for section in ("answer", "authority"):
        held = getattr(message, section)
        kept = [
            r for r in held if r.rdtype != dns.rdatatype.RRSIG or (kinds and r.covers not in kinds)
        ]
        setattr(message, section, kept)
        changed |= len(kept) != len(held)
    return changed


def a_world(denial: str = "nsec") -> World:
    world = healthy(3)
    state = now(world)
    world.versions[ZONE] = [(0, state.next(denial=denial))]
    return world.run(900, 1)


def the_incident(report: dict) -> dict:
    (found,) = report["incidents"]
    return found


def is_bracketed(found: dict) -> None:
    """The fault lay between 12:05:00 and 12:08:20."""
    assert "2026-06-01T12:05:00" <= found["onset"]["first_bad"] <= "2026-06-01T12:06:30"
    assert found["onset"]["last_good"] < "2026-06-01T12:05:00"
    assert "2026-06-01T12:07:00" <= found["recovery"]["last_bad"] <= "2026-06-01T12:08:21"
    assert (found["recovery"]["first_good"] or "2026-06-01T12:09") >= "2026-06-01T12:08:20"


@pytest.mark.parametrize("denial", ["nsec", "nsec3"])
def test_a_healthy_world_lacks_nothing(denial, analysed) -> None:
    assert analysed(a_world(denial))["incidents"] == []


def test_answers_without_any_signature(analysed) -> None:
    """DNSKEY and all: the zone's servers have lost their signatures, not their keys."""
    world = a_world()
    found = the_incident(analysed(world, mutilated(world, unsigned)))
    assert (found["zone"], found["reason"], found["ede"]) == (ZONE, "rrsig-missing", 10)
    assert found["severity"] == "outage"
    assert {"A", "SOA", "DNSKEY"} <= set(found["types"])
    is_bracketed(found)
    assert {row["address"] for row in found["servers"] if row["bad"]} == set(SERVERS)


def test_one_server_without_signatures_over_one_type(analysed) -> None:
    world = a_world()
    packets = mutilated(world, lambda m: unsigned(m, dns.rdatatype.A), SERVERS[:1])
    found = the_incident(analysed(world, packets))
    assert (found["reason"], found["severity"], found["types"]) == (
        "rrsig-missing",
        "partial",
        ["A"],
    )
    assert {row["address"] for row in found["servers"] if row["bad"]} == {SERVERS[0]}


@pytest.mark.parametrize("denial", ["nsec", "nsec3"])
def test_name_errors_and_no_data_without_proof(denial, analysed) -> None:
    world = a_world(denial)
    packets = mutilated(world, lambda m: without(m, *DENIALS))
    found = the_incident(analysed(world, packets))
    assert (found["zone"], found["reason"], found["ede"]) == (ZONE, "denial-missing", 12)
    assert found["severity"] == "outage"
    assert "2026-06-01T12:05:00" <= found["onset"]["first_bad"] <= "2026-06-01T12:06:30"
    assert found["onset"]["last_good"] < "2026-06-01T12:05:00"
    assert found["types"] == [denial.upper()]


def test_a_proof_of_something_else(analysed) -> None:
    """Another name's NSEC stands where the proof should be."""
    world = a_world()
    wrong = zone_of(world.state(ZONE, 400)).nsec(dns.name.from_text(f"ns1.{ZONE}"))

    def swap(message: dns.message.Message) -> bool:
        asked = message.question[0]
        if asked.name.to_text().lower() != f"www.{ZONE}" or asked.rdtype != dns.rdatatype.TXT:
            return False
        without(message, *DENIALS)
        message.authority += wrong
        return True

    found = the_incident(analysed(world, mutilated(world, swap)))
    assert (found["zone"], found["reason"], found["ede"]) == (ZONE, "denial-invalid", 6)


def test_a_proof_that_denies_what_is_served(analysed) -> None:
    """Slack, 2021: the NSEC at a name leaves out a type that exists."""
    world = a_world()
    zone = zone_of(world.state(ZONE, 400))
    name = f"www.{ZONE}"
    true = zone.nsec(dns.name.from_text(name))[0]
    following = true[0].next.to_text()
    wrong = zone.signed(rrset(name, "NSEC", f"{following} RRSIG NSEC"))

    def swap(message: dns.message.Message) -> bool:
        asked = message.question[0]
        if asked.name.to_text().lower() != name or asked.rdtype != dns.rdatatype.TXT:
            return False
        without(message, *DENIALS)
        message.authority += wrong
        return True

    found = the_incident(analysed(world, mutilated(world, swap)))
    assert (found["zone"], found["reason"], found["ede"]) == (ZONE, "denial-contradicted", None)


def test_a_record_added_between_two_serials_contradicts_nothing(analysed) -> None:
    world = healthy(4)
    state = now(world)
    world.at(300, state.next(aliases=((f"alias.{ZONE}", f"www.{ZONE}"),)))
    world.at(500, state.next(serial=state.serial + 2, aliases=()))
    world.at(600, state.next(serial=state.serial + 3, aliases=state.aliases))
    world.run(800, 2)
    assert analysed(world)["incidents"] == []


def test_a_zone_that_drops_its_signatures_before_caches_let_go_of_its_ds(analysed) -> None:
    """Slack's rollback: the DS goes at 300 s with a TTL of 60 s, the signatures 10 s later."""
    world = healthy(5)
    parent = now(world, "de.")
    world.at(300, parent.next(children=delegating(parent, ZONE)))
    world.at(320, now(world).next(signed=False))
    world.run(700, 1)
    found = the_incident(analysed(world))
    assert found["zone"] == ZONE
    assert found["reason"] in {"rrsig-missing", "dnskey-absent"}
    assert "2026-06-01T12:05:20" <= found["onset"]["first_bad"] <= "2026-06-01T12:06:10"
    assert found["recovery"]["last_bad"] <= "2026-06-01T12:06:20"


def test_answers_to_who_did_not_ask_for_signatures_lack_none(analysed) -> None:
    world = a_world()
    packets = []
    for packet in world.packets:
        message = dns.message.from_wire(packet.data)
        if SERVERS[0] in (packet.source, packet.target):
            message.ednsflags &= ~0x8000
            if message.flags & 0x8000:
                unsigned(message)
                without(message, *DENIALS)
        packets.append(packet._replace(data=message.to_wire(max_size=65535)))
    assert analysed(world, packets)["incidents"] == []


def aliased(denial: str) -> World:
    """A world in which aliases lead to a name without the type, and to none."""
    world = healthy(6)
    aliases = ((f"alias.{ZONE}", f"www.{ZONE}"), (f"away.{ZONE}", f"gone.{ZONE}"))
    world.versions[ZONE] = [(0, now(world).next(denial=denial, aliases=aliases))]
    servers = [server for server in world.servers if ZONE in server.zones]
    for at in range(30, 900, 30):
        resolver = world.resolvers[at // 30 % len(world.resolvers)]
        world.ask(at, resolver, ZONE, f"away.{ZONE}", "A", servers[at // 30 % 2])
        world.ask(at + 1, resolver, ZONE, f"alias.{ZONE}", "TXT")
    return world.run(900, 6)


@pytest.mark.parametrize("denial", ["nsec", "nsec3"])
def test_aliases_that_lead_nowhere_with_proof_lack_nothing(denial, analysed) -> None:
    assert analysed(aliased(denial))["incidents"] == []


@pytest.mark.parametrize("denial", ["nsec", "nsec3"])
def test_what_an_alias_leads_to_is_denied_without_proof(denial, analysed) -> None:
    """RFC 6604 2: the RCODE, and so the proof, is for the last name of the chain."""
    world = aliased(denial)

    def strip(message: dns.message.Message) -> bool:
        return bool(message.answer) and without(message, *DENIALS)

    found = the_incident(analysed(world, mutilated(world, strip)))
    assert (found["zone"], found["reason"], found["ede"]) == (ZONE, "denial-missing", 12)
    assert "2026-06-01T12:05:00" <= found["onset"]["first_bad"] <= "2026-06-01T12:05:40"
    assert found["recovery"]["first_good"] >= "2026-06-01T12:08:20"


def test_an_alias_whose_target_is_denied_by_another_names_record(analysed) -> None:
    world = aliased("nsec")
    wrong = zone_of(world.state(ZONE, 400)).nsec(dns.name.from_text(f"ns1.{ZONE}"))

    def swap(message: dns.message.Message) -> bool:
        if message.question[0].name.to_text().lower() != f"away.{ZONE}":
            return False
        without(message, *DENIALS)
        message.authority += wrong
        return True

    found = the_incident(analysed(world, mutilated(world, swap)))
    assert (found["zone"], found["reason"], found["ede"]) == (ZONE, "denial-invalid", 6)


@pytest.mark.parametrize(("iterations", "warns"), [(150, False), (151, True)])
def test_more_iterations_than_validators_follow_are_a_near_miss(iterations, warns, analysed):
    """RFC 9276 3.2: nothing turns bogus, what is denied turns insecure."""
    world = healthy(7)
    world.versions[ZONE] = [(0, now(world).next(denial="nsec3", iterations=iterations))]
    report = analysed(world.run(300, 3))
    assert report["incidents"] == []
    told = [row for row in report["findings"] if row["kind"] == "near-miss"]
    assert [(row["zone"], row["reason"], row["ede"]) for row in told] == (
        [(ZONE, "nsec3-iterations", 27)] if warns else []
    )
