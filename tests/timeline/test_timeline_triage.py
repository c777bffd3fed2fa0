"""The typical case of each kind of failure: the first of those that say what most say."""

from __future__ import annotations

import pytest
from timeline_scene import Scene, ns, outage

from forensics.timeline.moments import rfc3339
from forensics.timeline.story import tell


def test_the_first_of_the_commonest_answer_stands_for_its_kind() -> None:
    scene = Scene()
    scene.ask("rare.example.", 1, 2, ede=9)
    first = scene.ask("a.example.", 2, 2, ede=6, client="192.0.2.7")
    for at in range(3, 6):
        scene.ask("b.example.", at, 2, ede=6)
    scene.ask("slow.example.", 7, None)
    scene.ask("fine.example.", 8, 0)
    story = tell(scene.evidence(seed=1, cut=2))
    assert story.triage["validation"] == 5
    assert set(story.triage_cases) == {"validation", "timeout"}
    assert story.triage_cases["validation"] == {
        "count": 4,
        "rcode": 2,
        "ede": 6,
        "client": "192.0.2.7",
        "server": "198.51.100.1",
        "name": "a.example.",
        "type": "A",
        "at": rfc3339(ns(2)),
        "capture": "a.pcap",
        "frame": first,
    }
    timeout = story.triage_cases["timeout"]
    assert (timeout["name"], timeout["rcode"], timeout["count"]) == ("slow.example.", None, 1)


def test_a_lame_server_behind_the_resolver_is_shown_beside_clients_lookups() -> None:
    scene = Scene()
    scene.ask("a.example.", 1, 2)
    lame = scene.ask("a.example.", 1.5, 5, vantage="upstream", ra=False, rd=False)
    story = tell(scene.evidence())
    assert story.triage_cases["lame"]["frame"] == lame
    assert story.triage_cases["servfail-other"]["count"] == 1


RESOLVER = "10.0.0.53"


def after_the_repair(**late) -> dict[str, int]:
    """The outage from 100 s to 200 s, in which a resolver failed; and a failure long after it."""
    scene = outage()
    scene.ask("www.de.", 120, 2, server=RESOLVER, ede=6)
    late = {"name": "www.de.", "at": 290, "rcode": 2, "server": RESOLVER} | late
    scene.ask(late.pop("name"), late.pop("at"), late.pop("rcode"), **late)
    return tell(scene.evidence(seed=3, cut=7)).triage


@pytest.mark.parametrize("ede", [None, 13])
def test_a_failure_remembered_after_the_repair_is_of_its_cause(ede: int | None) -> None:
    assert after_the_repair(ede=ede)["validation"] == 2


@pytest.mark.parametrize(
    "late",
    [
        {"server": "10.0.0.54"},  # it had not failed in the outage
        {"ede": 22},  # it says that no server answered
        {"ede": 23},
        {"name": "www.nl."},  # another zone
        {"at": 700},  # longer than failures are remembered
    ],
)
def test_another_failure_after_the_repair_is_not(late) -> None:
    found = after_the_repair(**late)
    assert (found["validation"], found["servfail-other"]) == (1, 1)


def test_a_resolver_that_found_the_servers_silent_fails_for_that() -> None:
    scene = outage()
    scene.ask("www.de.", 120, 2, server=RESOLVER, ede=6)
    scene.ask("www.de.", 285, None, client=RESOLVER, server="192.0.2.1", vantage="upstream")
    scene.ask("www.de.", 290, 2, server=RESOLVER)
    found = tell(scene.evidence(seed=3, cut=7)).triage
    assert (found["validation"], found["servfail-other"]) == (1, 1)
