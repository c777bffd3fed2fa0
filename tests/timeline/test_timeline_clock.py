"""Whose clock is wrong: of a resolver that recorded itself, or of somebody who listened."""

from __future__ import annotations

import pytest
from timeline_scene import SOA, Scene

from forensics.timeline.story import tell

ZONES = (".", "de.", "nl.", "se.", "ee.")


def early(identities: list[str | None]) -> Scene:
    """Several zones, all of them not yet valid, in responses recorded by these in turn."""
    scene = Scene()
    place = scene.place("192.0.2.1")
    for number, zone in enumerate(ZONES):
        signature = scene.bad(zone, SOA, zone, reason="signature-not-yet-valid", inception=5000)
        for step in range(3):
            frame = scene.see(signature, 10 * number + step, place)
            scene.ask(zone, 10 * number + step, server="192.0.2.1", vantage="upstream", ra=False)
            row = scene.rows["transactions"][-1]
            identity = identities[(number + step) % len(identities)]
            row.update(query_frame=frame, response_frame=frame, identity=identity)
    return scene


@pytest.mark.parametrize(
    ("identities", "kind", "named"),
    [
        (["r3.lab"], "clock-resolver", ["r3.lab"]),
        (["r3.lab", "r4.lab"], "clock-resolver", ["r3.lab", "r4.lab"]),
        ([None], "clock-recorder", None),
        (["r3.lab", None], "clock-recorder", None),
    ],
)
def test_clock_of_who_recorded(identities, kind, named) -> None:
    story = tell(early(identities).evidence())
    assert story.incidents == []
    (finding,) = story.findings
    assert (finding["kind"], finding.get("resolvers")) == (kind, named)


def test_an_outage_that_a_resolver_recorded_is_no_wrong_clock() -> None:
    scene = Scene()
    place = scene.place("192.0.2.1")
    expired = scene.bad("de.", SOA, "de.", reason="signature-expired", expiration=-5)
    good = scene.good(".", SOA, ".")
    for at in range(5):
        for signature in (expired, good):
            frame = scene.see(signature, at, place)
            scene.ask("de.", at, server="192.0.2.1", vantage="upstream", ra=False)
            row = scene.rows["transactions"][-1]
            row.update(query_frame=frame, response_frame=frame, identity="r3.lab")
    story = tell(scene.evidence())
    assert [row["zone"] for row in story.incidents] == ["de."]
    assert not any(row["kind"].startswith("clock") for row in story.findings)


def lapsed(clock_offset: int | None = None) -> Scene:
    """One zone alone, all of whose signatures are outside of their windows."""
    scene = Scene()
    place = scene.place("192.0.2.1")
    expired = scene.bad("de.", SOA, "de.", reason="signature-expired", expiration=-5)
    for at in range(5):
        scene.see(expired, at, place)
    scene.clock_offset = clock_offset
    return scene


def test_nobody_is_accused_by_a_clock_that_nothing_vouches_for() -> None:
    story = tell(lapsed().evidence())
    assert story.incidents == []
    (finding,) = [row for row in story.findings if row["kind"].startswith("clock")]
    assert finding["kind"] == "clock-recorder"
    assert "--clock-offset" in finding["sentence"]


def test_the_user_vouches_for_the_clock() -> None:
    story = tell(lapsed(clock_offset=0).evidence())
    assert [row["zone"] for row in story.incidents] == ["de."]


@pytest.mark.parametrize(("ede", "accused"), [(7, ["de."]), (8, []), (6, []), (None, [])])
def test_a_resolver_vouches_for_the_clock(ede: int | None, accused: list[str]) -> None:
    """By saying the same: whose clock is too early where this one is too late proves nothing."""
    scene = lapsed()
    scene.ask("de.", 3, rcode=2, ede=ede)
    assert [row["zone"] for row in tell(scene.evidence()).incidents] == accused


def test_a_signature_of_the_same_zone_in_its_time_vouches_for_the_clock() -> None:
    scene = lapsed()
    scene.see(scene.good("de.", 1, "de."), 3, 0)
    assert [row["zone"] for row in tell(scene.evidence()).incidents] == ["de."]


def test_a_clock_that_was_moved_vouches_for_no_order_of_keys() -> None:
    """Healthy zones in a roll, and the recorder's clock put ahead while it records."""
    for moved in (False, True):
        scene = Scene()
        place = scene.place("192.0.2.1")
        for number, zone in enumerate(ZONES):
            scene.see(scene.good(zone, SOA, zone), number, place)
            reason = "signature-expired" if moved else "dnskey-missing"
            later = scene.bad(zone, SOA, zone, reason=reason, expiration=900 if moved else 10**6)
            for step in range(3):
                scene.see(later, 100_000 + 10 * number + step, place)
        rolled = scene.bad("de.", SOA, "de.", reason="dnskey-missing")
        for step in range(3):
            scene.see(rolled, 100_100 + step, place)
        story = tell(scene.evidence())
        clocks = [row["kind"] for row in story.findings if row["kind"].startswith("clock")]
        if moved:
            assert ([row["zone"] for row in story.incidents], clocks) == ([], ["clock-recorder"])
        else:
            assert "de." in {row["zone"] for row in story.incidents}
            assert clocks == []
