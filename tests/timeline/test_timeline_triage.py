"""The typical case of each kind of failure: the first of those that say what most say."""

from __future__ import annotations

from timeline_scene import Scene, ns

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
