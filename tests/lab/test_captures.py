"""Every recording in captures/ has its truth, its maker's note, and packets that bear it out."""

from __future__ import annotations

from itertools import pairwise

import dns.dnssec
import dns.edns
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from captured import (
    CAPTURES,
    FOLDERS,
    NAMES,
    Signed,
    dnstap_frames,
    nanoseconds,
    packets,
    responses,
    signed,
    truth,
)
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rrset import RRset

FILES = {"MADE.md", "capture.pcap.zst", "trust-anchor.ds", "truth.toml"}
LARGEST = 1_500_000
ROOT = dns.name.root
DE = dns.name.from_text("de.")
ROLLS = [name for name in NAMES if name.startswith("healthy-")]
OUTAGES = ["de-2026", "de-2026-resolvers"]
SEEN = {"de-2026": 0.7, "de-2026-resolvers": 0.6}  # of all signatures made; it is the shorter
KEY_SETS = {"healthy-zsk-roll": 3} | dict.fromkeys([*OUTAGES, "healthy-ksk-roll"], 2)
ROOT_SERVERS = ("198.51.100.1", "198.51.100.2", "2001:db8:53::1", "2001:db8:53::2")


def de_servers(name: str) -> tuple[str, ...]:
    return tuple(server["address"] for server in truth(name)["servers"])


def key_sets(name: str, zone: dns.name.Name, servers: tuple[str, ...]) -> list[Signed]:
    return [
        one
        for one in signed(name, servers).values()
        if one.rrset.rdtype == dns.rdatatype.DNSKEY and one.rrset.name == zone
    ]


def verifies(one: Signed, keys: RRset) -> bool:
    try:
        dns.dnssec.validate_rrsig(one.rrset, one.rrsig, {keys.name: keys}, now=one.time / 1e9)
    except dns.dnssec.ValidationFailure:
        return False
    return True


def key_rrset(zone: dns.name.Name, *keys: DNSKEY) -> RRset:
    return dns.rrset.from_rdata_list(zone, 0, list(keys))


def truth_key(entry: dict) -> DNSKEY:
    flags = 256 if entry["role"] == "zsk" else 257
    text = f"{flags} 3 {entry['algorithm']} {entry['public_key']}"
    return dns.rdata.from_text("IN", "DNSKEY", text)


def client_servfails(name: str) -> list[tuple[int, str, list[int]]]:
    """Return time, resolver and EDE codes of each SERVFAIL that a resolver sent."""
    resolvers = {address for r in truth(name)["resolvers"] for address in r["addresses"]}
    found = []
    for response in responses(name):
        if response.source in resolvers and response.wire[3] & 15 == dns.rcode.SERVFAIL:
            options = dns.message.from_wire(response.wire).options
            codes = [int(o.code) for o in options if isinstance(o, dns.edns.EDEOption)]
            found.append((response.time, response.source, codes))
    return found


def test_the_incident_and_both_controls_are_recorded() -> None:
    assert set(NAMES) == {*OUTAGES, "healthy-zsk-roll", "healthy-ksk-roll"}


ALL = [path.name for path in FOLDERS]


@pytest.mark.parametrize("name", [name for name in ALL if name != "de-2026"])
def test_unbound_bind_and_a_third_validated_side_by_side(name: str) -> None:
    """Each has clients, dnstap and its log; de-2026 has a twin for it."""
    validating = [r for r in truth(name)["resolvers"] if r["validating"]]
    programs = {r["name"]: r["software"].split()[0].rstrip(",") for r in validating}
    assert {"Version", "BIND"} <= set(programs.values())  # so says Unbound
    assert {"PowerDNS", "Knot"} & set(programs.values())
    frames = b"".join(dnstap_frames(name))
    for resolver in validating:
        if programs[resolver["name"]] == "Python":
            continue  # a relay before a resolver
        assert resolver["identity"].encode() in frames, resolver["name"]
        clients = [c for c in truth(name)["clients"] if c["resolvers"][0] in resolver["addresses"]]
        assert sum(client["queries"] for client in clients) > 20
        failed = sum(client["servfail"] for client in clients)
        # BIND's categories of failures hold nothing where it failed nobody.
        silent = programs[resolver["name"]] == "BIND" and not failed
        assert silent or (CAPTURES / name / f"{resolver['name']}.log").stat().st_size


