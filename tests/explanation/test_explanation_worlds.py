"""Each rule in both directions, on miniature worlds whose truth is known by construction."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rrset
import pytest
from explanation_asked import outcome
from world import DAY, START, healthy, key, zone_of

from forensics.errors import UsageError

ZONE = "alpha.de."
LEAF_SERVERS = {"192.0.2.31", "192.0.2.32", "192.0.2.41", "192.0.2.42"}


def question(packet):
    return dns.message.from_wire(packet.data).question[0]


def is_upstream(packet) -> bool:
    return "192.0.2." in packet.source or "192.0.2." in packet.target


def lookups(world):
    """The clients' questions with the instant of each answer."""
    for packet in world.packets:
        if packet.sport == 53 and packet.source.startswith("198.51.100.5"):
            asked = question(packet)
            kind = asked.rdtype.name
            yield asked.name.to_text().lower(), kind, packet.time / 1e9 - START


def now(world, zone=ZONE):
    return world.versions[zone][-1][1]


@pytest.fixture(scope="module")
def sound():
    return healthy(3).run(400, 3)


# -- nothing is accused in a healthy world, however little of it was captured ----------------------


def test_a_healthy_world_is_secure_or_proven_unsigned(asked, sound):
    ask = asked(sound)
    for name, kind, when in lookups(sound):
        told = ask(name, kind, when)
        below_unsigned = name.endswith("plain.de.") and not (name == "plain.de." and kind == "DS")
        if name.endswith(("de.", "nl.")):
            wanted = {"insecure"} if below_unsigned else {"secure", "insecure"}
            assert told["status"] in wanted, (name, kind, told)
            if not below_unsigned and not name.startswith("alias."):
                assert told["status"] == "secure", (name, kind, told)


@pytest.mark.parametrize(
    "keep",
    [
        lambda p: p.source in LEAF_SERVERS or p.target in LEAF_SERVERS,
        lambda p: not is_upstream(p),
        lambda p: p.source.startswith("192.0.2."),
        lambda p: "DNSKEY" not in question(p).rdtype.name,
        lambda p: question(p).rdtype.name != "DS",
        lambda p: p.time > (START + 200) * 10**9,
        lambda p: p.time % 3,
    ],
    ids=["leaves", "clients", "responses", "no-dnskey", "no-ds", "second-half", "thinned"],
)
def test_parts_of_a_healthy_world_accuse_nobody(asked, sound, keep):
    ask = asked(sound, keep=keep)
    statuses = set()
    for name, kind, when in list(lookups(sound))[::3]:
        try:
            told = ask(name, kind, when)
        except UsageError:
            continue
        assert told["status"] != "bogus", (name, kind, told)
        statuses.add(told["status"])
    assert statuses


def test_without_the_chain_above_a_good_signature_is_valid(asked, sound):
    ask = asked(sound, keep=lambda p: p.source in LEAF_SERVERS or p.target in LEAF_SERVERS)
    assert outcome(ask("www.alpha.de.", "A", 390)) == ("valid", "none")
    assert outcome(ask("www.plain.de.", "A", 390))[0] == "indeterminate"


def test_without_dnskeys_nothing_is_known(asked, sound):
    ask = asked(sound, keep=lambda p: question(p).rdtype.name != "DNSKEY")
    assert outcome(ask("www.alpha.de.", "A", 390)) == ("indeterminate", "dnskey-not-captured")


def test_a_private_root_is_no_outage(asked, sound):
    told = asked(sound, trusted=False)("www.alpha.de.", "A", 390)
    assert outcome(told) == ("valid", "none")
    assert (told["chain"][0]["link"], told["chain"][0]["reason"]) == ("anchor", "no-trust-anchor")


def test_only_what_came_later_is_labelled(asked, sound):
    told = asked(sound)("www.alpha.de.", "A", -50)
    assert told["status"] != "bogus"
    assert told["later"]
    assert all(seen["later"] and seen["age"] < 0 for k in told["chain"] for seen in k["sightings"])


