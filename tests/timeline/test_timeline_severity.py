"""How grave: whether all servers were bad for all, or some for some."""

from __future__ import annotations

import pytest
from timeline_scene import DNSKEY, DS, NSEC3, SOA, A, Scene

from forensics.timeline.story import tell


def told(scene: Scene) -> dict:
    (incident,) = tell(scene.evidence()).incidents
    return incident


def kinds(incident: dict) -> set[str]:
    return {pattern["kind"] for pattern in incident["patterns"]}


@pytest.mark.parametrize("asked", [False, True])
def test_good_before_and_after_is_no_good_server(asked: bool) -> None:
    """The other server gave its keys before and after; whether amid, decides."""
    scene = Scene()
    one, two = scene.place("192.0.2.1"), scene.place("192.0.2.2")
    good = scene.good("lk.", DNSKEY, "lk.")
    bad = scene.bad("lk.", DNSKEY, "lk.", reason="dnskey-unsigned-by-ds-key")
    for place in (one, two):
        for at in (1, 90):
            scene.see(good, at + place / 10, place)
    for at in (20, 30, 40):
        scene.see(bad, at, one)
    if asked:
        scene.see(good, 35, two)
    incident = told(scene)
    assert incident["severity"] == ("partial" if asked else "outage")
    assert kinds(incident) == {"server-divergence" if asked else "every-server"}


def scattered() -> tuple[Scene, list[int], dict[str, int]]:
    """Two servers with good SOA and names, and single bad DS and denials."""
    scene = Scene()
    places = [scene.place("192.0.2.1"), scene.place("192.0.2.2")]
    made = {
        "soa": scene.good("se.", SOA, "se.", serial=5),
        "ds": scene.good("a.se.", DS, "se."),
        "denial": scene.good("h.se.", NSEC3, "se."),
        "bad ds": scene.bad("b.se.", DS, "se."),
        "bad denial": scene.bad("i.se.", NSEC3, "se."),
    }
    for place in places:
        for at in range(0, 100, 10):
            scene.see(made["soa"], at, place, serial=5)
            scene.see(made["ds"], at + 1, place)
            scene.see(made["denial"], at + 2, place)
            if 20 <= at <= 80:
                scene.see(made["bad ds"], at + 3, place)
                scene.see(made["bad denial"], at - 1, place)
    return scene, places, made


def test_single_rrsets_that_are_bad_everywhere_are_partial() -> None:
    scene, _, _ = scattered()
    incident = told(scene)
    assert incident["severity"] == "partial"
    assert "every-server" in kinds(incident)


@pytest.mark.parametrize("what", ["soa bad", "soa unseen", "no good ds", "mostly bad", "keys"])
def test_more_than_single_rrsets_is_an_outage(what: str) -> None:
    scene, places, made = scattered()
    rows = scene.rows["sightings"]
    if what == "soa bad":
        worse = scene.bad("se.", SOA, "se.", serial=6)
        scene.see(worse, 50, places[1], serial=6)
    elif what == "soa unseen":
        rows[:] = [row for row in rows if row["signature"] != made["soa"]]
    elif what == "no good ds":
        rows[:] = [row for row in rows if row["signature"] != made["ds"]]
    elif what == "mostly bad":
        for at in range(50):
            scene.see(scene.bad(f"x{at}.se.", A, "se."), 30 + at, places[at % 2])
    else:
        reason = "dnskey-missing"
        for row in scene.rows["verdicts"]:
            if row["status"] == "bogus":
                row["reason"] = reason
    assert told(scene)["severity"] == "outage"


@pytest.mark.parametrize(("until", "divided"), [(30, False), (34, False), (50, True)])
def test_one_change_that_reaches_all_servers_divides_none(until: float, divided: bool) -> None:
    """The same SOA is good until the change, and bad after it, at each server in its turn."""
    scene = Scene()
    places = [scene.place("192.0.2.1"), scene.place("192.0.2.2")]
    soa = scene.sign("x.", SOA, "x.", serial=5)
    for place, change in zip(places, (30, until), strict=True):
        scene.judge(soa, "secure", end=change, place=place)
        scene.judge(soa, "bogus", "ds-mismatch", start=change, place=place)
        for at in range(0, 100, 2):
            scene.see(soa, at + place / 10, place, serial=5)
    incident = told(scene)
    assert incident["severity"] == "outage"
    assert kinds(incident) == {"every-server", *(["server-divergence"] if divided else [])}