@pytest.mark.parametrize("name", NAMES)
def test_folder_is_complete_small_and_says_nothing_of_the_machine(name: str) -> None:
    folder = CAPTURES / name
    wanted = FILES | {truth(name)["capture"]["dnstap_file"]}
    assert {path.name for path in folder.iterdir()} >= wanted
    assert all(path.stat().st_size < LARGEST for path in folder.iterdir())
    for path in folder.iterdir():
        if path.suffix != ".zst":
            text = path.read_text()
            assert "/tmp" not in text
            assert "/home" not in text
    assert truth(name)["name"] == name
    assert (folder / "MADE.md").read_text().startswith(f"# {name}\n")
    for resolver in truth(name)["resolvers"]:
        assert not resolver["log"] or (folder / resolver["log"]).stat().st_size


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_the_truth(name: str) -> None:
    capture = truth(name)["capture"]
    assert sum(1 for _ in packets(name)) == capture["packets"]
    assert capture["dropped"] == 0
    assert sum(1 for _ in dnstap_frames(name)) == capture["dnstap_frames"]
    identities = {r["identity"].encode() for r in truth(name)["resolvers"]}
    assert all(any(i in frame for i in identities) for frame in dnstap_frames(name))


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_in_order_and_each_was_seen_after_it_was_told(name: str) -> None:
    facts = truth(name)
    at = [nanoseconds(step["at"]) for step in facts["steps"]]
    assert at == sorted(at)
    times = [time for time, _ in packets(name)]
    assert min(times) < at[0] < at[-1] < max(times)
    for step in facts["steps"]:
        told = [nanoseconds(time) for _, time in step["told"]]
        seen = [nanoseconds(time) for _, time in step["first_seen"]]
        assert nanoseconds(step["at"]) <= min(told) < min(seen)
        assert max(told) < max(seen)


@pytest.mark.parametrize("name", NAMES)
def test_nsid_of_each_server_was_seen(name: str) -> None:
    assert all(server["nsid_seen"] == server["nsid"] for server in truth(name)["servers"])
    assert len({server["nsid"] for server in truth(name)["servers"]}) == 3


@pytest.mark.parametrize("name", NAMES)
def test_key_sets_stand_in_a_chain_from_the_trust_anchor(name: str) -> None:
    text = (CAPTURES / name / "trust-anchor.ds").read_text()
    anchor = dns.rrset.from_text(*text.split(maxsplit=3)[:1], 0, *text.split(maxsplit=3)[1:])[0]
    (root,) = key_sets(name, ROOT, ROOT_SERVERS)
    assert anchor in {dns.dnssec.make_ds(ROOT, key, "SHA256") for key in root.rrset}
    assert verifies(root, root.rrset)
    delegations = [
        one
        for one in signed(name, ROOT_SERVERS).values()
        if one.rrset.rdtype == dns.rdatatype.DS and one.rrset.name == DE
    ]
    assert all(verifies(one, root.rrset) for one in delegations)
    sets = key_sets(name, DE, de_servers(name))
    assert len(sets) == KEY_SETS[name]
    digests = {ds for one in delegations for ds in one.rrset}
    for one in sets:
        secure = [k for k in one.rrset if dns.dnssec.make_ds(DE, k, "SHA256") in digests]
        assert verifies(one, key_rrset(DE, *secure))


@pytest.mark.parametrize("name", ROLLS)
def test_healthy_roll_has_no_bad_signature_and_no_failure(name: str) -> None:
    keys = {key for one in key_sets(name, DE, de_servers(name)) for key in one.rrset}
    everything = key_rrset(DE, *keys)
    checked = [one for one in signed(name, de_servers(name)).values() if one.rrsig.signer == DE]
    assert len(checked) > 50
    assert all(verifies(one, everything) for one in checked)
    assert client_servfails(name) == []
    assert truth(name)["expected"] == "no incident"


@pytest.mark.parametrize("name", ROLLS)
def test_healthy_roll_waits_out_each_ttl(name: str) -> None:
    facts = truth(name)
    longest = max(facts["ttl"][kind] for kind in ("soa", "negative", "dnskey", "ds"))
    for step, following in pairwise(facts["steps"]):
        reached = max(nanoseconds(time) for _, time in step["first_seen"])
        assert nanoseconds(following["at"]) - reached > longest * 10**9


@pytest.mark.parametrize("name", OUTAGES)
def test_de_intervals_are_in_order(name: str) -> None:
    facts = truth(name)
    for server in facts["servers"]:
        acts = ("told_to_change", "first_seen_changed", "told_to_repair", "first_seen_repaired")
        times = [nanoseconds(server[act]) for act in acts]
        assert times == sorted(times)
    for view in facts["views"].values():
        times = [nanoseconds(time) for time in view.values()]
        assert times == sorted(times)
    changed = {nanoseconds(s["told_to_change"]) for s in facts["servers"]}
    assert len(changed) == 3
    assert max(changed) - min(changed) > 20 * 10**9


@pytest.mark.parametrize("name", OUTAGES)
def test_de_three_keys_have_one_tag_and_one_is_published(name: str) -> None:
    facts = truth(name)
    sharing = [k for k in facts["keys"] if k["role"] == "zsk" and k["tag"] == facts["key_tag"]]
    assert [dns.dnssec.key_id(truth_key(k)) for k in sharing] == [facts["key_tag"]] * 3
    assert sum(k["published"] for k in sharing) == facts["published_count"] == 1
    seen = {
        key
        for one in key_sets(name, DE, de_servers(name))
        for key in one.rrset
        if dns.dnssec.key_id(key) == facts["key_tag"]
    }
    assert seen == {truth_key(k) for k in sharing if k["published"]}