def test_a_name_never_asked_is_refused_with_names_near_it(asked, sound):
    with pytest.raises(UsageError, match=r"www\.alpha\.de\. A"):
        asked(sound)("www.alpa.de.", "A", 100)


# -- broken zones: before, in, and after --------------------------------------------------------


def breaking(change, *, zone=ZONE, until=None, seed=5, **kinds):
    """A world in which a zone changes at 150 s and changes back at 300 s."""
    world = healthy(seed, **kinds)
    good = now(world, zone)
    bad = world.at(150, change(good))
    world.at(300, (until or good).next(serial=bad.serial + 1, signed_at=START + 299 - DAY))
    return world.run(450, 2)


BREAKS = {
    "dnskey-missing": lambda s: s.next(zsks=(key("stranger"),), signed_at=START - DAY + 9),
    "ds-mismatch": lambda s: s.next(
        keys=(key("x", 257), key("y")), ksks=(key("x", 257),), zsks=(key("y"),)
    ),
    "dnskey-unsigned-by-ds-key": lambda s: s.next(ksks=s.zsks),
    "signature-expired": lambda s: s.next(until=START + 100),
    "signature-not-yet-valid": lambda s: s.next(signed_at=START + 5 * DAY),
    "dnskey-absent": lambda s: s.next(signed=False),
}


@pytest.mark.parametrize("reason", BREAKS)
def test_a_break_is_named_with_its_reason_and_only_while_it_lasts(asked, reason):
    ask = asked(breaking(BREAKS[reason]))
    assert outcome(ask("www.alpha.de.", "A", 145)) == ("secure", "none")
    told = ask("www.alpha.de.", "A", 295)
    assert outcome(told) == ("bogus", reason)
    assert told["resolver_rcode"] == "SERVFAIL"
    assert outcome(ask("www.beta.de.", "A", 295)) == ("secure", "none")
    assert outcome(ask("www.alpha.de.", "A", 445)) == ("secure", "none")


def test_a_bad_denial_above_breaks_unsigned_names_too(asked):
    """As in May 2026: the unsigned zones below need a proof that they are."""
    world = breaking(lambda s: s.next(zsks=(key("stranger"),)), zone="de.")
    ask = asked(world)
    assert outcome(ask("www.plain.de.", "A", 145)) == ("insecure", "none")
    assert outcome(ask("www.plain.de.", "A", 295)) == ("bogus", "dnskey-missing")


def test_where_the_parents_signature_broke_the_parent_and_its_servers_are_named(asked):
    world = breaking(lambda s: s.next(zsks=(key("stranger"),)), zone="de.")
    told = asked(world)("www.alpha.de.", "A", 295)
    parents = {server.address for server in world.servers if "de." in server.zones}
    assert outcome(told) == ("bogus", "dnskey-missing")
    assert told["zone"] == "de."
    assert {server["address"] for server in told["servers"]} <= parents
    assert told["servers"]
    (link,) = [one for one in told["chain"] if one["status"] == "bogus"]
    assert (link["link"], link["zone"], link["signer"]) == ("ds", ZONE, "de.")
    before = asked(world)("www.alpha.de.", "A", 145)
    assert (before["status"], before["zone"]) == ("secure", ZONE)
    assert {server["address"] for server in before["servers"]} <= LEAF_SERVERS


def test_of_servers_that_differ_the_worst_counts_and_all_are_listed(asked):
    world = healthy(6)
    world.own[("192.0.2.32", ZONE)] = now(world).next(serial=1, until=START + 10)
    told = asked(world.run(400, 2))("www.alpha.de.", "A", 395)
    assert outcome(told) == ("bogus", "signature-expired")
    by_server = {s["address"]: s["status"] for s in told["servers"]}
    assert by_server["192.0.2.32"] == "bogus"
    only = asked(world, servers=frozenset({"192.0.2.31"}))("www.alpha.de.", "A", 395)
    assert outcome(only) == ("secure", "none")
    assert {s["address"] for s in only["servers"]} == {"192.0.2.31"}


def test_skew_is_by_policy(asked):
    world = breaking(lambda s: s.next(until=START + 100))
    assert outcome(asked(world)("www.alpha.de.", "A", 295))[0] == "bogus"
    assert outcome(asked(world, policy="unbound")("www.alpha.de.", "A", 295))[0] == "secure"


