"""The recordings of the lab's small world: complete, and borne out by dnspython alone."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rrset
import pytest
from captured import CAPTURES, SMALL, Signed, dnstap_frames, nanoseconds, packets, signed, truth

ROOT = Path(__file__).resolve().parents[2]
SECOND = 10**9
FILES = {"MADE.md", "capture.pcap.zst", "resolvers.dnstap.zst", "trust-anchor.ds", "truth.toml"}
LARGEST = 1_500_000
ALL_CAPTURES = 40_000_000
SOUND = [  # what their servers publish is sound at every instant
    *("ksk-double-signature", "algorithm-roll", "insecure-and-back", "first-signed"),
    *("root-ksk-roll", "packet-loss", "dead-server", "clock-behind", "clock-ahead"),
    *("c-root-2024", "1111-2023", "nz-2023", "nl-2012"),
]
NEVER_FAIL = [  # and no client of a validating resolver was ever refused an answer
    *("ksk-double-signature", "algorithm-roll", "insecure-and-back", "first-signed"),
    *("root-ksk-roll", "rfc5011-roll", "c-root-2024", "unsigned-world", "slack-2021"),
]
BROKEN = [  # signatures that no published key verifies stood in answers
    *("ru-2024", "se-2022", "shared-operator"),
]


def is_failing_outage(name: str) -> bool:
    """Whether the recording is of an outage in which clients were told SERVFAIL."""
    facts = truth(name)
    return facts["expected"] == "incident" and "first_servfail" in facts["observed"]


def servers_of(name: str) -> tuple[str, ...]:
    """Return the addresses that serve the tested zones."""
    zones = set(truth(name)["zones"])
    return tuple(
        address
        for server in truth(name)["authorities"]
        if zones & set(server["zones"])
        for address in server["addresses"]
    )


def signatures_of_zones(name: str) -> list[Signed]:
    zones = {dns.name.from_text(zone) for zone in truth(name)["zones"]}
    found = signed(name, servers_of(name)).values()
    return [one for one in found if one.rrsig.signer in zones]


@cache
def keys_of(name: str) -> dict[dns.name.Name, list]:
    """Return the DNSKEYs that the lab published, by zone."""
    found: dict[dns.name.Name, list] = {}
    for key in truth(name)["keys"]:
        if key["published"]:
            flags = 256 if key["role"] == "zsk" else 257
            text = f"{flags} 3 {key['algorithm']} {key['public_key']}"
            rdata = dns.rdata.from_text("IN", "DNSKEY", text)
            found.setdefault(dns.name.from_text(key["zone"]), []).append(rdata)
    return found


def verifies(name: str, one: Signed) -> bool:
    """Whether a published key verifies it, at the time of its sighting."""
    keys = keys_of(name).get(one.rrsig.signer, [])
    rrset = dns.rrset.from_rdata_list(one.rrsig.signer, 0, keys)
    try:
        dns.dnssec.validate_rrsig(
            one.rrset, one.rrsig, {one.rrsig.signer: rrset}, now=one.time / SECOND
        )
    except dns.dnssec.ValidationFailure:
        return False
    return True


def test_every_plan_of_the_lab_is_recorded_and_nothing_else() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from labkit.incidents import PLANS
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    assert sorted(plan.name for plan in PLANS) == SMALL


def test_the_library_is_small() -> None:
    sizes = [path.stat().st_size for path in CAPTURES.rglob("*") if path.is_file()]
    assert sum(sizes) < ALL_CAPTURES


@pytest.mark.parametrize("name", SMALL)
def test_folder_is_whole_and_says_nothing_of_the_machine(name: str) -> None:
    folder = CAPTURES / name
    assert {path.name for path in folder.iterdir()} >= FILES
    assert all(path.stat().st_size < LARGEST for path in folder.iterdir())
    for path in folder.iterdir():
        if path.suffix != ".zst":
            assert not {"/tmp", "/home", "/root"} & set(path.read_text().split('"'))
            assert "/tmp/" not in path.read_text()
    assert truth(name)["name"] == name
    assert (folder / "MADE.md").read_text().startswith(f"# {name}\n")


@pytest.mark.parametrize("name", SMALL)
def test_counts_and_times_are_those_of_the_capture(name: str) -> None:
    capture = truth(name)["capture"]
    times = [time for time, _ in packets(name)]
    assert len(times) == capture["packets"]
    assert capture["dropped"] == 0
    assert sum(1 for _ in dnstap_frames(name)) == capture["dnstap_frames"]
    identities = {one["identity"].encode() for one in truth(name)["resolvers"]}
    assert all(any(i in frame for i in identities) for frame in dnstap_frames(name))
    at = [nanoseconds(step["at"]) for step in truth(name)["steps"]]
    assert at == sorted(at)
    assert min(times) < at[0] <= at[-1] < max(times)


@pytest.mark.parametrize("name", SMALL)
def test_what_servers_showed_came_after_what_they_were_told(name: str) -> None:
    for server in truth(name).get("servers", ()):
        for act, seen in (("change", "changed"), ("repair", "repaired")):
            if f"first_seen_{seen}" in server:
                told = nanoseconds(server[f"told_to_{act}"])
                assert told <= nanoseconds(server[f"first_seen_{seen}"])
    if truth(name)["expected"] == "incident":
        assert truth(name)["reason"]
        assert truth(name)["views"]["resolver"]["bad_from"]


@pytest.mark.parametrize("name", [name for name in SOUND if name in SMALL])
def test_every_signature_of_a_sound_zone_verifies(name: str) -> None:
    checked = signatures_of_zones(name)
    assert len(checked) > 5
    assert [one for one in checked if not verifies(name, one)] == []


@pytest.mark.parametrize("name", [name for name in BROKEN if name in SMALL])
def test_signatures_break_at_the_change_and_not_before(name: str) -> None:
    broken = [one for one in signatures_of_zones(name) if not verifies(name, one)]
    changed = min(nanoseconds(s["told_to_change"]) for s in truth(name)["servers"])
    assert len(broken) > 3
    assert min(one.time for one in broken) >= changed


@pytest.mark.parametrize("name", [name for name in NEVER_FAIL if name in SMALL])
def test_no_client_fails_in_a_control(name: str) -> None:
    assert truth(name)["observed"]["servfail"] == 0
    assert truth(name)["observed"]["queries"] > 100


@pytest.mark.parametrize("name", [name for name in SMALL if is_failing_outage(name)])
def test_clients_fail_after_the_change_and_only_then(name: str) -> None:
    began = nanoseconds(truth(name)["phases"][0][0])
    assert nanoseconds(truth(name)["observed"]["first_servfail"]) >= began
