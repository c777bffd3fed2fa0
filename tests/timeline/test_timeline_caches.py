"""What resolvers' caches did, by TTLs: old data, and stale data whose TTL stands still."""

from __future__ import annotations

import pytest
from timeline_scene import RESOLVER, SOA, A, Scene, ns, outage

from forensics.timeline.moments import rfc3339
from forensics.timeline.story import tell

CACHE = "10.0.0.53"


def at(second: float) -> str:
    return rfc3339(ns(second))


def with_cache(answers: list[tuple[float, int]], *, begun: bool = True) -> Scene:
    """The outage from 100 s to 200 s, and a resolver's answers with one good signature.

    Unless `begun`, nothing good was captured before it.
    """
    scene = outage(begun=begun)
    place = scene.place(CACHE, role="resolver")
    number = scene.good("www.de.", A, "de.", 1111)
    for second, ttl in answers:
        scene.see(number, second, place, flags=RESOLVER)
        scene.rows["sightings"][-1]["ttl"] = ttl
    return scene


def mitigations(scene: Scene, kind: str) -> list[dict]:
    (incident,) = tell(scene.evidence()).incidents
    return [row for row in incident["mitigations"] if row["kind"] == kind]


def test_an_answer_fetched_before_the_fault_shows_an_old_cache() -> None:
    # Signed with 3,600 s: at 120 s, with 3,570 left, it was fetched at 90 s.
    scene = with_cache([(120, 3570), (150, 3540)])
    first, _ = (sighting["frame"] for sighting in scene.rows["sightings"][-2:])
    (row,) = mitigations(scene, "old-cache")
    assert row == {
        "kind": "old-cache", "resolver": CACHE, "at": at(120), "basis": "inferred",
        "until": at(150), "capture": "a.pcap", "frame": first,
    }  # fmt: skip


def test_of_a_fault_that_may_be_older_than_the_capture_no_cache_is_known_to_be_older() -> None:
    assert mitigations(with_cache([(120, 3570), (150, 3540)], begun=False), "old-cache") == []


def test_an_answer_fetched_in_the_fault_shows_none() -> None:
    assert mitigations(with_cache([(120, 3600), (150, 3570)]), "old-cache") == []
    assert mitigations(with_cache([(90, 3600)]), "old-cache") == []  # before it


def test_a_ttl_that_stands_still_is_stale_data() -> None:
    (row,) = mitigations(with_cache([(120, 30), (130, 30), (140, 30)]), "serve-stale")
    assert (row["resolver"], row["at"], row["basis"]) == (CACHE, at(120), "inferred")


@pytest.mark.parametrize(
    "answers",
    [
        [(120, 30), (130, 30)],  # two fetches of a resolver that caps its TTLs
        [(120, 30), (130, 20), (140, 30), (151, 30)],  # it runs down
        [(120, 30), (121, 30), (122, 30)],  # within the seconds of one fetch
    ],
)
def test_a_ttl_that_may_run_down_is_not(answers) -> None:
    assert mitigations(with_cache(answers), "serve-stale") == []


def test_a_cached_answer_is_no_last_good_and_no_first_good() -> None:
    """A resolver's own data went bad: what it answers from its cache says nothing of now."""
    scene = Scene()
    place = scene.place(CACHE, role="resolver")
    good = scene.good("de.", SOA, "de.", 1111, serial=1)
    bad = scene.bad("de.", SOA, "de.", 1111, serial=2, inception=0)
    for second, number, ttl in (
        (10, good, 3600), (50, good, 3560), (60, bad, 3600), (70, good, 3540), (90, good, 3600),
    ):  # fmt: skip
        scene.see(number, second, place, flags=RESOLVER, serial=1 if number == good else 2)
        scene.rows["sightings"][-1]["ttl"] = ttl
    (incident,) = tell(scene.evidence()).incidents
    assert incident["onset"] == {"last_good": at(10), "first_bad": at(60)}
    assert incident["recovery"]["first_good"] in {at(90), None}


@pytest.mark.parametrize("aged", [True, False])
def test_what_ran_out_was_right_until_then_wherever_it_lay(aged: bool) -> None:
    """A cached answer tells of its own time where the clock alone makes it bad."""
    scene = Scene()
    place = scene.place(CACHE, role="resolver")
    number = scene.sign("de.", SOA, "de.", 1111, serial=1, expiration=60)
    scene.judge(number, "secure", end=60)
    scene.judge(number, "bogus", "signature-expired", start=60)
    elsewhere = scene.place("198.51.100.9")
    other = scene.good("nl.", SOA, "nl.", 2222)
    for second in (10, 40, 57, 63, 90):
        scene.see(number, second, place, flags=RESOLVER, serial=1)
        scene.rows["sightings"][-1]["ttl"] = 3600 - second if aged else 3600
        scene.see(other, second, elsewhere)
    (incident,) = tell(scene.evidence()).incidents
    assert incident["onset"] == {"last_good": at(57), "first_bad": at(63)}