# -- keys through time ----------------------------------------------------------------------------


def rolled(*, asks_keys):
    """A ZSK published at 100 s that signs from 200 s on."""
    world = healthy(7, ask_keys=asks_keys)
    state = now(world)
    ksk, old = state.keys
    new = key("the next")
    world.at(100, state.next(keys=(ksk, old, new)))
    world.at(200, state.next(serial=3, keys=(ksk, old, new), zsks=(new,)))
    return world.run(400, 2)


def quiet(begin, end, zone=ZONE):
    """Keep packets but the zone's DNSKEY questions between two seconds."""
    return lambda p: (
        not (
            begin < p.time / 1e9 - START < end
            and question(p).rdtype.name == "DNSKEY"
            and question(p).name.to_text().lower() == zone
        )
    )


def test_a_roll_whose_publication_fell_into_a_gap_is_not_accused(asked):
    world = rolled(asks_keys=lambda _: True)
    told = asked(world, keep=quiet(95, 320))("www.alpha.de.", "A", 300)
    assert told["status"] in {"valid", "secure"}, told
    told = asked(world)("www.alpha.de.", "A", 300)
    assert outcome(told) == ("secure", "none")


def test_a_resolver_that_holds_the_old_keys_refuses_and_another_view_does_not(asked):
    world = healthy(8)
    state = now(world)
    ksk = state.keys[0]
    new = key("too fast")
    world.at(200, state.next(keys=(ksk, new), zsks=(new,), signed_at=START + 199 - DAY))
    asking = world.resolvers[0]
    for when, zone, name, kind, server in (
        (10, ".", ".", "DNSKEY", None),
        (11, ".", "www.alpha.de.", "A", None),
        (12, "de.", "de.", "DNSKEY", None),
        (13, "de.", "www.alpha.de.", "A", None),
        (190, ".", ".", "DNSKEY", None),
        (191, ".", "www.alpha.de.", "A", None),
        (192, "de.", "de.", "DNSKEY", None),
        (193, "de.", "www.alpha.de.", "A", None),
        (195, ZONE, ZONE, "DNSKEY", world.servers[6]),
        (210, ZONE, "www.alpha.de.", "A", world.servers[6]),
    ):
        world.ask(when, asking, zone, name, kind, server)
    world.ask(211, world.resolvers[1], ZONE, ZONE, "DNSKEY", world.servers[6])
    world.packets.sort(key=lambda p: p.time)
    held = asked(world, view="resolver", resolvers=frozenset({asking}))
    assert outcome(held("www.alpha.de.", "A", 212)) == ("bogus", "dnskey-missing")
    assert outcome(asked(world)("www.alpha.de.", "A", 212)) == ("secure", "none")
    # Once the TTL of what it held has run out, nothing is known of it.
    assert held("www.alpha.de.", "A", 300)["status"] == "indeterminate"


def test_supplied_keys_make_a_signature_valid_and_say_so(asked, sound, tmp_path):
    file = tmp_path / "keys"
    file.write_text("".join(f"{ZONE} IN DNSKEY {k.record.to_text()}\n" for k in now(sound).keys))
    no_keys = lambda p: question(p).rdtype.name != "DNSKEY"  # noqa: E731
    told = asked(sound, keep=no_keys, keys=(str(file),))("www.alpha.de.", "A", 390)
    assert outcome(told) == ("valid", "none")
    assert "supplied" in {link["source"] for link in told["chain"]}


def unanswered(zone, begin):
    """Keep packets but the answers to the zone's DNSKEY questions from a second on."""
    return lambda p: (
        not (
            p.time / 1e9 - START > begin
            and p.sport == 53
            and question(p).rdtype.name in {"DNSKEY", "ANY"}
            and question(p).name.to_text().lower() == zone
        )
    )


