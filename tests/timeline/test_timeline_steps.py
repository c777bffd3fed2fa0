"""A recorder's clock that was set back is told; a delay, disorder and dnstap are no such thing."""

from __future__ import annotations

import pytest
from timeline_scene import Scene, ns

from forensics.timeline.steps import STRETCHES, ClockSteps
from forensics.timeline.story import Story, tell
from forensics.vocabulary import TYPE_SOA as SOA


def steps_of(times: list[float], **changes) -> list[dict]:
    """What is told of a capture with a query and its response at each of these times."""
    scene = Scene()
    for at in times:
        frame = scene.ask("a.example.", at, ra=False)
        scene.rows["transactions"][-1].update(
            {"kind": "packet", "query_frame": frame, "response_frame": frame, **changes}
        )
    evidence = scene.evidence(seed=3, cut=7)
    seen = ClockSteps()
    for _ in seen.watched(evidence.transactions()):
        pass
    return seen.findings(evidence.captures)


def test_a_clock_set_back_is_told_with_the_frames_around_it() -> None:
    (finding,) = steps_of([*range(100, 150), *range(40, 90)])
    assert finding["kind"] == "clock-step"
    assert (finding["after_frame"], finding["before_frame"]) == (50, 51)
    assert finding["seconds"] == 109
    assert "go back by 109 s" in finding["sentence"]
    assert ns(149) > ns(40)


def test_each_step_counts_once_and_the_largest_is_told() -> None:
    (finding,) = steps_of([*range(100, 150), *range(120, 170), *range(10, 60)])
    assert finding["count"] == 2
    assert finding["seconds"] == 159


@pytest.mark.parametrize(
    "times",
    [
        list(range(100)),
        [at + (1.5 if at % 7 == 0 else 0) for at in range(100)],  # written out of order
        [*range(50), *range(5000, 5050)],  # silence, or a clock set forward: who knows
    ],
)
def test_order_that_recorders_make_is_no_step(times) -> None:
    assert steps_of(times) == []


@pytest.mark.parametrize("changes", [{"kind": "CLIENT_QUERY"}, {"transport": "tcp"}])
def test_what_is_not_written_in_order_is_not_looked_at(changes) -> None:
    assert steps_of([*range(100, 150), *range(50)], **changes) == []


def test_the_bracket_widens_with_the_capture_and_memory_does_not() -> None:
    times = [*range(20_000, 26_000), *range(1000, 7000)]
    (finding,) = steps_of(times)
    assert finding["count"] == 1
    assert finding["after_frame"] <= 6000
    assert finding["before_frame"] > 6000
    assert finding["before_frame"] - finding["after_frame"] < 4 * len(times) / STRETCHES * 4
    assert finding["seconds"] >= 24_900


def test_the_report_says_it_first_and_accuses_nobody() -> None:
    scene = Scene()
    scene.place("192.0.2.1")
    for at in (*range(100, 120), *range(20)):
        frame = scene.ask("a.example.", at, ra=False)
        scene.rows["transactions"][-1].update(kind="packet", query_frame=frame)
    story = tell(scene.evidence())
    assert story.incidents == []
    assert "clock-step" in [row["kind"] for row in story.findings]


def set_back(seconds: int, reason: str) -> Story:
    """A zone with bad signatures beside one with good ones; the clock is set back at the end."""
    scene = Scene()
    place = scene.place("192.0.2.1")
    fine = scene.good("fi.", SOA, "fi.")
    bad = scene.bad("de.", SOA, "de.", reason=reason, expiration=-5)
    for at in range(5):
        scene.see(bad, at, place)
        scene.see(fine, at, place)
    for at in (*range(500, 510), *range(510 - seconds, 520 - seconds)):
        frame = scene.ask("a.example.", at, ra=False)
        scene.rows["transactions"][-1].update(kind="packet", query_frame=frame)
    return tell(scene.evidence())


@pytest.mark.parametrize("reason", ["signature-expired", "dnskey-missing", "ds-mismatch"])
def test_what_rests_on_order_accuses_nobody_where_the_clock_was_set_back(reason) -> None:
    story = set_back(100, reason)
    assert story.incidents == []
    (finding,) = [row for row in story.findings if row["kind"] == "clock-recorder"]
    assert "de." in finding["sentence"]
    assert "go back by" in finding["sentence"]


@pytest.mark.parametrize("reason", ["signature-expired", "dnskey-missing", "ds-mismatch"])
def test_a_clock_that_a_time_service_corrects_hides_no_outage(reason) -> None:
    assert [row["zone"] for row in set_back(15, reason).incidents] == ["de."]


def test_what_fails_whatever_the_time_still_accuses() -> None:
    assert [row["zone"] for row in set_back(100, "signature-invalid").incidents] == ["de."]
