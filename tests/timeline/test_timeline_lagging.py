"""A server that stands still while the others move on is named; one that follows late is not."""

from __future__ import annotations

import pytest
from timeline_scene import DNSKEY, SOA, Scene, ns

from forensics.timeline.moments import rfc3339
from forensics.timeline.story import tell
from forensics.vocabulary import SightingFlag

REFRESH = 3600
WRAP = 2**32


class Zone:
    """A zone whose serials appear at its servers when a test says so."""

    def __init__(self, servers: int = 3, *, refresh: int = REFRESH, first: int = 1) -> None:
        self.scene, self.refresh, self.first = Scene(), refresh, first
        self.places = [self.scene.place(f"192.0.2.{number + 1}") for number in range(servers)]
        self.known: dict[int, int] = {}

    def soa(self, number: int, *, bad: bool = False) -> int:
        """Give the signature of the SOA of a version, counted from `first`."""
        serial = (self.first + number) % WRAP
        if number not in self.known:
            tail = b"".join(n.to_bytes(4) for n in (serial, self.refresh, 60, 86400, 60))
            sign = self.scene.bad if bad else self.scene.good
            self.known[number] = sign("de.", SOA, "de.", serial=serial, data=b"rrsig" + tail)
        return self.known[number]

    def serve(self, server: int, number: int, at: float, **options) -> None:
        signature = self.soa(number)
        serial = (self.first + number) % WRAP
        self.scene.see(signature, at, self.places[server], serial=serial, **options)

    def misses(self, **options) -> list[dict]:
        story = tell(self.scene.evidence(**options))
        assert story.incidents == []
        return [row for row in story.findings if row["kind"] == "near-miss"]


def moves_on(zone: Zone, *, every: float, until: float, lag: dict[int, float], step: float = 2):
    """Serve a new version each `every` seconds; each server is `lag` seconds behind."""
    at = 0.0
    while at < until:
        for server in range(len(zone.places)):
            then = max(at - lag.get(server, 0), 0)
            zone.serve(server, int(then // every), at + server * 0.01)
        at += step


def stuck(zone: Zone, *, every: float, until: float, free: float) -> None:
    """Serve a new version each `every` seconds; the last server has the first until `free`."""
    at, last = 0.0, len(zone.places) - 1
    while at < until:
        for server in range(len(zone.places)):
            number = 0 if server == last and at < free else int(at // every)
            zone.serve(server, number, at + server * 0.01)
        at += 2


@pytest.mark.parametrize("first", [1, WRAP - 3, 2**31 - 2])
@pytest.mark.parametrize("seed", [None, 1])
def test_server_that_misses_version_after_version_is_a_near_miss(first: int, seed) -> None:
    zone = Zone(first=first)
    stuck(zone, every=10, until=100, free=80)
    (miss,) = zone.misses(seed=seed)
    assert (miss["zone"], miss["severity"]) == ("de.", "near-miss")
    assert [pattern["kind"] for pattern in miss["patterns"]] == ["server-divergence"]
    (server,) = miss["servers"]
    assert server["address"] == "192.0.2.3"
    assert (server["serial"], server["newest"]) == (first, (first + 7) % WRAP)
    assert server["missed"] == 7
    assert (server["from"], server["to"]) == (rfc3339(ns(10)), rfc3339(ns(78.02)))
    assert miss["recovery"]["first_good"] == rfc3339(ns(80.02))
    assert "192.0.2.3" in miss["sentence"]
    assert "refresh" not in miss["sentence"]


def test_server_that_stands_still_past_its_refresh_is_a_near_miss() -> None:
    """Two servers are enough: after its refresh interval a secondary has to ask."""
    zone = Zone(2, refresh=60)
    stuck(zone, every=50, until=130, free=10**6)
    (miss,) = zone.misses()
    assert [row["address"] for row in miss["servers"]] == ["192.0.2.2"]
    assert miss["recovery"]["first_good"] is None
    assert "refresh interval of 1 minute" in miss["sentence"]
    # The same within the refresh interval is what polling looks like.
    patient = Zone(2, refresh=100)
    stuck(patient, every=50, until=130, free=10**6)
    assert patient.misses() == []


@pytest.mark.parametrize("lag", [{}, {2: 0.5}, {2: 20}, {1: 5, 2: 25}])
def test_secondary_that_follows_late_is_none(lag) -> None:
    zone = Zone()
    moves_on(zone, every=5, until=200, lag=lag)
    assert zone.misses() == []


def test_secondary_one_version_behind_is_none() -> None:
    zone = Zone()
    moves_on(zone, every=70, until=900, lag={2: 60}, step=10)
    assert zone.misses() == []


def test_zone_whose_servers_all_poll_has_none() -> None:
    """Each takes a version up when its own time has come: slow is normal there."""
    zone = Zone(5)
    at = 0
    while at < 300:
        for server in range(5):
            phase = server * 13
            asked = at if server == 0 else max((at - phase) // 60 * 60 + phase, 0)
            zone.serve(server, asked // 10, at + server * 0.01)
        at += 2
    assert zone.misses() == []


def test_operators_who_count_apart_are_none() -> None:
    zone = Zone(4)
    at = 0
    while at < 400:
        for server in range(4):
            number = at // 10 if server < 2 else -1000
            zone.serve(server, number, at + server * 0.01)
        at += 2
    assert zone.misses() == []


def test_old_and_new_in_turn_is_no_server_that_stands_still() -> None:
    zone = Zone()
    at = 0
    while at < 200:
        for server in range(3):
            old = server == 2 and at // 2 % 2
            zone.serve(server, 0 if old else at // 10, at + server * 0.01)
        at += 2
    assert zone.misses() == []


@pytest.mark.parametrize(("late", "named"), [(1, False), (2, False), (3, True)])
def test_a_single_late_response_is_not_enough(late: int, named: bool) -> None:
    """One with the old version may have been under way for long, or be replayed."""
    zone = Zone()
    moves_on(zone, every=10, until=10, lag={})
    for at in range(10, 200, 2):
        for server in range(2):
            zone.serve(server, at // 10, at + server * 0.01)
    for number in range(late):
        zone.serve(2, 0, 150 + number)
    assert bool(zone.misses()) == named
    # Of responses that nobody is seen to have asked for, none counts.
    for row in zone.scene.rows["sightings"]:
        if row["place"] == zone.places[2]:
            row["flags"] |= int(SightingFlag.UNPAIRED)
    assert zone.misses() == []


def test_zone_with_an_incident_is_told_once() -> None:
    zone = Zone()
    stuck(zone, every=10, until=100, free=80)
    broken = zone.scene.bad("www.de.", 1, "de.")
    zone.scene.see(broken, 50, zone.places[0])
    story = tell(zone.scene.evidence())
    assert [row["zone"] for row in story.incidents] == ["de."]
    assert [row for row in story.findings if row["kind"] == "near-miss"] == []


def test_key_sets_have_no_serial() -> None:
    zone = Zone()
    key = zone.scene.good("de.", DNSKEY, "de.")
    for at in range(0, 200, 2):
        zone.scene.see(key, at, zone.places[0])
    assert zone.misses() == []