def test_keys_that_nobody_could_fetch_are_unobtainable_and_one_lost_answer_is_nothing(asked):
    world = healthy(11).run(400, 2)
    for attempt in range(8):
        world.ask(300 + attempt, world.resolvers[0], ZONE, ZONE, "DNSKEY", world.servers[6])
    world.packets.sort(key=lambda p: p.time)
    told = asked(world, keep=unanswered(ZONE, 100))("www.alpha.de.", "A", 390)
    assert outcome(told) == ("bogus", "dnskey-unobtainable")
    last = max(
        p.time
        for p in world.packets
        if question(p).rdtype.name == "DNSKEY"
        and p.sport == 53
        and p.time < (START + 250) * 10**9
        and question(p).name.to_text().lower() == ZONE
    )
    told = asked(world, keep=lambda p: p.time != last)("www.alpha.de.", "A", 290)
    assert outcome(told) == ("secure", "none")


def test_an_answer_without_edns_owes_no_signatures(asked):
    """A resolver that falls back to plain DNS gets none, and nobody is to blame for that."""
    world = healthy(12).run(200, 2)
    query = world.query("www.alpha.de.", "A")
    reply = dns.message.make_response(query)
    reply.use_edns(-1)
    reply.flags |= dns.flags.AA
    reply.answer.append(dns.rrset.from_text("www.alpha.de.", 60, "IN", "A", "192.0.2.80"))
    world.send(210, world.resolvers[0], 4321, "192.0.2.31", 53, query)
    world.send(210.01, "192.0.2.31", 53, world.resolvers[0], 4321, reply)
    assert outcome(asked(world)("www.alpha.de.", "A", 215)) == ("secure", "none")


def test_an_unknown_algorithm_in_all_ds_leaves_the_zone_insecure(asked):
    world = healthy(9)
    odd = key("alpha.de. ksk", 257)
    top = now(world, "de.")
    world.versions["de."] = [(0, top)]
    strange = odd._replace(record=odd.record.replace(algorithm=200))
    children = tuple((z, (strange,) if z == ZONE else held) for z, held in top.children)
    world.versions["de."] = [(0, top.next(children=children))]
    told = asked(world.run(200, 2))("www.alpha.de.", "A", 190)
    assert outcome(told) == ("insecure", "algorithm-unsupported")
    both = tuple((z, (strange, odd) if z == ZONE else held) for z, held in top.children)
    world = healthy(9)
    world.versions["de."] = [(0, top.next(children=both))]
    told = asked(world.run(200, 2))("www.alpha.de.", "A", 190)
    assert outcome(told) == ("secure", "none")


def test_a_zone_going_unsigned_rightly_is_insecure_afterwards(asked):
    world = healthy(10)
    top = now(world, "de.")
    children = tuple((z, () if z == ZONE else held) for z, held in top.children)
    world.at(100, top.next(children=children))
    world.at(250, now(world).next(signed=False))
    ask = asked(world.run(400, 2))
    assert outcome(ask("www.alpha.de.", "A", 95)) == ("secure", "none")
    assert outcome(ask("www.alpha.de.", "A", 390)) == ("insecure", "none")


# -- near misses ----------------------------------------------------------------------------------


def kinds(told) -> set[str]:
    return {one["kind"] for one in told["warnings"]}


def test_a_sound_answer_warns_of_nothing(asked, sound):
    ask = asked(sound)
    assert kinds(ask("www.alpha.de.", "A", 390)) == set()
    assert kinds(ask("www.beta.de.", "A", 390)) == set()


def test_a_signature_that_ends_within_the_ttl_is_a_near_miss(asked):
    ask = asked(breaking(lambda s: s.next(until=START + 340)))
    told = ask("www.alpha.de.", "A", 295)
    assert outcome(told) == ("secure", "none")
    assert kinds(told) == {"signature-ends-within-ttl"}
    assert kinds(ask("www.alpha.de.", "A", 145)) == set()