@pytest.mark.parametrize("name", OUTAGES)
def test_de_signatures_verify_or_fail_as_the_lab_made_them(name: str) -> None:
    facts = truth(name)
    keys = {k["label"]: key_rrset(DE, truth_key(k)) for k in facts["keys"]}
    published = key_rrset(DE, *(truth_key(k) for k in facts["keys"] if k["published"]))
    made = {row[-1]: row for row in facts["shared_tag"]["list"]}
    assert len(made) == facts["shared_tag"]["signatures"]
    seen = [
        one
        for one in signed(name, de_servers(name)).values()
        if one.rrsig.key_tag == facts["key_tag"]
    ]
    assert len(seen) > SEEN[name] * len(made)  # no one asks for every RRset at every serial
    failed = set()
    for one in seen:
        owner, rdtype, _, label, verified, _ = made[one.digest]
        assert one.rrset.name == dns.name.from_text(owner)
        assert one.rrset.rdtype == dns.rdatatype.from_text(rdtype)
        assert verifies(one, published) == verified
        assert verifies(one, keys[label])
        if not verified:
            failed.add(rdtype)
    assert failed == set(facts["types"])
    bad_serial = next(s["serial"] for s in facts["steps"] if s["name"] == "signer-changed")
    good_serial = next(s["serial"] for s in facts["steps"] if s["name"] == "repaired")
    during = [row for row in made.values() if bad_serial <= row[2] < good_serial]
    assert 0.2 < sum(row[4] for row in during) / len(during) < 0.47  # a third, by chance


@pytest.mark.parametrize("name", OUTAGES)
def test_de_signatures_by_other_tags_verify(name: str) -> None:
    facts = truth(name)
    published = key_rrset(DE, *(truth_key(k) for k in facts["keys"] if k["published"]))
    others = [
        one
        for one in signed(name, de_servers(name)).values()
        if one.rrsig.signer == DE and one.rrsig.key_tag != facts["key_tag"]
    ]
    assert len(others) > 20
    assert all(verifies(one, published) for one in others)
    bad_from = nanoseconds(facts["views"]["published"]["bad_everywhere_from"])
    soa, nsec3 = dns.rdatatype.SOA, dns.rdatatype.NSEC3
    assert {one.rrset.rdtype for one in others} >= {soa, nsec3, dns.rdatatype.DS}
    assert not [o for o in others if o.rrset.rdtype == soa and o.time > bad_from]


@pytest.mark.parametrize("name", OUTAGES)
def test_de_soa_flips_between_good_and_bad(name: str) -> None:
    facts = truth(name)
    during = [serial for serial in facts["serials"] if serial["phase"] == "incident"]
    good = ["bad_SOA" not in serial for serial in during]
    assert sum(a != b for a, b in pairwise(good)) >= 4


@pytest.mark.parametrize("name", OUTAGES)
def test_de_clients_fail_while_it_is_bad_and_only_then(name: str) -> None:
    facts = truth(name)
    failures = client_servfails(name)
    times = [time for time, _, _ in failures]
    view = facts["views"]["resolver"]
    assert nanoseconds(view["bad_from"]) < min(times)
    assert max(times) < nanoseconds(view["good_everywhere_from"])
    assert len(failures) > 100
    assert {code for _, _, codes in failures for code in codes} <= {6, 9}
    plain = {a for r in facts["resolvers"] if not r["validating"] for a in r["addresses"]}
    assert not plain & {source for _, source, _ in failures}
    kinds = dict(facts["observed"]["servfail_by_kind"])
    assert kinds["unsigned-child"] > kinds["signed-child"] > 0
    assert "control" not in kinds


@pytest.mark.parametrize("name", OUTAGES)
def test_de_negative_trust_anchor_ends_failures_of_its_resolver(name: str) -> None:
    facts = truth(name)
    installed = next(m for m in facts["mitigations"] if m["kind"] == "negative-trust-anchor")
    resolver = next(r for r in facts["resolvers"] if r["name"] == installed["name"])
    flushed = max(
        nanoseconds(m["at"]) for m in facts["mitigations"] if m["kind"] == installed["kind"]
    )
    times = [t for t, source, _ in client_servfails(name) if source in resolver["addresses"]]
    assert times
    assert max(times) < flushed
    assert flushed < nanoseconds(facts["views"]["published"]["good_from"])


def test_de_log_names_names_below_unsigned_delegations() -> None:
    facts = truth("de-2026")
    log = (CAPTURES / "de-2026" / "unbound.log").read_text()
    lines = [line for line in log.splitlines() if "validation failure" in line]
    assert len(lines) > 50
    unsigned = facts["zones"]["unsigned_below"]
    assert any(f"{zone}" in line for line in lines for zone in unsigned)
    assert not [line for line in lines for zone in facts["zones"]["controls"] if f"{zone} " in line]
