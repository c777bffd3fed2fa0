"""What caches alone refuse after the repair is held against no server."""

from __future__ import annotations

from timeline_scene import DNSKEY, KSK, SOA, ZSK, A, Scene, ns

from forensics.timeline.moments import rfc3339
from forensics.timeline.story import tell

DS = 43
HELD = {"begin": ns(200), "until": ns(260), "ttl": 60 * 10**9}


def at(second: float) -> str:
    return rfc3339(ns(second))


def repaired(*, also_bad: tuple[int, ...] = ()) -> tuple[Scene, dict]:
    """A broken link from 100 s to 200 s; caches with the older DS refuse the keys until 260 s.

    The last of its rows is a subject that stands for what caches refuse.
    """
    scene = Scene()
    place = scene.place("192.0.2.1")
    soa = scene.sign("x.", SOA, "x.", 1111)
    scene.judge(soa, "secure", end=100)
    scene.judge(soa, "bogus", "ds-mismatch", start=100, end=200)
    scene.judge(soa, "secure", start=200)
    subject = scene.bad("x.", DNSKEY, "x.", 2222, reason="dnskey-unsigned-by-ds-key")
    for second in range(50, 300, 5):
        scene.see(soa, second, place, serial=1)
    for second in (210, 230, *also_bad):
        scene.see(subject, second, place, serial=1)
    scene.keys("x.", DNSKEY, place, 50, 295, [KSK, ZSK], [2222, 1111])
    return scene, {subject: HELD}


def test_the_end_is_that_of_what_servers_gave() -> None:
    scene, caches = repaired()
    (incident,) = tell(scene.evidence(seed=2, cut=9, caches=caches)).incidents
    assert incident["view"] == "published"
    assert incident["onset"] == {"last_good": at(95), "first_bad": at(100)}
    assert incident["recovery"] == {"last_bad": at(195), "first_good": at(200)}
    assert [phase["reason"] for phase in incident["phases"]] == ["ds-mismatch"]
    assert incident["aftermath"]["refuse_until"] == at(260)
    assert incident["aftermath"]["sentence"] in incident["sentence"]


def test_what_caches_refused_before_the_last_bad_answer_is_in_it() -> None:
    scene, caches = repaired(also_bad=(150,))
    (incident,) = tell(scene.evidence(caches=caches)).incidents
    assert incident["recovery"]["last_bad"] == at(195)
    assert [phase["reason"] for phase in incident["phases"]] == [
        "ds-mismatch", "dnskey-unsigned-by-ds-key",
    ]  # fmt: skip


def test_without_caches_behind_it_nothing_is_said_of_them() -> None:
    scene, caches = repaired()
    scene.rows["sightings"] = [
        row for row in scene.rows["sightings"] if row["signature"] not in caches
    ]
    (incident,) = tell(scene.evidence(caches=caches)).incidents
    assert "aftermath" not in incident


def withdrawn(*, again: bool) -> dict:
    """A DS that fits no key; withdrawn at 200 s, or not; answers without keys go on to 215 s."""
    scene = Scene()
    place, parents = scene.place("192.0.2.1"), [scene.place(f"192.0.2.{n}") for n in (8, 9)]
    good = scene.sign("x.", SOA, "x.", 1111)
    scene.judge(good, "secure", end=100)
    subject = scene.bad("x.", DNSKEY, "x.", 2222, reason="dnskey-absent")
    other = scene.good("www.", A, ".", 3333)
    for second in range(50, 100, 5):
        scene.see(good, second, place, serial=1)
    for second in (100, 150, 198, 207, 215):
        scene.see(subject, second, place)
    for second in range(50, 300, 5):
        scene.see(other, second, parents[0])
    for parent in parents:
        scene.keys("x.", DS, parent, 50, 199, [KSK], [2222])
    if again:
        scene.keys("x.", DS, parents[1], 225, 230, [KSK], [2222])
    told = [(parents[0], 202), (parents[1], 206), (parents[0], 212), (parents[1], 220)]
    answers = [(place, ns(second), 0, 900 + second) for place, second in told]
    (incident,) = tell(scene.evidence(undelegated={"x.": answers})).incidents
    return incident


def test_a_withdrawn_ds_ends_it_when_each_parent_server_has_said_so() -> None:
    incident = withdrawn(again=False)
    assert incident["recovery"] == {"last_bad": at(198), "first_good": at(206)}
    # The DS lives 3,600 s in caches.
    assert incident["aftermath"]["refuse_until"] == at(199 + 3600)


def test_a_ds_that_was_given_again_was_not_withdrawn() -> None:
    incident = withdrawn(again=True)
    assert incident["recovery"] == {"last_bad": at(215), "first_good": None}
    assert "aftermath" not in incident
    assert incident["onset"]["first_bad"] == at(100)