def test_a_roll_faster_than_the_ttl_is_a_near_miss_as_long_as_caches_may_lack_the_key(asked):
    world = healthy(13)
    state = now(world)
    ksk = state.keys[0]
    new = key("hasty")
    world.at(200, state.next(keys=(ksk, new), zsks=(new,), signed_at=START + 199 - DAY))
    for when, zone, name, kind in (
        (190, ".", ".", "DNSKEY"),
        (191, ".", "www.alpha.de.", "A"),
        (192, "de.", "de.", "DNSKEY"),
        (193, "de.", "www.alpha.de.", "A"),
        (195, ZONE, ZONE, "DNSKEY"),
        (205, ZONE, ZONE, "DNSKEY"),
        (210, ZONE, "www.alpha.de.", "A"),
    ):
        world.ask(when, world.resolvers[0], zone, name, kind)
    world.packets.sort(key=lambda p: p.time)
    ask = asked(world)
    told = ask("www.alpha.de.", "A", 212)
    assert outcome(told) == ("secure", "none")
    assert kinds(told) == {"keys-out-of-step"}
    # The set of 195 s has run out of every cache 60 s later.
    assert kinds(ask("www.alpha.de.", "A", 256)) == set()


# -- what was asked without DO --------------------------------------------------------------------


def plainly(world, when, name, kind="A"):
    """A resolver asks an authority without DO, and is given the answer without its proof."""
    query = world.query(name, kind)
    query.use_edns(-1)
    zone = world.deepest(name)
    (server, *_) = [s for s in world.servers if zone in s.zones]
    whole = zone_of(world.state(zone, when)).answer(world.query(name, kind))
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    reply.set_rcode(whole.rcode())
    reply.answer = [r for r in whole.answer if r.rdtype.name != "RRSIG"]
    reply.authority = [r for r in whole.authority if r.rdtype.name == "SOA"]
    world.send(when, world.resolvers[0], 4444, server.address, 53, query)
    world.send(when + 0.01, server.address, 53, world.resolvers[0], 4444, reply)


def denied(when, *names):
    """A healthy world in which names are asked for without DO at an instant."""
    world = healthy(17).run(300, 3)
    for step, name in enumerate(names):
        plainly(world, when + step / 10, name)
    # Others were given the whole chain of the zone.
    for step, name in enumerate(("a0.delta.nl.", "b0.delta.nl.", "x.y.delta.nl.", "zz.delta.nl.")):
        world.ask(250 + step, world.resolvers[1], "delta.nl.", name, "A")
    world.packets.sort(key=lambda p: p.time)
    return world


def test_a_denial_without_do_is_proven_by_what_the_zone_showed_others(asked):
    told = asked(denied(310, "aa.delta.nl."))("aa.delta.nl.", "A", 320)
    assert outcome(told) == ("secure", "none"), told["sentence"]
    assert "showed others" in told["chain"][-1]["sentence"]
    assert told["rcode"] == "NXDOMAIN"


def test_what_nobody_was_shown_stays_open(asked):
    world = denied(310, "aa.delta.nl.")
    kept = asked(world, keep=lambda p: p.time / 1e9 - START > 305 or p.time / 1e9 - START < 240)
    told = kept("aa.delta.nl.", "A", 320)
    assert told["status"] in {"secure", "indeterminate"}
    with_hashes = healthy(17).run(300, 3)
    plainly(with_hashes, 310, "aa.gamma.nl.")
    with_hashes.packets.sort(key=lambda p: p.time)
    told = asked(with_hashes)("aa.gamma.nl.", "A", 320)
    assert outcome(told) == ("indeterminate", "rrset-incomplete")


def test_a_denial_without_do_of_what_exists_is_never_proven(asked):
    """A forger without signatures denies what the zone has: no record of it helps him."""
    world = denied(250)
    query = world.query("www.delta.nl.", "AAAA")
    query.use_edns(-1)
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    reply.set_rcode(3)
    world.packets = [p for p in world.packets if question(p).name.to_text() != "www.delta.nl."]
    world.send(310, world.resolvers[0], 4444, "192.0.2.41", 53, query)
    world.send(310.01, "192.0.2.41", 53, world.resolvers[0], 4444, reply)
    world.packets.sort(key=lambda p: p.time)
    told = asked(world)("www.delta.nl.", "AAAA", 320)
    assert told["answer"] != "name-error" or told["status"] == "indeterminate"
